"""Deadlines that share a timer end what `asyncio.timeout` would, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.virtual_time import run_virtual
from vtex_invoice_async.deadlines import MOST_KEPT, Deadline, Deadlines, Durations


class Late(TimeoutError):
    pass


def deadlines(seconds: float, error: type[TimeoutError] = Late) -> Deadlines:
    return Deadlines(asyncio.get_running_loop(), seconds, error)


async def guarded(within: Deadlines, work: Coroutine[Any, Any, str]) -> str:
    with Deadline() as deadline:
        within.set(deadline)
        try:
            return await work
        finally:
            within.remove(deadline)


async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


def now() -> float:
    return asyncio.get_running_loop().time()


@given(
    st.lists(
        st.tuples(st.floats(0, 20, width=16), st.floats(0, 20, width=16)), min_size=1, max_size=20
    )
)
def test_each_ends_as_it_would_with_a_timer_of_its_own(
    blocks: list[tuple[float, float]],
) -> None:
    async def main() -> None:
        within = deadlines(5)

        async def block(begins: float, takes: float) -> tuple[str, float]:
            await asyncio.sleep(begins)
            try:
                return await guarded(within, slow(takes)), now() - begins
            except Late:
                return "late", now() - begins

        ended = await asyncio.gather(*(block(*times) for times in blocks))

        for (_, takes), (how, after) in zip(blocks, ended, strict=True):
            if takes != 5:  # both would do
                assert how == ("done" if takes < 5 else "late")
            assert after == pytest.approx(min(takes, 5))

    run_virtual(main())


def test_nothing_is_scheduled_once_all_have_ended() -> None:
    async def main() -> None:
        within = deadlines(5)
        await asyncio.gather(*(guarded(within, slow(n)) for n in range(4)))

        assert within._timer is None
        assert not within._set

    run_virtual(main())


def test_one_that_is_set_anew_comes_later() -> None:
    async def main() -> None:
        within = deadlines(5)

        async def block() -> None:
            with Deadline() as deadline:
                for _ in range(3):
                    within.set(deadline)
                    await asyncio.sleep(4)
                assert now() == 12
                await asyncio.sleep(2)

        with pytest.raises(Late):
            await block()
        assert now() == 13
        assert within._timer is None

    run_virtual(main())


def test_the_first_of_two_that_comes_is_told() -> None:
    async def main() -> None:
        short, long = deadlines(2), deadlines(3, TimeoutError)

        async def block() -> None:
            with Deadline() as deadline:
                long.set(deadline)
                short.set(deadline)
                try:
                    await asyncio.sleep(9)
                finally:
                    long.remove(deadline)

        with pytest.raises(Late):
            await block()

    run_virtual(main())


def test_a_cancellation_in_the_same_moment_goes_on() -> None:
    async def main() -> None:
        task = asyncio.create_task(guarded(deadlines(5), slow(9)))
        asyncio.get_running_loop().call_at(5, task.cancel)

        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())


def test_what_is_cancelled_before_stays_cancelled() -> None:
    async def main() -> None:
        task = asyncio.create_task(guarded(deadlines(5), slow(9)))
        await asyncio.sleep(1)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert now() == 1

    run_virtual(main())


def test_whoever_catches_it_can_go_on() -> None:
    async def main() -> None:
        within = deadlines(5)
        with pytest.raises(Late):
            await guarded(within, slow(9))
        task = asyncio.current_task()

        assert task is not None
        assert task.cancelling() == 0
        assert await guarded(within, slow(4)) == "done"

    run_virtual(main())


def test_one_whose_work_ends_in_spite_of_it_leaves_no_cancellation_behind() -> None:
    async def main() -> None:
        async def stubborn() -> str:
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                return "done"
            return "too early"

        assert await guarded(deadlines(5), stubborn()) == "done"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run_virtual(main())


@given(st.lists(st.floats(0.25, 20, width=16), min_size=1, max_size=80))
def test_each_of_any_durations_ends_at_its_own_time(lengths: list[float]) -> None:
    async def main() -> None:
        within = Durations(asyncio.get_running_loop(), 5, Late)

        async def block(length: float) -> float:
            with pytest.raises(Late):
                await guarded(within.of(length), slow(99))
            return now()

        assert await asyncio.gather(*map(block, lengths)) == pytest.approx(lengths)

        assert within.of(5) is within.usual
        assert not within.usual
        assert not any(within._others.values())
        within.of(21)
        assert len(within._others) <= len(lengths) + 1

    run_virtual(main())


def test_of_durations_that_are_not_in_use_few_are_kept_and_of_the_others_all() -> None:
    async def main() -> None:
        within = Durations(asyncio.get_running_loop(), 5, Late)
        used = asyncio.create_task(guarded(within.of(40), slow(99)))
        await asyncio.sleep(0)
        for n in range(10 * MOST_KEPT):
            within.of(50 + n)

        assert len(within._others) <= MOST_KEPT + 1
        assert within.of(40)
        assert within.of(50) is within.of(50)
        with pytest.raises(Late):
            await used
        assert now() == 40

    run_virtual(main())


def test_all_can_be_made_to_come_at_once() -> None:
    async def main() -> None:
        within = Durations(asyncio.get_running_loop(), 5, Late)
        tasks = [
            asyncio.create_task(guarded(within.of(length), slow(99))) for length in (5, 5, 7, 9)
        ]
        await asyncio.sleep(1)
        await within.expire_all()
        assert all(task.done() for task in tasks)

        ended = await asyncio.gather(*tasks, return_exceptions=True)

        assert [type(error) for error in ended] == [Late] * 4
        assert now() == 1
        assert within.usual._timer is None
        assert await guarded(within.usual, slow(1)) == "done"

    run_virtual(main())


def test_a_block_that_will_not_end_is_waited_for_no_longer_than_the_others_take() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            await asyncio.sleep(50)
        return "done"

    async def main() -> None:
        within = Durations(asyncio.get_running_loop(), 5, Late)
        task = asyncio.create_task(guarded(within.usual, stubborn()))
        await asyncio.sleep(1)
        await within.expire_all()

        assert now() == 1
        assert await task == "done"
        assert not within

    run_virtual(main())
