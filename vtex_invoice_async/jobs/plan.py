"""What a file asks for: every row checked before the first is sent, and each invoice once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Self

import orjson
from attrs import evolve, frozen

from vtex_invoice_async.errors import InvalidInvoice, Problem
from vtex_invoice_async.jobs.job import Entry, digest
from vtex_invoice_async.jobs.rows import BadRow, Row, RowProblem
from vtex_invoice_async.outcome import InvoiceJob
from vtex_invoice_async.preflight import RULES
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

__all__ = ["Asked", "Plan"]

# Of two rows for one invoice that differ, both are kept without a body: neither is sent.
_SCHEMA: Final = """
CREATE TABLE entry (
  seq INTEGER PRIMARY KEY,
  file TEXT, line INTEGER NOT NULL, line_in_file INTEGER,
  key BLOB NOT NULL UNIQUE,
  order_id TEXT, invoice_number TEXT, type TEXT, value INTEGER, body BLOB,
  by_sku INTEGER, places BLOB
);
CREATE TABLE stray (order_id TEXT NOT NULL, file TEXT, line INTEGER NOT NULL)
"""

_ENTRY: Final = "line, order_id, invoice_number, type, value, body"

# All of it is known before the first comes out: meanwhile, entries may be changed.
_ORDERS: Final = """
SELECT order_id FROM entry WHERE body IS NOT NULL GROUP BY order_id ORDER BY min(seq)
"""

_BY_ORDER: Final = "CREATE INDEX IF NOT EXISTS by_order ON entry (order_id)"

# The first row of a number, and each later one for another order.
_TWICE: Final = """
SELECT later.seq, later.file, coalesce(later.line_in_file, later.line),
  first.file, first.line, first.line_in_file IS NOT NULL
FROM (SELECT invoice_number, min(seq) AS seq FROM entry WHERE body IS NOT NULL
      GROUP BY invoice_number HAVING count(*) > 1) AS number
JOIN entry AS first ON first.seq = number.seq
JOIN entry AS later ON later.invoice_number = number.invoice_number
WHERE later.body IS NOT NULL AND later.order_id <> first.order_id
ORDER BY later.seq
"""


# Each sound invoice of an order that has a row of nobody knows which; the first such row is told.
_BESIDE_STRAYS: Final = """
SELECT entry.seq, entry.file, coalesce(entry.line_in_file, entry.line),
  stray.file, min(stray.line)
FROM stray CROSS JOIN entry ON entry.order_id = stray.order_id
WHERE entry.body IS NOT NULL GROUP BY entry.seq ORDER BY entry.seq
"""


@frozen(kw_only=True)
class Asked:
    """A sound invoice of a plan, and where what it asks for is written."""

    seq: int
    file: str | None
    places: Mapping[str, tuple[int, int]]
    """Line and column, by field."""

    by_sku: bool
    """Whether its order has to tell what is sent."""

    entry: Entry

    def located(self, problem: Problem) -> RowProblem:
        """Return *problem* with the place of its field, or of what holds it."""
        field = problem.field
        while field not in self.places and field:
            field = field[: max(field.rfind("."), field.rfind("["), 0)]
        line, column = self.places.get(field, (self.entry.line or 1, 1))
        return RowProblem(file=self.file, line=line, column=column, problem=problem)


class Plan:
    """The invoices of one source, in a dialect; kept on disk, so that memory stays flat.

    With *strict*, a row with a warning cannot be sent. The file is a temporary one that only this
    process can open and that goes with it.
    """

    def __init__(self, orders_api: OrdersApi, *, strict: bool = False) -> None:
        self.orders_api = orders_api
        self.planned = 0
        """Invoices that would be sent."""
        self.invalid = 0
        """Rows that cannot be sent."""
        self.duplicates = 0
        """Rows that repeat another one to the letter; the invoice is sent once."""
        self.given = 0
        """Entries that were taken out of it, of those that are asked for."""
        self._strict = strict
        self._strays = 0
        # It is used by one thread at a time: first by who reads the file, then by the journal's.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        # As much memory as it takes to sort, too. More makes a million rows no faster.
        self._database.execute("PRAGMA cache_size = -8192")
        self._database.executescript(_SCHEMA)
        # What is never committed needs no sync.
        self._database.execute("BEGIN")

    def take(self, rows: Iterable[Row | BadRow]) -> Iterator[RowProblem]:
        """Take all of *rows* in; yield their warnings, and why some of them cannot be sent."""
        for row in rows:
            if isinstance(row, BadRow):
                self.invalid += 1
                yield from row.problems
                if row.key is not None:
                    yield from self._enter(row, row.key, None)
                elif row.stray_of is not None:
                    self._strays += 1
                    values = (row.stray_of, row.file, row.line)
                    self._database.execute("INSERT INTO stray VALUES (?, ?, ?)", values)
            elif self._strict and row.warnings:
                self.invalid += 1
                yield from map(_refused, row.warnings)
                yield from self._enter(row, row.key, None)
            else:
                yield from row.warnings
                yield from self._enter(row, row.key, self._entry(row))
        if self._strays:
            yield from self._beside_strays()
        yield from self._numbers_twice()

    def add(self, jobs: Sequence[InvoiceJob], first: int) -> Iterator[RowProblem]:
        """Take in jobs that come from no file, and count on from *first*; yield why some cannot be sent."""
        entries: dict[int, Entry] = {}
        for line, job in enumerate(jobs, first):
            try:
                entries[line] = Entry.of(job, self.orders_api, line)
            except InvalidInvoice as error:
                self.invalid += 1
                for problem in error.problems:
                    yield RowProblem(file=None, line=line, column=1, problem=problem)
        rows = [(line, digest(_key(entry)), *_row(entry)) for line, entry in entries.items()]
        if not rows:
            return
        added = self._database.executemany(
            f"INSERT INTO entry (seq, key, {_ENTRY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            " ON CONFLICT (key) DO NOTHING",
            rows,
        )
        self.planned += added.rowcount
        if added.rowcount < len(rows):
            yield from self._repeated(entries)

    def _repeated(self, entries: Mapping[int, Entry]) -> Iterator[RowProblem]:
        """Compare those of *entries* that were not kept with those that were, one by one."""
        rows = self._database.execute(
            "SELECT seq FROM entry WHERE seq BETWEEN ? AND ?", (min(entries), max(entries))
        )
        kept = {seq for (seq,) in rows}
        for line, entry in entries.items():
            if line not in kept:
                yield from self._enter(_Place(line=line), _key(entry), entry)

    def entries(self) -> Iterator[Entry]:
        """Yield each sound invoice once, in the order of the source."""
        rows = self._database.execute(
            f"SELECT {_ENTRY} FROM entry WHERE body IS NOT NULL ORDER BY seq"  # noqa: S608
        )
        for self.given, values in enumerate(rows, 1):
            yield self._read(values)

    def orders_in_all(self) -> int:
        """Count the orders that have a sound invoice."""
        told = "SELECT count(DISTINCT order_id) FROM entry WHERE body IS NOT NULL"
        (count,) = self._database.execute(told).fetchone()
        return int(count)

    def orders(self) -> Iterator[str]:
        """Yield each order that has a sound invoice, in the order of the source."""
        self._database.execute(_BY_ORDER)
        for (order_id,) in self._database.execute(_ORDERS):
            yield order_id

    def of_order(self, order_id: str) -> Sequence[Asked]:
        """Return the sound invoices of an order as they may be sent: Outputs before Inputs."""
        found = self._database.execute(
            f"SELECT {_ENTRY}, seq, file, by_sku, places FROM entry"  # noqa: S608  a constant
            " WHERE order_id = ? AND body IS NOT NULL ORDER BY seq",
            (order_id,),
        )
        asked = [
            Asked(
                seq=seq,
                file=file,
                by_sku=bool(by_sku),
                places=orjson.loads(places or b"{}"),
                entry=self._read(values),
            )
            for *values, seq, file, by_sku, places in found
        ]
        return sorted(asked, key=lambda one: one.entry.type is InvoiceType.INPUT)

    def name_lines(self, asked: Asked, body: bytes) -> None:
        """Take what is sent of an invoice, now that its order has told which lines it means."""
        values = (body, asked.seq)
        self._database.execute("UPDATE entry SET body = ?, by_sku = 0 WHERE seq = ?", values)

    def judge(self, asked: Asked, problems: Iterable[Problem]) -> tuple[bool, Sequence[RowProblem]]:
        """Return whether an invoice stays in the plan, and what is to be told of its *problems*."""
        told = [asked.located(problem) for problem in problems]
        if self._strict:
            told = [_refused(problem) for problem in told]
        is_sound = all(row.problem.severity == "warn" for row in told)
        if not is_sound:
            self._spoil(asked.seq, is_sound=True)
        return is_sound, told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def _read(self, values: Sequence[Any]) -> Entry:
        line, order_id, number, kind, value, body = values
        return Entry(
            order_id=order_id,
            invoice_number=number,
            type=InvoiceType(kind),
            value=value,
            orders_api=self.orders_api,
            body=body,
            line=line,
        )

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

    def _enter(
        self, place: Row | BadRow | _Place, key: bytes, entry: Entry | None
    ) -> Iterator[RowProblem]:
        """Keep an entry under its invoice; two that differ spoil each other."""
        values = (place.line, *(None,) * 5) if entry is None else _row(entry)
        by_sku, places = (
            (place.by_sku, orjson.dumps(place.places)) if isinstance(place, Row) else (False, None)
        )
        added = self._database.execute(
            f"INSERT INTO entry (file, line_in_file, key, by_sku, places, {_ENTRY})"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
            (place.file, place.line_in_file, digest(key), by_sku, places, *values),
        )
        if added.rowcount:
            self.planned += entry is not None
            return
        seq, file, line, is_alone, kind, known = self._database.execute(
            "SELECT seq, file, line, line_in_file IS NOT NULL, type, body FROM entry WHERE key = ?",
            (digest(key),),
        ).fetchone()
        body = None if entry is None else entry.body
        if known == body:
            self.duplicates += body is not None
            return
        # Neither of two different rows for one invoice can be trusted.
        self.invalid += body is not None
        self._spoil(seq, is_sound=known is not None)
        where = _named(file, line, place.file, is_alone=is_alone)
        if entry is not None and known is not None and kind != entry.type:
            message = f"is that of the {kind} in {where}: a return has a number of its own"
            problem = RULES["number-of-sale"].problem("invoiceNumber", message)
        else:
            message = f"stands in {where} with other contents; keep the right one"
            problem = Problem(code="conflict", field="invoiceNumber", message=message)
        told = place.line_in_file or place.line
        yield RowProblem(file=place.file, line=told, column=1, problem=problem)

    def _spoil(self, seq: int, *, is_sound: bool) -> None:
        """Send an entry no more."""
        self.invalid += is_sound
        self.planned -= is_sound
        self._database.execute("UPDATE entry SET body = NULL WHERE seq = ?", (seq,))

    def _beside_strays(self) -> Iterator[RowProblem]:
        """Refuse each invoice that may lack a row, for the row does not say whose it is."""
        self._database.execute(_BY_ORDER)
        for seq, file, line, stray_file, stray_line in self._database.execute(_BESIDE_STRAYS):
            where = _named(stray_file, stray_line, file, is_alone=False)
            message = f"{where} may be a part of this invoice"
            self._spoil(seq, is_sound=True)
            problem = Problem(code="line", field="", message=message)
            yield RowProblem(file=file, line=line, column=1, problem=problem)

    def _numbers_twice(self) -> Iterator[RowProblem]:
        """Warn of numbers that stand on several orders."""
        for seq, file, line, first_file, first_line, is_alone in self._database.execute(_TWICE):
            where = _named(first_file, first_line, file, is_alone=is_alone)
            message = f"is the number of another order's invoice in {where}; is that meant?"
            problem = RULES["number-twice"].problem("invoiceNumber", message)
            told = RowProblem(file=file, line=line, column=1, problem=problem)
            if self._strict:
                self._spoil(seq, is_sound=True)
            yield _refused(told) if self._strict else told


@frozen(kw_only=True)
class _Place:
    """Where a job stands that comes from no file."""

    file: str | None = None
    line: int
    line_in_file: int | None = None


def _named(file: str | None, line: int, seen_from: str | None, *, is_alone: bool) -> str:
    """Say where a row stands; one that *is_alone* has a file of its own."""
    if is_alone and file is not None:
        return file
    return f"line {line}" if file == seen_from else f"{file}:{line}"


def _key(entry: Entry) -> bytes:
    return f"{entry.order_id}\0{entry.invoice_number}".encode()


def _row(entry: Entry) -> tuple[object, ...]:
    """Return an entry as the columns of `_ENTRY`."""
    # SQLite takes plain text faster than an enum.
    kind = entry.type.value
    return (entry.line, entry.order_id, entry.invoice_number, kind, entry.value, entry.body)


def _refused(told: RowProblem) -> RowProblem:
    return evolve(told, problem=evolve(told.problem, severity="refuse"))
