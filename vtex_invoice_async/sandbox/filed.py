"""What VTEX keeps of an invoice, and what a reader of its order is shown."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve, frozen

from vtex_invoice_async.models import InvoiceItem, Order, Package

__all__ = ["Filed", "Refund", "Shown"]


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
class Shown:
    """An order as a reader sees it at a moment: its packages are those of *filed*."""

    order: Order
    filed: tuple[Filed, ...] = ()

    def without_newest(self) -> Shown:
        """Return it as if the invoice that was filed last were not there."""
        packages = (self.order.packages or ())[:-1]
        return Shown(order=evolve(self.order, packages=packages), filed=self.filed[:-1])
