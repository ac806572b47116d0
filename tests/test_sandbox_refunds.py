"""Which returns VTEX refunds by itself, and which it only keeps."""

from __future__ import annotations

from typing import Final

import pytest
from attrs import evolve

from tests.books import AT, ID, INPUT, OUTPUT, filed, make_book, notify, shown
from tests.factories import make_invoice, make_item
from vtex_invoice_async import Receipt
from vtex_invoice_async.models import InvoiceItem, OrderItem, OrderStatus
from vtex_invoice_async.sandbox import Rules
from vtex_invoice_async.sandbox.filed import Refund


def test_a_return_of_an_order_that_is_invoiced_is_refunded() -> None:
    book = make_book()
    notify(book, 10_000)
    items = [make_item(id="880", price=5_000)]
    returned = make_invoice(type=INPUT, invoice_number="DEV1", invoice_value=5_000, items=items)

    book.invoice(ID, returned, AT, document=False)

    sale, refund = filed(book)
    assert sale.refund is None
    assert refund.refund == Refund(value=5_000, items=tuple(items))
    assert shown(book).status is OrderStatus.INVOICED


def test_a_return_while_the_last_sale_is_verified_is_refunded() -> None:
    book = make_book(Rules(settle_delay=60))
    notify(book, 4_000)
    notify(book, 6_000, "NFe2")

    notify(book, 1_000, "DEV1", INPUT)

    assert shown(book).status is OrderStatus.INVOICE
    assert [f.refund and f.refund.value for f in filed(book)] == [None, None, 1_000]


ONE: Final = make_item(id="880", price=5_000)


@pytest.mark.parametrize("document", [False, True])
@pytest.mark.parametrize(
    ("lines", "is_refunded"),
    [
        ((ONE, ONE), False),
        ((evolve(ONE, id=None), evolve(ONE, id=None)), False),
        ((ONE, evolve(ONE, id="1234")), True),
        ((), True),
    ],
)
def test_a_return_after_a_sale_that_names_a_sku_twice_is_not_refunded(
    lines: tuple[InvoiceItem, ...], *, is_refunded: bool, document: bool
) -> None:
    twice = OrderItem(id="880", quantity=1)
    book = make_book(items=(twice, twice))
    sale = make_invoice(invoice_value=10_000, items=lines)
    book.invoice(ID, sale, AT, document=document)

    taken = notify(book, 1_000, "DEV1", INPUT)

    assert isinstance(taken, Receipt)
    assert (filed(book)[1].refund is not None) is is_refunded
    said = {remark.rule for remark in book.remarks if remark.invoice_number == "NFe1"}
    assert ("repeated-sku" in said) is not is_refunded


@pytest.mark.parametrize("delay", [0, 60])
def test_a_return_before_all_is_invoiced_is_kept_and_not_refunded(delay: float) -> None:
    book = make_book(Rules(settle_delay=delay))
    notify(book, 4_000)
    before = shown(book).status

    taken = notify(book, 1_000, "DEV1", INPUT)

    assert isinstance(taken, Receipt)
    assert [f.package.type for f in filed(book)] == [OUTPUT, INPUT]
    assert [f.refund for f in filed(book)] == [None, None]
    assert shown(book).status is before
