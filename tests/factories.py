"""Values for tests: sound ones, of which a test changes what it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.canaries import INVOICE_URL, key_for
from vtex_invoice_async import (
    ClientConfig,
    Invoice,
    InvoiceItem,
    InvoiceJob,
    InvoiceType,
    Order,
    RetryPolicy,
    TrackingInfo,
)

ONCE = RetryPolicy(max_attempts=1, resolve_for=0)
"""What one attempt comes to, and no look at the order."""

ISSUED = datetime(2026, 1, 31, 18, 25, 43, tzinfo=UTC)


def make_item(**changes: Any) -> InvoiceItem:
    return InvoiceItem(**{"id": "1234", "item_index": 0, "price": 2499, "quantity": 1, **changes})


def make_invoice(**changes: Any) -> Invoice:
    sound: dict[str, Any] = {
        "type": InvoiceType.OUTPUT,
        "invoice_number": "NFe1",
        "invoice_value": 2499,
        "issuance_date": ISSUED,
        "items": [make_item()],
        "invoice_key": key_for(changes.get("invoice_number", "1")),
        "invoice_url": INVOICE_URL,
    }
    return Invoice(**{**sound, **changes})


def authentication(config: ClientConfig) -> dict[str, str]:
    """The headers with which a caller of its own makes itself known."""
    return {
        "X-VTEX-API-AppKey": config.app_key or "",
        "X-VTEX-API-AppToken": config.app_token or "",
    }


def make_tracking(**changes: Any) -> TrackingInfo:
    sound: dict[str, Any] = {
        "courier": "carrierOne",
        "tracking_number": "87658",
        "tracking_url": "https://www.tracking.com/url",
        "dispatched_date": ISSUED,
    }
    return TrackingInfo(**{**sound, **changes})


def invoice_for(order: Order, **changes: Any) -> Invoice:
    """An invoice of all of an order."""
    items = [
        InvoiceItem(
            id=line.id, item_index=index, price=line.selling_price or 0, quantity=line.quantity
        )
        for index, line in enumerate(order.items)
    ]
    return make_invoice(**{"invoice_value": order.value, "items": items, **changes})


def job_for(order: Order, **changes: Any) -> InvoiceJob:
    number = f"NFe{order.sequence}"
    return InvoiceJob(
        order_id=order.order_id,
        invoice=invoice_for(order, **{"invoice_number": number, **changes}),
    )
