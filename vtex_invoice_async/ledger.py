"""What of an order is invoiced and returned by now: in cents, and in pieces of each SKU.

Sales and returns are never netted (known issue 930491), and pieces are counted by SKU, for VTEX may
attribute one that stands on two lines to the wrong one (known issue 1008459).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from attrs import frozen

from vtex_invoice_async.models import InvoiceType, Order, Package, PackageItem
from vtex_invoice_async.printed import Printed

__all__ = ["Ledger", "Pieces", "Skus", "invoices_of", "is_return", "kind_of"]

_KINDS = {kind.casefold(): kind for kind in InvoiceType}


def invoices_of(order: Order) -> Iterator[tuple[int, Package]]:
    """Yield the packages that are invoices, each with its place.

    One with neither number nor value is none (known issue 412526).
    """
    for place, package in enumerate(order.packages or ()):
        if package.invoice_number or package.invoice_value is not None:
            yield place, package


def kind_of(package: Package) -> InvoiceType | None:
    """Return its type, whatever the case of the word; None where it is neither."""
    return _KINDS.get((package.type or "").casefold())


def is_return(package: Package) -> bool:
    """Whether it is no sale: older ones may have no type."""
    return kind_of(package) is InvoiceType.INPUT


class Skus:
    """The SKUs of an order's lines: how many pieces of each, and which one a line is meant to be."""

    def __init__(self, order: Order) -> None:
        self._at = [line.id for line in order.items]
        self._known = frozenset(self._at)
        self.ordered: Counter[str] = Counter()
        """Without lines of no piece."""
        for line in order.items:
            if line.quantity > 0:
                self.ordered[line.id] += line.quantity

    def at(self, place: int | None) -> str | None:
        """Return that of the line at a place, from 0."""
        return self._at[place] if place is not None and 0 <= place < len(self._at) else None

    def known(self, sku: str | None) -> str | None:
        """Return one that a line of the order has."""
        return sku if sku in self._known else None

    def shown(self, item: PackageItem) -> str | None:
        """Return whose pieces an invoice shows: OMS shows the place alone, and PII may show both."""
        found = self.known(item.id)
        return self.at(item.item_index) if found is None else found


@frozen(kw_only=True, repr=False)
class Pieces(Printed):
    """How many pieces of each SKU invoices move: at least those that are counted."""

    counted: Counter[str]
    is_certain: bool
    """Whether there are no others."""

    shown: Counter[str]
    """What the order shows of them, made up or not: at least those that are counted."""


@frozen(kw_only=True, repr=False)
class Ledger(Printed):
    """What an order comes to, in cents and in pieces of each SKU."""

    value: int
    ordered: Counter[str]
    has_sale: bool
    sold: int
    returned: int
    """What all returns come to, refunded or not: VTEX adds up receipts (known issue 1380918)."""

    sold_pieces: Pieces
    returned_pieces: Pieces

    @classmethod
    def of(cls, order: Order) -> Ledger:
        """Add up an order's invoices."""
        skus = Skus(order)
        found = [package for _, package in invoices_of(order)]
        sales = [package for package in found if not is_return(package)]
        returns = [package for package in found if is_return(package)]
        return cls(
            value=order.value,
            ordered=skus.ordered,
            has_sale=bool(sales),
            sold=sum(package.invoice_value or 0 for package in sales),
            returned=sum(package.invoice_value or 0 for package in returns),
            sold_pieces=_pieces(order, skus, sales),
            returned_pieces=_pieces(order, skus, returns),
        )

    def cents_left(self, kind: InvoiceType) -> int:
        """Return what another sale, or another return, may come to."""
        if kind is InvoiceType.OUTPUT:
            return self.value - self.sold
        return self.sold - self.returned

    def moved(self, kind: InvoiceType) -> Pieces:
        """Return the pieces that sales, or returns, have moved."""
        return self.sold_pieces if kind is InvoiceType.OUTPUT else self.returned_pieces

    def pieces_left(self, kind: InvoiceType) -> Counter[str]:
        """Return how many pieces of each SKU another sale, or another return, may have at most."""
        if kind is InvoiceType.OUTPUT:
            return self.ordered - self.sold_pieces.counted
        # Of what VTEX has made up lines for, all that was ordered may have been sold.
        sold = self.sold_pieces
        most = sold.counted if sold.is_certain else self.ordered
        return most - self.returned_pieces.counted


def _pieces(order: Order, skus: Skus, packages: Iterable[Package]) -> Pieces:
    counted: Counter[str] = Counter()
    all_shown: Counter[str] = Counter()
    is_certain = True
    for package in packages:
        shown, is_clear = _shown(skus, package)
        # For an invoice without items VTEX makes up lines, all those of the order: only OMS has a
        # word that may say so.
        is_made_up = package.items_inferred or not package.items
        if is_made_up or (package.items_inferred is None and shown == skus.ordered):
            is_clear = package.invoice_value == order.value
            shown = skus.ordered if is_clear else shown
        is_certain = is_certain and is_clear
        counted.update(shown if is_clear else {})
        all_shown.update(shown)
    return Pieces(counted=counted, is_certain=is_certain, shown=all_shown)


def _shown(skus: Skus, package: Package) -> tuple[Counter[str], bool]:
    """Return the pieces on an invoice's lines, and whether each line tells its own."""
    found: Counter[str] = Counter()
    is_clear = True
    for item in package.items:
        sku = skus.shown(item)
        if sku is None or item.quantity is None or item.quantity < 0:
            is_clear = False
        else:
            found[sku] += item.quantity
    return found, is_clear
