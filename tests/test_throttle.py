"""What the throttle promises whatever happens; how well it finds a limit is in test_throttle_pace.py."""

from __future__ import annotations

import math

import pytest

from vtex_invoice_async.config import ThrottleLimits
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.messages import Reply
from vtex_invoice_async.throttle import Throttle


def answer(status: int, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=b"")


SERVED = answer(200)
REJECTED = answer(429)


@pytest.mark.parametrize("name", ["rate", "max_rate"])
@pytest.mark.parametrize("value", [0, -1, 0.0, math.nan, math.inf, -math.inf, True, "5", 5e-324])
def test_limits_that_make_no_sense_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^throttle\.{name} must be a number of requests"):
        ThrottleLimits(**{name: value})


@pytest.mark.parametrize("value", [None, 1, 0.5, 1e-6, 10**400])
def test_limits_are_numbers_above_0(value: float | None) -> None:
    throttle = Throttle(ThrottleLimits(rate=value, max_rate=value))

    assert 0 < throttle.rate <= 1e6
    assert math.isfinite(throttle.reserve(0).at)


def test_slots_are_as_far_apart_as_the_rate_says_even_after_a_rest() -> None:
    throttle = Throttle(ThrottleLimits(rate=10))

    slots = [throttle.reserve(now).at for now in (5, 5, 5, 100, 100)]

    assert slots == pytest.approx([5, 5.1, 5.2, 100, 100.1])


def test_a_slot_that_is_given_back_goes_to_the_next_who_asks() -> None:
    throttle = Throttle(ThrottleLimits(rate=10))
    _, second, third = [throttle.reserve(0) for _ in range(3)]

    throttle.give_back(second)
    slots = [throttle.reserve(0).at for _ in range(2)]

    assert slots == pytest.approx([second.at, third.at + 0.1])


def test_a_slot_that_is_given_back_too_late_is_nobody_s() -> None:
    throttle = Throttle(ThrottleLimits(rate=10))
    _, second = [throttle.reserve(0) for _ in range(2)]

    throttle.give_back(second)

    assert throttle.reserve(5).at == 5


@pytest.mark.parametrize("first", [True, False])
def test_a_slot_from_before_a_pause_is_nobody_s(first: bool) -> None:
    throttle = Throttle(ThrottleLimits(rate=10))
    _, second = [throttle.reserve(0) for _ in range(2)]

    if first:
        throttle.give_back(second)
    throttle.observe(0, 0.05, answer(429, Retry_After="60"))
    if not first:
        throttle.give_back(second)

    assert throttle.reserve(0.05).at >= 60


def test_grows_while_callers_wait() -> None:
    throttle = Throttle()

    slots = [throttle.reserve(0) for _ in range(50)]
    for slot in slots[:40]:
        throttle.observe(slot.at, slot.at + 0.05, SERVED)
    throttle.reserve(0.5)

    assert throttle.rate == 200


def test_does_not_grow_before_anything_came_back() -> None:
    throttle = Throttle()

    for now in range(10):
        for _ in range(200):
            throttle.reserve(now)

    assert throttle.rate == 100


def test_grows_after_a_time_of_little_to_send() -> None:
    throttle = Throttle()
    for second in range(1000):
        throttle.reserve(second)

    for now in (1000, 1000.4, 1000.8):
        slots = [throttle.reserve(now) for _ in range(41)]
        for slot in slots:
            throttle.observe(slot.at, slot.at + 0.05, SERVED)

    assert throttle.rate > 100


@pytest.mark.parametrize(("limits", "most"), [({"rate": 80}, 80), ({"max_rate": 150}, 150)])
def test_grows_no_further_than_it_is_told(limits: dict[str, float], most: float) -> None:
    throttle = Throttle(ThrottleLimits(**limits))

    for second in range(100):
        throttle.reserve(second / 100)
        slot = throttle.reserve(second / 100)
        for _ in range(5):
            throttle.observe(slot.at, slot.at + 0.05, SERVED)

    assert throttle.rate == most


def test_a_429_cuts_the_pace_and_voids_what_was_booked() -> None:
    throttle = Throttle()
    early, late = throttle.reserve(0), throttle.reserve(0)

    cut = throttle.observe(early.at, 0.05, REJECTED)

    assert cut
    assert throttle.rate < 100
    assert not throttle.holds(late)
    assert throttle.holds(again := throttle.reserve(0.05))
    assert again.at >= throttle.closed_until == pytest.approx(0.1)


def test_a_burst_cuts_once() -> None:
    throttle = Throttle()
    throttle.observe(0.0, 0.05, REJECTED)
    rate, closed_until = throttle.rate, throttle.closed_until

    cuts = [throttle.observe(0.01 * n, 0.05 + 0.01 * n, REJECTED) for n in range(1, 5)]

    assert cuts == [False] * 4
    assert (throttle.rate, throttle.closed_until) == (rate, closed_until)


def test_a_longer_wait_within_a_burst_is_obeyed() -> None:
    throttle = Throttle()
    throttle.observe(0.0, 0.05, answer(429, Retry_After="1"))
    slot = throttle.reserve(0.06)
    rate = throttle.rate

    cut = throttle.observe(0.01, 0.06, answer(429, Retry_After="7"))

    assert not cut
    assert throttle.rate == rate
    assert throttle.closed_until == 7.06
    assert not throttle.holds(slot)


def test_a_shorter_wait_within_a_burst_shortens_nothing() -> None:
    throttle = Throttle()
    throttle.observe(0.0, 0.05, answer(429, Retry_After="7"))
    slot = throttle.reserve(0.06)

    throttle.observe(0.01, 0.06, answer(429, Retry_After="1"))

    assert throttle.closed_until == 7.05
    assert throttle.holds(slot)


def test_a_request_that_left_just_after_a_cut_does_not_shorten_the_wait() -> None:
    throttle = Throttle()
    throttle.observe(0.0, 0.05, answer(429, Retry_After="7"))
    throttle.observe(0.06, 0.1, SERVED)

    assert throttle.observe(0.07, 0.2, REJECTED)
    assert throttle.closed_until == 7.05


def test_an_answer_that_took_absurdly_long_does_not_spoil_the_measurement() -> None:
    throttle = Throttle()
    throttle.observe(0.0, 0.05, REJECTED)
    for n in range(1, 51):
        throttle.observe(n / 50, n / 50 + 0.05, SERVED)
    throttle.observe(-1e6, 1.1, SERVED)

    throttle.observe(1.1, 1.15, REJECTED)

    assert 40 < throttle.rate < 50


def test_many_answers_at_one_moment_do_not_feign_a_high_limit() -> None:
    throttle = Throttle()
    throttle.observe(0, 0.05, REJECTED)
    for now in (0.1, 0.2, 2.0):
        throttle.reserve(now), throttle.reserve(now)
    probe = throttle.rate
    for _ in range(200):
        throttle.observe(1.9, 2.001, SERVED)

    throttle.observe(2.0, 2.001, REJECTED)
    for now in (3, 40, 40.1):
        throttle.reserve(now), throttle.reserve(now)

    assert throttle.rate < 1.2 * probe


def test_a_pinned_rate_learns_nothing_and_still_waits() -> None:
    throttle = Throttle(ThrottleLimits(rate=50))

    cut = throttle.observe(0.0, 0.05, answer(429, Retry_After="999999999"))

    assert cut
    assert throttle.rate == 50
    assert throttle.reserve(1).at == throttle.closed_until == 999999999.05


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"RateLimit_Reset": "9"}, 9), ({"RateLimit_Reset": "9", "Retry_After": "2"}, 2)],
)
def test_a_reset_serves_where_no_wait_is_told(headers: dict[str, str], wait: float) -> None:
    throttle = Throttle()
    throttle.observe(0.0, 0.0, answer(429, **headers))

    assert throttle.closed_until == wait


def test_a_rate_that_is_spent_cuts_as_a_429_does_though_nothing_was_rejected() -> None:
    throttle = Throttle()
    throttle.observe(0.0, 0.05, answer(200, RateLimit_Remaining="1"))

    assert throttle.observe(0.01, 0.06, answer(200, RateLimit_Remaining="0"))
    assert not throttle.observe(0.02, 0.07, answer(200, RateLimit_Remaining="0"))
    assert throttle.rate < 100
    assert throttle.closed_until == pytest.approx(0.11)
    assert throttle.fruitless_since is None


def test_an_old_answer_between_two_that_say_0_does_not_make_them_news() -> None:
    throttle = Throttle()
    throttle.observe(0.0, 0.05, answer(200, RateLimit_Remaining="1"))
    throttle.observe(0.01, 0.06, answer(200, RateLimit_Remaining="0"))
    rate = throttle.rate

    throttle.observe(0.0, 0.07, answer(200, RateLimit_Remaining="1"))

    assert not throttle.observe(0.02, 0.08, answer(200, RateLimit_Remaining="0"))
    assert throttle.rate == rate


@pytest.mark.parametrize("status", [500, 502, 504, 599])
def test_a_server_error_teaches_nothing(status: int) -> None:
    throttle = Throttle()
    slot = throttle.reserve(0)

    cut = throttle.observe(
        slot.at, 1, answer(status, Retry_After="60", RateLimit_Remaining="0", RateLimit_Reset="60")
    )

    assert not cut
    assert throttle.holds(slot)
    assert throttle.rate == 100
    assert throttle.closed_until == -math.inf


def test_a_busy_vtex_is_left_alone_for_as_long_as_it_asks() -> None:
    throttle = Throttle()
    slot, held = throttle.reserve(0), throttle.reserve(0)

    cut = throttle.observe(slot.at, 1, answer(503, Retry_After="60"))

    assert not cut
    assert throttle.rate == 100
    assert not throttle.holds(held)
    assert throttle.reserve(1).at == 61


def test_clients_that_are_told_to_wait_as_long_do_not_come_back_together() -> None:
    ends = []
    for spread in (0.0, 0.5, 0.99):
        throttle = Throttle(spread=spread)
        throttle.observe(0, 1, answer(429, Retry_After="60"))
        ends.append(throttle.closed_until)

    assert ends == pytest.approx([61, 64, 66.94])


def test_tells_since_when_nothing_but_429s_came_back() -> None:
    throttle = Throttle()
    told = [throttle.fruitless_since]

    for now, reply in [(1, REJECTED), (2, REJECTED), (3, answer(503)), (4, REJECTED), (5, SERVED)]:
        throttle.observe(now - 0.1, now, reply)
        told.append(throttle.fruitless_since)

    assert told == [None, 1, 1, None, 4, None]


def test_where_nothing_passes_each_silence_is_longer_and_one_request_goes_alone() -> None:
    throttle = Throttle()
    now, silences, alone = 0.0, [], []

    for _ in range(12):
        now = throttle.reserve(now).at
        alone.append(throttle.reserve(now).at - now)
        throttle.observe(now, now + 0.1, REJECTED)
        now += 0.1
        silences.append(throttle.closed_until - now)

    assert silences == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30])
    assert min(alone[2:]) > 0.1


def test_a_pause_of_nobody_sending_is_not_taken_for_a_low_limit() -> None:
    throttle = Throttle()
    throttle.observe(0, 0.05, REJECTED)
    for n in range(100):
        throttle.observe(1 + n / 75, 1.05 + n / 75, SERVED)
        throttle.reserve(1.05 + n / 75)
    throttle.reserve(3600)

    throttle.observe(3600, 3600.05, REJECTED)

    assert throttle.rate > 30


def test_a_probe_ends_when_nobody_waits() -> None:
    throttle = Throttle()
    throttle.observe(0, 0.05, REJECTED)
    throttle.reserve(0.3)
    cruise = throttle.rate
    for _ in range(200):
        throttle.reserve(0.3)
    throttle.reserve(2)
    probe = throttle.rate

    throttle.reserve(100)
    throttle.reserve(200)

    assert probe > cruise == pytest.approx(throttle.rate)
