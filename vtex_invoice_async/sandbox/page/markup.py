"""HTML made of values: text that goes in comes out as text, wherever it stands.

Nothing else of the page writes a tag, a quote or an ampersand. Names are ours, and checked all the
same; an address leads to this page, or to a place on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Final

from attrs import frozen

__all__ = ["Html", "element", "shortened"]

LONGEST: Final = 200
"""Characters of a text that came from outside."""

ELEMENTS: Final = frozenset(
    {
        *("html", "head", "meta", "title", "link", "style", "script", "body"),
        *("header", "main", "section", "footer", "nav", "div", "h1", "h2", "p", "span", "strong"),
        *("a", "button", "label", "input", "kbd", "code", "time", "dl", "dt", "dd", "ul", "li"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    }
)
VOID: Final = frozenset({"meta", "link", "input"})
ATTRIBUTES: Final = frozenset(
    {
        *("lang", "charset", "name", "content", "rel", "id", "class", "type", "hidden", "for"),
        *("href", "scope", "colspan", "datetime", "role", "tabindex", "title", "placeholder"),
        *("aria-label", "aria-live", "aria-pressed", "aria-current", "autocomplete", "spellcheck"),
    }
)
ICON: Final = "data:image/svg+xml,"
_OWN: Final = re.compile(r"(?:/|/\?[\w.~%&=+-]*)?(?:#[\w.~%-]*)?", re.ASCII)


@frozen
class Html:
    """A piece of the page that is written already."""

    text: str


Piece = Html | str | int | None


def element(name: str, *inside: Piece | Iterable[Piece], **attributes: str | bool | None) -> Html:
    """Return an element; `class_` is `class`, `aria_label` is `aria-label`, None is left out."""
    if name not in ELEMENTS:
        raise ValueError(f"the page has no element {name}")
    told = "".join(_attribute(given, value) for given, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{''.join(map(_written, inside))}</{name}>")


def shortened(text: str, most: int = LONGEST) -> str:
    """Return *text*, or its beginning."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _attribute(given: str, value: str | bool | None) -> str:
    name = given.rstrip("_").replace("_", "-")
    if name not in ATTRIBUTES:
        raise ValueError(f"the page has no attribute {name}")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    if name == "href" and not (value.startswith(ICON) or _OWN.fullmatch(value)):
        raise ValueError("the page leads nowhere but to itself")
    return f' {name}="{_escaped(value)}"'


def _written(piece: Piece | Iterable[Piece]) -> str:
    match piece:
        case None:
            return ""
        case Html():
            return piece.text
        case str():
            return _escaped(shortened(piece))
        case int():
            return f"{piece:,}"
        case _:
            return "".join(map(_written, piece))


def _escaped(text: str) -> str:
    # What does not print may turn the line around, or is half of a surrogate pair.
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
