"""The values of VTEX's invoicing API, in VTEX's names and in one shape for all its dialects.

Money is whole cents, times carry a zone, and every value is checked when it is made: what makes
no sense raises `InvalidInvoice` and never reaches the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from attrs import field, frozen

from vtex_invoice_async import checks
from vtex_invoice_async.errors import InvalidInvoice, Problem
from vtex_invoice_async.value import Value
from vtex_invoice_async.vocabulary import InvoiceType

__all__ = [
    "CourierEvent",
    "CourierStatus",
    "Invoice",
    "InvoiceItem",
    "InvoiceType",
    "Order",
    "OrderItem",
    "OrderStatus",
    "OrderTotal",
    "Package",
    "PackageItem",
    "PriceDefinition",
    "Receipt",
    "TrackingEvent",
    "TrackingInfo",
    "TrackingStatus",
]


@frozen(kw_only=True, eq=False, repr=False)
class InvoiceItem(Value):
    """A line of an invoice: the order's line by SKU *id* (OMS, PII_2022) or *item_index* (PII)."""

    id: str | None = None
    item_index: int | None = None
    """The position in the order's `items`, from 0."""

    price: int
    """Cents, never converted: OMS reads it as the unit price, PII and PII_2022 as the line's total."""

    quantity: int
    """Pieces, from 1. A SKU should be one item: two of it would block a return (issue 1198829)."""

    description: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        price, quantity, sku = self.price, self.quantity, self.id
        problems: tuple[Problem, ...] = ()
        # An invoice has many lines, most of them plain: a call for each field would be felt.
        if type(price) is not int or not 0 <= price <= checks.MOST:
            problems += checks.money("price", price, 0)
        if type(quantity) is not int or not 1 <= quantity <= checks.MOST:
            problems += checks.whole("quantity", quantity, 1, "quantity")
        if sku is not None and not (type(sku) is str and sku.isalnum()):
            problems += checks.name("id", sku)
        if self.item_index is not None:
            problems += checks.whole("itemIndex", self.item_index, 0)
        if self.description is not None:
            problems += checks.text("description", self.description)
        if problems:
            raise InvalidInvoice(problems)


def _items(values: Iterable[InvoiceItem]) -> tuple[InvoiceItem, ...]:
    return checks.listed("items", values)


@frozen(kw_only=True, eq=False, repr=False)
class Invoice(Value):
    """An invoice of an order, or of a part of it.

    A field that is None is not sent. A field that the account's dialect does not have is refused
    when the invoice is sent, never dropped.

    https://developers.vtex.com/docs/api-reference/orders-api#post-/api/oms/pvt/orders/-orderId-/invoice
    and https://developers.vtex.com/docs/api-reference/orders-api-pii-version#post-/api/orders/pvt/document/-orderId-/invoices
    """

    type: InvoiceType
    """`OUTPUT` for a sale, `INPUT` for a return."""

    invoice_number: str
    """Names the invoice within its order, for good: it cannot be corrected afterwards."""

    invoice_value: int
    """Cents: the items and their freight, taxes and discounts."""

    issuance_date: datetime
    """The merchant's own date, with a zone; PII is sent its day in that zone."""

    items: tuple[InvoiceItem, ...] = field(default=(), converter=_items)
    """Any iterable; where it is empty, VTEX makes them up."""

    # These three lead to the shopper: what is printed or logged does not hold them.
    invoice_key: str | None = field(default=None, repr=False)
    """The access key of an NF-e."""

    invoice_url: str | None = field(default=None, repr=False)
    """Where the shopper can see it."""

    embedded_invoice: str | None = field(default=None, repr=False)
    """The XML itself (OMS and PII_2022)."""

    courier: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    dispatched_date: datetime | None = None
    """With a zone (OMS and PII_2022)."""

    extra_value: int | None = None
    """Cents that belong to no item (PII)."""

    cfop: str | None = None
    """The tax code of the operation (PII)."""

    volumes: int | None = None
    """How many parcels there are (PII)."""

    def __attrs_post_init__(self) -> None:
        problems: tuple[Problem, ...] = ()
        if not isinstance(self.type, InvoiceType):
            problems += checks.problem(
                "type", "type", "must be InvoiceType.OUTPUT or InvoiceType.INPUT"
            )
        problems += checks.name("invoiceNumber", self.invoice_number)
        problems += checks.money("invoiceValue", self.invoice_value, 1)
        problems += checks.moment("issuanceDate", self.issuance_date)
        problems += checks.many(InvoiceItem, "items", self.items)
        problems += _texts(self)
        if self.dispatched_date is not None:
            problems += checks.moment("dispatchedDate", self.dispatched_date)
        if self.extra_value is not None:
            problems += checks.money("extraValue", self.extra_value, 0)
        if self.volumes is not None:
            problems += checks.whole("volumes", self.volumes, 0)
        if problems:
            raise InvalidInvoice(problems)


def _texts(invoice: Invoice) -> tuple[Problem, ...]:
    # One by one: a loop over them would take as long as all other checks.
    problems: tuple[Problem, ...] = ()
    if invoice.invoice_key is not None:
        problems += checks.text("invoiceKey", invoice.invoice_key)
    if invoice.invoice_url is not None:
        problems += checks.text("invoiceUrl", invoice.invoice_url)
    if invoice.embedded_invoice is not None:
        problems += checks.text("embeddedInvoice", invoice.embedded_invoice)
    if invoice.courier is not None:
        problems += checks.text("courier", invoice.courier)
    if invoice.tracking_number is not None:
        problems += checks.text("trackingNumber", invoice.tracking_number)
    if invoice.tracking_url is not None:
        problems += checks.text("trackingUrl", invoice.tracking_url)
    if invoice.cfop is not None:
        problems += checks.text("cfop", invoice.cfop)
    return problems


@frozen(kw_only=True, eq=False, repr=False)
class TrackingInfo(Value):
    """Where the parcel of an invoice is; all four are sent, None as null. One parcel per invoice.

    https://developers.vtex.com/docs/api-reference/orders-api#patch-/api/oms/pvt/orders/-orderId-/invoice/-invoiceNumber-
    """

    courier: str
    tracking_number: str
    tracking_url: str | None = None
    dispatched_date: datetime | None = None
    """With a zone. VTEX never shows it again."""

    def __attrs_post_init__(self) -> None:
        problems = checks.text("courier", self.courier)
        problems += checks.name("trackingNumber", self.tracking_number)
        if self.tracking_url is not None:
            problems += checks.text("trackingUrl", self.tracking_url)
        if self.dispatched_date is not None:
            problems += checks.moment("dispatchedDate", self.dispatched_date)
        if problems:
            raise InvalidInvoice(problems)


@frozen(kw_only=True, eq=False, repr=False)
class TrackingEvent(Value):
    """Something that happened to a parcel on a day."""

    city: str
    state: str
    description: str
    date: date

    def __attrs_post_init__(self) -> None:
        problems = checks.text("city", self.city)
        problems += checks.text("state", self.state)
        problems += checks.text("description", self.description)
        # A datetime is a date to isinstance; its hour would be lost without a word.
        if type(self.date) is not date:
            problems += checks.problem("date", "date", "must be a datetime.date")
        if problems:
            raise InvalidInvoice(problems)


def _events(values: Iterable[TrackingEvent]) -> tuple[TrackingEvent, ...]:
    return checks.listed("events", values)


@frozen(kw_only=True, eq=False, repr=False)
class TrackingStatus(Value):
    """How far the parcel of an invoice came; the invoice must already carry a tracking number.

    https://developers.vtex.com/docs/api-reference/orders-api#put-/api/oms/pvt/orders/-orderId-/invoice/-invoiceNumber-/tracking
    """

    is_delivered: bool
    delivered_date: datetime | None = None
    """Sent to the minute, without its zone, as VTEX wants it."""

    events: tuple[TrackingEvent, ...] = field(default=(), converter=_events)
    """Any iterable. Those that were sent before may be added once more."""

    def __attrs_post_init__(self) -> None:
        problems: tuple[Problem, ...] = ()
        if type(self.is_delivered) is not bool:
            problems += checks.problem("boolean", "isDelivered", "must be True or False")
        if self.delivered_date is not None:
            problems += checks.moment("deliveredDate", self.delivered_date)
        problems += checks.many(TrackingEvent, "events", self.events)
        if problems:
            raise InvalidInvoice(problems)


@frozen(kw_only=True, eq=False, repr=False)
class Receipt(Value):
    """VTEX's word that it recorded what was sent; not that money moved."""

    date: datetime | None
    """To the microsecond; None where VTEX's text is no date."""

    raw_date: str | None
    """VTEX's own text, with all its digits."""

    order_id: str | None
    """The seller's id of the order, which may differ from the one sent."""

    receipt: str | None
    """VTEX's protocol code; None where the invoice was confirmed by reading the order."""

    confirmed_by: Literal["response", "order"] = "response"
    """Whether VTEX said so, or the order shows it."""


class OrderStatus(StrEnum):
    """The statuses that matter to an invoicer; VTEX has more, and they are kept as plain text.

    https://help.vtex.com/en/docs/tutorials/order-flow-and-status
    """

    PAYMENT_APPROVED = "payment-approved"
    READY_FOR_HANDLING = "ready-for-handling"
    HANDLING = "handling"
    INVOICE = "invoice"
    """Invoiced, being verified."""

    INVOICED = "invoiced"
    CANCELLATION_REQUESTED = "cancellation-requested"
    """A sale denies it, and the order goes on."""

    CANCELED = "canceled"


@frozen(kw_only=True, eq=False, repr=False)
class OrderTotal(Value):
    """A part of the order's value: `Items`, `Discounts` (negative), `Shipping`, `Tax`."""

    id: str | None = None
    name: str | None = None
    value: int


@frozen(kw_only=True, eq=False, repr=False)
class PriceDefinition(Value):
    """What a line really costs, in cents; safer than `selling_price` where discounts do not divide."""

    calculated_selling_price: int | None = None
    total: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class OrderItem(Value):
    """A line of the order; its position is the `item_index` of the PII dialect. Money is in cents."""

    id: str
    quantity: int
    unique_id: str | None = None
    seller: str | None = None
    price: int | None = None
    selling_price: int | None = None
    tax: int | None = None
    price_definition: PriceDefinition | None = None


@frozen(kw_only=True, eq=False, repr=False)
class PackageItem(Value):
    """A line of an invoice as the order shows it; VTEX may attribute it to another line."""

    item_index: int | None = None
    id: str | None = None
    quantity: int | None = None
    price: int | None = None
    description: str | None = field(default=None, repr=False)


@frozen(kw_only=True, eq=False, repr=False)
class CourierEvent(Value):
    """What happened to the parcel, as the order shows it."""

    city: str | None = None
    state: str | None = None
    description: str | None = None
    create_date: str | None = None
    last_change: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class CourierStatus(Value):
    """How far the parcel came, as the order shows it."""

    status: str | None = None
    finished: bool | None = None
    delivered_date: str | None = None
    data: tuple[CourierEvent, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Package(Value):
    """An invoice as the order shows it; VTEX never shows its receipt again."""

    invoice_number: str | None = None
    invoice_value: int | None = None
    """Cents."""

    type: InvoiceType | str | None = None
    items: tuple[PackageItem, ...] = ()
    items_inferred: bool | None = None
    """Whether VTEX made up the lines; None where it does not say so, as on the PII paths."""

    issuance_date: datetime | None = None
    raw_issuance_date: str | None = None
    invoice_key: str | None = field(default=None, repr=False)
    invoice_url: str | None = field(default=None, repr=False)
    courier: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    courier_status: CourierStatus | None = None
    cfop: str | None = None
    volumes: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Order(Value):
    """What an invoicer needs of an order. The shopper's data is not read.

    https://developers.vtex.com/docs/api-reference/orders-api#get-/api/oms/pvt/orders/-orderId-
    """

    order_id: str
    status: OrderStatus | str | None = None
    value: int
    """Cents; VTEX recomputes it after changes, so read it before each invoice."""

    totals: tuple[OrderTotal, ...] = ()
    items: tuple[OrderItem, ...] = ()
    packages: tuple[Package, ...] | None = None
    """The order's invoices; None where the answer did not speak of them at all."""

    workflow_is_in_error: bool | None = None
    is_completed: bool | None = None
    """False on a marketplace order that is not yet whole: do not invoice it."""

    is_changing: bool = False
    """Whether a change of its items or prices is not finished: do not invoice it either."""

    sequence: str | None = None
    origin: str | None = None
    marketplace_order_id: str | None = None
    seller_order_id: str | None = None
