"""The throttle finds an unknown limit, stays just under it, and follows it.

The bounds are wider than what was measured, by a third of the loss or more.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle
from statistics import median

import pytest

from benchmarks.simulated_pace import (
    BROKEN,
    SERVED,
    WAIT_A_SECOND,
    Bucket,
    Limiter,
    Ours,
    Run,
    Score,
    Trip,
    Unrelated,
    Window,
    jittered,
    slow_when_refused,
    slow_when_served,
    steady,
)
from vtex_invoice_async.config import ThrottleLimits
from vtex_invoice_async.messages import Reply
from vtex_invoice_async.throttle import Throttle


def assert_score(score: Score, *, of_ideal: float, rejected: float) -> None:
    assert score.of_ideal >= of_ideal, score
    assert score.rejected <= rejected, score


RATES = (20, 50, 100, 200, 500)
TRIPS = (steady, jittered)


@pytest.mark.parametrize("trip", TRIPS)
@pytest.mark.parametrize("rate", RATES)
def test_finds_a_limit(rate: float, trip: Trip) -> None:
    score = Run(Bucket(rate), trip=trip).play(120)

    assert_score(score, of_ideal=0.98, rejected=0.012 if rate < 100 else 0.01)


@pytest.mark.parametrize(("rate", "workers"), [(5, 64), (37, 64), (1_000, 128), (2_000, 256)])
def test_finds_a_limit_of_any_size(rate: float, workers: int) -> None:
    score = Run(Bucket(rate), workers=workers).play(60)

    assert_score(score, of_ideal=0.97, rejected=0.06 if rate < 20 else 0.015)


@pytest.mark.parametrize("trip", TRIPS)
@pytest.mark.parametrize("rate", RATES)
def test_a_limit_that_is_halved_costs_little(rate: float, trip: Trip) -> None:
    score = Run(Bucket(rate, then=rate / 2, at=60), trip=trip).play(120)

    assert_score(score, of_ideal=0.97, rejected=0.02)


@pytest.mark.parametrize("trip", TRIPS)
@pytest.mark.parametrize("rate", RATES)
def test_a_limit_that_is_doubled_is_noticed(rate: float, trip: Trip) -> None:
    score = Run(Bucket(rate, then=2 * rate, at=60), workers=128, trip=trip).play(120)

    assert_score(score, of_ideal=0.94, rejected=0.02)


def test_follows_a_limit_that_falls_to_almost_nothing() -> None:
    score = Run(Bucket(200, then=5, at=30)).play(90)

    assert_score(score, of_ideal=0.97, rejected=0.02)


@pytest.mark.parametrize("rate", RATES)
def test_a_wait_that_is_asked_for_is_taken_seldom(rate: float) -> None:
    score = Run(Bucket(rate), refusal=WAIT_A_SECOND).play(120)

    assert_score(score, of_ideal=0.945, rejected=0.006)


@pytest.mark.parametrize("rate", [50, 200])
def test_the_start_costs_few_of_the_waits_that_are_asked_for(rate: float) -> None:
    run = Run(Bucket(rate), refusal=WAIT_A_SECOND)

    score = run.play(10)

    # Two or three pauses of a second, and what the bucket fills with meanwhile comes back.
    assert score.of_ideal >= 0.65, score


@pytest.mark.parametrize("trip", TRIPS)
@pytest.mark.parametrize("rate", RATES)
def test_a_window_is_no_bucket_and_does_little_harm(rate: int, trip: Trip) -> None:
    score = Run(Window(rate), trip=trip).play(120)

    assert_score(score, of_ideal=0.945 if trip is steady else 0.87, rejected=0.05)


def test_a_small_window_is_used_nearly_whole() -> None:
    scores = [Run(Window(20), seed=seed, trip=jittered).play(120) for seed in (1, 2, 3)]

    assert median(score.of_ideal for score in scores) >= 0.95


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("rate", "of_ideal"), [(80, 0.95), (200, 0.93), (500, 0.82)])
def test_429s_that_come_whatever_the_rate_is_do_not_drive_it_down(
    rate: float, of_ideal: float, seed: int
) -> None:
    score = Run(Unrelated(Bucket(rate), 0.015, seed), seed=seed, trip=jittered).play(120)

    assert_score(score, of_ideal=of_ideal, rejected=0.035)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_few_429s_that_come_whatever_the_rate_is_cost_next_to_nothing(seed: int) -> None:
    score = Run(Unrelated(Bucket(80), 0.005, seed), seed=seed).play(120)

    assert_score(score, of_ideal=0.98, rejected=0.02)


def test_a_refusal_that_is_faster_than_an_answer_does_not_mislead() -> None:
    score = Run(Bucket(200), workers=400, trip=slow_when_served).play(60)

    assert_score(score, of_ideal=0.92, rejected=0.03)


@pytest.mark.parametrize("burst", [30, 100])
@pytest.mark.parametrize("workers", [64, 256])
def test_a_refusal_that_is_slower_than_an_answer_does_not_mislead(
    workers: int, burst: float
) -> None:
    score = Run(Bucket(100, burst=burst), workers=workers, trip=slow_when_refused).play(120)

    assert_score(score, of_ideal=0.92, rejected=0.13)


def test_a_first_refusal_that_takes_very_long_is_got_over() -> None:
    def slow(chance: random.Random, served: bool) -> tuple[float, float]:
        return 0.01, 0.04 if served else 10

    score = Run(Bucket(100, burst=100), trip=slow).play(120)

    assert_score(score, of_ideal=0.75, rejected=0.08)


def test_a_limit_that_comes_back_from_almost_nothing_is_noticed() -> None:
    score = Run(Bucket(2, then=100, at=60)).play(180)

    assert_score(score, of_ideal=0.8, rejected=0.01)


def test_a_vtex_that_breaks_on_every_third_does_not_drive_it_down() -> None:
    replies = cycle([SERVED, SERVED, BROKEN])

    score = Run(Bucket(200), served=lambda: next(replies)).play(60)

    assert_score(score, of_ideal=0.97, rejected=0.015)


def test_a_bucket_of_one_is_lived_with() -> None:
    score = Run(Bucket(200, burst=1)).play(60)

    assert_score(score, of_ideal=0.85, rejected=0.03)


def test_headers_that_tell_the_truth_save_429s() -> None:
    bucket = Bucket(20)

    def counting() -> Reply:
        return Reply(status=200, headers={"RateLimit-Remaining": str(int(bucket.tokens))}, body=b"")

    score = Run(bucket, served=counting).play(60)

    assert_score(score, of_ideal=0.98, rejected=0.01)


def test_headers_that_always_say_0_change_nothing() -> None:
    spent = Reply(status=200, headers={"RateLimit-Remaining": "0"}, body=b"")

    assert Run(Bucket(200), served=lambda: spent).play(30) == Run(Bucket(200)).play(30)


@pytest.mark.parametrize(
    ("limiter", "limits"),
    [
        (lambda: Bucket(200), ThrottleLimits(rate=50)),
        (lambda: Bucket(200), ThrottleLimits(max_rate=50)),
        (lambda: Window(200), ThrottleLimits(rate=50, max_rate=80)),
    ],
)
def test_never_exceeds_what_it_is_told(
    limiter: Callable[[], Limiter], limits: ThrottleLimits
) -> None:
    run = Run(limiter(), pace=Ours(Throttle(limits)))

    run.play(30)

    assert run.rejected == 0
    assert 30 * 50 - 60 <= len(run.sent_at) <= 30 * 50 + 1


def test_nothing_but_429s_is_asked_less_and_less_often() -> None:
    throttle = Throttle()
    run = Run(Bucket(1e-9, burst=0), pace=Ours(throttle))

    run.play(600)

    assert len(run.sent_at) < 60
    assert throttle.fruitless_since is not None
    assert throttle.fruitless_since < 1


def test_a_request_now_and_then_does_not_hurry() -> None:
    throttle = Throttle()
    first = throttle.rate

    for second in range(1000):
        slot = throttle.reserve(second)
        throttle.observe(slot.at, second + 0.05, Reply(status=200, headers={}, body=b""))

    assert throttle.rate == first


def test_a_long_wait_at_the_start_does_not_hold_the_pace_down_for_an_hour() -> None:
    wait_a_minute = Reply(status=429, headers={"Retry-After": "60"}, body=b"")
    ours = Ours()

    Run(Bucket(20, then=200, at=2), refusal=wait_a_minute, pace=ours).play(900)

    assert ours.throttle.rate > 100
