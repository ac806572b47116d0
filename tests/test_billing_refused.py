"""What is not made into an invoice, and how that is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from attrs import evolve

from tests.billed import TWO, WHEN, refused, said, sold
from vtex_invoice_async import InvoiceType, Package
from vtex_invoice_async.billing import invoice_all, invoice_items, invoice_remaining, return_items
from vtex_invoice_async.models import OrderItem, PackageItem

OUTPUT = InvoiceType.OUTPUT


def test_all_that_is_wrong_is_told_at_once() -> None:
    order = sold(TWO, 1_198, ("880", 1))
    asked: Any = {"880": 2, "77": 1, "1234": 0, 1234: 1, "7": 1.5}

    assert refused(invoice_items, order, asked, "OLD0") == [
        ("number-taken", "invoiceNumber"),
        ("quantity-above-order", "items[0].quantity"),
        ("item-unknown", "items[1].id"),
        ("quantity", "items[2].quantity"),
        ("item-unknown", "items[3].id"),
        ("whole-number", "items[4].quantity"),
        ("item-unknown", "items[4].id"),
    ]


def test_what_is_above_is_told_with_what_remains() -> None:
    order = sold(TWO, 1_198, ("880", 1))

    assert "2 of SKU 880, of which 1 are not invoiced" in said(
        invoice_items, order, {"880": 2}, "NFe1"
    )
    assert "2 of SKU 880, of which 1 are invoiced and not returned" in said(
        return_items, order, "DEV1", {"880": 2}
    )


@pytest.mark.parametrize("items", [{}, None, ["880"]])
def test_units_have_to_be_named(items: Any) -> None:
    assert refused(return_items, sold(TWO, 5_990), "DEV1", items or {}) == [("required", "items")]


def test_a_return_needs_a_sale_and_a_number_of_its_own() -> None:
    order = sold(TWO, 1_198, ("880", 1))

    assert refused(return_items, TWO, "DEV1") == [("return-without-sale", "type")]
    assert refused(return_items, order, "OLD0") == [("number-of-sale", "invoiceNumber")]
    assert "for an Output" in said(return_items, order, "OLD0")


def test_all_of_an_order_is_invoiced_once() -> None:
    order = sold(TWO, 1_198, ("880", 1))

    assert refused(invoice_all, order, "NFe1") == [
        ("already-invoiced", "packageAttachment.packages")
    ]
    assert "invoice_remaining" in said(invoice_all, order, "NFe1")


@pytest.mark.parametrize("value", [0, -5])
def test_an_order_that_is_worth_nothing_is_not_invoiced(value: int) -> None:
    assert refused(invoice_all, evolve(TWO, value=value), "NFe1") == [
        ("sale-above-order", "invoiceValue")
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"packages": None}, "packageAttachment.packages"), ({"items": ()}, "items")],
)
def test_an_answer_that_does_not_say_is_to_be_read_again(
    changes: dict[str, Any], field: str
) -> None:
    order = evolve(TWO, **changes)

    assert refused(invoice_remaining, order, "NFe1") == [("order-unreadable", field)]
    assert "read the order again" in said(invoice_remaining, order, "NFe1")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": None}, "type"),
        ({"type": "Transfer"}, "type"),
        ({"invoice_value": None}, "invoiceValue"),
        ({"items": (PackageItem(quantity=1),)}, "items[0]"),
        ({"items": (PackageItem(id="77", quantity=1),)}, "items[0]"),
        ({"items": (PackageItem(item_index=2, quantity=1),)}, "items[0]"),
        ({"items": (PackageItem(item_index=-1, quantity=1),)}, "items[0]"),
        ({"items": (PackageItem(id="880"),)}, "items[0].quantity"),
        ({"items": (PackageItem(id="880", quantity=-1),)}, "items[0].quantity"),
    ],
)
def test_what_cannot_be_reckoned_with_is_not_guessed(changes: dict[str, Any], field: str) -> None:
    package = Package(invoice_number="OLD", invoice_value=10, type=OUTPUT)
    order = evolve(TWO, packages=(package, evolve(package, **changes)))

    assert refused(invoice_remaining, order, "NFe1") == [
        ("package-unclear", f"packageAttachment.packages[1].{field}")
    ]


def test_known_issue_412526_a_package_that_is_no_invoice_counts_for_nothing() -> None:
    order = evolve(TWO, packages=(Package(items=(PackageItem(id="880", quantity=2),)),))

    assert invoice_all(order, "NFe1", **WHEN) == invoice_all(TWO, "NFe1", **WHEN)


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_line_of_no_unit_is_none(quantity: int) -> None:
    order = evolve(TWO, items=(*TWO.items, OrderItem(id="1", quantity=quantity, price=5)))

    assert invoice_all(order, "NFe1", **WHEN) == invoice_all(TWO, "NFe1", **WHEN)
    assert invoice_items(order, {"880": 1}, "NFe1", **WHEN).invoice_value == 1_198
    assert refused(invoice_items, order, {"1": 1}, "NFe1") == [("item-unknown", "items[0].id")]


def test_units_beyond_those_of_the_order_take_nothing_from_other_skus() -> None:
    order = sold(TWO, 2_396, ("880", 3))

    invoice = invoice_remaining(order, "NFe1", **WHEN)

    assert (invoice.invoice_value, [item.id for item in invoice.items]) == (3_594, ["1234"])
    assert invoice_items(order, {"1234": 3}, "NFe1", **WHEN).invoice_value == 2_695


def test_what_the_caller_says_is_looked_at_first() -> None:
    naive = datetime(2026, 1, 31)  # noqa: DTZ001

    assert refused(invoice_all, evolve(TWO, packages=None), "", issuance_date=naive) == [
        ("required", "invoiceNumber"),
        ("time-zone", "issuanceDate"),
        ("order-unreadable", "packageAttachment.packages"),
    ]


@pytest.mark.parametrize("word", ["oms", "pii", None])
def test_a_dialect_is_no_text_for_prices_hang_on_it(word: Any) -> None:
    assert refused(invoice_all, TWO, "NFe1", orders_api=word) == [("type", "orders_api")]
