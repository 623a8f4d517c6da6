"""Memory of a session: a file's weights are never there twice, and what becomes of the file meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import builders
import zeropoint as zp
from every_op import every
from zeropoint.engine import isas
from zeropoint.errors import FormatError
from zeropoint.formats.mapped import mapped_file
from zeropoint.graph import Graph, Op, Quantization, Tensor

LAYERS, SIDE = 4, 2048  # 16 MiB of weights


def dense(flavour: str) -> Graph:
    """Fully connected layers, one behind the other."""
    rng = np.random.default_rng(5)
    low, high = (0, 256) if flavour == "uint8" else (-127, 128)
    point = (128,) if flavour == "uint8" else (0,)
    tensors, ops = [Tensor("x", (1, SIDE), flavour, Quantization((1 / 64,), point))], []
    for layer in range(LAYERS):
        weights = rng.integers(low, high, (SIDE, SIDE)).astype(flavour)
        tensors.append(Tensor(f"w{layer}", (SIDE, SIDE), flavour, Quantization((1 / 1024,), point), weights))
        tensors.append(Tensor(f"y{layer}", (1, SIDE), flavour, Quantization((1 / 64,), point)))
        n = len(tensors)
        ops.append(Op("fully_connected", (n - 3 if layer else 0, n - 2), (n - 1,)))
    return Graph(tuple(tensors), tuple(ops), (0,), (len(tensors) - 1,))


CHILD = """
import sys
import numpy as np
import zeropoint as zp
from zeropoint.engine import isas

def memory():
    lines = open("/proc/self/status").read().splitlines()
    found = dict(line.split(":") for line in lines)
    return {key: int(found[key].split()[0]) / 1024 for key in ("VmHWM", "RssAnon", "RssFile")}

isas(), zp.Session(sys.argv[2])  # what is needed once
before = memory()
session = zp.Session(sys.argv[1], isa=sys.argv[3], threads=int(sys.argv[4]))
shape, dtype = session.graph.tensors[0].shape, session.graph.tensors[0].dtype
session.run(np.ones(shape, dtype))
after = memory()
print(*(after[k] - before[k] for k in ("VmHWM", "RssAnon", "RssFile")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
@pytest.mark.parametrize("flavour", ["int8", "uint8"])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_file_s_weights_are_packed_and_nothing_else(flavour: str, threads: int, tmp_path) -> None:
    size = LAYERS * SIDE * SIDE / 2**20
    large, small = str(tmp_path / "large.tflite"), str(tmp_path / "small.tflite")
    dense(flavour).save(large)
    every("fully_connected", flavour).save(small)
    best = isas()[-1]
    command = [sys.executable, "-c", CHILD, large, small, best, str(threads)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    peak, own, file = (float(v) for v in done.stdout.split())
    # int16 products take two bytes for a weight, tables and large pages some more; the file itself is gone. A layer
    # is in memory twice while it is packed, for uint8 three times.
    packed = 2.2 * size if best == "avx2" else 1.2 * size
    print(f"{flavour}, {best}, {threads} threads, {size} MiB: at most {peak:.1f} MiB, own {own:.1f}, file {file:.1f}")
    assert 0.9 * size < own < packed + 4
    assert file < 4
    assert peak < packed + 4 + threads * 3 * 4


@pytest.mark.parametrize("isa", [None, "portable"])
def test_a_mapped_graph_still_has_its_constants(isa: str | None, tmp_path) -> None:
    graph = every("chain", "uint8")
    path = tmp_path / "net.tflite"
    graph.save(str(path))
    session, x = zp.Session(path, isa=isa), builders.inputs_for(graph, np.random.default_rng(1))[0]
    assert (session.run(x) == zp.Session(graph).run(x)).all()
    constants = [i for i, t in enumerate(graph.tensors) if t.data is not None]
    assert any(mapped_file(session.graph.tensors[i].data) is not None for i in constants)
    for i in constants:
        assert (session.graph.tensors[i].data == graph.tensors[i].data).all()
        with pytest.raises(ValueError, match="read-only"):
            session.graph.tensors[i].data[...] = 0
    assert all(mapped_file(t.data) is None for t in zp.load(path).tensors)


def test_a_file_that_another_one_replaced_is_still_there(tmp_path) -> None:
    graph = every("chain", "int8")
    path = tmp_path / "net.tflite"
    graph.save(str(path))
    session, x = zp.Session(path), builders.inputs_for(graph, np.random.default_rng(1))[0]
    expected = session.run(x)
    every("add", "int8").save(str(path))
    twice = session.run(np.concatenate([x, x]))
    assert expected.size > 0
    assert (twice == np.concatenate([expected, expected])).all()
    path.unlink()
    assert (session.run(np.concatenate([x, x, x]))[:1] == expected).all()


@pytest.mark.parametrize("cut", [False, True])
def test_a_file_that_was_written_into_is_refused(cut: bool, tmp_path) -> None:
    graph = every("chain", "int8")
    path = tmp_path / "net.tflite"
    graph.save(str(path))
    session, x = zp.Session(path), builders.inputs_for(graph, np.random.default_rng(1))[0]
    session.run(x)
    content = path.read_bytes()
    os.utime(path, ns=(0, 0))  # whatever the clock's resolution
    path.write_bytes(content[:100] if cut else content[:-1] + b"\0")
    with pytest.raises(FormatError, match="written into while in use"):
        session.run(np.concatenate([x, x]))


def test_what_is_no_file_is_refused_as_before(tmp_path) -> None:
    (tmp_path / "empty.tflite").write_bytes(b"")
    for path, match in (
        (tmp_path / "empty.tflite", "0 bytes are too short"),
        (tmp_path, "not a file"),
        (tmp_path / "absent.tflite", "cannot be read"),
        (str(tmp_path / "a\0b"), "cannot be read"),
    ):
        with pytest.raises(FormatError, match=match):
            zp.Session(path)
