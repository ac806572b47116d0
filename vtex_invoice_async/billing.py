"""Invoices made from an order as VTEX shows it: all of it, a part, what remains, a return; to the cent.

An order's value is the truth: its lines, freight, taxes and discounts together. An invoice is worth
as much of what remains of that as its units are of the lines of all units that remain. So parts add
up to the value whatever does not divide and whoever made the others, and the last of them takes
the remainder (known issues 605517, 1028210, 663203). Known issues are VTEX's:
https://help.vtex.com/en/known-issues

What is refused has the code and source of its rule (`rules.RULES`), with three more of its own:
`package-unclear` is an invoice on the order that cannot be counted, `already-invoiced` a first
invoice that would be another one, and `value-too-small` a part that leaves no cent for the rest.
Whatever is made, `verify.verify` refuses for nothing but the state that its order is in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from attrs import frozen

from vtex_invoice_async import checks
from vtex_invoice_async.errors import Problem, printable
from vtex_invoice_async.ledger import Ledger, Skus, invoices_of, kind_of
from vtex_invoice_async.models import Invoice, InvoiceItem, Order, OrderItem, Package
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

__all__ = ["invoice_all", "invoice_items", "invoice_remaining", "return_items"]

OUTPUT, INPUT = InvoiceType.OUTPUT, InvoiceType.INPUT


def invoice_all(
    order: Order,
    number: str,
    *,
    issuance_date: datetime,
    orders_api: OrdersApi = OrdersApi.OMS,
) -> Invoice:
    """Make the one invoice of an *order* that has none yet, or say in `InvalidInvoice` why not.

    It has the order's value and one line a SKU, which names the order's line by SKU id and by
    place. Prices are those of *orders_api*: on PII and PII_2022 the line's total, exactly; on OMS
    that of one unit, rounded down where it does not divide, so that only `invoice_value` is exact
    then. Lines have no share of freight, taxes and discounts of the order. What else an invoice
    says is added to it: `attrs.evolve(invoice, invoice_key=..., courier=...)`.
    """
    return _invoice(
        OUTPUT, order, number, None, issuance_date=issuance_date, orders_api=orders_api, first=True
    )


def invoice_remaining(
    order: Order,
    number: str,
    *,
    issuance_date: datetime,
    orders_api: OrdersApi = OrdersApi.OMS,
) -> Invoice:
    """Make the invoice that completes an *order*, of the units and cents that are on no other.

    Read the order just before: its value changes with it. Where the order shows all units as
    invoiced and not all of its value, as after an invoice without lines, this one has none either.
    For the rest see `invoice_all`.
    """
    return _invoice(OUTPUT, order, number, None, issuance_date=issuance_date, orders_api=orders_api)


def invoice_items(
    order: Order,
    items: Mapping[str, int],
    number: str,
    *,
    issuance_date: datetime,
    orders_api: OrdersApi = OrdersApi.OMS,
) -> Invoice:
    """Make an invoice of some units of an *order*, of which *items* says how many by SKU id.

    VTEX takes no invoice of 0: one of gifts is worth a cent, and each unit that is left keeps a
    cent as long as there are so many, so that parts can be made in any order. Read the order
    before each part. For the rest see `invoice_all`.
    """
    return _invoice(
        OUTPUT, order, number, items, issuance_date=issuance_date, orders_api=orders_api
    )


def return_items(
    order: Order,
    number: str,
    items: Mapping[str, int] | None = None,
    *,
    issuance_date: datetime,
    orders_api: OrdersApi = OrdersApi.OMS,
) -> Invoice:
    """Make a return of some units that were invoiced, or of all that were not returned yet.

    It is worth its part of what was invoiced, and the last one takes what remains of that. VTEX
    refunds a return only of an order that is invoiced in full; one that comes earlier it keeps, and
    refunds nothing. For the rest see `invoice_all`.
    """
    return _invoice(INPUT, order, number, items, issuance_date=issuance_date, orders_api=orders_api)


@frozen(kw_only=True)
class _Sku:
    """All lines of an order with one SKU: an invoice that repeats it cannot be refunded (1198829)."""

    id: str
    place: int
    """Of the first line."""

    units: int
    worth: int
    """Cents of all of them."""

    begun: int
    """Units on earlier invoices of the same type."""

    left: int
    """Units that another may have."""

    def share(self, quantity: int) -> int:
        """Return the cents of the next units: those of all parts add up to the worth."""
        after = self.worth * (self.begun + quantity) // self.units
        return after - self.worth * self.begun // self.units


@frozen(kw_only=True)
class _Account:
    """What is left of an order for one type of invoice."""

    type: InvoiceType
    cents: int
    skus: Mapping[str, _Sku]
    has_sale: bool

    @property
    def units(self) -> int:
        return sum(sku.left for sku in self.skus.values())

    def value(self, quantities: Mapping[str, int]) -> int:
        """Return what an invoice is worth that leaves a cent to whatever it leaves."""
        others = self.units - sum(quantities.values())
        if not others:
            return self.cents
        part = sum(self.skus[sku].share(quantity) for sku, quantity in quantities.items())
        whole = sum(sku.share(sku.left) for sku in self.skus.values())
        if not whole:
            part, whole = self.units - others, self.units
        return max(1, min(self.cents * part // whole, self.cents - others))


def _invoice(
    kind: InvoiceType,
    order: Order,
    number: str,
    items: Mapping[str, int] | None,
    *,
    issuance_date: datetime,
    orders_api: OrdersApi,
    first: bool = False,
) -> Invoice:
    checks.refuse(
        [
            *checks.name("invoiceNumber", number),
            *checks.moment("issuanceDate", issuance_date),
            # Another word, even an equal one, would be taken for one of the PII dialects below.
            *checks.of(OrdersApi, "orders_api", orders_api),
            *_unclear(order),
        ]
    )
    account = _account(order, kind)
    asked = [] if items is None else list(_of_items(account, items))
    number_and_rest = [*_of_packages(order, kind, number, first=first), *_of_rest(account)]
    checks.refuse([*number_and_rest, *asked])
    left = {sku.id: sku.left for sku in account.skus.values()}
    wanted = left if items is None else items
    checks.refuse([*_of_last_cent(account, wanted)])
    lines = [sku for sku in account.skus.values() if wanted.get(sku.id)]
    return Invoice(
        type=kind,
        invoice_number=number,
        invoice_value=account.value(wanted),
        issuance_date=issuance_date,
        items=[_line(sku, wanted[sku.id], orders_api) for sku in lines],
    )


def _line(sku: _Sku, quantity: int, orders_api: OrdersApi) -> InvoiceItem:
    total = sku.share(quantity)
    price = total // quantity if orders_api is OrdersApi.OMS else total
    return InvoiceItem(id=sku.id, item_index=sku.place, price=price, quantity=quantity)


def _account(order: Order, kind: InvoiceType) -> _Account:
    ledger = Ledger.of(order)
    # Which lines VTEX has made up is not known, so those that it shows count.
    sold, moved = ledger.sold_pieces.shown, ledger.moved(kind).shown
    may_move = ledger.pieces_left(kind)
    worth: Counter[str] = Counter()
    places: dict[str, int] = {}
    for place, line in enumerate(order.items):
        if line.quantity > 0:
            places.setdefault(line.id, place)
            worth[line.id] += _worth(line)
    skus = {}
    for sku, place in places.items():
        units, begun = ledger.ordered[sku], moved[sku]
        owned = units if kind is OUTPUT else min(units, sold[sku])
        skus[sku] = _Sku(
            id=sku,
            place=place,
            units=units,
            worth=worth[sku],
            begun=begun,
            left=min(max(owned - begun, 0), may_move[sku]),
        )
    return _Account(
        type=kind,
        cents=ledger.cents_left(kind),
        skus=skus,
        has_sale=ledger.has_sale,
    )


def _worth(line: OrderItem) -> int:
    """Return the cents of a line, by what VTEX says of it that is nearest to what was paid."""
    definition = line.price_definition
    if definition is not None and definition.total is not None:
        return max(definition.total, 0)
    price = line.price if line.selling_price is None else line.selling_price
    return max(price or 0, 0) * line.quantity


def _unclear(order: Order) -> Iterator[Problem]:
    """Yield what keeps an order from being reckoned with."""
    if order.is_changing:
        told = "a change of it is not finished: wait, and read it again for its new value"
        yield from checks.problem("order-changing", "orderId", told)
    if order.packages is None:
        told = "is not in this answer; read the order again"
        yield from checks.problem("order-unreadable", "packageAttachment.packages", told)
    if not order.items:
        yield from checks.problem("order-unreadable", "items", "has no line; read the order again")
        return
    skus = Skus(order)
    for index, package in invoices_of(order):
        for field, message in _unclear_in(package, skus):
            where = f"packageAttachment.packages[{index}].{field}"
            advice = f"{message}, so what remains is not known; look at the order"
            yield from checks.problem("package-unclear", where, advice)


def _unclear_in(package: Package, skus: Skus) -> Iterator[tuple[str, str]]:
    if kind_of(package) is None:
        yield "type", "is neither Output nor Input"
    if package.invoice_value is None:
        yield "invoiceValue", "is not shown"
    for place, item in enumerate(package.items):
        if skus.shown(item) is None:
            yield f"items[{place}]", "is no line of the order"
        if item.quantity is None or item.quantity < 0:
            yield f"items[{place}].quantity", "is no whole number"


def _of_packages(order: Order, kind: InvoiceType, number: str, *, first: bool) -> Iterator[Problem]:
    found = [kind_of(package) for _, package in invoices_of(order)]
    same = [kind_of(one) for _, one in invoices_of(order) if one.invoice_number == number]
    if same:
        of_sale = kind is INPUT and OUTPUT in same
        told = f"stands on the order already, for an {same[0]}; take another"
        code = "number-of-sale" if of_sale else "number-taken"
        yield from checks.problem(code, "invoiceNumber", told)
    if first and OUTPUT in found:
        sales = found.count(OUTPUT)
        told = f"the order shows {sales} already; invoice_remaining makes one of what is left"
        yield from checks.problem("already-invoiced", "packageAttachment.packages", told)


def _of_rest(account: _Account) -> Iterator[Problem]:
    if account.cents > 0:
        return
    if account.type is INPUT:
        told = "no cent of the order is invoiced and not returned yet"
        if account.has_sale:
            yield from checks.problem("return-above-sales", "invoiceValue", told)
        else:
            yield from checks.problem("return-without-sale", "type", told)
        return
    told = "no cent of the order's value is left to invoice"
    if account.units:
        told += f", but {account.units} units are on no invoice (known issue 646253): look at it"
    yield from checks.problem("sale-above-order", "invoiceValue", told)


def _of_items(account: _Account, items: Mapping[str, int]) -> Iterator[Problem]:
    if not isinstance(items, Mapping) or not items:
        yield from checks.problem("required", "items", "must be quantities by SKU id, one at least")
        return
    above = "quantity-above-order" if account.type is OUTPUT else "quantity-above-sales"
    for index, (sku, quantity) in enumerate(items.items()):
        yield from checks.whole(f"items[{index}].quantity", quantity, 1, "quantity")
        if sku not in account.skus:
            told = f"the order has no SKU {printable(str(sku), 60)!r} (SKU ids are text)"
            yield from checks.problem("item-unknown", f"items[{index}].id", told)
        elif type(quantity) is int and quantity > account.skus[sku].left:
            told = (
                f"is {quantity} of SKU {printable(sku, 60)}, of which {_what_is_left(account, sku)}"
            )
            yield from checks.problem(above, f"items[{index}].quantity", told)


def _what_is_left(account: _Account, sku: str) -> str:
    left = account.skus[sku].left
    if account.cents > 0 and not account.units:
        makes = "invoice_remaining" if account.type is OUTPUT else "return_items without items"
        return (
            f"none is left, though {account.cents} cents are: VTEX shows all lines for an invoice "
            f"without any (known issue 1163668); {makes} makes one of these cents"
        )
    if account.type is INPUT:
        return f"{left} are invoiced and not returned yet"
    return f"{left} are not invoiced yet"


def _of_last_cent(account: _Account, wanted: Mapping[str, int]) -> Iterator[Problem]:
    others = account.units - sum(wanted.values())
    if others and account.cents == 1:
        told = (
            f"the last cent has to go with the last units, and {others} are not asked for: VTEX "
            "takes no invoice of 0, so put them on this one"
        )
        yield from checks.problem("value-too-small", "invoiceValue", told)
