"""An order book of one order, and what is sent to it without HTTP: the time is an argument."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.factories import make_invoice
from vtex_invoice_async import InvoiceType, Order, Receipt
from vtex_invoice_async.models import OrderItem, OrderStatus
from vtex_invoice_async.sandbox import Refusal, Rules
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.filed import Filed

AT = datetime(2026, 1, 31, 18, 25, 43, 123456, tzinfo=UTC)
ID = "v5195004lux-01"
OUTPUT, INPUT = InvoiceType.OUTPUT, InvoiceType.INPUT


def make_order(**changes: Any) -> Order:
    sound: dict[str, Any] = {
        "order_id": ID,
        "sequence": "501456",
        "seller_order_id": f"00-{ID}",
        "status": OrderStatus.HANDLING,
        "value": 10_000,
        "items": (OrderItem(id="880", quantity=2), OrderItem(id="1234", quantity=4)),
    }
    return Order(**{**sound, **changes})


def make_book(rules: Rules | None = None, **changes: Any) -> OrderBook:
    return OrderBook([make_order(**changes)], chance=random.Random(0), rules=rules)


def notify(
    book: OrderBook,
    value: int,
    number: str = "NFe1",
    kind: InvoiceType = OUTPUT,
    *,
    now: datetime = AT,
    document: bool = False,
) -> Receipt | Refusal:
    invoice = make_invoice(type=kind, invoice_number=number, invoice_value=value)
    return book.invoice(ID, invoice, now, document=document)


def shown(book: OrderBook, now: datetime = AT) -> Order:
    order = book.order(ID, now)
    assert order is not None
    return order


def filed(book: OrderBook, now: datetime = AT) -> Sequence[Filed]:
    found = book.shown(ID, now)
    assert found is not None
    assert tuple(f.package for f in found.filed) == found.order.packages
    return found.filed


def words_of(answer: Receipt | Refusal | None) -> str:
    """The message of an OMS error."""
    assert isinstance(answer, Refusal)
    assert not isinstance(answer.body, str)
    assert answer.body is not None
    error = answer.body["error"]
    assert isinstance(error, dict)
    return str(error["message"])
