"""Runs after runs, and beside them, and what ends one: nothing is left behind that hinders the next."""

from __future__ import annotations

import asyncio
import errno
from datetime import timedelta
from typing import Final

import pytest
from attrs import evolve

from tests.failures import POSTED
from tests.runs import Stage, counts, numbered, orders_of, play
from tests.virtual_time import network
from vtex_invoice_async import OrdersApi, State, VtexInvoiceClient
from vtex_invoice_async.errors import ConfigError, JournalBusy, JournalFailed
from vtex_invoice_async.jobs import Summary, resolve, resume, run
from vtex_invoice_async.jobs.events import Event, Lost, Moved
from vtex_invoice_async.jobs.job import Entry
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.sandbox import Do, Fault

DROPPED: Final = Fault(do=Do.CLOSE, on=POSTED, nth=(1,))


def test_two_runs_of_one_journal_do_not_disturb_each_other() -> None:
    async def act(stage: Stage) -> tuple[Summary, Summary]:
        network().latency = 0.05
        async with stage.journal as journal:
            first = asyncio.create_task(run(stage.client, stage.jobs, journal))
            await asyncio.sleep(0.3)
            for _ in range(2):
                with pytest.raises(JournalBusy, match="another run of this journal"):
                    await resume(stage.client, journal)
            (record,) = await journal.runs(9)
            assert record.ended_at is None
            both = await asyncio.gather(
                first,
                run(stage.client, stage.jobs, journal),
                return_exceptions=True,
            )
            assert isinstance(both[1], JournalBusy)
            return await first, await run(stage.client, stage.jobs, journal)

    first, second = play(act, orders=20, concurrency=2)

    assert counts(first) == counts(second) == {"planned": 20, "confirmed": 20}


@pytest.mark.parametrize("after", [0.05, 0.12, 0.21, 0.3, 0.44])
def test_a_run_that_was_cancelled_leaves_the_journal_to_the_next(after: float) -> None:
    async def act(stage: Stage) -> Summary:
        network().latency = 0.05
        async with stage.journal as journal:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(after):
                    await run(stage.client, stage.jobs, journal)
            async with VtexInvoiceClient(stage.client.config) as client:
                await resume(client, journal)
                return await run(client, stage.jobs, journal)

    assert counts(play(act, orders=30, concurrency=3)) == {"planned": 30, "confirmed": 30}


def test_what_was_claimed_and_not_begun_is_looked_for_in_the_end() -> None:
    first, second = numbered("0-01", "A", "B")
    others = [numbered(f"{n}-01", f"N{n}")[0] for n in range(1, 200)]
    jobs = [first, *others[:180], second, *others[180:]]
    late = Fault(do=Do.LATE, on=POSTED, nth=(1,), seconds=150)
    body = '{"error": {"code": "ORD001", "message": "not found"}}'
    unknown = Fault(do=Do.ANSWER, on=POSTED, nth=tuple(range(130, 150)), status=404, body=body)

    async def act(stage: Stage) -> Summary:
        network().latency = 0.5
        return await stage.send(jobs)

    summary = play(act, late, unknown, orders=orders_of(*jobs), concurrency=2)

    assert (summary.rejected, summary.in_doubt, summary.confirmed_by_order) == (20, 0, 1)


CLOCKS: Final = [("boot 1", 0), ("boot 3600", 300), ("other 1", 300), (None, 300)]


@pytest.mark.parametrize(("clock", "least"), CLOCKS)
def test_a_doubt_that_another_clock_has_dated_is_dated_anew(
    clock: str | None, least: float
) -> None:
    """The window counts from what may lie in the future of this clock, or long in its past."""

    async def act(stage: Stage) -> tuple[Summary, float]:
        network().latency = 0.05
        first = asyncio.create_task(stage.send())
        await asyncio.sleep(5)
        assert stage.runner is not None
        stage.runner.stop("enough", signal=2)
        await first
        content = stage.store.synced
        content.runs[1] = evolve(content.runs[1], clock=clock)
        content.records[1] = evolve(
            content.records[1], since=stage.client.now() - timedelta(hours=1)
        )
        stage.store = MemoryStore(content)
        began = asyncio.get_running_loop().time()
        async with VtexInvoiceClient(stage.client.config) as client:
            later = evolve(stage, client=client)
            summary = await later.resume(clock=lambda: "boot 1")
        return summary, asyncio.get_running_loop().time() - began

    summary, took = play(act, DROPPED, orders=1)

    assert counts(summary) == {"planned": 1, "confirmed": 1}
    assert least <= took < least + 60


def test_two_runs_that_begin_at_once_are_one_and_a_refusal() -> None:
    async def slow() -> None:
        await asyncio.sleep(0.01)

    async def act(stage: Stage) -> tuple[Summary | BaseException, Summary | BaseException]:
        async with stage.journal as journal:
            return await asyncio.gather(
                run(stage.client, stage.jobs, journal),
                resume(stage.client, journal),
                return_exceptions=True,
            )

    summary, refused = play(act, orders=5, store=MemoryStore(sync=slow))

    assert isinstance(summary, Summary)
    assert counts(summary) == {"planned": 5, "confirmed": 5}
    assert isinstance(refused, JournalBusy)


def test_two_doubts_of_one_order_are_both_found_out_before_either_is_sent_again() -> None:
    jobs = numbered("1-01", "A", "B")

    async def act(stage: Stage) -> tuple[Summary, list[str]]:
        async with stage.journal as journal:
            await journal.enter([Entry.of(job, OrdersApi.OMS) for job in jobs], 1)
            for record in [record async for record in journal.records()]:
                await journal.intend(record, stage.client.now())
        # As a crash leaves them. VTEX has the second one only.
        await stage.client.notify_invoice("1-01", jobs[1].invoice)
        stage.store = MemoryStore(stage.store.synced)
        return await stage.resume(), stage.sent

    summary, sent = play(act, orders=orders_of(*jobs))

    assert counts(summary) == {"planned": 2, "confirmed": 2}
    assert sent == ["B", "A"]


def test_who_watches_cannot_hide_what_ended_the_run() -> None:
    syncs = 0

    async def full() -> None:
        nonlocal syncs
        syncs += 1
        if syncs >= 20:
            raise OSError(errno.ENOSPC, "No space left on device")

    async def act(stage: Stage) -> tuple[Summary, Exception | None, float]:
        def watch(event: Event) -> None:
            if syncs >= 20:
                raise OSError(errno.ENOSPC, "No space left on device")

        summary = await stage.send(watch=watch)
        assert stage.runner is not None
        return summary, stage.runner.failure, asyncio.get_running_loop().time()

    found = play(act, DROPPED, orders=20, concurrency=2, store=MemoryStore(sync=full))
    summary, failure, took = found

    assert isinstance(failure, JournalFailed)
    assert summary.exit_code == 74
    assert took < 1


def test_an_outcome_that_cannot_be_written_is_told() -> None:
    syncs = 0

    async def full() -> None:
        nonlocal syncs
        syncs += 1
        if syncs == 6:  # header, run, plan, what is reopened, the intent, and then the outcome
            raise OSError(errno.ENOSPC, "No space left on device")

    async def act(stage: Stage) -> tuple[Summary, list[State]]:
        summary = await stage.send()
        return summary, [event.state for event in stage.events if isinstance(event, Lost)]

    summary, lost = play(act, orders=1, store=MemoryStore(sync=full))

    assert counts(summary) == {"planned": 1, "in_doubt": 1, "exit_code": 74}
    assert lost == [State.CONFIRMED]


def test_what_an_input_waits_for_is_told() -> None:
    jobs = numbered("1-01", "A", "R1")
    refused = Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=400, body='{"error": {"code": "1"}}')

    async def act(stage: Stage) -> list[str | None]:
        await stage.send(jobs)
        moved = [e.record for e in stage.events if isinstance(e, Moved)]
        return [record.message for record in moved if record.state is State.HELD]

    assert play(act, refused, orders=orders_of(*jobs)) == [
        "it waits for invoice A, which is rejected; `resume` sends it once that is confirmed"
    ]


def test_a_client_that_is_closed_sends_nothing_and_says_so() -> None:
    async def act(stage: Stage) -> None:
        await stage.client.aclose()
        async with stage.journal as journal:
            with pytest.raises(ConfigError, match="closed"):
                await run(stage.client, stage.jobs, journal)

    play(act)


def test_a_refused_read_ends_what_only_reads() -> None:
    revoked = Fault(do=Do.REVOKE, on="get_order", nth=(3,))

    async def act(stage: Stage) -> Summary:
        network().latency = 0.01
        task = asyncio.create_task(stage.send())
        await asyncio.sleep(0.5)
        assert stage.runner is not None
        stage.runner.stop("enough")
        await task
        async with stage.journal as journal:
            return await resolve(stage.client, journal)

    summary = play(act, DROPPED, revoked, orders=1)

    assert counts(summary) == {"planned": 1, "in_doubt": 1, "exit_code": 77}


def test_a_read_that_was_refused_once_does_not_end_the_next_run() -> None:
    refused = Fault(do=Do.ANSWER, on="get_order", nth=(3,), status=403, body="")

    async def act(stage: Stage) -> tuple[Summary, Summary]:
        return await stage.send(), await stage.resume()

    first, second = play(act, DROPPED, refused, orders=1)

    assert counts(first) == {"planned": 1, "in_doubt": 1, "exit_code": 77}
    assert counts(second) == {"planned": 1, "confirmed": 1}


def test_where_vtex_said_nothing_our_own_words_are_kept() -> None:
    async def act(stage: Stage) -> list[tuple[int | None, str | None]]:
        await stage.send()
        moved = [event.record for event in stage.events if isinstance(event, Moved)]
        return [(r.status, r.message) for r in moved if r.state is State.IN_DOUBT]

    ((status, message),) = play(act, DROPPED, orders=1)

    assert status is None
    assert (message or "").startswith("the connection was closed before an answer came; it may")
