"""Why invoices are not confirmed: grouped, counted, with what to do."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from tests.journals import (
    HEADER,
    NOW,
    STATES,
    brought_to,
    make_entries,
    make_record,
    opened,
    records_of,
)
from vtex_invoice_async.jobs.job import Record
from vtex_invoice_async.jobs.reasons import MOST_KINDS, NEEDY, Reason, Reasons
from vtex_invoice_async.jobs.report.next_steps import Commands, steps
from vtex_invoice_async.outcome import State
from vtex_invoice_async.vocabulary import InvoiceType


def reasons_of(*records: Record) -> list[Reason]:
    reasons = Reasons()
    for record in records:
        reasons.add(record)
    return list(reasons.found())


def rejected(seq: int, message: str, **changes: object) -> Record:
    sound = {"state": State.REJECTED, "status": 400, "code": "OMS007", "message": message}
    named = {"order_id": f"{seq}-01", "invoice_number": f"NFe{seq}", "line": seq, "seq": seq}
    return make_record(**{**sound, **named, **changes})


def test_what_differs_in_names_and_numbers_alone_is_one_reason() -> None:
    (reason,) = reasons_of(
        *(rejected(n, f"Order {n}-01 has {n * 10} units; NFe{n} is too much") for n in range(1, 9))
    )

    assert (reason.count, reason.state, reason.status, reason.code) == (
        8,
        "rejected",
        400,
        "OMS007",
    )
    assert reason.message == "Order 1-01 has 10 units; NFe1 is too much"
    assert [(place.line, place.order_id) for place in reason.first] == [
        (1, "1-01"),
        (2, "2-01"),
        (3, "3-01"),
    ]


@pytest.mark.parametrize("state", [State.IN_DOUBT, State.ABSENT])
def test_of_a_doubt_no_more_is_told_than_why_it_arose(state: State) -> None:
    told = (
        "no answer; none at all; it may have been applied; read the order before sending it again"
    )

    (reason,) = reasons_of(rejected(1, told, state=state, status=None, code=None))

    assert reason.message == "no answer; none at all"


def test_a_name_without_digits_is_taken_out_too() -> None:
    first = rejected(1, "no order abc-x here", order_id="abc-x")
    other = rejected(2, "no order xyz here", order_id="xyz")

    assert [reason.count for reason in reasons_of(first, other)] == [2]


def test_other_words_codes_and_statuses_are_other_reasons_the_most_frequent_first() -> None:
    found = reasons_of(
        rejected(1, "no"),
        rejected(2, "no way"),
        rejected(3, "no way"),
        rejected(4, "no", code="OMS008"),
        rejected(5, "no", status=404),
    )

    assert [reason.count for reason in found] == [2, 1, 1, 1]


def test_those_that_need_a_person_most_come_first() -> None:
    found = reasons_of(*(make_record(state=state) for state in reversed(NEEDY)))

    assert [reason.state for reason in found] == list(NEEDY)


@pytest.mark.parametrize("state", [State.CONFIRMED, State.PLANNED])
def test_what_is_confirmed_or_not_begun_has_no_reason(state: State) -> None:
    assert reasons_of(make_record(state=state)) == []


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"state": State.REJECTED, "status": 401}, "doctor"),
        ({"state": State.REJECTED, "status": 403}, "doctor"),
        ({"state": State.REJECTED, "status": 404}, "correct their ids"),
        ({"state": State.REJECTED, "status": 409}, "look at the orders"),
        ({"state": State.REJECTED, "status": 400}, "correct them and send them again"),
        ({"state": State.REJECTED, "code": "number-space"}, "README"),
        ({"state": State.NOT_SENT}, "`resume`"),
        ({"state": State.IN_DOUBT}, "`resolve`"),
        ({"state": State.HELD}, "`resume`"),
        ({"state": State.ABSENT}, "`resume` sends them once more"),
        ({"state": State.ABSENT, "type": InvoiceType.INPUT}, "--resend-input"),
        ({"state": State.ABSENT, "resent": True}, "look at the orders in VTEX Admin"),
        ({"state": State.CONFLICT}, "a person"),
    ],
)
def test_each_says_what_to_do(changes: dict[str, object], advice: str) -> None:
    (reason,) = reasons_of(make_record(**changes))

    assert advice in reason.advice


def test_words_that_never_repeat_take_no_more_memory_than_a_thousand_of_them() -> None:
    letters = str.maketrans("0123456789", "abcdefghij")
    count = 3 * MOST_KINDS
    reasons = Reasons()

    tracemalloc.start()
    try:
        for n in range(1, count + 1):
            # What an invoice holds may be large, and is none of this.
            reasons.add(rejected(n, f"no {n}".translate(letters), body=bytes(20_000)))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    found = reasons.found()
    assert len(found) == MOST_KINDS + 1
    assert sum(reason.count for reason in found) == count
    assert (found[0].count, found[0].message) == (2 * MOST_KINDS, None)
    assert kept < 2_000_000


def test_an_intent_without_an_outcome_says_so() -> None:
    (reason,) = reasons_of(make_record(state=State.IN_DOUBT), make_record(state=State.IN_DOUBT))

    assert (reason.count, reason.message) == (
        2,
        "it was on its way, and nothing is known of an answer",
    )


async def test_a_journal_tells_those_of_a_run_or_all(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as journal:
        for first in (1, 101):
            run = await journal.begin("send", {}, NOW)
            await journal.enter(make_entries(len(STATES), first=first), run)
            await journal.end({}, NOW)
        for record, state in zip(await records_of(journal), STATES * 2, strict=True):
            await brought_to(journal, record, state)

        of_all = await journal.reasons()
        of_the_last = await journal.reasons(run)

    assert [(reason.state, reason.count) for reason in of_all] == [(state, 2) for state in NEEDY]
    assert [(reason.state, reason.count) for reason in of_the_last] == [
        (state, 1) for state in NEEDY
    ]
    assert of_the_last[0].first[0].order_id.startswith("10")


def test_a_report_goes_on_with_an_absent_invoice_until_it_was_sent_twice() -> None:
    commands = Commands("a.db", HEADER, None)
    once, twice = (make_record(state=State.ABSENT, resent=resent) for resent in (False, True))

    going, over = (
        list(steps({State.ABSENT: 1}, commands, reasons_of(record), is_held=False))
        for record in (once, twice)
    )

    assert [step.command.split()[1] for step in going] == ["resume"]
    assert over == []


def test_nobody_is_told_to_send_it_under_another_number() -> None:
    (reason,) = reasons_of(make_record(state=State.ABSENT, resent=True))

    assert "number" not in reason.advice
