"""ONNX Runtime's 8-bit forms of a float network: static quantization per channel, all that may be the fastest.

Its documentation recommends QDQ with int8 weights per channel, says that QOperator can be faster, and that activations
are uint8 or int8 depending on the CPU. So all are built, those with uint8 activations also with raw pixels (uint8,
NHWC) as input instead of normalised floats (NCHW), and the fastest of them on the CPU at hand stands in the table.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .networks import CALIBRATION, Network, images, normalised

FORMS = ("qdq_u8s8", "qdq_s8s8", "qoperator_u8s8")
"""Format, type of activations, type of weights."""

PIXELS = "_pixels"
"""Ends the name of a form whose input is uint8 (1, H, W, 3)."""


def save(network: Network, module: nn.Module, folder: Path) -> list[Path]:
    """Writes every form into ``folder``; returns the files."""
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger().setLevel(logging.ERROR)
    made = []
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        plain, prepared = Path(scratch) / "float.onnx", Path(scratch) / "prepared.onnx"
        _export(network, module, plain)
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        for form in FORMS:
            layout, types = form.split("_")
            quantized = Path(scratch) / f"{form}.onnx"
            quantization.quantize_static(
                str(prepared),
                str(quantized),
                _Calibration(network),
                quant_format=quantization.QuantFormat.QDQ if layout == "qdq" else quantization.QuantFormat.QOperator,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8 if types[0] == "u" else quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
            )
            model = onnx.load(str(quantized))
            made.append(_keep(model, folder / f"{form}.onnx"))
            if types[0] == "u":
                _take_pixels(model)
                made.append(_keep(model, folder / f"{form}{PIXELS}.onnx"))
    return made


def _export(network: Network, module: nn.Module, to: Path) -> None:
    sample = torch.zeros(1, 3, network.side, network.side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (sample,),
            str(to),
            input_names=["input"],
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )


def _keep(model: Any, to: Path) -> Path:
    import onnx

    onnx.checker.check_model(model)
    partial = to.with_suffix(".part")
    onnx.save(model, str(partial))
    return partial.rename(to)


def _take_pixels(model: Any) -> None:
    """Makes the codes of the input, uint8 NHWC, the model's input: drops the quantization of floats, and puts a
    transposition first, which the runtime cancels against its own where it computes in NHWC."""
    from onnx import TensorProto, helper

    graph = model.graph
    source = graph.input[0]
    (first,) = [n for n in graph.node if n.input and n.input[0] == source.name]
    if first.op_type != "QuantizeLinear":
        raise RuntimeError(f"the input goes into a {first.op_type}, not into its quantization")
    shape = [d.dim_value for d in source.type.tensor_type.shape.dim]
    graph.node.remove(first)
    graph.input.remove(source)
    graph.input.insert(
        0, helper.make_tensor_value_info("pixels", TensorProto.UINT8, [shape[0], shape[2], shape[3], shape[1]])
    )
    transposition = helper.make_node("Transpose", ["pixels"], [first.output[0]], perm=[0, 3, 1, 2], name="to_nchw")
    graph.node.insert(0, transposition)


class _Calibration:
    """What ``quantize_static`` reads its batches from."""

    def __init__(self, network: Network) -> None:
        self._batches = self._each(network)

    @staticmethod
    def _each(network: Network) -> Iterator[dict[str, np.ndarray]]:
        for image in normalised(images(network, CALIBRATION, seed=2)).split(1):
            yield {"input": image.numpy()}

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)
