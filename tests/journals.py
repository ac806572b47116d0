"""Journals for tests: what goes in, all that is in one, and processes that die while they write."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from tests.canaries import DESCRIPTION, EMBEDDED
from tests.command_line import ROOT, TIMEOUT
from tests.factories import make_invoice, make_item
from vtex_invoice_async import InvoiceJob, InvoiceType, OrdersApi
from vtex_invoice_async.errors import JournalError
from vtex_invoice_async.jobs.header import Header
from vtex_invoice_async.jobs.job import Entry, Record, digest
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.jobs.store import Store
from vtex_invoice_async.outcome import State

HEADER: Final = Header(account="acme", origin="https://acme.example:443", family="oms")
NOW: Final = datetime(2026, 2, 1, 12, tzinfo=UTC)
STATES: Final = tuple(state for state in State if state is not State.INVALID)
"""Those that a journal has: what is invalid is in none."""


def make_entry(
    order_id: str = "1-01",
    number: str = "NFe1",
    *,
    line: int | None = None,
    orders_api: OrdersApi = OrdersApi.OMS,
    **changes: Any,
) -> Entry:
    # PII knows no XML, and only OMS what a line is called.
    personal: dict[str, object] = {}
    if orders_api is not OrdersApi.PII:
        personal["embedded_invoice"] = EMBEDDED
    if orders_api is OrdersApi.OMS:
        personal["items"] = [make_item(description=DESCRIPTION)]
    invoice = make_invoice(**{"invoice_number": number, **personal, **changes})
    return Entry.of(InvoiceJob(order_id=order_id, invoice=invoice), orders_api, line)


def make_entries(count: int, first: int = 1) -> list[Entry]:
    """One invoice for each of so many orders."""
    return [make_entry(f"{n}-01", f"NFe{n}", line=n) for n in range(first, first + count)]


def make_record(**changes: Any) -> Record:
    entry = make_entry()
    sound: dict[str, Any] = {
        "seq": 1,
        "change": 1,
        "run": 1,
        "order_id": entry.order_id,
        "invoice_number": entry.invoice_number,
        "type": InvoiceType.OUTPUT,
        "value": entry.value,
        "orders_api": entry.orders_api,
        "content": digest(entry.body),
        "body": entry.body,
    }
    return Record(**{**sound, **changes})


async def brought_to(journal: Journal, record: Record, state: State) -> Record:
    """Bring a planned record to *state* by the way that a run goes."""
    if state is State.PLANNED:
        return record
    if state is State.HELD:
        return await journal.settle(record, state)
    intent = await journal.intend(record, NOW)
    return intent if state is State.IN_DOUBT else await journal.settle(intent, state, since=NOW)


async def records_of(journal: Journal, *states: State) -> list[Record]:
    return [record async for record in journal.records(states or STATES)]


async def only_record(journal: Journal) -> Record:
    (record,) = await records_of(journal)
    return record


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def put(path: Path, content: bytes) -> None:
    """Make a file of the user's own that holds *content*."""
    path.touch(mode=0o600)
    path.write_bytes(content)


def is_there(path: Path) -> bool:
    return path.exists()


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def remove(path: Path) -> None:
    path.unlink()


def opened(path: Path, **options: Any) -> Journal:
    """A journal in a file."""
    return Journal(SqliteStore(path, **options), HEADER)


@frozen(kw_only=True)
class Seen:
    """All that a journal tells of its invoices, by every way that there is to ask for it."""

    header: Header | None
    records: tuple[Record, ...]
    by_order: tuple[tuple[Record, ...], ...]
    by_number: tuple[Record | None, ...]
    by_state: tuple[tuple[Record, ...], ...]
    places: tuple[tuple[tuple[int, str], ...], ...]
    counts: Counter[State]


async def seen_in(store: Store, asked: Iterable[Record] = ()) -> Seen:
    """Return all that an open store holds; *asked* are those to look for by name."""
    keys = [(record.order_id, record.invoice_number) for record in asked]
    return await store.read(
        lambda table: Seen(
            header=table.header(),
            records=tuple(table.records(None, 0, 1_000)),
            by_order=tuple(tuple(table.of_orders([order_id])) for order_id, _ in keys),
            by_number=tuple(table.find(*key) for key in keys),
            by_state=tuple(tuple(table.records(state, 0, 1_000)) for state in STATES),
            places=tuple(tuple(table.orders(state, None, 0, 1_000)) for state in STATES),
            counts=table.counts(None),
        )
    )


BROUGHT: Final = (State.PLANNED, State.CONFIRMED, State.REJECTED, State.HELD, State.IN_DOUBT)
"""Those to which `made` brings its invoices, one after another."""


async def made(path: Path, count: int) -> Seen:
    """Make a journal of so many invoices, in all kinds of states; return what is in it."""
    store = SqliteStore(path)
    async with Journal(store, HEADER) as journal:
        await journal.enter(make_entries(count), await journal.begin("send", {"rate": 5}, NOW))
        for record in await records_of(journal):
            await brought_to(journal, record, BROUGHT[record.seq % len(BROUGHT)])
        return await seen_in(store, await records_of(journal))


async def found_at(path: Path, asked: Iterable[Record]) -> Seen | None:
    """Return all that a journal tells; None where it is refused."""
    store = SqliteStore(path)
    try:
        async with Journal(store, HEADER):
            return await seen_in(store, asked)
    except JournalError:
        return None


def run_child(
    script: str, *arguments: object, patience: float = TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, to its end."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )
