"""Rows of tracking that failed: where they can be sent from again, and why they failed."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import orjson

from vtex_invoice_async.cli.display import say_json
from vtex_invoice_async.errors import CallError, ConfigError
from vtex_invoice_async.jobs.reasons import NEEDY, Place, Reason
from vtex_invoice_async.jobs.rows import named
from vtex_invoice_async.jobs.tracking import TrackingRow
from vtex_invoice_async.outcome import State

__all__ = ["FailedRows", "failed_rows"]

SHOWN_PLACES: Final = 3

_Kind: TypeAlias = tuple[State, int | None, str | None, str]


class FailedRows:
    """Keeps what failed: in a file, or else on stdout."""

    def __init__(self, file: BinaryIO | None) -> None:
        self.is_whole = True
        """Whether all of it could be written."""
        self._file = file
        # Beside what is drawn on the same terminal it would be in the way until that is over.
        self._waits = file is None and sys.stdout is not None and sys.stdout.isatty()
        self._waiting: list[object] = []
        self._counts: Counter[_Kind] = Counter()
        self._first: dict[_Kind, list[Place]] = {}
        self._words: dict[_Kind, str] = {}

    def add(self, row: TrackingRow, state: State, error: CallError | None, told: str) -> None:
        """Take in a row that failed."""
        self._count(row, state, error, told)
        document = row.failed(state, error, told)
        if self._waits:
            self._waiting.append(document)
        elif self._file is None:
            self.is_whole &= say_json(document)
        else:
            self._write(self._file, orjson.dumps(document) + b"\n")

    def end(self) -> None:
        """Write what had to wait."""
        for document in self._waiting:
            self.is_whole &= say_json(document)
        self._waiting.clear()

    def reasons(self) -> Sequence[Reason]:
        """Return why rows failed: by state, and of one state the most frequent first."""
        kinds = sorted(self._counts, key=lambda kind: (NEEDY.index(kind[0]), -self._counts[kind]))
        return [
            Reason(
                state=kind[0],
                status=kind[1],
                code=kind[2],
                message=self._words[kind],
                count=self._counts[kind],
                advice=_advice(kind[0], kind[1]),
                first=tuple(self._first[kind]),
            )
            for kind in kinds
        ]

    def _count(self, row: TrackingRow, state: State, error: CallError | None, told: str) -> None:
        words = told if error is None else error.message or error.reason
        status, code = (None, None) if error is None else (error.status, error.code)
        kind: _Kind = (state, status, code, re.sub(r"\S*\d\S*", "#", words))
        self._counts[kind] += 1
        self._words.setdefault(kind, words)
        first = self._first.setdefault(kind, [])
        if len(first) < SHOWN_PLACES:
            operation = row.operation
            place = Place(
                line=row.line,
                order_id=operation.order_id,
                invoice_number=operation.invoice_number,
            )
            first.append(place)

    def _write(self, file: BinaryIO, line: bytes) -> None:
        try:
            file.write(line)
        except OSError as error:
            if self.is_whole:
                sys.stderr.write(f"{named(file.name)}: {error.strerror}; it is not whole\n")
            self.is_whole = False


@contextmanager
def failed_rows(path: str | None, source: str) -> Iterator[FailedRows]:
    """Give what keeps the rows of *source* that fail, in a new file at *path* if that is given."""
    if path is None:
        yield FailedRows(None)
        return
    if source != "-" and Path(path).exists() and Path(path).samefile(source):
        raise ConfigError("--failed is the file that is read: give the name of another one")
    with ExitStack() as stack:
        try:
            # Unbuffered: what failed is there whatever happens next.
            file = stack.enter_context(Path(path).open("wb", buffering=0))
        except OSError as error:
            raise ConfigError(f"{named(path)} cannot be written: {error.strerror}") from None
        yield FailedRows(file)


def _advice(state: State, status: int | None) -> str:
    match state, status:
        case State.REJECTED, 401 | 403:
            return "see what the credentials may do: `vtex-invoice doctor`"
        case State.REJECTED, 404:
            return "see whether the account has these orders, and these invoices on them"
        case State.REJECTED, _:
            return "correct them and send them again"
        case _:
            return "send them again: what their orders show by then is skipped"
