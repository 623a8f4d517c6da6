"""The declarative schema against the published one, as LiteRT ships it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from zeropoint.formats.tflite import schema
from zeropoint.formats.tflite.encode import FLAGS

published = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="ai-edge-litert is not installed")

_ENUM_NAMES = {
    "Activation": "ActivationFunctionType",
    "WeightsFormat": "FullyConnectedOptionsWeightsFormat",
    "LSTMKernel": "LSTMKernelType",
    "MirrorMode": "MirrorPadMode",
    "Combiner": "CombinerType",
    "LSHKind": "LSHProjectionType",
    "CustomFormat": "CustomOptionsFormat",
}


def _members(name: str) -> dict[str, int]:
    return {k: v for k, v in vars(getattr(published, name)).items() if not k.startswith("_")}


class _Recorder:
    """Stands in for a Builder and notes what a published Add function would have written."""

    def __getattr__(self, name: str) -> Any:
        def note(*arguments: Any) -> None:
            self.call = (name, arguments)

        return note


@pytest.mark.parametrize("name", sorted(schema._ENUMS))
def test_enum_values_are_the_published_ones(name: str) -> None:
    members = _members(_ENUM_NAMES.get(name, name))
    assert {v: i for i, v in enumerate(schema._ENUMS[name].split())} == members


def test_builtin_operators_are_the_published_ones() -> None:
    assert {name: i for i, name in enumerate(schema.BUILTINS)} == _members("BuiltinOperator")


def test_option_union_is_the_published_one() -> None:
    assert {name or "NONE": i for i, name in enumerate(schema.OPTIONS)} == _members("BuiltinOptions")


@pytest.mark.parametrize("name", sorted(set(schema.TABLES) - {"Opaque"}))
def test_slots_types_and_defaults_are_the_published_ones(name: str) -> None:
    for field in schema.TABLES[name].fields:
        camel = re.sub(r"(?:^|_)([a-z0-9])", lambda m: m[1].upper(), field.name)
        recorder = _Recorder()
        getattr(published, f"{name}Add{camel}")(recorder, 0)
        method, (slot, _, default) = recorder.call
        assert slot == field.slot, field.name
        if field.form in ("scalar", "enum"):
            of = {"enum": "Int8", "scalar": FLAGS.get(field.of, object).__name__.removesuffix("Flags")}
            assert method == f"Prepend{of[field.form]}Slot", field.name
            ours = field.values.index(field.default) if field.form == "enum" else field.default
            assert ours == default, field.name
        else:
            assert method == "PrependUOffsetTRelativeSlot", field.name


def test_every_described_field_of_an_option_table_is_published_and_none_is_missing() -> None:
    """A forgotten option would be dropped silently on rewriting."""
    known_gaps = {"FullyConnectedOptions": {"QuantSpec"}, "ResizeBilinearOptions": set()}
    for name in schema.OPTIONS[1:]:
        if name in ("CallOptions", "IfOptions", "WhileOptions", "CallOnceOptions"):
            continue  # control flow is refused
        theirs = {n.removeprefix(f"{name}Add") for n in vars(published) if re.fullmatch(rf"{name}Add[A-Z]\w*", n)}
        ours = {re.sub(r"(?:^|_)([a-z0-9])", lambda m: m[1].upper(), f.name) for f in schema.TABLES[name].fields}
        assert theirs - ours == known_gaps.get(name, set()), name
