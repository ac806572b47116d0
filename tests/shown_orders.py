"""Orders for the sandbox to show, and what has become of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from attrs import evolve

from vtex_invoice_async import Order, Package
from vtex_invoice_async.models import (
    CourierEvent,
    CourierStatus,
    InvoiceItem,
    InvoiceType,
    OrderStatus,
    PackageItem,
)
from vtex_invoice_async.sandbox.documents import order_document
from vtex_invoice_async.sandbox.filed import Filed, Refund, Shown, Times
from vtex_invoice_async.sandbox.generated import generate_orders

NOON: Final = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)
ORDERS: Final = list(generate_orders(40, random.Random(7)))
DELIVERED: Final = CourierStatus(
    status="ok",
    finished=True,
    delivered_date="2026-02-05T00:00:00.0000000+00:00",
    data=(
        CourierEvent(
            city="Niterói",
            state="RJ",
            description="Entregue",
            create_date="2026-02-05T00:00:00.0000000+00:00",
            last_change="2026-02-05T00:00:00.0000000+00:00",
        ),
    ),
)

each_order = pytest.mark.parametrize("order", ORDERS, ids=lambda order: str(order.order_id))
families = pytest.mark.parametrize("document", [False, True], ids=["oms", "pii"])


def sale(order: Order, **changes: Any) -> Package:
    sound: dict[str, Any] = {
        "invoice_number": "NFe1",
        "invoice_value": order.value,
        "type": InvoiceType.OUTPUT,
        "items": (
            PackageItem(
                item_index=0, id=order.items[0].id, quantity=1, price=100, description="caixa"
            ),
        ),
        "issuance_date": NOON,
        "raw_issuance_date": "2026-02-03T12:00:00.0000000+00:00",
        "invoice_key": "3326",
        "invoice_url": "https://loja.example/nf/1",
        "courier": "carrierOne",
        "tracking_number": "87658",
        "tracking_url": "https://www.tracking.com/url",
        "courier_status": DELIVERED,
        "cfop": "5100",
        "volumes": 3,
    }
    return Package(**{**sound, **changes})


def invoiced(order: Order, **changes: Any) -> Shown:
    filed = Filed(package=sale(order), embedded_invoice="<NFe/>", changed_at=NOON)
    return Shown(
        order=evolve(order, status=OrderStatus.INVOICED),
        filed=(evolve(filed, **changes),),
        times=Times(changed_at=NOON, invoiced_at=NOON),
        came_in=order.status,
    )


def returned(order: Order, *lines: InvoiceItem) -> Shown:
    sold = invoiced(order)
    back = Filed(
        package=sale(order, type=InvoiceType.INPUT, invoice_number="NFe2", invoice_value=300),
        refund=Refund(value=300, items=lines or (InvoiceItem(id="7", price=300, quantity=1),)),
    )
    return evolve(sold, filed=(*sold.filed, back))


def canceled(order: Order) -> Shown:
    return Shown(order=evolve(order, status=OrderStatus.CANCELED))


def shown(found: Shown, *, document: bool = False, masked: bool = False) -> Any:
    """The document as a reader of JSON has it."""
    return orjson.loads(orjson.dumps(order_document(found, document=document, masked=masked)))


def every_scene() -> Iterator[Shown]:
    for order in ORDERS:
        yield from (Shown(order=order), canceled(order), invoiced(order), returned(order))
