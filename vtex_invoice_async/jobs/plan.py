"""What a file asks for: every row checked before the first is sent, and each invoice once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final, Self

from vtex_invoice_async.errors import Problem
from vtex_invoice_async.jobs.job import Entry, digest
from vtex_invoice_async.jobs.sources import BadRow, Row, RowProblem
from vtex_invoice_async.outcome import InvoiceJob
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

__all__ = ["Plan"]

# Of two rows for one invoice that differ, both are kept without a body: neither is sent.
_SCHEMA: Final = """
CREATE TABLE entry (
  line INTEGER PRIMARY KEY,
  key BLOB NOT NULL UNIQUE,
  order_id TEXT, invoice_number TEXT, type TEXT, value INTEGER, body BLOB
)
"""


class Plan:
    """The invoices of one source, in a dialect; kept on disk, so that memory stays flat.

    The file is a temporary one that only this process can open and that goes with it.
    """

    def __init__(self, orders_api: OrdersApi) -> None:
        self.orders_api = orders_api
        self.planned = 0
        """Invoices that would be sent."""
        self.invalid = 0
        """Rows that cannot be sent."""
        self.duplicates = 0
        """Rows that repeat another one to the letter; the invoice is sent once."""
        # It is used by one thread at a time: first by who reads the file, then by the journal's.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA cache_size = -32768")
        self._database.execute(_SCHEMA)
        # What is never committed needs no sync.
        self._database.execute("BEGIN")

    def take(self, rows: Iterable[Row | BadRow]) -> Iterator[RowProblem]:
        """Take all of *rows* in; yield their warnings, and why some of them cannot be sent."""
        for row in rows:
            if isinstance(row, BadRow):
                self.invalid += 1
                yield from row.problems
                if row.key is not None:
                    yield from self._enter(row.line, row.key, None)
            else:
                yield from row.warnings
                yield from self._enter(row.line, row.key, self._entry(row))

    def add(self, job: InvoiceJob, line: int) -> Iterator[RowProblem]:
        """Take in a job that comes from no file; yield why it cannot be sent."""
        key = f"{job.order_id}\0{job.invoice.invoice_number}".encode()
        yield from self._enter(line, key, Entry.of(job, self.orders_api, line))

    def entries(self) -> Iterator[Entry]:
        """Yield each sound invoice once, in the order of the source."""
        for line, order_id, number, kind, value, body in self._database.execute(
            "SELECT line, order_id, invoice_number, type, value, body FROM entry"
            " WHERE body IS NOT NULL ORDER BY line"
        ):
            yield Entry(
                order_id=order_id,
                invoice_number=number,
                type=InvoiceType(kind),
                value=value,
                orders_api=self.orders_api,
                body=body,
                line=line,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def _entry(self, row: Row) -> Entry:
        invoice = row.job.invoice
        return Entry(
            order_id=row.job.order_id,
            invoice_number=invoice.invoice_number,
            type=invoice.type,
            value=invoice.invoice_value,
            orders_api=self.orders_api,
            body=row.body,
            line=row.line,
        )

    def _enter(self, line: int, key: bytes, entry: Entry | None) -> Iterator[RowProblem]:
        """Keep an entry under its invoice; two that differ spoil each other."""
        values = (
            (None,) * 5
            if entry is None
            else (entry.order_id, entry.invoice_number, entry.type, entry.value, entry.body)
        )
        added = self._database.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
            (line, digest(key), *values),
        )
        if added.rowcount:
            self.planned += entry is not None
            return
        first, known = self._database.execute(
            "SELECT line, body FROM entry WHERE key = ?", (digest(key),)
        ).fetchone()
        body = None if entry is None else entry.body
        if known == body:
            self.duplicates += body is not None
            return
        # Neither of two different rows for one invoice can be trusted.
        self.invalid += (known is not None) + (body is not None)
        self.planned -= known is not None
        self._database.execute("UPDATE entry SET body = NULL WHERE line = ?", (first,))
        message = f"stands in line {first} with other contents; keep the right one"
        problem = Problem(code="conflict", field="invoiceNumber", message=message)
        yield RowProblem(line=line, column=1, problem=problem)
