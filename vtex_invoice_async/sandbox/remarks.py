"""What VTEX takes without a word, and a good client would not send."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from attrs import frozen

from vtex_invoice_async.models import Invoice, InvoiceItem, Order, PackageItem

__all__ = ["Remark", "Rule", "remarks_on", "repeated", "sent_again"]

Rule = Literal[
    "invoice-number", "no-items", "number-again", "repeated-sku", "sum-of-items", "unknown-sku"
]

# VTEX's own examples have hyphens; anything else may leave an order beyond repair.
_SAFE_NUMBER: Final = re.compile(r"[A-Za-z0-9-]+")


@frozen(kw_only=True)
class Remark:
    """Something odd about an invoice that was taken."""

    order_id: str
    invoice_number: str
    rule: Rule
    message: str


def sent_again(order: Order, invoice: Invoice) -> Remark:
    """Remark that the order has this number already."""
    return _remark(order, invoice, "number-again", "the order has an invoice of this number")


def remarks_on(order: Order, invoice: Invoice) -> Iterator[Remark]:
    """Yield what is odd about an invoice of *order*."""
    for rule, message in _found(order, invoice):
        yield _remark(order, invoice, rule, message)


def repeated(items: Iterable[InvoiceItem | PackageItem]) -> list[str]:
    """Return what more than one of the items names."""
    named = Counter(map(_name, items))
    return [name for name, times in named.items() if times > 1]


def _remark(order: Order, invoice: Invoice, rule: Rule, message: str) -> Remark:
    return Remark(
        order_id=order.order_id,
        invoice_number=invoice.invoice_number,
        rule=rule,
        message=message,
    )


def _found(order: Order, invoice: Invoice) -> Iterator[tuple[Rule, str]]:
    if not _SAFE_NUMBER.fullmatch(invoice.invoice_number):
        yield (
            "invoice-number",
            "holds more than letters, digits and hyphens (known issues 409225, 953285, 1302085)",
        )
    if not invoice.items:
        yield "no-items", "VTEX infers the lines, often wrongly (known issue 1163668)"
        return
    yield from _odd_skus(order, invoice)
    extra = invoice.extra_value or 0
    as_units = sum(item.price * item.quantity for item in invoice.items) + extra
    as_totals = sum(item.price for item in invoice.items) + extra
    besides = _besides_lines(order)
    # What is left where a unit price does not divide.
    rest = sum(item.quantity - 1 for item in invoice.items)
    least, most = min(0, besides), max(0, besides) + rest
    if not any(least <= invoice.invoice_value - lines <= most for lines in (as_units, as_totals)):
        told = f"{as_units} if their prices are of one unit, to {as_totals} if of the whole line"
        worth = f"the invoice is worth {invoice.invoice_value}"
        yield (
            "sum-of-items",
            f"the lines add up to {told}; {worth}, and the order has no more besides",
        )


def _besides_lines(order: Order) -> int:
    """Return the cents of an order that have no line: freight and taxes, less discounts."""
    prices = [line.selling_price for line in order.items]
    if None in prices:
        return 0
    return order.value - sum((line.selling_price or 0) * line.quantity for line in order.items)


def _odd_skus(order: Order, invoice: Invoice) -> Iterator[tuple[Rule, str]]:
    twice = repeated(invoice.items)
    if twice:
        told = ", ".join(twice)
        yield "repeated-sku", f"{told}: a return will not be refunded (known issue 1198829)"
    unknown = [_name(item) for item in invoice.items if not _has(order, item)]
    if unknown:
        told = ", ".join(unknown)
        yield "unknown-sku", f"the order has no line {told} (known issue 547053)"


def _has(order: Order, item: InvoiceItem) -> bool:
    if item.id is None:
        return (item.item_index or 0) < len(order.items)
    return any(line.id == item.id for line in order.items)


def _name(item: InvoiceItem | PackageItem) -> str:
    return f"itemIndex {item.item_index}" if item.id is None else item.id
