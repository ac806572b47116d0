"""What of an order is invoiced and returned by now: in cents, and in pieces of each SKU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attrs import frozen

from vtex_invoice_async.models import InvoiceType, Order, Package

__all__ = ["Ledger", "Pieces", "is_return", "sku_of"]


def sku_of(order: Order, index: int | None, id_: str | None) -> str | None:
    """Return the SKU of a line that its position names, or else its id."""
    if index is not None:
        return order.items[index].id if 0 <= index < len(order.items) else None
    return id_


@frozen(kw_only=True)
class Pieces:
    """How many pieces of each SKU invoices move: at least those that are counted."""

    counted: Counter[str]
    is_certain: bool
    """Whether there are no others."""


@frozen(kw_only=True)
class Ledger:
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
        """Add up an order's packages."""
        packages = order.packages or ()
        sales = [package for package in packages if not is_return(package)]
        returns = [package for package in packages if is_return(package)]
        ordered = _ordered(order)
        return cls(
            value=order.value,
            ordered=ordered,
            has_sale=bool(sales),
            sold=sum(package.invoice_value or 0 for package in sales),
            returned=sum(package.invoice_value or 0 for package in returns),
            sold_pieces=_pieces(order, ordered, sales),
            returned_pieces=_pieces(order, ordered, returns),
        )


def _ordered(order: Order) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in order.items:
        found[line.id] += line.quantity
    return found


def is_return(package: Package) -> bool:
    """Whether it is no sale, whatever the case of the word; older ones may have no type."""
    return (package.type or "").casefold() == InvoiceType.INPUT.casefold()


def _pieces(order: Order, ordered: Counter[str], packages: Iterable[Package]) -> Pieces:
    counted: Counter[str] = Counter()
    is_certain = True
    for package in packages:
        found = _moved(order, ordered, package)
        is_certain = is_certain and found is not None
        counted += found or Counter()
    return Pieces(counted=counted, is_certain=is_certain)


def _moved(order: Order, ordered: Counter[str], package: Package) -> Counter[str] | None:
    """Return the pieces that an invoice moved; None where VTEX made its lines up, or may have.

    For an invoice without items it shows all the lines of the order, which only OMS owns up to.
    """
    is_whole = package.invoice_value == order.value
    found: Counter[str] = Counter()
    for item in package.items:
        sku = sku_of(order, item.item_index, None) or item.id
        if sku is None or item.quantity is None:
            return None
        found[sku] += item.quantity
    is_made_up = package.items_inferred or not package.items
    if is_made_up or (package.items_inferred is None and found == ordered):
        return ordered if is_whole else None
    return found
