"""What an order's document says of times and of its cancellation: what happened, when it did."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from attrs import evolve

from tests.books import AT, ID, INPUT, OUTPUT, make_book, make_order, notify
from tests.factories import make_tracking
from tests.order_paths import documented
from tests.plain_caller import calling
from tests.shown_orders import ORDERS, families
from tests.shown_orders import shown as document_of
from vtex_invoice_async import Package, Receipt, TrackingStatus
from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.sandbox import Do, Fault, Rules, Sandbox
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.filed import CancelRequest, Shown
from vtex_invoice_async.sandbox.statuses import EARLY, UNPAID

MINUTE: Final = timedelta(minutes=1)
BROKEN: Final = CancelRequest(reason="broken", requested_by_user=True)


def told(book: OrderBook, now: datetime = AT, *, document: bool = False) -> Any:
    found = book.shown(ID, now)
    assert found is not None
    return document_of(found, document=document)


def at(moment: datetime, *, document: bool = False) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0" + ("Z" if document else "+00:00")


def cancel(book: OrderBook, now: datetime, request: CancelRequest | None = None) -> None:
    assert isinstance(book.cancel(ID, now, document=False, request=request), Receipt)


@families
def test_an_order_is_invoiced_when_vtex_has_it_so_as_a_whole(*, document: bool) -> None:
    book = make_book(Rules(settle_delay=60))
    notify(book, 4_000)
    notify(book, 6_000, "NFe2", now=AT + 5 * MINUTE)
    # Nor does what comes later move it.
    book.send_tracking(ID, "NFe1", make_tracking(), AT + 8 * MINUTE)
    notify(book, 1_000, "DEV1", INPUT, now=AT + 9 * MINUTE)

    seen = [
        told(book, AT + minutes * MINUTE, document=document)["invoicedDate"]
        for minutes in (0, 1, 5, 6, 7, 9)
    ]

    assert seen == [None, None, None, *[at(AT + 6 * MINUTE, document=document)] * 3]


def test_a_change_that_leaves_nothing_to_invoice_is_when_an_order_is_invoiced() -> None:
    book = make_book()
    notify(book, 4_000)

    book.change_value(ID, 4_000, AT + MINUTE)

    found = told(book, AT + MINUTE)
    assert found["invoicedDate"] == found["lastChange"] == at(AT + MINUTE)


def test_an_order_that_is_canceled_after_a_return_was_invoiced_all_the_same() -> None:
    book = make_book()
    notify(book, 10_000)
    notify(book, 10_000, "DEV1", INPUT, now=AT + MINUTE)

    cancel(book, AT + 2 * MINUTE)

    found = told(book, AT + 2 * MINUTE)
    assert (found["status"], found["invoicedDate"]) == ("canceled", at(AT))


NEWS: Final = TrackingStatus(is_delivered=True)
ACTS: Final[dict[str, tuple[str, Callable[[OrderBook, datetime], object]]]] = {
    "a sale": ("handling", lambda book, now: notify(book, 1_000, "NFe2", now=now)),
    "a return": ("handling", lambda book, now: notify(book, 1, "DEV1", INPUT, now=now)),
    "a number": ("handling", lambda b, now: b.send_tracking(ID, "NFe1", make_tracking(), now)),
    "news": ("handling", lambda book, now: book.update_tracking_status(ID, "NFe1", NEWS, now)),
    "a change": ("handling", lambda book, now: book.change_value(ID, 9_000, now)),
    "handling": ("ready-for-handling", lambda b, now: b.start_handling(ID, now, document=False)),
    "a request to cancel": ("handling", lambda b, now: b.cancel(ID, now, document=False)),
    "the end": ("payment-pending", lambda b, now: b.cancel(ID, now, document=False)),
}


@pytest.mark.parametrize("name", ACTS)
@families
def test_an_order_changes_with_all_that_happens_to_it(name: str, *, document: bool) -> None:
    status, act = ACTS[name]
    known = Package(invoice_number="NFe1", invoice_value=1_000, type=OUTPUT, tracking_number="8")
    packages = (known,) if name in {"a return", "a number", "news"} else ()
    book = make_book(status=status, packages=packages)
    before = told(book, AT, document=document)["lastChange"]

    act(book, AT)

    after = told(book, AT + MINUTE, document=document)["lastChange"]
    assert before < after == at(AT, document=document)


def test_an_order_changes_when_its_invoice_is_verified_and_not_before_it_is_shown() -> None:
    book = make_book(Rules(settle_delay=60, read_lag=30))
    before = told(book)["lastChange"]
    notify(book, 4_000)

    seen = [told(book, AT + timedelta(seconds=s))["lastChange"] for s in (29, 30, 59, 60)]

    assert seen == [before, at(AT), at(AT), at(AT + MINUTE)]


@families
@pytest.mark.parametrize("status", sorted(filter(None, UNPAID)))
def test_a_payment_that_is_not_approved_has_no_date(status: str, *, document: bool) -> None:
    order = evolve(ORDERS[0], status=status)

    found = document_of(Shown(order=order), document=document)

    assert found["authorizedDate"] is None
    if document:
        assert found["receiptData"]["receiptCollection"] == []
    wrong = documented("pii" if document else "oms").wrong(found)
    # The page of PII does not say what stands there then.
    assert set(wrong) == ({"authorizedDate"} if document else set())


@pytest.mark.parametrize("status", sorted(filter(None, {*OrderStatus, *EARLY} - UNPAID)))
def test_a_payment_that_is_approved_has_its_date(status: str) -> None:
    assert told(make_book(status=status))["authorizedDate"] is not None


def test_a_payment_is_approved_when_the_order_gets_there() -> None:
    book = make_book(status="payment-pending")
    notify(book, 4_000, now=AT)
    part = told(book)["authorizedDate"]
    notify(book, 6_000, "NFe2", now=AT + MINUTE)

    whole = told(book, AT + MINUTE)

    assert part == whole["authorizedDate"] == at(AT)


def test_an_order_that_is_invoiced_before_its_payment_is_approved_has_no_date_of_that() -> None:
    book = make_book(status="payment-pending")

    notify(book, 10_000)

    found = told(book)
    assert (found["status"], found["authorizedDate"]) == ("invoiced", None)


def test_a_cancellation_is_told_with_its_date_and_reason() -> None:
    book = make_book()
    cancel(book, AT, CancelRequest(reason="late"))
    asked = told(book)

    cancel(book, AT + MINUTE, BROKEN)

    found = told(book, AT + 2 * MINUTE)
    assert asked["cancellationData"] is asked["cancelReason"] is None
    assert found["cancelReason"] == "broken"
    assert found["cancellationData"]["Reason"] == "broken"
    assert found["cancellationData"]["CancellationDate"] == at(AT + MINUTE)
    assert found["cancellationData"]["RequestedByUser"] is True


def test_each_request_to_cancel_is_told_on_the_document_paths() -> None:
    book = make_book()
    cancel(book, AT, CancelRequest(reason="late"))
    (asked,) = told(book, document=True)["cancellationRequests"]

    cancel(book, AT + MINUTE, BROKEN)

    found = told(book, AT + MINUTE, document=True)
    first, last = found["cancellationRequests"]
    assert first == asked
    assert (asked["reason"], asked["requestedByUser"]) == ("late", False)
    assert asked["cancellationRequestDate"] == at(AT, document=True)
    assert (asked["deniedBySeller"], asked["cancellationRequestDenyDate"]) == (False, None)
    assert (last["reason"], last["cancellationRequestDate"]) == ("broken", found["lastChange"])
    assert found["cancellationData"]["cancellationRequestId"] == last["id"] != first["id"]


def test_a_sale_denies_the_request_and_no_later_one() -> None:
    book = make_book()
    cancel(book, AT, CancelRequest(reason="late"))
    notify(book, 10_000, now=AT + MINUTE)
    (denied,) = told(book, AT + MINUTE, document=True)["cancellationRequests"]
    notify(book, 10_000, "DEV1", INPUT, now=AT + 2 * MINUTE)

    cancel(book, AT + 3 * MINUTE, BROKEN)

    first, last = told(book, AT + 3 * MINUTE, document=True)["cancellationRequests"]
    assert first == denied
    assert denied["deniedBySeller"] is True
    assert denied["cancellationRequestDenyDate"] == at(AT + MINUTE, document=True)
    assert (last["deniedBySeller"], last["cancellationRequestDenyDate"]) == (False, None)


def test_an_order_that_came_in_with_a_request_has_one_that_a_sale_denies() -> None:
    book = make_book(status=OrderStatus.CANCELLATION_REQUESTED)
    (before,) = told(book, document=True)["cancellationRequests"]

    notify(book, 4_000)

    (after,) = told(book, document=True)["cancellationRequests"]
    changed = {"deniedBySeller": True, "cancellationRequestDenyDate": at(AT, document=True)}
    assert before["deniedBySeller"] is False
    assert after == before | changed


@families
def test_what_is_said_of_cancellations_is_what_vtex_documents(*, document: bool) -> None:
    page = documented("pii" if document else "oms")
    order = evolve(ORDERS[0], status="handling")
    book = OrderBook([order], chance=random.Random(0))
    for request in (None, BROKEN):
        book.cancel(order.order_id, AT, document=document, request=request)

    found = book.shown(order.order_id, AT)

    assert found is not None
    assert page.wrong(document_of(found, document=document)) == {}
    assert page.left_out(document_of(found, document=document)) == set()


@families
def test_a_cancellation_without_a_reason_has_none(*, document: bool) -> None:
    book = make_book(status="payment-approved")

    cancel(book, AT)

    found = told(book, document=document)
    key = "reason" if document else "Reason"
    assert found["cancelReason"] is None
    # Only the page of OMS allows for null.
    assert found["cancellationData"][key] == ("" if document else None)


@pytest.mark.parametrize("status", sorted({*filter(None, EARLY), *OrderStatus, "cancel", "new"}))
@pytest.mark.parametrize("kinds", [(), (OUTPUT,), (OUTPUT, INPUT)])
def test_an_order_may_be_canceled_just_where_it_says_so(
    status: str, kinds: tuple[Any, ...]
) -> None:
    packages = tuple(Package(invoice_number=str(k), invoice_value=1, type=k) for k in kinds)
    book = make_book(status=status, packages=packages)
    allowed = told(book)["allowCancellation"]

    answer = book.cancel(ID, AT, document=False)

    assert allowed is isinstance(answer, Receipt)


async def test_what_was_sent_to_cancel_is_what_the_order_shows() -> None:
    stale = Fault(do=Do.STALE, on="get_order", nth=(2,))
    body = {"reason": "broken", "requestedByUser": True}
    async with Sandbox([make_order()], faults=[stale]) as sandbox, calling(sandbox) as caller:
        refused = await caller.route("cancel", ID, {**body, "requestedByUser": "yes"})
        taken = await caller.route("cancel", ID, body)

        now, before = [(await caller.route("document order", ID)).json for _ in range(2)]

    (request,) = now["cancellationRequests"]
    assert (refused.status, taken.status) == (400, 200)
    assert (request["reason"], request["requestedByUser"]) == ("broken", True)
    assert before["cancellationRequests"] is None
    assert before["lastChange"] < now["lastChange"]
