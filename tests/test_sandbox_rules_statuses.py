"""What moves an order from one status to the next, what it then keeps, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from tests.books import (
    AT,
    ID,
    INPUT,
    OUTPUT,
    filed,
    make_book,
    make_order,
    notify,
    shown,
    words_of,
)
from tests.factories import make_invoice, make_item, make_tracking
from vtex_invoice_async import Package, Receipt, TrackingEvent, TrackingStatus
from vtex_invoice_async.models import OrderItem, OrderStatus, OrderTotal
from vtex_invoice_async.sandbox import Refusal, Rules
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.filed import Filed

MINUTE = timedelta(minutes=1)


def cancel(book: OrderBook, *, document: bool = False) -> Receipt | Refusal:
    return book.cancel(ID, AT, document=document)


def change(book: OrderBook, value: int) -> Receipt | Refusal:
    return book.change_value(ID, value, AT)


def code_of(answer: Receipt | Refusal) -> str:
    assert isinstance(answer, Refusal)
    assert not isinstance(answer.body, str)
    assert answer.body is not None
    error = answer.body["error"]
    assert isinstance(error, dict)
    return str(error["code"])


@pytest.mark.parametrize("status", ["ready-for-handling", "handling"])
def test_an_order_that_is_handled_is_canceled_by_the_second_request(status: str) -> None:
    book = make_book(status=status)

    first = cancel(book)
    between = shown(book).status
    second = cancel(book)

    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert first.order_id == f"00-{ID}"
    assert (between, shown(book).status) == ("cancellation-requested", "canceled")


@pytest.mark.parametrize("status", ["payment-pending", "window-to-cancel", "payment-approved"])
def test_an_order_that_nobody_handles_yet_is_canceled_at_once(status: str) -> None:
    book = make_book(status=status)

    assert isinstance(cancel(book), Receipt)
    assert shown(book).status is OrderStatus.CANCELED


@pytest.mark.parametrize("document", [False, True])
@pytest.mark.parametrize("delay", [0, 60])
def test_an_order_of_which_a_part_is_invoiced_is_not_canceled(
    delay: float, *, document: bool
) -> None:
    book = make_book(Rules(settle_delay=delay))
    notify(book, 4_000)
    before = shown(book)

    refused = cancel(book, document=document)

    assert isinstance(refused, Refusal)
    assert refused.status == 400
    assert shown(book) == before


def test_an_order_that_is_invoiced_is_canceled_only_after_a_return() -> None:
    book = make_book()
    notify(book, 10_000)

    refused = cancel(book)
    notify(book, 10_000, "DEV1", INPUT)
    taken = cancel(book)

    assert isinstance(refused, Refusal)
    assert refused.status == 400
    assert isinstance(taken, Receipt)
    assert shown(book).status is OrderStatus.CANCELED


@pytest.mark.parametrize("status", ["canceled", "cancel", "invoice"])
def test_an_order_that_is_canceled_or_being_verified_is_not_canceled(status: str) -> None:
    book = make_book(status=status)

    refused = cancel(book)

    assert isinstance(refused, Refusal)
    assert refused.status == 400
    assert shown(book).status == status


def test_an_order_that_the_account_does_not_have_is_not_found() -> None:
    book = make_book()

    answers = [book.cancel("nope", AT, document=False), book.change_value("nope", 1, AT)]

    assert [words_of(answer) for answer in answers] == ["Order Not Found"] * 2


@pytest.mark.parametrize(
    ("value", "after"), [(4_000, OrderStatus.PAYMENT_APPROVED), (10_000, OrderStatus.INVOICED)]
)
def test_a_sale_denies_the_cancellation_and_the_order_goes_on(
    value: int, after: OrderStatus
) -> None:
    book = make_book()
    cancel(book)

    taken = notify(book, value)

    assert isinstance(taken, Receipt)
    assert shown(book).status is after


@pytest.mark.parametrize("status", ["handling", "waiting-for-fulfillment", "ready-for-invoicing"])
@pytest.mark.parametrize("value", [9_000, 12_000])
def test_an_order_that_is_handled_may_be_worth_more_or_less(status: str, value: int) -> None:
    book = make_book(status=status)

    taken = change(book, value)

    assert isinstance(taken, Receipt)
    assert (shown(book).value, shown(book).status) == (value, status)
    assert isinstance(notify(book, value + 1), Refusal)
    assert isinstance(notify(book, value), Receipt)
    assert shown(book).status is OrderStatus.INVOICED


def test_the_parts_of_an_orders_value_show_what_was_changed() -> None:
    parts = (OrderTotal(id="Items", value=9_000), OrderTotal(id="Shipping", value=1_000))
    book = make_book(totals=parts)

    change(book, 9_990)
    change(book, 9_500)

    order = shown(book)
    assert order.totals[:2] == parts
    assert [(total.id, total.value) for total in order.totals[2:]] == [("Change", -500)]
    assert sum(total.value for total in order.totals) == order.value


@pytest.mark.parametrize(
    ("status", "value", "code", "message"),
    [
        ("payment-pending", 9_000, "CHK0124", "Invalid change for order."),
        ("ready-for-handling", 9_000, "CHK0124", "Invalid change for order."),
        ("canceled", 9_000, "SalesOrderSystem008", "Cannot Change Cancelled Order."),
        ("cancel", 9_000, "SalesOrderSystem008", "Cannot Change Cancelled Order."),
        ("handling", -1, "CHK0034", "The value of the change exceed the order's price."),
    ],
)
def test_a_change_that_is_not_allowed_is_refused_in_the_words_of_vtex(
    status: str, value: int, code: str, message: str
) -> None:
    book = make_book(status=status)

    refused = change(book, value)

    assert (code_of(refused), words_of(refused)) == (code, message)
    assert shown(book).value == 10_000


def test_an_order_that_is_invoiced_is_not_changed() -> None:
    book = make_book()
    notify(book, 10_000)

    assert code_of(change(book, 10_000)) == "SalesOrderSystem046"


def test_a_change_down_to_what_was_invoiced_leaves_nothing_to_invoice() -> None:
    book = make_book()
    notify(book, 4_000)

    taken = change(book, 4_000)

    assert isinstance(taken, Receipt)
    assert shown(book).status is OrderStatus.INVOICED


def test_an_order_that_is_worth_nothing_any_more_is_not_invoiced_by_that() -> None:
    book = make_book()

    change(book, 0)

    assert (shown(book).value, shown(book).status) == (0, "handling")


def test_a_change_to_less_than_the_rest_waits_for_what_remains() -> None:
    book = make_book()
    notify(book, 4_000)
    change(book, 7_000)

    before = shown(book).status
    above, within = notify(book, 3_001, "NFe2"), notify(book, 3_000, "NFe2")

    assert before is OrderStatus.PAYMENT_APPROVED
    assert isinstance(above, Refusal)
    assert isinstance(within, Receipt)
    assert shown(book).status is OrderStatus.INVOICED


@pytest.mark.parametrize("value", [10_001, 3_999])
def test_an_order_with_an_invoice_is_not_worth_more_nor_less_than_that(value: int) -> None:
    book = make_book()
    notify(book, 4_000)

    refused = change(book, value)

    assert code_of(refused) == "SalesOrderSystem046"
    assert shown(book).value == 10_000


def test_a_change_while_an_invoice_is_verified_tells_when_that_is_done() -> None:
    book = make_book(Rules(settle_delay=60))
    notify(book, 4_000)

    change(book, 4_000)

    seen = [shown(book, AT + timedelta(seconds=s)).status for s in (0, 59, 60)]
    assert seen == ["invoice", "invoice", "invoiced"]


def test_a_return_does_not_deny_a_cancellation() -> None:
    sold = Package(invoice_number="SOLD", invoice_value=4_000, type=OUTPUT)
    book = make_book(status=OrderStatus.CANCELLATION_REQUESTED, packages=(sold,))

    notify(book, 1_000, "DEV1", INPUT)

    assert shown(book).status is OrderStatus.CANCELLATION_REQUESTED


def test_an_invoice_is_kept_with_its_xml_and_the_time_of_its_last_change() -> None:
    book = make_book()
    invoice = make_invoice(embedded_invoice="<nfeProc/>")
    book.invoice(ID, invoice, AT, document=False)
    (before,) = filed(book)

    book.send_tracking(ID, "NFe1", make_tracking(), AT + MINUTE)

    seen = book.shown(ID, AT + MINUTE)
    assert seen is not None
    assert (before.embedded_invoice, before.changed_at) == ("<nfeProc/>", AT)
    assert seen.filed[0].embedded_invoice == "<nfeProc/>"
    assert seen.filed[0].changed_at == AT + MINUTE
    assert before.items_inferred is False


def test_an_invoice_that_the_order_came_in_with_has_no_time() -> None:
    sold = Package(invoice_number="SOLD", invoice_value=4_000, type=OUTPUT)

    (found,) = filed(make_book(packages=(sold,)))

    assert found == Filed(package=sold)


def test_an_invoice_without_lines_gets_all_those_of_its_order() -> None:
    lines = (
        OrderItem(id="880", quantity=2, price=3_000, selling_price=2_500),
        OrderItem(id="1234", quantity=1, price=5_000),
    )
    book = make_book(items=lines)

    book.invoice(ID, make_invoice(items=()), AT, document=False)

    (found,) = filed(book)
    told = [(i.item_index, i.id, i.quantity, i.price) for i in found.package.items]
    assert told == [(0, "880", 2, 2_500), (1, "1234", 1, 5_000)]
    assert found.items_inferred


def test_the_first_of_two_lines_with_one_sku_is_named() -> None:
    lines = (OrderItem(id="880", quantity=2), OrderItem(id="880", quantity=1))
    book = make_book(items=lines)

    book.invoice(ID, make_invoice(items=[make_item(id="880", item_index=1)]), AT, document=False)

    assert filed(book)[0].package.items[0].item_index == 0


def test_news_of_a_parcel_add_up_with_the_day_and_the_time_of_telling() -> None:
    book = make_book()
    notify(book, 4_000)
    book.send_tracking(ID, "NFe1", make_tracking(), AT)

    for day in (1, 2):
        event = TrackingEvent(city="Rio", state="RJ", description="on", date=date(2026, 2, day))
        news = TrackingStatus(is_delivered=False, events=[event])
        book.update_tracking_status(ID, "NFe1", news, AT + day * MINUTE)

    (package,) = shown(book, AT + 2 * MINUTE).packages or ()
    assert package.courier_status is not None
    assert [(e.create_date, e.last_change) for e in package.courier_status.data] == [
        ("2026-02-01T00:00:00.0000000+00:00", "2026-01-31T18:26:43.1234560+00:00"),
        ("2026-02-02T00:00:00.0000000+00:00", "2026-01-31T18:27:43.1234560+00:00"),
    ]


@pytest.mark.parametrize("number", ["NFe 1", " NFe1", "NFe1 "])
def test_a_number_with_a_space_is_taken_and_never_tracked(number: str) -> None:
    book = make_book()
    taken = notify(book, 4_000, number)

    patched = book.send_tracking(ID, number, make_tracking(), AT)
    put = book.update_tracking_status(ID, number, TrackingStatus(is_delivered=True), AT)

    assert isinstance(taken, Receipt)
    for refused in (patched, put):
        assert isinstance(refused, Refusal)
        assert refused.status == 500
        assert words_of(refused) == "An error has occurred"
    assert not book.tracked


def test_an_earlier_moment_can_be_read_again_as_it_was() -> None:
    book = make_book(Rules(settle_delay=60))
    moments = [AT + n * MINUTE for n in range(5)]
    acts: list[Callable[[datetime], Receipt | Refusal]] = [
        lambda now: notify(book, 4_000, now=now),
        lambda now: notify(book, 6_000, "NFe2", now=now),
        lambda now: notify(book, 1_000, "DEV1", INPUT, now=now),
    ]
    for act, now in zip(acts, moments[1:], strict=False):
        act(now)

    forwards = [shown(book, now) for now in moments]
    backwards = [shown(book, now) for now in reversed(moments)]

    statuses = ["handling", "invoice", "invoice", "invoiced", "invoiced"]
    assert [order.status for order in forwards] == statuses
    assert [len(order.packages or ()) for order in forwards] == [0, 1, 2, 3, 3]
    assert backwards[::-1] == forwards


def test_what_an_order_was_before_stays_what_it_was() -> None:
    book = make_book()
    notify(book, 10_000)

    assert book.shown_before(ID).order == make_order(packages=())
