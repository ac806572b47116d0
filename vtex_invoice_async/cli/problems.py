"""A file's rows, checked before anything is sent, and what is wrong with them told."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Final

from rich.console import Console

from vtex_invoice_async.jobs.rows import RowProblem, named

__all__ = ["Teller", "tell_disk", "tell_nothing", "tell_problems", "tell_unsent"]

SHOWN_PROBLEMS: Final = 50


class Teller:
    """Says where in a source something is wrong, of many only the first but for *all_*."""

    def __init__(self, path: str, console: Console, *, all_: bool) -> None:
        # Warnings are counted apart: they cannot crowd out what keeps the file from being sent.
        self.found: Counter[str] = Counter()
        self._path = path
        self._console = console
        self._shown = sys.maxsize if all_ else SHOWN_PROBLEMS

    def tell(self, row: RowProblem) -> None:
        """Tell, and count, one more."""
        severity = row.problem.severity
        self.found[severity] += 1
        if self.found[severity] <= self._shown:
            word = "warning: " if severity == "warn" else ""
            where = f"{row.file or self._path}:{row.line}:{row.column}"
            self._console.print(f"{where}: {word}{row.problem}")

    def end(self) -> None:
        """Say how many were not told."""
        for severity, name in (("refuse", "problems"), ("warn", "warnings")):
            if self.found[severity] > self._shown:
                self._console.print(f"... and {self.found[severity] - self._shown:,} more {name}")


def tell_problems(
    problems: Iterable[RowProblem], path: str, console: Console, *, all_: bool
) -> Counter[str]:
    """Tell all of *problems* as a `Teller` does, and count them."""
    teller = Teller(path, console, all_=all_)
    for row in problems:
        teller.tell(row)
    teller.end()
    return teller.found


def tell_disk(error: OSError | sqlite3.OperationalError, console: Console) -> None:
    """Say what kept a source from being read, or its rows from being kept meanwhile."""
    if isinstance(error, OSError):
        told = f"{named(str(error.filename or 'a file'))}: {error.strerror}"
        console.print(f"{told}; check the file and its disk, and try again")
    else:
        told = f"the folder for temporary files, which TMPDIR names: {error}"
        console.print(f"{told}; make room there, or set TMPDIR to another")


def tell_unsent(invalid: int, console: Console) -> None:
    """Say that a file was not sent for its bad rows."""
    console.print(f"Nothing was sent. Rows that cannot be sent: {invalid:,}.")


def tell_nothing(console: Console) -> None:
    """Say that there is no sound invoice."""
    console.print(
        "There is nothing to send: no sound invoice was found. See that it is the right file."
    )
