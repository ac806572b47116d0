"""Each invoice of a file is sent once, and only if the file says one thing of it."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import make_invoice, make_item
from tests.json_lines import read_json_lines
from vtex_invoice_async import InvoiceJob, InvoiceType
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import RowProblem
from vtex_invoice_async.vocabulary import OrdersApi


def make_line(order_id: str = "1", number: str = "NFe1", value: Any = 2499, **more: Any) -> str:
    return json.dumps(
        {
            "orderId": order_id,
            "type": "Output",
            "issuanceDate": "2026-01-31T18:25:43Z",
            "invoiceNumber": number,
            "invoiceValue": value,
            "items": [{"id": "1234", "price": 2499, "quantity": 1}],
            **more,
        }
    )


def make_plan(*lines: str, strict: bool = False) -> tuple[Plan, list[RowProblem]]:
    """A plan, and what it tells of the lines."""
    plan = Plan(OrdersApi.OMS, strict=strict)
    file = io.BytesIO("\n".join(lines).encode())
    return plan, list(plan.take(read_json_lines(file, OrdersApi.OMS)))


def counts(plan: Plan) -> tuple[int, int, int]:
    return plan.planned, plan.invalid, plan.duplicates


def keys(plan: Plan) -> list[tuple[str, str]]:
    return [(entry.order_id, entry.invoice_number) for entry in plan.entries()]


A, A_OTHER, A_THIRD = make_line(), make_line(value=2500), make_line(value=2501)
B, C = make_line(number="NFe2"), make_line(order_id="2", number="NFe3")
BAD = make_line(value=24.99)


@pytest.mark.parametrize(
    ("lines", "expected", "sent"),
    [
        ([], (0, 0, 0), []),
        ([A, B, C], (3, 0, 0), [("1", "NFe1"), ("1", "NFe2"), ("2", "NFe3")]),
        # To the letter, or in other words for the same
        ([A, A], (1, 0, 1), [("1", "NFe1")]),
        ([A, B, A, A], (2, 0, 2), [("1", "NFe1"), ("1", "NFe2")]),
        ([A, make_line(value="2499")], (1, 0, 1), [("1", "NFe1")]),
        ([A, make_line(job={"line": 7}, courier=None)], (1, 0, 1), [("1", "NFe1")]),
        # With other contents neither can be trusted.
        ([A, A_OTHER], (0, 2, 0), []),
        ([A, B, A_OTHER], (1, 2, 0), [("1", "NFe2")]),
        ([A, A_OTHER, A], (0, 3, 0), []),
        ([A, A_OTHER, A_THIRD], (0, 3, 0), []),
        ([A, A, A_OTHER], (0, 2, 1), []),
        ([A, make_line(type="Input")], (0, 2, 0), []),
        # A row that cannot be read whole may be the correction of one that can.
        ([BAD, A], (0, 2, 0), []),
        ([A, BAD], (0, 2, 0), []),
        ([A, BAD, A], (0, 3, 0), []),
        ([BAD, B], (1, 1, 0), [("1", "NFe2")]),
        ([BAD, BAD], (0, 2, 0), []),
        (["", A, " ", "{"], (1, 1, 0), [("1", "NFe1")]),
    ],
)
def test_a_plan_counts_each_row_once_and_sends_each_invoice_once(
    lines: list[str], expected: tuple[int, int, int], sent: list[tuple[str, str]]
) -> None:
    plan, problems = make_plan(*lines)

    assert counts(plan) == expected
    assert keys(plan) == sent
    assert bool(problems) == bool(plan.invalid)


def test_numbers_and_orders_are_compared_to_the_letter() -> None:
    plan, _ = make_plan(
        make_line(number="NFe1"), make_line(number="nfe1"), make_line(number="NFe1-"),
        make_line(order_id="1-01", number="1"), make_line(order_id="1", number="-011"),
    )  # fmt: skip

    assert counts(plan) == (5, 0, 0)


def test_a_conflict_is_told_where_it_shows() -> None:
    _, problems = make_plan(A, B, "", A_OTHER, A)

    told = [(found.line, found.problem.code, found.problem.field) for found in problems]

    assert told == [(4, "conflict", "invoiceNumber"), (5, "conflict", "invoiceNumber")]


def test_warnings_are_told_and_do_not_keep_a_row_back() -> None:
    plan, problems = make_plan(make_line(issuanceDate="2026-01-31T18:25:43"))

    told = [found.problem.code for found in problems]

    assert told == ["no-offset"]
    assert counts(plan) == (1, 0, 0)


def test_every_problem_of_every_bad_row_is_told_by_line() -> None:
    _, problems = make_plan(
        A, make_line(number="9", value=24.99), "", make_line(number="8", value=True, type="x")
    )

    told = [(found.line, found.problem.field) for found in problems]

    assert told == [(2, "invoiceValue"), (4, "type"), (4, "invoiceValue")]


def test_the_entries_can_be_taken_again() -> None:
    plan, _ = make_plan(A, B, A)

    first, second = list(plan.entries()), list(plan.entries())

    assert first == second
    assert len(first) == 2


def test_an_entry_holds_what_its_row_says() -> None:
    plan, _ = make_plan("", B)

    (entry,) = plan.entries()

    assert (entry.line, entry.value, entry.type) == (2, 2499, InvoiceType.OUTPUT)
    assert entry.invoice.invoice_number == "NFe2"


def test_jobs_of_a_program_are_held_to_the_same_rules() -> None:
    plan = Plan(OrdersApi.OMS)
    job, other = (InvoiceJob(order_id="1", invoice=make_invoice(**v)) for v in ({}, {"cfop": None}))
    contrary = InvoiceJob(order_id="1", invoice=make_invoice(invoice_value=1))

    assert [*plan.add([job, other], 1)] == []
    assert (plan.planned, plan.duplicates) == (1, 1)

    (problem,) = plan.add([contrary], 3)
    assert problem.line == 3
    assert counts(plan) == (0, 2, 1)


def test_each_job_that_cannot_be_sent_is_told_with_its_place() -> None:
    plan = Plan(OrdersApi.PII)
    first, again, contrary, lacking, last = (
        make_invoice(**changes)
        for changes in (
            {},
            {},
            {"invoice_value": 1},
            {"items": [make_item(item_index=None)], "invoice_number": "NFe2"},
            {"invoice_number": "NFe3"},
        )
    )
    jobs = [InvoiceJob(order_id="1", invoice=i) for i in (first, again, contrary, lacking, last)]

    told = {problem.line: problem.problem.code for problem in plan.add(jobs, 7)}

    assert told == {9: "conflict", 10: "missing"}
    assert (plan.planned, plan.invalid, plan.duplicates) == (1, 3, 1)
    assert [entry.line for entry in plan.entries()] == [11]


def test_a_plan_takes_in_nothing_and_goes_on() -> None:
    plan = Plan(OrdersApi.OMS)

    assert [*plan.add([], 1)] == []
    assert plan.planned == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("12"), st.sampled_from(["NFe1", "NFe2"]), st.integers(0, 2)),
        max_size=8,
    )
)
def test_the_counts_of_a_plan_always_add_up(rows: list[tuple[str, str, int]]) -> None:
    plan, _ = make_plan(*(make_line(*row) for row in rows))

    sent = keys(plan)
    values: dict[tuple[str, str], set[int]] = {}
    for order_id, number, value in rows:
        values.setdefault((order_id, number), set()).add(value)
    # An invoice of nothing is a bad row, and spoils its like.
    sound = (key for key, found in values.items() if len(found) == 1 and found != {0})
    assert Counter(sent) == Counter(sound)
    assert plan.planned == len(sent)
    assert len(rows) == plan.planned + plan.invalid + plan.duplicates


def test_a_number_on_two_orders_is_worth_a_look() -> None:
    plan, problems = make_plan(A, make_line(order_id="2"), make_line(number="NFe2"), A)

    assert [(found.line, found.problem.code) for found in problems] == [(2, "number-twice")]
    assert problems[0].problem.severity == "warn"
    assert "line 1" in problems[0].problem.message
    assert counts(plan) == (3, 0, 1)


def test_a_strict_plan_leaves_out_what_is_only_worth_a_look() -> None:
    plan, problems = make_plan(
        A, make_line(order_id="2"), make_line(number="NFe4", issuanceDate="2026-01-31T18:25:43"),
        strict=True,
    )  # fmt: skip

    told = [(found.line, found.problem.code, found.problem.severity) for found in problems]
    assert told == [(3, "no-offset", "refuse"), (2, "number-twice", "refuse")]
    assert keys(plan) == [("1", "NFe1")]
    assert counts(plan) == (1, 2, 0)


def test_a_return_has_a_number_of_its_own() -> None:
    plan, problems = make_plan(A, make_line(type="Input"))

    assert [(found.line, found.problem.code) for found in problems] == [(2, "number-of-sale")]
    assert counts(plan) == (0, 2, 0)
