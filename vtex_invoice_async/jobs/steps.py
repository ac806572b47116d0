"""The steps that a run takes with one invoice, each of which is on disk when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, Unpack

from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.errors import (
    CallError,
    ConfigError,
    InvalidInvoice,
    InvoiceAbsent,
    InvoiceConflict,
    JournalError,
    NotAuthorized,
    NotSent,
    OutcomeUnknown,
    Rejected,
    printable,
)
from vtex_invoice_async.jobs.events import Event, Lost, Moved
from vtex_invoice_async.jobs.job import Facts, Record
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.progress import Progress
from vtex_invoice_async.models import Receipt
from vtex_invoice_async.operations import NotifyInvoice, NotifyReady
from vtex_invoice_async.outcome import State, state_of
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import InvoiceType

__all__ = ["Steps"]

LONGEST_PAUSE: Final = timedelta(seconds=60)
"""Between asking for an intent and its being on disk: if it was longer, the computer slept."""

LONGEST_REASON: Final = 500
"""Characters of why an invoice was refused here."""


class Steps:
    """Takes steps with a client, and writes them down.

    *watch* is told where an invoice got, and *learn* of the errors on the way.
    """

    def __init__(
        self,
        client: VtexInvoiceClient,
        journal: Journal,
        progress: Progress,
        watch: Callable[[Event], None],
        learn: Callable[[CallError | ConfigError], None],
    ) -> None:
        self.proven: set[int] = set()
        """Places of those whose absence a read of this run has proven."""
        self.left: set[int] = set()
        """Places of those that this round can do no more for."""
        self._client = client
        self._journal = journal
        self._progress = progress
        self._watch = watch
        self._learn = learn
        self._refused: set[int] = set()
        """Places of those that VTEX refused when they were sent once more."""
        self._searches: set[asyncio.Task[Receipt]] = set()

    async def send(self, record: Record, *, is_checked: bool = False) -> Record:
        """Send an invoice, and return it as it is then; as it was where it did not begin.

        One that *is_checked* came in with this run, and is not checked against the rules again.
        """
        intents = _Intents(self, record)
        try:
            ready = _ready(record, is_checked=is_checked)
            receipt = await self._client.notify_journaled(ready, intend=intents.begin)
        except (CallError, ConfigError) as error:
            latest = await intents.latest()
            # Others may have waited to be tried again since they were answered.
            if isinstance(error, Rejected) and latest is not record:
                self._progress.tally.answer(intents.seconds)
            self._learn(error)
            return await self._failed(record, latest, error)
        except InvalidInvoice as error:
            return await self._refused_here(record, error)
        self._progress.hear()
        self._progress.tally.answer(intents.seconds)
        return await self._confirm(await intents.latest(), receipt)

    def intend(self, record: Record) -> tuple[datetime, asyncio.Future[Record]]:
        """Have an intent written down; return when that was asked, and what ends once it is."""
        if self._progress.sends_are_over:
            raise ConfigError("the run has stopped")
        asked = self._client.now()
        return asked, self._journal.intend(record, asked)

    def count_intent(self, before: Record) -> None:
        """Count an invoice that is on its way now."""
        self._progress.move(before.state, State.IN_DOUBT)
        self._progress.tally.attempts += 1
        self._progress.in_flight += not _is_in_flight(before)

    def has_slept(self, asked: datetime) -> bool:
        """Whether the computer has, since that time: who did looks again before a byte leaves."""
        return self._client.now() - asked >= LONGEST_PAUSE

    async def _refused_here(self, record: Record, error: InvalidInvoice) -> Record:
        """Write down why an invoice was not begun: an earlier version took what is refused now."""
        state = State.REJECTED
        if record.state is State.ABSENT:
            state = State.ABSENT
            self.left.add(record.seq)
        facts = Facts(
            status=None,
            code=error.problems[0].code,
            message=printable(str(error), LONGEST_REASON),
        )
        return await self._settle(record, state, error, **facts)

    async def _failed(
        self, before: Record, latest: Record, error: CallError | ConfigError
    ) -> Record:
        """Write down what an error proves of an invoice that was *latest* intended, if it was."""
        facts = _facts(error)
        for_who = isinstance(error, NotAuthorized)
        # What was absent and is sent again may be refused because VTEX has the first one.
        settles_nothing = (
            isinstance(error, Rejected) and before.state is State.ABSENT and not for_who
        )
        if isinstance(error, OutcomeUnknown) or settles_nothing:
            doubt = error.doubt if isinstance(error, OutcomeUnknown) else None
            facts["since"] = self._client.now() if doubt is None else doubt.since
            if settles_nothing:
                self._refused.add(before.seq)
            return await self._settle(latest, State.IN_DOUBT, error, **facts)
        begun = latest is not before
        if before.state is State.ABSENT:
            self.left.add(before.seq)
            facts["resent"] = before.resent
            return await self._settle(latest, State.ABSENT, error, **facts) if begun else before
        if begun or (isinstance(error, NotSent) and error.attempts):
            # With other credentials it may go; a 403 can be about what it is, as a return.
            is_anyones = isinstance(error, NotAuthorized) and error.status == 401
            state = State.NOT_SENT if is_anyones else state_of(error)
            return await self._settle(latest, state, error, **facts)
        return before

    async def resolve(self, record: Record, patience: float | None) -> Record:
        """Read an order for *patience* seconds, or until it is known; return what it shows of it."""
        doubt = record.doubt(record.since or self._client.now())
        search = asyncio.ensure_future(self._client.resolve(doubt, patience=patience))
        self._searches.add(search)
        try:
            receipt = await search
        except InvoiceAbsent as error:
            self.proven.add(record.seq)
            # Neither was applied: what VTEX said to the second stands.
            state = State.REJECTED if record.seq in self._refused else State.ABSENT
            return await self._settle(record, state, error, since=doubt.since)
        except InvoiceConflict as error:
            return await self._settle(record, State.CONFLICT, error)
        except ConfigError:
            self.left.add(record.seq)
            return record
        except OutcomeUnknown as error:
            self.left.add(record.seq)
            if error.status in {401, 403}:
                self._learn(error)
            if patience is None:
                self._watch(Moved(record=record, error=error))
            return record
        except asyncio.CancelledError:
            if not search.cancelled() or _is_being_cancelled():
                raise
            return record
        finally:
            search.cancel()
            self._searches.discard(search)
        return await self._confirm(record, receipt)

    async def _confirm(self, record: Record, receipt: Receipt) -> Record:
        confirmed = await self._settle(
            record,
            State.CONFIRMED,
            since=None,
            status=None,
            code=None,
            message=None,
            confirmed_by=receipt.confirmed_by,
            receipt=receipt.receipt,
            date=receipt.raw_date,
        )
        self._progress.confirmed_by_order += receipt.confirmed_by == "order"
        return confirmed

    async def _settle(
        self,
        record: Record,
        state: State,
        error: CallError | ConfigError | InvalidInvoice | None = None,
        **facts: Unpack[Facts],
    ) -> Record:
        try:
            settled = await self._journal.settle(record, state, **facts)
        except JournalError:
            with suppress(Exception):  # what keeps it from being written down goes first
                self._watch(Lost(record=record, state=state, facts=facts))
            raise
        self._progress.move(record.state, state)
        self._count(record, state)
        self._watch(Moved(record=settled, error=error))
        return settled

    def _count(self, before: Record, state: State) -> None:
        """Count an invoice that is in *state* now; what was only on its way was no doubt yet."""
        was_in_flight = _is_in_flight(before)
        self._progress.in_flight -= was_in_flight
        if state is State.IN_DOUBT:
            self._progress.tally.doubts_opened += 1
        elif before.state is State.IN_DOUBT and not was_in_flight:
            self._progress.tally.doubts_settled += 1

    async def hold(self, record: Record, order: Iterable[Record]) -> Record:
        """Hold an invoice back, for another one of its *order* is not confirmed."""
        waits_for = next(
            other
            for other in order
            if other.seq != record.seq
            and (other.type is InvoiceType.OUTPUT or other.state is State.IN_DOUBT)
            and other.state is not State.CONFIRMED
        )
        told = (
            f"it waits for invoice {waits_for.invoice_number}, which is {waits_for.state}; "
            "`resume` sends it once that is confirmed"
        )
        return await self._settle(record, State.HELD, message=told)

    def end_searches(self) -> None:
        """Look for nothing any more: what is in doubt stays so."""
        for search in self._searches:
            search.cancel()


class _Intents:
    """The intents of the attempts of one call, and the invoice as the last of them left it."""

    __slots__ = ("_is_written", "_record", "_steps", "_waiter", "_writing", "_written_at")

    def __init__(self, steps: Steps, record: Record) -> None:
        self._steps = steps
        self._record = record
        self._writing: asyncio.Future[Record] | None = None
        self._is_written = False
        self._waiter: asyncio.Future[None] | None = None
        self._written_at = 0.0

    @property
    def seconds(self) -> float:
        """How long ago the last of them was on disk: it may leave since."""
        return asyncio.get_running_loop().time() - self._written_at

    async def latest(self) -> Record:
        """Return the invoice as it is on disk, once it is there."""
        if self._writing is None:
            return self._record
        if not self._is_written:
            # An attempt that loses patience here is over, and what is written is written.
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._writing.result()

    async def begin(self) -> None:
        """Have an attempt written down, as an *intend* of the client's."""
        while True:
            if self._writing is not None:
                self._record = await self.latest()
            asked, self._writing = self._steps.intend(self._record)
            self._is_written = False
            self._writing.add_done_callback(self._end)
            await self.latest()
            if not self._steps.has_slept(asked):
                return

    def _end(self, writing: asyncio.Future[Record]) -> None:
        """Count what was written, whoever waits for it, and tell who does."""
        self._is_written = True
        self._written_at = writing.get_loop().time()
        if not writing.cancelled() and writing.exception() is None:
            self._steps.count_intent(self._record)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _ready(record: Record, *, is_checked: bool) -> NotifyReady:
    """Return what is to be sent; raise `InvalidInvoice` where it is not taken any more."""
    content = record.body
    if not is_checked:
        # What is checked is sent: an earlier version may have written it otherwise.
        job = record.job
        operation = NotifyInvoice(order_id=job.order_id, invoice=job.invoice)
        content = encode(operation, record.orders_api).body
    return NotifyReady(
        order_id=record.order_id,
        invoice_number=record.invoice_number,
        type=record.type,
        value=record.value,
        orders_api=record.orders_api,
        content=content or b"",
    )


def _facts(error: CallError | ConfigError) -> Facts:
    if isinstance(error, ConfigError):
        return {}
    # Where VTEX said nothing, ours are the only words that tell why.
    told = error.message or printable(error.reason, LONGEST_REASON)
    return {"status": error.status, "code": error.code, "message": told}


def _is_in_flight(record: Record) -> bool:
    return record.state is State.IN_DOUBT and record.since is None


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
