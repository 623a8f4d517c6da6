"""``TFLite_Detection_PostProcess``: boxes decoded from anchors, then pruned where they overlap.

It stands at a network's end and works on real numbers, so it runs at the float edge, in NumPy. Every number equals
LiteRT's: scores and encodings are dequantized in float32; centres and half sizes are computed in float64, the
exponential too, and rounded once to float32; corners and overlaps are float32 throughout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zeropoint.errors import InputError
from zeropoint.graph.detection import CUSTOM_CODE, DetectionOptions

_LARGEST_EXPONENT = 709.782712893384  # of a double

Results = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def detect(encodings: np.ndarray, scores: np.ndarray, anchors: np.ndarray, options: DetectionOptions) -> Results:
    """The detections of one image.

    Args:
        encodings: float32 ``[1, anchors, 4 or more]``, ``(y, x, h, w)`` first.
        scores: float32 ``[1, anchors, classes]``, with or without a background class at index 0.
        anchors: float32 ``[anchors, 4]``, centre ``(y, x)`` and size ``(h, w)``.

    Returns:
        boxes ``[1, rows, 4]`` as ``(ymin, xmin, ymax, xmax)``, classes and scores ``[1, rows]`` (background not
        counted), and the number of detections ``[1]``, all float32, by falling score. Rows without a detection are 0
        (LiteRT leaves what lay in memory, but for regular suppression). With several classes a detection, the rows of
        one follow each other.

    Raises ``InputError`` where a decoded box has a corner on the wrong side: an anchor of negative size.
    """
    boxes = decode(encodings[0], anchors, options.scales)
    if (boxes[:, :2] > boxes[:, 2:]).any():
        raise InputError(f"{CUSTOM_CODE}: a decoded box has its lower corner above its upper one; look at the anchors")
    of_classes = scores[0, :, scores.shape[2] - options.num_classes :]
    return _regular(boxes, of_classes, options) if options.regular else _fast(boxes, of_classes, options)


def decode(encodings: np.ndarray, anchors: np.ndarray, scales: Sequence[float]) -> np.ndarray:
    """Corners ``(ymin, xmin, ymax, xmax)`` of boxes encoded relative to anchors; float32 ``[anchors, 4]``."""
    y, x, h, w = (encodings[:, i].astype(np.float64) / float(np.float32(s)) for i, s in enumerate(scales))
    at_y, at_x, size_h, size_w = (anchors[:, i].astype(np.float64) for i in range(4))
    with np.errstate(all="ignore"):
        centre_y, centre_x = (y * size_h + at_y).astype(np.float32), (x * size_w + at_x).astype(np.float32)
        half_h, half_w = (0.5 * _exp(h) * size_h).astype(np.float32), (0.5 * _exp(w) * size_w).astype(np.float32)
        return np.stack([centre_y - half_h, centre_x - half_w, centre_y + half_h, centre_x + half_w], axis=1)


def _exp(x: np.ndarray) -> np.ndarray:
    """The C library's double precision exponential; NumPy's own differs from it in the last bit on some machines.

    Encodings are 8-bit codes, so few different numbers are worth computing.
    """
    values, places = np.unique(x, return_inverse=True)
    found = [math.inf if v > _LARGEST_EXPONENT else math.exp(v) for v in values.tolist()]
    return np.asarray(np.array(found)[places.reshape(x.shape)])


def suppress(boxes: np.ndarray, scores: np.ndarray, most: int, options: DetectionOptions) -> list[int]:
    """Indices of the boxes that stay, by falling score, equal ones in order: at most ``most``.

    A box goes where its intersection with a better one that stays is more than ``iou_threshold`` of their union; boxes
    without area have no intersection.
    """
    candidates = np.flatnonzero(scores >= np.float32(options.score_threshold))
    candidates = candidates[np.argsort(-scores[candidates], kind="stable")]
    low_y, low_x, high_y, high_x = np.ascontiguousarray(boxes[candidates].T)
    limit, nothing = np.float32(options.iou_threshold), np.float32(0)
    alive, kept = np.ones(candidates.size, bool), list[int]()
    with np.errstate(all="ignore"):
        area = (high_y - low_y) * (high_x - low_x)
        for i in range(candidates.size):
            if not alive[i]:
                continue
            kept.append(int(candidates[i]))
            if len(kept) == most:
                break
            if not area[i] > 0:
                continue
            rest = slice(i + 1, None)
            height = np.minimum(high_y[rest], high_y[i]) - np.maximum(low_y[rest], low_y[i])
            width = np.minimum(high_x[rest], high_x[i]) - np.maximum(low_x[rest], low_x[i])
            common = np.maximum(height, nothing) * np.maximum(width, nothing)
            overlap = common / (area[i] + area[rest] - common)
            alive[rest] &= ~((overlap > limit) & (area[rest] > 0))
    return kept


def _fast(boxes: np.ndarray, scores: np.ndarray, options: DetectionOptions) -> Results:
    """One suppression over the best class of each anchor."""
    named = min(options.max_classes_per_detection, options.num_classes)
    kept = suppress(boxes, scores.max(axis=1), options.max_detections, options)
    rows = _Rows(options.rows)
    for place, anchor in enumerate(kept):
        best = [int(scores[anchor].argmax())] if named == 1 else largest(scores[anchor].tolist(), named)
        for column, of_class in enumerate(best):
            at = place * options.max_classes_per_detection + column
            rows.put(at, boxes[anchor], of_class, scores[anchor, of_class])
    return rows.results(len(kept))


def _regular(boxes: np.ndarray, scores: np.ndarray, options: DetectionOptions) -> Results:
    """A suppression for every class, then the best of all; of equal ones the lower class first."""
    most = min(options.detections_per_class, options.max_detections)
    found: list[tuple[int, int]] = []
    for of_class in range(options.num_classes):
        found += [(anchor, of_class) for anchor in suppress(boxes, scores[:, of_class], most, options)]
        found = sorted(found, key=lambda pair: -scores[pair])[: options.max_detections]
    rows = _Rows(options.rows)
    for at, (anchor, of_class) in enumerate(found):
        rows.put(at, boxes[anchor], of_class, scores[anchor, of_class])
    return rows.results(len(found))


class _Rows:
    """The four results, 0 where nothing is put."""

    def __init__(self, rows: int) -> None:
        self._boxes = np.zeros((1, rows, 4), np.float32)
        self._classes = np.zeros((1, rows), np.float32)
        self._scores = np.zeros((1, rows), np.float32)

    def put(self, at: int, box: np.ndarray, of_class: int, score: np.float32) -> None:
        self._boxes[0, at], self._classes[0, at], self._scores[0, at] = box, of_class, score

    def results(self, count: int) -> Results:
        return self._boxes, self._classes, self._scores, np.array([count], np.float32)


def largest(values: Sequence[float], count: int) -> list[int]:
    """Indices of the ``count`` largest values, falling, with equal ones in the order that LiteRT's library leaves them.

    That is a heap of the ``count`` best so far, then sorted by taking its root away again and again: not a stable
    order, but a fixed one, and part of what the file means.
    """
    order = list(range(len(values)))

    def worse(a: int, b: int) -> bool:  # whether a belongs before b
        return values[a] > values[b]

    def sink(root: int, size: int, new: int) -> None:
        """Place ``new`` in a heap of ``size`` whose root (the worst) is free: the hole goes down, then ``new`` up."""
        hole = root
        while (child := 2 * hole + 1) < size:
            if child + 1 < size and not worse(order[child + 1], order[child]):
                child += 1
            order[hole], hole = order[child], child
        while hole > root and worse(order[(hole - 1) // 2], new):
            order[hole], hole = order[(hole - 1) // 2], (hole - 1) // 2
        order[hole] = new

    for root in range(count // 2 - 1, -1, -1):
        sink(root, count, order[root])
    for i in range(count, len(order)):
        if worse(order[i], order[0]):
            new, order[i] = order[i], order[0]
            sink(0, count, new)
    for size in range(count - 1, 0, -1):
        new, order[size] = order[size], order[0]
        sink(0, size, new)
    return order[:count]


__all__ = ["decode", "detect", "largest", "suppress"]
