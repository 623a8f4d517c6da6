"""``zeropoint run``: one image or array through a ``.tflite``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from zeropoint.errors import DataError, InputError


def run(
    model: Annotated[Path, typer.Argument(help="An integer .tflite.")],
    source: Annotated[Path, typer.Argument(help="An image, or a .npy of input codes with or without the batch axis.")],
    labels: Annotated[Path | None, typer.Option(help="Text file, one class name per line.")] = None,
    top: Annotated[int, typer.Option(help="How many classes to print.", min=1)] = 5,
    threads: Annotated[int, typer.Option(help="Threads.", min=1)] = 1,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Run one input and print the best classes, or a summary of each output where the network is no classifier.

    Example:

        zeropoint run mobilenet_v1_0.5_160_quant.tflite cat.bmp --labels imagenet_labels.txt --top 3
    """
    import numpy as np

    from zeropoint.engine import Session

    session = Session(model, threads=threads)
    graph = session.graph
    codes = _codes(session, source)
    result = session.run([codes])
    outputs = result if isinstance(result, tuple) else (np.asarray(result),)
    names = _labels(labels)
    shown: list[dict[str, object]] = []
    for index, value in zip(graph.outputs, outputs, strict=True):
        tensor = graph.tensors[index]
        entry: dict[str, object] = {"name": tensor.name, "shape": list(value.shape), "dtype": tensor.dtype}
        if len(outputs) == 1 and value.ndim >= 2 and value[0].size == value.shape[-1] and len(value) == 1:
            scores = value.reshape(-1)
            best = np.argsort(-scores.astype(np.float64), kind="stable")[:top]
            map_ = tensor.quantization
            entry["top"] = [
                {
                    "class": int(i),
                    "label": names[i] if i < len(names) else str(i),
                    "code": scores[i].item(),
                    "value": (float(scores[i]) - map_.zero_point[0]) * map_.scale[0] if map_ else float(scores[i]),
                }
                for i in best
            ]
        else:
            entry["minimum"], entry["maximum"] = value.min().item(), value.max().item()
        shown.append(entry)
    if json_output:
        print(json.dumps({"model": str(model), "input": str(source), "outputs": shown}))
        return
    for entry in shown:
        print(f"{entry['name']} {entry['dtype']} {entry['shape']}")
        for item in entry.get("top", []):  # type: ignore[attr-defined]
            print(f"  {item['value']:10.4f}  {item['label']}")
        if "minimum" in entry:
            print(f"  codes {entry['minimum']} .. {entry['maximum']}")


def _codes(session: object, source: Path) -> object:
    """The file as the input codes of the session's network, with a batch axis."""
    import numpy as np

    from zeropoint.engine import Session

    assert isinstance(session, Session)
    tensor = session.graph.tensors[session.graph.inputs[0]]
    if not source.is_file():
        raise DataError(f"no input at {source}")
    if source.suffix == ".npy":
        try:
            array = np.load(source, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise DataError(f"{source} is not a readable .npy array: {error}") from error
        return array[None] if array.ndim == len(tensor.shape) - 1 else array
    shape = tensor.shape
    if len(session.graph.inputs) != 1 or len(shape) != 4 or shape[3] not in (1, 3):
        raise InputError(f"the network takes {tensor.dtype} {list(shape)}, not an image; give a .npy")
    from PIL import Image

    from zeropoint.data.tars import decode_image

    picture = Image.fromarray(decode_image(source.read_bytes(), str(source)))
    resized = picture.resize((shape[2], shape[1]), Image.Resampling.BILINEAR)
    pixels = np.asarray(resized.convert("L"))[..., None] if shape[3] == 1 else np.asarray(resized)
    if tensor.dtype == "int8":
        return (pixels ^ np.uint8(0x80)).view(np.int8)[None]
    if tensor.dtype != "uint8":
        raise InputError(f"an image goes into a uint8 or int8 input; the network takes {tensor.dtype}")
    return np.ascontiguousarray(pixels)[None]


def _labels(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"labels {file} can't be read: {error}") from error
