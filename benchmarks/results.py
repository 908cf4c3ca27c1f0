"""A line of the results: what was done, both figures, their ratio, and the ratio to reach."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement. `must` is the ratio of Gantry to `peer` to reach; a `rate` should be high."""

    work: str
    unit: str
    gantry: float
    peer_name: str
    peer: float
    must: float | None = None
    rate: bool = True

    @property
    def ratio(self) -> float:
        return self.gantry / self.peer if self.peer else float("inf")

    @property
    def verdict(self) -> str:
        if self.must is None:
            return ""
        reached = self.ratio >= self.must if self.rate else self.ratio <= self.must
        return "reached" if reached else "**not reached**"


def markdown(lines: Iterable[Line], versions: Mapping[str, str], notes: Iterable[str]) -> str:
    """The results as a page."""
    text = [
        "# Speeds, measured in one run",
        "",
        "Written by `make bench`. Absolute figures depend on the machine and its neighbours; compare ratios.",
        "",
        f"- when: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- machine: {os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}",
        *(f"- {name}: {version}" for name, version in versions.items()),
        "- data: 512 x 512 x 16 bit CT slices, 0.5 MB each; peers with TCP_NODELAY=1",
        "",
        "| work | unit | Gantry | peer | peer's figure | ratio | to reach | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        must = "" if line.must is None else f"{'≥' if line.rate else '≤'} {line.must:g}"
        text.append(
            f"| {line.work} | {line.unit} | {_figure(line.gantry)} | {line.peer_name} | {_figure(line.peer)} "
            f"| {line.ratio:.2f} | {must} | {line.verdict} |"
        )
    text += ["", *notes, ""]
    return "\n".join(text)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
