"""VTEX's rules as the sandbox keeps them, without HTTP: the time is an argument."""

from __future__ import annotations

import re
from datetime import timedelta, timezone

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.books import AT, ID, INPUT, OUTPUT, make_book, make_order, notify, shown, words_of
from tests.factories import make_invoice, make_item, make_tracking
from vtex_invoice_async import InvoiceType, Package, Receipt, TrackingStatus
from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.sandbox import Refusal, Rules


def test_start_handling_moves_an_order_that_waits_for_it() -> None:
    book = make_book(status=OrderStatus.READY_FOR_HANDLING)

    refusal = book.start_handling(ID, AT, document=False)

    assert refusal is None
    assert shown(book).status is OrderStatus.HANDLING


@pytest.mark.parametrize("status", [s for s in OrderStatus if s != "ready-for-handling"])
def test_start_handling_is_a_conflict_in_any_other_status(status: OrderStatus) -> None:
    book = make_book(status=status)

    refusal = book.start_handling(ID, AT, document=False)

    assert isinstance(refusal, Refusal)
    assert refusal.status == 409
    assert words_of(refusal) == "Order status should be ready-for-handling to perform this action"
    assert shown(book).status is status


def test_a_part_is_verified_and_the_order_waits_for_the_rest() -> None:
    book = make_book(Rules(settle_delay=60))

    notify(book, 4_000)

    assert shown(book, AT).status is OrderStatus.INVOICE
    assert shown(book, AT + timedelta(seconds=59)).status is OrderStatus.INVOICE
    assert shown(book, AT + timedelta(seconds=60)).status is OrderStatus.PAYMENT_APPROVED


def test_the_last_part_is_verified_and_the_order_is_invoiced() -> None:
    book = make_book(Rules(settle_delay=60))
    notify(book, 4_000, "NFe1")
    later = AT + timedelta(hours=1)

    notify(book, 6_000, "NFe2", now=later)

    assert shown(book, later).status is OrderStatus.INVOICE
    assert shown(book, later + timedelta(seconds=60)).status is OrderStatus.INVOICED


def test_a_second_part_is_verified_for_as_long_as_the_first() -> None:
    book = make_book(Rules(settle_delay=60))
    notify(book, 4_000, "NFe1")
    notify(book, 6_000, "NFe2", now=AT + timedelta(seconds=59))

    statuses = [shown(book, AT + timedelta(seconds=s)).status for s in (60, 118, 119)]

    assert statuses == [OrderStatus.INVOICE, OrderStatus.INVOICE, OrderStatus.INVOICED]


def test_a_cent_above_what_remains_is_refused_and_not_counted() -> None:
    book = make_book()
    notify(book, 4_000, "NFe1")

    refused = notify(book, 6_001, "NFe2")

    assert isinstance(refused, Refusal)
    assert refused.status == 400
    assert book.applied == {(ID, "NFe1"): 1}
    assert isinstance(notify(book, 6_000, "NFe2"), Receipt)


@pytest.mark.parametrize("sold", [(), (4_000,), (10_000,)])
def test_a_return_above_what_was_invoiced_is_refused_in_the_words_of_vtex(
    sold: tuple[int, ...],
) -> None:
    book = make_book()
    for value in sold:
        notify(book, value)
    counted = book.applied.copy()

    refused = notify(book, sum(sold) + 1, "DEV1", INPUT)

    assert isinstance(refused, Refusal)
    assert refused.status == 400
    assert words_of(refused).startswith("Unable to use the restitution Refund more than ")
    assert book.applied == counted


def test_a_refusal_of_a_return_names_the_most_that_can_be_returned() -> None:
    book = make_book()
    notify(book, 2_499)

    refused = notify(book, 2_500, "DEV1", INPUT)

    # VTEX writes `0.0` where nothing is left: what is said must not be more than that.
    figure = re.search(r"more than (\d+\.\d+)$", words_of(refused))
    assert figure is not None
    assert float(figure[1]) <= 24.99


def test_a_return_within_what_was_invoiced_leaves_the_status_alone() -> None:
    book = make_book()
    notify(book, 10_000)
    before = shown(book).status

    taken = notify(book, 10_000, "DEV1", INPUT)

    assert isinstance(taken, Receipt)
    assert before is OrderStatus.INVOICED
    assert shown(book).status is OrderStatus.INVOICED
    assert [package.type for package in shown(book).packages or ()] == [OUTPUT, INPUT]


def test_returns_add_up() -> None:
    book = make_book()
    notify(book, 10_000)
    notify(book, 7_000, "DEV1", INPUT)

    above = notify(book, 3_001, "DEV2", INPUT)
    within = notify(book, 3_000, "DEV2", INPUT)

    assert isinstance(above, Refusal)
    assert isinstance(within, Receipt)


@pytest.mark.parametrize("document", [False, True])
@pytest.mark.parametrize(("first", "second"), [(OUTPUT, INPUT), (INPUT, OUTPUT)])
def test_a_sale_and_a_return_cannot_share_a_number(
    first: InvoiceType, second: InvoiceType, *, document: bool
) -> None:
    book = make_book()
    notify(book, 4_000, "NFe1")
    notify(book, 1_000, "NFe2", first)

    refused = notify(book, 1_000, "NFe2", second, document=document)

    assert isinstance(refused, Refusal)
    assert refused.status == 400
    assert book.applied[ID, "NFe2"] == 1


def test_a_number_sent_again_on_oms_gets_a_new_receipt_and_changes_nothing_else() -> None:
    book = make_book()
    first = notify(book, 4_000)
    before = shown(book)

    # VTEX takes it whatever it holds, even more than the order's value leaves.
    again = notify(book, 999_999)

    assert isinstance(first, Receipt)
    assert isinstance(again, Receipt)
    assert again.receipt != first.receipt
    assert shown(book) == before
    assert book.applied == {(ID, "NFe1"): 2}


def test_a_number_sent_again_on_the_document_path_is_refused() -> None:
    book = make_book()
    notify(book, 4_000, document=True)

    refused = notify(book, 4_000, document=True)

    assert isinstance(refused, Refusal)
    assert refused.status == 400
    assert book.applied == {(ID, "NFe1"): 1}


def test_numbers_are_compared_letter_by_letter() -> None:
    book = make_book()
    notify(book, 4_000, "NFe1", document=True)

    other = notify(book, 4_000, "NFE1", document=True)

    assert isinstance(other, Receipt)


@pytest.mark.parametrize("document", [False, True])
@pytest.mark.parametrize("kind", InvoiceType)
def test_a_canceled_order_takes_no_invoice(kind: InvoiceType, *, document: bool) -> None:
    sold = Package(invoice_number="SOLD", invoice_value=4_000, type=OUTPUT)
    book = make_book(status=OrderStatus.CANCELED, packages=(sold,))

    refused = notify(book, 1_000, kind=kind, document=document)

    assert isinstance(refused, Refusal)
    assert refused.status == 400
    assert not book.applied
    assert shown(book).status is OrderStatus.CANCELED


def test_an_unknown_order_is_not_found_by_any_call() -> None:
    book = make_book()
    status = TrackingStatus(is_delivered=True)

    answers = [
        book.invoice("nope", make_invoice(), AT, document=False),
        book.send_tracking("nope", "NFe1", make_tracking(), AT),
        book.update_tracking_status("nope", "NFe1", status, AT),
        book.start_handling("nope", AT, document=False),
    ]

    assert [words_of(answer) for answer in answers] == ["Order Not Found"] * 4
    assert book.order("nope", AT) is None
    assert not book.applied
    assert not book.tracked


def test_a_sequence_reads_an_order_and_invoices_none() -> None:
    book = make_book()

    read = book.order("seq501456", AT)
    refused = book.invoice("seq501456", make_invoice(), AT, document=False)

    assert read == shown(book)
    assert words_of(refused) == "Order Not Found"


def test_tracking_of_an_unknown_invoice_is_refused_and_not_counted() -> None:
    book = make_book()
    status = TrackingStatus(is_delivered=True)

    patched = book.send_tracking(ID, "NFe1", make_tracking(), AT)
    put = book.update_tracking_status(ID, "NFe1", status, AT)

    assert [words_of(patched), words_of(put)] == ["Invoice Not Found"] * 2
    assert not book.tracked


def test_the_last_tracking_data_win() -> None:
    book = make_book()
    notify(book, 4_000)

    for number in ("TRK1", "TRK2"):
        book.send_tracking(ID, "NFe1", make_tracking(tracking_number=number), AT)

    (package,) = shown(book).packages or ()
    assert package.tracking_number == "TRK2"
    assert book.tracked == {(ID, "NFe1"): 2}


def test_news_of_a_parcel_need_a_tracking_number() -> None:
    book = make_book()
    notify(book, 4_000)

    refused = book.update_tracking_status(ID, "NFe1", TrackingStatus(is_delivered=True), AT)

    assert isinstance(refused, Refusal)
    assert refused.status == 400
    assert not book.tracked
    (package,) = shown(book).packages or ()
    assert package.courier_status is None


@pytest.mark.parametrize("is_delivered", [False, True])
def test_a_delivery_finishes_the_couriers_work_and_leaves_the_order_alone(
    *, is_delivered: bool
) -> None:
    book = make_book()
    notify(book, 4_000)
    book.send_tracking(ID, "NFe1", make_tracking(), AT)
    before = shown(book).status

    taken = book.update_tracking_status(ID, "NFe1", TrackingStatus(is_delivered=is_delivered), AT)

    (package,) = shown(book).packages or ()
    assert isinstance(taken, Receipt)
    assert package.courier_status is not None
    assert package.courier_status.finished is is_delivered
    # VTEX leaves it unknown: https://developers.vtex.com/vtex-rest-api/reference/updatetrackingstatus
    assert package.courier_status.status is None
    assert shown(book).status is before


def test_a_package_names_the_orders_line_of_each_item() -> None:
    book = make_book()
    items = [make_item(id="1234", item_index=None), make_item(id=None, item_index=0)]

    book.invoice(ID, make_invoice(items=items), AT, document=False)

    (package,) = shown(book).packages or ()
    assert [item.item_index for item in package.items] == [1, 0]


def test_a_receipt_speaks_of_the_sellers_order_with_seven_digits_of_a_second() -> None:
    zone = timezone(timedelta(hours=-3))
    book = make_book()

    receipt = notify(book, 4_000, now=AT.astimezone(zone))

    assert isinstance(receipt, Receipt)
    assert receipt.order_id == f"00-{ID}"
    assert receipt.raw_date is not None
    assert re.fullmatch(r"2026-01-31T18:25:43\.123456\d\+00:00", receipt.raw_date)
    assert receipt.receipt is not None
    assert re.fullmatch(r"[0-9a-f]{32}", receipt.receipt)


def test_an_order_that_is_the_sellers_own_keeps_its_id_in_the_receipt() -> None:
    book = make_book(seller_order_id=None)

    receipt = notify(book, 4_000)

    assert isinstance(receipt, Receipt)
    assert receipt.order_id == ID


def test_the_packages_of_an_order_that_is_added_are_invoices_that_it_has() -> None:
    book = make_book()
    sold = Package(invoice_number="SOLD", invoice_value=9_000, type=OUTPUT)

    book.add(evolve(make_order(), packages=(sold,)))

    assert len(book) == 1
    assert isinstance(notify(book, 1_001), Refusal)
    assert isinstance(notify(book, 1_000), Receipt)


@given(
    st.lists(
        st.tuples(st.integers(1, 6_000), st.sampled_from("ABCD"), st.sampled_from(InvoiceType))
    )
)
def test_whatever_is_sent_no_more_is_sold_than_the_value_nor_returned_than_sold(
    sent: list[tuple[int, str, InvoiceType]],
) -> None:
    book = make_book()

    answers = [notify(book, value, number, kind) for value, number, kind in sent]

    order = shown(book)
    packages = order.packages or ()
    sold = sum(p.invoice_value or 0 for p in packages if p.type is OUTPUT)
    returned = sum(p.invoice_value or 0 for p in packages if p.type is INPUT)
    assert returned <= sold <= order.value
    assert (order.status is OrderStatus.INVOICED) is (sold == order.value)
    assert book.applied.total() == sum(isinstance(answer, Receipt) for answer in answers)
    assert {p.invoice_number for p in packages} == {number for _, number in book.applied}
