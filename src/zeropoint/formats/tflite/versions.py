"""Operator versions: each builtin's kernels are registered from version 1 up, and a version grows with
the types and options it admits. A runtime refuses versions newer than itself, so a file should carry
the lowest that its types and options need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zeropoint.graph import Op, Tensor

# Versions that the element type of one input asks for: "kind ...": (input, {dtype: version}). int8 tile and
# depth_to_space stay at 1: LiteRT's reference kernels compute them but are registered for no higher version.
_BY_TYPE: tuple[tuple[str, int, dict[str, int]], ...] = (
    (
        "average_pool_2d max_pool_2d softmax mean mirror_pad reduce_max reduce_min relu6 rsqrt tanh logistic pad padv2 "
        "concatenation pack topk_v2 less greater_equal batch_matmul",
        0,
        {"int8": 2, "int16": 3},
    ),
    (
        "space_to_depth split_v sum log_softmax greater less_equal squared_difference l2_normalization "
        "select sub add mul",
        0,
        {"int8": 2},
    ),
    ("arg_max arg_min", 0, {"int8": 2, "bool": 3}),
    ("pad padv2", 0, {"bool": 5}),
    ("concatenation", 0, {"uint32": 4, "int4": 5}),
    ("pack", 0, {"uint32": 4}),
    ("add sub", 0, {"int64": 4}),
    ("mul", 0, {"int16": 4, "int64": 5, "complex64": 6, "uint32": 7}),
    ("maximum minimum", 0, {"int8": 2, "int16": 4}),
    ("equal", 0, {"int8": 2, "int16": 5}),
    ("not_equal", 0, {"int8": 2, "int16": 4}),
    ("reverse_v2", 0, {"bool": 2, "int8": 3}),
    ("transpose", 0, {"int8": 2, "bool": 3, "int16": 5, "int4": 7}),
    ("slice", 0, {"int8": 2, "int16": 4, "uint32": 6, "int4": 7}),
    ("strided_slice", 0, {"int8": 2, "bool": 3, "uint32": 7}),
    ("gather", 0, {"int8": 2, "bool": 3, "int16": 4, "int4": 7}),
    ("gather", 1, {"int16": 6}),
    ("gather_nd", 0, {"int16": 3, "bool": 5}),
    ("split", 1, {"int8": 2, "int32": 3, "int16": 4}),
    ("unpack", 0, {"int8": 2, "uint8": 2, "bool": 3, "int16": 4, "float16": 5}),
    ("dequantize", 0, {"int8": 2, "int16": 3, "float16": 3, "int4": 6}),
    ("quantize", 0, {"int4": 4}),
    ("resize_bilinear resize_nearest_neighbor space_to_batch_nd batch_to_space_nd", 0, {"int8": 2, "int16": 4}),
    ("relu", 0, {"int8": 2, "uint8": 2, "int16": 3}),
    ("abs", 0, {"int8": 2, "uint8": 2, "int16": 3, "int32": 5}),
    ("exp log sqrt reduce_prod floor_mod", 0, {"int8": 2, "int16": 2}),
    ("floor_div", 0, {"float32": 2, "int8": 3, "int16": 3}),
    ("gelu", 0, {"int8": 2, "uint8": 2}),
    ("leaky_relu", 0, {"int16": 2}),
    ("range", 0, {"int64": 2}),
    ("sign", 0, {"int32": 2}),
    ("fill", 1, {"bool": 2, "int8": 3, "int16": 3}),
    ("broadcast_to", 0, {"int8": 3, "int16": 3}),
    ("conv_2d", 0, {"int8": 3, "int16": 4}),
    ("conv_2d depthwise_conv_2d", 1, {"int4": 7}),
    ("depthwise_conv_2d", 0, {"int8": 3, "int16": 5}),
    ("fully_connected", 0, {"int8": 4, "int16": 7}),
    ("fully_connected", 1, {"int4": 10}),
    ("transpose_conv", 2, {"int8": 2}),
    ("svdf", 0, {"int8": 3}),
    ("lstm unidirectional_sequence_lstm", 0, {"int16": 5}),
    ("embedding_lookup", 1, {"int4": 4}),
    ("dynamic_update_slice", 2, {"int64": 2}),
    ("dynamic_update_slice", 0, {"float16": 3, "int16": 4, "int4": 5}),
    ("sparse_to_dense", 2, {"int64": 2, "int8": 3, "uint8": 3}),
)
_FIRST_VERSION = {"broadcast_to": 2}  # version 1 was withdrawn

_TYPES: dict[str, list[tuple[int, dict[str, int]]]] = {}
for _kinds, _input, _versions in _BY_TYPE:
    for _kind in _kinds.split():
        _TYPES.setdefault(_kind, []).append((_input, _versions))


class _Facts:
    """What the rules below ask about one operator. It is not verified yet, so nothing here may trust its arity."""

    def __init__(self, op: Op, tensors: tuple[Tensor, ...]) -> None:
        self.op = op
        self.inputs = [tensors[i] if i >= 0 else None for i in op.inputs]
        self.outputs = [tensors[i] for i in op.outputs]

    def input(self, position: int) -> Tensor | None:
        return self.inputs[position] if position < len(self.inputs) else None

    def dtype(self, position: int) -> str:
        tensor = self.input(position)
        return tensor.dtype if tensor is not None else ""

    def out_dtype(self) -> str:
        return self.outputs[0].dtype if self.outputs else ""

    def rank(self) -> int:
        return max((len(t.shape) for t in self.inputs[:1] if t is not None), default=0)

    def broadcasts_beyond_4d(self) -> bool:
        shapes = [t.shape for t in self.inputs[:2] if t is not None]
        return len(set(shapes)) > 1 and max(map(len, shapes)) > 4

    def scale(self, tensor: Tensor | None) -> float:
        return tensor.quantization.scale[0] if tensor is not None and tensor.quantization is not None else 0.0

    def per_channel(self, tensor: Tensor | None) -> bool:
        return tensor is not None and tensor.quantization is not None and tensor.quantization.per_channel

    def set(self, attribute: str) -> bool:
        return self.op.attrs.get(attribute) not in (None, 0, "NONE", "FLOAT32", "DEFAULT")


def _grouped(f: _Facts) -> bool:
    x, w = f.input(0), f.input(1)
    return x is not None and w is not None and len(x.shape) == len(w.shape) == 4 and x.shape[3] != w.shape[3]


def _mul_grows(f: _Facts) -> bool:
    scales = [f.scale(t) for t in (f.input(0), f.input(1), f.outputs[0])]
    return all(scales) and scales[0] * scales[1] / scales[2] >= 1.0


# Versions that options, shapes or scales ask for: (kinds, version, whether it applies).
_BY_FACT: tuple[tuple[str, int, Callable[[_Facts], bool]], ...] = (
    ("conv_2d", 6, _grouped),
    ("conv_2d", 8, lambda f: f.dtype(0) == "int16" and f.set("quantized_bias_type")),
    ("depthwise_conv_2d", 2, lambda f: any(f.op.attrs.get(f"dilation_{d}_factor", 1) != 1 for d in "wh")),
    ("fully_connected", 2, lambda f: f.set("weights_format")),
    ("fully_connected", 5, lambda f: f.set("keep_num_dims")),
    ("fully_connected", 6, lambda f: len(f.inputs) == 2),
    ("fully_connected", 11, lambda f: f.dtype(0) == "int16" and f.set("quantized_bias_type")),
    ("transpose_conv", 3, lambda f: len(f.inputs) == 4 and f.input(3) is not None),
    ("transpose_conv", 4, lambda f: f.set("fused_activation_function")),
    ("transpose_conv", 5, lambda f: f.dtype(2) == "int16" and f.set("quantized_bias_type")),
    ("mul", 3, _mul_grows),
    ("add", 3, lambda f: f.dtype(0) == "int16" and f.op.attrs.get("pot_scale_int16") is False),
    ("sub", 5, lambda f: f.dtype(0) == "int16" and f.op.attrs.get("pot_scale_int16") is False),
    ("sub maximum minimum", 3, _Facts.broadcasts_beyond_4d),
    ("div", 2, _Facts.broadcasts_beyond_4d),
    ("resize_bilinear resize_nearest_neighbor", 3, lambda f: f.set("half_pixel_centers")),
    ("resize_nearest_neighbor", 3, lambda f: f.set("align_corners")),
    ("pad padv2 transpose strided_slice", 4, lambda f: f.rank() > 4),
    ("slice", 5, lambda f: f.rank() > 4),
    ("transpose", 6, lambda f: f.rank() > 5),
    ("transpose", 8, lambda f: f.rank() > 6),
    ("strided_slice", 6, lambda f: f.set("ellipsis_mask") or f.set("new_axis_mask")),
    ("strided_slice", 8, lambda f: f.set("offset")),
    ("space_to_batch_nd batch_to_space_nd", 3, lambda f: f.rank() != 4),
    ("gather", 5, lambda f: f.set("batch_dims")),
    ("select", 3, lambda f: f.rank() > 4),
    ("dequantize", 5, lambda f: f.per_channel(f.input(0))),
    ("quantize", 2, lambda f: f.out_dtype() == "int16"),
    ("quantize", 3, lambda f: f.per_channel(f.input(0)) or f.per_channel(f.outputs[0])),
    ("cast", 3, lambda f: "int8" in (f.dtype(0), f.out_dtype())),
    ("cast", 4, lambda f: "uint16" in (f.dtype(0), f.out_dtype())),
    ("lstm", 2, lambda f: f.op.attrs.get("kernel_type") == "BASIC"),
    ("unidirectional_sequence_lstm", 4, lambda f: f.set("diagonal_recurrent_tensors")),
    ("fake_quant", 2, lambda f: f.set("narrow_range")),
    ("where", 2, lambda f: f.dtype(0) != "bool"),
    ("embedding_lookup", 4, lambda f: f.per_channel(f.input(1))),
)
_FACTS: Mapping[str, list[tuple[int, Callable[[_Facts], bool]]]] = {
    kind: [(version, holds) for kinds, version, holds in _BY_FACT if kind in kinds.split()]
    for kind in " ".join(kinds for kinds, _, _ in _BY_FACT).split()
}


def required_version(op: Op, tensors: tuple[Tensor, ...]) -> int:
    """The lowest version whose kernel runs ``op`` on these tensors; 1 for custom operators."""
    facts = _Facts(op, tensors)
    version = _FIRST_VERSION.get(op.kind, 1)
    for position, versions in _TYPES.get(op.kind, ()):
        version = max(version, versions.get(facts.dtype(position), 1))
    for candidate, holds in _FACTS.get(op.kind, ()):
        if candidate > version and facts.outputs and facts.inputs and holds(facts):
            version = candidate
    return version
