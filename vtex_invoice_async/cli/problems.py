"""A file's rows, checked before anything is sent, and what is wrong with them told."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from rich.console import Console

from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.rows import RowProblem

__all__ = ["opened", "tell_problems", "tell_unsent"]

SHOWN_PROBLEMS: Final = 50


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open an input; `-` is standard input."""
    if path == "-" and sys.stdin is None:
        raise ConfigError("standard input is closed")
    with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
        yield file


def tell_problems(
    problems: Iterable[RowProblem], path: str, console: Console, *, all_: bool
) -> Counter[str]:
    """Say where in a source something is wrong, of many only the first but for *all_*; count them."""
    # Warnings are counted apart, so that they cannot crowd out what keeps the file from being sent.
    found: Counter[str] = Counter()
    shown = sys.maxsize if all_ else SHOWN_PROBLEMS
    for row in problems:
        severity = row.problem.severity
        found[severity] += 1
        if found[severity] <= shown:
            word = "warning: " if severity == "warn" else ""
            where = f"{row.file or path}:{row.line}:{row.column}"
            console.print(f"{where}: {word}{row.problem}")
    for severity, name in (("refuse", "problems"), ("warn", "warnings")):
        if found[severity] > shown:
            console.print(f"... and {found[severity] - shown:,} more {name}")
    return found


def tell_unsent(invalid: int, console: Console) -> None:
    """Say that a file was not sent for its bad rows."""
    console.print(
        f"Nothing was sent. Rows that cannot be sent: {invalid:,}. "
        "Correct them, or send the others with --skip-invalid."
    )
