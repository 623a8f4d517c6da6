"""``TFLite_Detection_PostProcess`` gives LiteRT's boxes, classes and scores: every float, with ==."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers

import litert
import zeropoint as zp
from builders_net import Net, codes
from zeropoint.engine.detection import largest
from zeropoint.formats import dumps
from zeropoint.graph import Graph, infer_missing_shapes
from zeropoint.graph.detection import detection_options

Rng = np.random.Generator
OPTIONS: dict[str, Any] = {
    **{"max_detections": 10, "max_classes_per_detection": 1, "num_classes": 6},
    **{"nms_score_threshold": 0.3, "nms_iou_threshold": 0.5},
    **{"y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0},
}


def detector(
    rng: Rng, anchors: int = 60, *, background: bool = True, columns: int = 4, levels: int = 256, **changes: Any
) -> Graph:
    """Boxes and scores -> the custom operation. ``levels``: different scores, few for many ties."""
    net, options = Net(), {**OPTIONS, **changes}
    classes = int(options["num_classes"]) + int(background)
    boxes = net.tensor((1, anchors, columns), "uint8", (0.07, 130), name="boxes")
    raw = net.tensor((1, anchors, classes), "uint8", (256 / levels, 0), name="raw")
    scores = net.tensor((1, anchors, classes), "uint8", (1 / levels, 0), name="scores")
    net.op("quantize", [raw], [scores])
    places = codes(rng, (anchors, 4), "uint8")
    places[:, 2:] = places[:, 2:] % 120 + 20
    at = net.tensor((anchors, 4), "uint8", (0.004, 5), places, "anchors")
    rows = options["max_detections"] * options["max_classes_per_detection"]
    shapes = ((1, rows, 4), (1, rows), (1, rows), (1,))
    ys = [net.tensor(s, "float32", name=f"y{i}") for i, s in enumerate(shapes)]
    attrs = {"custom_code": "TFLite_Detection_PostProcess", "custom_options": bytes(flexbuffers.Dumps(options))}
    net.op("custom", [boxes, scores, at], ys, **attrs)
    return net.graph([boxes, raw], ys)


def inputs(graph: Graph, rng: Rng) -> list[np.ndarray]:
    drawn = [codes(rng, graph.tensors[t].shape, "uint8") for t in graph.inputs]
    drawn[0][..., 2:4] = drawn[0][..., 2:4] // 3 + 90  # sizes near the anchors': boxes that overlap
    return drawn


def check(graph: Graph, rng: Rng) -> int:
    """Equality in every row that holds a detection, and 0 in the others; the number of detections."""
    x = inputs(graph, rng)
    wanted = litert.run_reference(dumps(graph), x)
    found = zp.Session(graph).run(x)
    assert np.array_equal(found[3], wanted[3])
    options, count = detection_options(graph.ops[-1]), int(wanted[3][0])
    per = options.max_classes_per_detection
    used = np.zeros(options.rows, bool)
    for column in range(1 if options.regular else min(per, options.num_classes)):
        used[column : count * per if not options.regular else count : 1 if options.regular else per] = True
    for ours, theirs in zip(found[:3], wanted[:3], strict=True):
        assert (ours.dtype, ours.shape) == (np.float32, theirs.shape)
        assert np.array_equal(ours[:, used], theirs[:, used])
        assert not ours[:, ~used].any()
    return count


CASES: dict[str, dict[str, Any]] = {
    "fast": {},
    "fast_without_background": {"background": False},
    "fast_many": {"max_detections": 40, "nms_iou_threshold": 0.9},
    "fast_everything_passes": {"nms_score_threshold": 1e-8, "nms_iou_threshold": 1.0},
    "fast_nothing_passes": {"nms_score_threshold": 1.5},
    "fast_ties": {"levels": 8, "nms_score_threshold": 0.0},
    "fast_more_numbers_a_box": {"columns": 7},
    "fast_three_classes": {"max_classes_per_detection": 3, "levels": 16},
    "fast_all_classes": {"max_classes_per_detection": 6, "levels": 4},
    "fast_more_classes_than_there_are": {"max_classes_per_detection": 9, "levels": 4},
    "fast_many_classes": {"max_classes_per_detection": 10, "num_classes": 40, "levels": 4},
    "regular": {"use_regular_nms": True},
    "regular_ties": {"use_regular_nms": True, "levels": 8, "nms_score_threshold": 0.0},
    "regular_few_a_class": {"use_regular_nms": True, "detections_per_class": 2, "levels": 16},
    "regular_many": {"use_regular_nms": True, "max_detections": 100, "nms_iou_threshold": 0.2},
    "regular_nothing_passes": {"use_regular_nms": True, "nms_score_threshold": 1.5},
    "other_scales": {"y_scale": 3.0, "x_scale": 7.5, "h_scale": 2.5, "w_scale": 1.25},
}


@pytest.mark.parametrize("case", CASES)
def test_detections_equal_litert(case: str) -> None:
    total = 0
    for seed in range(8):
        rng = np.random.default_rng([seed, *case.encode()])
        try:
            total += check(detector(rng, int(rng.integers(1, 150)), **CASES[case]), rng)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert (total == 0) == ("nothing" in case)


def test_dequantized_boxes_and_scores_are_taken_too() -> None:
    """Networks of int8 dequantize their boxes and scores first; the anchors are real then."""
    rng = np.random.default_rng(5)
    quantized = detector(rng)
    net = Net()
    anchors = ((quantized.tensors[3].data.astype(np.float32) - 5) * np.float32(0.004)).astype(np.float32)
    boxes = net.tensor((1, 60, 4), "int8", (0.07, 2), name="boxes")
    scores = net.tensor((1, 60, 7), "int8", (1 / 256, -128), name="scores")
    reals = [net.tensor((1, 60, n), "float32", name=f"real{n}") for n in (4, 7)]
    for codes_of, real in zip((boxes, scores), reals, strict=True):
        net.op("dequantize", [codes_of], [real])
    at = net.tensor((60, 4), "float32", data=anchors, name="anchors")
    ys = [net.tensor(quantized.tensors[t].shape, "float32", name=f"y{t}") for t in quantized.outputs]
    net.op("custom", [*reals, at], ys, **quantized.ops[-1].attrs)
    graph = net.graph([boxes, scores], ys)
    x = [(v ^ 128).view(np.int8) for v in inputs(quantized, rng)]
    wanted, found = litert.run_reference(dumps(graph), x), zp.Session(graph).run(x)
    count = int(wanted[3][0])
    assert count > 3
    for ours, theirs in zip(found[:3], wanted[:3], strict=True):
        assert np.array_equal(ours[:, :count], theirs[:, :count])
    assert len(zp.Session(zp.loads(dumps(graph))).intermediates(x)) == 8


def test_results_without_a_shape_get_one() -> None:
    graph = detector(np.random.default_rng(0))
    bare = tuple(replace(t, shape=()) if i in graph.outputs else t for i, t in enumerate(graph.tensors))
    shapes = [(1, 10, 4), (1, 10), (1, 10), (1,)]
    assert [infer_missing_shapes(graph.replace(tensors=bare)).tensors[t].shape for t in graph.outputs] == shapes
    assert infer_missing_shapes(graph) is graph
    it = zp.Interpreter(model_content=dumps(graph))
    it.allocate_tensors()
    assert [tuple(d["shape"].tolist()) for d in it.get_output_details()] == shapes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_detections": 0}, "max_detections = 0"),
        ({"nms_iou_threshold": 0.0}, "nms_iou_threshold = 0.0"),
        ({"num_classes": 4}, "7 scores an anchor for 4 classes"),
        ({"y_scale": 0.0}, "box scales"),
        ({"max_detections": -5}, "max_detections = -5"),
    ],
)
def test_options_out_of_bounds_are_refused(changes: dict[str, Any], words: str) -> None:
    graph = detector(np.random.default_rng(0))
    options = bytes(flexbuffers.Dumps({**OPTIONS, **changes}))
    op = graph.ops[-1]
    spoiled = zp.Op(op.kind, op.inputs, op.outputs, {**op.attrs, "custom_options": options})
    with pytest.raises(zp.GraphError, match=words):
        zp.Session(graph.replace(ops=(*graph.ops[:-1], spoiled)))


def test_damaged_options_are_refused() -> None:
    graph = detector(np.random.default_rng(0))
    op = graph.ops[-1]
    good = bytearray(op.attrs["custom_options"])  # type: ignore[arg-type]
    rng, refused = np.random.default_rng(1), 0
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(int(rng.integers(1, 4))):
            bad[int(rng.integers(len(bad)))] = int(rng.integers(256))
        bad = bad[: int(rng.integers(len(bad) + 1))] if rng.integers(4) == 0 else bad
        spoiled = zp.Op(op.kind, op.inputs, op.outputs, {**op.attrs, "custom_options": bytes(bad)})
        try:
            zp.Session(graph.replace(ops=(*graph.ops[:-1], spoiled)))
        except zp.ZeropointError:
            refused += 1
    assert refused > 100


def test_int8_codes_are_refused_as_litert_refuses_them() -> None:
    net = Net()
    boxes, scores = net.tensor((1, 9, 4), "int8", (0.1, 0)), net.tensor((1, 9, 7), "int8", (0.1, 0))
    at = net.tensor((9, 4), "int8", (0.1, 0), np.ones((9, 4)))
    ys = [net.tensor(s, "float32") for s in ((1, 10, 4), (1, 10), (1, 10), (1,))]
    options = bytes(flexbuffers.Dumps(OPTIONS))
    net.op("custom", [boxes, scores, at], ys, custom_code="TFLite_Detection_PostProcess", custom_options=options)
    with pytest.raises(zp.UnsupportedError, match="it takes uint8 codes or float32"):
        zp.Session(net.graph([boxes, scores], ys))


def test_boxes_that_are_turned_inside_out_are_refused() -> None:
    graph = detector(np.random.default_rng(0))
    anchors = np.zeros((60, 4), np.uint8)  # sizes below the zero point
    tensors = [
        t if t.name != "anchors" else zp.Tensor(t.name, t.shape, t.dtype, t.quantization, anchors)
        for t in graph.tensors
    ]
    graph = graph.replace(tensors=tuple(tensors))
    x = inputs(graph, np.random.default_rng(1))
    with pytest.raises(litert.Refused):
        litert.run_reference(dumps(graph), x)
    with pytest.raises(zp.InputError, match="look at the anchors"):
        zp.Session(graph).run(x)


def test_the_largest_without_ties_are_the_sorted_ones() -> None:
    rng = np.random.default_rng(2)
    for n in range(2, 40):
        values = rng.permutation(n).astype(float)
        for count in range(2, n + 1):
            assert largest(values.tolist(), count) == np.argsort(-values)[:count].tolist()
