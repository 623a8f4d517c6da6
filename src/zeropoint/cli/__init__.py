"""The command line: ``zeropoint train | quantize | convert | eval | run | inspect | bench | demo``.

One file per command, each thin over the library. ``main`` is where errors end: one of the package's own prints
one line and exits with 2, Ctrl-C exits with 130, and anything else is a bug and shows its traceback.
"""

from __future__ import annotations

import sys

from zeropoint.errors import ZeropointError

EXTRAS = {
    "typer": "cli",
    "rich": "cli",
    "torch": "train",
    "torchvision": "train",
    "lightning": "train",
    "torchmetrics": "train",
    "webdataset": "train",
    "sklearn": "train",
    "PIL": "train",
    "ai_edge_litert": "peers",
    "matplotlib": "report",
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; never returns. ``arguments`` default to the process's own."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 2 refused, 130 interrupted."""
    try:
        from zeropoint.cli.app import invoke

        return invoke(arguments)
    except ZeropointError as error:
        print(f"zeropoint: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("zeropoint: interrupted", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        print(f"zeropoint: this needs {error.name}: pip install 'zeropoint[{extra}]'", file=sys.stderr)
        return 2


__all__ = ["main", "run"]
