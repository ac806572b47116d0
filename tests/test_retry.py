"""Again or not: a table, and what holds for any policy and any failure."""

from __future__ import annotations

import math
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from vtex_invoice_async import VtexInvoiceClient, errors
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import CallError, ConfigError, NotSent, OutcomeUnknown, RateLimited
from vtex_invoice_async.retry import Attempt, GiveUp, RetryIn, RetryPolicy, RetryQuota, decide

POLICY = RetryPolicy()
ALMOST_1 = math.nextafter(1.0, 0.0)
NOT_SENT = NotSent("the host could not be reached")
UNREAD = CallError("VTEX answered 503; read it again")


def decision(error: Exception, policy: RetryPolicy = POLICY, **known: Any) -> RetryIn | GiveUp:
    sound = {"number": 1, "elapsed": 0.0, "chance": 0.5}
    return decide(policy, Attempt(error=error, **{**sound, **known}))


def throttled(retry_after: float | None = None) -> RateLimited:
    return RateLimited("VTEX is throttling", retry_after=retry_after)


def make_error(kind: type[Exception]) -> Exception:
    return kind([]) if kind is errors.InvalidInvoice else kind("no")


OURS = [getattr(errors, name) for name in errors.__all__ if name not in {"Doubt", "Problem"}]
FOREIGN: list[type[Exception]] = [Exception, OSError, TimeoutError, ConnectionError, ValueError]
REPEATED = {NotSent, RateLimited}


@pytest.mark.parametrize("kind", [*OURS, *FOREIGN])
def test_of_what_acts_only_the_unsent_and_the_throttled_is_repeated(kind: type[Exception]) -> None:
    decided = decision(make_error(kind))

    assert isinstance(decided, RetryIn) == (kind in REPEATED)


@pytest.mark.parametrize("kind", [*OURS, *FOREIGN])
def test_of_a_read_what_was_not_answered_properly_is_repeated_too(kind: type[Exception]) -> None:
    decided = decision(make_error(kind), reads_only=True)

    assert isinstance(decided, RetryIn) == (kind in REPEATED | {CallError})


@pytest.mark.parametrize(
    ("number", "most", "again"),
    [(1, 1, False), (1, 2, True), (2, 2, False), (5, 6, True), (6, 6, False), (10**9, 6, False)],
)
@pytest.mark.parametrize("error", [NOT_SENT, UNREAD])
def test_attempts_are_used_up(error: CallError, number: int, most: int, again: bool) -> None:
    policy = RetryPolicy(max_attempts=most, deadline=None)

    decided = decision(error, policy, number=number, reads_only=True)

    assert isinstance(decided, RetryIn) == again
    assert again or decided == GiveUp(f"tried {number} times")


def test_what_was_throttled_uses_up_no_attempt() -> None:
    assert decision(throttled(), RetryPolicy(max_attempts=1), number=5) == RetryIn(0)


@pytest.mark.parametrize(
    ("number", "bound"), [(1, 0.5), (2, 1), (3, 2), (6, 16), (7, 30), (31, 30), (10**9, 30)]
)
def test_the_bound_of_a_wait_doubles_up_to_the_highest(number: int, bound: float) -> None:
    policy = RetryPolicy(max_attempts=10**9 + 1, deadline=None)

    waits = [decision(NOT_SENT, policy, number=number, chance=c) for c in (0.0, 0.5, ALMOST_1)]

    assert waits == [RetryIn(0), RetryIn(bound / 2), RetryIn(ALMOST_1 * bound)]
    assert ALMOST_1 * bound < bound


def test_no_first_wait_means_no_waits() -> None:
    policy = RetryPolicy(max_attempts=10**9, first_wait=0)

    waits = [decision(NOT_SENT, policy, number=n, chance=ALMOST_1) for n in (1, 2, 10**8)]

    assert waits == [RetryIn(0)] * 3


@pytest.mark.parametrize(
    ("retry_after", "chance", "wait"),
    [
        (None, 0.0, 0),
        (None, ALMOST_1, 0),
        (0.0, ALMOST_1, 0),
        (10.0, 0.0, 10),
        (10.0, 0.5, 10.25),
        (0.25, 0.5, 0.375),
        (100.0, 0.0, 100),
    ],
)
def test_what_vtex_asks_for_is_waited_and_a_little_more(
    retry_after: float | None, chance: float, wait: float
) -> None:
    assert decision(throttled(retry_after), chance=chance) == RetryIn(wait)


@pytest.mark.parametrize("retry_after", [math.nextafter(300, 301), 301.0, 1e9, math.inf, math.nan])
def test_what_vtex_asks_for_above_the_cap_is_not_sat_out(retry_after: float) -> None:
    decided = decision(throttled(retry_after), RetryPolicy(deadline=None))

    assert decided == GiveUp(f"VTEX asks to wait {retry_after:.0f} s")


def test_what_vtex_asks_for_at_the_cap_is_sat_out() -> None:
    policy = RetryPolicy(deadline=None)

    assert decision(throttled(300.0), policy, chance=0.0) == RetryIn(300)


@pytest.mark.parametrize("retry_after", [-0.0, -1e-9, -5.0, -1e9, -math.inf])
def test_nobody_waits_less_than_nothing(retry_after: float) -> None:
    decided = decision(throttled(retry_after))

    assert isinstance(decided, GiveUp) or decided.seconds >= 0


@pytest.mark.parametrize(
    ("deadline", "elapsed", "again"),
    [
        (None, 0.0, True),
        (None, 1e12, True),
        (0, 0.0, False),
        (10, 0.0, True),
        (10, 9.75, True),
        (10, math.nextafter(9.75, 10), False),
        (10, 10.0, False),
        (10, 1e12, False),
    ],
)
@pytest.mark.parametrize("error", [NOT_SENT, UNREAD, throttled(0.125)])
def test_no_attempt_begins_after_the_deadline(
    error: CallError, deadline: float | None, elapsed: float, again: bool
) -> None:
    policy = RetryPolicy(deadline=deadline)
    chance = 1.0 if isinstance(error, RateLimited) else 0.5  # a wait of a quarter of a second

    decided = decision(error, policy, elapsed=elapsed, chance=chance, reads_only=True)

    assert isinstance(decided, RetryIn) == again
    assert again or decided == GiveUp(f"no time left of {deadline} s")


def test_without_a_wait_the_very_last_moment_is_in_time() -> None:
    decided = [
        decision(NOT_SENT, RetryPolicy(deadline=0), chance=0.0),
        decision(throttled(), RetryPolicy(deadline=10), elapsed=10.0),
    ]

    assert decided == [RetryIn(0), RetryIn(0)]


SECONDS = ["deadline", "first_wait", "max_wait", "retry_after_cap", "resolve_for"]
NO_SECONDS = [True, False, math.nan, math.inf, -math.inf, -1, -1e-9, "5", b"5", [5], 1j]


@pytest.mark.parametrize("value", NO_SECONDS)
@pytest.mark.parametrize("name", SECONDS)
def test_seconds_that_make_no_sense_are_refused(name: str, value: object) -> None:
    settings: dict[str, Any] = {name: value}

    with pytest.raises(ConfigError, match=rf"^retry\.{name} must be a number of seconds of at"):
        RetryPolicy(**settings)


@pytest.mark.parametrize("name", SECONDS[1:])
def test_only_the_deadline_may_be_none(name: str) -> None:
    settings: dict[str, Any] = {name: None}

    with pytest.raises(ConfigError, match=rf"^retry\.{name}"):
        RetryPolicy(**settings)


@pytest.mark.parametrize("value", [*NO_SECONDS, None, 0, 0.0, -0.0])
def test_a_settle_window_that_makes_no_sense_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^retry\.settle_window must be a number of seconds abo"):
        RetryPolicy(settle_window=value)


@pytest.mark.parametrize("value", [True, 0, -1, 1.0, 6.5, math.nan, math.inf, "6", None])
def test_a_number_of_attempts_that_makes_no_sense_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^retry\.max_attempts must be an int of at least 1"):
        RetryPolicy(max_attempts=value)


@pytest.mark.parametrize("name", [*SECONDS, "settle_window"])
def test_no_number_of_seconds_raises_anything_but_a_config_error(name: str) -> None:
    settings: dict[str, Any] = {name: 10**400}

    try:
        RetryPolicy(**settings)
    except ConfigError as refused:
        told = str(refused)
    else:
        told = name

    assert name in told


@pytest.mark.parametrize("value", [0, 0.0, 1, 0.5, 1e-6, 1e300])
@pytest.mark.parametrize("name", SECONDS)
def test_any_other_number_of_seconds_is_accepted(name: str, value: float) -> None:
    settings: dict[str, Any] = {name: value}

    assert getattr(RetryPolicy(**settings), name) == value


def config(window: float) -> ClientConfig:
    retry = RetryPolicy(settle_window=window)
    return ClientConfig(account="acme", app_key="K", app_token="T", retry=retry)


@pytest.mark.parametrize("window", [1e-6, 1, 59, math.nextafter(60, 0)])
def test_a_client_with_a_window_under_a_minute_warns_where_it_was_made(window: float) -> None:
    with pytest.warns(UserWarning, match=r"settle_window is under 60 s") as told:
        VtexInvoiceClient(config(window))

    assert [warning.filename for warning in told] == [__file__]


@pytest.mark.parametrize("window", [60, 60.0, 61, 1e9])
def test_a_window_of_a_minute_does_not_warn(
    window: float, recwarn: pytest.WarningsRecorder
) -> None:
    VtexInvoiceClient(config(window))

    assert list(recwarn) == []


@pytest.mark.parametrize("calls", [0, 1, 9, 10, 100, 1000, 5000])
def test_an_outage_is_met_with_a_repetition_for_every_tenth_call_and_twenty_more(
    calls: int,
) -> None:
    quota, repeated = RetryQuota(), 0

    for _ in range(calls):
        quota.earn()
        while quota.spend():
            repeated += 1

    assert repeated <= 0.1 * calls + 20
    assert repeated >= min(20, 20 * calls)


def test_rest_does_not_save_up_more_than_twenty_repetitions() -> None:
    quota = RetryQuota()

    for _ in range(10_000):
        quota.earn()

    assert [quota.spend() for _ in range(25)] == [True] * 20 + [False] * 5


def test_a_quota_of_another_size_begins_full() -> None:
    assert [RetryQuota(most=0).spend(), RetryQuota(most=1).spend()] == [False, True]


@given(st.lists(st.booleans(), max_size=400))
def test_however_calls_and_repetitions_mix_no_quota_is_exceeded(calls: list[bool]) -> None:
    quota, earned, repeated = RetryQuota(), 0, 0

    for is_call in calls:
        if is_call:
            quota.earn()
            earned += 1
        else:
            repeated += quota.spend()

        assert repeated <= 20 + 0.1 * earned


seconds = st.floats(0, 1e6)
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 20) | st.integers(1, 10**12),
    deadline=st.none() | seconds,
    first_wait=seconds,
    max_wait=seconds,
    retry_after_cap=seconds,
)
failures = st.one_of(
    st.sampled_from([make_error(kind) for kind in (*OURS, *FOREIGN)]),
    st.builds(throttled, st.none() | seconds | st.floats()),
    st.builds(OutcomeUnknown, st.text()),
)
attempts = st.builds(
    Attempt,
    number=st.integers(1, 30) | st.integers(1, 10**12),
    elapsed=seconds,
    error=failures,
    reads_only=st.booleans(),
    chance=st.floats(0, 1, exclude_max=True),
)


@given(policy=policies, attempt=attempts)
def test_whatever_fails_what_may_have_acted_is_not_repeated_and_every_bound_is_kept(
    policy: RetryPolicy, attempt: Attempt
) -> None:
    error = attempt.error
    is_safe = isinstance(error, NotSent | RateLimited)

    decided = decide(policy, attempt)

    if isinstance(decided, GiveUp):
        assert decided.reason
        return
    assert is_safe or (attempt.reads_only and type(error) is CallError)
    assert decided.seconds >= 0
    assert policy.deadline is None or attempt.elapsed + decided.seconds <= policy.deadline
    if isinstance(error, RateLimited):
        asked = max(error.retry_after or 0.0, 0.0)
        assert asked <= decided.seconds <= asked + policy.first_wait
        assert asked <= policy.retry_after_cap
    else:
        assert decided.seconds <= policy.max_wait
        assert attempt.number < policy.max_attempts


@given(policy=policies, errors=st.lists(st.tuples(failures, st.booleans(), st.floats(0, 9))))
def test_a_call_never_has_more_than_its_attempts_nor_begins_one_after_its_deadline(
    policy: RetryPolicy, errors: list[tuple[Exception, bool, float]]
) -> None:
    policy = evolve(policy, max_attempts=min(policy.max_attempts, 5))
    counted, elapsed, begun = 0, 0.0, [0.0]

    for error, reads_only, took in errors:
        elapsed += took
        counted += not isinstance(error, RateLimited)
        known = {"number": max(1, counted), "elapsed": elapsed, "reads_only": reads_only}
        decided = decision(error, policy, **known)
        if isinstance(decided, GiveUp):
            break
        elapsed += decided.seconds
        begun.append(elapsed)

    assert counted <= policy.max_attempts
    assert policy.deadline is None or max(begun) <= policy.deadline
    assert begun == sorted(begun)
