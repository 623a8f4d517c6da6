"""``SignatureRunner``: a network called through one of its signatures, arrays in and out by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zeropoint.engine.details import Details
from zeropoint.errors import InputError

if TYPE_CHECKING:
    from zeropoint.engine.interpreter import Interpreter


class SignatureRunner:
    """A function of a signature's inputs; ``Interpreter.get_signature_runner`` makes one.

    Raises InputError (a ValueError) for a key that the model does not have.
    """

    def __init__(self, interpreter: Interpreter, signature_key: str) -> None:
        signatures = interpreter._get_full_signature_list()
        if signature_key not in signatures:
            raise InputError(f"no signature {signature_key!r}; the model has {sorted(signatures)}")
        self._interpreter = interpreter
        self._inputs = signatures[signature_key]["inputs"]
        self._outputs = signatures[signature_key]["outputs"]

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray]:
        """The outputs by name, copies. ValueError for missing or unknown inputs; inputs may have other shapes, as far
        as the network takes them."""
        if len(inputs) != len(self._inputs):
            raise InputError(f"{len(inputs)} inputs for a signature of {len(self._inputs)}: {sorted(self._inputs)}")
        for name, value in inputs.items():
            if name not in self._inputs:
                raise InputError(f"no input {name!r}: the signature has {sorted(self._inputs)}")
            self._interpreter.resize_tensor_input(self._inputs[name], np.shape(value))
        self._interpreter.allocate_tensors()
        for name, value in inputs.items():
            self._interpreter.set_tensor(self._inputs[name], value)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(i) for name, i in self._outputs.items()}

    def get_input_details(self) -> dict[str, Details]:
        """Input details by the signature's names."""
        return {name: self._interpreter._get_tensor_details(i, 0) for name, i in self._inputs.items()}

    def get_output_details(self) -> dict[str, Details]:
        """Output details by the signature's names."""
        return {name: self._interpreter._get_tensor_details(i, 0) for name, i in self._outputs.items()}
