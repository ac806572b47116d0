"""What is shown of something that takes its time: facts in, lines out."""

from __future__ import annotations

from typing import Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from vtex_invoice_async.cli.display import has_unicode
from vtex_invoice_async.cli.facts import Facts, in_a_line, in_two_lines, pace_words
from vtex_invoice_async.cli.meter import Meter
from vtex_invoice_async.throttle import Pace

PACE: Final = Pace(
    rate=200, limit=203.4, closed_for=0.4, is_answered=True, throttled=12, retried=14
)
SENDING: Final = Facts(
    phase="Sending",
    done=12_345,
    total=20_000,
    counts={"confirmed": 12_301, "rejected": 44, "absent": 0, "in flight": 30, "in doubt": 2},
    pace="182/s of ~203/s",
    retried=1,
    throttled=12,
    elapsed=67,
    left=41,
)
DOUBTS: Final = Facts(
    phase="Looking for doubts",
    done=9_999_998,
    total=10_000_000,
    counts={"confirmed": 9_999_998},
    waits="2 in doubt: looked for until 12:31:05",
    elapsed=34_000,
)
CHECKING: Final = Facts(
    phase="Checking",
    done=91_000,
    unit="row",
    share=0.37,
    counts={"problems": 12, "warnings": 1},
    elapsed=7.9,
    left=11,
)


def shown(facts: Facts, width: int, *, unicode: bool = True) -> list[str]:
    return [line.plain for line in in_two_lines(facts, width, unicode=unicode)]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            120,
            [
                "Sending  ━━━━━━━━━━━━━━━━━━━━━━━━────────────────  12,345/20,000  61%  1:07  ETA 0:41",
                "12,301 confirmed · 44 rejected · 30 in flight · 2 in doubt · 182/s of ~203/s · 1 retry · 12 x 429",
            ],
        ),
        (
            80,
            [
                "Sending  ━━━━━━━━━━━━━━━━━━━━──────────────  12,345/20,000  61%  1:07  ETA 0:41",
                "12,301 confirmed · 44 rejected · 30 in flight · 2 in doubt · 182/s of ~203/s",
            ],
        ),
        (
            60,
            [
                "Sending  ━━━━━━━━──────  12,345/20,000  61%  1:07  ETA 0:41",
                "✓12,301 · ✗44 · →30 · ?2 · 182/s of ~203/s",
            ],
        ),
        (20, ["Sending  61%", "182/s of ~203/s"]),
        (3, ["S…", "1…"]),
        (1, ["…", "…"]),
    ],
)
def test_a_run_in_two_lines(width: int, lines: list[str]) -> None:
    assert shown(SENDING, width) == lines


def test_what_it_waits_for_is_said_to_the_last() -> None:
    assert shown(DOUBTS, 80) == [
        "Looking for doubts  ━━━━━━━━━━━━━━━━━━━━━─   9,999,998/10,000,000  99%  9:26:40",
        "9,999,998 confirmed · 2 in doubt: looked for until 12:31:05",
    ]
    assert shown(DOUBTS, 20)[1] == "2 in doubt"


def test_a_file_in_two_lines() -> None:
    assert shown(CHECKING, 60) == [
        "Checking  ━━━━━──────────  91,000 rows  37%  0:07  ETA 0:11",
        "12 problems · 1 warning",
    ]
    # Of a pipe nobody knows how long it is.
    piped = evolve(CHECKING, done=1, share=None, left=None, counts={})
    assert shown(piped, 60) == ["Checking  1 row  0:07"]


def test_nothing_and_one() -> None:
    nothing = Facts(phase="Sending", total=0)
    one = Facts(phase="Sending", done=1, total=1, counts={"confirmed": 1}, elapsed=0.2)

    assert shown(nothing, 60) == ["Sending  0/0  0:00"]
    assert shown(one, 60) == [
        "Sending  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  1/1  100%  0:00",
        "1 confirmed",
    ]


def test_the_bar_does_not_move_as_numbers_grow() -> None:
    bars = {shown(evolve(SENDING, done=done), 100)[0].rfind("─") for done in (0, 99, 5_000)}

    assert len(bars) == 1


def test_ascii_where_there_is_nothing_else() -> None:
    assert shown(SENDING, 60, unicode=False) == [
        "Sending  ########------  12,345/20,000  61%  1:07  ETA 0:41",
        "+12,301 | x44 | >30 | ?2 | 182/s of ~203/s",
    ]


def test_a_line_of_a_log_says_the_same() -> None:
    assert in_a_line(SENDING) == (
        "Sending: 12,345 of 20,000 (61%); 12,301 confirmed, 44 rejected, 30 in flight, 2 in doubt; "
        "182/s of ~203/s; 1 retry, 12 x 429; 1:07 so far, 0:41 left"
    )
    assert in_a_line(DOUBTS) == (
        "Looking for doubts: 9,999,998 of 10,000,000 (99%); 9,999,998 confirmed; "
        "2 in doubt: looked for until 12:31:05; 9:26:40 so far"
    )
    assert in_a_line(CHECKING) == (
        "Checking: 91,000 rows (37%); 12 problems, 1 warning; 0:07 so far, 0:11 left"
    )


HOSTILE: Final = st.text(st.sampled_from("[bold]/年é\x1b[31m\r\n\t\x00\u200b a1%{}"), max_size=60)


@given(
    st.builds(
        Facts,
        phase=HOSTILE,
        done=st.integers(0, 10**7),
        total=st.none() | st.integers(0, 10**7),
        unit=HOSTILE,
        counts=st.dictionaries(HOSTILE, st.integers(0, 10**7), max_size=4),
        pace=HOSTILE,
        waits=HOSTILE,
        left=st.none() | st.floats(0, 10**7),
    ),
    st.integers(1, 130),
    st.booleans(),
)
def test_whatever_it_says_no_line_is_as_wide_as_the_terminal(
    facts: Facts, width: int, has_more: bool
) -> None:
    lines = in_two_lines(facts, width, unicode=has_more)

    assert 1 <= len(lines) <= 2
    for line in lines:
        assert line.cell_len <= max(width - 1, 1)
        assert all(char.isprintable() for char in line.plain), line.plain
        assert has_more or line.plain.isascii()
    assert in_a_line(facts).isprintable()


@pytest.mark.parametrize(
    ("changes", "rate", "given_", "words"),
    [
        ({}, None, None, ""),
        ({}, 182.4, None, "182/s of ~203/s"),
        ({"limit": None}, 9.25, None, "9.2/s, limit not met yet"),
        ({"limit": None}, 98.0, 100.0, "98/s of 100/s given"),
        ({"closed_for": 12.2}, 182.4, None, "paused 12 s: VTEX asked to wait"),
        (
            {"is_answered": False, "closed_for": 3.0},
            0.0,
            None,
            "VTEX does not answer; trying again",
        ),
    ],
)
def test_the_pace_in_words(
    changes: dict[str, object], rate: float | None, given_: float | None, words: str
) -> None:
    values = {name: getattr(PACE, name) for name in ("rate", "limit", "closed_for", "is_answered")}
    pace = Pace(**{**values, "throttled": 0, "retried": 0, **changes})

    assert pace_words(pace, rate, given_) == words


def test_the_rate_is_that_of_the_last_seconds() -> None:
    meter = Meter()
    rates = []
    for tenth in range(401):
        now = tenth / 10
        # 10 a second, and after 20 s a hundred.
        meter.see(now, round(10 * now if now <= 20 else 200 + 100 * (now - 20)))
        rates.append(meter.rate)

    assert rates[19] is None
    assert rates[20] == rates[200] == pytest.approx(10)
    assert rates[400] == pytest.approx(100)
    assert meter.left(500) == pytest.approx(5)


def test_nobody_can_tell_when_what_stands_still_is_over() -> None:
    meter = Meter()
    for second in range(30):
        meter.see(second, 7)

    assert meter.rate == 0
    assert meter.left(1) is None
    meter.restart()
    assert meter.rate is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, True),
        ({"LANG": "pt_BR.UTF-8"}, True),
        ({"LANG": "C"}, False),
        ({"LC_ALL": "POSIX", "LANG": "pt_BR.UTF-8"}, False),
        # What Python makes of LANG=C as it starts.
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),
        ({"LC_CTYPE": "C.UTF-8", "LANG": ""}, True),
        ({"LC_CTYPE": "C", "LANG": "pt_BR.UTF-8"}, False),
    ],
)
def test_unicode_where_the_locale_has_it(environ: dict[str, str], expected: bool) -> None:
    assert has_unicode(Console(), environ) is expected
