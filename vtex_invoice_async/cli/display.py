"""What people see, on stderr: live on a terminal, as plain lines elsewhere; and data, on stdout."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO, cast

import orjson
from rich.console import Console
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

from vtex_invoice_async.outcome import State

__all__ = [
    "PLAIN_EVERY",
    "Ticker",
    "percentile",
    "say_json",
    "stderr",
    "stdout",
    "table",
    "tell_counts",
    "ticker",
]

PLAIN_EVERY = 5.0
"""Seconds between lines where there is no terminal."""


class _Heedless:
    """A stream for people: that they have left, or that its disk is full, ends no run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write *text*, or nothing."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or not."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def stderr() -> Console:
    """Return the console that people read; what it prints is never taken for markup."""
    there = sys.stderr is not None
    return Console(
        file=cast(TextIO, _Heedless(sys.stderr)) if there else None,
        quiet=not there,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not (there and sys.stderr.isatty()),
    )


@contextmanager
def stdout() -> Iterator[BinaryIO]:
    """Give what data is written to, in UTF-8 whatever the locale says; raise `OSError` where it fails.

    After that there is no standard output any more.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError:
        if sys.stdout is not None:
            # Python flushes once more when it ends, and would fail there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.stdout = None
        raise


def say_json(document: object) -> bool:
    """Write one JSON object to stdout; what cannot be written is said on stderr. Say which it was."""
    line = orjson.dumps(document) + b"\n"
    try:
        with stdout() as file:
            file.write(line)
    except OSError as error:
        sys.stderr.write(
            f"stdout: {error.strerror}; what was meant for it is this:\n{line.decode()}"
        )
        return False
    return True


class Ticker:
    """Counts the steps of a run, and shows them."""

    def __init__(self, total: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        """What is begun and not over."""
        self.total = total

    def tick(self, state: str) -> None:
        """Count one more that ended in *state*."""
        self.counts[state] += 1
        self._show()

    def show(self, counts: Counter[State], in_flight: int) -> None:
        """Show all the steps of a run by state, of which so many in doubt are only on their way."""
        self.total = counts.total()
        open_ones = {State.PLANNED, State.IN_DOUBT}
        self.counts = Counter(
            {s.replace("_", " "): n for s, n in counts.items() if s not in open_ones}
        )
        self.open = Counter(
            {"in flight": in_flight, "in doubt": counts[State.IN_DOUBT] - in_flight}
        )
        self._show()

    def _show(self) -> None:
        """Show nothing."""

    def _words(self) -> str:
        words = [*self.counts.items(), *self.open.items()]
        return ", ".join(f"{count:,} {state}" for state, count in words if count)


class _Bar(Ticker):
    def __init__(self, progress: Progress, task: TaskID, total: int) -> None:
        super().__init__(total)
        self._progress = progress
        self._task = task

    def _show(self) -> None:
        self._progress.update(
            self._task, completed=self.counts.total(), total=self.total, counts=self._words()
        )


class _Lines(Ticker):
    def __init__(self, console: Console, title: str, total: int) -> None:
        super().__init__(total)
        self._console = console
        self._title = title
        self._spoke = time.monotonic()

    def _show(self) -> None:
        if time.monotonic() - self._spoke >= PLAIN_EVERY:
            self._spoke = time.monotonic()
            done = self.counts.total()
            words = f"; {self._words()}" if self._words() else ""
            self._console.print(f"{self._title}: {done:,} of {self.total:,}{words}")


@contextmanager
def ticker(
    console: Console, title: str, total: int = 0, *, quiet: bool = False
) -> Iterator[Ticker]:
    """Show a run of *total* steps, or of as many as `show` is told of.

    That is a bar on a terminal, else a line every few seconds.
    """
    if quiet:
        yield Ticker()
    elif not console.is_terminal:
        yield _Lines(console, title, total)
    else:
        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        ) as progress:
            yield _Bar(progress, progress.add_task(title, total=total, counts=""), total)


def tell_counts(
    counts: Mapping[str, object], title: str, console: Console, *, quiet: bool, as_json: bool
) -> None:
    """Tell what a run came to: people what is not 0, and programs all of it."""
    figures = [
        (name.replace("_", " "), f"{count:,}")
        for name, count in counts.items()
        if type(count) is int
        and name != "exit_code"
        and (count or name in {"planned", "confirmed"})
    ]
    if not quiet and counts["planned"]:
        console.print(table(f"{title} in {counts['elapsed_s']:.1f} s", figures))
    if as_json:
        say_json(counts)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of *values* lie; 0 of none."""
    if not values:
        return 0
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def table(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Return a table of names and figures."""
    made = Table(title=title, title_justify="left", show_header=False)
    made.add_column()
    made.add_column(justify="right")
    for name, figure in rows:
        made.add_row(name, figure)
    return made
