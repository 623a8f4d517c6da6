"""The options of ``TFLite_Detection_PostProcess``, the custom operation at the end of SSD detectors, and its shapes.

A custom operation carries its options as a FlexBuffer map. Files leave the shapes of its four results out
(``retype.infer_missing_shapes`` fills them in).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from zeropoint.errors import GraphError
from zeropoint.graph.types import Op

CUSTOM_CODE = "TFLite_Detection_PostProcess"
# What a file that says nothing means by it, for regular suppression.
DETECTIONS_PER_CLASS = 100


class DetectionOptions(NamedTuple):
    """How boxes are decoded and pruned.

    ``regular``: suppression class by class (``detections_per_class`` at most of each), else once over the best class of
    each anchor with ``max_classes_per_detection`` classes named for each survivor. ``scales`` divide the encoded
    ``(y, x, h, w)``. ``score_threshold`` is inclusive, ``iou_threshold`` the largest overlap that is kept.
    """

    max_detections: int
    max_classes_per_detection: int
    detections_per_class: int
    regular: bool
    score_threshold: float
    iou_threshold: float
    num_classes: int
    scales: tuple[float, float, float, float]

    @property
    def rows(self) -> int:
        """Rows of the results."""
        return self.max_detections * self.max_classes_per_detection


def is_detection(op: Op) -> bool:
    """Whether ``op`` is the custom operation that this page is about."""
    return op.kind == "custom" and op.attrs.get("custom_code") == CUSTOM_CODE


def detection_options(op: Op) -> DetectionOptions:
    """The options of ``op``. Raises ``GraphError`` for bytes that are no such map, or numbers out of bounds."""
    raw = op.attrs.get("custom_options", b"")
    return _parsed(raw if isinstance(raw, bytes) else b"")


@functools.lru_cache(maxsize=64)  # a detector asks for them at every run
def _parsed(raw: bytes) -> DetectionOptions:
    from flatbuffers import flexbuffers  # rarely needed, and slow to import

    try:
        fields = flexbuffers.GetRoot(bytearray(raw)).AsMap
        found = DetectionOptions(
            max_detections=_integer(fields, "max_detections"),
            max_classes_per_detection=_integer(fields, "max_classes_per_detection"),
            detections_per_class=_integer(fields, "detections_per_class", DETECTIONS_PER_CLASS),
            regular=bool(_integer(fields, "use_regular_nms", 0)),
            score_threshold=_real(fields, "nms_score_threshold"),
            iou_threshold=_real(fields, "nms_iou_threshold"),
            num_classes=_integer(fields, "num_classes"),
            scales=tuple(_real(fields, f"{c}_scale") for c in "yxhw"),  # type: ignore[arg-type]
        )
    except Exception as error:  # bytes of a hostile file: whatever the reader of FlexBuffers stumbles over
        raise GraphError(f"the options of {CUSTOM_CODE} are damaged: {type(error).__name__}") from None
    limits = (
        ("max_detections", found.max_detections, 1, 2**20),
        ("max_classes_per_detection", found.max_classes_per_detection, 1, 2**16),
        ("detections_per_class", found.detections_per_class, 1, 2**31 - 1),
        ("num_classes", found.num_classes, 1, 2**31 - 1),
    )
    for name, value, low, high in limits:
        if not low <= value <= high:
            raise GraphError(f"{CUSTOM_CODE} has {name} = {value}; it must lie in [{low}, {high}]")
    if not 0 < found.iou_threshold <= 1:
        raise GraphError(f"{CUSTOM_CODE} has nms_iou_threshold = {found.iou_threshold}; it must lie in (0, 1]")
    if not all(math.isfinite(s) and s != 0 for s in found.scales) or math.isnan(found.score_threshold):
        raise GraphError(f"{CUSTOM_CODE} has box scales {found.scales}; they must be finite and not 0")
    return found


def _integer(fields: Any, name: str, default: int | None = None) -> int:
    try:
        value = fields[name]
    except KeyError:
        if default is None:
            raise
        return default
    return default if value.IsNull and default is not None else int(value.AsInt)


def _real(fields: Any, name: str) -> float:
    return float(fields[name].AsFloat)


def detection_shapes(op: Op, shapes: Mapping[int, tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Shapes of boxes, classes, scores and their number. ``shapes``: those of the inputs, by position.

    Raises ``GraphError`` for operands that do not belong together, or for more than one image.
    """
    options = detection_options(op)
    boxes, scores, anchors = (shapes[i] for i in range(3))
    if len(boxes) != 3 or len(scores) != 3 or len(anchors) != 2:
        raise GraphError(f"{CUSTOM_CODE} of boxes {list(boxes)}, scores {list(scores)}, anchors {list(anchors)}")
    if boxes[0] != 1 or scores[0] != 1:
        raise GraphError(f"{CUSTOM_CODE} takes one image, not {max(boxes[0], scores[0])}: feed one sample at a time")
    if boxes[2] < 4 or anchors != (boxes[1], 4) or scores[1] != boxes[1]:
        raise GraphError(
            f"{CUSTOM_CODE}: {boxes[1]} boxes of {boxes[2]} numbers do not go with scores {list(scores)} and anchors "
            f"{list(anchors)}"
        )
    if scores[2] - options.num_classes not in (0, 1):
        raise GraphError(
            f"{CUSTOM_CODE}: {scores[2]} scores an anchor for {options.num_classes} classes (and a background)"
        )
    return [(1, options.rows, 4), (1, options.rows), (1, options.rows), (1,)]
