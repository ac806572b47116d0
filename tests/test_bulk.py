"""The feeder and its crew: what an input may do, and what it may not do to the calls."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import make_invoice
from tests.raw_server import Act, RawServer, answer, raw_server, read_request
from vtex_invoice_async import InvoiceJob, State, VtexInvoiceClient
from vtex_invoice_async.bulk import work_through


def endless() -> Iterator[InvoiceJob]:
    for number in count():
        yield InvoiceJob(order_id=f"v{number}-01", invoice=make_invoice())


async def fail() -> None:
    await asyncio.sleep(0)
    raise OSError


async def in_a_group() -> AsyncIterator[InvoiceJob]:
    async with asyncio.TaskGroup() as group:
        for number, job in enumerate(endless()):
            if number == 3:
                group.create_task(fail())
            yield job


async def in_a_timeout() -> AsyncIterator[InvoiceJob]:
    async with asyncio.timeout(0.05):
        for job in endless():
            yield job


@pytest.mark.parametrize("jobs", [in_a_group, in_a_timeout])
async def test_a_scope_that_the_input_opens_does_not_bind_to_a_worker(
    jobs: Callable[[], AsyncIterator[InvoiceJob]],
) -> None:
    release = asyncio.Event()

    def held(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                server.record(await read_request(reader))
                if len(server.requests) == 4:
                    asyncio.get_running_loop().call_later(0.1, release.set)
                await release.wait()
                writer.write(answer())

        return act

    seen = 0
    async with (
        raw_server(held) as server,
        VtexInvoiceClient(server.config(max_concurrency=4)) as client,
        asyncio.timeout(5),
    ):
        ends = (ExceptionGroup, TimeoutError, asyncio.CancelledError)
        with pytest.raises(ends):  # noqa: PT012  the loop is what raises
            async for outcome in client.notify_many(jobs()):
                assert outcome.state is State.CONFIRMED
                seen += 1

    # Every invoice that left has been told of.
    assert seen == len(server.requests)


async def test_one_whose_work_fails_ends_the_run_and_the_others_finish() -> None:
    async def work(job: int) -> int:
        await asyncio.sleep(0)
        if job == 3:
            raise ZeroDivisionError
        return job

    done: list[int] = []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  the loop is what raises
        async for result in work_through(count(), work, width=3, grace=1, ready=lambda: None):
            done.append(result)  # noqa: PERF401  a comprehension would lose them

    assert {0, 1, 2} <= set(done)
    assert 3 not in done
    assert len(done) < 10


async def test_no_job_is_taken_before_a_worker_is_free_for_it() -> None:
    begun = taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        for job in range(50):
            taken += 1
            yield job

    async def work(job: int) -> int:
        nonlocal begun
        begun += 1
        assert taken - begun <= 3
        await asyncio.sleep(0)
        return job

    results = [r async for r in work_through(jobs(), work, width=3, grace=1, ready=lambda: None)]

    assert sorted(results) == list(range(50))


@pytest.mark.parametrize("ahead", [0, 1, 5])
async def test_of_an_input_that_is_awaited_some_are_taken_ahead(ahead: int) -> None:
    begun = taken = most = 0

    async def jobs() -> AsyncIterator[int]:
        nonlocal taken, most
        for job in range(50):
            taken += 1
            most = max(most, taken - begun)
            yield job

    async def work(job: int) -> int:
        nonlocal begun
        begun += 1
        for _ in range(10):
            await asyncio.sleep(0)
        return job

    run = work_through(jobs(), work, width=3, grace=1, ready=lambda: None, ahead=ahead)
    results = [result async for result in run]

    assert sorted(results) == list(range(50))
    assert ahead <= most <= 3 + ahead


@pytest.mark.parametrize("width", [1, 3, 8])
async def test_a_reader_who_is_busy_holds_the_workers_back(width: int) -> None:
    done = read = 0

    async def work(job: int) -> int:
        nonlocal done
        done += 1
        return job

    async for _ in work_through(range(50), work, width=width, grace=1, ready=lambda: None):
        for _ in range(20):
            await asyncio.sleep(0)
        read += 1
        # As many as there is room for, and one more in the hands of each worker.
        assert done - read <= 2 * width

    assert read == 50


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("width", [1, 3, 8])
async def test_a_reader_who_is_busy_loses_no_result(width: int, asynchronous: bool) -> None:
    async def work(job: int) -> int:
        await asyncio.sleep(0)
        return job

    async def later() -> AsyncIterator[int]:
        for job in range(50):
            yield job

    jobs = later() if asynchronous else iter(range(50))
    read: list[int] = []
    async for result in work_through(jobs, work, width=width, grace=1, ready=lambda: None):
        read.append(result)
        # Long enough for every worker to have ended behind the reader's back.
        for _ in range(20):
            await asyncio.sleep(0)

    assert sorted(read) == list(range(50))


async def test_a_busy_reader_is_told_what_was_done_before_the_input_failed() -> None:
    def jobs() -> Iterator[int]:
        yield from range(5)
        raise ZeroDivisionError

    async def work(job: int) -> int:
        return job

    read: list[int] = []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  the loop is what raises
        async for result in work_through(jobs(), work, width=3, grace=1, ready=lambda: None):
            read.append(result)
            for _ in range(20):
                await asyncio.sleep(0)

    assert sorted(read) == list(range(5))


async def test_an_input_that_swallows_its_cancellation_does_not_hold_up_leaving() -> None:
    async def stubborn() -> AsyncIterator[int]:
        for job in count():
            if job > 2:
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
            yield job

    async def work(job: int) -> int:
        return job

    results = work_through(stubborn(), work, width=2, grace=0.05, ready=lambda: None)
    async with asyncio.timeout(2):
        assert await anext(results) == 0
        assert await anext(results) == 1
        await asyncio.sleep(0)
        await results.aclose()


@settings(max_examples=150, deadline=None)
@given(
    jobs=st.integers(0, 30),
    width=st.sampled_from([1, 2, 3, 8]),
    input_fails_at=st.none() | st.integers(0, 30),
    work_fails_at=st.none() | st.integers(0, 30),
    asynchronous=st.booleans(),
    chance=st.randoms(use_true_random=False),
)
def test_whatever_was_taken_is_done_and_told(  # noqa: C901, PLR0917  one case of many parts
    jobs: int,
    width: int,
    input_fails_at: int | None,
    work_fails_at: int | None,
    asynchronous: bool,
    chance: random.Random,
) -> None:
    taken: list[int] = []
    done: list[int] = []
    read: list[int] = []

    async def pause(most: int) -> None:
        for _ in range(chance.randrange(most)):
            await asyncio.sleep(0)

    def now() -> Iterator[int]:
        for job in range(jobs):
            if job == input_fails_at:
                raise OSError
            taken.append(job)
            yield job

    async def later() -> AsyncIterator[int]:
        for job in range(jobs):
            await pause(2)
            if job == input_fails_at:
                raise OSError
            # Taken is what was handed over: a source that is cancelled while it waits keeps its own.
            taken.append(job)
            yield job

    async def work(job: int) -> int:
        await pause(4)
        if job == work_fails_at:
            raise ZeroDivisionError
        done.append(job)
        return job

    async def run() -> None:
        source = later() if asynchronous else now()
        async for result in work_through(source, work, width=width, grace=1, ready=lambda: None):
            read.append(result)
            await pause(5)

    failed = False
    try:
        asyncio.run(run())
    except (OSError, ZeroDivisionError):
        failed = True

    fails = {input_fails_at, work_fails_at} & set(range(jobs))
    assert failed == bool(fails & {*taken, input_fails_at})
    assert sorted(read) == sorted(done)
    assert set(taken) - {work_fails_at} == set(done)
    assert failed or len(read) == jobs
