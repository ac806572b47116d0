"""A store in memory that loses what was not synced, as a machine does: for simulations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from attrs import define, evolve, field

from vtex_invoice_async.errors import JournalFailed
from vtex_invoice_async.jobs.job import Record
from vtex_invoice_async.jobs.store import Header, Leases, RunRecord, Table
from vtex_invoice_async.outcome import State

__all__ = ["Content", "MemoryStore"]

T = TypeVar("T")


@define
class Content:
    """All that a store keeps."""

    header: Header | None = None
    records: dict[int, Record] = field(factory=dict)
    runs: dict[int, RunRecord] = field(factory=dict)
    changes: int = 0
    version: int = 0
    """How many pieces of work have made it what it is."""

    def copy(self) -> Content:
        """Return another with the same in it, for the next piece of work."""
        return evolve(
            self, records=dict(self.records), runs=dict(self.runs), version=self.version + 1
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
        self._failed = False

    async def open(self) -> None:
        """Do nothing: it is there."""

    async def aclose(self) -> None:
        """Do nothing: it stays."""

    async def change(self, work: Callable[[Table], T]) -> T:
        """Do *work* and sync it."""
        if self._failed:
            raise JournalFailed("the journal could not be synced before")
        draft = self._latest.copy()
        result = work(_Table(draft, self._leases))
        self._latest = draft
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

    async def read(self, work: Callable[[Table], T]) -> T:
        """Do *work*."""
        return work(_Table(self._latest, self._leases))


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
        found = (r for r in self.of_order(order_id) if r.invoice_number == invoice_number)
        return next(found, None)

    def of_order(self, order_id: str) -> Sequence[Record]:
        return [record for record in self._content.records.values() if record.order_id == order_id]

    def add(self, record: Record) -> None:
        self._put(record, len(self._content.records) + 1)

    def replace(self, old: Record, new: Record) -> Record | None:
        if self._content.records[old.seq].change != old.change:
            return None
        return self._put(new, old.seq)

    def _put(self, record: Record, seq: int) -> Record:
        self._content.changes += 1
        record = evolve(record, seq=seq, change=self._content.changes)
        self._content.records[seq] = record
        return record

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
