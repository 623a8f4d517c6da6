"""Graph -> file -> graph: nothing is lost, nothing changes, and LiteRT computes the same from both files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hostile_files import encoded, sound_model
from same import assert_same_graph

import every_op
import litert
from builders import Net, chain, conv_2d, inputs_for
from builders_net import Rng
from zeropoint.errors import FormatError, GraphError
from zeropoint.formats import dumps, load, loads, save
from zeropoint.formats.tflite import reader, writer
from zeropoint.formats.tflite.decode import Decoder
from zeropoint.formats.tflite.schema import BUILTINS, OPTIONS
from zeropoint.formats.tflite.versions import required_version
from zeropoint.graph import Graph, Op, Quantization, Signature, Tensor


def rng(seed: int = 0) -> Rng:
    return np.random.default_rng(seed)


SOUND = ("mlperf_tiny", "imagenet", "detection", "segmentation", "audio", "unit", "sixteen_by_eight")


def sound_files(data_dir: Path) -> list[Path]:
    found = [f for folder in SOUND for f in sorted((data_dir / "tflite" / folder).glob("*.tflite"))]
    assert found, f"no models under {data_dir}"
    return found


@pytest.fixture
def unverified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads and writes whatever the format can say, also networks that the verifier refuses (it has its own tests)."""
    for module in (reader, writer):
        monkeypatch.setattr(module, "verify", lambda graph, **_: None)


@pytest.mark.usefixtures("unverified")
def test_every_model_file_survives_rewriting(data_dir: Path) -> None:
    for file in sound_files(data_dir):
        graph = load(file, integer_only=False)
        rewritten = dumps(graph)
        assert_same_graph(graph, loads(rewritten, integer_only=False))
        assert dumps(loads(rewritten, integer_only=False)) == rewritten, file


@pytest.mark.usefixtures("unverified")
def test_rewritten_models_compute_the_same_in_litert(data_dir: Path) -> None:
    compared = 0
    for file in sound_files(data_dir):
        model = file.read_bytes()
        if len(model) > 1_500_000:
            continue  # the large ones are the slow test below
        compared += _same_in_litert(model, file.name)
    assert compared > 20


@pytest.mark.slow
@pytest.mark.usefixtures("unverified")
def test_large_rewritten_models_compute_the_same_in_litert(data_dir: Path) -> None:
    assert sum(_same_in_litert(f.read_bytes(), f.name) for f in sound_files(data_dir)) > 20


def _same_in_litert(model: bytes, name: str) -> int:
    rewritten = dumps(loads(model, integer_only=False))
    inputs = litert.random_inputs(model, rng())
    try:
        expected = litert.run_reference(model, inputs)
    except litert.Refused:
        return 0  # LiteRT has no reference kernel for it; nothing to compare
    got = litert.run_reference(rewritten, inputs)
    assert len(got) == len(expected) > 0
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype, name
        assert a.tobytes() == b.tobytes(), name
    return 1


@pytest.mark.parametrize(("name", "flavour"), every_op.EVERY_CASE)
def test_every_operation_survives_and_litert_accepts_its_version(name: str, flavour: str) -> None:
    graph = every_op.every(name, flavour)
    model = dumps(graph)
    again = loads(model)
    for op, written in zip(again.ops, graph.ops, strict=True):
        assert op.kind == written.kind
        assert dict(written.attrs).items() <= dict(op.attrs).items()
        assert op.version == required_version(written, graph.tensors)
    assert_same_graph(again, loads(dumps(again)))
    outputs = litert.run_reference(model, inputs_for(graph, rng()))
    for output, index in zip(outputs, graph.outputs, strict=True):
        assert output.shape == graph.tensors[index].shape
        assert output.dtype == graph.tensors[index].dtype


def test_bytes_are_deterministic() -> None:
    assert dumps(chain(rng(3))) == dumps(chain(rng(3)))


@pytest.mark.usefixtures("unverified")
def test_constants_are_aligned_shared_and_views() -> None:
    net, data = Net(), np.arange(16, dtype=np.int32)
    x = net.tensor((16,), "int32", name="x")
    a, b = net.tensor((16,), "int32", data=data), net.tensor((4, 4), "int32", data=data)
    y = net.tensor((16,), "int32", name="y")
    z = net.tensor((4, 4), "int32", name="z")
    net.op("add", [x, a], [y], fused_activation_function="NONE")
    net.op("add", [y, b], [z], fused_activation_function="NONE")
    model = dumps(net.graph([x], [y]))
    assert model.count(data.tobytes()) == 1
    assert model.index(data.tobytes()) % 16 == 0
    read = loads(model, integer_only=False).tensors[a].data
    assert read is not None
    assert not read.flags.owndata
    assert not read.flags.writeable


def full_graph() -> Graph:
    """A graph that uses every field of the types."""
    graph = conv_2d(rng(1), (1, 4, 4, 2), 3)
    image = graph.tensors[0].quantization
    assert image is not None
    quantization = replace(image, minimum=(-1.5,), maximum=(126.0,))
    tensors = (
        replace(graph.tensors[0], shape_signature=(-1, 4, 4, 2), quantization=quantization, name="Eingänge/π"),
        *graph.tensors[1:],
        Tensor("state", (2, 3), "int8", Quantization((0.25,), (0,)), is_variable=True),
        Tensor("empty", (0, 2), "int8", data=np.zeros((0, 2), np.int8)),
        Tensor("scalar", (), "int32", data=np.array(7, np.int32)),
        Tensor("flags", (3,), "bool", data=np.array([True, False, True])),
        Tensor("nibbles", (5,), "int4", Quantization((0.125,), (0,)), data=np.array([-8, 7, 0, -1, 3], np.int8)),
        Tensor("custom out", (1, 4, 4, 3), "int8", Quantization((0.5,), (0,))),
    )
    y = graph.outputs[0]
    custom = Op(
        "custom",
        (y, -1),
        (len(tensors) - 1,),
        {
            "custom_code": "MyOp",
            "custom_options": b"\x01\x00\xff",
            "intermediates": (0,),
            "mutating_variable_inputs": (True, False),
        },
        version=3,
    )
    return Graph(
        tensors=tensors,
        ops=(*graph.ops, custom),
        inputs=graph.inputs,
        outputs=(y, len(tensors) - 1),
        name="the graph",
        description="made by a test",
        metadata=MappingProxyType({"min_runtime_version": b"1.5.0", "empty": b""}),
        signatures=(Signature("serving_default", {"image": graph.inputs[0]}, {"scores": y}),),
    )


@pytest.mark.usefixtures("unverified")
def test_every_field_survives() -> None:
    once = loads(dumps(full_graph()), integer_only=False)
    conv_attrs = once.ops[0].attrs
    assert conv_attrs["quantized_bias_type"] == "FLOAT32"  # the schema's defaults are filled in
    expected = full_graph()
    expected = expected.replace(ops=(replace(expected.ops[0], attrs=conv_attrs, version=3), expected.ops[1]))
    assert_same_graph(expected, once)
    nibbles = next(t for t in once.tensors if t.name == "nibbles")
    assert nibbles.data is not None
    assert nibbles.data.tolist() == [-8, 7, 0, -1, 3]


def test_a_one_channel_filter_keeps_its_axis() -> None:
    graph = every_op.conv_2d(rng(), (1, 4, 4, 1), 1)
    weights = graph.tensors[1]
    assert weights.quantization is not None
    moved = replace(weights.quantization, axis=3)
    tensors = (graph.tensors[0], replace(weights, quantization=moved), *graph.tensors[2:])
    assert loads(dumps(graph.replace(tensors=tensors))).tensors[1].quantization == moved


def test_understated_versions_are_corrected_and_higher_ones_kept() -> None:
    graph = every_op.every("add", "int8")
    assert loads(dumps(graph)).ops[0].version == 2
    kept = graph.replace(ops=(replace(graph.ops[0], version=4),))
    assert loads(dumps(kept)).ops[0].version == 4


@pytest.mark.parametrize(
    ("name", "flavour", "version"),
    [
        ("conv_2d", "uint8", 1),
        ("conv_2d", "int8", 3),
        ("depthwise_conv_2d", "uint8", 1),
        ("depthwise_conv_2d", "int8", 3),
        ("depthwise_conv_2d_dilated", "uint8", 2),
        ("fully_connected", "uint8", 1),
        ("fully_connected", "int8", 4),
        ("add", "uint8", 1),
        ("add", "int8", 2),
        ("concatenation", "uint8", 1),
        ("concatenation", "int8", 2),
        ("mean", "uint8", 1),
        ("mean", "int8", 2),
        ("softmax", "uint8", 1),
        ("softmax", "int8", 2),
        ("resize_bilinear_half_pixel", "uint8", 3),
        ("split", "int8", 2),
        ("quantize_to_int8", "uint8", 1),
        ("reshape", "int8", 1),
    ],
)
def test_versions_are_the_lowest_that_runtimes_ask_for(name: str, flavour: str, version: int) -> None:
    assert loads(dumps(every_op.every(name, flavour))).ops[0].version == version


def test_both_operator_code_fields_are_written() -> None:
    published = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = published.Model.GetRootAs(dumps(every_op.every("gelu", "int8")), 0)
    assert model.OperatorCodes(0).DeprecatedBuiltinCode() == 127
    assert model.OperatorCodes(0).BuiltinCode() == 150
    model = published.Model.GetRootAs(dumps(every_op.every("add", "int8")), 0)
    assert model.OperatorCodes(0).DeprecatedBuiltinCode() == model.OperatorCodes(0).BuiltinCode() == 0
    assert model.Version() == 3
    assert model.Buffers(0).DataIsNone()


def test_files_from_before_the_wide_operator_code_are_read() -> None:
    model = sound_model()
    model["operator_codes"] = [{"deprecated_builtin_code": BUILTINS.index("MUL"), "version": 2}]
    model["subgraphs"][0]["operators"][0]["builtin_options_type"] = OPTIONS.index("MulOptions")
    assert loads(encoded(model)).ops[0].kind == "mul"


def test_an_operator_without_options_gets_the_defaults() -> None:
    model = sound_model()
    model["subgraphs"][0]["operators"][0].pop("builtin_options")
    model["subgraphs"][0]["operators"][0].pop("builtin_options_type")
    graph = loads(encoded(model))
    assert dict(graph.ops[0].attrs) == {"fused_activation_function": "NONE", "pot_scale_int16": True}


def test_a_bias_with_the_axis_of_its_filter_is_repaired() -> None:
    """Some converters copy the filter's quantized_dimension 3 to the one-dimensional bias; LiteRT refuses that."""
    graph = every_op.every("depthwise_conv_2d", "int8")
    bias = next(i for i, t in enumerate(graph.tensors) if t.name == "bias")
    model = Decoder(dumps(graph)).decode("Model")
    model["subgraphs"][0]["tensors"][bias]["quantization"]["quantized_dimension"] = 3
    broken = encoded(model)
    assert litert_refuses(broken)
    read = loads(broken).tensors[bias].quantization
    assert read is not None
    assert read.axis == 0
    assert dumps(loads(broken)) == dumps(loads(dumps(graph)))


def litert_refuses(model: bytes) -> bool:
    try:
        litert.run_isolated(model)
    except litert.Refused:
        return True
    return False


@pytest.mark.parametrize("value", [0.1, 1e300, "x"])
def test_a_number_that_the_file_would_round_is_refused(value: object) -> None:
    graph = every_op.every("leaky_relu", "int8")
    op = replace(graph.ops[0], attrs={"alpha": value})
    with pytest.raises(GraphError, match="alpha"):
        dumps(graph.replace(ops=(op,)))
    scaled = replace(graph.tensors[0], quantization=Quantization((0.1,), (0,)))
    with pytest.raises(GraphError, match="scale"):
        dumps(graph.replace(tensors=(scaled, *graph.tensors[1:])))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "conv_9d"}, "conv_9d"),
        ({"attrs": {"stride": 3}}, "stride"),
        ({"attrs": {"padding": "FULL"}}, "FULL"),
        ({"attrs": {"stride_h": "two"}}, "stride_h"),
        ({"attrs": {"stride_h": 2**40}}, "stride_h"),
        ({"attrs": {"stride_h": [1, 2]}}, "stride_h"),
        ({"kind": "custom"}, "custom"),
        ({"kind": "CONV_2D"}, "CONV_2D"),
    ],
)
@pytest.mark.usefixtures("unverified")
def test_what_the_format_cannot_say_is_refused_by_name(change: dict[str, object], words: str) -> None:
    graph = conv_2d(rng(), (1, 4, 4, 2), 3)
    attrs = dict(graph.ops[0].attrs) | dict(change.get("attrs", {}))  # type: ignore[call-overload]
    op = replace(graph.ops[0], **(change | {"attrs": attrs}))
    with pytest.raises(GraphError, match=words):
        dumps(graph.replace(ops=(op,)))


def test_saving_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.tflite"
    graph = conv_2d(rng(), (1, 4, 4, 2), 3)
    save(graph, path)
    before = path.read_bytes()
    assert before == dumps(graph)
    path.chmod(0o640)

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save(chain(rng()), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.tflite"]
    monkeypatch.undo()
    save(chain(rng()), str(path))
    assert path.read_bytes() == dumps(chain(rng()))
    assert path.stat().st_mode & 0o777 == 0o640
    link = tmp_path / "link.tflite"
    link.symlink_to(path)
    save(graph, link)
    assert link.is_symlink()
    assert path.read_bytes() == before


def test_paths_that_hold_no_file_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.tflite", tmp_path, Path("/dev/null"), Path("a\0b")):
        with pytest.raises(FormatError) as caught:
            load(path)
        assert str(path) in str(caught.value)
    assert_same_graph(load(dumps(chain(rng()))), loads(bytearray(dumps(chain(rng())))))
