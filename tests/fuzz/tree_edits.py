"""Edits of a model's tables: what they say becomes odd, how it is written stays in order."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from file_map import encoded

from zeropoint.errors import ZeropointError
from zeropoint.formats.tflite.reader import _Reader
from zeropoint.formats.tflite.schema import _ENUMS, BUILTINS, FORMATS, OPTIONS, OPTIONS_OF, TABLES
from zeropoint.graph import infer_shapes

Tree = dict[str, Any]

TYPES = ("INT8", "UINT8", "INT16", "INT32", "INT64", "BOOL", "FLOAT32", "INT4", "FLOAT16", "STRING")
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 48, 64, 65, 100, 255, 256, 1000)
HUGE = (-1, -(2**31), 2**15, 2**16, 2**24, 2**29, 2**30, 2**31 - 1)
SCALES = (0.0, 1e-45, 1e-38, 1e-30, 1e-10, 1e-3, 0.25, 0.5, 1.0, 2.0, 1e10, 1e30, math.inf, math.nan, -1.0)
ZEROS = (0, 1, -1, -128, -129, 127, 128, 255, 256, 32767, -(2**31), 2**31, 2**63 - 1, -(2**63))
FACTORS = (0, 1, -1, 2, 3, 4, 5, 7, 64, 255, 65536, 2**29, 2**30, 2**31 - 1, -(2**31))
BETAS = (0.0, 0.5, 1.0, -1.0, 1e-30, 1e30, math.inf, math.nan)


def f32(value: float) -> float:
    """The nearest number that a file can hold."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def repaired(tree: Tree) -> bytes:
    """The file with the shapes that its operations really give; as it is where they do not follow."""
    data = encoded(tree)
    try:
        graph = infer_shapes(_Reader(data).graph())
    except (ZeropointError, Exception):  # what is wrong with the file is for its judge to find
        return data
    for table, tensor in zip(tree["subgraphs"][0]["tensors"], graph.tensors, strict=False):
        table["shape"] = tuple(tensor.shape)
        table["shape_signature"] = ()
    return encoded(tree)


def edit_tree(tree: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    """Changes one thing; ``another`` gives the tables of some other model. A tree without the thing is left alone."""
    if not tree["subgraphs"]:
        return
    graph = tree["subgraphs"][0]
    if not graph["tensors"] or not graph["operators"]:
        return
    edit = rng.choices(EDITS, WEIGHTS)[0]
    edit(tree, graph, rng, another)


def _shape(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    tensor = rng.choice(graph["tensors"])
    shape = list(tensor["shape"])
    what = rng.random()
    if not shape or what < 0.1:
        shape.insert(rng.randint(0, len(shape)), rng.choice((1, 1, 2, 0)))
    elif what < 0.2:
        shape.pop(rng.randrange(len(shape)))
    elif what < 0.3:
        rng.shuffle(shape)
    elif what < 0.8:
        shape[rng.randrange(len(shape))] = rng.choice(SIZES)
    else:
        shape[rng.randrange(len(shape))] = rng.choice(HUGE)
    tensor["shape"] = tuple(shape)


def _input_shape(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    """Another size of the graph's input: with repaired shapes, another network."""
    inputs = [t for t in graph["inputs"] if 0 <= t < len(graph["tensors"])]
    if not inputs:
        return
    tensor = graph["tensors"][rng.choice(inputs)]
    shape = list(tensor["shape"])
    if shape:
        at = rng.randrange(len(shape))
        shape[at] = rng.choice(SIZES) if rng.random() < 0.9 else rng.choice(HUGE)
        tensor["shape"] = tuple(shape)


def _quantization(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    tensor = rng.choice(graph["tensors"])
    q = tensor["quantization"]
    if q is None or not q["scale"] or rng.random() < 0.05:
        donors = [t["quantization"] for t in graph["tensors"] if t["quantization"] is not None]
        tensor["quantization"] = dict(rng.choice(donors)) if donors else None
        return
    what = rng.random()
    scale, zero = list(q["scale"]), list(q["zero_point"]) or [0]
    if what < 0.4:
        at = rng.randrange(len(scale))
        scale[at] = f32(rng.choice(SCALES) if rng.random() < 0.6 else scale[at] * 10 ** rng.uniform(-6, 6))
    elif what < 0.75:
        zero[rng.randrange(len(zero))] = rng.choice(ZEROS)
    elif what < 0.85:
        count = rng.choice((0, 1, 2, len(scale) + 1, max(tensor["shape"], default=1) % 4096))
        scale, zero = (scale * count)[:count], (zero * count)[:count]
    elif what < 0.95:
        q["quantized_dimension"] = rng.choice((0, 1, 2, 3, -1, 7, 2**31 - 1))
    else:
        q["details_type"] = rng.choice((0, 1, 2, 3, 255))
    q["scale"], q["zero_point"] = tuple(scale), tuple(zero)


def _type(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    if rng.random() < 0.4:
        was, new = rng.choice(graph["tensors"])["type"], rng.choice(TYPES)
        for tensor in graph["tensors"]:
            if tensor["type"] == was:
                tensor["type"] = new
    else:
        rng.choice(graph["tensors"])["type"] = rng.choice(TYPES)


def _wiring(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    count = len(graph["tensors"])
    holder, key = (graph, rng.choice(("inputs", "outputs")))
    if rng.random() < 0.75:
        holder, key = rng.choice(graph["operators"]), rng.choice(("inputs", "inputs", "outputs", "intermediates"))
    wires = list(holder[key])
    what = rng.random()
    if not wires or what < 0.15:
        wires.insert(rng.randint(0, len(wires)), rng.randrange(count))
    elif what < 0.3:
        wires.pop(rng.randrange(len(wires)))
    elif what < 0.45:
        wires.append(rng.choice(wires))
    elif what < 0.55:
        rng.shuffle(wires)
    elif what < 0.9:
        wires[rng.randrange(len(wires))] = rng.randrange(count)
    else:
        wires[rng.randrange(len(wires))] = rng.choice((-1, -2, count, 2**31 - 1, -(2**31)))
    holder[key] = tuple(wires)


def _options(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    """One field of one operator's options."""
    op = rng.choice(graph["operators"])
    options = op["builtin_options"]
    table = TABLES[OPTIONS[op["builtin_options_type"]]] if 0 < op["builtin_options_type"] < len(OPTIONS) else None
    if table is None or not table.fields or options is None:
        _wiring(tree, graph, rng, another)
        return
    field = rng.choice(table.fields)
    if field.form == "enum":
        options[field.name] = rng.choice(_ENUMS[field.of].split())
    elif field.form == "scalar" and field.of == "f32":
        options[field.name] = f32(rng.choice(BETAS))
    elif field.form == "scalar":
        value = rng.choice(FACTORS) if rng.random() < 0.7 else options[field.name] + rng.choice((-1, 1))
        bits = 8 * struct.calcsize(FORMATS[field.of])
        options[field.name] = (
            rng.random() < 0.5 if field.of == "bool" else (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
        )
        if field.of.startswith("u"):
            options[field.name] %= 2**bits
    elif field.form == "vector" and field.of == "i32":
        options[field.name] = tuple(rng.choice((*SIZES, -1)) for _ in range(rng.randint(0, 5)))


def _other_options(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    op, donor = rng.choice(graph["operators"]), rng.choice(_operators(another()) or graph["operators"])
    op["builtin_options_type"], op["builtin_options"] = donor["builtin_options_type"], donor["builtin_options"]


def _operators(tree: Tree) -> list[Tree]:
    return list(tree["subgraphs"][0]["operators"]) if tree["subgraphs"] else []


def _code(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    """Another operation, with or without the options that belong to it."""
    if not tree["operator_codes"]:
        return
    code = rng.choice(tree["operator_codes"])
    builtin = rng.randrange(len(BUILTINS)) if rng.random() < 0.6 else BUILTINS.index(rng.choice(COMMON))
    code["builtin_code"], code["deprecated_builtin_code"] = builtin, min(builtin, 127)
    if rng.random() < 0.6:
        name = OPTIONS_OF.get(BUILTINS[builtin])
        for op in graph["operators"]:
            if op["opcode_index"] < len(tree["operator_codes"]) and tree["operator_codes"][op["opcode_index"]] is code:
                op["builtin_options_type"] = OPTIONS.index(name) if name else 0
                op["builtin_options"] = dict(TABLES[name].defaults) if name else None


# What many networks are made of, and what shares operands with something else.
COMMON = (
    *("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "RELU", "RELU6", "LOGISTIC", "TANH", "SOFTMAX", "QUANTIZE", "RESHAPE"),
    *("MEAN", "SUM", "MAX_POOL_2D", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "PAD"),
    *("CONCATENATION", "TRANSPOSE", "HARD_SWISH", "SQUEEZE", "ARG_MAX", "BATCH_MATMUL"),
)


def _order(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    ops = graph["operators"]
    what, i, j = rng.random(), rng.randrange(len(ops)), rng.randrange(len(ops))
    if what < 0.35:
        ops[i], ops[j] = ops[j], ops[i]
    elif what < 0.6:
        ops.insert(j, dict(ops[i]))
    elif what < 0.8 and len(ops) > 1:
        ops.pop(i)
    else:  # a cycle: what it gives is what it reads
        ops[i]["inputs"] = (*ops[i]["inputs"], *ops[j]["outputs"])


def _constant(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    """Buffers: shared, missing, of another length, or given to a tensor that is computed."""
    tensor, what = rng.choice(graph["tensors"]), rng.random()
    buffers = tree["buffers"]
    if what < 0.3:
        tensor["buffer"] = rng.choice(graph["tensors"])["buffer"]
    elif what < 0.4:
        tensor["buffer"] = rng.choice((0, 1, len(buffers), 2**32 - 1))
    elif what < 0.5:
        tensor["is_variable"] = not tensor["is_variable"]
    elif what < 0.85 and tensor["buffer"] < len(buffers) and buffers[tensor["buffer"]]["data"]:
        data = bytearray(buffers[tensor["buffer"]]["data"])
        if tensor["type"] in ("INT32", "INT64") and len(data) >= 4:
            at = 4 * rng.randrange(len(data) // 4)
            data[at : at + 4] = struct.pack("<i", rng.choice(SIZES + HUGE + (-2, -3, -4)))
        elif rng.random() < 0.3:
            data = data[: rng.randrange(len(data))] if rng.random() < 0.5 else data + bytes(rng.randrange(1, 9))
        else:
            for _ in range(rng.choice((1, 8, len(data)))):
                data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 128, 129, 255))
        buffers[tensor["buffer"]]["data"] = bytes(data)
    elif buffers:
        buffer = rng.choice(buffers)
        buffer["offset"], buffer["size"] = rng.choice((0, 1, 2, 40, 2**40)), rng.choice((0, 1, 4, 16, 2**40, 2**63))


def _sized(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    """A constant of another shape, with data to fit."""
    held = [t for t in graph["tensors"] if t["buffer"] < len(tree["buffers"]) and tree["buffers"][t["buffer"]]["data"]]
    if not held:
        return
    tensor = rng.choice(held)
    shape, data = list(tensor["shape"]) or [1], tree["buffers"][tensor["buffer"]]["data"]
    width = max(len(data) // max(math.prod(shape), 1), 1)
    shape[rng.randrange(len(shape))] = rng.choice(SIZES)
    size = math.prod(shape) * width
    if 0 <= size <= 1 << 16:
        tree["buffers"].append({"data": (data * (size // len(data) + 1))[:size]})
        tensor["shape"], tensor["buffer"] = tuple(shape), len(tree["buffers"]) - 1


def _splice(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    """Another model's operations after this one's: its first input becomes one of this one's tensors."""
    other = another()
    if not other["subgraphs"] or len(other["subgraphs"][0]["operators"]) > 12:
        return
    theirs = other["subgraphs"][0]
    tensors, buffers, codes = len(graph["tensors"]), len(tree["buffers"]), len(tree["operator_codes"])
    moved = {i: i + tensors for i in range(len(theirs["tensors"]))}
    free = list(theirs["inputs"])
    if free:
        fitting = [
            i for i, t in enumerate(graph["tensors"])
            if t["type"] == theirs["tensors"][free[0]]["type"] and t["buffer"] in (0, len(tree["buffers"]))
        ]  # fmt: skip
        if fitting:
            moved[free[0]] = rng.choice(graph["outputs"] if rng.random() < 0.5 and graph["outputs"] else fitting)
            if rng.random() < 0.7:  # a real network: what joins has one shape
                theirs["tensors"][free[0]]["shape"] = graph["tensors"][moved[free[0]] % tensors]["shape"]
    for tensor in theirs["tensors"]:
        tensor["buffer"] += buffers
    for op in theirs["operators"]:
        op["opcode_index"] += codes
        for key in ("inputs", "outputs", "intermediates"):
            op[key] = tuple(moved.get(i, i) for i in op[key])
    graph["tensors"] += theirs["tensors"]
    graph["operators"] += theirs["operators"]
    graph["inputs"] = (*graph["inputs"], *(moved[i] for i in free[1:] if i in moved), *(
        i for i in (moved[f] for f in free[:1] if f in moved) if i >= tensors
    ))  # fmt: skip
    graph["outputs"] = tuple({*graph["outputs"], *(moved.get(i, i) for i in theirs["outputs"])})
    tree["buffers"] += other["buffers"]
    tree["operator_codes"] += other["operator_codes"]


def _edges(tree: Tree, graph: Tree, rng: Random, another: Callable[[], Tree]) -> None:
    """What the graph itself says: its inputs, outputs, signatures, metadata, other subgraphs, version."""
    what = rng.random()
    if what < 0.6:
        key = rng.choice(("inputs", "outputs"))
        graph[key] = tuple(rng.randrange(len(graph["tensors"])) for _ in range(rng.randint(0, 4)))
    elif what < 0.7:
        entry = {"name": rng.choice(("x", "", "a" * 300)), "tensor_index": rng.choice((0, 1, 99, 2**32 - 1))}
        tree["signature_defs"] = [{"inputs": [entry], "outputs": [entry], "subgraph_index": rng.choice((0, 0, 1))}]
    elif what < 0.8:
        tree["subgraphs"] = tree["subgraphs"] * rng.choice((0, 2))
    elif what < 0.9:
        tree["version"] = rng.choice((0, 1, 2, 4, 2**32 - 1))
    else:
        rng.choice(graph["tensors"])["name"] = rng.choice(("", "x" * 100_000, "\0", "\n", "t0"))


EDITS = (_shape, _input_shape, _quantization, _type, _wiring, _options, _other_options, _code, _order, _constant,
         _sized, _splice, _edges)  # fmt: skip
WEIGHTS = (8, 10, 12, 6, 14, 14, 3, 8, 6, 12, 5, 14, 5)
