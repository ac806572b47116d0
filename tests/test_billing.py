"""Invoices made from an order: what they are worth, line by line, and what is refused."""

from __future__ import annotations

from typing import Any, Final

import pytest
from attrs import evolve

from tests.billed import TWO, WHEN, inferred, line, order_of, refused, said, shown_with, sold
from tests.factories import ISSUED, make_item
from vtex_invoice_async import Invoice, InvoiceType, Order, OrdersApi, Package
from vtex_invoice_async.billing import (
    invoice_all,
    invoice_items,
    invoice_remaining,
    return_items,
)
from vtex_invoice_async.models import OrderItem, PackageItem, PriceDefinition
from vtex_invoice_async.operations import NotifyInvoice
from vtex_invoice_async.protocol import encode

OUTPUT, INPUT = InvoiceType.OUTPUT, InvoiceType.INPUT


def lines_of(invoice: Invoice) -> list[tuple[str | None, int | None, int, int]]:
    return [(item.id, item.item_index, item.price, item.quantity) for item in invoice.items]


def in_parts(order: Order, *asked: dict[str, int]) -> list[int]:
    """What the parts are worth, of which the last is what remains."""
    values = []
    for number, quantities in enumerate(asked):
        invoice = invoice_items(order, quantities, f"NFe{number}", **WHEN)
        order = shown_with(order, invoice)
        values.append(invoice.invoice_value)
    return [*values, invoice_remaining(order, "LAST", **WHEN).invoice_value]


def test_an_order_is_invoiced_for_its_value_with_a_line_for_each_sku() -> None:
    invoice = invoice_all(TWO, "NFe1", **WHEN)

    assert invoice == Invoice(
        type=OUTPUT,
        invoice_number="NFe1",
        invoice_value=5_990,
        issuance_date=ISSUED,
        items=[
            make_item(id="880", item_index=0, price=1_000, quantity=2),
            make_item(id="1234", item_index=1, price=750, quantity=4),
        ],
    )


@pytest.mark.parametrize("dialect", [OrdersApi.PII, OrdersApi.PII_2022])
def test_the_pii_dialects_have_the_totals_of_lines(dialect: OrdersApi) -> None:
    invoice = invoice_all(TWO, "NFe1", orders_api=dialect, **WHEN)

    assert lines_of(invoice) == [("880", 0, 2_000, 2), ("1234", 1, 3_000, 4)]


@pytest.mark.parametrize("made_for", OrdersApi)
@pytest.mark.parametrize("sent_as", OrdersApi)
def test_every_dialect_can_write_it(made_for: OrdersApi, sent_as: OrdersApi) -> None:
    invoice = invoice_all(TWO, "NFe1", orders_api=made_for, **WHEN)

    assert encode(NotifyInvoice(order_id=TWO.order_id, invoice=invoice), sent_as).body


def test_known_issue_605517_a_discount_that_does_not_divide_ends_to_the_cent() -> None:
    # 65 cents for three: 22 + 22 + 22 would be one too many, 21 for each two too few.
    order = order_of(line("7", 3, 65))

    assert in_parts(order, {"7": 1}, {"7": 1}) == [21, 22, 22]


def test_known_issue_1028210_a_line_is_worth_its_total_and_not_its_rounded_prices() -> None:
    priced = OrderItem(
        id="7",
        quantity=3,
        price=50,
        selling_price=33,
        price_definition=PriceDefinition(calculated_selling_price=33, total=100),
    )
    order = order_of(priced, value=100)

    invoice = invoice_all(order, "NFe1", orders_api=OrdersApi.PII, **WHEN)

    assert (invoice.invoice_value, invoice.items[0].price) == (100, 100)


@pytest.mark.parametrize(
    ("changes", "worth"),
    [
        ({"price_definition": PriceDefinition(total=100), "selling_price": 1, "price": 2}, 100),
        ({"price_definition": PriceDefinition(), "selling_price": 1, "price": 2}, 3),
        ({"selling_price": 0, "price": 2}, 0),
        ({"price": 2}, 6),
        ({}, 0),
        ({"price_definition": PriceDefinition(total=-1)}, 0),
    ],
)
def test_what_a_line_is_worth(changes: dict[str, Any], worth: int) -> None:
    order = order_of(OrderItem(id="7", quantity=3, **changes), value=500)

    invoice = invoice_all(order, "NFe1", orders_api=OrdersApi.PII, **WHEN)

    assert (invoice.invoice_value, invoice.items[0].price) == (500, worth)


def test_known_issue_663203_lines_at_their_list_price_share_what_was_paid() -> None:
    order = order_of(line("880", 1, 1_000), line("1234", 1, 3_000), value=2_000)

    assert in_parts(order, {"880": 1}) == [500, 1_500]


def test_known_issue_1198829_a_sku_on_several_lines_is_one_line() -> None:
    order = order_of(line("7", 1, 1_000), line("8", 1, 10), line("7", 1, 900), line("7", 1, 0))

    invoice = invoice_all(order, "NFe1", **WHEN)

    assert lines_of(invoice) == [("7", 0, 633, 3), ("8", 1, 10, 1)]
    assert invoice.invoice_value == 1_910


def test_known_issue_646253_a_value_that_is_reached_without_all_units_is_told() -> None:
    order = sold(TWO, 5_990, ("880", 2))

    (problem,) = refused(invoice_remaining, order, "NFe1")

    assert problem == ("sale-above-order", "invoiceValue")
    assert "4 units are on no invoice (known issue 646253)" in said(
        invoice_remaining, order, "NFe1"
    )


def test_known_issue_930491_what_is_returned_is_not_to_be_invoiced_again() -> None:
    order = sold(sold(TWO, 2_396, ("880", 2)), 2_396, ("880", 2), kind=INPUT)

    invoice = invoice_remaining(order, "NFe1", **WHEN)

    assert (invoice.invoice_value, lines_of(invoice)) == (3_594, [("1234", 1, 750, 4)])


def test_known_issue_1163668_after_an_invoice_without_lines_the_rest_has_none() -> None:
    order = sold(TWO, 1_000)
    packages = tuple(evolve(package, items=inferred(TWO)) for package in order.packages or ())
    order = evolve(order, packages=packages)

    invoice = invoice_remaining(order, "NFe1", **WHEN)
    told = said(invoice_items, order, {"880": 1}, "NFe1")

    assert (invoice.invoice_value, invoice.items) == (4_990, ())
    assert "none is left, though 4990 cents are" in told
    assert "known issue 1163668" in told


def test_known_issue_1008459_units_count_by_sku_whichever_line_they_are_shown_on() -> None:
    order = order_of(line("7", 1, 100), line("7", 2, 200))
    both_on_the_first = Package(
        invoice_number="OLD",
        invoice_value=200,
        type=OUTPUT,
        items=(PackageItem(item_index=0, quantity=2),),
    )

    invoice = invoice_remaining(evolve(order, packages=(both_on_the_first,)), "NFe1", **WHEN)

    assert (invoice.invoice_value, lines_of(invoice)) == (100, [("7", 0, 100, 1)])


@pytest.mark.parametrize(
    "shown",
    [
        PackageItem(item_index=1, quantity=3),
        PackageItem(id="1234", quantity=3),
        PackageItem(id="1234", item_index=0, quantity=3),
        PackageItem(id="REF-1234", item_index=1, quantity=3),
    ],
)
def test_an_invoiced_line_is_known_by_its_sku_or_else_by_its_place(shown: PackageItem) -> None:
    package = Package(invoice_number="OLD", invoice_value=2_000, type=OUTPUT, items=(shown,))

    invoice = invoice_remaining(evolve(TWO, packages=(package,)), "NFe1", **WHEN)

    assert [(item.id, item.quantity) for item in invoice.items] == [("880", 2), ("1234", 1)]


def test_freight_goes_with_the_lines_by_their_worth() -> None:
    # 990 on 5,000: 198 for each thousand.
    assert in_parts(TWO, {"880": 1}, {"1234": 2}) == [1_198, 1_797, 2_995]


def test_what_others_put_on_their_invoice_is_not_invoiced_again() -> None:
    order = sold(TWO, 1_990, ("880", 1))  # with all of the freight

    assert in_parts(order, {"1234": 2}) == [1_500, 2_500]


def test_a_value_that_shrank_is_shared_by_what_remains() -> None:
    order = evolve(sold(TWO, 1_198, ("880", 1)), value=3_198)

    assert in_parts(order, {"1234": 2}) == [750, 1_250]


GIFT: Final = order_of(line("7", 1, 1_000), line("9", 2, 0))


@pytest.mark.parametrize(
    ("asked", "values"),
    [
        ([{"9": 2}], [1, 999]),
        ([{"7": 1}], [998, 2]),
        ([{"9": 1}, {"7": 1}], [1, 998, 1]),
        ([{"7": 1}, {"9": 1}], [998, 1, 1]),
        ([{"9": 1}, {"9": 1}], [1, 1, 998]),
        ([{"7": 1, "9": 1}], [999, 1]),
    ],
)
def test_gifts_go_for_a_cent_and_leave_one_to_each_unit(
    asked: list[dict[str, int]], values: list[int]
) -> None:
    assert in_parts(GIFT, *asked) == values


def test_what_remains_of_the_value_is_shared_by_units_where_only_gifts_remain() -> None:
    order = sold(order_of(line("7", 1, 1_000), line("9", 4, 0)), 600, ("7", 1))

    assert in_parts(order, {"9": 1}) == [100, 300]


def test_as_many_parts_as_there_are_cents_and_no_more() -> None:
    order = order_of(line("7", 5, 2))

    assert in_parts(order, {"7": 1}) == [1, 1]
    order = shown_with(order, invoice_items(order, {"7": 1}, "NFe1", **WHEN))
    assert refused(invoice_items, order, {"7": 3}, "NFe2") == [("value-too-small", "invoiceValue")]
    assert "1 are not asked for" in said(invoice_items, order, {"7": 3}, "NFe2")


def test_a_return_is_a_part_of_what_was_invoiced_and_the_last_takes_the_remainder() -> None:
    order = sold(order_of(line("7", 3, 65), value=100), 100, ("7", 3))

    first = return_items(order, "DEV1", {"7": 1}, **WHEN)
    order = shown_with(order, first)
    last = return_items(order, "DEV2", orders_api=OrdersApi.PII, **WHEN)

    assert (first.type, first.invoice_value, lines_of(first)) == (INPUT, 32, [("7", 0, 21, 1)])
    assert (last.type, last.invoice_value, lines_of(last)) == (INPUT, 68, [("7", 0, 44, 2)])
    assert refused(return_items, shown_with(order, last), "DEV3") == [
        ("return-above-sales", "invoiceValue")
    ]


def test_of_an_order_in_part_only_that_part_is_returned() -> None:
    order = sold(TWO, 1_198, ("880", 1))

    invoice = return_items(order, "DEV1", **WHEN)

    assert (invoice.invoice_value, lines_of(invoice)) == (1_198, [("880", 0, 1_000, 1)])


def test_a_return_without_lines_leaves_a_return_without_lines() -> None:
    order = sold(TWO, 5_990, ("880", 2), ("1234", 4))
    back = Package(invoice_number="DEV1", invoice_value=90, type=INPUT, items=inferred(TWO))
    order = evolve(order, packages=(*(order.packages or ()), back))

    invoice = return_items(order, "DEV2", **WHEN)

    assert (invoice.invoice_value, invoice.items) == (5_900, ())


def test_what_else_an_invoice_says_is_added_to_it() -> None:
    invoice = evolve(invoice_all(TWO, "NFe1", **WHEN), courier="carrierOne")

    assert invoice.courier == "carrierOne"
