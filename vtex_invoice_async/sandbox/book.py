"""VTEX's side of the story: orders, what was invoiced on them, and a count that cannot be argued with.

Rules only: the time is an argument, an answer is a `Receipt` or a `Refusal`. How a client behaves
is none of its business.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from attrs import define, evolve, field

from vtex_invoice_async.models import (
    CourierEvent,
    CourierStatus,
    Invoice,
    InvoiceType,
    Order,
    OrderStatus,
    Package,
    PackageItem,
    Receipt,
    TrackingInfo,
    TrackingStatus,
)
from vtex_invoice_async.sandbox import refusals
from vtex_invoice_async.sandbox.oracle import Oracle
from vtex_invoice_async.sandbox.refusals import Refusal
from vtex_invoice_async.sandbox.rules import Rules

__all__ = ["OrderBook"]


@define
class _Entry:
    """One order and what became of it."""

    order: Order
    before: Order
    """As it came in."""

    packages: list[Package] = field(factory=list)
    settles_at: datetime | None = None
    shown_from: dict[str | None, datetime] = field(factory=dict)

    def shows(self, package: Package, now: datetime) -> bool:
        shown_from = self.shown_from.get(package.invoice_number)
        return shown_from is None or now >= shown_from

    def total(self, kind: InvoiceType) -> int:
        return sum(p.invoice_value or 0 for p in self.packages if p.type is kind)

    def find(self, number: str) -> int | None:
        """Return where the invoice of this number is, letter by letter as VTEX compares it."""
        numbers = [package.invoice_number for package in self.packages]
        return numbers.index(number) if number in numbers else None


class OrderBook:
    """The orders of one account."""

    def __init__(
        self, orders: Iterable[Order], *, chance: random.Random, rules: Rules | None = None
    ) -> None:
        self._entries: dict[str, _Entry] = {}
        self._chance = chance
        self._rules = Rules() if rules is None else rules
        self.oracle = Oracle()
        for order in orders:
            self.add(order)

    @property
    def applied(self) -> Counter[tuple[str, str]]:
        """How often VTEX took an invoice, by order id and invoice number, whatever it answered."""
        return self.oracle.counted("notify_invoice")

    @property
    def tracked(self) -> Counter[tuple[str, str]]:
        """The same for tracking data sent after the invoice."""
        return self.oracle.counted("send_tracking") + self.oracle.counted("update_tracking_status")

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, order: Order) -> None:
        """Take in an order; its packages are invoices that it has already."""
        self._entries[order.order_id] = _Entry(order, order, list(order.packages or ()))

    def orders(self, now: datetime) -> list[Order]:
        """Return every order as it stands."""
        return [self._shown(entry, now) for entry in self._entries.values()]

    def order(self, order_id: str, now: datetime) -> Order | None:
        """Return an order by its id, or by its sequence as `seq501456`."""
        entry = self._entries.get(order_id)
        if entry is None and order_id.startswith("seq"):
            matches = (e for e in self._entries.values() if e.order.sequence == order_id[3:])
            entry = next(matches, None)
        return None if entry is None else self._shown(entry, now)

    def order_before(self, order_id: str) -> Order:
        """Return an order as it came in, before anything was done to it."""
        entry = self._entries[order_id]
        return evolve(entry.before, packages=entry.before.packages or ())

    def invoice(
        self, order_id: str, invoice: Invoice, now: datetime, *, document: bool, lag: float = 0
    ) -> Receipt | Refusal:
        """Take an invoice, on the *document* paths (PII) or on those of OMS.

        The order shows it only after *lag* seconds.
        """
        entry = self._entries.get(order_id)
        if entry is None:
            return refusals.ORDER_NOT_FOUND_DOCUMENT if document else refusals.ORDER_NOT_FOUND
        refusal = self._refusal(entry, invoice, document=document)
        if refusal is not None:
            return refusal
        number = invoice.invoice_number
        self.oracle.record("notify_invoice", order_id, number, now, invoice.invoice_value)
        if entry.find(number) is None or self._rules.duplicates == "apply_again":
            entry.shown_from[number] = _after(now, self._rules.read_lag + lag)
            entry.packages.append(_package(entry.order, invoice))
            if invoice.type is InvoiceType.OUTPUT:
                entry.order = evolve(entry.order, status=OrderStatus.INVOICE)
                entry.settles_at = _after(now, self._rules.settle_delay)
        return self._receipt(entry, now)

    def _refusal(self, entry: _Entry, invoice: Invoice, *, document: bool) -> Refusal | None:
        if entry.order.status == OrderStatus.CANCELED:
            return refusals.canceled(document=document)
        known = entry.find(invoice.invoice_number)
        if known is not None:
            same = entry.packages[known].type is invoice.type
            return self._refusal_again(invoice, same_type=same, document=document)
        sold, value = entry.total(InvoiceType.OUTPUT), invoice.invoice_value
        if invoice.type is InvoiceType.OUTPUT:
            left, refuse = entry.order.value - sold, refusals.value_above
        else:
            left, refuse = sold - entry.total(InvoiceType.INPUT), refusals.refund_above
        return refuse(left, document=document) if value > left else None

    def _refusal_again(
        self, invoice: Invoice, *, same_type: bool, document: bool
    ) -> Refusal | None:
        """Return what becomes of a number that the order has; a return never has a sale's."""
        rule = self._rules.duplicates
        if rule == "conflict":
            return refusals.duplicate_number(invoice.invoice_number, document=document, status=409)
        taken = rule in {"refresh", "apply_again"} or (rule == "documented" and not document)
        if same_type and taken:
            return None
        return refusals.duplicate_number(invoice.invoice_number, document=document)

    def send_tracking(
        self, order_id: str, number: str, tracking: TrackingInfo, now: datetime
    ) -> Receipt | Refusal:
        """Put tracking data on an invoice; the last call wins."""
        entry = self._entries.get(order_id)
        if entry is None:
            return refusals.ORDER_NOT_FOUND
        place = entry.find(number)
        if place is None:
            return refusals.INVOICE_NOT_FOUND
        self.oracle.record("send_tracking", order_id, number, now)
        entry.packages[place] = evolve(
            entry.packages[place],
            courier=tracking.courier,
            tracking_number=tracking.tracking_number,
            tracking_url=tracking.tracking_url,
        )
        return self._receipt(entry, now)

    def update_tracking_status(
        self, order_id: str, number: str, tracking: TrackingStatus, now: datetime
    ) -> Receipt | Refusal:
        """Take news of a parcel; its invoice must carry a tracking number."""
        entry = self._entries.get(order_id)
        if entry is None:
            return refusals.ORDER_NOT_FOUND
        place = entry.find(number)
        if place is None:
            return refusals.INVOICE_NOT_FOUND
        if not entry.packages[place].tracking_number:
            return refusals.TRACKING_NUMBER_MISSING
        self.oracle.record("update_tracking_status", order_id, number, now)
        delivered = tracking.delivered_date
        before = entry.packages[place].courier_status or CourierStatus()
        events = tuple(
            CourierEvent(
                city=event.city,
                state=event.state,
                description=event.description,
                create_date=event.date.isoformat(),
            )
            for event in tracking.events
        )
        # A delivery finishes the courier's work and leaves the order's status alone.
        entry.packages[place] = evolve(
            entry.packages[place],
            courier_status=CourierStatus(
                finished=tracking.is_delivered,
                delivered_date=delivered.isoformat() if delivered else None,
                data=before.data + events,
            ),
        )
        return self._receipt(entry, now)

    def start_handling(self, order_id: str, now: datetime, *, document: bool) -> Refusal | None:
        """Move an order on from `ready-for-handling`; return None where that was done."""
        entry = self._entries.get(order_id)
        if entry is None:
            return refusals.ORDER_NOT_FOUND_DOCUMENT if document else refusals.ORDER_NOT_FOUND
        if entry.order.status != OrderStatus.READY_FOR_HANDLING:
            return refusals.WRONG_STATUS
        self.oracle.record("start_handling", order_id, None, now)
        entry.order = evolve(entry.order, status=OrderStatus.HANDLING)
        return None

    def _shown(self, entry: _Entry, now: datetime) -> Order:
        """Return an order as a reader sees it, its invoices verified if their time has come."""
        if entry.settles_at is not None and now >= entry.settles_at:
            whole = entry.total(InvoiceType.OUTPUT) == entry.order.value
            # https://help.vtex.com/en/docs/tutorials/order-flow-and-status
            status = OrderStatus.INVOICED if whole else OrderStatus.PAYMENT_APPROVED
            entry.order = evolve(entry.order, status=status)
            entry.settles_at = None
        shown = tuple(package for package in entry.packages if entry.shows(package, now))
        # What is not shown yet has not moved the order either.
        lags = len(shown) < len(entry.packages)
        seen = entry.before.status if lags else entry.order.status
        return evolve(entry.order, packages=shown, status=seen)

    def _receipt(self, entry: _Entry, now: datetime) -> Receipt:
        # Seven digits, as .NET writes them.
        text = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}{self._chance.randrange(10)}+00:00"
        return Receipt(
            date=now,
            raw_date=text,
            order_id=entry.order.seller_order_id or entry.order.order_id,
            receipt=f"{self._chance.getrandbits(128):032x}",
        )


def _after(now: datetime, seconds: float) -> datetime:
    """Return the time *seconds* later; what no calendar holds is as late as one goes."""
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _package(order: Order, invoice: Invoice) -> Package:
    skus = [line.id for line in order.items]
    items = tuple(
        PackageItem(
            item_index=skus.index(item.id) if item.id in skus else item.item_index,
            id=item.id,
            quantity=item.quantity,
            price=item.price,
            description=item.description,
        )
        for item in invoice.items
    )
    return Package(
        invoice_number=invoice.invoice_number,
        invoice_value=invoice.invoice_value,
        type=invoice.type,
        items=items,
        issuance_date=invoice.issuance_date,
        raw_issuance_date=invoice.issuance_date.isoformat(),
        invoice_key=invoice.invoice_key,
        invoice_url=invoice.invoice_url,
        courier=invoice.courier,
        tracking_number=invoice.tracking_number,
        tracking_url=invoice.tracking_url,
        cfop=invoice.cfop,
        volumes=invoice.volumes,
    )
