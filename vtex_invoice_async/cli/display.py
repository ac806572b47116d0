"""What people see: on stderr, live on a terminal and as plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

__all__ = ["Ticker", "percentile", "stderr", "ticker"]

PLAIN_EVERY = 5.0
"""Seconds between lines where there is no terminal."""


def stderr(*, quiet: bool = False) -> Console:
    """Return the console that people read."""
    return Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=not sys.stderr.isatty())


class Ticker:
    """Shows how far a run is: a bar on a terminal, else a line every few seconds."""

    def __init__(self, console: Console, title: str, total: int, bar: Progress | None) -> None:
        self.counts: Counter[str] = Counter()
        self._console = console
        self._title = title
        self._total = total
        self._bar = bar
        self._task = TaskID(0) if bar is None else bar.add_task(title, total=total, counts="")
        self._spoke = time.monotonic()

    def tick(self, state: str) -> None:
        """Count one more that ended in *state*."""
        self.counts[state] += 1
        if self._bar is not None:
            self._bar.update(self._task, advance=1, counts=self._words())
        elif time.monotonic() - self._spoke >= PLAIN_EVERY:
            self._spoke = time.monotonic()
            done = self.counts.total()
            self._console.print(f"{self._title}: {done:,} of {self._total:,}; {self._words()}")

    def _words(self) -> str:
        return ", ".join(f"{count:,} {state}" for state, count in self.counts.items())


@contextmanager
def ticker(console: Console, title: str, total: int) -> Iterator[Ticker]:
    """Show a run of *total* steps for as long as the block lasts."""
    if not console.is_terminal or console.quiet:
        yield Ticker(console, title, total, None)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        yield Ticker(console, title, total, bar)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of *values* lie; 0 of none."""
    if not values:
        return 0
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def table(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Return a table of names and figures."""
    made = Table(title=escape(title), title_justify="left", show_header=False)
    made.add_column()
    made.add_column(justify="right")
    for name, figure in rows:
        made.add_row(escape(name), escape(figure))
    return made
