"""One or more small graphs of every operation the engine knows, in both flavours, for sweeps over all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from builders import (
    FLAVOURS,
    add,
    arg,
    batch_matmul,
    binary,
    chain,
    concatenation,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    mean,
    moving,
    mul,
    pack,
    pad,
    padv2,
    pool_2d,
    prelu,
    quantize,
    reduce,
    reshape,
    resize,
    slice_,
    softmax,
    split,
    split_v,
    squeeze,
    strided_slice,
    sub,
    transpose,
    transpose_conv,
    unary,
    unpack,
)
from builders_integers import cast, choose, compare, gather_nd, looked_up, plain, prelu_of_two, top_k
from builders_recurrent import lstm, svdf
from builders_weights import with_four_bits
from zeropoint.graph import Graph

Rng = np.random.Generator
S = (1, 6, 5, 8)
Make = Callable[[Rng, str], Graph]

# Both flavours, unless named in INT8_ONLY.
EVERY_OP: dict[str, Make] = {
    "conv_2d": lambda r, f: conv_2d(r, (1, 7, 6, 5), 9, 3, (1, 2), "SAME", 1, f, "RELU6"),
    "conv_2d_valid_dilated": lambda r, f: conv_2d(r, (2, 9, 9, 4), 6, (3, 2), 1, "VALID", 2, f),
    "conv_2d_one": lambda r, f: conv_2d(r, (1, 5, 5, 3), 1, 1, flavour=f),
    "depthwise_conv_2d": lambda r, f: depthwise_conv_2d(r, (1, 7, 6, 5), 1, 3, 2, "SAME", 1, f, "RELU"),
    "depthwise_conv_2d_multiplied": lambda r, f: depthwise_conv_2d(r, (1, 7, 6, 3), 2, 3, 1, "VALID", 1, f),
    "depthwise_conv_2d_dilated": lambda r, f: depthwise_conv_2d(r, (1, 9, 9, 4), 1, 3, 1, "SAME", 2, f),
    "transpose_conv": lambda r, f: transpose_conv(r, (1, 4, 5, 3), 6, 3, 2, "SAME", f),
    "transpose_conv_valid": lambda r, f: transpose_conv(r, (1, 4, 5, 3), 6, 3, 1, "VALID", f, bias=False),
    "fully_connected": lambda r, f: fully_connected(r, 3, 17, 11, f, "RELU"),
    "fully_connected_four_bits": lambda r, f: with_four_bits(fully_connected(r, 2, 17, 11, f), r),
    "conv_2d_four_bits": lambda r, f: with_four_bits(conv_2d(r, (1, 5, 5, 3), 7, 3, flavour=f), r),
    "fully_connected_no_bias": lambda r, f: fully_connected(r, 1, 16, 4, f, bias=False),
    "batch_matmul": lambda r, f: batch_matmul(r, (2, 5, 6), (2, 6, 7)),
    "add": lambda r, f: add(r, S, S, f, "RELU"),
    "add_broadcast": lambda r, f: add(r, S, (8,), f),
    "sub": lambda r, f: sub(r, S, S, f),
    "sub_broadcast": lambda r, f: sub(r, (1, 1, 1, 8), S, f, "RELU6"),
    "mul": lambda r, f: mul(r, S, S, f),
    "mul_broadcast": lambda r, f: mul(r, S, (1, 1, 1, 8), f),
    "maximum": lambda r, f: binary(r, "maximum", S, S, f),
    "minimum": lambda r, f: binary(r, "minimum", S, (8,), f, constant=True),
    "squared_difference": lambda r, f: binary(r, "squared_difference", S, S, f),
    "concatenation": lambda r, f: concatenation(r, [(1, 4, 3, 2), (1, 4, 3, 5), (1, 4, 3, 1)], 3, f),
    "concatenation_rows": lambda r, f: concatenation(r, [(1, 4, 3, 2), (1, 2, 3, 2)], 1, f),
    "average_pool_2d": lambda r, f: pool_2d(r, "average_pool_2d", (1, 7, 7, 5), 3, 2, "SAME", f),
    "average_pool_2d_valid": lambda r, f: pool_2d(r, "average_pool_2d", (1, 7, 6, 5), (7, 6), 1, "VALID", f, "RELU"),
    "max_pool_2d": lambda r, f: pool_2d(r, "max_pool_2d", (1, 7, 7, 5), 3, 2, "SAME", f),
    "max_pool_2d_valid": lambda r, f: pool_2d(r, "max_pool_2d", (2, 6, 6, 5), 2, 2, "VALID", f, "RELU6"),
    "mean": lambda r, f: mean(r, S, (1, 2), False, f),
    "mean_keep": lambda r, f: mean(r, S, (1, 2), True, f),
    "mean_last": lambda r, f: mean(r, (3, 4, 10), (-1,), False, f),
    "sum": lambda r, f: reduce(r, "sum", S, (1, 2), False, f),
    "reduce_max": lambda r, f: reduce(r, "reduce_max", S, (1, 2), False, f),
    "reduce_min": lambda r, f: reduce(r, "reduce_min", S, (3,), True, f),
    "pad": lambda r, f: pad(r, (1, 4, 3, 2), [(0, 0), (1, 2), (2, 0), (0, 0)], f),
    "padv2": lambda r, f: padv2(r, (1, 4, 3, 2), [(0, 0), (1, 2), (2, 0), (0, 1)], 7, f),
    "mirror_pad": lambda r, f: moving(r, "mirror_pad", (4, 3), [(6, 5)], [[[1, 1], [1, 1]]], f, mode="REFLECT"),
    "reshape": lambda r, f: reshape(r, (1, 4, 3, 2), (1, 24), f),
    "squeeze": lambda r, f: squeeze(r, (1, 1, 1, 12), (1, 2), f),
    "expand_dims": lambda r, f: moving(r, "expand_dims", (3, 4), [(3, 1, 4)], [1], f),
    "softmax": lambda r, f: softmax(r, (3, 11), f),
    "softmax_4d": lambda r, f: softmax(r, (1, 3, 2, 11), f, 0.5),
    "log_softmax": lambda r, f: unary(r, "log_softmax", (2, 11), f),
    "logistic": lambda r, f: unary(r, "logistic", S, f),
    "tanh": lambda r, f: unary(r, "tanh", S, f),
    "relu": lambda r, f: unary(r, "relu", S, f),
    "relu6": lambda r, f: unary(r, "relu6", S, f),
    "relu_n1_to_1": lambda r, f: unary(r, "relu_n1_to_1", S, f),
    "hard_swish": lambda r, f: unary(r, "hard_swish", S, f),
    "leaky_relu": lambda r, f: unary(r, "leaky_relu", S, f, alpha=0.125),
    "abs": lambda r, f: unary(r, "abs", S, f),
    "gelu": lambda r, f: unary(r, "gelu", S, f, approximate=False),
    "exp": lambda r, f: unary(r, "exp", S, f, q=(0.02, 10)),
    "l2_normalization": lambda r, f: unary(r, "l2_normalization", (3, 9), f),
    "prelu": lambda r, f: prelu(r, S, f),
    "quantize_to_int8": lambda r, f: quantize(r, S, f, "int8"),
    "quantize_to_uint8": lambda r, f: quantize(r, S, f, "uint8"),
    "resize_bilinear": lambda r, f: resize(r, "resize_bilinear", (1, 4, 3, 5), (7, 8), f),
    "resize_bilinear_half_pixel": lambda r, f: resize(
        r, "resize_bilinear", (1, 4, 3, 5), (7, 8), f, half_pixel_centers=True
    ),
    "resize_bilinear_corners": lambda r, f: resize(r, "resize_bilinear", (1, 4, 3, 5), (9, 5), f, align_corners=True),
    "resize_nearest": lambda r, f: resize(r, "resize_nearest_neighbor", (1, 4, 3, 5), (7, 8), f),
    "resize_nearest_half_pixel": lambda r, f: resize(
        r, "resize_nearest_neighbor", (1, 4, 3, 5), (9, 5), f, half_pixel_centers=True
    ),
    "resize_nearest_corners": lambda r, f: resize(
        r, "resize_nearest_neighbor", (1, 4, 3, 5), (9, 5), f, align_corners=True
    ),
    "transpose": lambda r, f: transpose(r, (2, 4, 3, 5), (0, 3, 1, 2), f),
    "slice": lambda r, f: slice_(r, (2, 4, 3, 5), (0, 1, 0, 2), (2, 2, -1, 3), f),
    "strided_slice": lambda r, f: strided_slice(r, (2, 7, 6, 5), (0, 6, 1, 0), (2, 0, 6, 5), (1, -2, 2, 1), f),
    "strided_slice_shrink": lambda r, f: strided_slice(
        r, (2, 7, 5), (0, 2, 0), (2, 3, 5), (1, 1, 2), f, shrink_axis_mask=2
    ),
    "split": lambda r, f: split(r, (1, 4, 3, 6), 3, 3, f),
    "split_v": lambda r, f: split_v(r, (1, 4, 3, 6), 3, (1, 2, 3), f),
    "pack": lambda r, f: pack(r, (3, 4), 3, 1, f),
    "unpack": lambda r, f: unpack(r, (3, 4, 2), 1, f),
    "tile": lambda r, f: moving(r, "tile", (2, 3), [(4, 9)], [[2, 3]], f),
    "gather": lambda r, f: moving(r, "gather", (5, 3, 4), [(3, 3, 4)], [[4, 0, 2]], f, axis=0),
    "space_to_depth": lambda r, f: moving(r, "space_to_depth", (1, 4, 6, 3), [(1, 2, 3, 12)], [], f, block_size=2),
    "depth_to_space": lambda r, f: moving(r, "depth_to_space", (1, 2, 3, 12), [(1, 4, 6, 3)], [], f, block_size=2),
    "space_to_batch_nd": lambda r, f: moving(
        r, "space_to_batch_nd", (1, 4, 6, 3), [(4, 2, 3, 3)], [[2, 2], [[0, 0], [0, 0]]], f
    ),
    "batch_to_space_nd": lambda r, f: moving(
        r, "batch_to_space_nd", (4, 2, 3, 3), [(1, 4, 6, 3)], [[2, 2], [[0, 0], [0, 0]]], f
    ),
    "broadcast_to": lambda r, f: moving(r, "broadcast_to", (1, 12, 1), [(4, 12, 2)], [[4, 12, 2]], f),
    "arg_max": lambda r, f: arg(r, "arg_max", (3, 4, 9), -1, f),
    "arg_min": lambda r, f: arg(r, "arg_min", (3, 9, 4), 1, f, "INT64"),
    "arg_max_then_gather": looked_up,
    "gather_uneven": lambda r, f: moving(r, "gather", (2, 5, 4), [(2, 3, 4)], [[4, 0, 1]], f, axis=1),
    "gather_nd": lambda r, f: gather_nd(r, (3, 4, 5), [[2, 1], [0, 3], [1, 1]], f),
    "topk_v2": lambda r, f: top_k(r, (3, 9), 4, f),
    "equal": lambda r, f: compare(r, "equal", S, S, f),
    "less": lambda r, f: compare(r, "less", S, (8,), f),
    "greater_equal": lambda r, f: compare(r, "greater_equal", (1, 1, 5, 1), S, f),
    "select_v2": lambda r, f: choose(r, S, f),
    "cast": lambda r, f: cast(r, S, f, "int32"),
    "cast_narrow": lambda r, f: cast(r, S, "int32", f),
    "prelu_of_two": lambda r, f: prelu_of_two(r, (2, 3, 4), (3, 1), f),
    "maximum_plain": lambda r, f: plain(r, "maximum", (2, 3, 4), (4,)),
    "sub_plain": lambda r, f: plain(r, "sub", (2, 3, 4), (2, 3, 4), "int64"),
    "svdf": lambda r, f: svdf(r),
    "lstm": lambda r, f: lstm(r),
    "lstm_with_all": lambda r, f: lstm(r, peephole=True, layer_norm=True, outputs=7, cell_clip=0.5),
    "lstm_one_step": lambda r, f: lstm(r, coupled=True, kind="lstm"),
    "chain": chain,
}
# LiteRT has no uint8 kernels for these.
INT8_ONLY = frozenset(
    {"batch_matmul", "squared_difference", "abs", "exp", "svdf", "lstm", "lstm_with_all", "lstm_one_step"}
    | {"fully_connected_four_bits", "conv_2d_four_bits"}
)
EVERY_CASE: list[tuple[str, str]] = [
    (name, flavour) for name in EVERY_OP for flavour in FLAVOURS if flavour == "int8" or name not in INT8_ONLY
]


def every(name: str, flavour: str, seed: int = 0) -> Graph:
    """The graph ``EVERY_OP[name]`` makes from a seed of its own."""
    return EVERY_OP[name](np.random.default_rng([seed, *name.encode()]), flavour)
