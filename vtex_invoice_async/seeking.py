"""Who looks for what is in doubt, and what is told of that."""

from __future__ import annotations

from attrs import define

from vtex_invoice_async.errors import Doubt
from vtex_invoice_async.events import Resolved, Resolving
from vtex_invoice_async.options import Options
from vtex_invoice_async.resolve import Finding

__all__ = ["Seeker"]


@define(kw_only=True, eq=False, repr=False)
class Seeker:
    """A call that looks for what it, or an earlier one, may have done."""

    number: int
    """As events tell it."""

    operation: str
    order_id: str
    invoice_number: str | None
    options: Options
    began: float
    """When it began to look, by the loop's clock."""

    doubt: Doubt | None = None
    """What it looks for; None where the call was no invoice."""

    looks: int = 0
    """Reads for that so far."""

    def tell_look(self, looks: int, finding: Finding) -> None:
        """Tell of a read for its invoice."""
        self.looks = looks
        if self.options.observers is not None and self.invoice_number is not None:
            resolving = Resolving(
                call=self.number,
                order_id=self.order_id,
                invoice_number=self.invoice_number,
                looks=looks,
                finding=finding,
            )
            self.options.observers.tell(resolving)

    def tell_end(self, now: float, finding: Finding, *, is_repeated: bool = False) -> None:
        """Tell that it looks no longer."""
        if self.options.observers is not None:
            resolved = Resolved(
                call=self.number,
                operation=self.operation,
                order_id=self.order_id,
                invoice_number=self.invoice_number,
                finding=finding,
                looks=self.looks,
                seconds=now - self.began,
                is_repeated=is_repeated,
            )
            self.options.observers.tell(resolved)
