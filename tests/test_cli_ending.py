"""How a command ends: the table, the reasons and the next commands, by value."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from vtex_invoice_async.cli.after import Ended, figures, headline, steps
from vtex_invoice_async.cli.commands import free_name, words_of
from vtex_invoice_async.cli.ending import (
    Figure,
    NextStep,
    next_lines,
    reason_lines,
    table_lines,
)
from vtex_invoice_async.cli.wording import clip, wrapped
from vtex_invoice_async.jobs.reasons import SENT_TWICE, Place, Reason
from vtex_invoice_async.jobs.summary import Summary
from vtex_invoice_async.jobs.typed import pasted
from vtex_invoice_async.outcome import State
from vtex_invoice_async.throttle import Pace


def plain(lines: Iterable[Text]) -> list[str]:
    return [line.plain for line in lines]


def counts(**found: int) -> dict[str, int]:
    named = Summary(**found).counts  # type: ignore[arg-type]
    return {name: named[name] for name in named if type(named[name]) is int and name != "exit_code"}


def command(name: str, *words: str) -> str:
    return pasted([name, *words])


def reason(**changes: object) -> Reason:
    values: dict[str, object] = {
        "state": State.REJECTED,
        "status": 400,
        "code": "OMS007",
        "message": "[bold]o valor[/bold]\x1b[31m\n不正 da nota fiscal",
        "count": 1_234,
        "advice": "correct them and send them again",
        "first": (
            Place(line=12, order_id="1172-01", invoice_number="NFe1"),
            Place(line=None, order_id="1173-01", invoice_number="NFe2"),
        ),
    }
    return Reason(**(values | changes))  # type: ignore[arg-type]


def test_a_table_has_what_is_not_0() -> None:
    ended = Ended(
        counts=counts(
            planned=10_000_000,
            confirmed=9_999_000,
            confirmed_by_order=3,
            already_confirmed=7,
            rejected=900,
            not_sent=100,
            duplicates=1,
        ),
        elapsed=50_000.0,
        pace=Pace(rate=1, limit=203.4, closed_for=0, is_answered=True, throttled=2, retried=4),
        never_begun=40,
    )

    assert plain(table_lines("notas.jsonl", figures(ended), 80, unicode=True)) == [
        "notas.jsonl",
        "  planned     10,000,000",
        "  confirmed    9,999,000  3 found on their orders, 7 confirmed before",
        "  rejected           900",
        "  not sent           100  40 of them never begun",
        "  duplicates           1  rows that repeat another one",
        "  mean rate        200/s  VTEX takes about 203/s",
        "  429s                 2  VTEX asked to slow down",
        "  retries              4  VTEX had not acted on them",
    ]


@pytest.mark.parametrize("width", [20, 60, 80, 120])
def test_a_table_is_as_wide_as_the_terminal_at_most(width: int) -> None:
    title = "年度[bold]\x1b[31m\n" * 20
    rows = [Figure("confirmed", "1", "r" * 200)]

    for line in plain(table_lines(title, rows, width, unicode=True)):
        assert cell_len(line) <= width
        assert line.isprintable()


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (counts(planned=1, confirmed=1), "f: 1 confirmed in 12.0 s, 0.1/s."),
        (counts(planned=600, confirmed=600), "f: all 600 confirmed in 12.0 s, 50/s."),
        (
            counts(planned=600, confirmed=600, already_confirmed=240, confirmed_by_order=1),
            "f: all 600 confirmed in 12.0 s, 30/s, 240 of them before this run, 1 found on its order.",
        ),
        (
            counts(planned=9, confirmed=9, already_confirmed=9),
            "f: all 9 confirmed before, as the journal has it; nothing was sent.",
        ),
    ],
)
def test_one_line_is_enough_where_all_is_well(found: dict[str, int], line: str) -> None:
    ended = Ended(counts=found, elapsed=12)

    assert ended.is_well
    assert headline(ended, "f") == line


@pytest.mark.parametrize(
    "found",
    [
        counts(),
        counts(planned=2, confirmed=1, rejected=1),
        counts(planned=2, confirmed=1, not_sent=1),
        counts(planned=1, confirmed=1, invalid=1),
    ],
)
def test_all_is_not_well_where_something_is_left(found: dict[str, int]) -> None:
    assert not Ended(counts=found).is_well


def test_a_reason_stands_with_its_count_places_and_advice() -> None:
    lines = plain(reason_lines([reason()], 60, more="`report`", unicode=True))

    assert lines == [
        "Why:",
        "  1,234 rejected (400 OMS007): [bold]o valor[/bold] [31m",
        "  不正 da nota fiscal",
        "      line 12, order 1172-01, invoice NFe1; order 1173-01,",
        "      invoice NFe2; and 1,232 more",
        "      correct them and send them again",
    ]


def test_without_a_terminal_a_reason_is_not_wrapped() -> None:
    lines = plain(reason_lines([reason(status=None, code=None)], None, more="", unicode=False))

    assert lines[1:3] == [
        "  1,234 rejected: [bold]o valor[/bold] [31m \\u4e0d\\u6b63 da nota fiscal",
        "      line 12, order 1172-01, invoice NFe1; order 1173-01, invoice NFe2; and 1,232 more",
    ]


def test_of_very_many_reasons_the_first_are_told() -> None:
    many = [reason(code=f"C{n}", count=2) for n in range(25)]

    lines = plain(reason_lines(many, 120, more="`report` has them", unicode=True))

    assert sum("2 rejected (400 C" in line for line in lines) == 10
    assert lines[-1] == "  and 15 more kinds, 30 in all: `report` has them"


def test_commands_are_never_wrapped() -> None:
    step = NextStep("Do this " * 12, [pasted(["send", "x" * 300])])

    lines = plain(next_lines([step], 40))

    assert lines[-1] == f"    vtex-invoice send {'x' * 300}"
    assert all(len(line) <= 40 for line in lines[:-1])


def told(found: dict[str, int], code: int, *there: str) -> list[str]:
    every = steps(found, code, command, exists=lambda name: name in there)
    return [one for step in every for one in step.commands]


def test_each_state_has_its_next_command() -> None:
    assert told(counts(planned=1, confirmed=1), 0) == []
    # Of what was never begun there is nothing to see.
    assert told(counts(planned=1, not_sent=1), 75) == ["vtex-invoice resume"]
    assert told(counts(planned=1, in_doubt=1), 4) == [
        "vtex-invoice resume",
        "vtex-invoice resolve",
        "vtex-invoice report -o run.html",
    ]
    # What is there already is not written over.
    assert told(counts(planned=3, rejected=2, conflict=1), 4, "rejected.jsonl", "run.html") == [
        "vtex-invoice export --state rejected > rejected-2.jsonl",
        "vtex-invoice send rejected-2.jsonl",
        "vtex-invoice export --state conflict > conflict.jsonl",
        "vtex-invoice report -o run-2.html",
    ]
    for code in (69, 77):
        assert told(counts(planned=1, not_sent=1), code)[0] == "vtex-invoice doctor"


def test_what_no_run_goes_on_with_is_no_reason_to_go_on() -> None:
    found = counts(planned=2, confirmed=1, absent=1)
    stuck = reason(state=State.ABSENT, count=1, advice=SENT_TWICE)

    going, over = (list(steps(found, 4, command, some)) for some in ((), (stuck,)))

    assert going[0].commands == ["vtex-invoice resume"]
    assert [one for step in over for one in step.commands] == ["vtex-invoice report -o run.html"]


def test_a_name_that_is_taken_is_not_given_again() -> None:
    taken = {"run.html", "run-2.html"}

    assert free_name("run", ".html", taken.__contains__) == "run-3.html"


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=4))
def test_what_is_to_be_pasted_stays_on_its_line(words: list[str]) -> None:
    assert pasted(words).isprintable()


@pytest.mark.parametrize(
    "word", ["plain", "with space", "it's", "$HOME;`id`", "a\nb", "\x1b[31m'\\x", "年", "caf\udce9"]
)
def test_a_shell_reads_what_is_meant(word: str) -> None:
    line = pasted(["send", word]).removeprefix("vtex-invoice send ")

    # That word was not made to be a variable of the shell.
    seen = subprocess.run(
        ["bash", "-c", f"printf %s {line}"], capture_output=True, check=True, timeout=20
    )

    assert seen.stdout == word.encode(errors="surrogateescape")


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (["-x.jsonl"], "vtex-invoice check ./-x.jsonl"),
        (["a b", "--help"], "vtex-invoice check 'a b' ./--help"),
        # It was read to its end: without more, a terminal would be waited for.
        (["-"], "vtex-invoice check - < FILE"),
    ],
)
def test_a_file_is_named_so_that_it_is_found_again(files: list[str], line: str) -> None:
    assert pasted(["check"], files) == line


def test_only_what_was_given_is_typed_again() -> None:
    given_ = {"--account": "a b", "--rate": 2.0, "--strict": True, "--verify": False, "--x": None}

    assert shlex.join(words_of(given_)) == "--account 'a b' --rate 2 --strict"


TEXT: Final = st.text(st.sampled_from("ab 年 é1"), max_size=80)


@given(TEXT, st.integers(1, 40))
def test_what_is_clipped_is_as_wide_as_may_be(text: str, width: int) -> None:
    for unicode in (True, False):
        assert cell_len(clip(text, width, unicode=unicode)) <= width


@given(TEXT, st.integers(12, 40), st.integers(0, 4))
def test_wrapping_loses_nothing(text: str, width: int, indent: int) -> None:
    lines = list(wrapped(text, width, indent))

    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
