"""Samples that a run takes: they add up to what it did, and cost it no sync."""

from __future__ import annotations

import asyncio
import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.factories import job_for
from tests.runs import Stage, play
from vtex_invoice_async import ClientConfig, RetryPolicy, Timeouts, VtexInvoiceClient
from vtex_invoice_async.jobs import Journal, Summary
from vtex_invoice_async.jobs import run as run_jobs
from vtex_invoice_async.jobs.header import header_for
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.jobs.samples import HAPPENED, Sample
from vtex_invoice_async.jobs.sampling import AS_OFTEN
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.sandbox import Do, Fault, Limit, Sandbox

Told = tuple[Summary, list[Sample]]


async def samples_of(stage: Stage) -> list[Sample]:
    async with stage.journal as journal:
        return [sample async for sample in journal.samples()]


async def sent(stage: Stage) -> Told:
    return await stage.send(), await samples_of(stage)


def total(samples: list[Sample]) -> dict[str, int]:
    found = {name: sum(getattr(sample, name) for sample in samples) for name in HAPPENED}
    return {name: count for name, count in found.items() if count}


def test_the_samples_of_a_sound_run_add_up_to_it() -> None:
    summary, samples = play(sent, orders=200, limit=Limit(per_second=40))

    assert summary.confirmed == 200
    counted = total(samples)
    assert counted["confirmed"] == 200
    assert counted["attempts"] == 200 + counted["retried"]
    assert counted["throttled"] == counted["retried"] > 0
    assert sum(sample.latency.total for sample in samples) == 200
    assert {sample.run for sample in samples} == {1}
    assert samples[-1].limit == pytest.approx(40, rel=0.25)
    assert all(sample.rate > 0 for sample in samples)


def test_they_lie_side_by_side_a_second_each() -> None:
    _, samples = play(sent, orders=200, limit=Limit(per_second=40))

    assert len(samples) > 3
    assert [sample.seconds for sample in samples[:-1]] == pytest.approx([1.0] * (len(samples) - 1))
    assert all(later.began >= sample.at for sample, later in pairwise(samples))


ENVELOPE = '{"error": {"code": "OMS003", "message": "no", "exception": null}}'
JSON = {"Content-Type": "application/json"}
REFUSED = Fault(
    do=Do.ANSWER, on="notify_invoice", nth=(2,), status=400, body=ENVELOPE, headers=JSON
)
LOST = Fault(do=Do.CLOSE, on="notify_invoice", nth=(3,), acted=True)


def test_they_count_what_went_wrong() -> None:
    summary, samples = play(sent, REFUSED, LOST, orders=5)

    assert (summary.confirmed, summary.rejected, summary.confirmed_by_order) == (4, 1, 1)
    assert total(samples) == {
        "attempts": 5,
        "confirmed": 4,
        "confirmed_by_order": 1,
        "rejected": 1,
        "doubts_opened": 1,
        "doubts_settled": 1,
    }
    # What was never answered took no time until its answer.
    assert sum(sample.latency.total for sample in samples) == 4
    assert samples[-1].in_doubt == 0


def test_they_tell_what_is_on_its_way_from_what_is_in_doubt() -> None:
    slow = Fault(do=Do.DELAY, on="notify_invoice", nth=(2,), seconds=5)
    lost = Fault(do=Do.CLOSE, on="notify_invoice", nth=(3,), acted=True)

    _, samples = play(sent, slow, lost, orders=4)

    assert (samples[0].in_flight, samples[0].in_doubt) == (1, 1)
    assert (samples[-1].in_flight, samples[-1].in_doubt) == (0, 0)


def test_nothing_is_sampled_of_what_a_client_does_after_a_run() -> None:
    async def act(stage: Stage) -> tuple[int, int]:
        async with stage.journal as journal:
            summary = await run_jobs(stage.client, stage.jobs, journal)
            before = [sample async for sample in journal.samples()]
            stage.sandbox.faults.add(Fault(do=Do.ANSWER, on="get_order", nth=(1,), status=429))
            await stage.client.get_order(stage.jobs[0].order_id)
            assert stage.client.pace().throttled == 1
            await asyncio.sleep(5)
            assert [sample async for sample in journal.samples()] == before
        return summary.confirmed, len(before)

    assert play(act) == (3, 1)


def test_an_answer_takes_as_long_as_it_takes() -> None:
    slow = Fault(do=Do.DELAY, on="notify_invoice", rate=1, seconds=2)

    _, samples = play(sent, slow, orders=3)

    (answered,) = [sample for sample in samples if sample.latency.total]
    assert answered.latency.total == 3
    assert answered.latency.percentile(0.5) == pytest.approx(2, rel=0.1)


def test_what_is_waited_for_is_not_sampled() -> None:
    never = Fault(do=Do.CLOSE, on="notify_invoice", nth=(1,))

    summary, samples = play(
        sent, never, orders=3, retry=RetryPolicy(settle_window=600, resolve_for=5)
    )

    # It was sent once more after it had been absent for the whole window.
    assert (summary.confirmed, total(samples)["attempts"]) == (3, 4)
    assert summary.elapsed_s > 600
    assert len(samples) < 10


def test_a_run_that_was_cancelled_leaves_what_it_had_done() -> None:
    async def cut(stage: Stage) -> list[Sample]:
        running = asyncio.ensure_future(stage.send())
        await asyncio.sleep(2.5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return await samples_of(stage)

    samples = play(cut, orders=100, limit=Limit(per_second=20, burst=20))

    assert 15 < total(samples)["confirmed"] < 60


def test_a_run_whose_client_was_closed_has_none_and_ends_as_ever() -> None:
    async def act(stage: Stage) -> Told:
        await stage.client.aclose()
        async with stage.journal as journal:
            runner = Runner(stage.client, journal)
            runner.stop("enough")
            summary = await runner.resume()
        assert runner.failure is None
        return summary, await samples_of(stage)

    summary, samples = play(act)

    assert (summary.exit_code, samples) == (0, [])


def test_a_client_that_is_closed_amid_a_run_has_a_last_sample() -> None:
    async def act(stage: Stage) -> Told:
        sending = asyncio.ensure_future(stage.send())
        await asyncio.sleep(2.5)
        assert stage.runner is not None
        stage.runner.stop("enough")
        await stage.client.aclose()
        return await sending, await samples_of(stage)

    summary, samples = play(act, orders=100, limit=Limit(per_second=20, burst=20))

    assert 0 < summary.confirmed < 100
    assert total(samples)["confirmed"] == summary.confirmed


def test_each_run_has_samples_of_its_own() -> None:
    async def twice(stage: Stage) -> list[Sample]:
        await stage.send(stage.jobs[:2])
        await stage.send()
        return await samples_of(stage)

    samples = play(twice, orders=5)

    assert [(s.run, s.confirmed) for s in samples if s.confirmed] == [(1, 2), (2, 3)]


def test_the_samples_of_a_long_run_are_fewer() -> None:
    slow = Fault(do=Do.DELAY, on="notify_invoice", rate=1, seconds=1.2)

    _, samples = play(
        sent, slow, orders=900, concurrency=1, timeouts=Timeouts(connect=5, read=20, total=30)
    )

    lengths = [round(sample.seconds) for sample in samples[:-1]]
    assert len(lengths) > AS_OFTEN + 100
    assert lengths == [1] * AS_OFTEN + [2] * (len(lengths) - AS_OFTEN)


class Counted(sqlite3.Connection):
    """Counts the syncs that it waits for."""

    begun = 0

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        Counted.begun += sql == "BEGIN IMMEDIATE"
        return super().execute(sql, parameters)


async def test_a_sample_waits_for_no_sync_of_its_own(tmp_path: Path, sandbox: Sandbox) -> None:
    config: ClientConfig = sandbox.config
    store = SqliteStore(tmp_path / "journal.db", connection=Counted)
    async with (
        VtexInvoiceClient(config) as client,
        Journal(store, header_for(config)) as journal,
    ):
        await run_jobs(client, [job_for(order) for order in sandbox.orders[:3]], journal)
        samples = [sample async for sample in journal.samples()] * 50
        before = Counted.begun
        for sample in samples:
            journal.note(sample)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        # It was not even handed to the thread.
        assert store._writer is not None
        assert len(store._writer._asked) == len(samples) > 0
        assert Counted.begun == before
        await journal.counts()
        assert Counted.begun == before + 1
