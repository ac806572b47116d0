"""What an order has against a plan's rows: told by place, and the counts stay right."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.json_lines import read_json_lines
from vtex_invoice_async.errors import Problem
from vtex_invoice_async.jobs import sources
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import Row
from vtex_invoice_async.vocabulary import OrdersApi

REFUSE = Problem(code="x", field="invoiceValue", message="is wrong")
WARN = Problem(code="y", field="orderId", message="is odd", severity="warn")


def line(order_id: str = "1", number: str = "NFe1", **more: Any) -> str:
    sound = {"orderId": order_id, "type": "Output", "invoiceNumber": number, "invoiceValue": 2499}
    items = [{"id": "1234", "price": 2499, "quantity": 1}]
    return json.dumps({**sound, "issuedDate": "2026-01-31", "items": items, **more})


def plan_of(tmp_path: Path, *lines: str, strict: bool = False) -> Plan:
    path = tmp_path / "invoices.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    plan = Plan(OrdersApi.PII, strict=strict)
    rows = sources.read([str(path)], OrdersApi.PII, with_order=True)
    assert not list(plan.take(rows))
    return plan


def test_orders_come_as_in_the_file_and_their_sales_before_their_returns(tmp_path: Path) -> None:
    back = line("2", "R1", type="Input")
    with plan_of(tmp_path, back, line(), line("2", "NFe3"), line("2", "NFe2")) as plan:
        orders = list(plan.orders())
        numbers = [asked.entry.invoice_number for asked in plan.of_order("2")]

        assert plan.orders_in_all() == 2

    assert orders == ["2", "1"]
    assert numbers == ["NFe3", "NFe2", "R1"]


@pytest.mark.parametrize(
    ("problems", "strict", "is_sound"),
    [
        ([], False, True),
        ([], True, True),
        ([WARN], False, True),
        ([WARN], True, False),
        ([REFUSE], False, False),
        ([WARN, REFUSE], False, False),
    ],
)
def test_a_row_that_is_refused_leaves_the_plan_and_the_counts_agree(
    tmp_path: Path, problems: list[Problem], strict: bool, is_sound: bool
) -> None:
    with plan_of(tmp_path, line(), line("2", "NFe2"), strict=strict) as plan:
        (asked,) = plan.of_order("2")

        sound, told = plan.judge(asked, problems)

        assert sound is is_sound
        assert (plan.planned, plan.invalid) == ((2, 0) if is_sound else (1, 1))
        assert [entry.order_id for entry in plan.entries()] == ["1", "2"][: plan.planned]
        assert len(plan.of_order("2")) == plan.planned - 1
    assert {row.problem.severity for row in told if not is_sound} <= {"refuse", "warn"}
    assert all(row.line == 2 for row in told)
    assert not strict or all(row.problem.severity == "refuse" for row in told)


def test_lines_that_are_named_are_what_is_sent(tmp_path: Path) -> None:
    with plan_of(tmp_path, line()) as plan:
        (asked,) = plan.of_order("1")
        assert asked.by_sku
        assert asked.entry.invoice.items[0].id == "1234"

        plan.name_lines(asked, b"{}")

        (named,) = plan.of_order("1")
        assert not named.by_sku
        assert [entry.body for entry in plan.entries()] == [b"{}"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("orderId", '"1"'),
        ("invoiceValue", "2499"),
        ("items[0].id", '"1234"'),
        ("items[0].quantity", "1}"),
        # What a row lacks is told where it would stand, or where what holds it stands.
        ("items[0].itemIndex", "[{"),
        ("items[7].id", "[{"),
        ("items", "[{"),
    ],
)
def test_a_problem_is_told_where_its_field_is(tmp_path: Path, field: str, text: str) -> None:
    with plan_of(tmp_path, line()) as plan:
        (asked,) = plan.of_order("1")

        told = asked.located(Problem(code="x", field=field, message=""))

    assert (told.line, told.column) == (1, line().index(text) + 1)


@pytest.mark.parametrize("field", ["", "courier", "a.b[3]", "]["])
def test_a_problem_of_no_field_is_told_at_its_line(tmp_path: Path, field: str) -> None:
    with plan_of(tmp_path, "", line()) as plan:
        (asked,) = plan.of_order("1")

        told = asked.located(Problem(code="x", field=field, message=""))

    assert (told.line, told.column) == (2, 1)


def test_only_a_row_that_meets_its_order_has_places_and_may_name_skus() -> None:
    indexed = line(items=[{"id": "1", "itemIndex": 4, "price": 1, "quantity": 1}])

    def read(text: str) -> Any:
        return next(iter(read_json_lines(io.BytesIO(text.encode()), OrdersApi.PII)))

    row = read(indexed)

    assert isinstance(row, Row)
    assert not row.by_sku
    assert not row.places
    assert json.loads(row.body)["items"] == [{"price": 1, "quantity": 1, "itemIndex": 4}]
    (told,) = read(line()).problems
    assert told.problem.code == "missing"
    assert "--verify" in told.problem.message
