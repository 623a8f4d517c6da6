"""Interpreter, call by call: the same few lines run on LiteRT's interpreter and on ours, and give the same value or the
same built-in error. Where ours is meant to differ, the table at the end says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_interpreter import differs

import builders
import litert
import zeropoint as zp
from builders_net import Net
from every_op import every
from zeropoint.engine import interpreter as ours
from zeropoint.formats import dumps

MODEL = dumps(every("chain", "uint8"))
GRAPH = zp.load(MODEL)
IN, OUT, INNER = GRAPH.inputs[0], GRAPH.outputs[0], GRAPH.ops[0].outputs[0]
CONSTANT = next(i for i, t in enumerate(GRAPH.tensors) if t.data is not None)
X = builders.codes(np.random.default_rng(3), (1, 8, 8, 3), "uint8")


def ready(make: Any) -> Any:
    it = make()
    it.allocate_tensors()
    return it


def after_resize(make: Any, shape: Any, *, allocate: bool, then: Callable[[Any], Any]) -> Any:
    it = ready(make)
    it.resize_tensor_input(IN, shape)
    if allocate:
        it.allocate_tensors()
    return then(it)


def shapes(it: Any) -> Any:
    found = (it.get_input_details()[0], it.get_output_details()[0])
    return [(d["shape"], d["shape_signature"]) for d in found]


def kept(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The input after ``call`` on an interpreter whose input was set."""

    def run(make: Any) -> Any:
        it = ready(make)
        it.set_tensor(IN, X)
        call(it)
        return it.get_tensor(IN)

    return run


def run_twice(make: Any) -> Any:
    it = ready(make)
    found = []
    for x in (X, X[:, ::-1]):
        it.set_tensor(IN, x)
        it.invoke()
        found.append(it.get_tensor(OUT))
    return found


def feed_through_views(make: Any) -> Any:
    it = ready(make)
    entry, exit_ = it.tensor(IN), it.tensor(OUT)
    found = []
    for x in (X, X[:, ::-1]):
        entry()[...] = x
        it.invoke()
        found.append(exit_().copy())
    return found


def write_to_a_copy(make: Any) -> Any:
    it = ready(make)
    it.set_tensor(IN, X)
    it.get_tensor(IN).fill(0)
    return it.get_tensor(IN)


def reshape_a_view(make: Any) -> Any:
    it = ready(make)
    view = it.tensor(IN)()
    view.shape = (192,)
    del view
    return it.get_tensor(IN).shape


CALLS: dict[str, Callable[[Any], Any]] = {
    "run": run_twice,
    "run through views": feed_through_views,
    "get_tensor is a copy": write_to_a_copy,
    "a view's shape is its own": reshape_a_view,
    "calls return nothing": lambda make: [
        (it := make()).allocate_tensors(),
        it.set_tensor(IN, X),
        it.invoke(),
        it.resize_tensor_input(IN, X.shape),
        it.reset_all_variables(),
    ],
    "details": lambda make: [make().get_input_details(), make().get_output_details(), make().get_tensor_details()],
    "one tensor's details": lambda make: make()._get_tensor_details(INNER, 0),
    "operations' details": lambda make: make()._get_ops_details(),
    "an operation's details": lambda make: make()._get_op_details(1),
    "signatures": lambda make: [make().get_signature_list(), make()._get_full_signature_list()],
    "subgraphs": lambda make: make().num_subgraphs(),
    "compressing": lambda make: make().experimental_compress_quantization_zero_points,
    # Before allocate_tensors.
    "set before": lambda make: make().set_tensor(IN, X),
    "get before": lambda make: make().get_tensor(IN),
    "constant before": lambda make: make().get_tensor(CONSTANT),
    "view before": lambda make: make().tensor(IN)(),
    "invoke before": lambda make: make().invoke(),
    "reset before": lambda make: make().reset_all_variables(),
    # Values.
    **{
        f"set {name}": lambda make, v=value: ready(make).set_tensor(IN, v)
        for name, value in {
            "float32": X.astype(np.float32),
            "int8": X.astype(np.int8),
            "int64": X.astype(np.int64),
            "bool": X.astype(bool),
            "text": "abc",
            "an object": object(),
            "None": None,
            "a list": X.tolist(),
            "three dimensions": X[0],
            "two samples": np.concatenate([X, X]),
            "another width": X[:, :, 1:],
            "a scalar": np.uint8(3),
            "in Fortran's order": np.asfortranarray(X),
            "backwards": X[:, ::-1],
        }.items()
    },
    "set an output": lambda make: ready(make).set_tensor(OUT, np.ones((1, 10), np.uint8)),
    # Indices.
    "set 9999": lambda make: ready(make).set_tensor(9999, X),
    "set -1": lambda make: ready(make).set_tensor(-1, X),
    "set 0.5": lambda make: ready(make).set_tensor(0.5, X),
    "set '0'": lambda make: ready(make).set_tensor("0", X),
    "set np.int64": lambda make: ready(make).set_tensor(np.int64(IN), X),
    "get 9999": lambda make: ready(make).get_tensor(9999),
    "get '0'": lambda make: ready(make).get_tensor("0"),
    "get of subgraph 1": lambda make: ready(make).get_tensor(IN, 1),
    "get of subgraph -1": lambda make: ready(make).get_tensor(IN, -1),
    "view 9999": lambda make: ready(make).tensor(9999)(),
    "details of subgraph 1": lambda make: make().get_tensor_details(1),
    "details of tensor 9999": lambda make: make()._get_tensor_details(9999, 0),
    "details of operation 9999": lambda make: make()._get_op_details(9999),
    # Signatures of a model without one.
    "the signature": lambda make: make().get_signature_runner(),
    "signature x": lambda make: make().get_signature_runner("x"),
    "signature ''": lambda make: make().get_signature_runner(""),
    # Resizing.
    "resize, allocate": lambda make: after_resize(make, [2, 8, 8, 3], allocate=True, then=shapes),
    "resize by an array": lambda make: after_resize(make, np.array([2, 8, 8, 3]), allocate=True, then=shapes),
    "resize by floats": lambda make: after_resize(make, [2.0, 8, 8, 3], allocate=True, then=shapes),
    "input's shape before": lambda make: after_resize(
        make, [2, 8, 8, 3], allocate=False, then=lambda it: shapes(it)[0]
    ),
    "resize, get": lambda make: after_resize(make, [2, 8, 8, 3], allocate=False, then=lambda it: it.get_tensor(IN)),
    "resize, set": lambda make: after_resize(
        make, [2, 8, 8, 3], allocate=False, then=lambda it: it.set_tensor(IN, np.concatenate([X, X]))
    ),
    "resize, invoke": lambda make: after_resize(make, [2, 8, 8, 3], allocate=False, then=lambda it: it.invoke()),
    "resize to the same, invoke": lambda make: after_resize(make, X.shape, allocate=False, then=lambda it: it.invoke()),
    "resize and back, get": lambda make: after_resize(
        make,
        [2, 8, 8, 3],
        allocate=False,
        then=lambda it: (it.resize_tensor_input(IN, X.shape), it.get_tensor(IN)),
    ),
    "another height": lambda make: after_resize(make, [1, 16, 8, 3], allocate=True, then=shapes),
    "another rank": lambda make: after_resize(make, [8, 8, 3], allocate=False, then=lambda it: None),
    "another rank, allocate": lambda make: after_resize(make, [8, 8, 3], allocate=True, then=shapes),
    "no list": lambda make: make().resize_tensor_input(IN, "abc"),
    "two dimensions": lambda make: make().resize_tensor_input(IN, [[1, 8], [8, 3]]),
    "a negative size": lambda make: make().resize_tensor_input(IN, [-1, 8, 8, 3]),
    "resize 9999": lambda make: make().resize_tensor_input(9999, X.shape),
    "resize a constant": lambda make: make().resize_tensor_input(CONSTANT, [3]),
    "strict": lambda make: make().resize_tensor_input(IN, [2, 8, 8, 3], strict=True),
    "strict, by position": lambda make: make().resize_tensor_input(IN, [2, 8, 8, 3], True),
    "strict, rank": lambda make: make().resize_tensor_input(IN, [2, 8, 8], strict=True),
    "strict, the same": lambda make: make().resize_tensor_input(IN, [1, 8, 8, 3], strict=True),
    "invoke keeps inputs": kept(lambda it: it.invoke()),
    "allocating keeps inputs": kept(lambda it: it.allocate_tensors()),
    "the same size keeps inputs": kept(lambda it: (it.resize_tensor_input(IN, X.shape), it.allocate_tensors())),
}
BUILT_IN = (RuntimeError, ValueError, TypeError)


def outcome(call: Callable[[Any], Any], make: Any) -> tuple[Any, BaseException | None]:
    try:
        return call(make), None
    except BUILT_IN as error:
        return None, error


@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_what_it_gives_in_litert(name: str) -> None:
    wanted, wanted_error = outcome(CALLS[name], lambda: litert.interpreter(MODEL))
    found, error = outcome(CALLS[name], lambda: zp.Interpreter(model_content=MODEL))
    if wanted_error is not None:
        kind = next(kind for kind in BUILT_IN if isinstance(wanted_error, kind))
        assert isinstance(error, kind), (error, wanted_error)
        assert isinstance(error, zp.ZeropointError | TypeError)
        return
    assert error is None
    difference = differs(wanted, found)
    assert difference is None, difference


def constructing(**arguments: Any) -> Callable[[Any], Any]:
    return lambda kind: type(kind(**arguments)).__name__


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"model_path": "a", "model_content": b"b"},
        {"model_content": b""},
        {"model_path": ""},
        {"model_path": 5},
        {"model_content": "abc"},
        {"model_path": "/nowhere/net.tflite"},
        {"model_content": b"no model at all, by far"},
        {"model_content": MODEL, "num_threads": True},
        {"model_content": MODEL, "num_threads": 0},
        {"model_content": MODEL, "num_threads": -1},
        {"model_content": MODEL, "num_threads": "2"},
        {"model_content": MODEL, "experimental_op_resolver_type": 1},
        {"model_content": MODEL, "experimental_nothing": 1},
        {"model_content": MODEL, "experimental_delegates": []},
    ],
)
def test_a_constructor_takes_and_refuses_what_litert_s_does(arguments: dict[str, Any]) -> None:
    theirs = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    wanted, wanted_error = outcome(constructing(**arguments), theirs)
    found, error = outcome(constructing(**arguments), zp.Interpreter)
    assert wanted == found
    assert (error is None) == (wanted_error is None)
    if wanted_error is not None:
        assert isinstance(error, next(kind for kind in BUILT_IN if isinstance(wanted_error, kind)))


def test_resolver_types_of_either_module_do() -> None:
    theirs = pytest.importorskip("ai_edge_litert.interpreter").OpResolverType
    assert {m.name: m.value for m in theirs} == {m.name: m.value for m in ours.OpResolverType}
    for resolver in (*theirs, *ours.OpResolverType):
        assert zp.Interpreter(model_content=MODEL, experimental_op_resolver_type=resolver).num_subgraphs() == 1


def test_compressed_zero_points() -> None:
    litert_module = pytest.importorskip("ai_edge_litert.interpreter")
    model = dumps(every("conv_2d", "int8"))
    many = 0
    for compress in (False, True):
        arguments = {"model_content": model, "experimental_compress_quantization_zero_points": compress}
        theirs = litert_module.Interpreter(**arguments).get_tensor_details()
        found = zp.Interpreter(**arguments).get_tensor_details()
        assert differs(theirs, found) is None
        many += any(len(d["quantization_parameters"]["scales"]) > 1 for d in found)
    assert many == 2


def test_a_fully_convolutional_network_takes_any_height_and_width() -> None:
    rng = np.random.default_rng(11)
    net = Net()
    x = net.tensor((1, 8, 8, 3), "int8", (0.1, 3), name="image")
    w = net.tensor((5, 3, 3, 3), "int8", (0.02, 0), builders.codes(rng, (5, 3, 3, 3), "int8"))
    b = net.tensor((5,), "int32", (0.1 * 0.02, 0), builders.codes(rng, (5,), "int8"))
    y = net.tensor((1, 4, 4, 5), "int8", (0.2, -4))
    net.op("conv_2d", (x, w, b), (y,), padding="SAME", stride_h=2, stride_w=2, fused_activation_function="RELU")
    model = dumps(net.graph((x,), (y,)))
    it, theirs = zp.Interpreter(model_content=model), litert.interpreter(model)
    for shape in ((1, 8, 8, 3), (1, 13, 6, 3), (4, 9, 20, 3), (1, 8, 8, 3)):
        results = []
        given = builders.codes(rng, shape, "int8")
        for one in (it, theirs):
            one.resize_tensor_input(x, shape)
            one.allocate_tensors()
            one.set_tensor(x, given)
            one.invoke()
            results.append(one.get_tensor(y))
        assert results[0].shape == (shape[0], -(-shape[1] // 2), -(-shape[2] // 2), 5)
        assert (results[0] == results[1]).all()


# What is meant to differ.


def test_views_may_be_held_and_stay_current() -> None:
    it = ready(lambda: zp.Interpreter(model_content=MODEL))
    entry, exit_ = it.tensor(IN)(), it.tensor(OUT)()
    entry[...] = X
    it.invoke()
    wanted = litert.run_reference(MODEL, X)[0]
    assert (exit_ == wanted).all()
    it.resize_tensor_input(IN, [2, 8, 8, 3])
    it.allocate_tensors()
    entry[...] = 0  # the old tensor's memory: still there, read by nobody
    it.set_tensor(IN, np.concatenate([X, X]))
    it.invoke()
    assert (it.get_tensor(OUT) == np.concatenate([wanted, wanted])).all()


def test_what_would_be_meaningless_is_refused() -> None:
    it = ready(lambda: zp.Interpreter(model_content=MODEL))
    with pytest.raises(zp.InputError, match="neither an input nor an output"):
        it.set_tensor(INNER, np.zeros(GRAPH.tensors[INNER].shape, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        it.tensor(CONSTANT)()[...] = 0
    with pytest.raises(zp.InputError, match="the inputs are"):
        it.resize_tensor_input(OUT, [2, 10])
    it.resize_tensor_input(IN, [0, 8, 8, 3])
    with pytest.raises(RuntimeError, match="does not take these sizes"):
        it.allocate_tensors()


def test_delegates_are_refused_as_a_failed_load_is() -> None:
    with pytest.raises(ValueError, match="libedgetpu"):
        ours.load_delegate("libedgetpu.so.1")
    with pytest.raises(zp.InputError, match="delegates"):
        zp.Interpreter(model_content=MODEL, experimental_delegates=[object()])


def test_a_model_that_is_refused_raises_a_value_error() -> None:
    graph = every("chain", "uint8")
    broken = graph.replace(ops=graph.ops[::-1])
    for model in (MODEL[:200], b"\0" * 64):
        with pytest.raises(ValueError, match="<bytes>"):
            zp.Interpreter(model_content=model)
    with pytest.raises(zp.GraphError):
        zp.Session(broken)
