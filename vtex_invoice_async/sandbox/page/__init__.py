"""The page on the sandbox's root: what the client did, for a person to look at.

It reads and changes nothing. It is one answer: its style and its script are in it, named to the
browser by their hashes, and nothing else may run, load or be sent.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final
from urllib.parse import quote

from attrs import evolve, field, frozen

from vtex_invoice_async.sandbox.page.asked import Asked, read_query
from vtex_invoice_async.sandbox.page.faults import faults_section
from vtex_invoice_async.sandbox.page.markup import ICON, Html, element
from vtex_invoice_async.sandbox.page.orders import Listed, listed, orders_section
from vtex_invoice_async.sandbox.page.overview import overview, remarks_section, taken_again
from vtex_invoice_async.sandbox.page.requests import requests_section
from vtex_invoice_async.sandbox.page.sight import Sight

__all__ = ["Page", "Sight", "page_of"]

_DOT: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<rect width="16" height="16" rx="4" fill="{colour}"/>'
    '<path d="M4 8.5l3 3 5-7" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)


@frozen(kw_only=True)
class Page:
    """An answer to a browser."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def page_of(sight: Sight, query: Iterable[tuple[str, str]]) -> Page:
    """Return the page that a *query* asks for."""
    asked = read_query(query)
    found = listed(sight, asked)
    whole = "<!DOCTYPE html>" + _document(sight, asked, found).text
    for secret in sight.secrets:
        whole = whole.replace(secret, "[a credential]")
    return Page(status=found.status, headers=_headers(), body=whole.encode())


@cache
def _headers() -> Mapping[str, str]:
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hashed('page.css')}",
            f"script-src {_hashed('page.js')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


@cache
def _own(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hashed(name: str) -> str:
    return f"'sha256-{b64encode(sha256(_own(name).encode()).digest()).decode()}'"


def _document(sight: Sight, asked: Asked, found: Listed) -> Html:
    return element("html", _head(sight), _body(sight, asked, found), lang="en")


def _head(sight: Sight) -> Html:
    again = sight.book.oracle.taken_again
    loud = f"({again:,} taken twice) " if again else ""
    icon = _DOT.format(colour="#b3261e" if again else "#2f6f4f")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content="light dark"),
        element("title", f"{loud}Sandbox {sight.account}"),
        element("link", rel="icon", id="icon", href=ICON + quote(icon)),
        element("style", Html(_own("page.css"))),
    )


def _body(sight: Sight, asked: Asked, found: Listed) -> Html:
    told = element("p", found.problem, class_="problem", role="alert") if found.problem else None
    # What an address asks for wrongly is not asked for.
    sound = asked if asked.problem is None else evolve(asked, odd=False)
    return element(
        "body",
        _banner(sight, asked),
        element(
            "main",
            element("div", told, id="told"),
            overview(sight),
            element("div", taken_again(sight), id="loud"),
            element(
                "div",
                orders_section(sight, sound, found),
                element("div", _beside(sight, sound)),
                class_="columns",
            ),
        ),
        element("script", Html(_own("page.js"))),
    )


def _beside(sight: Sight, asked: Asked) -> list[Html]:
    """Return what stands beside the orders: the requests, which are many, below what is short."""
    faults, remarks = faults_section(sight), remarks_section(sight)
    alone = asked.order_id is not None
    short = [faults] if sight.plan.faults and not alone else []
    short += [remarks] if sight.book.remarked and not alone else []
    rest = [section for section in (faults, remarks) if section not in short]
    return [*short, requests_section(sight, asked), *rest]


def _banner(sight: Sight, asked: Asked) -> Html:
    here = asked.address() if asked.problem is None else "/"
    return element(
        "header",
        element("h1", element("a", "VTEX sandbox", href="/")),
        element("code", sight.account),
        element(
            "div",
            element("label", "Order", for_="find"),
            element(
                "input",
                id="find",
                type="search",
                placeholder="id or seq…",
                autocomplete="off",
                spellcheck="false",
            ),
            id="finder",
            hidden=True,
        ),
        element("span", f"As of {sight.now:%H:%M:%S} UTC", id="live", role="status"),
        element("a", "Look again", href=here, id="again-link"),
        element("button", "Pause", type="button", id="pause", hidden=True),
    )
