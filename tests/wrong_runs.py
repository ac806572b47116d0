"""Wrong clients: what they do next, what they keep on the disk, and what they tell."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import orjson
import pytest
from attrs import evolve

from tests.mistakes import wrong
from tests.verdicts import Verdict
from vtex_invoice_async.errors import (
    JournalFailed,
)
from vtex_invoice_async.jobs import job, journal, runner, steps
from vtex_invoice_async.jobs.events import Moved
from vtex_invoice_async.jobs.job import Changes, Entering, Record, Round, Step, next_step
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.jobs.progress import Progress
from vtex_invoice_async.jobs.steps import Steps
from vtex_invoice_async.jobs.store import Table, moved
from vtex_invoice_async.jobs.summary import Summary
from vtex_invoice_async.operations import NotifyReady
from vtex_invoice_async.outcome import State
from vtex_invoice_async.vocabulary import InvoiceType

# What a run does next.


@wrong(Verdict.UNASKED, seed=0)
def sends_a_return_again_unasked(patch: pytest.MonkeyPatch) -> None:
    about = job._about_absent

    def _about_absent(record: Record, others: Any, round_: Round, **k: Any) -> Step:
        return about(record, others, evolve(round_, resend_input=True), **k)

    patch.setattr(job, "_about_absent", _about_absent)


@wrong(Verdict.TOGETHER, seed=3)
def sends_two_invoices_of_an_order_at_once(patch: pytest.MonkeyPatch) -> None:
    def next_of(record: Record, order: Iterable[Record], round_: Round, **k: Any) -> Step:
        outputs = [other for other in order if other.type is InvoiceType.OUTPUT]
        settled = [evolve(o, state=State.CONFIRMED) for o in outputs if o.seq != record.seq]
        return next_step(record, settled, round_, **k)

    patch.setattr(runner, "next_step", next_of)


@wrong(Verdict.TOO_EARLY, seed=21)
def sends_returns_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal, "_PLACES", {InvoiceType.OUTPUT: 1, InvoiceType.INPUT: 0})
    patch.setattr(job, "_has_its_outputs", lambda record, others: True)


@wrong(Verdict.UNRESOLVED, seed=10)
def gives_up_what_is_absent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(job, "_about_absent", lambda *_, **__: Step.DONE)


@wrong(Verdict.UNRESOLVED, seed=14)
def leaves_doubts_to_the_user(patch: pytest.MonkeyPatch) -> None:
    def next_of(record: Record, order: Iterable[Record], round_: Round, **k: Any) -> Step:
        step = next_step(record, order, round_, **k)
        return Step.DONE if step is Step.RESOLVE else step

    patch.setattr(runner, "next_step", next_of)


@wrong(Verdict.ALTERED, seed=21)
def reckons_money_in_floats(patch: pytest.MonkeyPatch) -> None:
    def reckoned(invoice: dict[str, Any]) -> dict[str, Any]:
        value = int(int(invoice["invoiceValue"]) * 1.1 / 1.1 - 1e-9)
        return {**invoice, "invoiceValue": type(invoice["invoiceValue"])(value)}

    _sends(patch, reckoned)


@wrong(Verdict.ALTERED, seed=18)
def leaves_the_items_out(patch: pytest.MonkeyPatch) -> None:
    _sends(patch, lambda invoice: {**invoice, "items": []})


def _sends(patch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    ready_of = steps._ready

    def _ready(record: Record, **k: Any) -> NotifyReady:
        ready = ready_of(record, **k)
        return evolve(ready, content=orjson.dumps(change(orjson.loads(ready.content))))

    patch.setattr(steps, "_ready", _ready)


# What is on the disk, and when.


@wrong(Verdict.DOUBLED, seed=5)
def sends_before_the_intent_is_on_the_disk(patch: pytest.MonkeyPatch) -> None:
    def intend(self: Journal, record: Record, now: datetime) -> asyncio.Future[Record]:
        changes = Changes(state=State.IN_DOUBT, since=None, attempts=record.attempts + 1)
        return asyncio.ensure_future(_unsynced(self, lambda t: moved(record, changes, None, t)))

    patch.setattr(Journal, "intend", intend)


async def _unsynced(self: Journal, work: Callable[[Table], Any]) -> Any:
    """Change what the next process may never see."""
    store = self._store
    assert isinstance(store, MemoryStore)

    async def at_once() -> None:
        """Do as if."""

    sync, store._sync, synced = store._sync, at_once, store.synced
    try:
        return await store.change(work)
    finally:
        store._sync, store.synced = sync, synced


@wrong(Verdict.FORGOTTEN, seed=14)
def tells_an_outcome_before_it_is_on_the_disk(patch: pytest.MonkeyPatch) -> None:
    settle = Steps._settle

    async def _settle(self: Steps, record: Record, state: State, *a: Any, **k: Any) -> Record:
        self._watch(Moved(record=evolve(record, state=state)))
        return await settle(self, record, state, *a, **k)

    patch.setattr(Steps, "_settle", _settle)


@wrong(Verdict.UNINTENDED, seed=20)
def goes_on_when_the_disk_is_full(patch: pytest.MonkeyPatch) -> None:
    change = MemoryStore.change

    async def change_bravely(self: MemoryStore, work: Callable[[Table], Any]) -> Any:
        try:
            return await change(self, work)
        except JournalFailed:
            self._failed = False
            return await self.read(lambda table: work(_Copy(table)))

    patch.setattr(MemoryStore, "change", change_bravely)


class _Copy:
    """A table whose changes go nowhere."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def change(self, record: Record, changes: Changes) -> Record:
        return evolve(record, **changes)

    def put_run(self, run: object) -> None:
        pass


@wrong(Verdict.DOUBLED, seed=16)
def sends_what_a_crash_left_open(patch: pytest.MonkeyPatch) -> None:
    reopen = Journal.reopen

    async def reopen_all(self: Journal, now: datetime, **k: Any) -> None:
        def work(table: Table) -> None:
            for record in journal._every(table, State.IN_DOUBT):
                if record.since is None:
                    table.change(record, Changes(state=State.PLANNED))

        await self._store.change(work)
        await reopen(self, now, **k)

    patch.setattr(Journal, "reopen", reopen_all)


@wrong(Verdict.DOUBLED, seed=1)
def sends_the_whole_file_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("vtex_invoice_async.jobs.entering.entering", lambda *_: Entering.PLAN)


# What is told.


@wrong(Verdict.UNREPORTED, seed=1)
def leaves_doubts_out_of_its_counts(patch: pytest.MonkeyPatch) -> None:
    _counts(patch, lambda it: evolve(it, in_doubt=0, planned=it.planned - it.in_doubt))


@wrong(Verdict.UNREPORTED, seed=1)
def counts_doubts_as_rejected(patch: pytest.MonkeyPatch) -> None:
    _counts(patch, lambda it: evolve(it, in_doubt=0, rejected=it.rejected + it.in_doubt))


def _counts(patch: pytest.MonkeyPatch, change: Callable[[Summary], Summary]) -> None:
    summary = Progress.summary
    patch.setattr(Progress, "summary", lambda *a: change(summary(*a)))


@wrong(Verdict.DOUBLED, seed=14)
def gives_up_everything_in_flight_after_one_error(patch: pytest.MonkeyPatch) -> None:
    """Cancels the siblings of what failed, and takes them for never sent."""
    send, flying = Steps.send, set[asyncio.Task[Any]]()

    @functools.wraps(send)
    async def send_or_give_up(self: Steps, record: Record, **k: Any) -> Record:
        task = asyncio.ensure_future(send(self, record, **k))
        flying.add(task)
        try:
            sent = await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                task.cancel()
                raise
            return await self._journal.settle(await _latest(self, record), State.NOT_SENT)
        finally:
            flying.discard(task)
        if sent.state is State.REJECTED:
            for other in flying:
                other.cancel()
        return sent

    patch.setattr(Steps, "send", send_or_give_up)


async def _latest(steps: Steps, record: Record) -> Record:
    found = await steps._journal._store.read(
        lambda table: table.find(record.order_id, record.invoice_number)
    )
    assert found is not None
    return found


@wrong(Verdict.UNREPORTED, seed=1)
def counts_doubts_as_conflicts(patch: pytest.MonkeyPatch) -> None:
    _counts(patch, lambda it: evolve(it, in_doubt=0, conflict=it.conflict + it.in_doubt))


@wrong(Verdict.UNREPORTED, seed=1)
def counts_what_the_order_confirmed_as_answered(patch: pytest.MonkeyPatch) -> None:
    _counts(patch, lambda it: evolve(it, confirmed_by_order=0))


@wrong(Verdict.UNREPORTED, seed=3)
def tells_of_nothing_that_the_order_confirmed(patch: pytest.MonkeyPatch) -> None:
    made: Callable[..., None] = Steps.__init__

    def made_dumb(self: Steps, *given: Any) -> None:
        *others, watch, learn = given

        def watch_some(event: Any) -> None:
            if not (isinstance(event, Moved) and event.record.confirmed_by == "order"):
                watch(event)

        made(self, *others, watch_some, learn)

    patch.setattr(Steps, "__init__", made_dumb)
