"""What the benchmarks share: cores to themselves, rounds in turn, and figures over the rounds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any, Final, TypeVar

from attrs import asdict, frozen

__all__ = ["CLIENT_CORE", "SERVER_CORE", "Figure", "in_turn", "pin", "table"]

W = TypeVar("W")

CLIENT_CORE: Final = 0
SERVER_CORE: Final = 1


@frozen
class Figure:
    """What was measured in each round: its median, and the least and most of it."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        found = list(values)
        return cls(median(found), min(found), max(found))

    def written(self, digits: int = 2) -> str:
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f}-{self.most:,.{digits}f})"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def pin(core: int) -> None:
    """Keep this process on one core, where there are two and the system lets it."""
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {core})


def in_turn(ways: Sequence[W], rounds: int) -> Iterator[Sequence[W]]:
    """Yield *ways* once for each round; each of them is as often the first as the others."""
    for number in range(rounds):
        first = number % len(ways)
        yield [*ways[first:], *ways[:first]]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return lines of columns: the first to the left, the others to the right."""
    lines = [[*heads], *map(list, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not at else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
