"""OpenVINO's 8-bit form of a float network: NNCF's post-training quantization, as its documentation recommends.

Two inputs: normalised floats (NCHW) as the converted network has them, and raw pixels (uint8, NHWC) with the
normalisation inside the model by the ``PrePostProcessor``. The faster on the CPU at hand stands in the table.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .networks import CALIBRATION, MEAN, STD, Network, images, normalised

FORMS = ("nncf", "nncf_pixels")


def save(network: Network, module: nn.Module, folder: Path) -> list[Path]:
    """Writes both forms into ``folder`` (an .xml and a .bin each); returns the .xml files."""
    import nncf
    import openvino

    folder.mkdir(parents=True, exist_ok=True)
    nncf.set_log_level(40)
    sample = torch.zeros(1, 3, network.side, network.side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = openvino.convert_model(module, example_input=sample, input=[(1, 3, network.side, network.side)])
        batches = [b.numpy() for b in normalised(images(network, CALIBRATION, seed=2)).split(1)]
        quantized = nncf.quantize(
            model,
            nncf.Dataset(batches),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            target_device=nncf.TargetDevice.CPU,
            subset_size=CALIBRATION,
        )
    made = [_keep(quantized, folder / "nncf.xml")]
    return [*made, _keep(_taking_pixels(quantized), folder / "nncf_pixels.xml")]


def _taking_pixels(model: Any) -> Any:
    import openvino
    from openvino.preprocess import PrePostProcessor

    changed = PrePostProcessor(model)
    changed.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    changed.input().model().set_layout(openvino.Layout("NCHW"))
    steps = changed.input().preprocess()
    steps.convert_element_type(openvino.Type.f32).mean(255 * MEAN).scale(255 * STD)
    return changed.build()


def _keep(model: Any, to: Path) -> Path:
    """The .bin first: where the .xml is, both are."""
    import openvino

    partial = to.with_name(f"part_{to.name}")
    openvino.save_model(model, str(partial), compress_to_fp16=False)
    partial.with_suffix(".bin").rename(to.with_suffix(".bin"))
    return partial.rename(to)
