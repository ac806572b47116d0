"""A store in memory that loses what was not synced, as a machine does: for simulations."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from attrs import define, evolve, field

from vtex_invoice_async.errors import JournalFailed
from vtex_invoice_async.jobs.header import Header
from vtex_invoice_async.jobs.job import Changes, Entry, Record, changed, digest
from vtex_invoice_async.jobs.samples import Sample
from vtex_invoice_async.jobs.store import Lease, Leases, RunRecord, Table, moved
from vtex_invoice_async.outcome import State

__all__ = ["Content", "MemoryStore"]

T = TypeVar("T")


@define
class Content:
    """All that a store keeps."""

    header: Header | None = None
    records: dict[int, Record] = field(factory=dict)
    runs: dict[int, RunRecord] = field(factory=dict)
    samples: list[Sample] = field(factory=list)
    changes: int = 0
    version: int = 0
    """How many pieces of work have made it what it is."""

    def copy(self) -> Content:
        """Return another with the same in it, for the next piece of work."""
        return evolve(
            self,
            records=dict(self.records),
            runs=dict(self.runs),
            samples=list(self.samples),
            version=self.version + 1,
        )


class MemoryStore:
    """Keeps records in memory.

    A change counts once *sync* has been awaited, which may take its time, and may raise `OSError`.
    `synced` is what a crash leaves: a new store that is made of it goes on from there.
    """

    name = None

    def __init__(
        self, synced: Content | None = None, *, sync: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.synced = Content() if synced is None else synced
        self._latest = self.synced
        self._sync = sync
        self._leases = Leases()
        self._notes: list[Callable[[Table], None]] = []
        self._failed = False

    async def open(self) -> None:
        """Do nothing: it is there."""

    async def aclose(self) -> None:
        """Do nothing: it stays."""

    async def change(self, work: Callable[[Table], T]) -> T:
        """Do *work* and sync it."""
        if self._failed:
            raise JournalFailed("the journal could not be synced before")
        draft = self._draft()
        result = work(_Table(draft, self._leases))
        self._latest = draft
        self._notes.clear()
        if self._sync is not None:
            try:
                await self._sync()
            except OSError as error:
                self._failed = True
                self._latest = self.synced
                raise JournalFailed(f"the journal cannot be synced: {error.strerror}") from None
        if draft.version > self.synced.version:
            self.synced = draft
        return result

    def move(
        self, record: Record, changes: Changes, lease: Lease | None = None
    ) -> asyncio.Future[Record]:
        """Change a record and sync it."""
        return asyncio.ensure_future(self.change(partial(moved, record, changes, lease)))

    async def read(self, work: Callable[[Table], T]) -> T:
        """Do *work*."""
        if self._notes:
            self._latest = self._draft()
            self._notes.clear()
        return work(_Table(self._latest, self._leases))

    def soon(self, work: Callable[[Table], None]) -> None:
        """Do *work* at once."""
        work(_Table(self._latest, self._leases))

    def note(self, work: Callable[[Table], None]) -> None:
        """Do *work* with what is asked for next; it is synced with the next change."""
        self._notes.append(work)

    def _draft(self) -> Content:
        draft = self._latest.copy()
        for work in self._notes:
            work(_Table(draft, self._leases))
        return draft


class _Table:
    def __init__(self, content: Content, leases: Leases) -> None:
        self._content = content
        self.lease = leases.lease
        self.give_back = leases.give_back

    def header(self) -> Header | None:
        return self._content.header

    def put_header(self, header: Header) -> None:
        self._content.header = header

    def find(self, order_id: str, invoice_number: str) -> Record | None:
        found = (r for r in self.of_orders([order_id]) if r.invoice_number == invoice_number)
        return next(found, None)

    def of_orders(self, order_ids: Collection[str]) -> Sequence[Record]:
        every = self._content.records.values()
        return [record for record in every if record.order_id in order_ids]

    def add(self, entries: Sequence[Entry], run: int) -> bool:
        known = {(r.order_id, r.invoice_number) for r in self._content.records.values()}
        if any((entry.order_id, entry.invoice_number) in known for entry in entries):
            return False
        for entry in entries:
            self._content.changes += 1
            seq = len(self._content.records) + 1
            self._content.records[seq] = _planned(entry, run, seq, self._content.changes)
        return True

    def change(self, record: Record, changes: Changes) -> Record | None:
        if self._content.records[record.seq].change != record.change:
            return None
        self._content.changes += 1
        found = Record(*changed(record, self._content.changes, changes))
        self._content.records[record.seq] = found
        return found

    def orders(
        self, state: State, run: int | None, after: int, most: int
    ) -> Sequence[tuple[int, str]]:
        found = self.records(state, after, len(self._content.records))
        return [(r.seq, r.order_id) for r in found if run is None or r.run == run][:most]

    def records(self, state: State | None, after: int, most: int) -> Sequence[Record]:
        every = self._content.records.values()
        return [r for r in every if r.seq > after and state in {None, r.state}][:most]

    def counts(self, run: int | None) -> Counter[State]:
        every = self._content.records.values()
        return Counter(r.state for r in every if run is None or r.run == run)

    def put_run(self, run: RunRecord) -> None:
        self._content.runs[run.id] = run

    def runs(self, most: int) -> Sequence[RunRecord]:
        return sorted(self._content.runs.values(), key=lambda run: -run.id)[:most]

    def add_sample(self, sample: Sample) -> None:
        self._content.samples.append(sample)

    def samples(self, run: int | None, after: int, most: int) -> Sequence[tuple[int, Sample]]:
        later = [*enumerate(self._content.samples, 1)][after:]
        return [(at, found) for at, found in later if run in {None, found.run}][:most]


def _planned(entry: Entry, run: int, seq: int, change: int) -> Record:
    return Record(
        seq=seq,
        change=change,
        run=run,
        order_id=entry.order_id,
        invoice_number=entry.invoice_number,
        type=entry.type,
        value=entry.value,
        orders_api=entry.orders_api,
        line=entry.line,
        content=digest(entry.body),
        body=entry.body,
    )
