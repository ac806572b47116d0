"""Power cuts and failing disks at every point: nothing is lost, nothing is applied twice."""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Final

import pytest
from attrs import evolve

from tests.failures import POSTED
from tests.runs import Stage, counts, play
from tests.virtual_time import START, network
from vtex_invoice_async import RetryPolicy, State, Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import JournalFailed
from vtex_invoice_async.events import Sent
from vtex_invoice_async.jobs import Summary
from vtex_invoice_async.jobs.events import Event, Lost, Moved
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.sandbox import Do, Fault

WEATHER: Final = [
    Fault(do=Do.CLOSE, on=POSTED, rate=0.15, acted=True),
    Fault(do=Do.CLOSE, on=POSTED, rate=0.1),
    Fault(do=Do.DELAY, on=POSTED, rate=0.3, seconds=0.3),
]
PATIENT: Final = RetryPolicy(settle_window=20, resolve_for=5)


class Disk:
    """Takes a moment for each sync, and fails at the n-th and from then on."""

    def __init__(self, fails_at: int = 0) -> None:
        self.syncs = 0
        self.failed_at: float | None = None
        self._fails_at = fails_at

    async def sync(self) -> None:
        self.syncs += 1
        count = self.syncs
        await asyncio.sleep(0.004)
        if self._fails_at and count >= self._fails_at:
            self.failed_at = self.failed_at or asyncio.get_running_loop().time()
            raise OSError(errno.ENOSPC, "No space left on device")


async def another(stage: Stage, store: MemoryStore) -> Summary:
    """Go on as another process would, with what the disk has, until nothing is left to do."""
    async with VtexInvoiceClient(stage.client.config) as client:
        later = evolve(stage, client=client, store=store, events=[])
        summary = await later.send()
        for _ in range(3):
            if summary.exit_code != 0:
                summary = await later.resume()
        return await later.send()


def assert_once(stage: Stage) -> None:
    assert stage.sandbox.applied == Counter(
        {(job.order_id, job.invoice.invoice_number): 1 for job in stage.jobs}
    )


def fail_at(n: int) -> tuple[Summary, bool]:
    """Let the disk fail at its n-th sync; then go on with a sound one."""

    async def act(stage: Stage) -> tuple[Summary, bool]:
        network().latency = 0.01
        disk = Disk(n)
        stage.store = MemoryStore(sync=disk.sync)
        try:
            summary = await stage.send()
        except JournalFailed:  # while the journal was opened
            summary = Summary(exit_code=74)
        if disk.failed_at is not None:
            assert summary.exit_code == 74
            # What had left before may still arrive, and nothing leaves afterwards.
            on_its_way = START + timedelta(seconds=disk.failed_at + network().latency)
            posts = [a.at for a in stage.sandbox.oracle.arrived if a.operation == POSTED]
            assert all(arrived <= on_its_way for arrived in posts)
            assert lost_of(stage) == stage.sandbox.applied.total() - confirmed_of(stage.store)
        await another(stage, MemoryStore(stage.store.synced))
        assert_once(stage)
        return summary, disk.failed_at is not None

    return play(act, orders=6, concurrency=3, retry=PATIENT)


def lost_of(stage: Stage) -> int:
    return sum(isinstance(e, Lost) and e.state is State.CONFIRMED for e in stage.events)


def confirmed_of(store: MemoryStore) -> int:
    return sum(record.state is State.CONFIRMED for record in store.synced.records.values())


def test_a_disk_that_fails_at_any_sync_stops_the_sending_and_loses_nothing() -> None:
    failed = [fail_at(n) for n in range(1, 40)]

    # From some number on it is not reached any more.
    assert [was for _, was in failed] == sorted((was for _, was in failed), reverse=True)
    clean = [summary for summary, was in failed if not was]
    assert clean
    assert all(counts(summary) == {"planned": 6, "confirmed": 6} for summary in clean)


@pytest.mark.parametrize("seed", range(8))
def test_a_power_cut_at_any_moment_loses_and_doubles_nothing(seed: int) -> None:
    async def act(stage: Stage) -> None:
        network().latency = 0.01
        stage.store = MemoryStore(sync=Disk().sync)
        for cut in range(1, 9):
            run = asyncio.create_task(stage.send())
            await asyncio.wait([run], timeout=0.02 * cut + 0.003 * seed)
            # What is on the disk now is what the next process finds; what is on the wire goes on.
            left = MemoryStore(stage.store.synced, sync=Disk().sync)
            run.cancel()
            with suppress(asyncio.CancelledError):
                await run
            stage.store = left
        await another(stage, stage.store)
        assert_once(stage)

    play(act, *WEATHER, orders=25, concurrency=4, retry=PATIENT, seed=seed)


def test_nothing_is_told_before_it_is_on_the_disk() -> None:
    async def act(stage: Stage) -> list[bool]:
        stage.store = MemoryStore(sync=Disk().sync)
        kept: list[bool] = []

        def watch(event: Event) -> None:
            if isinstance(event, Moved):
                kept.append(stage.store.synced.records[event.record.seq] == event.record)

        await stage.send(watch=watch)
        return kept

    kept = play(act, *WEATHER, orders=25, concurrency=4, retry=PATIENT)

    assert len(kept) >= 25
    assert all(kept)


def test_no_invoice_arrives_without_an_intent_on_the_disk() -> None:
    async def act(stage: Stage) -> list[State]:
        network().latency = 0.01
        stage.store = MemoryStore(sync=Disk().sync)
        found: list[State] = []

        def look(event: Sent) -> None:
            """Be told of an attempt as soon as it is over, before its outcome is written."""
            if event.operation == POSTED:
                records = stage.store.synced.records.values()
                found.extend(r.state for r in records if r.order_id == event.order_id)

        def observe(event: object) -> None:
            if isinstance(event, Sent):
                look(event)

        async with VtexInvoiceClient(stage.client.config, observe=observe) as client:
            await evolve(stage, client=client).send()
        return found

    found = play(act, *WEATHER, orders=25, concurrency=4, retry=PATIENT)

    assert len(found) >= 25
    assert set(found) == {State.IN_DOUBT}


def test_a_run_that_is_cancelled_leaves_its_intents() -> None:
    async def act(stage: Stage) -> tuple[Counter[State], Summary]:
        network().latency = 0.05
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.33):
                await stage.send()
        states = await stage.states()
        return states, await another(stage, stage.store)

    states, summary = play(act, orders=30, concurrency=3)

    assert states[State.IN_DOUBT] == 3
    assert states.total() == 30
    assert counts(summary) == {"planned": 30, "confirmed": 30}


def test_an_intent_that_is_found_is_a_doubt_from_now_on() -> None:
    """Whoever wrote it may have been sending until it died."""

    async def act(stage: Stage) -> tuple[Summary, float]:
        network().latency = 0.05
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.22):  # an invoice is on its way
                await stage.send()
        await asyncio.sleep(10_000)
        began = asyncio.get_running_loop().time()
        async with VtexInvoiceClient(stage.client.config) as client:
            later = evolve(stage, client=client)
            summary = await later.resume()
        return summary, asyncio.get_running_loop().time() - began

    dropped = Fault(do=Do.CLOSE, on=POSTED, nth=(1,))
    summary, took = play(act, dropped, orders=1)

    assert counts(summary) == {"planned": 1, "confirmed": 1}
    assert took >= 300


def slow_at_the_first_intent() -> MemoryStore:
    syncs = 0

    async def sync() -> None:
        nonlocal syncs
        syncs += 1
        # Header, run, plan, what is reopened, and then the first intent.
        await asyncio.sleep(3600 if syncs == 5 else 0.001)

    return MemoryStore(sync=sync)


def test_an_intent_over_which_the_computer_slept_is_written_again() -> None:
    async def act(stage: Stage) -> tuple[Summary, list[int], int]:
        summary = await stage.send()
        attempts = [r.attempts for r in stage.store.synced.records.values()]
        return summary, attempts, len(stage.sent)

    patient = Timeouts(total=10_000)
    store = slow_at_the_first_intent()
    summary, attempts, sent = play(act, orders=1, timeouts=patient, store=store)

    assert counts(summary) == {"planned": 1, "confirmed": 1}
    assert (attempts, sent) == ([2], 1)


def test_an_attempt_that_ends_before_its_intent_is_written_sends_nothing() -> None:
    async def act(stage: Stage) -> tuple[Summary, int, Summary]:
        first = await stage.send()
        return first, len(stage.sent), await another(stage, stage.store)

    first, sent, then = play(act, orders=1, store=slow_at_the_first_intent())

    assert counts(first) == {"planned": 1, "not_sent": 1, "exit_code": 75}
    assert sent == 0
    assert counts(then) == {"planned": 1, "confirmed": 1}
