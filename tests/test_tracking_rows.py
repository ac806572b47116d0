"""Rows of tracking are read as strictly as invoices, and go in an order that undoes nothing."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest
from attrs import evolve

from vtex_invoice_async.jobs.rows import BadRow, RowProblem
from vtex_invoice_async.jobs.tracking import (
    TrackingPlan,
    TrackingRow,
    lines_shown,
    read_tracking,
)
from vtex_invoice_async.models import (
    CourierEvent,
    CourierStatus,
    Order,
    Package,
    TrackingEvent,
    TrackingInfo,
    TrackingStatus,
)
from vtex_invoice_async.operations import SendTracking, UpdateTrackingStatus
from vtex_invoice_async.outcome import State
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import OrdersApi

PATCH: Final = (
    '{"orderId":"v5lux-01","invoiceNumber":"NFe1","courier":"carrierOne","trackingNumber":"87658",'
    '"trackingUrl":"https://www.tracking.com/url","dispatchedDate":"2026-01-31T18:25:43-03:00"}'
)
PUT: Final = (
    '{"orderId":"v5lux-01","invoiceNumber":"NFe1","isDelivered":true,'
    '"deliveredDate":"2026-02-03 10:30","events":[{"city":"Niterói","state":"RJ",'
    '"description":"delivered","date":"2026-02-03"}]}'
)
ON_ITS_WAY: Final[dict[str, Any]] = {"isDelivered": False, "deliveredDate": None, "events": []}


def read(content: str, dialect: OrdersApi = OrdersApi.OMS) -> list[TrackingRow | BadRow]:
    return list(read_tracking(io.BytesIO(content.encode()), dialect))


def sound(content: str) -> TrackingRow:
    (row,) = read(content)
    assert isinstance(row, TrackingRow), row
    return row


def bad(content: str) -> tuple[RowProblem, ...]:
    (row,) = read(content)
    assert isinstance(row, BadRow)
    return row.problems


def body_of(content: str) -> bytes:
    """What would be sent for a sound row."""
    return encode(sound(content).operation, OrdersApi.OMS).body or b""


def with_keys(line: str, /, **changes: Any) -> str:
    return json.dumps({**json.loads(line), **changes}, ensure_ascii=False)


def without(line: str, *keys: str) -> str:
    return json.dumps({key: value for key, value in json.loads(line).items() if key not in keys})


def plan_of(*lines: str) -> tuple[TrackingPlan, list[RowProblem]]:
    plan = TrackingPlan(io.BytesIO("\n".join(lines).encode()), OrdersApi.OMS)
    return plan, list(plan.check())


def test_a_row_of_patchs_keys_says_where_the_parcel_is() -> None:
    row = sound(PATCH)

    assert row.operation == SendTracking(
        order_id="v5lux-01",
        invoice_number="NFe1",
        tracking=TrackingInfo(
            courier="carrierOne",
            tracking_number="87658",
            tracking_url="https://www.tracking.com/url",
            dispatched_date=datetime(2026, 1, 31, 21, 25, 43, tzinfo=UTC),
        ),
    )
    assert json.loads(body_of(PATCH)).items() <= json.loads(PATCH).items()
    assert row.warnings == ()


def test_a_row_of_puts_keys_says_how_far_it_came() -> None:
    row = sound(PUT)

    event = TrackingEvent(
        city="Niterói", state="RJ", description="delivered", date=date(2026, 2, 3)
    )
    assert row.operation == UpdateTrackingStatus(
        order_id="v5lux-01",
        invoice_number="NFe1",
        tracking=TrackingStatus(
            is_delivered=True,
            delivered_date=datetime(2026, 2, 3, 10, 30, tzinfo=UTC),
            events=[event],
        ),
    )
    assert json.loads(body_of(PUT)).items() <= json.loads(PUT).items()
    assert row.warnings == ()


@pytest.mark.parametrize("dialect", OrdersApi)
def test_tracking_is_written_alike_for_every_dialect(dialect: OrdersApi) -> None:
    assert read(f"{PATCH}\n{PUT}", dialect) == read(f"{PATCH}\n{PUT}")


@pytest.mark.parametrize("absent", [None, ""])
@pytest.mark.parametrize("key", ["trackingUrl", "dispatchedDate", "isDelivered", "events"])
def test_null_and_empty_text_count_as_absent(key: str, absent: str | None) -> None:
    assert body_of(with_keys(PATCH, **{key: absent})) == body_of(without(PATCH, key))


@pytest.mark.parametrize("job", [{"line": 7, "state": "rejected", "message": None}, "x", None])
def test_what_a_failure_adds_is_ours_and_ignored(job: object) -> None:
    assert sound(with_keys(PUT, job=job)).operation == sound(PUT).operation


def test_a_time_of_dispatch_without_an_offset_is_utc_and_told() -> None:
    line = with_keys(PATCH, dispatchedDate="2026-01-31T18:25:43")

    (warning,) = sound(line).warnings

    assert (warning.problem.severity, warning.problem.field) == ("warn", "dispatchedDate")
    assert warning.column == line.index('"2026') + 1
    assert b"18:25:43+00:00" in body_of(line)


# What is changed in a line, where the value is that is wrong, and what is told of it.
WRONG: Final = [
    (PATCH, ('"v5lux-01"', "5"), "5", "orderId", "required"),
    (PATCH, ('"orderId":"v5lux-01",', ""), "{", "orderId", "required"),
    (PATCH, ('"NFe1"', "17"), "17", "invoiceNumber", "required"),
    (PATCH, ('"NFe1"', '""'), '""', "invoiceNumber", "required"),
    (PATCH, ('"v5lux-01"', '"../x"'), '"../x"', "orderId", "order-id"),
    (PATCH, ('"v5lux-01"', '"seq501456"'), '"seq', "orderId", "order-id"),
    (PUT, ('"NFe1"', '"NF 1"'), '"NF 1"', "invoiceNumber", "path"),
    (PATCH, ('"courier":"carrierOne",', ""), "{", "courier", "required"),
    (PATCH, ('"carrierOne"', "null"), "null", "courier", "required"),
    (PATCH, ('"87658"', "87658"), "87658", "trackingNumber", "value"),
    (PATCH, ('"87658"', '"8\\t7"'), '"8\\t7"', "trackingNumber", "control-character"),
    (PATCH, ('"2026-01-31T18:25:43-03:00"', '"31/01/2026"'), '"31/', "dispatchedDate", "value"),
    (PATCH, ('{"orderId"', '{"Courier":"x","orderId"'), '"x"', "Courier", "unknown-key"),
    (PUT, ("true", '"true"'), '"true"', "isDelivered", "value"),
    (PUT, ('"isDelivered":true,', ""), "{", "isDelivered", "required"),
    (PUT, ('"2026-02-03 10:30"', '"10:30"'), '"10:30"', "deliveredDate", "value"),
    (PUT, ('"RJ"', "null"), "null", "events[0].state", "required"),
    (PUT, ('"city"', '"town":1,"city"'), "1,", "events[0].town", "unknown-key"),
    (PUT, ('"date":"2026-02-03"', '"date":"2026-02-03T10:30"'), '"2026-02-03T', "events[0].date", "value"),
    (PUT, ("}]}", "},7]}"), "7]", "events[1]", "value"),
    (PUT, ('"events":[', '"events":5,"x":['), "5,", "events", "value"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "change", "at", "field", "code"), WRONG)
def test_a_problem_is_told_by_field_and_by_the_column_of_its_value(
    line: str, change: tuple[str, str], at: str, field: str, code: str
) -> None:
    line = line.replace(*change, 1)

    told = {found.problem.field: (found.problem.code, found.column) for found in bad(line)}

    assert told[field] == (code, line.index(at) + 1)


def test_a_row_of_both_kinds_is_told_to_be_two() -> None:
    line = with_keys(PATCH, isDelivered=False)

    (problem,) = bad(line)

    assert (problem.problem.code, problem.problem.field) == ("mixed", "isDelivered")
    assert problem.column == line.index("false") + 1
    assert "two rows" in problem.problem.message


def test_a_row_of_neither_kind_is_told_what_it_lacks() -> None:
    problems = bad('\n{"orderId":"v5lux-01","invoiceNumber":"NFe1","tracking_number":"1"}')

    assert [found.problem.code for found in problems] == ["required", "unknown-key"]
    assert (problems[0].line, problems[0].column) == (2, 1)
    assert "trackingNumber" in str(problems[0])
    assert "isDelivered" in str(problems[0])
    assert problems[1].problem.field == "tracking_number"


@pytest.mark.parametrize(
    "line",
    ["{", "null", f"[{PATCH}]", PATCH + ",", '{"courier":"a","courier":"b"}', '{"events":NaN}'],
)
def test_a_line_that_is_no_object_is_told(line: str) -> None:
    assert [found.problem.code for found in bad(line)] == ["line"]


def test_a_row_that_failed_is_written_as_it_came_and_reads_as_before() -> None:
    line = with_keys(PATCH, trackingUrl=None, job={"line": 1})
    row = sound(line)

    failed = row.failed(State.NOT_SENT, None, "it was not begun")

    job = {"line": 1, "state": "not_sent", "status": None, "code": None}
    assert failed == {**json.loads(line), "job": {**job, "message": "it was not begun"}}
    assert sound(json.dumps(failed)).operation == row.operation


# The plan -------------------------------------------------------------------------------------


def test_rows_go_by_order_and_tracking_goes_before_its_news() -> None:
    news = [with_keys(PUT, events=[], deliveredDate=f"2026-02-0{day} 10:30") for day in (3, 1, 2)]
    other = with_keys(PUT, orderId="other-01")

    plan, problems = plan_of(news[0], other, news[1], PATCH, news[2])

    assert problems == []
    assert plan.planned == 5
    assert [[row.line for row in rows] for rows in plan.orders()] == [[4, 1, 3, 5], [2]]


def test_rows_that_say_the_same_are_one() -> None:
    reordered = json.dumps(dict(reversed(json.loads(PATCH).items())))
    plan, problems = plan_of(PATCH, PUT, reordered, PUT, PUT)

    assert problems == []
    assert (plan.planned, plan.duplicates, plan.invalid) == (2, 3, 0)


def test_two_trackings_of_one_invoice_spoil_each_other() -> None:
    second = with_keys(PATCH, trackingNumber="87659")
    plan, problems = plan_of(PATCH, second, PATCH, with_keys(PATCH, invoiceNumber="NFe2"))

    assert [(found.line, found.problem.code) for found in problems] == [
        (2, "conflict"),
        (3, "conflict"),
    ]
    assert "line 1" in str(problems[0])
    assert (plan.planned, plan.invalid, plan.duplicates) == (1, 3, 0)
    assert [[row.line for row in rows] for rows in plan.orders()] == [[4]]


def test_a_tracking_that_cannot_be_read_spoils_the_other_one() -> None:
    plan, problems = plan_of(PATCH, without(PATCH, "courier"), PUT)

    assert {found.problem.code for found in problems} == {"required", "conflict"}
    assert (plan.planned, plan.invalid) == (1, 2)


def test_a_row_of_no_kind_spoils_nothing_but_itself() -> None:
    plan, _ = plan_of(PATCH, '{"orderId":"v5lux-01","invoiceNumber":"NFe1"}')

    assert (plan.planned, plan.invalid) == (1, 1)


# What an order shows --------------------------------------------------------------------------


def shown(status: CourierStatus | None, *lines: str, **changes: Any) -> set[int]:
    package = Package(
        invoice_number="NFe1",
        courier="carrierOne",
        tracking_number="87658",
        tracking_url="https://www.tracking.com/url",
        courier_status=status,
    )
    order = Order(order_id="v5lux-01", value=2499, packages=(evolve(package, **changes),))
    plan, problems = plan_of(*lines)
    assert problems == []
    (rows,) = plan.orders()
    return lines_shown(rows, order)


POSTED: Final = CourierEvent(
    city="Niterói", state="RJ", description="posted", create_date="2026-02-01"
)
DELIVERED: Final = CourierEvent(
    city="Niterói", state="RJ", description="delivered", create_date="2026-02-03"
)
POSTED_LINE: Final = with_keys(
    PUT,
    isDelivered=False,
    deliveredDate=None,
    events=[{"city": "Niterói", "state": "RJ", "description": "posted", "date": "2026-02-01"}],
)
ARRIVED: Final = CourierStatus(finished=True, delivered_date="2026-02-03", data=(POSTED, DELIVERED))


def test_what_the_order_shows_is_found_row_by_row() -> None:
    posted = CourierStatus(finished=False, data=(POSTED,))

    assert shown(posted, PATCH, POSTED_LINE, PUT) == {1, 2}
    assert shown(None, PATCH, POSTED_LINE, PUT) == {1}
    assert shown(None, PATCH, PUT, courier="carrierTwo") == set()
    assert shown(ARRIVED, PATCH, PUT, invoice_number="NFe2") == set()


def test_news_that_the_arrival_has_overtaken_is_not_told_again() -> None:
    """It would say that the parcel has not arrived."""
    assert shown(ARRIVED, POSTED_LINE, PUT) == {1, 2}
    assert shown(ARRIVED, POSTED_LINE) == {1}
    assert shown(ARRIVED, with_keys(PUT, **ON_ITS_WAY)) == {1}
    assert shown(evolve(ARRIVED, data=(DELIVERED,)), POSTED_LINE, PUT) == {1, 2}


def test_news_that_stands_behind_the_arrival_is_told() -> None:
    """As a correction: the parcel has not arrived after all."""
    missed = with_keys(POSTED_LINE, events=[{**json.loads(PUT)["events"][0], "city": "Rio"}])

    assert shown(ARRIVED, PUT, missed) == {1}
