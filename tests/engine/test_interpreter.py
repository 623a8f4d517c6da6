"""Interpreter: the dictionaries, calls and error types of LiteRT's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import builders
import litert
import zeropoint as zp
from every_op import every
from zeropoint.engine.interpreter import OpResolverType
from zeropoint.formats import dumps


def differs(a: Any, b: Any, path: str = "") -> str | None:
    """Where two structures differ in type, key order or value; None where nowhere."""
    if type(a) is not type(b):
        return f"{path}: {type(a).__name__} against {type(b).__name__}"
    if isinstance(a, dict):
        if list(a) != list(b):
            return f"{path}: keys {list(a)} against {list(b)}"
        return next((d for k in a if (d := differs(a[k], b[k], f"{path}/{k}"))), None)
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return f"{path}: {len(a)} entries against {len(b)}"
        return next(
            (d for i, (x, y) in enumerate(zip(a, b, strict=True)) if (d := differs(x, y, f"{path}[{i}]"))), None
        )
    if isinstance(a, np.ndarray):
        return None if a.dtype == b.dtype and np.array_equal(a, b) else f"{path}: {a!r} against {b!r}"
    return None if a == b else f"{path}: {a!r} against {b!r}"


def test_details_are_litert_s_for_every_model_of_the_data_folder(data_dir: Path) -> None:
    compared = 0
    for path in sorted(data_dir.glob("tflite/*/*.tflite")):
        if path.parent.name == "hostile":
            continue
        try:
            ours = zp.Interpreter(model_path=str(path))
        except zp.ZeropointError:
            continue
        theirs = litert.interpreter(path.read_bytes())
        for allocated in (False, True):
            for call in ("get_input_details", "get_output_details", "get_signature_list"):
                difference = differs(getattr(theirs, call)(), getattr(ours, call)())
                assert difference is None, f"{path.name} {call}: {difference}"
            if not allocated:
                theirs.allocate_tensors()
                ours.allocate_tensors()
        # By now LiteRT lists its kernels' own temporaries too, after the file's tensors.
        details = ours.get_tensor_details()
        difference = differs([d for d in theirs.get_tensor_details() if d["index"] < len(details)], details)
        assert difference is None, f"{path.name} get_tensor_details: {difference}"
        if ours.get_signature_list():
            a, b = theirs.get_signature_runner(), ours.get_signature_runner()
            assert differs(a.get_input_details(), b.get_input_details()) is None
            assert differs(a.get_output_details(), b.get_output_details()) is None
        compared += 1
    assert compared >= 10


@pytest.fixture
def model() -> bytes:
    return dumps(every("chain", "uint8"))


@pytest.mark.parametrize("make", ["ours", "theirs"])
def test_the_usual_script_runs_on_either(model: bytes, make: str) -> None:
    """Written to LiteRT's interface; the judge of the second run is the first."""
    interpreter = litert.interpreter(model) if make == "theirs" else zp.Interpreter(model_content=model, num_threads=2)
    interpreter.allocate_tensors()
    entry, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    x = builders.codes(np.random.default_rng(4), entry["shape"], "uint8")
    interpreter.set_tensor(entry["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(exit_["index"])
    wanted = litert.run_reference(model, x)[0]
    assert y.size == 10
    assert (y == wanted).all()
    interpreter.tensor(entry["index"])().fill(9)
    interpreter.invoke()
    assert (interpreter.get_tensor(exit_["index"]) == litert.run_reference(model, np.full_like(x, 9))[0]).all()
    assert (y == wanted).all(), "get_tensor gives a copy"
    interpreter.resize_tensor_input(entry["index"], [3, *entry["shape"][1:]])
    interpreter.allocate_tensors()
    assert interpreter.get_output_details()[0]["shape"].tolist() == [3, 10]
    interpreter.set_tensor(entry["index"], np.concatenate([x, x, x]))
    interpreter.invoke()
    assert (interpreter.get_tensor(exit_["index"]) == np.concatenate([wanted] * 3)).all()
    interpreter.reset_all_variables()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, ValueError),
        ({"model_path": "a", "model_content": b"b"}, ValueError),
        ({"model_path": "/nowhere/net.tflite"}, ValueError),
        ({"model_content": b"no model at all, by far"}, ValueError),
        ({"num_threads": 0}, ValueError),
        ({"num_threads": "2"}, ValueError),
        ({"experimental_delegates": [object()]}, ValueError),
        ({"delegates": None}, TypeError),
        ({"experimental_nothing": None}, TypeError),
        ({"experimental_op_resolver_type": None}, ValueError),
        ({"model_content": "a string"}, TypeError),
    ],
)
def test_wrong_constructor_arguments(model: bytes, arguments: dict[str, Any], error: type[Exception]) -> None:
    if arguments and not {"model_path", "model_content"} & set(arguments):
        arguments = {"model_content": model, **arguments}
    with pytest.raises(error):
        zp.Interpreter(**arguments)


def test_experimental_arguments_are_taken(model: bytes) -> None:
    interpreter = zp.Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        experimental_disable_delegate_clustering=True,
        experimental_default_delegate_latest_features=True,
        experimental_disable_delegate_node_fusion=True,
        experimental_force_delegate_node_profiling=True,
    )
    interpreter.allocate_tensors()
    theirs = litert.interpreter(model, all_tensors=True)
    theirs.allocate_tensors()
    x = builders.codes(np.random.default_rng(8), (1, 8, 8, 3), "uint8")
    for one in (interpreter, theirs):
        one.set_tensor(one.get_input_details()[0]["index"], x)
        one.invoke()
    compared = 0
    for index in range(len(zp.load(model).tensors)):
        assert (interpreter.get_tensor(index) == theirs.get_tensor(index)).all(), index
        compared += 1
    assert compared >= 10


def test_an_intermediate_tensor_that_was_not_kept_is_told(model: bytes) -> None:
    interpreter = zp.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    interpreter.invoke()
    inner = zp.load(model).ops[0].outputs[0]
    with pytest.raises(ValueError, match="experimental_preserve_all_tensors=True"):
        interpreter.get_tensor(inner)


def test_a_signature_runner_takes_names_and_any_batch(data_dir: Path) -> None:
    content = (data_dir / "tflite" / "unit" / "simple_add_model.tflite").read_bytes()
    ours, theirs = zp.Interpreter(model_content=content), litert.interpreter(content)
    rng = np.random.default_rng(9)
    for batch in (1, 2):
        xs = {name: builders.codes(rng, (batch, 128, 128, 1), "int8") for name in ("input_1", "input_2")}
        a, b = theirs.get_signature_runner()(**xs), ours.get_signature_runner("serving_default")(**xs)
        assert list(a) == list(b)
        assert (a["add"] == b["add"]).all()
    runner = ours.get_signature_runner()
    with pytest.raises(ValueError, match="1 inputs for a signature of 2"):
        runner(input_1=xs["input_1"])
    with pytest.raises(ValueError, match="no input 'other'"):
        runner(input_1=xs["input_1"], other=xs["input_2"])
