"""Where a journal keeps its records: what any kind of store has to offer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from attrs import frozen

from vtex_invoice_async.errors import JournalBusy, JournalError
from vtex_invoice_async.jobs.header import Header
from vtex_invoice_async.jobs.job import TRANSITIONS, Changes, Entry, Record
from vtex_invoice_async.jobs.samples import Sample
from vtex_invoice_async.outcome import State

__all__ = ["Lease", "Leases", "RunRecord", "Store", "Table", "moved"]

T = TypeVar("T")


@frozen(kw_only=True)
class RunRecord:
    """A run over the journal. Times are for people: ISO 8601, UTC."""

    id: int
    command: str
    started_at: str
    ended_at: str | None = None
    clock: str | None = None
    """By which its times can be compared with those of another run."""

    options: Mapping[str, Any]
    counts: Mapping[str, Any] | None = None


class Lease(NamedTuple):
    """That *holder* alone works on an order until a time."""

    holder: str
    until: datetime
    now: datetime


class Table(Protocol):
    """The records, inside of one transaction."""

    def header(self) -> Header | None:
        """Return whose they are; None of a new journal."""
        ...

    def put_header(self, header: Header) -> None:
        """Say whose they are."""
        ...

    def find(self, order_id: str, invoice_number: str) -> Record | None:
        """Return the record of an invoice."""
        ...

    def of_orders(self, order_ids: Collection[str]) -> Sequence[Record]:
        """Return the records of some orders, by their places."""
        ...

    def add(self, entries: Sequence[Entry], run: int) -> bool:
        """Plan *entries* for a run; False, and none is added, where an invoice is known already."""
        ...

    def change(self, record: Record, changes: Changes) -> Record | None:
        """Change a record, and return what it is then; None where it is no longer what it was."""
        ...

    def orders(
        self, state: State, run: int | None, after: int, most: int
    ) -> Sequence[tuple[int, str]]:
        """Return places and orders of records in *state*, of a run or of all, that come *after*."""
        ...

    def records(self, state: State | None, after: int, most: int) -> Sequence[Record]:
        """Return records, in a state or in any, that come *after* a place."""
        ...

    def counts(self, run: int | None) -> Counter[State]:
        """Count the records of a run, or all, by state."""
        ...

    def lease(self, order_id: str, holder: str, until: datetime, now: datetime) -> bool:
        """Let *holder* alone work on an order until a time; False where another one does.

        Its holder makes it last longer by asking again.
        """
        ...

    def give_back(self, order_id: str, holder: str) -> None:
        """End a lease of *holder*'s."""
        ...

    def put_run(self, run: RunRecord) -> None:
        """Keep a run, in the place of the one with its id if there is one."""
        ...

    def runs(self, most: int) -> Sequence[RunRecord]:
        """Return the last runs, the last one first."""
        ...

    def add_sample(self, sample: Sample) -> None:
        """Keep what happened in a moment of a run."""
        ...

    def samples(self, run: int | None, after: int, most: int) -> Sequence[tuple[int, Sample]]:
        """Return places and samples, of a run or of all, that come *after* a place."""
        ...


class Store(Protocol):
    """A table and its transactions."""

    @property
    def name(self) -> str | None:
        """Where it is, for people; None where it is nowhere."""
        ...

    async def open(self) -> None:
        """Open it; raise a `JournalError` where it cannot be used."""
        ...

    async def aclose(self) -> None:
        """Close it, once what was asked of it is done."""
        ...

    async def change(self, work: Callable[[Table], T]) -> T:
        """Do *work* in a transaction and return when that is on disk.

        Raises `JournalFailed` where it cannot be written, and from then on always.
        """
        ...

    def move(
        self, record: Record, changes: Changes, lease: Lease | None = None
    ) -> asyncio.Future[Record]:
        """Change a record, in one transaction with all that wait; this ends once it is on disk.

        With a *lease*, that is asked for first. It is done even where nobody waits for it any more.
        Ends with `JournalBusy` where somebody else has taken the order over, and else as a change
        does.
        """
        ...

    async def read(self, work: Callable[[Table], T]) -> T:
        """Do *work* that changes nothing but leases."""
        ...

    def soon(self, work: Callable[[Table], None]) -> None:
        """Do *work* that changes nothing but leases before whatever is asked for next."""
        ...

    def note(self, work: Callable[[Table], None]) -> None:
        """Do *work* in one transaction with what is asked for next; nobody hears what becomes of it."""
        ...


def moved(record: Record, changes: Changes, lease: Lease | None, table: Table) -> Record:
    """Make a move, and return what the record is then; what raises has changed nothing."""
    if lease is not None:
        holder, until, now = lease
        if not table.lease(record.order_id, holder, until, now):
            raise _taken_over(record)
    state = changes.get("state", record.state)
    if state not in TRANSITIONS[record.state]:
        told = f"invoice {record.invoice_number} is {record.state}: not to be {state}; read it anew"
        raise JournalError(told)
    found = table.change(record, changes)
    if found is None:
        raise _taken_over(record)
    return found


def _taken_over(record: Record) -> JournalBusy:
    return JournalBusy(
        f"another worker has taken over order {record.order_id}: leave it to that one"
    )


class Leases:
    """The leases of a store that serves one process: they end with it, and are kept nowhere."""

    def __init__(self) -> None:
        self._leases: dict[str, tuple[str, datetime]] = {}

    def lease(self, order_id: str, holder: str, until: datetime, now: datetime) -> bool:
        """Let *holder* alone work on an order until a time; False where another one does."""
        theirs, end = self._leases.get(order_id, (holder, until))
        if theirs != holder and end > now:
            return False
        self._leases[order_id] = (holder, until)
        return True

    def give_back(self, order_id: str, holder: str) -> None:
        """End a lease of *holder*'s."""
        if self._leases.get(order_id, ("", None))[0] == holder:
            del self._leases[order_id]
