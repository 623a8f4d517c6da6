"""The portable kernels, called one at a time through ctypes.

Compiles ``native/portable`` with the system's C compiler into a shared library of its own, so that what defines every
operation can be compared with LiteRT without the engine, the planner or the binding in between. The parameter structs
are read out of ``params.h``: there is no second list of fields to keep in step.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SOURCE = Path(__file__).resolve().parents[2] / "native" / "portable"
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-fPIC")
MAX_RANK = 8
_ELEMENTS = {"int32_t": ctypes.c_int32, "int8_t": ctypes.c_int8}
_DTYPES = {"int32_t": np.int32, "int8_t": np.int8}

Field = tuple[str, str, str]  # name, C type, "scalar" | "array" | "pointer"


def compiler() -> str | None:
    """The C compiler, or None where the machine has none."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def parameter_structs() -> dict[str, list[Field]]:
    """``zp_<op>_params`` -> its fields, in order, as written in params.h."""
    text = re.sub(r"/\*.*?\*/", "", (SOURCE / "params.h").read_text(), flags=re.S)
    found: dict[str, list[Field]] = {}
    for body, name in re.findall(r"typedef struct \{(.*?)\}\s*(zp_\w+_params);", text, flags=re.S):
        fields: list[Field] = []
        for statement in filter(None, (s.strip() for s in body.split(";"))):
            words = statement.removeprefix("const ").split(None, 1)
            for declared in words[1].split(","):
                declared = declared.strip()
                kind = "pointer" if declared[0] == "*" else "array" if declared.endswith("]") else "scalar"
                fields.append((declared.lstrip("*").split("[")[0], words[0], kind))
        found[name] = fields
    return found


class _Buffers(ctypes.Structure):
    _fields_ = (("inputs", ctypes.c_void_p), ("outputs", ctypes.c_void_p), ("scratch", ctypes.c_void_p))


def build(folder: Path, *flags: str) -> Path:
    """Compiles every portable kernel, plus wrappers that export fixedpoint.h, into a shared library in ``folder``."""
    wrapper = folder / "exported.c"
    wrapper.write_text(
        '#include "fixedpoint.h"\n#include "sixteen.h"\n'
        "void each_srdhm(const int32_t *a, const int32_t *b, int32_t *y, int32_t n)\n"
        "{ for (int32_t i = 0; i < n; ++i) y[i] = zp_saturating_rounding_doubling_high_mul(a[i], b[i]); }\n"
        "void each_pot(const int32_t *a, const int32_t *b, int32_t *y, int32_t n)\n"
        "{ for (int32_t i = 0; i < n; ++i) y[i] = zp_rounding_divide_by_pot(a[i], b[i]); }\n"
        "void each_mbqm(const int32_t *x, const int32_t *m, const int32_t *s, int32_t *y, int32_t n)\n"
        "{ for (int32_t i = 0; i < n; ++i) y[i] = zp_multiply_by_quantized_multiplier(x[i], m[i], s[i]); }\n"
        "void each_exact(const int32_t *x, const int32_t *m, const int32_t *l, const int32_t *s, int32_t *y,"
        " int32_t n)\n"
        "{ for (int32_t i = 0; i < n; ++i) y[i] = zp_multiply_by_exact_multiplier(x[i], m[i], l[i], s[i]); }\n"
        "void wide_mbqm(const int64_t *x, const int32_t *m, const int32_t *s, int32_t *y, int32_t n)\n"
        "{ for (int32_t i = 0; i < n; ++i) y[i] = zp_multiply_by_quantized_multiplier_64(x[i], m[i], s[i]); }\n"
        "void wide_exact(const int64_t *x, const int32_t *m, const int32_t *l, const int32_t *s, int32_t *y,"
        " int32_t n)\n"
        "{ for (int32_t i = 0; i < n; ++i) y[i] = zp_multiply_by_exact_multiplier_64(x[i], m[i], l[i], s[i]); }\n"
    )
    library = folder / "libportable.so"
    sources = sorted(str(p) for p in SOURCE.glob("*.c"))
    command = [str(compiler()), *FLAGS, *(flags or ("-O2",)), "-Wno-missing-prototypes", "-shared", "-I", str(SOURCE)]
    subprocess.run([*command, *sources, str(wrapper), "-o", str(library)], check=True, capture_output=True, text=True)
    return library


class Portable:
    """The compiled kernels. ``run`` calls one; ``fixed`` calls the functions of fixedpoint.h element by element."""

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library))
        self.structs = parameter_structs()

    def run(
        self,
        op: str,
        params: str,
        attrs: Mapping[str, Any],
        inputs: Sequence[np.ndarray | None],
        shape: Sequence[int],
        units: int,
        *,
        dtype: Any = np.int8,
        splits: Sequence[int] = (),
    ) -> np.ndarray:
        """Runs ``zp_<op>_s8_portable`` (``zp_<op>_portable`` where the name says ``_s16``) over units
        0..units in the pieces that ``splits`` cut; every field is needed.

        The output lies between two guard strips that have to come back untouched.
        """
        fields = self.structs[f"zp_{params}_params"]
        missing = {name for name, _, _ in fields} ^ set(attrs)
        assert not missing, f"{op}: fields given and fields of zp_{params}_params differ: {sorted(missing)}"
        kept: list[np.ndarray] = []
        layout: list[tuple[str, Any]] = []
        values: dict[str, Any] = {}
        for name, c_type, kind in fields:
            value = attrs[name]
            if kind == "scalar":
                layout.append((name, _ELEMENTS[c_type]))
                values[name] = int(value)
            elif kind == "array":
                layout.append((name, _ELEMENTS[c_type] * MAX_RANK))
                values[name] = (_ELEMENTS[c_type] * MAX_RANK)(*(int(v) for v in value))
            else:
                layout.append((name, ctypes.c_void_p))
                array = None if value is None else np.ascontiguousarray(value, dtype=_DTYPES[c_type])
                if array is not None:
                    kept.append(array)
                values[name] = None if array is None else array.ctypes.data
        struct = type("Params", (ctypes.Structure,), {"_fields_": layout})(**values)

        guard = 64
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        raw = np.full(size + 2 * guard, 0x5A, np.uint8)
        arrays = [None if a is None else np.ascontiguousarray(a) for a in inputs]
        sources = (ctypes.c_void_p * max(len(arrays), 1))(*(None if a is None else a.ctypes.data for a in arrays))
        targets = (ctypes.c_void_p * 1)(raw.ctypes.data + guard)
        buffers = _Buffers(ctypes.addressof(sources), ctypes.addressof(targets), None)
        function = getattr(self.library, f"zp_{op}_portable" if op.endswith("_s16") else f"zp_{op}_s8_portable")
        function.restype = None
        edges = [0, *splits, units]
        for begin, end in itertools.pairwise(edges):
            function(ctypes.byref(struct), ctypes.byref(buffers), ctypes.c_int32(begin), ctypes.c_int32(end))
        strips = np.concatenate([raw[:guard], raw[guard + size :]])
        assert (strips == 0x5A).all(), f"{op} wrote outside its output"
        return raw[guard : guard + size].view(dtype).reshape(tuple(shape)).copy()

    def fixed(self, name: str, *arrays: np.ndarray) -> np.ndarray:
        """``each_<name>`` over int32 arrays of one length."""
        given = [np.ascontiguousarray(a, dtype=np.int32) for a in arrays]
        out = np.empty_like(given[0])
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*given, out)]
        getattr(self.library, f"each_{name}")(*pointers, ctypes.c_int32(out.size))
        return out

    def wide(self, name: str, x: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
        """``wide_<name>``: as ``fixed``, the first array being int64."""
        given = [np.ascontiguousarray(x, dtype=np.int64), *(np.ascontiguousarray(a, dtype=np.int32) for a in arrays)]
        out = np.empty(given[0].shape, np.int32)
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*given, out)]
        getattr(self.library, f"wide_{name}")(*pointers, ctypes.c_int32(out.size))
        return out
