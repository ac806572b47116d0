"""The exit code of a run says the most that it can: who must act comes before who may wait."""

from __future__ import annotations

import signal
from itertools import combinations
from typing import Any

import pytest
from attrs import asdict, fields

from vtex_invoice_async.jobs.summary import Ending, Exit, Summary, exit_code

# From what says the most to what says the least: 70 > 77 > 130/143 > 4 > 69 > 75 > 3 > 0.
ALONE: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({}, {"failed": Exit.INTERNAL}, 70),
    ({}, {"unauthorized": True}, 77),
    ({}, {"signal": signal.SIGINT}, 130),
    ({}, {"signal": signal.SIGTERM}, 143),
    ({"in_doubt": 1}, {}, 4),
    ({"absent": 1}, {}, 4),
    ({"conflict": 1}, {}, 4),
    ({"held": 1}, {}, 4),
    ({}, {"unanswered": True}, 69),
    ({"not_sent": 1}, {}, 75),
    ({"rejected": 1}, {}, 3),
    ({"invalid": 1}, {}, 3),
    ({"confirmed": 9, "planned": 9}, {}, 0),
    ({"duplicates": 1}, {}, 0),
    ({"already_confirmed": 1, "confirmed_by_order": 1}, {}, 0),
    ({}, {}, 0),
]


@pytest.mark.parametrize(("counts", "ending", "code"), ALONE)
def test_a_run_ends_with_the_code_of_what_happened(
    counts: dict[str, Any], ending: dict[str, Any], code: int
) -> None:
    assert exit_code(Summary(**counts), Ending(**ending)) == code


@pytest.mark.parametrize(
    ("more", "less"),
    [
        (more, less)
        for more, less in combinations(ALONE, 2)
        if not ("signal" in more[1] and "signal" in less[1])
    ],
)
def test_of_two_things_the_one_that_says_more_decides(
    more: tuple[dict[str, Any], dict[str, Any], int],
    less: tuple[dict[str, Any], dict[str, Any], int],
) -> None:
    summary = Summary(**{**more[0], **less[0]})
    ending = Ending(**{**more[1], **less[1]})

    assert exit_code(summary, ending) == more[2]


def test_all_at_once_is_a_bug_of_ours() -> None:
    counts: dict[str, Any] = {name: 1 for row in ALONE for name in row[0]}

    code = exit_code(
        Summary(**counts),
        Ending(failed=Exit.INTERNAL, unauthorized=True, unanswered=True, signal=2),
    )

    assert code == 70


def test_a_summary_has_the_fields_of_the_design_in_their_order() -> None:
    names = [field.name for field in fields(Summary)]

    assert names == [
        "planned", "confirmed", "confirmed_by_order", "already_confirmed", "rejected", "not_sent",
        "in_doubt", "absent", "conflict", "held", "invalid", "duplicates", "elapsed_s", "journal",
        "exit_code",
    ]  # fmt: skip


def test_a_summary_of_nothing_counts_nothing() -> None:
    assert set(asdict(Summary()).values()) == {0, None}
