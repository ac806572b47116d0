"""Is the invoice on the order? What a read of the order proves about a doubt, and when to look.

https://developers.vtex.com/docs/api-reference/orders-api#get-/api/oms/pvt/orders/-orderId-
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import define, field

from vtex_invoice_async.errors import Doubt
from vtex_invoice_async.models import Order, Package

__all__ = ["LOOK_AFTER", "Finding", "Search", "judge"]

LOOK_AFTER: Final = (1.0, 3.0, 8.0, 20.0, 45.0, 90.0, 180.0)
"""Seconds after the doubt at which to look, before the window's end."""

SPREAD: Final = 0.1
"""The part by which chance makes a wait longer, so that clients do not look in step."""

FEWEST_LOOKS: Final = 3
"""Clean reads without the invoice that make its absence believable."""


class Finding(StrEnum):
    """What a read of an order says of a doubt."""

    PRESENT = "present"
    ABSENT = "absent"
    """Not there now, which proves nothing before the window has passed."""

    CONFLICT = "conflict"
    """There, or nearly, with other contents."""

    NO_EVIDENCE = "no evidence"


def judge(order: Order, doubts: Iterable[Doubt]) -> Mapping[Doubt, Finding]:
    """Return what one read of an order says of each of its *doubts*.

    Only number, type and value count: VTEX rewrites the items and descriptions of what it shows.
    """
    return {doubt: _judge(order, doubt) for doubt in doubts}


def _judge(order: Order, doubt: Doubt) -> Finding:
    packages = order.packages
    if order.order_id != doubt.order_id or packages is None:
        return Finding.NO_EVIDENCE
    if not all(package.invoice_number for package in packages):
        return Finding.NO_EVIDENCE
    found = {_compare(package, doubt) for package in packages}
    # The number twice, once right and once wrong, is for a person too.
    if Finding.CONFLICT in found:
        return Finding.CONFLICT
    return Finding.PRESENT if Finding.PRESENT in found else Finding.ABSENT


def _compare(package: Package, doubt: Doubt) -> Finding:
    number = package.invoice_number or ""
    if number == doubt.invoice_number:
        same = package.type == doubt.type and package.invoice_value == doubt.value
        return Finding.PRESENT if same else Finding.CONFLICT
    # VTEX compares letter by letter; what differs only so much was meant to be the same.
    return Finding.CONFLICT if _near(number) == _near(doubt.invoice_number) else Finding.ABSENT


def _near(number: str) -> str:
    return number.strip().casefold().lstrip("0")


@define(eq=False, repr=False)
class Search:
    """What reads have shown of one doubt so far; seconds count from the doubt."""

    since: datetime
    """The moment of the doubt."""

    window: float
    """The settle window."""

    began: float = 0
    """When the search began: a doubt may be older."""

    chance: float = 0
    """In [0, 1): spreads the looks of one client from those of another."""

    finding: Finding = Finding.NO_EVIDENCE
    """What is proven: `ABSENT` only at the end of the window."""

    is_over: bool = False
    looks: int = 0
    clean_looks: int = 0
    last_look: float = -1
    due: float = field(init=False)
    """When to look next."""

    order: Order | None = None
    """As it was read, once that has settled it."""

    reason: str = "the order was not read yet"
    """Why it is not known, for people."""

    refused_with: int | None = None
    """The status with which VTEX refused to show the order."""

    _late_looks: int = 0
    _packages: int = 0

    def __attrs_post_init__(self) -> None:
        self.due = self._after(self.began)

    def widen(self, window: float) -> None:
        """Let absence be believed no sooner than after *window*: what is found is for all who look."""
        self.window = max(self.window, window)

    def elapsed(self, now: datetime) -> float:
        """Return the seconds from the doubt to *now*."""
        return (now - self.since).total_seconds()

    def miss(self, asked: float, now: float, reason: str) -> None:
        """Count a look, asked for at *asked* and ended *now*, that showed nothing, and why.

        What is over stays so: nothing that is read later undoes a proof.
        """
        if self.is_over:
            return
        self.reason = reason
        self.looks += 1
        self.last_look = max(self.last_look, asked)
        self._late_looks += asked >= self.window
        self.due = self._after(now)
        # Past the window it is looked for some time more: reads may have failed until now.
        enough = self._late_looks >= FEWEST_LOOKS
        self.is_over = enough and asked >= max(2 * self.window, self.began + self.window)

    def see(self, order: Order, finding: Finding, asked: float, now: float) -> Finding:
        """Take in a read that was asked for at *asked*; return what it is worth."""
        if self.is_over:
            return Finding.NO_EVIDENCE
        self.miss(asked, now, f"the order does not show it after {asked:.0f} s")
        packages = len(order.packages or ())
        if finding is Finding.ABSENT and packages < self._packages:
            # Invoices do not go away: this is an old or a partial answer.
            finding = Finding.NO_EVIDENCE
        if finding is not Finding.NO_EVIDENCE:
            self._packages = max(self._packages, packages)
        if finding in {Finding.PRESENT, Finding.CONFLICT}:
            self.finding = finding
            self.is_over = True
            self.order = order
        elif finding is Finding.ABSENT:
            self.clean_looks += 1
            if asked >= self.window and self.clean_looks >= FEWEST_LOOKS:
                self.finding = Finding.ABSENT
                self.is_over = True
        return finding

    def _after(self, now: float) -> float:
        """Return when to look next, *now* being over."""
        stretch = 1 + SPREAD * self.chance
        early = [t * stretch for t in LOOK_AFTER if t * stretch < self.window]
        later = [t for t in (*early, self.window) if t > now]
        if later:
            return later[0]
        if not self._late_looks:
            return now
        return now + stretch * min(2.0 ** min(self._late_looks - 1, 30), self.window / 8)
