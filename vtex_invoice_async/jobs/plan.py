"""What a file asks for: every row checked before the first is sent, and each invoice once."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import BinaryIO

from vtex_invoice_async.errors import Problem
from vtex_invoice_async.jobs.sources import BadRow, Row, RowProblem, read_json_lines
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["Plan"]

_UNSOUND = b""


class Plan:
    """The invoices of one file, which is read twice: to check it, and to send it.

    Of each invoice it keeps two digests and a line, to tell a row that stands in the file twice.
    """

    def __init__(self, file: BinaryIO, orders_api: OrdersApi) -> None:
        self._file = file
        self.orders_api = orders_api
        self._contents: dict[bytes, tuple[bytes, int]] = {}
        """By invoice: a digest of what would be sent, and the line where it stood first."""
        self.invalid = 0
        """Rows that cannot be sent."""
        self.duplicates = 0
        """Rows that repeat another one to the letter; the invoice is sent once."""

    @property
    def planned(self) -> int:
        """How many invoices would be sent."""
        return sum(content != _UNSOUND for content, _ in self._contents.values())

    def check(self) -> Iterator[RowProblem]:
        """Read the whole file; yield its warnings, and why rows cannot be sent."""
        for row in self._rows():
            if isinstance(row, BadRow):
                self.invalid += 1
                yield from row.problems
                if row.key is not None:
                    yield from self._enter(row.line, _digest(row.key), _UNSOUND)
            else:
                yield from row.warnings
                yield from self._enter(row.line, _digest(row.key), _digest(row.body))

    def _enter(self, line: int, key: bytes, content: bytes) -> Iterator[RowProblem]:
        """Keep a row's contents under its invoice; two rows that differ spoil each other."""
        if key not in self._contents:
            self._contents[key] = (content, line)
            return
        known, first = self._contents[key]
        if known == content:
            self.duplicates += content != _UNSOUND
            return
        # Neither of two different rows for one invoice can be trusted.
        self.invalid += (known != _UNSOUND) + (content != _UNSOUND)
        self._contents[key] = (_UNSOUND, first)
        message = f"stands in line {first} with other contents; keep the right one"
        problem = Problem(code="conflict", field="invoiceNumber", message=message)
        yield RowProblem(line=line, column=1, problem=problem)

    def rows(self) -> Iterator[Row]:
        """Yield each sound invoice once; a row that was changed since `check` is left out."""
        waiting = set(self._contents)
        for row in self._rows():
            if isinstance(row, BadRow):
                continue
            key = _digest(row.key)
            if key in waiting and self._contents[key][0] == _digest(row.body):
                waiting.discard(key)
                yield row

    def _rows(self) -> Iterator[Row | BadRow]:
        self._file.seek(0)
        return read_json_lines(self._file, self.orders_api)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
