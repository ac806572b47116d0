"""The journal: what was asked for, what may be on its way, and how it ended, across runs.

An intent is on disk before the first byte of a request leaves, and an outcome before anybody is
told of it. An intent that is found without an outcome is a doubt: the order is read, and nothing is
sent again.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, Unpack, cast
from uuid import uuid4

from attrs import evolve, frozen

from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import JournalBusy, JournalError
from vtex_invoice_async.jobs.clock import agree
from vtex_invoice_async.jobs.entering import Entered, enter
from vtex_invoice_async.jobs.header import Header, compare, header_for
from vtex_invoice_async.jobs.job import Changes, Entry, Facts, Record, is_begun
from vtex_invoice_async.jobs.reasons import NEEDY, Reason, Reasons
from vtex_invoice_async.jobs.samples import Sample
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.jobs.store import Lease, RunRecord, Store, Table
from vtex_invoice_async.outcome import State
from vtex_invoice_async.vocabulary import InvoiceType

__all__ = ["AT_ONCE", "Claim", "Journal"]

LEASE: Final = timedelta(minutes=10)
"""How long a claim holds without a sign of life: far longer than an attempt may take."""

AT_ONCE: Final = 64
"""Orders that are claimed, and records that are read, in one go."""

_PLACES: Final = {InvoiceType.OUTPUT: 0, InvoiceType.INPUT: 1}


@frozen(kw_only=True)
class Claim:
    """An order that its holder alone works on."""

    order_id: str
    at: int
    """The place of the record that it was claimed for."""

    records: tuple[Record, ...]
    """All of the order's, in the order in which they may be sent: Outputs before Inputs."""


class Journal:
    """What is known of each invoice of one account, in a file.

        async with Journal.open("invoices.db", config) as journal:
            summary = await run(client, jobs, journal)

    One process at a time may change it; entering raises `JournalBusy` where another one does,
    `JournalMismatch` where it belongs to another account, host or family of paths, and another
    `JournalError` where it cannot be trusted.
    """

    def __init__(self, store: Store, header: Header | None) -> None:
        self._store = store
        self._header = header
        self._holder = uuid4().hex
        self._claimed: set[str] = set()
        """Used by the store's own thread, if it has one, and nowhere else."""
        self._over: deque[str] = deque()
        """Orders that are to be given back, by whoever comes first."""
        self._is_giving_back = False
        self._is_running = False
        self._running: RunRecord | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str], config: ClientConfig) -> Self:
        """Return the journal at *path*, which is made where there is none, for a client of *config*.

        It is opened, checked row by row, and closed by `async with`; a folder that is missing is made.
        """
        header = header_for(config)
        return cls(SqliteStore(path, owner=header), header)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Return the journal at *path* for reading, which works beside a run; what is read is checked."""
        return cls(SqliteStore(path, reads_only=True), None)

    def __repr__(self) -> str:
        return f"<Journal {self._store.name or 'in memory'}>"

    @property
    def name(self) -> str | None:
        """Where it is; None where it is in memory."""
        return self._store.name

    async def __aenter__(self) -> Self:
        await self._store.open()
        # Where a disk failed, the last ones may never have been given back.
        self._claimed.clear()
        self._over.clear()
        self._is_giving_back = False
        try:
            await self._check_header()
        except BaseException:
            await self._store.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._store.aclose()

    def check_client(self, config: ClientConfig) -> None:
        """Raise `JournalMismatch` where a client of *config* sends other invoices than these."""
        if self._header is not None:
            compare(self._header, header_for(config))

    async def _check_header(self) -> None:
        found = await self._store.read(lambda table: table.header())
        if found is None:
            if self._header is None:
                raise JournalError(f"{self.name} holds nothing yet; `send` fills it")
            header = self._header
            await self._store.change(lambda table: table.put_header(header))
        elif self._header is not None:
            compare(found, self._header)
        self._header = found or self._header

    @property
    def header(self) -> Header:
        """Whose invoices it holds; known once it is open."""
        if self._header is None:
            raise JournalError("the journal is not open")
        return self._header

    async def begin(self, command: str, options: Mapping[str, Any], now: datetime) -> int:
        """Record that a run begins, and return its number; `end` it.

        Raises `JournalBusy` where another run of this journal has not ended.
        """
        if self._is_running:
            raise JournalBusy("another run of this journal goes on: wait for it")
        self._is_running = True

        def work(table: Table) -> RunRecord:
            last = table.runs(1)
            run = RunRecord(
                id=last[0].id + 1 if last else 1,
                command=command,
                started_at=_text(now),
                options=options,
            )
            table.put_run(run)
            return run

        try:
            self._running = await self._store.change(work)
        except BaseException:
            self._is_running = False
            raise
        return self._running.id

    async def end(self, counts: Mapping[str, Any] | None, now: datetime) -> None:
        """Give back what is claimed, and record how the run ended; without *counts*, it was cut."""
        running, self._running = self._running, None
        self._is_running = False
        await self.give_back_all()
        if running is not None and counts is not None:
            ended = evolve(running, ended_at=_text(now), counts=counts)
            await self._store.change(lambda table: table.put_run(ended))

    async def enter(self, entries: Iterable[Entry], run: int) -> Entered:
        """Take the entries of a plan into a *run*, all of them or, where that fails, none."""
        return await self._store.change(lambda table: enter(table, entries, run))

    async def reopen(self, now: datetime, *, all_: bool, clock: str | None = None) -> None:
        """Make what earlier runs left fit to go on from.

        An intent without an outcome becomes a doubt that dates from *now*: until then the process
        that wrote it may have been sending. It does not count as the one that an absence allows:
        likely nothing left, and absence has to be proven anew. Doubts date from *now* too where the
        run before had another *clock*, or none: one that came not so far has dated nothing. With
        *all_*, what was not sent or was held is planned again.
        """
        anew = (State.NOT_SENT, State.HELD) if all_ else ()
        running = None if self._running is None else evolve(self._running, clock=clock)

        def work(table: Table) -> None:
            before = table.runs(2)[1:]
            is_dated = not before or agree(before[0].clock, clock)
            if running is not None:
                table.put_run(running)
            for state in (State.IN_DOUBT, *anew):
                for record in _every(table, state):
                    if not table.lease(record.order_id, self._holder, now + LEASE, now):
                        continue  # somebody is at work on it
                    if state is not State.IN_DOUBT:
                        table.change(record, Changes(state=State.PLANNED))
                    elif record.since is None:
                        table.change(record, Changes(since=now, resent=False))
                    elif not is_dated:
                        table.change(record, Changes(since=now))
                    table.give_back(record.order_id, self._holder)

        await self._store.change(work)
        self._running = running

    async def claims(
        self, state: State, run: int | None, now: Callable[[], datetime]
    ) -> AsyncGenerator[Claim, None]:
        """Claim, one after another, the orders that have a record in *state*, of a run or of any.

        Each has to be given back; none is claimed by two at a time.
        """
        after = 0
        while found := await self._store.read(
            partial(self._claim, where=(state, run, after), now=now())
        ):
            after = found[-1].at
            for claim in found:
                yield claim

    def _claim(
        self, table: Table, where: tuple[State, int | None, int], now: datetime
    ) -> Sequence[Claim]:
        state, run, after = where
        until = now + LEASE
        while places := table.orders(state, run, after, AT_ONCE):
            after = places[-1][0]
            mine: dict[str, int] = {}
            for at, order_id in places:
                if order_id not in self._claimed and table.lease(
                    order_id, self._holder, until, now
                ):
                    self._claimed.add(order_id)
                    mine[order_id] = at
            if mine:
                return _claims(mine, table.of_orders(mine))
        return ()

    def give_back(self, claim: Claim) -> None:
        """End a claim; that counts for whatever is asked for later."""
        self._over.append(claim.order_id)
        if not self._is_giving_back:
            self._is_giving_back = True
            self._store.soon(self._give_back)

    def _give_back(self, table: Table) -> None:
        # In this order: what comes in meanwhile is given back now, or the next time.
        self._is_giving_back = False
        while self._over:
            order_id = self._over.popleft()
            self._claimed.discard(order_id)
            table.give_back(order_id, self._holder)

    async def give_back_all(self) -> None:
        """End all claims that were not given back."""

        def work(table: Table) -> None:
            for order_id in self._claimed:
                table.give_back(order_id, self._holder)
            self._claimed.clear()

        await self._store.read(work)

    def intend(self, record: Record, now: datetime) -> asyncio.Future[Record]:
        """Write down that an attempt begins; once this ends it may be made.

        It is written, and holds, whoever stops waiting for it. Ends with `JournalBusy` where somebody
        else has taken the order over: it must not be made.
        """
        changes = Changes(state=State.IN_DOUBT, attempts=record.attempts + 1)
        if record.since is not None:
            changes["since"] = None
        if record.state is State.ABSENT:
            changes["resent"] = True
        lease = Lease(self._holder, now + LEASE, now)
        return self._store.move(record, changes, lease)

    def settle(
        self, record: Record, state: State, **facts: Unpack[Facts]
    ) -> asyncio.Future[Record]:
        """Write down how it stands with an invoice, and *facts* as the record names them."""
        changes = Changes(state=state)
        if state is State.CONFIRMED:
            # What names people is kept as long as it may have to be sent.
            changes["body"] = None
        changes.update(cast("Changes", facts))
        return self._store.move(record, changes)

    async def counts(self, run: int | None = None) -> Counter[State]:
        """Count the invoices of a run, or all, by state."""
        return await self._store.read(lambda table: table.counts(run))

    async def records(self, states: Collection[State] = tuple(State)) -> AsyncIterator[Record]:
        """Yield the records in one of *states*, by their places; memory stays flat."""
        after = 0
        one = next(iter(states)) if len(states) == 1 else None
        while found := await self._store.read(partial(_page, state=one, after=after)):
            after = found[-1].seq
            for record in found:
                if record.state in states:
                    yield record

    async def reasons(self, run: int | None = None) -> Sequence[Reason]:
        """Return why invoices of a run, or any, are not confirmed; what was never begun has no reason."""
        reasons = Reasons()
        for state in NEEDY:
            async for record in self.records({state}):
                if run is None or record.run == run:
                    reasons.add(record)
        return reasons.found()

    async def find(self, order_id: str, invoice_number: str) -> Record | None:
        """Return what is known of one invoice, by the ids with which it was sent; None for nothing.

        `Record.state` says how it stands. The journal may be open for reading, beside a run.
        """
        return await self._store.read(lambda table: table.find(order_id, invoice_number))

    async def begun(self, order_id: str) -> frozenset[str]:
        """Return the numbers of an order's invoices that VTEX has, may have or may show."""
        records = await self._store.read(lambda table: table.of_orders([order_id]))
        return frozenset(record.invoice_number for record in records if is_begun(record))

    async def runs(self, most: int) -> Sequence[RunRecord]:
        """Return the last runs, the last one first."""
        return await self._store.read(lambda table: table.runs(most))

    def note(self, sample: Sample) -> None:
        """Keep what happened in a moment of a run, with what is written next; nothing waits for it."""
        self._store.note(lambda table: table.add_sample(sample))

    async def samples(self, run: int | None = None) -> AsyncIterator[Sample]:
        """Yield what happened from moment to moment, in a run or in all; memory stays flat."""
        after = 0
        while found := await self._store.read(lambda table: table.samples(run, after, AT_ONCE)):  # noqa: B023
            after = found[-1][0]
            for _, sample in found:
                yield sample


def _text(now: datetime) -> str:
    return now.isoformat(timespec="seconds")


def _place(record: Record) -> tuple[int, int]:
    return _PLACES[record.type], record.seq


def _claims(places: Mapping[str, int], records: Iterable[Record]) -> Sequence[Claim]:
    """Return what was claimed, each at its place, with its records."""
    of_order: dict[str, list[Record]] = {order_id: [] for order_id in places}
    for record in records:
        of_order[record.order_id].append(record)
    return [
        Claim(order_id=order_id, at=places[order_id], records=tuple(sorted(found, key=_place)))
        for order_id, found in of_order.items()
    ]


def _page(table: Table, state: State | None, after: int) -> Sequence[Record]:
    return table.records(state, after, AT_ONCE)


def _every(table: Table, state: State) -> Iterable[Record]:
    after = 0
    while found := table.records(state, after, AT_ONCE):
        after = found[-1].seq
        yield from found
