"""Results that come later: they hold no worker, are bounded in number, and none is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from itertools import count

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.virtual_time import run_virtual
from vtex_invoice_async.bulk import Later, work_through


async def turns(number: int = 50) -> None:
    """Let everybody else go on until they can go no further."""
    for _ in range(number):
        await asyncio.sleep(0)


def others() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


@define
class Errands:
    """Work of which the jobs in *later* bring their result when they are let go."""

    later: Callable[[int], bool] = lambda _: True
    taken: list[int] = field(factory=list)
    begun: list[int] = field(factory=list)
    brought: list[int] = field(factory=list)
    cancelled: list[int] = field(factory=list)
    gates: dict[int, asyncio.Future[None]] = field(factory=dict)

    def jobs(self, number: int | None = None) -> Iterator[int]:
        for job in count() if number is None else range(number):
            self.taken.append(job)
            yield job

    async def work(self, job: int) -> int | Later[int]:
        await asyncio.sleep(0)
        return Later(lambda: self.bring(job)) if self.later(job) else job

    async def bring(self, job: int) -> int:
        self.begun.append(job)
        self.gates[job] = asyncio.get_running_loop().create_future()
        try:
            await self.gates[job]
        except asyncio.CancelledError:
            self.cancelled.append(job)
            raise
        self.brought.append(job)
        return job

    def run(self, number: int | None = None, *, width: int) -> AsyncGenerator[int, None]:
        jobs = self.jobs(number)
        return work_through(jobs, self.work, width=width, grace=60, ready=lambda: None)

    def let_go(self, *jobs: int) -> None:
        for job in jobs or tuple(self.gates):
            if not self.gates[job].done():
                self.gates[job].set_result(None)


async def read_all(results: AsyncGenerator[int, None], read: list[int]) -> None:
    async with aclosing(results):
        async for result in results:
            read.append(result)  # noqa: PERF401  a comprehension would lose them


async def test_a_result_that_comes_later_holds_no_worker() -> None:
    errands = Errands(later=lambda job: job == 0)
    read: list[int] = []

    async with aclosing(errands.run(5, width=1)) as results:
        async for result in results:
            read.append(result)
            if result == 4:
                errands.let_go(0)

    assert read == [1, 2, 3, 4, 0]


@pytest.mark.parametrize("width", [1, 2, 5])
async def test_once_more_than_twice_the_width_is_awaited_no_more_jobs_are_taken(width: int) -> None:
    errands = Errands()
    reading = asyncio.create_task(read_all(errands.run(width=width), []))

    await turns()
    taken = len(errands.taken)
    await turns()

    # Every worker may have been at work when that came about.
    assert 2 * width < taken <= 3 * width
    assert errands.begun == errands.taken == list(range(taken))
    reading.cancel()
    await asyncio.wait([reading])


async def test_once_few_enough_are_left_jobs_are_taken_again() -> None:
    errands, read = Errands(), list[int]()
    reading = asyncio.create_task(read_all(errands.run(width=2), read))
    await turns()

    for job in range(6):
        errands.let_go(job)
        await turns()
        assert 4 < len(errands.begun) - len(errands.brought) <= 6

    assert read == list(range(6))
    reading.cancel()
    await asyncio.wait([reading])


async def test_twice_the_width_awaited_hold_up_no_work_that_ends_at_once() -> None:
    errands, read = Errands(later=lambda job: job < 4), list[int]()
    reading = asyncio.create_task(read_all(errands.run(50, width=2), read))

    await turns(200)

    assert sorted(read) == list(range(4, 50))
    errands.let_go()
    await reading
    assert sorted(read) == list(range(50))


async def test_a_slow_reader_holds_back_also_what_comes_later() -> None:
    errands = Errands()

    async def bring() -> int:
        return 0

    async def work(_: int) -> int | Later[int]:
        return Later(bring)

    run = work_through(errands.jobs(), work, width=2, grace=1, ready=lambda: None)
    async with aclosing(run) as results:
        assert await anext(results) == 0
        await turns(1000)

        # One was read, two wait to be, and of no more than thrice the width is the rest.
        assert len(errands.taken) <= 1 + 2 + 6


@pytest.mark.parametrize("cancelled", [False, True])
async def test_one_that_fails_ends_the_run_once_the_others_have_come(cancelled: bool) -> None:
    errands, read = Errands(), list[int]()
    reading = asyncio.create_task(read_all(errands.run(width=2), read))
    await turns()

    if cancelled:
        errands.gates[0].cancel()
    else:
        errands.gates[0].set_exception(ZeroDivisionError())
    await turns()
    taken = list(errands.taken)
    errands.let_go()

    with pytest.raises(asyncio.CancelledError if cancelled else ZeroDivisionError):
        await reading
    assert errands.taken == taken
    assert sorted(read) == taken[1:]
    assert not others()


@pytest.mark.parametrize("where", ["input", "ready", "work"])
async def test_they_come_out_though_the_run_fails_elsewhere(where: str) -> None:
    errands, read = Errands(), list[int]()

    def fail_at(place: str, job: int) -> None:
        if (place, job) == (where, 3):
            raise OSError

    def jobs() -> Iterator[int]:
        for job in errands.jobs(9):
            fail_at("input", job)
            yield job

    async def work(job: int) -> int | Later[int]:
        fail_at("work", job)
        return await errands.work(job)

    def ready() -> None:
        fail_at("ready", len(errands.taken))

    run = work_through(jobs(), work, width=2, grace=1, ready=ready)
    reading = asyncio.create_task(read_all(run, read))
    await turns()
    assert not reading.done()
    errands.let_go()

    with pytest.raises(OSError):  # noqa: PT011  it says no more
        await reading
    assert {0, 1, 2} <= set(read)
    assert sorted(read) == sorted(errands.brought)
    assert not others()


@pytest.mark.parametrize("cancels", [False, True])
async def test_leaving_or_cancelling_cancels_them_at_once_and_leaves_no_task(cancels: bool) -> None:
    errands, begun = Errands(later=lambda job: job != 1), list[int]()

    async def read() -> None:
        async with aclosing(errands.run(width=2)) as results:
            assert await anext(results) == 1
            await turns()
            begun.extend(sorted(errands.begun))
            if cancels:
                await anext(results)

    reading = asyncio.create_task(read())
    await turns(100)
    if cancels:
        reading.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([reading])

    assert reading.cancelled() == cancels
    assert len(begun) > 4
    assert sorted(errands.cancelled) == sorted(errands.begun) == begun
    assert not others()


@pytest.mark.parametrize(("later", "brought"), [([1, 2, 3], []), ([1, 2], [1, 2])])
async def test_who_leaves_waits_for_the_workers_alone_not_for_what_comes_later_or_is_unread(
    later: list[int], brought: list[int]
) -> None:
    errands, release = Errands(later=lambda job: job in later), asyncio.Event()

    async def work(job: int) -> int | Later[int]:
        if job == 3:
            await release.wait()
        return await errands.work(job)

    results = work_through(errands.jobs(), work, width=1, grace=60, ready=lambda: None)
    assert await anext(results) == 0
    await turns()
    if brought:
        errands.let_go()
    await turns()
    leaving = asyncio.create_task(results.aclose())
    await turns()
    assert not leaving.done()

    release.set()
    async with asyncio.timeout(5):
        await leaving

    assert errands.brought == brought
    assert sorted(errands.brought + errands.cancelled) == later
    assert errands.taken == [0, 1, 2, 3]
    assert not others()


async def test_work_that_will_not_be_cancelled_sends_nobody_out_any_more() -> None:
    errands = Errands()

    async def work(job: int) -> int | Later[int]:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await errands.work(job)

    run = work_through(errands.jobs(), work, width=2, grace=60, ready=lambda: None)
    reading = asyncio.create_task(read_all(run, []))
    await turns()
    reading.cancel()
    await asyncio.wait([reading])
    assert not errands.begun
    assert not others()


@settings(max_examples=200, deadline=None)
@given(
    jobs=st.integers(0, 30),
    width=st.sampled_from([1, 2, 3, 8]),
    fails=st.dictionaries(st.sampled_from(["input", "work", "bring"]), st.integers(0, 30)),
    later=st.sets(st.integers(0, 30)) | st.just(set(range(31))),
    asynchronous=st.booleans(),
    pace=st.sampled_from([1, 4, 40]),
    chance=st.randoms(use_true_random=False),
)
def test_whatever_comes_at_once_or_later_is_told_once(  # noqa: C901, PLR0917  one case of many parts
    jobs: int,
    width: int,
    fails: dict[str, int],
    later: set[int],
    asynchronous: bool,
    pace: int,
    chance: random.Random,
) -> None:
    taken, done, read = list[int](), list[int](), list[int]()
    awaited: set[int] = set()

    def now() -> Iterator[int]:
        for job in range(jobs):
            if job == fails.get("input"):
                raise OSError
            taken.append(job)
            yield job

    async def from_afar() -> AsyncIterator[int]:
        for job in now():
            yield job
            await turns(chance.randrange(2))

    async def work(job: int) -> int | Later[int]:
        await turns(chance.randrange(4))
        if job == fails.get("work"):
            raise ZeroDivisionError
        if job in later:
            return Later(lambda: bring(job))
        done.append(job)
        return job

    async def bring(job: int) -> int:
        awaited.add(job)
        assert len(awaited) <= 3 * width
        await turns(chance.randrange(12))
        awaited.remove(job)
        if job == fails.get("bring"):
            raise ZeroDivisionError
        done.append(job)
        return job

    async def run() -> None:
        source = from_afar() if asynchronous else now()
        async for result in work_through(source, work, width=width, grace=1, ready=lambda: None):
            read.append(result)
            await turns(chance.randrange(pace))

    failed = False
    try:
        run_virtual(run())  # where a task is left, or all of them wait for ever, it fails
    except (OSError, ZeroDivisionError):
        failed = True

    failing = {fails.get("work")} | ({fails.get("bring")} & later)
    assert failed == bool(
        failing & set(taken) or fails.get("input", jobs) < min(jobs, len(taken) + 1)
    )
    assert sorted(read) == sorted(done)
    assert set(done) == set(taken) - failing
    assert failed or len(read) == jobs


@settings(max_examples=200, deadline=None)
@given(
    width=st.sampled_from([1, 2, 5]),
    later=st.sets(st.integers(0, 40)) | st.just(set(range(41))),
    leaves_after=st.integers(0, 20),
    cancels=st.booleans(),
    chance=st.randoms(use_true_random=False),
)
def test_whenever_it_is_left_or_cancelled_no_task_stays(
    width: int, later: set[int], leaves_after: int, cancels: bool, chance: random.Random
) -> None:
    errands, read, ended = Errands(), list[int](), list[int]()

    async def work(job: int) -> int | Later[int]:
        await turns(chance.randrange(4))
        return Later(lambda: bring(job)) if job in later else job

    async def bring(job: int) -> int:
        errands.begun.append(job)
        try:
            await turns(chance.randrange(20))
        finally:
            ended.append(job)
        return job

    async def read_some() -> None:
        run = work_through(errands.jobs(41), work, width=width, grace=1, ready=lambda: None)
        async with aclosing(run) as results:
            async for result in results:
                read.append(result)
                if not cancels and len(read) > leaves_after:
                    break
                await turns(chance.randrange(6))

    async def run() -> None:
        reading = asyncio.create_task(read_some())
        if cancels:
            await turns(3 * leaves_after)
            reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        assert not others()

    run_virtual(run())

    assert len(read) == len(set(read))
    assert set(read) <= set(errands.taken)
    assert sorted(errands.begun) == sorted(ended)
