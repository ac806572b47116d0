"""What a server asks to wait is told in seconds, or as None where it is not clear."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from vtex_invoice_async.messages import NoReply, Reply, Request

NOW = "Wed, 21 Oct 2026 07:28:00 GMT"


def make_reply(headers: dict[str, str]) -> Reply:
    return Reply(status=429, headers=CIMultiDict(headers), body=b"")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1", 1),
        ("007", 7),
        ("120", 120),
        ("  5\t", 5),
        ("999999999", 999999999),
        # More than 30 years is no answer.
        ("1000000000", None),
        ("9" * 5000, None),
        ("", None),
        (" ", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1,5", None),
        ("1e9", None),
        ("0x10", None),
        ("1_000", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("\uff15", None),  # a full-width digit
        ("\u0665", None),  # an Arabic digit
        ("\u00b2", None),  # a superscript
        ("5 seconds", None),
        ("5, 7", None),
        ("soon", None),
        # Dates, against the reply's own
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30),
        ("Thu, 22 Oct 2026 07:28:00 GMT", 86400),
        ("Wed, 21 Oct 2026 07:27:59 GMT", None),
        ("Wed, 21 Oct 2016 07:28:00 GMT", None),
        # The day of the week is not looked at, the rest is.
        ("Mon, 21 Oct 2026 07:28:30 GMT", 30),
        ("Fri, 31 Feb 2026 07:28:30 GMT", None),
        ("Wed, 21 Okt 2026 07:28:30 GMT", None),
        ("Wed, 21 Oct 2026 25:28:30 GMT", None),
        ("Wed, 21 Oct 2026 07:28:30 BRT", None),
        ("Wed, 21 Oct 2026 07:28:30 -0300", None),
        ("Wed, 21 Oct 2026 07:28:30", None),
        ("21 Oct 2026 07:28:30 GMT", None),
        ("Wednesday, 21-Oct-26 07:28:30 GMT", None),
        ("Wed Oct 21 07:28:30 2026", None),
        ("2026-10-21T07:28:30Z", None),
    ],
)
def test_retry_after_is_seconds_from_the_reply_or_nothing(text: str, seconds: float | None) -> None:
    reply = make_reply({"Retry-After": text, "Date": NOW})

    assert reply.retry_after == seconds


@pytest.mark.parametrize(
    "date", ["", "now", "2026-10-21T07:28:00Z", "Wed, 31 Feb 2026 07:28:00 GMT"]
)
def test_a_date_means_nothing_without_a_date_to_measure_it_against(date: str) -> None:
    reply = make_reply({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": date})

    assert reply.retry_after is None


def test_a_date_means_nothing_where_the_reply_has_none() -> None:
    assert make_reply({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}).retry_after is None


def test_seconds_need_no_date() -> None:
    assert make_reply({"retry-after": "30"}).retry_after == 30


def test_a_reply_that_does_not_ask_to_wait_says_nothing() -> None:
    assert make_reply({"Date": NOW}).retry_after is None


def test_the_first_of_several_is_taken() -> None:
    headers = CIMultiDict([("Retry-After", "30"), ("Retry-After", "60")])

    assert Reply(status=429, headers=headers, body=b"").retry_after == 30


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40) | st.just(NOW))
def test_whatever_the_headers_say_a_wait_is_never_negative(text: str, date: str) -> None:
    seconds = make_reply({"Retry-After": text, "Date": date}).retry_after

    assert seconds is None or 0 <= seconds < 10**9


@pytest.mark.parametrize(
    "name",
    [
        "RateLimit-Remaining",
        "Ratelimit-remaining",
        "x-ratelimit-remaining",
        "X-VTEX-RateLimit-Remaining",
    ],
)
def test_a_rate_of_which_nothing_remains_is_spent(name: str) -> None:
    assert make_reply({name: "0"}).rate_is_spent


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"RateLimit-Remaining": "1"},
        {"RateLimit-Remaining": "00"},
        {"RateLimit-Remaining": "-0"},
        {"RateLimit-Remaining": "0.0"},
        {"RateLimit-Remaining": "0;w=60"},
        {"RateLimit-Remaining": ""},
        {"RateLimit-Remaining": "\u0660"},  # an Arabic digit
        {"RateLimit": "limit=100, remaining=0"},
        {"RateLimit-Limit": "0"},
        {"RateLimit-Reset": "0"},
    ],
)
def test_whatever_else_a_rate_header_says_means_nothing(headers: dict[str, str]) -> None:
    assert not make_reply(headers).rate_is_spent


# NOW, in seconds of the epoch.
EPOCH = 1792567680


@pytest.mark.parametrize("name", ["RateLimit-Reset", "x-ratelimit-reset", "X-VTEX-RateLimit-Reset"])
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 30", 30),
        ("3600", 3600),
        # Longer than any limit takes, and nothing that a time could be
        ("3601", None),
        ("999999999", None),
        (str(EPOCH), 0),
        (str(EPOCH + 30), 30),
        (str(EPOCH + 3600), 3600),
        (str(EPOCH + 3601), None),
        (str(EPOCH - 1), None),
        # Milliseconds
        (str(1000 * EPOCH), None),
        ("9" * 5000, None),
        ("1e9", None),
        ("1.5", None),
        ("-1", None),
        ("nan", None),
        ("", None),
        ("\uff15", None),  # a full-width digit
        ("Wed, 21 Oct 2026 07:28:30 GMT", None),
    ],
)
def test_a_reset_counts_where_its_unit_is_plain(
    name: str, text: str, seconds: float | None
) -> None:
    assert make_reply({name: text, "Date": NOW}).rate_resets_in == seconds


def test_an_epoch_means_nothing_without_a_date_to_measure_it_against() -> None:
    assert make_reply({"RateLimit-Reset": str(EPOCH)}).rate_resets_in is None
    assert make_reply({"RateLimit-Reset": str(EPOCH), "Date": "today"}).rate_resets_in is None


def test_the_first_reset_that_is_plain_is_taken() -> None:
    headers = {"RateLimit-Reset": "soon", "X-RateLimit-Reset": "5", "X-VTEX-RateLimit-Reset": "9"}

    assert make_reply(headers).rate_resets_in == 5


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | st.integers().map(str), st.text(max_size=40) | st.just(NOW))
def test_whatever_the_headers_say_a_reset_is_an_hour_away_at_most(text: str, date: str) -> None:
    seconds = make_reply({"X-RateLimit-Reset": text, "Date": date}).rate_resets_in

    assert seconds is None or 0 <= seconds <= 3600


def test_headers_and_bodies_are_not_printed() -> None:
    told = [
        Reply(status=200, headers={"Set-Cookie": "hunter2"}, body=b"hunter2"),
        Request(method="POST", path="/api", body=b"hunter2", reply_limit=1),
        NoReply(reason="the connection broke", bytes_left=True),
    ]

    assert "hunter2" not in repr(told)
    assert "the connection broke" in repr(told)
