"""The statuses that an order goes through, and what moves it from one to the next.

https://help.vtex.com/en/docs/tutorials/order-flow-and-status
"""

from __future__ import annotations

from typing import Final

from vtex_invoice_async.models import OrderStatus

__all__ = ["CANCELED", "CHANGEABLE", "EARLY", "UNPAID", "Status", "after_cancel", "after_verifying"]

Status = OrderStatus | str | None

EARLY: Final = frozenset(
    {
        *("order-created", "on-order-completed", "on-order-completed-ffm", "order-completed"),
        *("order-creation-error", "order-create-error", "replaced"),
        *("order-accepted", "waiting-for-sellers-confirmation", "waiting-for-seller-decision"),
        *("payment-pending", "approve-payment", OrderStatus.PAYMENT_APPROVED),
        *("waiting-for-order-authorization", "waiting-for-authorization"),
        *("waiting-for-manual-authorization", "waiting-for-mkt-authorization"),
        *("waiting-ffmt-authorization", "authorize-fulfillment"),
        *("window-to-cancel", "window-to-change-seller", "window-to-change-payment"),
        *("waiting-seller-handling", OrderStatus.READY_FOR_HANDLING, "start-handling"),
    }
)
"""Those before `handling`; `payment-approved` comes again after an invoice of a part."""

UNPAID: Final[frozenset[Status]] = frozenset(
    {
        # An order that is not complete yet has none.
        None,
        *("order-created", "on-order-completed", "on-order-completed-ffm", "order-completed"),
        *("order-creation-error", "order-create-error", "order-accepted"),
        *("waiting-for-sellers-confirmation", "waiting-for-authorization"),
        *("waiting-for-order-authorization", "waiting-for-mkt-authorization"),
        *("waiting-ffmt-authorization", "waiting-for-manual-authorization"),
        *("payment-pending", "window-to-change-payment", "approve-payment"),
    }
)
"""Those before the payment is approved, or before a seller hears that it is."""

CHANGEABLE: Final = frozenset(
    {OrderStatus.HANDLING, "waiting-for-fulfillment", "ready-for-invoicing"}
)
"""Those in which an order may be changed, as long as nothing of it is invoiced.

https://developers.vtex.com/docs/guides/order-modifications
"""

CANCELED: Final = frozenset({OrderStatus.CANCELED, "cancel"})

_TWICE: Final = frozenset({OrderStatus.READY_FOR_HANDLING, OrderStatus.HANDLING})


def after_cancel(status: Status, *, sold: bool, returned: bool) -> OrderStatus | None:
    """Return where an order goes that is to be canceled; None where that is refused.

    https://help.vtex.com/en/docs/tutorials/canceling-orders
    """
    if status == OrderStatus.INVOICED:
        # https://developers.vtex.com/docs/guides/external-seller-integration-connector
        return OrderStatus.CANCELED if returned else None
    if sold or status == OrderStatus.INVOICE or status in CANCELED:
        return None
    return OrderStatus.CANCELLATION_REQUESTED if status in _TWICE else OrderStatus.CANCELED


def after_verifying(sold: int, value: int) -> OrderStatus:
    """Return where an order goes whose invoices, worth *sold* of its *value*, are verified.

    What is worth more than the order is not `invoiced` either, for the two have to match.
    https://help.vtex.com/en/docs/tracks/invoicing-an-order
    """
    return OrderStatus.INVOICED if sold == value else OrderStatus.PAYMENT_APPROVED
