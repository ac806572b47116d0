"""What a file asks for: every row checked before the first is sent, and each invoice once."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import BinaryIO

from vtex_invoice_async.errors import Problem
from vtex_invoice_async.jobs.sources import BadRow, Row, RowProblem, read_json_lines
from vtex_invoice_async.outcome import InvoiceJob
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["Plan"]

_CONFLICT = b""


class Plan:
    """The invoices of one file, which is read twice: to check it, and to send it.

    Of each invoice it keeps 32 bytes, to tell a row that stands in the file twice.
    """

    def __init__(self, file: BinaryIO, orders_api: OrdersApi) -> None:
        self._file = file
        self.orders_api = orders_api
        self._contents: dict[bytes, bytes] = {}
        self.rows = 0
        self.invalid = 0
        """Rows that cannot be sent."""
        self.duplicates = 0
        """Rows that repeat another one to the letter; the invoice is sent once."""

    @property
    def planned(self) -> int:
        """How many invoices would be sent."""
        return sum(content != _CONFLICT for content in self._contents.values())

    def check(self) -> Iterator[RowProblem]:
        """Read the whole file; yield its warnings, and why rows cannot be sent."""
        for row in self._rows():
            self.rows += 1
            if isinstance(row, BadRow):
                self.invalid += 1
                yield from row.problems
                continue
            yield from row.warnings
            yield from self._enter(row)

    def _enter(self, row: Row) -> Iterator[RowProblem]:
        key, content = _key(row.job), _digest(row.body)
        if key not in self._contents:
            self._contents[key] = content
            return
        known = self._contents[key]
        if known == content:
            self.duplicates += 1
            return
        # Neither of two different rows for one invoice can be trusted.
        self.invalid += 1 if known == _CONFLICT else 2
        self._contents[key] = _CONFLICT
        message = "stands in this file before, with other contents; keep the right one"
        problem = Problem(code="conflict", field="invoiceNumber", message=message)
        yield RowProblem(line=row.line, column=1, problem=problem)

    def jobs(self) -> Iterator[InvoiceJob]:
        """Yield each sound invoice once; a row that was changed since `check` is left out."""
        waiting = set(self._contents)
        for row in self._rows():
            if isinstance(row, BadRow):
                continue
            key = _key(row.job)
            if key in waiting and self._contents[key] == _digest(row.body):
                waiting.discard(key)
                yield row.job

    def _rows(self) -> Iterator[Row | BadRow]:
        self._file.seek(0)
        return read_json_lines(self._file, self.orders_api)


def _key(job: InvoiceJob) -> bytes:
    return _digest(f"{job.order_id}\0{job.invoice.invoice_number}".encode())


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
