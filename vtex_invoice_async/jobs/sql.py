"""The records of a journal in SQL: one row an invoice, with a digest that tells when it was altered."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any, Final

import orjson

from vtex_invoice_async.errors import JournalDamaged
from vtex_invoice_async.jobs.header import Header
from vtex_invoice_async.jobs.job import AT, COLUMNS, Changes, Entry, Record, changed, digest
from vtex_invoice_async.jobs.samples import Sample
from vtex_invoice_async.jobs.store import Leases, RunRecord
from vtex_invoice_async.outcome import State
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

__all__ = ["ADDED", "SCHEMA", "SqliteTable", "Value"]

Value = str | int | float | bytes | None

SCHEMA: Final = """
CREATE TABLE header (
  account TEXT NOT NULL,
  origin TEXT NOT NULL,
  family TEXT NOT NULL,
  digest BLOB NOT NULL
) STRICT;
CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  command TEXT NOT NULL,
  started_at TEXT NOT NULL,
  ended_at TEXT,
  clock TEXT,
  options TEXT NOT NULL,
  counts TEXT,
  digest BLOB NOT NULL
) STRICT;
CREATE TABLE invoice (
  seq INTEGER PRIMARY KEY,
  change INTEGER NOT NULL,
  run INTEGER NOT NULL,
  order_id TEXT NOT NULL,
  invoice_number TEXT NOT NULL,
  type TEXT NOT NULL,
  value INTEGER NOT NULL,
  orders_api TEXT NOT NULL,
  line INTEGER,
  content BLOB NOT NULL,
  body BLOB,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  resent INTEGER NOT NULL,
  since TEXT,
  status INTEGER,
  code TEXT,
  message TEXT,
  confirmed_by TEXT,
  receipt TEXT,
  date TEXT,
  digest BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX invoice_key ON invoice (order_id, invoice_number);
CREATE INDEX invoice_state ON invoice (state, seq);
"""
"""Of the first version."""

ADDED: Final[Mapping[int, str]] = {
    2: """
CREATE TABLE sample (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  at TEXT NOT NULL,
  seconds REAL NOT NULL,
  facts TEXT NOT NULL,
  digest BLOB NOT NULL
) STRICT;
""",
}
"""What later versions added, each in one statement."""

_BODY: Final = AT["body"]
_CONTENT: Final = AT["content"]
_LINE: Final = AT["line"]
_TYPE: Final = AT["type"]
_API: Final = AT["orders_api"]
_STATE: Final = AT["state"]
_RESENT: Final = AT["resent"]
_SINCE: Final = AT["since"]
_ALL: Final = ", ".join((*COLUMNS, "digest"))
_SELECT: Final = f"SELECT {_ALL} FROM invoice"  # noqa: S608  made of our own names, as all of these
_INSERT: Final = (
    f"INSERT INTO invoice ({_ALL}) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608
    " ON CONFLICT (order_id, invoice_number) DO NOTHING"
)
# SQLite takes plain text faster than an enum.
_TEXT: Final = {word: str(word) for kind in (InvoiceType, OrdersApi, State) for word in kind}
_TYPES: Final = {str(kind): kind for kind in InvoiceType}
_DIALECTS: Final = {str(orders_api): orders_api for orders_api in OrdersApi}
_STATES: Final = {str(state): state for state in State}
_PLANNED: Final = str(State.PLANNED)


@cache
def _update(names: tuple[str, ...]) -> str:
    """Return how columns of a row are changed: what names its invoice never is."""
    given = ", ".join(f"{name} = ?" for name in (*names, "change", "digest"))
    return f"UPDATE invoice SET {given} WHERE seq = ? AND change = ?"  # noqa: S608


class SqliteTable(Leases):
    """The records in a SQLite database, inside of one transaction."""

    def __init__(self, connection: sqlite3.Connection, *, keeps_samples: bool = True) -> None:
        super().__init__()
        self.keeps_samples = keeps_samples
        """Whether it is of a version that does."""
        self._connection = connection
        self.last_seq = 0
        self.last_change = 0

    def verify(self) -> None:
        """Read all that there is and compare it with its digests; find out how far it came."""
        self.header()
        for _ in self._each_run():
            pass
        for _ in self._each_sample(0):
            pass
        for row in self._connection.execute(f"{_SELECT} ORDER BY seq"):
            record = _record(row)
            # None is ever removed.
            if record.seq != self.last_seq + 1:
                raise _altered(f"row {self.last_seq + 1}")
            self.last_seq = record.seq
            self.last_change = max(self.last_change, record.change)

    def header(self) -> Header | None:
        row = self._connection.execute("SELECT * FROM header").fetchone()
        if row is None:
            return None
        account, origin, family = _unsealed(row, "the header")
        return Header(account=account, origin=origin, family=family)

    def put_header(self, header: Header) -> None:
        values = _sealed((header.account, header.origin, header.family))
        self._connection.execute("INSERT INTO header VALUES (?, ?, ?, ?)", values)

    def find(self, order_id: str, invoice_number: str) -> Record | None:
        where = f"{_SELECT} WHERE order_id = ? AND invoice_number = ?"
        row = self._connection.execute(where, (order_id, invoice_number)).fetchone()
        return None if row is None else _record(row)

    def of_orders(self, order_ids: Collection[str]) -> Sequence[Record]:
        which = "order_id IN (SELECT value FROM json_each(?))"
        rows = self._connection.execute(
            f"{_SELECT} WHERE {which} ORDER BY seq", (orjson.dumps([*order_ids]).decode(),)
        )
        return [_record(row) for row in rows]

    def add(self, entries: Sequence[Entry], run: int) -> bool:
        seq, change = self.last_seq, self.last_change
        rows = [_planned(e, run, seq + n, change + n) for n, e in enumerate(entries, 1)]
        self._connection.execute("SAVEPOINT adding")
        is_new = self._connection.executemany(_INSERT, rows).rowcount == len(rows)
        if is_new:
            self.last_seq, self.last_change = seq + len(rows), change + len(rows)
        else:
            self._connection.execute("ROLLBACK TO adding")
        self._connection.execute("RELEASE adding")
        return is_new

    def change(self, record: Record, changes: Changes) -> Record | None:
        values = changed(record, self.last_change + 1, changes)
        new = Record(*values)
        sealed = _digest(_as_text(values))
        names = tuple(changes)
        row = [values[AT[name]] for name in names]
        done = self._connection.execute(
            _update(names), (*row, new.change, sealed, record.seq, record.change)
        )
        if done.rowcount != 1:
            return None
        self.last_change += 1
        return new

    def orders(
        self, state: State, run: int | None, after: int, most: int
    ) -> Sequence[tuple[int, str]]:
        found = "SELECT seq, order_id FROM invoice WHERE state = ? AND seq > ?"
        if run is None:
            rows = self._connection.execute(f"{found} ORDER BY seq LIMIT ?", (state, after, most))
        else:
            rows = self._connection.execute(
                f"{found} AND run = ? ORDER BY seq LIMIT ?", (state, after, run, most)
            )
        return rows.fetchall()

    def records(self, state: State | None, after: int, most: int) -> Sequence[Record]:
        where = "" if state is None else "state = :state AND"
        rows = self._connection.execute(
            f"{_SELECT} WHERE {where} seq > :after ORDER BY seq LIMIT :most",
            {"state": state, "after": after, "most": most},
        )
        return [_record(row) for row in rows]

    def counts(self, run: int | None) -> Counter[State]:
        where, values = ("", ()) if run is None else ("WHERE run = ?", (run,))
        found = f"SELECT state, count(*) FROM invoice {where} GROUP BY state"  # noqa: S608
        rows = self._connection.execute(found, values).fetchall()
        try:
            return Counter({State(state): n for state, n in rows})
        except ValueError:
            # Who only reads has not had each row checked.
            raise _altered("the state of a row") from None

    def put_run(self, run: RunRecord) -> None:
        values = (
            *(run.id, run.command, run.started_at, run.ended_at, run.clock),
            orjson.dumps(run.options).decode(),
            None if run.counts is None else orjson.dumps(run.counts).decode(),
        )
        self._connection.execute(
            "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _sealed(values)
        )

    def runs(self, most: int) -> Sequence[RunRecord]:
        return list(islice(self._each_run(), most))

    def _each_run(self) -> Iterator[RunRecord]:
        for row in self._connection.execute("SELECT * FROM run ORDER BY id DESC"):
            yield _run(_unsealed(row, f"run {row[0]}"))

    def add_sample(self, sample: Sample) -> None:
        (last,) = self._connection.execute("SELECT ifnull(max(id), 0) FROM sample").fetchone()
        facts = orjson.dumps(sample.facts).decode()
        values = (last + 1, sample.run, sample.at.isoformat(), float(sample.seconds), facts)
        self._connection.execute("INSERT INTO sample VALUES (?, ?, ?, ?, ?, ?)", _sealed(values))

    def samples(self, run: int | None, after: int, most: int) -> Sequence[tuple[int, Sample]]:
        every = self._each_sample(after)
        return list(islice((found for found in every if run in {None, found[1].run}), most))

    def _each_sample(self, after: int) -> Iterator[tuple[int, Sample]]:
        if not self.keeps_samples:
            return
        where = "SELECT * FROM sample WHERE id > ? ORDER BY id"
        for row in self._connection.execute(where, (after,)):
            yield row[0], _sample(_unsealed(row, f"sample {row[0]}"))


def _sealed(values: Sequence[Value]) -> tuple[Value, ...]:
    """Return *values* with their digest."""
    return (*values, digest(orjson.dumps(values)))


def _unsealed(row: Sequence[Any], name: str) -> Sequence[Any]:
    """Return the values of a row; raise `JournalDamaged` where they are not what was written."""
    *values, kept = row
    try:
        found = digest(orjson.dumps(values))
    except TypeError:  # bytes in place of text
        raise _altered(name) from None
    if found != kept:
        raise _altered(name)
    return values


def _run(row: Sequence[Any]) -> RunRecord:
    id_, command, started_at, ended_at, clock, options, counts = row
    return RunRecord(
        id=id_,
        command=command,
        started_at=started_at,
        ended_at=ended_at,
        clock=clock,
        options=orjson.loads(options),
        counts=None if counts is None else orjson.loads(counts),
    )


def _sample(row: Sequence[Any]) -> Sample:
    _, run, at, seconds, facts = row
    return Sample.of(run, datetime.fromisoformat(at), seconds, orjson.loads(facts))


def _planned(entry: Entry, run: int, seq: int, change: int) -> tuple[Value, ...]:
    """Return an entry as a new row, with its digest; in the order of the columns."""
    values: list[Value] = [
        *(seq, change, run, entry.order_id, entry.invoice_number, _TEXT[entry.type], entry.value),
        *(_TEXT[entry.orders_api], digest(entry.body), entry.line, entry.body),
        *(_PLANNED, 0, 0, None, None, None, None, None, None, None),
    ]
    return (*values, _digest(values))


def _as_text(values: list[Any]) -> list[Any]:
    """Write what a record is made of as SQLite keeps it, in place."""
    values[_TYPE] = _TEXT[values[_TYPE]]
    values[_API] = _TEXT[values[_API]]
    values[_STATE] = _TEXT[values[_STATE]]
    values[_RESENT] = int(values[_RESENT])
    if values[_SINCE] is not None:
        values[_SINCE] = values[_SINCE].isoformat()
    return values


def _digest(values: Sequence[Value]) -> bytes:
    # The body has a digest of its own, in `content`; of a body only that it is there counts here.
    content, body = values[_CONTENT], values[_BODY]
    assert isinstance(content, bytes)  # noqa: S101  for the type checker
    seen = (*values[:_CONTENT], values[_LINE], *values[_BODY + 1 :], body is None)
    return digest(orjson.dumps(seen) + content)


def _record(row: Sequence[Any]) -> Record:
    """Return the record of a row; raise `JournalDamaged` where it is not what was written."""
    values = list(row)
    kept = values.pop()
    try:
        body, content = values[_BODY], values[_CONTENT]
        if _digest(values) == kept and (not isinstance(body, bytes) or digest(body) == content):
            values[_TYPE] = _TYPES[values[_TYPE]]
            values[_API] = _DIALECTS[values[_API]]
            values[_STATE] = _STATES[values[_STATE]]
            values[_RESENT] = bool(values[_RESENT])
            if values[_SINCE] is not None:
                values[_SINCE] = datetime.fromisoformat(values[_SINCE])
            return Record(*values)
    except (ValueError, TypeError, KeyError, AssertionError):
        pass
    raise _altered(f"row {row[0]!r}")


def _altered(name: str) -> JournalDamaged:
    return JournalDamaged(f"{name} of the journal is not what was written; restore it")
