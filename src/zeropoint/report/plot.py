"""The picture of a profile: a flame graph of where a run's time goes, and the speed of each step below it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeropoint.errors import InputError
from zeropoint.report.peak import Peak
from zeropoint.report.profile import Profile, StepProfile

MAX_LEVELS = 5
"""Levels of names above the steps."""

COLOURS = {
    "conv_2d": "#3b75af",
    "depthwise_conv_2d": "#ef8636",
    "fully_connected": "#519e3e",
    "add": "#c53a32",
    "average_pool_2d": "#8d69b8",
    "max_pool_2d": "#a98cc9",
    "concatenation": "#84584e",
    "pad": "#d57dbe",
    "copy in": "#7f7f7f",
    "copy out": "#7f7f7f",
}
OTHER = "#bcbd45"


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle: from ``start`` for ``width`` microseconds, ``level`` 0 at the bottom (the whole network)."""

    level: int
    start: float
    width: float
    label: str
    op: str


def scope(name: str) -> list[str]:
    """The parts of a tensor's name, outermost first: by "/" in TensorFlow's names; in those of PyTorch's modules, which
    have underscores for dots, before a number."""
    name = name.partition(";")[0].removesuffix("/padded")
    return [part for part in re.split(r"/" if "/" in name else r"[._](?=\d)", name) if part]


def flame(profile: Profile) -> list[Bar]:
    """The bars of a flame graph: the network, the scopes of names, and the steps on top of them.

    A level of the names that all steps share says nothing and is left out; neighbours of one scope are one bar.
    """
    paths = [scope(s.name)[:-1] for s in profile.steps]
    named = [p for p in paths if p]
    while named and all(p and p[0] == named[0][0] for p in named):
        named = [p[1:] for p in named]
        paths = [p[1:] for p in paths]
    bars = [Bar(0, 0.0, profile.microseconds, "network", "")]
    starts, at = [], 0.0
    for s in profile.steps:
        starts.append(at)
        at += s.microseconds
    depth = min(max(map(len, paths), default=0), MAX_LEVELS)
    for level in range(depth):
        open_: Bar | None = None
        prefix: list[str] = []
        for path, start, s in zip(paths, starts, profile.steps, strict=True):
            here = path[: level + 1]
            if open_ is not None and here == prefix and len(here) > level:
                open_ = Bar(level + 1, open_.start, start + s.microseconds - open_.start, open_.label, "")
                bars[-1] = open_
            elif len(here) > level:
                # A bare number of a module says something only with its parents'.
                label = "_".join(here) if here[level][0].isdigit() else here[level]
                open_, prefix = Bar(level + 1, start, s.microseconds, label, ""), here
                bars.append(open_)
            else:
                open_ = None
    for path, start, s in zip(paths, starts, profile.steps, strict=True):
        bars.append(Bar(min(len(path), depth) + 1, start, s.microseconds, s.op, s.op))
    return bars


def draw(profile: Profile, to: Path, title: str, peak: Peak) -> None:
    """Writes the picture to ``to``, in the format that its suffix names (.png, .svg, .pdf).

    Raises ``InputError`` for a suffix that is no picture's.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (top, bottom) = pyplot.subplots(
        2, 1, figsize=(14, 7), height_ratios=(3, 2), sharex=True, layout="constrained"
    )
    unit, scale = ("ms", 1e-3) if profile.microseconds >= 2000 else ("µs", 1.0)
    for bar in flame(profile):
        colour = _colour(bar.op) if bar.op else "#e8e4d8"
        top.barh(
            bar.level,
            scale * bar.width,
            left=scale * bar.start,
            height=0.94,
            color=colour,
            edgecolor="white",
            linewidth=0.6,
        )
        _label(top, bar, profile.microseconds, scale)
    top.set_title(f"{title}: {scale * profile.microseconds:,.2f} {unit}", loc="left", pad=14)
    top.set_yticks([])
    top.spines[["top", "right", "left"]].set_visible(False)
    at = 0.0
    for s in profile.steps:
        if s.macs:
            bottom.bar(
                scale * at,
                s.gmacs,
                width=scale * s.microseconds,
                align="edge",
                color=_colour(s.op),
                linewidth=0,
            )
        at += s.microseconds
    bottom.axhline(peak.gmacs, color="black", linestyle="--", linewidth=1)
    bottom.annotate(
        f"peak of {peak.instruction.partition(':')[0]}, {peak.threads} thread{'s' * (peak.threads > 1)}",
        (0, peak.gmacs),
        xytext=(4, 3),
        textcoords="offset points",
        fontsize=8,
    )
    bottom.set_ylim(0, peak.gmacs * 1.12)
    bottom.set_xlim(0, scale * profile.microseconds)
    bottom.set_ylabel("GMAC/s")
    bottom.set_xlabel(f"{unit} since the start of a run (median of each step)")
    bottom.spines[["top", "right"]].set_visible(False)
    figure.legend(handles=_legend(profile.steps), loc="outside right upper", fontsize=8, frameon=False)
    try:
        figure.savefig(to, dpi=150)
    except ValueError as error:
        raise InputError(f"--plot {to}: {error}") from error
    finally:
        pyplot.close(figure)


def _label(axes: Any, bar: Bar, total: float, scale: float) -> None:
    """The bar's label where there is room for it, cut where there is a little."""
    room = int(bar.width / total * 150)
    if room < 3:
        return
    text = bar.label if len(bar.label) <= room else bar.label[: room - 1] + "…"
    axes.text(
        scale * (bar.start + bar.width / 2),
        bar.level,
        text,
        ha="center",
        va="center",
        fontsize=7,
        color="white" if bar.op else "black",
        clip_on=True,
    )


def _colour(op: str) -> str:
    """Of an operation; of several that the plan runs as one, the last convolution's, where most of the time goes."""
    parts = op.split("+")
    return COLOURS.get(next((part for part in reversed(parts) if part == "conv_2d"), parts[0]), OTHER)


def _legend(steps: tuple[StepProfile, ...]) -> list[Any]:
    from matplotlib.patches import Patch

    spent: dict[str, float] = {}
    for s in steps:
        spent[s.op] = spent.get(s.op, 0.0) + s.share
    ordered = sorted(spent.items(), key=lambda item: -item[1])
    return [Patch(color=_colour(op), label=f"{op} {share:.1%}") for op, share in ordered]
