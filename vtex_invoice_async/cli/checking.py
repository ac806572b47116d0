"""A file's rows, counted as they are read, so that people see how far it is."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from vtex_invoice_async.cli.facts import Facts
from vtex_invoice_async.cli.meter import Meter
from vtex_invoice_async.cli.screen import Screen
from vtex_invoice_async.jobs.rows import RowProblem

__all__ = ["Checking", "is_typed"]

R = TypeVar("R")

_STRAIGHT: Final = {".jsonl", ".json", ".ndjson", ".txt", ".csv", ".tsv", ""}
"""How files are called that are read from their beginning to their end."""


class Checking:
    """How far the reading of files has come."""

    def __init__(self, screen: Screen, paths: Sequence[str] = ()) -> None:
        self._screen = screen
        self._rows = 0
        self._told: Counter[str] = Counter()
        self._sizes = _sizes(paths)
        """Bytes of each file; empty where one of them does not say, or says nothing by it."""
        self._bytes = sum(self._sizes)
        self._files: list[BinaryIO] = []
        self._meter = Meter()

    def began(self, file: BinaryIO) -> None:
        """Take in that another file is read, of which it can be asked how far that has come."""
        self._files.append(file)

    def counted(self, rows: Iterable[R]) -> Iterator[R]:
        """Yield *rows*, and count them."""
        for row in rows:
            self._rows += 1
            self._screen.tick()
            yield row

    def told(self, problems: Iterable[RowProblem]) -> Iterator[RowProblem]:
        """Yield *problems*, and count them."""
        for told in problems:
            self._told[told.problem.severity] += 1
            yield told

    def facts(self, elapsed: float) -> Facts:
        """Return how it stands."""
        at = self._at()
        self._meter.see(elapsed, at)
        return Facts(
            phase="Checking",
            done=self._rows,
            unit="row",
            share=at / self._bytes if at else None,
            counts={"problems": self._told["refuse"], "warnings": self._told["warn"]},
            elapsed=elapsed,
            left=self._meter.left(self._bytes - at) if at else None,
        )

    def _at(self) -> int:
        """Return how many bytes were read; 0 where that is not known."""
        if not self._files or len(self._files) > len(self._sizes):
            return 0
        before = sum(self._sizes[: len(self._files) - 1])
        try:
            return min(before + self._files[-1].tell(), self._bytes)
        except (OSError, ValueError):
            # It is read to its end, and closed.
            return before + self._sizes[len(self._files) - 1]


def is_typed(paths: Sequence[str]) -> bool:
    """Whether rows are typed on a terminal: what is painted there would be in the way."""
    return "-" in paths and sys.stdin is not None and sys.stdin.isatty()


def _sizes(paths: Sequence[str]) -> Sequence[int]:
    # Parquet is read from its end, and a zip by its names.
    if any(path == "-" or Path(path).suffix.lower() not in _STRAIGHT for path in paths):
        return ()
    with suppress(OSError):
        return [Path(path).stat().st_size for path in paths if Path(path).is_file()]
    return ()
