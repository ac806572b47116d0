"""A 429 that nothing explains changes nothing, until more of them follow."""

from __future__ import annotations

import pytest

from benchmarks.simulated_pace import Bucket, Ours, Run
from tests.test_throttle import REJECTED, SERVED, answer
from vtex_invoice_async.throttle import Throttle

TRIP = 0.05


def send(throttle: Throttle, now: float, many: int, *, refused: tuple[int, ...] = ()) -> float:
    """Send one after another; return the time of the last answer."""
    for n in range(many):
        now = max(now, throttle.reserve(now).at)
        throttle.observe(now, now + TRIP, REJECTED if n in refused else SERVED)
    return now


SECONDS = 8.0
"""A time at which no probe is on."""


def knowing(rate: float) -> tuple[Throttle, float]:
    """A throttle that has found a limit, and the time."""
    throttle = Throttle()
    Run(Bucket(rate), pace=Ours(throttle)).play(SECONDS)
    assert 0.98 * rate < throttle.rate < rate
    return throttle, SECONDS


def test_one_429_that_nothing_explains_keeps_the_pace() -> None:
    throttle, now = knowing(100)
    now = send(throttle, now, 60)
    rate, slot = throttle.rate, throttle.reserve(now)

    assert not throttle.observe(slot.at, slot.at + TRIP, REJECTED)
    assert throttle.holds(slot)
    send(throttle, slot.at, 60)

    assert throttle.rate >= 0.99 * rate


def test_more_that_follow_at_once_cut_it() -> None:
    throttle, now = knowing(100)
    now = send(throttle, now, 60)
    turn = throttle.reserve(now).turn

    send(throttle, now, 10, refused=(1, 3, 5))

    assert throttle.reserve(now).turn > turn


def test_one_that_asks_to_wait_is_obeyed_whatever_explains_it() -> None:
    throttle, now = knowing(100)
    now = send(throttle, now, 60)

    throttle.observe(now, now + TRIP, answer(429, Retry_After="7"))

    assert throttle.reserve(now + TRIP).at >= now + TRIP + 7


@pytest.mark.parametrize(("refused", "rate"), [((0,), 100), (tuple(range(5)), 80)])
def test_a_429_while_growing_is_judged_by_what_was_under_way(
    refused: tuple[int, ...], rate: float
) -> None:
    throttle = Throttle()
    slots = [throttle.reserve(0) for _ in range(12)]

    for n, slot in enumerate(slots[:6]):
        throttle.observe(slot.at, slot.at + TRIP, REJECTED if n in refused else SERVED)
    throttle.reserve(0.11)

    assert throttle.rate == rate if rate == 100 else throttle.rate < rate
