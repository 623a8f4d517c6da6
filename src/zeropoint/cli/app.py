"""The typer application: names the commands and calls them so that errors reach ``cli.run``."""

from __future__ import annotations

import typer

from zeropoint.cli.bench import bench
from zeropoint.cli.convert import convert
from zeropoint.cli.demo import demo
from zeropoint.cli.evaluation import evaluate
from zeropoint.cli.inspect_model import inspect
from zeropoint.cli.quantize import quantize
from zeropoint.cli.run_model import run
from zeropoint.cli.train import train

app = typer.Typer(
    name="zeropoint",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def describe() -> None:
    """Float PyTorch network in, integer-only network out: trained, proved bit-exact, and run."""


app.command()(train)
app.command()(quantize)
app.command()(convert)
app.command("eval")(evaluate)
app.command()(run)
app.command()(inspect)
app.command()(bench)
app.command()(demo)


def invoke(arguments: list[str] | None) -> int:
    """Parse and run; usage errors are printed and return 2, exceptions of the commands pass through."""
    try:
        app(args=arguments, prog_name="zeropoint")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    return 0
