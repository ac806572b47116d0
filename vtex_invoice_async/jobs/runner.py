"""Runs over a journal: each invoice is taken on to where it can be left, and nothing is lost.

A run goes over its invoices in two rounds. In the first they are sent, and what is in doubt is
looked for beside the sending. In the second, doubts are waited out to the end of the settle window,
and an Output that VTEX does not have is sent once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Unpack

from attrs import define

from vtex_invoice_async.bulk import Later, work_through
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.errors import (
    CallError,
    ConfigError,
    InvoiceAbsent,
    InvoiceConflict,
    JournalError,
    JournalFailed,
    NotSent,
    OutcomeUnknown,
    Rejected,
)
from vtex_invoice_async.jobs.events import Event, Lost, Moved, Refused, Stopped
from vtex_invoice_async.jobs.job import FINAL, Facts, Record, Round, Step, next_step
from vtex_invoice_async.jobs.journal import Claim, Journal
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.progress import Progress
from vtex_invoice_async.jobs.summary import Summary
from vtex_invoice_async.models import Receipt
from vtex_invoice_async.outcome import State, state_of

__all__ = ["Runner"]

LONGEST_PAUSE: Final = timedelta(seconds=60)
"""Between asking for an intent and its being on disk: if it was longer, the computer slept."""

SEARCHES: Final = 1_024
"""Orders that the second round works on at once: most of them only wait."""


@define(eq=False)
class _Story:
    """An order, and how far a run has come with its invoices."""

    claim: Claim
    records: list[Record]
    at: int = 0


class Runner:
    """One run of a client over a journal; *watch* is told of it as it goes.

    It ends by itself, by `stop`, or by what it cannot go on from, which is its `failure`. However
    it ends there is a summary, whose counts are those of the journal.
    """

    def __init__(
        self,
        client: VtexInvoiceClient,
        journal: Journal,
        *,
        resend_input: bool = False,
        watch: Callable[[Event], None] = lambda _: None,
    ) -> None:
        journal.check_client(client.config)
        self.progress = Progress()
        self.failure: Exception | None = None
        """What ended the run, where it is no outcome: a bug, or a journal that cannot be written."""
        self._client = client
        self._journal = journal
        self._resend_input = resend_input
        self._watch = watch
        self._round = Round()
        self._began = 0.0
        self._run: int | None = None
        self._scope: int | None = None
        self._proven: set[int] = set()
        """Places of those whose absence a read of this run has proven."""
        self._refused: set[int] = set()
        """Places of those that VTEX refused when they were sent once more."""
        self._left: set[int] = set()
        """Places of those that this round can do no more for."""
        self._searches: set[asyncio.Task[Receipt]] = set()
        self._may_read = False

    async def send(self, plan: Plan, options: Mapping[str, Any] | None = None) -> Summary:
        """Send the invoices of a plan that are not confirmed yet."""
        self.progress.plan(plan)

        async def go() -> None:
            self._scope = await self._begin("send", options)
            entered = await self._journal.enter(plan.entries(), self._scope)
            for entry, state in entered.told:
                self._watch(Refused(entry=entry, state=state))
            await self._journal.reopen(self._client.now(), all_=False)
            self.progress.begin(await self._journal.counts(self._scope), entered=entered)
            await self._go_over()

        return await self._finish(go)

    async def resume(self, options: Mapping[str, Any] | None = None) -> Summary:
        """Go on with whatever is not final."""

        async def go() -> None:
            await self._begin("resume", options)
            await self._journal.reopen(self._client.now(), all_=True)
            self.progress.begin(await self._journal.counts(), but=FINAL)
            await self._go_over()

        return await self._finish(go)

    async def resolve(self, options: Mapping[str, Any] | None = None) -> Summary:
        """Read the orders of what is in doubt or absent; send nothing."""

        async def go() -> None:
            await self._begin("resolve", options)
            await self._journal.reopen(self._client.now(), all_=False)
            others = set(State) - {State.IN_DOUBT, State.ABSENT}
            self.progress.begin(await self._journal.counts(), but=others)
            self._round = Round(is_last=True, reads_only=True)
            await self._work(SEARCHES, State.IN_DOUBT, State.ABSENT)

        return await self._finish(go)

    def summary(self) -> Summary:
        """Return the counts as they are now."""
        elapsed = asyncio.get_running_loop().time() - self._began
        return self.progress.summary(elapsed, self._journal.name)

    def stop(self, reason: str, *, signal: int | None = None) -> None:
        """Send no more, look for nothing more, and end once what is in flight has ended."""
        self.progress.signal = self.progress.signal or signal
        self._stop(reason, for_good=True)

    async def _go_over(self) -> None:
        width = self._client.config.max_concurrency
        await self._work(width, State.IN_DOUBT, State.PLANNED)
        reads_only = self.progress.sends_are_over
        self._round = Round(is_last=True, reads_only=reads_only, resend_input=self._resend_input)
        self._left.clear()
        await self._work(SEARCHES, State.IN_DOUBT, State.ABSENT, State.PLANNED)

    async def _begin(self, command: str, options: Mapping[str, Any] | None) -> int:
        self._run = await self._journal.begin(command, options or {}, self._client.now())
        return self._run

    async def _finish(self, go: Callable[[], Awaitable[None]]) -> Summary:
        """Run to the end, whatever that is, and compare the counts with the journal's."""
        self._began = asyncio.get_running_loop().time()
        try:
            await go()
            self.progress.compare(await self._journal.counts(self._scope))
        except Exception as error:  # noqa: BLE001  it is told with the counts, which are owed
            self.failure = error
            self.progress.fail(error)
        finally:
            with suppress(JournalError):
                await self._journal.release()
        if self._run is not None:
            try:
                counts = self.summary().counts
                await self._journal.end(self._run, counts, self._client.now())
            except JournalError as error:
                self.failure = self.failure or error
                self.progress.fail(error)
        return self.summary()

    async def _work(self, width: int, *states: State) -> None:
        """Take on every order that has an invoice in one of *states*."""
        stories = work_through(
            self._orders(states), self._serve, width=width, grace=0, ready=lambda: None
        )
        async with aclosing(stories) as ended:
            async for _ in ended:
                pass

    async def _orders(self, states: tuple[State, ...]) -> AsyncGenerator[Claim, None]:
        for state in states:
            if state is State.PLANNED and self._round.reads_only:
                continue
            claims = self._journal.claims(state, self._scope, self._client.now)
            async with aclosing(claims):
                async for claim in claims:
                    if not self._may_read:
                        await self._prove_reading(claim.order_id)
                    if self.progress.is_over or self._is_over_for(state):
                        return
                    yield claim

    def _is_over_for(self, state: State) -> bool:
        return state is State.PLANNED and self.progress.sends_are_over

    async def _prove_reading(self, order_id: str) -> None:
        """Read one order before anything is sent: what could not be read could not be resolved."""
        try:
            await self._client.get_order(order_id)
        except (CallError, ConfigError) as error:
            self._learn(error, was_read=True)
        else:
            self.progress.answered = True
        self._may_read = True

    async def _serve(self, claim: Claim) -> Later[None] | None:
        """Send what an order has to be sent; leave the waiting to an errand."""
        story = _Story(claim, list(claim.records))
        if await self._advance(story, may_wait=False):
            await self._journal.give_back(claim)
            return None
        return Later(partial(self._wait_out, story))

    async def _wait_out(self, story: _Story) -> None:
        await self._advance(story, may_wait=True)
        await self._journal.give_back(story.claim)

    async def _advance(self, story: _Story, *, may_wait: bool) -> bool:
        """Take the invoices of an order on; False where the next step is one that may not be taken."""
        while story.at < len(story.records) and not self.progress.is_over:
            record = story.records[story.at]
            step = self._step(record, story)
            if step is Step.RESOLVE and not may_wait:
                return False
            match step:
                case Step.SEND:
                    taken = await self._send(record)
                case Step.RESOLVE:
                    taken = await self._resolve(record)
                case Step.HOLD:
                    taken = await self._settle(record, State.HELD)
                case Step.DONE | Step.WAIT:
                    taken = record
            story.records[story.at] = taken
            story.at += taken is record
        return True

    def _step(self, record: Record, story: _Story) -> Step:
        is_mine = self._scope is None or record.run == self._scope
        if not is_mine or record.seq in self._left:
            return Step.DONE
        step = next_step(record, story.records, self._round, is_proven=record.seq in self._proven)
        return Step.DONE if step is Step.SEND and self.progress.sends_are_over else step

    async def _send(self, record: Record) -> Record:
        latest = record
        writing: asyncio.Future[Record] | None = None

        async def intend() -> None:
            nonlocal latest, writing
            if writing is not None:
                latest = await asyncio.shield(writing)
            pause = LONGEST_PAUSE
            while pause >= LONGEST_PAUSE:
                if self.progress.sends_are_over:
                    raise ConfigError("the run has stopped")
                asked = self._client.now()
                writing = asyncio.ensure_future(self._intend(latest, asked))
                # An attempt that loses patience here is over, and what is written is written.
                latest = await asyncio.shield(writing)
                # Who slept meanwhile looks again before a byte leaves.
                pause = self._client.now() - asked

        try:
            receipt = await self._client.notify_journaled(
                record.job, intend=intend, orders_api=record.orders_api
            )
        except (CallError, ConfigError) as error:
            if writing is not None:
                latest = await writing
            self._learn(error)
            return await self._failed(record, latest, error)
        self.progress.answered = True
        self.progress.strange = 0
        return await self._confirm(latest, receipt)

    async def _intend(self, record: Record, now: datetime) -> Record:
        intended = await self._journal.intend(record, now)
        self.progress.move(record.state, intended.state)
        return intended

    async def _failed(
        self, before: Record, latest: Record, error: CallError | ConfigError
    ) -> Record:
        """Write down what an error proves of an invoice that was *latest* intended, if it was."""
        facts = _facts(error)
        # What was absent and is sent again may be refused because VTEX has the first one.
        settles_nothing = isinstance(error, Rejected) and before.state is State.ABSENT
        if isinstance(error, OutcomeUnknown) or settles_nothing:
            doubt = error.doubt if isinstance(error, OutcomeUnknown) else None
            facts["since"] = self._client.now() if doubt is None else doubt.since
            if settles_nothing:
                self._refused.add(before.seq)
            return await self._settle(latest, State.IN_DOUBT, error, **facts)
        begun = latest is not before
        if before.state is State.ABSENT:
            self._left.add(before.seq)
            facts["resent"] = before.resent
            return await self._settle(latest, State.ABSENT, error, **facts) if begun else before
        if begun or (isinstance(error, NotSent) and error.attempts):
            return await self._settle(latest, state_of(error), error, **facts)
        return before

    async def _resolve(self, record: Record) -> Record:
        doubt = record.doubt(record.since or self._client.now())
        patience = None if self._round.is_last else self._client.config.retry.resolve_for
        search = asyncio.ensure_future(self._client.resolve(doubt, patience=patience))
        self._searches.add(search)
        try:
            receipt = await search
        except InvoiceAbsent as error:
            self._proven.add(record.seq)
            # Neither was applied: what VTEX said to the second stands.
            state = State.REJECTED if record.seq in self._refused else State.ABSENT
            return await self._settle(record, state, error, since=doubt.since)
        except InvoiceConflict as error:
            return await self._settle(record, State.CONFLICT, error)
        except (OutcomeUnknown, ConfigError):
            self._left.add(record.seq)
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
        self.progress.confirmed_by_order += receipt.confirmed_by == "order"
        return await self._settle(
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

    async def _settle(
        self,
        record: Record,
        state: State,
        error: CallError | ConfigError | None = None,
        **facts: Unpack[Facts],
    ) -> Record:
        try:
            settled = await self._journal.settle(record, state, **facts)
        except JournalFailed as failed:
            self._watch(Lost(record=record, state=state, facts=facts))
            self._stop(str(failed), for_good=True)
            raise
        self.progress.move(record.state, state)
        self._watch(Moved(record=settled, error=error))
        return settled

    def _learn(self, error: CallError | ConfigError, *, was_read: bool = False) -> None:
        """Find out whether an error is one that ends more than its invoice."""
        ends = self.progress.learn(error, was_read=was_read)
        if ends is not None:
            self._stop(ends.reason, for_good=ends.for_good)

    def _stop(self, reason: str, *, for_good: bool) -> None:
        if self.progress.stop(for_good=for_good):
            self._watch(Stopped(reason=reason, for_good=for_good))
        if for_good:
            for search in self._searches:
                search.cancel()


def _facts(error: CallError | ConfigError) -> Facts:
    if isinstance(error, ConfigError):
        return {}
    return {"status": error.status, "code": error.code, "message": error.message}


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
