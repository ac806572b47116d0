"""Values as the page writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from vtex_invoice_async.sandbox.page.asked import Asked
from vtex_invoice_async.sandbox.page.markup import Html, element

__all__ = ["NOTHING", "amount", "counted", "key_of", "moment", "order_link", "table_of"]

NOTHING: Final = "\N{EN DASH}"
_MOST: Final = 10**20
_LONGEST_LINK: Final = 300


def amount(cents: int | None) -> str:
    """Return cents as 1,234.56."""
    if cents is None:
        return NOTHING
    if abs(cents) >= _MOST:
        return "beyond all measure"
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return `1 order`, `2 orders`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(at: datetime) -> Html:
    """Return the time of day; the day is told to who asks."""
    utc = at.astimezone(UTC)
    clock = f"{utc:%H:%M:%S}"
    return element("time", clock, datetime=utc.isoformat(timespec="milliseconds"))


def key_of(text: str) -> str:
    """Return a word that stands for *text* in an element's id, the same again and again."""
    return sha256(text.encode(errors="replace")).hexdigest()[:16]


def order_link(order_id: str) -> Html:
    """Return the id of an order, which leads to what is known of it."""
    shown = element("code", order_id)
    if not 0 < len(order_id) <= _LONGEST_LINK:
        return shown
    return element("a", shown, href=Asked(order_id=order_id).address())


def table_of(caption: str, heads: Mapping[str, str | None], bodies: Iterable[Html]) -> Html:
    """Return a table; each of its *heads* has the class of its column."""
    names = [element("th", head, scope="col", class_=style) for head, style in heads.items()]
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", names)),
        bodies,
    )
