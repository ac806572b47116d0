"""The record of what arrived and of what VTEX did, whatever was answered: only ever added to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

__all__ = ["Entry", "Oracle"]


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

    def counted(self, operation: str) -> Counter[tuple[str, str]]:
        """Return how often an operation was done, by order id and invoice number."""
        return Counter(
            (done.order_id, done.invoice_number or "")
            for done in self._applied
            if done.operation == operation
        )
