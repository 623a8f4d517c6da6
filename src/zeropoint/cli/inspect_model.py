"""``zeropoint inspect``: what is in a ``.tflite``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from zeropoint.graph import Graph, Tensor


def inspect(
    model: Annotated[Path, typer.Argument(help="A .tflite.")],
    text: Annotated[bool, typer.Option("--text", help="The full text form, for reading and diffing.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the table as JSON on stdout.")] = False,
) -> None:
    """List the operations of a .tflite with shapes, quantization and bytes of constants.

    Example:

        zeropoint inspect mobilenet_v1_0.5_160_quant.tflite
    """
    from rich.console import Console
    from rich.table import Table

    from zeropoint.formats import load
    from zeropoint.graph import to_text

    graph = load(model, integer_only=False)
    if text:
        print(to_text(graph), end="")
        return
    rows = _rows(graph)
    total = sum(row["constant_bytes"] for row in rows)
    if json_output:
        ends = {
            name: [_describe(graph.tensors[i]) for i in indices]
            for name, indices in (("inputs", graph.inputs), ("outputs", graph.outputs))
        }
        size = model.stat().st_size
        print(json.dumps({"model": str(model), "bytes": size, "constant_bytes": total, **ends, "ops": rows}))
        return
    table = Table(title=f"{model.name}: {model.stat().st_size:,} bytes", title_justify="left")
    for name, side in (("#", "right"), ("op", "left"), ("inputs", "left"), ("output", "left"), ("bytes", "right")):
        table.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        inputs = "\n".join(row["inputs"])
        table.add_row(str(row["index"]), row["op"], inputs, "\n".join(row["outputs"]), f"{row['constant_bytes']:,}")
    Console().print(table)


def _rows(graph: Graph) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    counted: set[int] = set()
    for index, op in enumerate(graph.ops):
        size = 0
        for i in op.inputs:
            data = graph.tensors[i].data if i >= 0 and i not in counted else None
            if data is not None:
                counted.add(i)
                size += data.nbytes
        rows.append(
            {
                "index": index,
                "op": op.kind,
                "inputs": [_describe(graph.tensors[i]) for i in op.inputs if i >= 0],
                "outputs": [_describe(graph.tensors[i]) for i in op.outputs],
                "constant_bytes": size,
            }
        )
    return rows


def _describe(tensor: Tensor) -> str:
    """``uint8[1,8,8,16] S=0.0235 Z=0``."""
    text = f"{tensor.dtype}[{','.join(map(str, tensor.shape))}]"
    map_ = tensor.quantization
    if map_ is None or not map_.scale:
        return text
    if map_.per_channel:
        return f"{text} S={min(map_.scale):.4g}..{max(map_.scale):.4g} per channel"
    return f"{text} S={map_.scale[0]:.4g} Z={map_.zero_point[0]}"
