"""Runs over a journal: each invoice is taken on to where it can be left, and nothing is lost.

A run goes over its invoices in two rounds. In the first they are sent, and what is in doubt is
looked for beside the sending. In the second, doubts are waited out to the end of the settle window,
and an Output that VTEX does not have is sent once more.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, Final

from attrs import define, field

from vtex_invoice_async.bulk import Later, work_through
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.errors import CallError, ConfigError, JournalError
from vtex_invoice_async.jobs.clock import clock
from vtex_invoice_async.jobs.events import Event, Refused, Stopped
from vtex_invoice_async.jobs.job import FINAL, Entry, Record, Round, Step, next_step
from vtex_invoice_async.jobs.journal import AT_ONCE, Claim, Journal
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.progress import Progress
from vtex_invoice_async.jobs.sampling import Sampler
from vtex_invoice_async.jobs.steps import Steps
from vtex_invoice_async.jobs.summary import Summary
from vtex_invoice_async.outcome import State

__all__ = ["Runner"]

SEARCHES: Final = 1_024
"""Orders that the second round works on at once: most of them only wait."""


_UNKNOWN: Final = frozenset({State.IN_DOUBT, State.ABSENT})


class _OverError(Exception):
    """The run was stopped before it began."""


@define(eq=False)
class _Story:
    """An order, and how far a run has come with its invoices."""

    claim: Claim
    records: list[Record]
    visits: list[int] = field(init=False)
    """Places of records: first what has to be found out, then all in their order."""
    at: int = 0

    def __attrs_post_init__(self) -> None:
        every = [*range(len(self.records))]
        unknown = [at for at in every if self.records[at].state in _UNKNOWN]
        self.visits = unknown + every


class Runner:
    """One run of a client over a journal; *watch* is told of it as it goes.

    It ends by itself, by `stop`, or by what it cannot go on from, which is its `failure`. However
    it ends, what is on disk is counted, and nothing else is. A *watch* that raises is a bug. *clock*
    says by which clock doubts are dated (`jobs.clock`).
    """

    def __init__(
        self,
        client: VtexInvoiceClient,
        journal: Journal,
        *,
        resend_input: bool = False,
        watch: Callable[[Event], None] = lambda _: None,
        clock: Callable[[], str | None] = clock,
    ) -> None:
        journal.check_client(client.config)
        self.progress = Progress()
        self.failure: Exception | None = None
        """What it could not go on from: a bug, or a journal that cannot be written."""
        self.is_entered = False
        """Whether the journal holds what it is to send."""
        self._client = client
        self._journal = journal
        self._resend_input = resend_input
        self._watch = watch
        self._clock = clock
        self._round = Round()
        self._began = 0.0
        self._run: int | None = None
        self._scope: int | None = None
        self._patience = client.config.retry.resolve_for
        self._steps = Steps(client, journal, self.progress, watch, self._learn)
        self._sampler = Sampler(client, journal, self.progress)
        self._has_read = False

    async def send(self, plan: Plan, options: Mapping[str, Any] | None = None) -> Summary:
        """Send the invoices of a plan that are not confirmed yet."""
        self.progress.plan(plan)

        async def go() -> None:
            self._scope = await self._begin("send", options)
            try:
                entered = await self._journal.enter(self._unless_over(plan), self._scope)
            except _OverError:
                return  # none of them was taken in, and none was sent
            self.is_entered = True
            for entry, state in entered.told:
                self._watch(Refused(entry=entry, state=state))
            await self._journal.reopen(self._client.now(), all_=False, clock=self._clock())
            self.progress.begin(await self._journal.counts(self._scope), entered=entered)
            await self._go_over()

        return await self._finish(go)

    async def resume(self, options: Mapping[str, Any] | None = None) -> Summary:
        """Go on with whatever is not final."""
        return await self._finish(partial(self._go_on, "resume", options, but=FINAL))

    async def resolve(self, options: Mapping[str, Any] | None = None) -> Summary:
        """Read the orders of what is in doubt or absent; send nothing."""
        self._round = Round(is_last=True, reads_only=True)
        others = set(State) - {State.IN_DOUBT, State.ABSENT}
        return await self._finish(partial(self._go_on, "resolve", options, but=others))

    def summary(self) -> Summary:
        """Return the counts as they are now."""
        elapsed = asyncio.get_running_loop().time() - self._began
        return self.progress.summary(elapsed, self._journal.name)

    def stop(self, reason: str, *, signal: int | None = None) -> None:
        """Send no more, look for nothing more, and end once what is in flight has ended."""
        self.progress.signal = self.progress.signal or signal
        self._stop(reason, for_good=True)

    async def _go_on(
        self, command: str, options: Mapping[str, Any] | None, *, but: Collection[State]
    ) -> None:
        self.is_entered = True
        await self._begin(command, options)
        now, all_ = self._client.now(), not self._round.reads_only
        await self._journal.reopen(now, all_=all_, clock=self._clock())
        self.progress.begin(await self._journal.counts(), but=but)
        await self._go_over()

    async def _go_over(self) -> None:
        """Go over the invoices, and compare what that comes to with the journal."""
        assert self._run is not None  # noqa: S101  for the type checker
        self._sampler.begin(self._run)
        if not self._round.reads_only:
            await self._work(self._client.config.max_concurrency, State.IN_DOUBT, State.PLANNED)
            self._round = Round(
                is_last=True,
                reads_only=self.progress.sends_are_over,
                resend_input=self._resend_input,
            )
            self._steps.left.clear()
        await self._work(SEARCHES, State.IN_DOUBT, State.ABSENT, State.PLANNED)
        self.progress.compare(await self._journal.counts(self._scope))

    def _unless_over(self, plan: Plan) -> Iterator[Entry]:
        """Yield a plan's entries; raise where the run is stopped meanwhile, which may be long."""
        try:
            for entry in plan.entries():
                if self.progress.is_over:
                    raise _OverError
                yield entry
        except sqlite3.ProgrammingError:
            raise _OverError from None  # whoever lost patience has closed the plan

    async def _begin(self, command: str, options: Mapping[str, Any] | None) -> int:
        now = self._client.now()
        self._run = await self._journal.begin(command, options or {}, now)
        return self._run

    async def _finish(self, go: Callable[[], Awaitable[None]]) -> Summary:
        """Run to the end, whatever that is, and record it."""
        self._began = asyncio.get_running_loop().time()
        counts: Mapping[str, Any] | None = None
        try:
            try:
                await go()
            except Exception as error:  # noqa: BLE001  it is told with the counts, which are owed
                self._fail(error)
            counts = self.summary().counts
        finally:
            # Cancelled or not: what is still at work for it takes note.
            self.progress.stop(for_good=True)
            self._sampler.end()
            if self._run is not None:
                try:
                    await self._journal.end(counts, self._client.now())
                except JournalError as error:
                    self._fail(error)
        return self.summary()

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error
        self.progress.fail(error)

    async def _work(self, width: int, *states: State) -> None:
        """Take on every order that has an invoice in one of *states*."""
        stories = work_through(
            self._orders(states),
            self._serve,
            width=width,
            grace=0,
            ready=lambda: None,
            ahead=AT_ONCE,
        )
        async with aclosing(stories) as ended:
            async for _ in ended:
                pass
        # Where it stopped early, some were claimed that nobody has taken on.
        await self._journal.give_back_all()

    async def _orders(self, states: tuple[State, ...]) -> AsyncGenerator[Claim, None]:
        for state in states:
            if state is State.PLANNED and self._round.reads_only:
                continue
            claims = self._journal.claims(state, self._scope, self._client.now)
            async with aclosing(claims):
                async for claim in claims:
                    if not self._has_read:
                        await self._prove_reading(claim.order_id)
                    no_sends = self.progress.sends_are_over and state is State.PLANNED
                    if self.progress.is_over or no_sends:
                        return
                    yield claim

    async def _prove_reading(self, order_id: str) -> None:
        """Read one order before anything is sent: who may not read could not resolve a doubt."""
        self._has_read = True
        try:
            await self._client.get_order(order_id)
        except ConfigError:
            if not self.progress.is_over:
                raise
        except CallError as error:
            self._learn(error, was_read=True)
        else:
            self.progress.hear()

    def _serve(self, claim: Claim) -> Awaitable[Later[None] | None]:
        """Send what an order has to be sent; leave the waiting to an errand."""
        return self._take_on(_Story(claim, list(claim.records)), may_wait=False)

    async def _wait_out(self, story: _Story) -> None:
        await self._take_on(story, may_wait=True)

    async def _take_on(self, story: _Story, *, may_wait: bool) -> Later[None] | None:
        """Take the invoices of an order on; leave for later what may not be waited for."""
        try:
            if not await self._advance(story, may_wait=may_wait):
                return Later(partial(self._wait_out, story))
            self._journal.give_back(story.claim)
        except Exception as error:
            self._fail(error)
            # Others need not wait out their doubts before it is told.
            told = str(error) if isinstance(error, JournalError) else type(error).__name__
            self._stop(f"The run cannot go on: {told}", for_good=True)
            raise
        return None

    async def _advance(self, story: _Story, *, may_wait: bool) -> bool:
        while story.at < len(story.visits) and not self.progress.is_over:
            place = story.visits[story.at]
            record = story.records[place]
            step = self._step(record, story)
            if step is Step.RESOLVE and not may_wait:
                return False
            match step:
                case Step.SEND:
                    # What a run sends of its own plan was checked as it was planned.
                    is_checked = self._scope is not None
                    taken = await self._steps.send(record, is_checked=is_checked)
                case Step.RESOLVE:
                    patience = None if self._round.is_last else self._patience
                    taken = await self._steps.resolve(record, patience)
                case Step.HOLD:
                    taken = await self._steps.hold(record, story.records)
                case Step.DONE | Step.WAIT:
                    taken = record
            story.records[place] = taken
            story.at += taken is record or taken.state in FINAL
        return True

    def _step(self, record: Record, story: _Story) -> Step:
        is_mine = self._scope is None or record.run == self._scope
        if not is_mine or record.seq in self._steps.left:
            return Step.DONE
        is_proven = record.seq in self._steps.proven
        step = next_step(record, story.records, self._round, is_proven=is_proven)
        return Step.DONE if step is Step.SEND and self.progress.sends_are_over else step

    def _learn(self, error: CallError | ConfigError, *, was_read: bool = False) -> None:
        """Find out whether an error is one that ends more than its invoice."""
        ends = self.progress.learn(error, was_read=was_read)
        if ends is not None:
            self._stop(ends.reason, for_good=ends.for_good)

    def _stop(self, reason: str, *, for_good: bool) -> None:
        is_news = self.progress.stop(for_good=for_good)
        if for_good:
            self._steps.end_searches()
        if is_news:
            self._watch(Stopped(reason=reason, for_good=for_good))
