"""What is read of a file, and that nothing which happens to the file later reaches the graph."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from builders_net import Net
from zeropoint import FormatError, load, loads
from zeropoint.formats import dumps
from zeropoint.formats.file import contents

HUGE = 2 << 20


@pytest.mark.parametrize("size", [0, 1, HUGE - 1, HUGE, HUGE + 1, 2 * HUGE, 5 * HUGE + 4097])
def test_the_bytes_of_a_file_are_what_is_read(tmp_path: Path, size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    (tmp_path / "file").write_bytes(data)
    found = contents(tmp_path / "file")
    assert len(found) == size
    assert found == data
    assert memoryview(found).readonly


@pytest.mark.parametrize("features", [10, 5000])
def test_a_file_that_changes_does_not_change_its_graph(tmp_path: Path, features: int) -> None:
    """Overwritten in place, and then cut short: a mapped file would give zeros, and then end the process."""
    net = Net()
    x, y = (net.tensor((1, n), "int8", (0.5, 0), name=name) for n, name in ((features, "x"), (500, "y")))
    weights = np.random.default_rng(7).integers(-128, 128, (500, features), np.int8)
    w = net.tensor(weights.shape, "int8", (0.25, 0), data=weights, name="w")
    net.op("fully_connected", [x, w], [y])
    path = tmp_path / "net.tflite"
    path.write_bytes(dumps(net.graph([x], [y])))
    size = path.stat().st_size
    assert (size > HUGE) == (features > 1000)
    graph = load(path)
    with path.open("r+b") as file:
        file.write(bytes(size))
        file.flush()
        os.fsync(file.fileno())
        file.truncate(100)
    kept = next(t.data for t in graph.tensors if t.name == "w")
    assert kept is not None
    assert np.array_equal(kept, weights)
    assert not kept.flags.writeable
    assert dumps(loads(dumps(graph))) == dumps(graph)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe without a writer must not be waited for."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        with pytest.raises(FormatError, match="not a file"):
            load(path)
    for name in ("absent", "with\0zero"):
        with pytest.raises(FormatError, match="cannot be read"):
            load(str(tmp_path / name))
