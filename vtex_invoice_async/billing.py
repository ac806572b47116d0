"""Invoices made from an order as VTEX shows it: all of it, a part, what remains, a return; to the cent.

An order's value is the truth: its lines, freight, taxes and discounts together. An invoice is worth
as much of what remains of that as its units are of the lines of all units that remain. So parts add
up to the value whatever does not divide and whoever made the others, and the last of them takes
the remainder (known issues 605517, 1028210, 663203). Known issues are VTEX's:
https://help.vtex.com/en/known-issues
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from attrs import frozen

from vtex_invoice_async import checks
from vtex_invoice_async.errors import Problem, printable
from vtex_invoice_async.models import Invoice, InvoiceItem, Order, OrderItem, Package, PackageItem
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
            *_unclear(order),
        ]
    )
    account = _account(order, kind)
    asked = [] if items is None else list(_of_items(account, items))
    checks.refuse([*_of_packages(order, number, first=first), *_of_rest(account), *asked])
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
    # Sales and returns are never netted (known issue 930491).
    sold, done = _units(order, OUTPUT), _units(order, kind)
    most = order.value if kind is OUTPUT else _cents(order, OUTPUT)
    units: Counter[str] = Counter()
    worth: Counter[str] = Counter()
    places: dict[str, int] = {}
    for place, line in enumerate(order.items):
        if line.quantity > 0:
            places.setdefault(line.id, place)
            units[line.id] += line.quantity
            worth[line.id] += _worth(line)
    skus = {}
    for sku, place in places.items():
        owned = units[sku] if kind is OUTPUT else min(units[sku], sold[sku])
        skus[sku] = _Sku(
            id=sku,
            place=place,
            units=units[sku],
            worth=worth[sku],
            begun=done[sku],
            left=max(owned - done[sku], 0),
        )
    return _Account(type=kind, cents=most - _cents(order, kind), skus=skus)


def _worth(line: OrderItem) -> int:
    """Return the cents of a line, by what VTEX says of it that is nearest to what was paid."""
    definition = line.price_definition
    if definition is not None and definition.total is not None:
        return max(definition.total, 0)
    price = line.price if line.selling_price is None else line.selling_price
    return max(price or 0, 0) * line.quantity


def _packages(order: Order) -> Iterator[tuple[int, Package]]:
    """Yield the invoices; a package with neither number nor value is none (known issue 412526)."""
    for index, package in enumerate(order.packages or ()):
        if package.invoice_number or package.invoice_value is not None:
            yield index, package


def _cents(order: Order, kind: InvoiceType) -> int:
    return sum(p.invoice_value or 0 for _, p in _packages(order) if p.type == kind)


def _units(order: Order, kind: InvoiceType) -> Counter[str]:
    """Return the units by SKU, for VTEX mixes up lines with the same one (known issue 1008459)."""
    found: Counter[str] = Counter()
    for _, package in _packages(order):
        for item in package.items if package.type == kind else ():
            found[_sku_of(item, order) or ""] += item.quantity or 0
    return found


def _sku_of(item: PackageItem, order: Order) -> str | None:
    """Return whose units it shows: OMS shows only the place of a line, and PII may show both."""
    if any(line.id == item.id for line in order.items):
        return item.id
    place = item.item_index
    if place is None or not 0 <= place < len(order.items):
        return None
    return order.items[place].id


def _unclear(order: Order) -> Iterator[Problem]:
    """Yield what keeps an order from being reckoned with."""
    if order.packages is None:
        told = "is not in this answer; read the order again"
        yield from checks.problem("not-shown", "packageAttachment.packages", told)
    if not order.items:
        yield from checks.problem("not-shown", "items", "has no line; read the order again")
        return
    for index, package in _packages(order):
        for field, message in _unclear_in(package, order):
            where = f"packageAttachment.packages[{index}].{field}"
            advice = f"{message}, so what remains is not known; look at the order"
            yield from checks.problem("package-unclear", where, advice)


def _unclear_in(package: Package, order: Order) -> Iterator[tuple[str, str]]:
    if package.type not in set(InvoiceType):
        yield "type", "is neither Output nor Input"
    if package.invoice_value is None:
        yield "invoiceValue", "is not shown"
    for place, item in enumerate(package.items):
        if _sku_of(item, order) is None:
            yield f"items[{place}]", "is no line of the order"
        if item.quantity is None or item.quantity < 0:
            yield f"items[{place}].quantity", "is no whole number"


def _of_packages(order: Order, number: str, *, first: bool) -> Iterator[Problem]:
    found = [package.type for _, package in _packages(order) if package.invoice_number == number]
    if found:
        told = f"stands on the order already, for an {found[0]}; take another"
        yield from checks.problem("number-taken", "invoiceNumber", told)
    sales = sum(package.type == OUTPUT for _, package in _packages(order))
    if first and sales:
        told = f"the order shows {sales} already; invoice_remaining makes one of what is left"
        yield from checks.problem("already-invoiced", "packageAttachment.packages", told)


def _of_rest(account: _Account) -> Iterator[Problem]:
    if account.cents > 0:
        return
    if account.type is INPUT:
        told = "no cent of the order is invoiced and not returned yet"
        yield from checks.problem("nothing-to-return", "invoiceValue", told)
        return
    told = "no cent of the order's value is left to invoice"
    if account.units:
        told += f", but {account.units} units are on no invoice (known issue 646253): look at it"
    yield from checks.problem("nothing-to-invoice", "invoiceValue", told)


def _of_items(account: _Account, items: Mapping[str, int]) -> Iterator[Problem]:
    if not isinstance(items, Mapping) or not items:
        yield from checks.problem("no-items", "items", "must be quantities by SKU id, one at least")
        return
    for index, (sku, quantity) in enumerate(items.items()):
        yield from checks.whole(f"items[{index}].quantity", quantity, 1)
        if sku not in account.skus:
            told = f"the order has no SKU {printable(str(sku), 40)!r} (SKU ids are text)"
            yield from checks.problem("unknown-sku", f"items[{index}].id", told)
        elif type(quantity) is int and quantity > account.skus[sku].left:
            told = f"is {quantity} of SKU {sku}, of which {_what_is_left(account, sku)}"
            yield from checks.problem("quantity-above", f"items[{index}].quantity", told)


def _what_is_left(account: _Account, sku: str) -> str:
    left = account.skus[sku].left
    if account.type is INPUT:
        return f"{left} are invoiced and not returned yet"
    if account.units or account.cents < 1:
        return f"{left} are not invoiced yet"
    return (
        f"none is left, though {account.cents} cents are: VTEX shows all lines for an invoice "
        "without any (known issue 1163668); invoice_remaining makes one of these cents"
    )


def _of_last_cent(account: _Account, wanted: Mapping[str, int]) -> Iterator[Problem]:
    others = account.units - sum(wanted.values())
    if others and account.cents == 1:
        told = (
            f"the last cent has to go with the last units, and {others} are not asked for: VTEX "
            "takes no invoice of 0, so put them on this one"
        )
        yield from checks.problem("value-too-small", "invoiceValue", told)
