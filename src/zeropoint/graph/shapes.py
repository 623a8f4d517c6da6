"""Shape inference, and with it re-batching: the same network for another number of samples.

``infer_shapes`` walks the operations in order and applies each kind's rule. With ``batch`` it first changes dimension 0
of the graph's inputs, and writes that change through the constants in which a file repeats the batch (a reshape's
target, a slice's size, a transposed convolution's output shape). An operation that would mix samples is refused by
name: silently giving sample 1 some of sample 0's numbers is the one thing that re-batching must never do.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from zeropoint.errors import GraphError
from zeropoint.graph.kinds import KINDS, Rule
from zeropoint.graph.movement import MOVEMENT, reshape_target, strided_ranges
from zeropoint.graph.rules import MAX_ELEMENTS, MAX_RANK, RULES, Call, Shape
from zeropoint.graph.types import Graph, Op, Tensor
from zeropoint.graph.values import MAX_VALUES, known_value

SHAPE_RULES = {**RULES, **MOVEMENT}
_BROADCASTING = frozenset(k for k, rule in RULES.items() if rule in (RULES["add"], RULES["equal"], RULES["select"]))


def elements(shape: Sequence[int]) -> int:
    """How many elements a shape has, as a Python integer: no file can make it overflow."""
    return math.prod(map(int, shape))


def shape_fault(shape: Sequence[int], *, empty: bool = False) -> str | None:
    """What is wrong with a shape, or None: a rank above 8, a negative or (unless ``empty``) zero dimension, or 2^31
    elements."""
    if len(shape) > MAX_RANK:
        return f"has {len(shape)} dimensions; at most {MAX_RANK} are supported"
    least = min(shape, default=1)
    if least < 0:
        return f"has shape {list(shape)}: a dimension is negative"
    if least == 0 and not empty:
        return f"has shape {list(shape)}: it holds nothing"
    if elements(shape) > MAX_ELEMENTS:
        return f"has shape {list(shape)}: {elements(shape)} elements, 2^31 - 1 is the limit"
    return None


def used_tensors(graph: Graph) -> frozenset[int]:
    """Tensors that an operation, or the caller, reads or writes; the others may say anything about themselves."""
    touched = {t for op in graph.ops for t in (*op.inputs, *op.outputs)}
    return frozenset((*touched, *graph.inputs, *graph.outputs))


def infer_shapes(graph: Graph, batch: int | None = None) -> Graph:
    """The graph with every computed tensor's shape inferred from the shapes of its inputs and constants.

    Args:
        graph: operations in execution order (``verify`` checks that).
        batch: the new dimension 0 of every graph input; ``None`` leaves the inputs as they are.

    Returns:
        A graph with the same tensor indices; constants that re-batching had to split are appended.

    Raises:
        GraphError: operands that do not fit, a kind without a shape rule, a shape that needs run-time values, or,
            with ``batch``, an operation that mixes samples.
    """
    return _Inference(graph, batch).run()


class _Inference:
    def __init__(self, graph: Graph, batch: int | None) -> None:
        self.graph = graph
        self.tensors: list[Tensor] = list(graph.tensors)
        self.ops: list[Op] = []
        self.known: dict[int, np.ndarray] = {}
        self.old_batch, self.batch = 1, 1
        self.batched: set[int] = set()  # tensors whose dimension 0 is samples, sample by sample
        self.blocked: set[int] = set()  # of these, blocks by samples instead, after space_to_batch_nd
        for i, t in enumerate(self.tensors):
            if t.data is not None and t.data.size <= MAX_VALUES and t.data.dtype.kind in "iub":
                self.known[i] = t.data
        if batch is not None:
            self._set_batch(batch)

    def _set_batch(self, batch: int) -> None:
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise GraphError(f"batch {batch!r} is not a positive number")
        sizes = set()
        for i in self.graph.inputs:
            t = self.tensors[i]
            if not t.shape:
                raise GraphError(f"graph input {i} ({t.name!r}) is a scalar: it has no batch to change")
            sizes.add(t.shape[0])
        if len(sizes) != 1 or min(sizes) < 1:
            raise GraphError(f"the graph's inputs have batches {sorted(sizes)}: re-batching needs one for all")
        self.old_batch, self.batch = sizes.pop(), batch
        if self.old_batch == self.batch:
            return
        for i in self.graph.inputs:
            t = self.tensors[i]
            self.tensors[i] = _reshaped(t, (batch, *t.shape[1:]))
            self.batched.add(i)
        for i, t in enumerate(self.tensors):  # every sample has a memory of its own
            if t.is_variable and t.shape[:1] == (self.old_batch,):
                self.tensors[i] = _reshaped(t, (batch, *t.shape[1:]))
                self.batched.add(i)

    def run(self) -> Graph:
        used = used_tensors(self.graph)
        for i, t in enumerate(self.tensors):
            fault = shape_fault(t.shape, empty=t.data is not None or i not in used)
            if fault is not None:
                raise GraphError(f"tensor {i} ({t.name!r}) {fault}")
        for index, op in enumerate(self.graph.ops):
            depends = not self.batched.isdisjoint(op.inputs)
            if depends:
                op = self._rebatched(index, op)
            self.ops.append(op)
            call = self._call(index, op)
            rule = SHAPE_RULES.get(op.kind)
            if rule is None:
                call.fail("no shape rule is known for this kind")
            shapes = list(rule(call))
            if len(shapes) != len(op.outputs):
                call.fail(f"it has {len(op.outputs)} outputs, {len(shapes)} are expected")
            for target, shape in zip(op.outputs, shapes, strict=True):
                tensor = self.tensors[target]
                fault = shape_fault(shape)
                if fault is not None:
                    call.fail(f"output tensor {target} ({tensor.name!r}) {fault}")
                if depends and op.kind not in ("shape", "rank"):
                    self._check_batched(call, tensor, shape)
                    self.batched.add(target)
                    if op.kind == "space_to_batch_nd" or (op.kind in _ANY_ORDER and self.blocked & set(op.inputs)):
                        self.blocked.add(target)
                self.tensors[target] = _reshaped(tensor, shape)
            if op.outputs:
                value = known_value(call, self.tensors[op.outputs[0]].dtype, shapes[0])
                if value is not None:
                    self.known[op.outputs[0]] = value
        for end in self.graph.outputs:
            if end in self.blocked:
                raise GraphError(
                    f"graph output {end} ({self.tensors[end].name!r}) is ordered by blocks, not by samples; "
                    "run this network at the batch it was made for"
                )
        return self.graph.replace(tensors=tuple(self.tensors), ops=tuple(self.ops))

    def _call(self, index: int, op: Op) -> Call:
        return Call(
            op,
            index,
            tuple([self.tensors[i].shape if i >= 0 else None for i in op.inputs]),
            tuple(map(self.known.get, op.inputs)),
            tuple([self.graph.tensors[i].shape for i in op.outputs]),
        )

    def _check_batched(self, call: Call, old: Tensor, shape: Shape) -> None:
        # Row-major data with whole rows for each sample stays in sample order whatever moved inside.
        if not shape or shape[0] % self.batch:
            call.fail(
                f"its output {old.name!r} would have shape {list(shape)} with a batch of {self.batch}: samples do not "
                "stay apart along dimension 0; run this network at the batch it was made for"
            )

    # -- writing a new batch through constants ---------------------------------------------------------------------

    def _rebatched(self, index: int, op: Op) -> Op:
        """``op`` with the batch that its constants repeat brought up to date; refuses operations that mix samples."""
        call = self._call(index, op)
        blocked = any(i in self.blocked for i in op.inputs)
        if blocked != (op.kind == "batch_to_space_nd") and (op.kind not in _ANY_ORDER or not blocked):
            call.fail("its input is ordered by blocks, not by samples; run this network at the batch it was made for")
        if op.kind == "reshape" and op.inputs[0] in self.batched:
            return self._rebatched_reshape(call)
        if op.kind in ("slice", "strided_slice") and op.inputs[0] in self.batched:
            return self._rebatched_slice(call)
        if (
            op.kind == "squeeze"
            and not call.integers("squeeze_dims")
            and self.graph.tensors[op.inputs[0]].shape[:1] == (1,)
        ):
            call.fail("it drops the batch wherever it is 1, as it was; name the dimensions to drop in squeeze_dims")
        if op.kind == "transpose_conv":
            return self._scaled_operand(call, 0, call.value(0, "output shape"))
        if op.kind == "broadcast_to":
            target, old = call.value(1, "shape"), self.graph.tensors[op.inputs[0]].shape
            if len(target) != len(old) or target[0] != old[0]:
                call.fail("it repeats along dimension 0, the batch; run this network at the batch it was made for")
            return self._scaled_operand(call, 1, target)
        if _mixes_samples(call, [i in self.batched for i in op.inputs]):
            call.fail("it combines samples along dimension 0; run this network at the batch it was made for")
        return op

    def _scale(self, dim: int, call: Call) -> int:
        if (dim * self.batch) % self.old_batch:
            call.fail(f"dimension 0 is {dim}, which a batch of {self.old_batch} does not divide")
        return dim * self.batch // self.old_batch

    def _rebatched_reshape(self, call: Call) -> Op:
        if len(call.op.inputs) > 1 and call.op.inputs[1] >= 0 and not self.tensors[call.op.inputs[1]].is_constant:
            return call.op  # computed from a shape: it already follows the batch
        target = reshape_target(call)
        if not target or target == [0]:
            call.fail("its output is a scalar: samples do not stay apart along dimension 0")
        if target[0] == -1:
            return call.op
        if len(call.op.inputs) > 1 and call.op.inputs[1] >= 0:
            op = self._scaled_operand(call, 1, target)
            target = [self._scale(target[0], call), *target[1:]]
        else:
            op = call.op
            target = [self._scale(target[0], call), *target[1:]]
        if "new_shape" in op.attrs:
            op = dataclasses.replace(op, attrs={**op.attrs, "new_shape": tuple(target)})
        return op

    def _rebatched_slice(self, call: Call) -> Op:
        """Everything of dimension 0 must be taken, in order; what says how much is then rewritten."""
        op, old_dim = call.op, self.graph.tensors[call.op.inputs[0]].shape[0]
        new_dim = call.shape(0)[0]
        if op.kind == "slice":
            begin, size = call.value(1, "begin"), call.value(2, "size")
            if begin and begin[0] == 0 and size[0] == -1:
                return op
            if not begin or begin[0] != 0 or size[0] not in (old_dim, new_dim):
                call.fail("it takes a part of dimension 0, the batch")
            return self._with_operand(call, 2, [new_dim, *size[1:]])
        before = strided_ranges(
            dataclasses.replace(call, shapes=(self.graph.tensors[op.inputs[0]].shape, *call.shapes[1:]))
        )
        if not before or before[0] != range(old_dim):
            call.fail("it takes a part of dimension 0, the batch")
        if strided_ranges(call)[0] == range(new_dim):
            return op
        return self._with_operand(call, 2, [new_dim, *call.value(2, "end")[1:]])

    def _scaled_operand(self, call: Call, at: int, values: list[int]) -> Op:
        if not self.tensors[call.op.inputs[at]].is_constant:
            return call.op
        return self._with_operand(call, at, [self._scale(values[0], call), *values[1:]])

    def _with_operand(self, call: Call, at: int, values: list[int]) -> Op:
        """``call.op`` with constant input ``at`` replaced by ``values``; others that share the constant keep theirs."""
        op, index = call.op, call.op.inputs[at]
        old = self.tensors[index]
        if old.data is None:
            call.fail(f"input {at} is computed at run time; the new batch cannot be written into it")
        data = np.array(values, dtype=old.data.dtype).reshape(old.data.shape)
        if np.array_equal(data, old.data):
            return op
        self.tensors.append(dataclasses.replace(old, name=f"{old.name}/batch_{self.batch}", data=data))
        new = len(self.tensors) - 1
        self.known[new] = data
        return dataclasses.replace(op, inputs=(*op.inputs[:at], new, *op.inputs[at + 1 :]))


# Kinds that treat every slice along dimension 0 alike, whatever its order.
_ANY_ORDER = frozenset(k for k, v in KINDS.items() if v.rule in (Rule.WEIGHTS, Rule.RESCALES)) - {"batch_matmul"} | {
    "logistic", "average_pool_2d", "max_pool_2d", "concatenation", "quantize", "pad", "padv2"
}  # fmt: skip


def _reshaped(tensor: Tensor, shape: Shape) -> Tensor:
    if tensor.shape == shape or tuple(tensor.shape) == tuple(shape):
        return tensor
    signature = tensor.shape_signature if len(tensor.shape_signature) == len(shape) else ()
    # A free dimension stays free; a fixed one that changed has become the new number.
    signature = tuple(-1 if s == -1 else d for s, d in zip(signature, shape, strict=True)) if signature else ()
    return dataclasses.replace(tensor, shape=tuple(shape), shape_signature=signature)


def _mixes_samples(call: Call, batched: list[bool]) -> bool:
    """Whether an operation reads along, moves or joins dimension 0 of a tensor that carries the batch there."""
    kind = call.op.kind
    if KINDS[kind].rule is Rule.WEIGHTS:
        return any(b and i not in (KINDS[kind].values or ()) for i, b in enumerate(batched))
    if kind in _BROADCASTING:
        ranks = [len(s) for s in call.shapes if s is not None]
        return any(b and r < max(ranks) for b, r in zip(batched, ranks, strict=True))
    if kind in ("mean", "sum", "reduce_max", "reduce_min", "arg_max", "arg_min", "reverse_v2", "cumsum"):
        rank = len(call.shape(0))
        return any(a % rank == 0 for a in call.value(1, "axis")) if rank else True
    if kind in ("concatenation", "pack", "unpack"):
        rank = len(call.shape(0)) + (kind == "pack")
        return call.integer("axis", 0) % rank == 0
    if kind == "split":
        return call.value(0, "axis")[0] % len(call.shape(1)) == 0
    if kind == "split_v":
        return call.value(2, "axis")[0] % len(call.shape(0)) == 0
    if kind == "expand_dims":
        return call.value(1, "axis")[0] % (len(call.shape(0)) + 1) == 0
    if kind == "squeeze":
        axes = [a % len(call.shape(0)) for a in call.integers("squeeze_dims")]
        return 0 in axes or (not axes and call.shape(0)[0] == 1)
    if kind == "transpose":
        return call.value(1, "permutation")[0] % len(call.shape(0)) != 0
    if kind in ("pad", "padv2", "mirror_pad"):
        return call.value(1, "paddings")[:2] != [0, 0]
    if kind == "tile":
        return call.value(1, "multiples")[0] != 1
    if kind in ("softmax", "log_softmax", "l2_normalization", "topk_v2"):
        return len(call.shape(0)) < 2
    if kind == "gather":
        return batched[0] and call.integer("axis", 0) % len(call.shape(0)) == 0 and not call.attr("batch_dims", 0)
    if kind == "batch_matmul":
        return any(b and len(call.shape(i)) < 3 for i, b in enumerate(batched[:2]) if i or len(call.shape(1)) > 2)
    if kind in ("lstm", "unidirectional_sequence_lstm"):
        return bool(call.attr("time_major", False))
    return kind in ("gather_nd", "custom")
