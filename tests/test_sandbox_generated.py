"""The orders that a sandbox makes: by themselves, and to fit the invoices of a file."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import make_invoice, make_item
from vtex_invoice_async import Invoice, InvoiceType, Order, OrdersApi, Receipt
from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.operations import GetOrder
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.generated import fitting_order, generate_orders

AT = datetime(2026, 1, 31, 18, 25, 43, tzinfo=UTC)

# https://help.vtex.com/en/docs/tutorials/how-to-identify-an-order-split-from-omnichannel
SHAPES = {
    "marketplace": r"\d{13}-\d{2}",
    "account with lettered sequences": r"v\d+[a-z]+-\d{2}",
    "seller, with its affiliate": r"[A-Z]{3}-v\d+[a-z]+-\d{2}",
    "external marketplace": r"[A-Z]{3}-\d+",
}


def made(seed: int, count: int = 8) -> list[Order]:
    return list(generate_orders(count, random.Random(seed)))


def total_of(order: Order, name: str) -> int:
    (found,) = (total.value for total in order.totals if total.id == name)
    return found


@given(st.integers())
def test_the_same_seed_makes_the_same_orders(seed: int) -> None:
    first, second = made(seed), made(seed)

    assert first == second


def test_another_seed_makes_other_orders() -> None:
    first, second = Sandbox(20, seed=1).orders, Sandbox(20, seed=2).orders

    assert all(one != other for one, other in zip(first, second, strict=True))


def test_orders_of_one_seed_do_not_depend_on_how_many_there_are() -> None:
    few, many = made(7, 5), made(7, 50)

    assert many[:5] == few


@given(st.integers())
def test_ids_and_sequences_are_unique(seed: int) -> None:
    orders = made(seed, 20)

    assert len({order.order_id for order in orders}) == 20
    assert len({order.sequence for order in orders}) == 20


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_ids_come_in_every_shape_that_sellers_see(shape: str) -> None:
    orders = made(0)

    assert any(re.fullmatch(shape, order.order_id) for order in orders)


@given(st.integers())
def test_ids_have_no_shape_but_those_and_can_be_asked_for(seed: int) -> None:
    for order in made(seed):
        request = encode(GetOrder(order_id=order.order_id), OrdersApi.OMS)

        assert any(re.fullmatch(shape, order.order_id) for shape in SHAPES.values())
        assert request.path.endswith(f"/{order.order_id}")


@given(st.integers())
def test_the_totals_add_up_to_the_value(seed: int) -> None:
    for order in made(seed):
        assert order.value == sum(total.value for total in order.totals)
        assert order.value > 0
        assert total_of(order, "Discounts") <= 0


@given(st.integers())
def test_the_lines_add_up_to_what_was_paid_for_goods(seed: int) -> None:
    for order in made(seed):
        paid = [line.price_definition.total or 0 for line in order.items if line.price_definition]
        listed = sum((line.price or 0) * line.quantity for line in order.items)

        assert len(paid) == len(order.items)
        assert listed == total_of(order, "Items")
        assert sum(paid) == total_of(order, "Items") + total_of(order, "Discounts")


@given(st.integers())
def test_a_unit_costs_what_was_paid_for_the_line_without_the_cents_that_do_not_divide(
    seed: int,
) -> None:
    for line in (line for order in made(seed) for line in order.items):
        total = (line.price_definition and line.price_definition.total) or 0

        assert 0 <= total - (line.selling_price or 0) * line.quantity < line.quantity


def test_some_orders_have_discounts_freight_tax_and_several_lines() -> None:
    orders = made(0, 100)

    assert any(total_of(order, "Discounts") for order in orders)
    assert any(total_of(order, "Shipping") for order in orders)
    assert any(total_of(order, "Tax") for order in orders)
    assert any(len(order.items) > 1 for order in orders)
    assert any(line.quantity > 1 for order in orders for line in order.items)


def test_each_tenth_order_waits_for_start_handling_and_the_others_for_an_invoice() -> None:
    statuses = [order.status for order in made(0, 20)]

    waiting = [number for number, status in enumerate(statuses) if status != OrderStatus.HANDLING]
    assert waiting == [9, 19]
    assert statuses[9] == statuses[19] == OrderStatus.READY_FOR_HANDLING


invoices = st.lists(
    st.tuples(st.sampled_from(InvoiceType), st.integers(1, 10**9)), min_size=1, max_size=8
).map(
    lambda found: [
        make_invoice(type=kind, invoice_number=f"NFe{n}", invoice_value=value)
        for n, (kind, value) in enumerate(found)
    ]
)


@given(invoices.flatmap(st.permutations), st.booleans())
def test_invoices_fit_on_the_order_that_is_made_for_them_in_any_order(
    sent: Sequence[Invoice],
    document: bool,
) -> None:
    book = OrderBook([fitting_order("x-01", sent)], chance=random.Random(0))

    answers = [book.invoice("x-01", invoice, AT, document=document) for invoice in sent]

    assert all(isinstance(answer, Receipt) for answer in answers)


@given(invoices)
def test_an_order_made_to_fit_is_invoiced_by_its_sales_to_the_cent(sent: list[Invoice]) -> None:
    book = OrderBook([fitting_order("x-01", sent)], chance=random.Random(0))
    sales = [invoice for invoice in sent if invoice.type is InvoiceType.OUTPUT]
    for invoice in sales:
        book.invoice("x-01", invoice, AT, document=False)

    one_more = book.invoice(
        "x-01", make_invoice(invoice_number="MORE", invoice_value=1), AT, document=False
    )

    order = book.order("x-01", AT)
    assert order is not None
    assert not isinstance(one_more, Receipt)
    assert not sales or order.status is OrderStatus.INVOICED


def test_an_order_made_to_fit_has_the_lines_that_its_invoices_name() -> None:
    by_sku = make_invoice(items=[make_item(id="880"), make_item(id="1234"), make_item(id="880")])
    by_index = make_invoice(items=[make_item(id=None, item_index=3)])

    skus = [line.id for line in fitting_order("x-01", [by_sku]).items]
    lines = fitting_order("x-01", [by_index]).items

    assert skus == ["880", "1234"]
    assert len(lines) == 4


def test_the_sequence_of_an_order_made_to_fit_reads_that_order() -> None:
    orders = [fitting_order(name, [make_invoice()]) for name in ("x-01", "y-01")]
    book = OrderBook(orders, chance=random.Random(0))

    read = [book.order(f"seq{order.sequence}", AT) for order in orders if order.sequence]

    assert read == [order for order in orders if order.sequence]
