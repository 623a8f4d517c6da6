"""Which files the table needs, and building those that are not there yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import onnx_forms, openvino_forms, zeropoint_form
from .networks import Network, build


@dataclass(frozen=True)
class Forms:
    """A network's files. ``model`` is what zeropoint and LiteRT run; ``uint8`` zeropoint's other flavour, where the
    model is its own int8 one; the peers' are by name."""

    model: Path
    uint8: Path | None
    onnx: dict[str, Path]
    openvino: dict[str, Path]

    def files(self) -> list[Path]:
        """All of them."""
        own = [self.model, *([self.uint8] if self.uint8 else [])]
        return [*own, *self.onnx.values(), *self.openvino.values()]


def forms_of(network: Network, cache: Path, data: Path | None) -> Forms:
    """Where the files of ``network`` are, built or not. A pre-quantized one is taken from the folder ``data``."""
    onnx = [f for form in onnx_forms.FORMS for f in (form, form + onnx_forms.PIXELS) if not f.startswith("qdq_s8s8_")]
    shipped = data / network.shipped if data and network.shipped else None
    own = {flavour: cache / f"{network.name}_{flavour}.tflite" for flavour in ("int8", "uint8")}
    return Forms(
        shipped or own["int8"],
        None if shipped else own["uint8"],
        {form: cache / network.name / "onnx" / f"{form}.onnx" for form in onnx},
        {form: cache / network.name / "openvino" / f"{form}.xml" for form in openvino_forms.FORMS},
    )


def missing(forms: Forms) -> list[Path]:
    """Files that have to be built. They are written under another name first, so what is there is whole."""
    return [f for f in forms.files() if not f.is_file()]


def make(network: Network, forms: Forms) -> None:
    """Builds what is missing. Raises ``FileNotFoundError`` for a pre-quantized file that is not in the data folder."""
    absent = set(missing(forms))
    if not absent:
        return
    module = build(network)
    if forms.uint8 is not None:
        if forms.model in absent:
            zeropoint_form.save(network, module, "int8", forms.model)
        if forms.uint8 in absent:
            zeropoint_form.save(network, module, "uint8", forms.uint8)
    elif forms.model in absent:
        raise FileNotFoundError(f"{network.title}: no pre-quantized file at {forms.model}")
    if absent & set(forms.onnx.values()):
        onnx_forms.save(network, module, next(iter(forms.onnx.values())).parent)
    if absent & set(forms.openvino.values()):
        openvino_forms.save(network, module, next(iter(forms.openvino.values())).parent)
