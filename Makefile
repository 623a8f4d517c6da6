# Two commands matter: `make demo` and `make test`. Both build what they need in .venv.
# PYTHON chooses the interpreter (>= 3.11); TORCH pins the PyTorch requirement, e.g. TORCH="torch==2.13.*".
PYTHON ?= python3
TORCH  ?= torch
VENV   := .venv
BIN    := $(VENV)/bin
SOURCES := pyproject.toml CMakeLists.txt $(shell find native -name '*.c' -o -name '*.cc' -o -name '*.h' -o -name '*.inc' -o -name CMakeLists.txt)

.PHONY: demo test test-full lint types native-test native-test-emulated native-test-arm sanitize fuzz clean

demo: $(VENV)/.demo
	$(BIN)/zeropoint demo

test: $(VENV)/.dev native-test
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadgroup

test-full: $(VENV)/.dev native-test sanitize
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

native-test: $(VENV)/.dev
	$(BIN)/cmake -S . -B build/native -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DZP_PYTHON=OFF -DZP_TESTS=ON -DCMAKE_BUILD_TYPE=Release
	$(BIN)/cmake --build build/native
	$(BIN)/ctest --test-dir build/native --output-on-failure

# The native tests and whole networks with the AVX-512 kernels compiled to loops: they run on any CPU with AVX2, too slowly
# for anything but tests.
native-test-emulated: $(VENV)/.dev
	$(BIN)/cmake -S . -B build/emulated -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DZP_PYTHON=OFF -DZP_TESTS=ON \
	  -DZP_EMULATE_AVX512=ON -DCMAKE_BUILD_TYPE=Release
	$(BIN)/cmake --build build/emulated
	$(BIN)/ctest --test-dir build/emulated --output-on-failure
	$(BIN)/python -m pytest tests/native/test_emulated_networks.py

# The native library for 64-bit Arm, cross-built; its tests in emulation, on a CPU with the dot product and on one without.
native-test-arm: $(VENV)/.dev
	@missing=; \
	command -v aarch64-linux-gnu-g++ >/dev/null || missing="$$missing g++-aarch64-linux-gnu"; \
	command -v qemu-aarch64 >/dev/null || missing="$$missing qemu-user"; \
	if [ -n "$$missing" ]; then echo "native-test-arm needs these Debian packages:$$missing (apt-get install$$missing)" >&2; exit 1; fi
	$(BIN)/cmake -S . -B build/aarch64 -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DZP_PYTHON=OFF -DZP_TESTS=ON \
	  -DCMAKE_TOOLCHAIN_FILE=native/cmake/aarch64-linux-gnu.cmake -DCMAKE_BUILD_TYPE=Release
	$(BIN)/cmake --build build/aarch64
	for cpu in max cortex-a53; do \
	  QEMU_CPU=$$cpu $(BIN)/ctest --test-dir build/aarch64 -j 2 --output-on-failure || exit 1; \
	done

# The native tests once under AddressSanitizer + UBSan and once under ThreadSanitizer.
sanitize: $(VENV)/.dev
	for s in address,undefined thread; do \
	  $(BIN)/cmake -S . -B build/san-$$s -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DZP_PYTHON=OFF -DZP_TESTS=ON \
	    -DZP_SANITIZE=$$s -DCMAKE_BUILD_TYPE=RelWithDebInfo && \
	  $(BIN)/cmake --build build/san-$$s && $(BIN)/ctest --test-dir build/san-$$s --output-on-failure || exit 1; \
	done

# Mutated model files, then random native programs from a seed that differs every time. CASES of each; files that break
# something are kept in tests/fuzz/corpus. The file fuzzer goes on where its last call stopped.
CASES ?= 500000
fuzz: $(VENV)/.dev native-test
	$(BIN)/python tests/fuzz/fuzz_models.py --cases $(CASES)
	build/native/native/tests/zp_fuzz_plan $(CASES) $$(date +%s)00000

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("zeropoint needs Python >= 3.11; set PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

# The stamps record a finished install; they are remade when a native source or the package metadata changes.
$(VENV)/.demo: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install -q "$(TORCH)" -e ".[demo]"
	touch $@

$(VENV)/.dev: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install -q "$(TORCH)" -e ".[train,report,peers,dev]"
	touch $@

clean:
	rm -rf build dist $(VENV)
