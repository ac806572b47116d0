"""The orders and their invoices, as VTEX has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from vtex_invoice_async.models import CourierEvent, InvoiceType, OrderStatus, Package
from vtex_invoice_async.sandbox.filed import Filed, Shown
from vtex_invoice_async.sandbox.page.asked import Asked
from vtex_invoice_async.sandbox.page.markup import Html, element
from vtex_invoice_async.sandbox.page.sight import Sight
from vtex_invoice_async.sandbox.page.words import (
    NOTHING,
    amount,
    counted,
    key_of,
    moment,
    order_link,
    table_of,
)
from vtex_invoice_async.sandbox.statuses import CANCELED

__all__ = ["Listed", "listed", "orders_section"]

PER_PAGE: Final = 50
_HEADS: Final = {"Order": "c34", "Status": "c30", "Value": "n c18", "Invoiced": "n c18"}
_GOOD: Final = frozenset({OrderStatus.INVOICED, OrderStatus.INVOICE})


@frozen(kw_only=True)
class Listed:
    """The orders that one page shows."""

    orders: Sequence[Shown]
    last: int = 1
    """The number of the last page."""

    problem: str | None = None
    status: int = 200


def listed(sight: Sight, asked: Asked) -> Listed:
    """Return what *asked* finds."""
    book, now = sight.book, sight.now
    last = max(1, -(-len(book) // PER_PAGE))
    if asked.problem is not None:
        found = book.latest(0, PER_PAGE, now)
        return Listed(orders=found, last=last, problem=asked.problem, status=400)
    if asked.order_id is not None:
        order = book.known(asked.order_id, now)
        if order is not None:
            return Listed(orders=[order])
        problem = f"The sandbox has no order {asked.order_id}."
        return Listed(orders=[], problem=problem, status=404)
    if asked.page > last:
        problem = f"There is no page {asked.page:,}: the last one is {last:,}."
        return Listed(orders=[], last=last, problem=problem, status=404)
    return Listed(orders=book.latest((asked.page - 1) * PER_PAGE, PER_PAGE, now), last=last)


def orders_section(sight: Sight, asked: Asked, found: Listed) -> Html:
    """Return the table of the orders, and what leads to the others."""
    alone = asked.order_id is not None and asked.problem is None
    bodies = [_rows(sight, order, alone=alone) for order in found.orders]
    table = table_of(_caption(sight, alone=alone), _HEADS, bodies)
    none = "Nothing to show." if len(sight.book) else "The sandbox has no orders."
    return element(
        "section",
        element("h2", "Order" if alone else "Orders"),
        element("nav", element("a", "All orders", href="/"))
        if alone
        else _pages(asked, found.last),
        table if found.orders else element("p", none, class_="none"),
        id="orders",
    )


def _caption(sight: Sight, *, alone: bool) -> str:
    if alone:
        return "As VTEX has it, with each of its invoices. Times are UTC."
    total = counted(len(sight.book), "order")
    return f"{total}, {sight.book.changed:,} of them changed: those first, the latest on top."


def _pages(asked: Asked, last: int) -> Html | None:
    if last == 1:
        return None
    page = min(asked.page, last)
    steps = (("First", 1), ("Newer", page - 1), ("Older", page + 1), ("Last", last))
    links = [
        element("a", name, href=asked.address(page=number))
        for name, number in steps
        if 1 <= number <= last and number != page
    ]
    return element(
        "nav", element("span", f"Page {page:,} of {last:,}"), links, aria_label="Pages of orders"
    )


def _rows(sight: Sight, shown: Shown, *, alone: bool) -> Html:
    order, filed = shown.order, shown.filed
    most = 200 if alone else 8
    sold = _sum(filed, InvoiceType.OUTPUT)
    returned = _sum(filed, InvoiceType.INPUT)
    first = element(
        "tr",
        element("th", order_link(order.order_id), scope="rowgroup"),
        element("td", _status(shown), " ", _changed(shown)),
        element("td", amount(order.value), class_="n"),
        element("td", _invoiced(sold, returned, order.value), class_="n"),
    )
    visible = sight.book.shown(order.order_id, sight.now)
    hidden = len(filed) - (len(visible.filed) if visible else 0)
    counts: dict[str, int] = {}
    rows = []
    for index, each in enumerate(filed[-most:]):
        number = each.package.invoice_number or ""
        counts[number] = counts.get(number, 0) + 1
        key = f"e{key_of(order.order_id)}-{len(filed) - min(most, len(filed)) + index}"
        rows.append(_package(each, key, again=counts[number] > 1, most=100 if alone else 6))
    notes = [
        f"{hidden} of the invoices not shown to readers yet" if hidden > 0 else "",
        f"{counted(len(filed) - most, 'earlier invoice')} left out" if len(filed) > most else "",
    ]
    told = [_note(note) for note in notes if note]
    return element("tbody", first, rows, told, id=f"o{key_of(order.order_id)}")


def _sum(filed: Sequence[Filed], kind: InvoiceType) -> int:
    return sum(f.package.invoice_value or 0 for f in filed if f.package.type == kind)


def _status(shown: Shown) -> Html:
    status = shown.order.status
    good, bad = status in _GOOD, status in CANCELED
    style = "good" if good else "bad" if bad else "plain"
    return element("span", str(status or "no status"), class_=f"pill {style}")


def _changed(shown: Shown) -> Html | None:
    changed = shown.times.changed_at
    return element("span", moment(changed), class_="small") if changed else None


def _invoiced(sold: int, returned: int, value: int) -> list[Html | str | None]:
    if not sold and not returned:
        return [element("span", NOTHING, class_="dim")]
    style = "whole" if sold == value else "above" if sold > value else None
    back = element("span", f"{amount(returned)} returned", class_="sub") if returned else None
    return [element("span", amount(sold), class_=style), back]


def _note(text: str) -> Html:
    return element("tr", element("td", text, colspan="4", class_="note"))


def _package(filed: Filed, key: str, *, again: bool, most: int) -> Html:
    package = filed.package
    kind = "return" if package.type == InvoiceType.INPUT else "sale"
    issued = f"{kind}, {package.issuance_date:%Y-%m-%d}" if package.issuance_date else kind
    return element(
        "tr",
        element(
            "th",
            element("code", package.invoice_number or "no number"),
            [" ", element("span", "filed again", class_="pill bad")] if again else None,
            scope="row",
        ),
        element(
            "td", element("span", issued, class_="small"), _parcel(package, key, most), colspan="2"
        ),
        element("td", amount(package.invoice_value), class_="n"),
        class_="package",
    )


def _parcel(package: Package, key: str, most: int) -> list[Html | None]:
    courier = " ".join(filter(None, (package.courier, package.tracking_number)))
    tracked = [element("span", courier, class_="sub ink")] if courier else []
    if package.tracking_url:
        # Never a link: whoever sent it is the one under test.
        tracked.append(element("span", package.tracking_url, class_="sub url"))
    status = package.courier_status
    if status is None:
        return [*tracked]
    events = status.data[-most:][::-1]
    end = f"delivered {status.delivered_date or ''}"[:20] if status.finished else "on its way"
    left = len(status.data) - len(events)
    return [
        *tracked,
        element(
            "details",
            element("summary", f"{end}, {counted(len(status.data), 'event')}"),
            element("ul", [element("li", list(_event(event))) for event in events]),
            element("p", f"{left:,} earlier left out", class_="note") if left else None,
            id=key,
        ),
    ]


def _event(event: CourierEvent) -> Iterator[Html | str]:
    place = ", ".join(filter(None, (event.city, event.state)))
    yield element("span", (event.create_date or "")[:10], class_="dim")
    yield " "
    yield event.description or "no description"
    yield element("span", place, class_="sub")
