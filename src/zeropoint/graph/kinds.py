"""What is known of every operation kind before looking at shapes: its arity and its class of quantization rule.

One line a kind. The kinds are TFLite's builtins that quantized convolutional networks use.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Rule(Enum):
    """How an operation treats the codes of its tensors, and so what their ``(S, Z)`` must satisfy."""

    WEIGHTS = "multiplies by weights: int32 bias at S_x S_w"
    RESCALES = "rescales its inputs to its output: any per-tensor (S, Z)"
    MOVES = "moves or compares codes: the inputs' (S, Z) are the output's"
    FIXED = "has an output (S, Z) of its own"
    REAL_EDGE = "stands between real numbers and codes"
    READS = "reads codes, answers with plain integers or booleans"
    PLAIN = "works on plain integers, shapes and indices"
    FREE = "states its own rules"


class Kind(NamedTuple):
    """Arity bounds (inclusive; ``None`` is unbounded), the rule, and which inputs are values (the rest are indices,
    sizes and axes, which carry no ``(S, Z)``); ``values=None`` means all. A variable that an operation reads is its
    memory: it writes the next state there."""

    inputs: tuple[int, int | None]
    outputs: tuple[int, int | None]
    rule: Rule
    values: tuple[int, ...] | None = None
    optional: tuple[int, ...] = ()  # inputs that may be absent (-1) besides those after the lower bound


def _one(rule: Rule) -> Kind:
    return Kind((1, 1), (1, 1), rule)


def _two(rule: Rule) -> Kind:
    return Kind((2, 2), (1, 1), rule)


def _indexed(rule: Rule, count: int = 2, at_least: int | None = None) -> Kind:
    """Input 0 is the value; the others say where."""
    return Kind((count if at_least is None else at_least, count), (1, 1), rule, (0,))


KINDS: dict[str, Kind] = {
    "conv_2d": Kind((2, 3), (1, 1), Rule.WEIGHTS, (0,)),
    "depthwise_conv_2d": Kind((2, 3), (1, 1), Rule.WEIGHTS, (0,)),
    "fully_connected": Kind((2, 3), (1, 1), Rule.WEIGHTS, (0,)),
    "transpose_conv": Kind((3, 4), (1, 1), Rule.WEIGHTS, (2,)),
    "batch_matmul": _two(Rule.RESCALES),
    "add": _two(Rule.RESCALES),
    "sub": _two(Rule.RESCALES),
    "mul": _two(Rule.RESCALES),
    "div": _two(Rule.RESCALES),
    "squared_difference": _two(Rule.RESCALES),
    "prelu": _two(Rule.RESCALES),
    "relu": _one(Rule.RESCALES),
    "relu6": _one(Rule.RESCALES),
    "relu_n1_to_1": _one(Rule.RESCALES),
    "relu_0_to_1": _one(Rule.RESCALES),
    "leaky_relu": _one(Rule.RESCALES),
    "hard_swish": _one(Rule.RESCALES),
    "tanh": _one(Rule.RESCALES),
    "elu": _one(Rule.RESCALES),
    "gelu": _one(Rule.RESCALES),
    "abs": _one(Rule.RESCALES),
    "neg": _one(Rule.RESCALES),
    "exp": _one(Rule.RESCALES),
    "log": _one(Rule.RESCALES),
    "sqrt": _one(Rule.RESCALES),
    "rsqrt": _one(Rule.RESCALES),
    "square": _one(Rule.RESCALES),
    "mean": _indexed(Rule.RESCALES),
    "sum": _indexed(Rule.RESCALES),
    "reduce_max": _indexed(Rule.MOVES),
    "reduce_min": _indexed(Rule.MOVES),
    "logistic": _one(Rule.FIXED),
    "softmax": _one(Rule.FIXED),
    "log_softmax": _one(Rule.FIXED),
    "l2_normalization": _one(Rule.FIXED),
    "average_pool_2d": _one(Rule.MOVES),
    "max_pool_2d": _one(Rule.MOVES),
    "maximum": _two(Rule.MOVES),
    "minimum": _two(Rule.MOVES),
    "concatenation": Kind((1, None), (1, 1), Rule.FREE),
    "pack": Kind((1, None), (1, 1), Rule.MOVES),
    "unpack": Kind((1, 1), (1, None), Rule.MOVES),
    "split": Kind((2, 2), (1, None), Rule.MOVES, (1,)),
    "split_v": Kind((3, 3), (1, None), Rule.MOVES, (0,)),
    "reshape": _indexed(Rule.MOVES, 2, at_least=1),
    "squeeze": _one(Rule.MOVES),
    "expand_dims": _indexed(Rule.MOVES),
    "transpose": _indexed(Rule.MOVES),
    "slice": _indexed(Rule.MOVES, 3),
    "strided_slice": _indexed(Rule.MOVES, 4),
    "gather": _indexed(Rule.MOVES),
    "gather_nd": _indexed(Rule.MOVES),
    "tile": _indexed(Rule.MOVES),
    "broadcast_to": _indexed(Rule.MOVES),
    "reverse_v2": _indexed(Rule.MOVES),
    "pad": _indexed(Rule.MOVES),
    "padv2": Kind((3, 3), (1, 1), Rule.MOVES, (0, 2)),
    "mirror_pad": _indexed(Rule.MOVES),
    "resize_bilinear": _indexed(Rule.MOVES),
    "resize_nearest_neighbor": _indexed(Rule.MOVES),
    "space_to_depth": _one(Rule.MOVES),
    "depth_to_space": _one(Rule.MOVES),
    "space_to_batch_nd": _indexed(Rule.MOVES, 3),
    "batch_to_space_nd": _indexed(Rule.MOVES, 3),
    "select": Kind((3, 3), (1, 1), Rule.MOVES, (1, 2)),
    "select_v2": Kind((3, 3), (1, 1), Rule.MOVES, (1, 2)),
    "topk_v2": Kind((2, 2), (2, 2), Rule.FREE, (0,)),
    "svdf": Kind((5, 5), (1, 1), Rule.FREE, (0,), (3,)),
    "lstm": Kind((5, 24), (1, 4), Rule.FREE, (0,), (1, 5, *range(9, 13), 16, 17, *range(20, 24))),
    "unidirectional_sequence_lstm": Kind((20, 24), (1, 1), Rule.FREE, (0,), (1, 5, *range(9, 13), 16, 17)),
    "quantize": _one(Rule.REAL_EDGE),
    "dequantize": _one(Rule.REAL_EDGE),
    "arg_max": _indexed(Rule.READS),
    "arg_min": _indexed(Rule.READS),
    "equal": _two(Rule.READS),
    "not_equal": _two(Rule.READS),
    "less": _two(Rule.READS),
    "less_equal": _two(Rule.READS),
    "greater": _two(Rule.READS),
    "greater_equal": _two(Rule.READS),
    "shape": _one(Rule.PLAIN),
    "rank": _one(Rule.PLAIN),
    "cast": _one(Rule.PLAIN),
    "fill": _two(Rule.PLAIN),
    "zeros_like": _one(Rule.PLAIN),
    "logical_and": _two(Rule.PLAIN),
    "logical_or": _two(Rule.PLAIN),
    "logical_not": _one(Rule.PLAIN),
    "floor_div": _two(Rule.PLAIN),
    "floor_mod": _two(Rule.PLAIN),
    "cumsum": _indexed(Rule.PLAIN),
    "custom": Kind((0, None), (0, None), Rule.FREE),
}
