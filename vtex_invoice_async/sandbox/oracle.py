"""The record of what arrived and of what VTEX did, whatever was answered: only ever added to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from attrs import frozen

__all__ = ["Entry", "Oracle"]

TAKEN: Final = "notify_invoice"


@frozen(kw_only=True)
class Entry:
    """A request that came in whole, or something that VTEX did for one."""

    at: datetime
    operation: str
    order_id: str
    invoice_number: str | None
    value: int | None = None
    """Cents, of an invoice that was taken."""


class Oracle:
    """What a test, or a person, may believe."""

    def __init__(self) -> None:
        self._arrived: list[Entry] = []
        self._applied: list[Entry] = []
        self._counts: dict[str, Counter[tuple[str, str]]] = {}
        self._again: dict[tuple[str, str], None] = {}

    @property
    def arrived(self) -> Sequence[Entry]:
        """Every request that came in whole, in its order."""
        return tuple(self._arrived)

    @property
    def applied(self) -> Sequence[Entry]:
        """Everything that was done, in its order."""
        return tuple(self._applied)

    def note(self, operation: str, order_id: str, number: str | None, now: datetime) -> None:
        """Add an arrival."""
        entry = Entry(at=now, operation=operation, order_id=order_id, invoice_number=number)
        self._arrived.append(entry)

    def record(
        self,
        operation: str,
        order_id: str,
        number: str | None,
        now: datetime,
        value: int | None = None,
    ) -> None:
        """Add something that was done."""
        self._applied.append(
            Entry(
                at=now, operation=operation, order_id=order_id, invoice_number=number, value=value
            )
        )
        key = order_id, number or ""
        counts = self._counts.setdefault(operation, Counter())
        counts[key] += 1
        if operation == TAKEN and counts[key] > 1:
            self._again.pop(key, None)
            self._again[key] = None

    @property
    def taken(self) -> int:
        """How many invoices there are that were taken, however often each."""
        return len(self._counts.get(TAKEN, ()))

    @property
    def taken_again(self) -> int:
        """How many of them were taken more than once."""
        return len(self._again)

    def latest_again(self, most: int) -> list[tuple[str, str, int]]:
        """Return order id, number and times of those taken more than once, the latest first."""
        counts = self._counts.get(TAKEN, Counter())
        return [(*key, counts[key]) for key in islice(reversed(self._again), most)]

    def counted(self, operation: str) -> Counter[tuple[str, str]]:
        """Return how often an operation was done, by order id and invoice number."""
        return self._counts.get(operation, Counter()).copy()
