"""What is wrong with an invoice in the light of its order, as VTEX shows it now.

Money is compared by type, for VTEX adds up sales and returns apart, and pieces by SKU, for it may
attribute a SKU that stands on two lines to the wrong one (known issue 1008459). Whatever happens
to the order after it was read is not known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from attrs import evolve

from vtex_invoice_async import preflight
from vtex_invoice_async.errors import InvalidInvoice, Problem, printable
from vtex_invoice_async.ledger import Ledger, Skus, is_return
from vtex_invoice_async.models import (
    Invoice,
    InvoiceItem,
    InvoiceType,
    Order,
    OrderStatus,
    Package,
    PackageItem,
)
from vtex_invoice_async.preflight import RULES
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import inexpressible

__all__ = ["check", "verify", "with_indexes", "with_invoice"]

Found = Iterator[tuple[str, str, str]]
"""Of each finding: the rule's code, the field in VTEX's names, and what is wrong and what to do."""

_CANCELED: Final = frozenset({OrderStatus.CANCELED, "cancel", "replaced"})
_TO_BE_CANCELED: Final = frozenset({OrderStatus.CANCELLATION_REQUESTED, "request-cancel"})
_EARLY: Final = frozenset(
    {
        *("order-created", "on-order-completed", "on-order-completed-ffm", "order-completed"),
        *("order-creation-error", "order-create-error", "order-accepted"),
        *("waiting-for-sellers-confirmation", "waiting-for-seller-decision"),
        *("payment-pending", "approve-payment", OrderStatus.PAYMENT_APPROVED),
        *("waiting-for-order-authorization", "waiting-for-authorization"),
        *("waiting-for-manual-authorization", "waiting-for-mkt-authorization"),
        *("waiting-ffmt-authorization", "authorize-fulfillment"),
        *("window-to-cancel", "window-to-change-seller", "window-to-change-payment"),
        *("waiting-seller-handling", OrderStatus.READY_FOR_HANDLING, "start-handling"),
    }
)
"""Those before `handling`; the sale of a part may send the order back to one of them."""

_OPEN: Final = frozenset(
    {
        *(OrderStatus.HANDLING, OrderStatus.INVOICE, OrderStatus.INVOICED),
        *("waiting-for-fulfillment", "ready-for-invoicing", "invoice-after-cancellation-deny"),
    }
)


def verify(order: Order, invoice: Invoice, orders_api: OrdersApi) -> Iterator[Problem]:
    """Yield what *order*, as it was read, has against an invoice.

    Where lines are named by their position, as on PII, an item may name its line by SKU as well.
    """
    for code, field, message in _found(order, invoice, orders_api):
        yield RULES[code].problem(field, message)


def check(
    order: Order, invoice: Invoice, orders_api: OrdersApi, now: datetime | None = None
) -> tuple[Problem, ...]:
    """Return all that is wrong with an invoice of *order*, or worth a look.

    An item whose line the order can tell by its SKU lacks no `itemIndex`.
    """
    places = _places(order)
    named = evolve(invoice, items=[_indexed(places, item) or item for item in invoice.items])
    # Of an item whose SKU the order does not have, that is said, and not that its index is missing.
    told = {f"items[{at}].itemIndex" for at, item in enumerate(named.items) if item.id is not None}
    lacking = (
        problem
        for problem in inexpressible(named, orders_api)
        if not (problem.code == "missing" and problem.field in told)
    )
    return (
        # What is sent is looked at: two items of one SKU are one line.
        *preflight.check(order.order_id, named, orders_api, now),
        *lacking,
        *verify(order, invoice, orders_api),
    )


def with_indexes(order: Order, invoice: Invoice) -> Invoice:
    """Return the invoice with an `item_index` for each item, found by its SKU.

    Of several lines of one SKU it is the first: VTEX takes that one itself, whichever is meant
    (known issue 1008459). Raises `InvalidInvoice` where the order has no such line.
    """
    places = _places(order)
    items: list[InvoiceItem] = []
    problems: list[Problem] = []
    for at, item in enumerate(invoice.items):
        found = _indexed(places, item)
        if found is not None:
            items.append(found)
        elif item.id is None:
            problem = RULES["item-unknown"].problem(f"items[{at}]", "names no line: give its id")
            problems.append(problem)
        else:
            problems.append(RULES["item-unknown"].problem(f"items[{at}].id", _no_sku(item.id)))
    if problems:
        raise InvalidInvoice(problems)
    return evolve(invoice, items=items)


def with_invoice(order: Order, invoice: Invoice) -> Order:
    """Return the order as it would be, were VTEX to take an invoice of it."""
    items = tuple(
        PackageItem(item_index=item.item_index, id=item.id, quantity=item.quantity)
        for item in invoice.items
    )
    package = Package(
        invoice_number=invoice.invoice_number,
        invoice_value=invoice.invoice_value,
        type=invoice.type,
        items=items,
        items_inferred=not items,
    )
    taken = evolve(order, packages=(*(order.packages or ()), package))
    if invoice.type is InvoiceType.INPUT:
        return taken
    is_whole = Ledger.of(taken).sold >= order.value
    return evolve(taken, status=OrderStatus.INVOICED if is_whole else OrderStatus.INVOICE)


def _found(order: Order, invoice: Invoice, orders_api: OrdersApi) -> Found:
    if order.packages is None:
        yield (
            "order-unreadable",
            "orderId",
            "its answer says nothing of its invoices: read it again",
        )
        return
    ledger = Ledger.of(order)
    yield from _of_status(order, ledger, invoice)
    yield from _of_state(order)
    yield from _of_lines(order, invoice)
    number = tuple(_of_number(order.packages, invoice))
    yield from number
    if number:
        return  # what it comes to beside itself says nothing
    named = _Named(order, invoice, orders_api)
    if invoice.type is InvoiceType.OUTPUT:
        yield from _of_sale(ledger, invoice, named)
    else:
        yield from _of_return(order, ledger, invoice, named)


def _of_status(order: Order, ledger: Ledger, invoice: Invoice) -> Found:
    status = order.status
    if status in _CANCELED:
        yield (
            "order-canceled",
            "orderId",
            f"is {status}: VTEX takes no invoice of it, so leave it out",
        )
    elif invoice.type is InvoiceType.OUTPUT and status in _EARLY and not ledger.has_sale:
        advice = "start its handling first"
        if status != OrderStatus.READY_FOR_HANDLING:
            advice = "wait until it is in handling"
        yield "order-early", "orderId", f"is {status}, and nobody handles it yet: {advice}"
    elif invoice.type is InvoiceType.OUTPUT and status in _TO_BE_CANCELED:
        message = f"is {status}: this sale denies the cancellation; is that meant?"
        yield "order-to-be-canceled", "orderId", message
    elif status not in _EARLY | _OPEN | _TO_BE_CANCELED:
        told = "tells no status" if status is None else "is in a status that is not known here"
        yield "order-status", "orderId", f"{told}: look whether it may be invoiced"


def _of_state(order: Order) -> Found:
    if order.workflow_is_in_error:
        yield "order-in-error", "orderId", "its workflow is in error: look at it in VTEX's Admin"
    if order.is_completed is False:
        message = "is not complete at its marketplace: goods would leave without payment; wait"
        yield "order-incomplete", "orderId", message
    if order.is_changing:
        message = "a change of it is not finished: wait, and reckon with its new value"
        yield "order-changing", "orderId", message


def _of_lines(order: Order, invoice: Invoice) -> Found:
    skus = [line.id for line in order.items]
    known = frozenset(skus)
    for at, item in enumerate(invoice.items):
        if item.id is not None and item.id not in known:
            yield "item-unknown", f"items[{at}].id", _no_sku(item.id)
        elif item.item_index is not None and item.item_index >= len(skus):
            message = f"the order has {len(skus)} lines, from 0: correct it"
            yield "item-unknown", f"items[{at}].itemIndex", message
        elif None not in (item.id, item.item_index) and item.id != skus[item.item_index or 0]:
            there = _told(skus[item.item_index or 0])
            message = f"line {item.item_index} of the order is SKU {there}"
            yield (
                "item-contrary",
                f"items[{at}].itemIndex",
                f"{message}, and id {_told(item.id)}: correct one of them",
            )


def _told(sku: str | None) -> str:
    return printable(sku or "", 60)


def _no_sku(sku: str) -> str:
    return f"the order has no SKU {_told(sku)}: correct it"


def _of_number(packages: Iterable[Package], invoice: Invoice) -> Found:
    """Compare letter by letter, as VTEX does."""
    same = [found for found in packages if found.invoice_number == invoice.invoice_number]
    others = [
        found
        for found in same
        if is_return(found) != (invoice.type is InvoiceType.INPUT)
        or found.invoice_value != invoice.invoice_value
    ]
    if same and not others:
        yield "number-again", "invoiceNumber", "is on the order already: leave it out"
    elif invoice.type is InvoiceType.INPUT and not all(map(is_return, others)):
        message = "is that of a sale on the order: a return has a number of its own"
        yield "number-of-sale", "invoiceNumber", message
    elif others:
        message = "is on the order with other contents: find out which are right"
        yield "number-taken", "invoiceNumber", message


def _of_sale(ledger: Ledger, invoice: Invoice, named: _Named) -> Found:
    value, left = invoice.invoice_value, ledger.cents_left(InvoiceType.OUTPUT)
    if value > left:
        told = f"the order is worth {ledger.value}, of which {ledger.sold} are invoiced"
        yield (
            "sale-above-order",
            "invoiceValue",
            f"is above the {max(left, 0)} that are left: {told}",
        )
    remaining = ledger.pieces_left(InvoiceType.OUTPUT)
    yield from _above("quantity-above-order", named, remaining, "the order leaves")
    is_known = ledger.sold_pieces.is_certain and None not in named.skus
    if is_known and named.skus and value == left and remaining - named.pieces:
        over = ", ".join(map(_told, sorted(remaining - named.pieces)[:5]))
        message = f"leave pieces over, and no value to invoice them: put SKU {over} on it too"
        yield "items-left", "items", message
    elif not ledger.sold_pieces.is_certain and named.pieces:
        yield "quantity-unknown", "items", _UNKNOWN


def _of_return(order: Order, ledger: Ledger, invoice: Invoice, named: _Named) -> Found:
    if not ledger.has_sale:
        yield (
            "return-without-sale",
            "type",
            "nothing of the order is invoiced, so nothing can return: invoice it first",
        )
        return
    left = ledger.cents_left(InvoiceType.INPUT)
    if invoice.invoice_value > left:
        told = f"{ledger.sold} are invoiced and {ledger.returned} returned"
        message = f"is above the {max(left, 0)} that can return: {told}"
        yield "return-above-sales", "invoiceValue", message
    remaining = ledger.pieces_left(InvoiceType.INPUT)
    yield from _above("quantity-above-sales", named, remaining, "may return")
    if named.pieces and not (ledger.sold_pieces.is_certain and ledger.returned_pieces.is_certain):
        yield "quantity-unknown", "items", _UNKNOWN
    if order.status != OrderStatus.INVOICED and ledger.sold != ledger.value:
        told = f"only {ledger.sold} of the order's {ledger.value} are invoiced"
        yield (
            "return-too-early",
            "type",
            f"{told}: VTEX would keep the return and refund nothing; invoice the rest first",
        )


_UNKNOWN: Final = "cannot be counted, for VTEX made up the lines of an earlier invoice, or may have: count yourself"


def _above(code: str, named: _Named, left: Counter[str], whose: str) -> Found:
    """Find each SKU of which there are more pieces than are left, where it stands first."""
    over = named.pieces - left
    for at, sku in enumerate(named.skus):
        if sku is not None and over.pop(sku, 0):
            told = f"there are {named.pieces[sku]} of SKU {_told(sku)} in all"
            yield code, f"items[{at}].quantity", f"{told}, and {whose} {left[sku]}"


def _places(order: Order) -> Mapping[str, int]:
    """Return the place of the first line of each SKU."""
    places: dict[str, int] = {}
    for at, line in enumerate(order.items):
        places.setdefault(line.id, at)
    return places


def _indexed(places: Mapping[str, int], item: InvoiceItem) -> InvoiceItem | None:
    """Return an item with its index; None where the order does not tell it."""
    if item.item_index is not None:
        return item
    index = None if item.id is None else places.get(item.id)
    return None if index is None else evolve(item, item_index=index)


class _Named:
    """What an invoice's items are taken for; those that the order does not have are no matter here."""

    def __init__(self, order: Order, invoice: Invoice, orders_api: OrdersApi) -> None:
        known = Skus(order)
        self.pieces: Counter[str] = Counter()
        """How many there are of each SKU."""
        self.skus: list[str | None] = []
        """That of each item."""
        for item in invoice.items:
            # VTEX is sent its id, or its index.
            by_index = item.item_index is not None and orders_api is OrdersApi.PII
            sku = known.at(item.item_index) if by_index else known.known(item.id)
            self.skus.append(sku)
            if sku is not None:
                self.pieces[sku] += item.quantity
