"""What the page is asked for: every parameter is read here, and what makes no sense is told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

from attrs import evolve, frozen

from vtex_invoice_async.sandbox.page.markup import shortened

__all__ = ["Asked", "read_query"]

_PAGE: Final = re.compile("[1-9][0-9]{0,8}")
_KEYS: Final = ("order", "page", "requests")
_LONGEST: Final = 500


@frozen(kw_only=True)
class Asked:
    """Which orders and which requests somebody wants to see."""

    order_id: str | None = None
    page: int = 1
    odd: bool = False
    problem: str | None = None
    """What is wrong with the address; the rest is then as if nothing was asked for."""

    def address(self, *, page: int | None = None, odd: bool | None = None) -> str:
        """Return where the same is, but for what is given."""
        asked = evolve(
            self,
            page=self.page if page is None else page,
            odd=self.odd if odd is None else odd,
        )
        pairs = [
            *([("order", asked.order_id)] if asked.order_id is not None else []),
            *([("page", str(asked.page))] if asked.page > 1 else []),
            *([("requests", "odd")] if asked.odd else []),
        ]
        return "/?" + urlencode(pairs, errors="replace") if pairs else "/"


def read_query(pairs: Iterable[tuple[str, str]]) -> Asked:
    """Return what the parameters ask for."""
    given = list(pairs)
    found = dict(given)
    problem = _problem(given, found)
    if problem is not None:
        return Asked(problem=problem)
    return Asked(
        order_id=found.get("order"),
        page=int(found.get("page", "1")),
        odd=found.get("requests") == "odd",
    )


def _problem(given: list[tuple[str, str]], found: dict[str, str]) -> str | None:
    unknown = next((name for name in found if name not in _KEYS), None)
    if unknown is not None:
        return f"There is no parameter {shortened(unknown, 50)!r}: use {', '.join(_KEYS)}."
    twice = [name for name, times in Counter(name for name, _ in given).items() if times > 1]
    if twice:
        return f"Give {twice[0]} once."
    if not 0 < len(found.get("order", "x")) <= _LONGEST:
        return f"order must be the id of an order, of {_LONGEST} characters at most."
    if not _PAGE.fullmatch(found.get("page", "1")):
        return "page must be a whole number, from 1."
    if found.get("requests", "all") not in {"all", "odd"}:
        return "requests must be all or odd."
    return None
