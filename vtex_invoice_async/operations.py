"""VTEX's invoicing endpoints: one class each, and the only list of them.

An operation is a call as a value: it can be made, compared, stored and sent. `order_id` and
`invoice_number` stand in its path; what it sends as JSON is its `body`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date
from typing import ClassVar, Generic, TypeVar

from attrs import field, frozen

from vtex_invoice_async import checks
from vtex_invoice_async.models import (
    CourierStatus,
    Invoice,
    Order,
    OrderStatus,
    Package,
    Receipt,
    TrackingEvent,
    TrackingInfo,
    TrackingStatus,
)
from vtex_invoice_async.value import Value
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

__all__ = [
    "OPERATIONS",
    "GetOrder",
    "NotifyInvoice",
    "NotifyReady",
    "Operation",
    "SendTracking",
    "StartHandling",
    "UpdateTrackingStatus",
    "receipt_from",
]

R_co = TypeVar("R_co", covariant=True)

MEBIBYTE = 2**20


@frozen(kw_only=True, eq=False, repr=False)
class Operation(Value, ABC, Generic[R_co]):
    """A call to VTEX that ends with an R_co."""

    name: ClassVar[str]
    """As the client's method is called."""

    method: ClassVar[str]
    path: ClassVar[str]
    """The path for accounts of the OMS dialect."""

    document_path: ClassVar[str]
    """The path for accounts with protected personal data."""

    reply_limit: ClassVar[int] = MEBIBYTE
    acts: ClassVar[bool] = True
    """Whether it changes something at VTEX, so that it may not be repeated without a thought."""

    conflict_is_final: ClassVar[bool] = True
    """Whether a 409 proves that VTEX did not act."""

    order_id: str

    @abstractmethod
    def returns(self) -> type[R_co]:
        """Return the type that an answer is read as."""

    @abstractmethod
    def confirmed_by(self, order: Order) -> R_co:
        """Return what stands for VTEX's answer where *order* shows that it acted."""

    def shown_by(self, order: Order) -> bool | None:  # noqa: ARG002  here nothing can tell
        """Say whether *order* shows what this call does; None where it cannot tell."""
        return None

    def tells_of(self) -> tuple[str, InvoiceType, int] | None:
        """Return number, type and value of the invoice that it tells of; None for any other call."""
        return None

    def body(self) -> Invoice | TrackingInfo | TrackingStatus | None:
        """Return what is sent as JSON, if anything is."""
        return None


class _Recorded(Operation[Receipt]):
    """A call that VTEX answers with a receipt."""

    __slots__ = ()

    def returns(self) -> type[Receipt]:
        """Return `Receipt`."""
        return Receipt

    def confirmed_by(self, order: Order) -> Receipt:
        """Return what is known of the receipt."""
        return receipt_from(order)


@frozen(kw_only=True, eq=False, repr=False)
class NotifyInvoice(_Recorded):
    """Tell VTEX that an order, or a part of it, was invoiced."""

    # https://developers.vtex.com/docs/api-reference/orders-api#post-/api/oms/pvt/orders/-orderId-/invoice
    name = "notify_invoice"
    method = "POST"
    path = "/api/oms/pvt/orders/{order_id}/invoice"
    document_path = "/api/orders/pvt/document/{order_id}/invoices"
    # Nobody says what a 409 means here: it may well be "you have sent this one before".
    conflict_is_final = False

    invoice: Invoice

    def __attrs_post_init__(self) -> None:
        checks.require(Invoice, "invoice", self.invoice)

    def tells_of(self) -> tuple[str, InvoiceType, int]:
        """Return number, type and value of the invoice."""
        return self.invoice.invoice_number, self.invoice.type, self.invoice.invoice_value

    def body(self) -> Invoice:
        """Return the invoice."""
        return self.invoice


@frozen(kw_only=True, eq=False, repr=False)
class NotifyReady(_Recorded):
    """Tell VTEX of an invoice whose JSON was made before, from one that was checked as it was made."""

    name = NotifyInvoice.name
    method = NotifyInvoice.method
    path = NotifyInvoice.path
    document_path = NotifyInvoice.document_path
    conflict_is_final = NotifyInvoice.conflict_is_final

    invoice_number: str
    type: InvoiceType
    value: int
    """Cents."""

    orders_api: OrdersApi
    """The dialect of what is sent, and of its path."""

    content: bytes = field(repr=False)
    """What is sent."""

    def tells_of(self) -> tuple[str, InvoiceType, int]:
        """Return number, type and value of the invoice."""
        return self.invoice_number, self.type, self.value


# The PII paths have no twins of the two tracking calls: accounts of all dialects use these.


@frozen(kw_only=True, eq=False, repr=False)
class SendTracking(_Recorded):
    """Say where the parcel of an invoice can be followed; the last call wins."""

    # https://developers.vtex.com/docs/api-reference/orders-api#patch-/api/oms/pvt/orders/-orderId-/invoice/-invoiceNumber-
    name = "send_tracking"
    method = "PATCH"
    path = "/api/oms/pvt/orders/{order_id}/invoice/{invoice_number}"
    document_path = path

    invoice_number: str
    tracking: TrackingInfo

    def __attrs_post_init__(self) -> None:
        checks.require(TrackingInfo, "tracking", self.tracking)

    def shown_by(self, order: Order) -> bool | None:
        """Compare what the invoice's package shows; VTEX does not show the date of dispatch."""
        package = _package(order, self.invoice_number)
        if package is None:
            return None
        sent = (self.tracking.courier, self.tracking.tracking_number, self.tracking.tracking_url)
        return sent == (package.courier, package.tracking_number, package.tracking_url)

    def body(self) -> TrackingInfo:
        """Return the tracking data."""
        return self.tracking


@frozen(kw_only=True, eq=False, repr=False)
class UpdateTrackingStatus(_Recorded):
    """Say how far the parcel of an invoice came; each call may add its events again."""

    # https://developers.vtex.com/docs/api-reference/orders-api#put-/api/oms/pvt/orders/-orderId-/invoice/-invoiceNumber-/tracking
    name = "update_tracking_status"
    method = "PUT"
    path = "/api/oms/pvt/orders/{order_id}/invoice/{invoice_number}/tracking"
    document_path = path

    invoice_number: str
    tracking: TrackingStatus

    def __attrs_post_init__(self) -> None:
        checks.require(TrackingStatus, "tracking", self.tracking)

    def shown_by(self, order: Order) -> bool | None:
        """Look for every event on its day, and for the end of the delivery.

        What the order may have shown before, as that nothing happened yet, tells nothing.
        """
        package = _package(order, self.invoice_number)
        if package is None:
            return None
        shown, sent = package.courier_status or CourierStatus(), self.tracking
        if bool(shown.finished) is not sent.is_delivered:
            return False
        proofs = [_shows(shown, event) for event in sent.events]
        if sent.delivered_date is not None:
            proofs.append(_is_on(shown.delivered_date, sent.delivered_date.date()))
        if False in proofs:
            return False
        return True if None not in proofs and (proofs or sent.is_delivered) else None

    def body(self) -> TrackingStatus:
        """Return the status."""
        return self.tracking


@frozen(kw_only=True, eq=False, repr=False)
class GetOrder(Operation[Order]):
    """Read an order; VTEX answers for the last two years, 6,000 times a minute per account."""

    # https://developers.vtex.com/docs/api-reference/orders-api#get-/api/oms/pvt/orders/-orderId-
    name = "get_order"
    method = "GET"
    path = "/api/oms/pvt/orders/{order_id}"
    document_path = "/api/orders/pvt/document/{order_id}"
    reply_limit = 16 * MEBIBYTE
    acts = False

    must_be_fresh: bool = False
    """Whether a copy that a cache has kept is refused."""

    def returns(self) -> type[Order]:
        """Return `Order`."""
        return Order

    def confirmed_by(self, order: Order) -> Order:
        """Return the order."""
        return order


class StartHandling(Operation[None]):
    """Move an order from `ready-for-handling` to `handling`."""

    __slots__ = ()

    # https://developers.vtex.com/docs/api-reference/orders-api#post-/api/oms/pvt/orders/-orderId-/start-handling
    name = "start_handling"
    method = "POST"
    path = "/api/oms/pvt/orders/{order_id}/start-handling"
    document_path = "/api/orders/pvt/document/{order_id}/actions/start-handling"

    def returns(self) -> type[None]:
        """Return the type of None: VTEX answers 204 with nothing."""
        return type(None)

    def confirmed_by(self, order: Order) -> None:
        """Return nothing, as VTEX does."""

    def shown_by(self, order: Order) -> bool | None:
        """Tell by the status, as long as the order has not gone on from it."""
        if order.status == OrderStatus.READY_FOR_HANDLING:
            return False
        return True if order.status == OrderStatus.HANDLING else None


def receipt_from(order: Order) -> Receipt:
    """Return a receipt for what *order* shows, without VTEX's code and date, which it does not."""
    return Receipt(
        date=None,
        raw_date=None,
        order_id=order.seller_order_id or order.order_id,
        receipt=None,
        confirmed_by="order",
    )


def _shows(shown: CourierStatus, event: TrackingEvent) -> bool | None:
    """Say whether *event* was told; its words alone may have been told on another day."""
    words = (event.city, event.state, event.description)
    same = [told for told in shown.data if (told.city, told.state, told.description) == words]
    if not same:
        return False
    days = [moment for told in same for moment in (told.create_date, told.last_change)]
    return True if any(_is_on(moment, event.date) for moment in days) else None


def _is_on(moment: str | None, day: date) -> bool | None:
    """Say whether a text of VTEX's names *day*; the day beside it may be the same in another zone."""
    try:
        apart = abs((date.fromisoformat((moment or "")[:10]) - day).days)
    except ValueError:
        return None
    return apart == 0 if apart != 1 else None


def _package(order: Order, invoice_number: str) -> Package | None:
    found = (p for p in order.packages or () if p.invoice_number == invoice_number)
    return next(found, None)


OPERATIONS: tuple[type[Operation[object]], ...] = (
    NotifyInvoice,
    SendTracking,
    UpdateTrackingStatus,
    GetOrder,
    StartHandling,
)
