"""What VTEX keeps of an invoice, and what a reader of its order is shown."""

from __future__ import annotations

from datetime import datetime

from attrs import Factory, evolve, field, frozen

from vtex_invoice_async.models import InvoiceItem, Order, OrderStatus, Package

__all__ = ["CancelRequest", "Cancellation", "Filed", "Refund", "Shown", "Times"]


@frozen(kw_only=True)
class Refund:
    """What VTEX gives back to the shopper by itself for a return; cents."""

    value: int
    items: tuple[InvoiceItem, ...] = ()


@frozen(kw_only=True)
class Filed:
    """An invoice as it was taken, and what became of it."""

    package: Package
    embedded_invoice: str | None = None
    items_inferred: bool = False
    """Whether VTEX made up the lines of an invoice that came without any."""

    refund: Refund | None = None
    changed_at: datetime | None = None
    """When it was filed or last given tracking data; None for one that the order came in with."""


@frozen(kw_only=True)
class CancelRequest:
    """What was sent to have an order canceled."""

    reason: str | None = None
    requested_by_user: bool = False
    """Whether the shopper wants it; VTEX does not say what it takes a request for that is silent."""


@frozen(kw_only=True)
class Cancellation:
    """A request to cancel an order that was taken, and when."""

    at: datetime
    request: CancelRequest


@frozen(kw_only=True)
class Times:
    """When what happened to an order; None for what did not since it came in."""

    changed_at: datetime | None = None
    authorized_at: datetime | None = None
    invoiced_at: datetime | None = None
    """When VTEX had it invoiced as a whole."""

    canceled_at: datetime | None = None
    denied_at: datetime | None = None
    """When a sale denied the request to cancel it: the first, for it is the last after a sale."""

    cancellations: tuple[Cancellation, ...] = ()


@frozen(kw_only=True)
class Shown:
    """An order as a reader sees it at a moment: its packages are those of *filed*."""

    order: Order
    filed: tuple[Filed, ...] = ()
    times: Times = field(factory=Times)
    came_in: OrderStatus | str | None = field(
        default=Factory(lambda shown: shown.order.status, takes_self=True)
    )
    """The status that it had when it came in."""

    def without_newest(self) -> Shown:
        """Return it as if the invoice that was filed last were not there."""
        packages = (self.order.packages or ())[:-1]
        order = evolve(self.order, packages=packages)
        return evolve(self, order=order, filed=self.filed[:-1])
