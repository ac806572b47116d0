"""Each rule about an order fires where it should, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import pytest
from attrs import evolve

from tests.factories import make_invoice, make_item
from vtex_invoice_async import Invoice, InvoiceType, Order, OrdersApi, Package
from vtex_invoice_async.errors import InvalidInvoice
from vtex_invoice_async.models import OrderItem, PackageItem
from vtex_invoice_async.preflight import RULES
from vtex_invoice_async.rules import OF_THE_ORDER
from vtex_invoice_async.verify import check, verify, with_indexes, with_invoice

OUTPUT, INPUT = InvoiceType.OUTPUT, InvoiceType.INPUT
OMS, PII = OrdersApi.OMS, OrdersApi.PII

LINES: Final = (
    OrderItem(id="1234", quantity=2),
    OrderItem(id="880", quantity=3),
    OrderItem(id="1234", quantity=1),
)
"""Three pieces each of two SKUs, one of which stands on two lines."""


def order_of(*packages: Package, **changes: Any) -> Order:
    sound: dict[str, Any] = {"order_id": "x-01", "status": "handling", "value": 10_000}
    return Order(**{**sound, "items": LINES, "packages": packages, **changes})


def package(kind: InvoiceType, value: int, *items: tuple[str, int], **changes: Any) -> Package:
    """An invoice on the order, of pieces of SKUs."""
    lines = tuple(PackageItem(id=sku, quantity=quantity) for sku, quantity in items)
    sound: dict[str, Any] = {
        "type": kind,
        "invoice_number": f"{kind}-{value}",
        "invoice_value": value,
        "items": lines,
    }
    return Package(**{**sound, **changes})


def sale(value: int, *items: tuple[str, int], **changes: Any) -> Invoice:
    lines = [make_item(id=sku, item_index=None, quantity=quantity) for sku, quantity in items]
    return make_invoice(**{"invoice_value": value, "items": lines, **changes})


def found(order: Order, invoice: Invoice, orders_api: OrdersApi = OMS) -> list[tuple[str, str]]:
    return [(problem.code, problem.field) for problem in verify(order, invoice, orders_api)]


ALL: Final = (("1234", 3), ("880", 3))
SOLD: Final = package(OUTPUT, 10_000, *ALL)
PART: Final = package(OUTPUT, 4_000, ("880", 1))
INFERRED: Final = package(OUTPUT, 4_000, *ALL, items_inferred=True)
NO_INVOICE: Final = package(OUTPUT, 0, ("880", 3), invoice_value=None, invoice_number=None)
EARLY: Final = ("payment-pending", "payment-approved", "ready-for-handling", "window-to-cancel")
BACK: Final = {"type": INPUT, "invoice_number": "R1"}

ABOVE, QUANTITY, UNKNOWN = (
    ("sale-above-order", "invoiceValue"),
    ("quantity-above-order", "items[0].quantity"),
    ("quantity-unknown", "items"),
)
RETURNED_ABOVE, TOO_EARLY = (
    ("return-above-sales", "invoiceValue"),
    ("return-too-early", "type"),
)

CASES: list[tuple[Order, Invoice, list[tuple[str, str]]]] = [
    # What is right.
    (order_of(), sale(10_000, *ALL), []),
    (order_of(), sale(9_999, ("880", 1)), []),
    (order_of(), sale(10_000), []),  # lines are not demanded
    (order_of(PART), sale(6_000, ("1234", 3), ("880", 2)), []),
    (order_of(PART, status="payment-approved"), sale(6_000, ("1234", 3), ("880", 2)), []),
    (order_of(SOLD, status="invoiced"), sale(10_000, *ALL, **BACK), []),
    (order_of(SOLD, status="invoice"), sale(1, ("880", 1), **BACK), []),
    # Statuses.
    *(
        (order_of(SOLD, status=status), sale(1, **BACK), [("order-canceled", "orderId")])
        for status in ("canceled", "cancel", "replaced")
    ),
    (order_of(status="canceled"), sale(1), [("order-canceled", "orderId")]),
    *((order_of(status=status), sale(1), [("order-early", "orderId")]) for status in EARLY),
    *((order_of(PART, status=status), sale(1), []) for status in EARLY),
    *((order_of(SOLD, status=status), sale(1, **BACK), []) for status in EARLY),
    *(
        (order_of(status=status), sale(1), [("order-to-be-canceled", "orderId")])
        for status in ("cancellation-requested", "request-cancel")
    ),
    (order_of(SOLD, status="cancellation-requested"), sale(1, **BACK), []),
    *(
        (order_of(status=status), sale(1), [("order-status", "orderId")])
        for status in (None, "", "detail.state.null")
    ),
    *((order_of(status=status), sale(1), []) for status in ("ready-for-invoicing", "invoice")),
    # Other states.
    (order_of(workflow_is_in_error=True), sale(1), [("order-in-error", "orderId")]),
    (order_of(workflow_is_in_error=False), sale(1), []),
    (order_of(is_completed=False), sale(1), [("order-incomplete", "orderId")]),
    (order_of(is_completed=True), sale(1), []),
    (order_of(is_changing=True), sale(1), [("order-changing", "orderId")]),
    (order_of(packages=None), sale(1), [("order-unreadable", "orderId")]),
    # Lines.
    (order_of(), sale(1, ("880", 1), ("99", 1)), [("item-unknown", "items[1].id")]),
    (order_of(), sale(10_000, ("99", 1)), [("item-unknown", "items[0].id")]),
    (
        order_of(),
        sale(1, items=[make_item(id="880", item_index=2)]),
        [("item-contrary", "items[0].itemIndex")],
    ),
    (order_of(), sale(1, items=[make_item(id="1234", item_index=2)]), []),
    # Numbers.
    (
        order_of(PART),
        sale(4_000, ("880", 1), invoice_number="Output-4000"),
        [("number-again", "invoiceNumber")],
    ),
    (
        order_of(PART),
        sale(9_999, ("880", 9), invoice_number="Output-4000"),
        [("number-taken", "invoiceNumber")],
    ),
    (order_of(PART), sale(1, invoice_number="output-4000"), []),  # letter by letter
    (
        order_of(SOLD, status="invoiced"),
        sale(10_000, type=INPUT, invoice_number="Output-10000"),
        [("number-of-sale", "invoiceNumber")],
    ),
    (
        order_of(PART, package(INPUT, 1)),
        sale(1, invoice_number="Input-1"),
        [("number-taken", "invoiceNumber")],
    ),
    (
        order_of(SOLD, package(INPUT, 1)),
        sale(2, type=INPUT, invoice_number="Input-1"),
        [("number-taken", "invoiceNumber")],
    ),
    # Sales: money.
    (order_of(), sale(10_001), [ABOVE]),
    (order_of(PART), sale(6_001), [ABOVE]),
    (order_of(package(OUTPUT, 11_000)), sale(1), [ABOVE]),  # the order shrank since
    (order_of(PART, package(INPUT, 4_000)), sale(6_001), [ABOVE]),  # returns make no room
    # Sales: pieces.
    (order_of(), sale(1, ("880", 4)), [QUANTITY]),
    (order_of(), sale(1, ("880", 2), ("880", 2)), [QUANTITY]),
    (order_of(), sale(1, ("1234", 1), ("1234", 2)), []),
    (order_of(PART), sale(1, ("880", 3)), [QUANTITY]),
    (order_of(PART, package(INPUT, 1, ("880", 1))), sale(1, ("880", 3)), [QUANTITY]),
    (order_of(), sale(10_000, ("880", 3)), [("items-left", "items")]),
    (order_of(PART), sale(6_000, ("1234", 3)), [("items-left", "items")]),
    (order_of(PART), sale(5_999, ("1234", 3)), []),
    # Sales: lines that VTEX made up, or may have.
    (order_of(INFERRED), sale(1, ("880", 3)), [UNKNOWN]),
    (order_of(INFERRED), sale(1), []),
    (order_of(INFERRED), sale(1, ("880", 4)), [QUANTITY, UNKNOWN]),
    (order_of(INFERRED, PART), sale(1, ("880", 3)), [QUANTITY, UNKNOWN]),
    (order_of(evolve(INFERRED, items_inferred=None)), sale(1, ("880", 3)), [UNKNOWN]),
    (order_of(evolve(INFERRED, items_inferred=False)), sale(1, ("880", 3)), [QUANTITY]),
    (order_of(package(OUTPUT, 1)), sale(1, ("880", 3)), [UNKNOWN]),
    (order_of(package(OUTPUT, 1, items=(PackageItem(id="880"),))), sale(1, ("880", 3)), [UNKNOWN]),
    (
        order_of(package(OUTPUT, 1, items=(PackageItem(quantity=1),))),
        sale(1, ("880", 3)),
        [UNKNOWN],
    ),
    # What is no invoice (known issue 412526): no sale, and no pieces.
    (order_of(NO_INVOICE), sale(10_000, *ALL), []),
    (order_of(NO_INVOICE, status="handling"), sale(1, **BACK), [("return-without-sale", "type")]),
    (order_of(NO_INVOICE, status="payment-pending"), sale(1), [("order-early", "orderId")]),
    # Returns.
    (order_of(), sale(1, **BACK), [("return-without-sale", "type")]),
    (order_of(package(INPUT, 1)), sale(1, **BACK), [("return-without-sale", "type")]),
    (order_of(SOLD), sale(10_001, **BACK), [RETURNED_ABOVE]),
    (order_of(SOLD, package(INPUT, 1)), sale(10_000, **BACK), [RETURNED_ABOVE]),
    (order_of(SOLD, package(INPUT, 1)), sale(9_999, **BACK), []),
    (order_of(PART), sale(4_000, **BACK), [TOO_EARLY]),
    (order_of(PART), sale(4_001, **BACK), [RETURNED_ABOVE, TOO_EARLY]),
    (order_of(PART, status="invoiced"), sale(4_000, **BACK), []),
    (
        order_of(PART, status="invoiced"),
        sale(1, ("880", 2), **BACK),
        [("quantity-above-sales", "items[0].quantity")],
    ),
    (
        order_of(SOLD, package(INPUT, 1, ("880", 2))),
        sale(1, ("1234", 1), ("880", 2), **BACK),
        [("quantity-above-sales", "items[1].quantity")],
    ),
    (order_of(SOLD, package(INPUT, 1, ("880", 2))), sale(1, ("880", 1), **BACK), []),
    (order_of(package(OUTPUT, 10_000)), sale(1, ("880", 3), **BACK), []),  # the whole of it
    (order_of(INFERRED, status="invoiced"), sale(1, ("880", 3), **BACK), [UNKNOWN]),
    (order_of(SOLD, package(INPUT, 1)), sale(1, ("880", 3), **BACK), [UNKNOWN]),
    # Words that VTEX may write otherwise.
    (order_of(package(INPUT, 1, type="input")), sale(1, **BACK), [("return-without-sale", "type")]),
    (order_of(package(OUTPUT, 10_000, type=None)), sale(1), [ABOVE]),
]


@pytest.mark.parametrize(("order", "invoice", "codes"), CASES)
def test_what_an_order_has_against_an_invoice(
    order: Order, invoice: Invoice, codes: list[tuple[str, str]]
) -> None:
    assert found(order, invoice) == codes


def test_every_rule_about_an_order_has_a_case() -> None:
    of_reading = {"order-not-found"}
    fired = {code for _, _, codes in CASES for code, _ in codes}
    of_order = {rule.code for rule in OF_THE_ORDER}

    assert fired >= of_order - of_reading
    assert all(RULES[code].code == code for code in fired)


@pytest.mark.parametrize("orders_api", OrdersApi)
def test_lines_are_told_by_what_is_sent(orders_api: OrdersApi) -> None:
    by_index = [make_item(id=None, item_index=at, quantity=n) for at, n in ((1, 4), (3, 1))]
    expected = [("item-unknown", "items[1].itemIndex")]
    if orders_api is PII:
        expected.append(QUANTITY)

    assert found(order_of(), sale(1, items=by_index), orders_api) == expected


def test_a_package_may_lack_the_id_or_the_index_of_its_lines() -> None:
    by_index = package(OUTPUT, 1, items=(PackageItem(item_index=1, quantity=2),))
    by_id = package(OUTPUT, 2, items=(PackageItem(id="880", quantity=1),))
    wrong = package(OUTPUT, 3, items=(PackageItem(item_index=7, id="880", quantity=1),))
    # Of both, the SKU is that which counts: VTEX may name another line.
    both = package(OUTPUT, 3, items=(PackageItem(item_index=0, id="880", quantity=3),))
    other = package(OUTPUT, 3, items=(PackageItem(item_index=1, id="REF-880", quantity=3),))

    assert found(order_of(by_index, by_id), sale(1, ("880", 1))) == [QUANTITY]
    assert found(order_of(by_index), sale(1, ("880", 1))) == []
    assert found(order_of(by_index, wrong), sale(1, ("880", 1))) == [QUANTITY]
    assert found(order_of(both), sale(1, ("880", 1))) == [QUANTITY]
    assert found(order_of(other), sale(1, ("880", 1))) == [QUANTITY]
    assert found(order_of(both), sale(1, ("1234", 3))) == []


def test_an_index_is_that_of_the_first_line_of_its_sku() -> None:
    items = [
        make_item(id="880", item_index=None),
        make_item(id="1234", item_index=None),
        make_item(id="1234", item_index=2),
    ]

    named = with_indexes(order_of(), sale(1, items=items))

    assert [item.item_index for item in named.items] == [1, 0, 2]
    assert [item.id for item in named.items] == ["880", "1234", "1234"]


def test_what_has_no_line_on_the_order_gets_no_index() -> None:
    items = [make_item(id=sku, item_index=None) for sku in ("99", "880", None)]

    with pytest.raises(InvalidInvoice) as caught:
        with_indexes(order_of(), sale(1, items=items))

    told = [(p.code, p.field, p.source) for p in caught.value.problems]
    assert told == [
        ("item-unknown", place, RULES["item-unknown"].source)
        for place in ("items[0].id", "items[2]")
    ]


def codes_of(order: Order, invoice: Invoice, orders_api: OrdersApi) -> Iterable[str]:
    return [problem.code for problem in check(order, invoice, orders_api)]


def test_a_check_says_what_is_wrong_and_not_that_an_index_is_missing() -> None:
    pii = {"invoice_key": None, "invoice_url": None}

    assert codes_of(order_of(), sale(3_000, ("880", 1), **pii), PII) == []
    assert codes_of(order_of(), sale(3_000, ("99", 1), **pii), PII) == ["item-unknown"]
    assert codes_of(order_of(), sale(3_000, ("880", 4), **pii), PII) == ["quantity-above-order"]
    nameless = sale(3_000, items=[make_item(id=None, item_index=None)], **pii)
    assert codes_of(order_of(), nameless, PII) == ["missing"]
    assert codes_of(order_of(), nameless, OMS) == ["missing"]
    foreign = sale(3_000, ("880", 1), embedded_invoice="<x/>", **pii)
    assert codes_of(order_of(), foreign, PII) == ["not-in-dialect"]
    spaced = sale(3_000, ("880", 1), invoice_number="N 1", **pii)
    assert codes_of(order_of(), spaced, PII) == ["number-space"]


def test_an_order_with_an_invoice_more_shows_it() -> None:
    first = with_invoice(order_of(), sale(4_000, ("880", 1)))
    whole = with_invoice(first, sale(6_000, ("1234", 3), ("880", 2), invoice_number="NFe2"))
    returned = with_invoice(whole, sale(10_000, **BACK))

    assert [order.status for order in (first, whole, returned)] == ["invoice", *2 * ["invoiced"]]
    assert found(first, sale(1, ("880", 3), invoice_number="X")) == [QUANTITY]
    assert found(first, sale(6_001, invoice_number="X")) == [ABOVE]
    assert found(first, sale(4_000, ("880", 1))) == [("number-again", "invoiceNumber")]
    assert found(returned, sale(1, type=INPUT, invoice_number="X")) == [RETURNED_ABOVE]
    unknown = with_invoice(order_of(), sale(4_000))
    assert found(unknown, sale(1, ("880", 3), invoice_number="X")) == [UNKNOWN]


def test_a_long_id_is_cut_where_it_is_told() -> None:
    problems = list(verify(order_of(), sale(1, ("9" * 10_000, 1)), OMS))

    assert [problem.code for problem in problems] == ["item-unknown"]
    assert len(problems[0].message) < 200
