"""LiteRT's reference kernels as an oracle, fed with models built by the schema that ships with LiteRT.

Deliberately not built on ``zeropoint.formats``: a mistake there must not hide one elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np

from zeropoint.graph import Graph, Op, Quantization, Tensor

# kind -> option table, where it is not the kind's own name in camel case
_OPTIONS = {
    "conv_2d": "Conv2DOptions",
    "depthwise_conv_2d": "DepthwiseConv2DOptions",
    "average_pool_2d": "Pool2DOptions",
    "max_pool_2d": "Pool2DOptions",
    "mean": "ReducerOptions",
    "quantize": "QuantizeOptions",
    "leaky_relu": "LeakyReluOptions",
    "logistic": None,
    "tanh": None,
    "relu": None,
    "relu6": None,
    "relu_n1_to_1": None,
    "relu_0_to_1": None,
    "elu": None,
}
_ENUMS = {"padding": "Padding", "fused_activation_function": "ActivationFunctionType"}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def build(graph: Graph) -> bytes:
    """The graph as a .tflite file, through LiteRT's own object API."""
    from ai_edge_litert import schema_py_generated as schema

    codes: list[Any] = []
    buffers: list[Any] = [schema.BufferT()]
    tensors: list[Any] = []
    for tensor in graph.tensors:
        made = schema.TensorT()
        made.name, made.shape = tensor.name, list(tensor.shape)
        made.type = getattr(schema.TensorType, tensor.dtype.upper())
        made.buffer = 0
        if tensor.data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
            buffers.append(buffer)
            made.buffer = len(buffers) - 1
        if tensor.quantization is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = np.array(tensor.quantization.scale, np.float32)
            made.quantization.zeroPoint = np.array(tensor.quantization.zero_point, np.int64)
            made.quantization.quantizedDimension = tensor.quantization.axis or 0
        tensors.append(made)
    operators = []
    for op in graph.ops:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, op.kind.upper())
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = op.version
        codes.append(code)
        made_op = schema.OperatorT()
        made_op.opcodeIndex = len(codes) - 1
        made_op.inputs, made_op.outputs = list(op.inputs), list(op.outputs)
        table = _OPTIONS.get(op.kind, "".join(p.capitalize() for p in op.kind.split("_")) + "Options")
        if table is not None and hasattr(schema, table + "T"):
            options = getattr(schema, table + "T")()
            for name, value in op.attrs.items():
                if name in _ENUMS:
                    value = getattr(getattr(schema, _ENUMS[name]), str(value))
                assert hasattr(options, _camel(name)), f"{table} has no field {name}"
                setattr(options, _camel(name), list(value) if isinstance(value, tuple) else value)
            made_op.builtinOptions = options
            made_op.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        operators.append(made_op)
    subgraph = schema.SubGraphT()
    subgraph.name, subgraph.tensors, subgraph.operators = graph.name, tensors, operators
    subgraph.inputs, subgraph.outputs = list(graph.inputs), list(graph.outputs)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers, model.subgraphs = 3, codes, buffers, [subgraph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def interpreter(content: bytes, resolver: str = "BUILTIN_REF") -> Any:
    """A LiteRT interpreter, with the reference kernels unless another resolver is named, tensors allocated."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    made = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType[resolver],
        experimental_preserve_all_tensors=True,
    )
    made.allocate_tensors()
    return made


def evaluate(model: Graph | bytes, *inputs: np.ndarray, resolver: str = "BUILTIN_REF") -> list[np.ndarray]:
    """The outputs of a graph, or of a file's bytes, under LiteRT's reference kernels."""
    made = interpreter(build(model) if isinstance(model, Graph) else model, resolver)
    for detail, value in zip(made.get_input_details(), inputs, strict=True):
        made.set_tensor(detail["index"], value)
    made.invoke()
    return [made.get_tensor(detail["index"]) for detail in made.get_output_details()]


def quantized(name: str, shape: Sequence[int], dtype: str, scale: float, zero_point: int, **more: Any) -> Tensor:
    """A per-tensor quantized tensor."""
    return Tensor(name, tuple(shape), dtype, Quantization((scale,), (zero_point,)), **more)


def unary(kind: str, source: Tensor, target: Tensor, version: int = 1, **attrs: Any) -> Graph:
    """A graph of one operation of one input."""
    return Graph((source, target), (Op(kind, (0,), (1,), attrs, version),), (0,), (1,))
