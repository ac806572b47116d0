"""What an order's document is made from: the order, and what goes with it by its id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

from attrs import field, frozen

from vtex_invoice_async.models import InvoiceType, Order, OrderItem, OrderStatus
from vtex_invoice_async.sandbox.dates import dotnet
from vtex_invoice_async.sandbox.documents.customers import Customer, customer_of
from vtex_invoice_async.sandbox.filed import Cancellation, CancelRequest, Filed, Shown, Times
from vtex_invoice_async.sandbox.statuses import UNPAID, Status, after_cancel

__all__ = ["SHOP", "SITE", "Facts", "product_name"]

SHOP: Final = "sandbox"
SITE: Final = "https://sandbox.example"

_OPENED: Final = datetime(2026, 1, 2, 9, 0, tzinfo=UTC)
"""When the first of the made-up orders was made; the others follow within four weeks."""

_REASON: Final = "Cancelado na caixa de areia"


def product_name(line: OrderItem) -> str:
    """Return how the catalog calls what a line sells."""
    return f"Produto {line.id}"


@frozen(kw_only=True)
class Facts:
    """An order for a reader of the OMS paths or of the *document* paths (PII)."""

    order: Order
    filed: tuple[Filed, ...]
    times: Times
    came_in: Status
    document: bool
    customer: Customer
    masked: bool
    created_at: datetime = field(init=False)
    is_picked_up: bool = field(init=False)
    """Whether the shopper fetches the parcel: one in four does."""

    freights: tuple[int, ...] = field(init=False)
    """The freight of each line; together the order's, to the cent."""

    @created_at.default
    def _created_at(self) -> datetime:
        return _OPENED + timedelta(microseconds=int(self.code("created"), 16) % 2_419_200_000_000)

    @is_picked_up.default
    def _is_picked_up(self) -> bool:
        return int(self.code("delivery"), 16) % 4 == 0

    @freights.default
    def _freights(self) -> tuple[int, ...]:
        lines = max(len(self.order.items), 1)
        share, rest = divmod(self.total("Shipping"), lines)
        return tuple(share + (index < rest) for index in range(lines))

    @classmethod
    def of(cls, shown: Shown, *, document: bool, masked: bool) -> Facts:
        """Gather them; where *masked*, the shopper is hardly seen."""
        customer = customer_of(shown.order.order_id)
        return cls(
            order=shown.order,
            filed=shown.filed,
            times=shown.times,
            came_in=shown.came_in,
            document=document,
            customer=customer.masked() if masked else customer,
            masked=masked,
        )

    def code(self, what: str) -> str:
        """Return 32 hexadecimal digits: the same for the same thing of the same order."""
        named = f"{self.order.order_id}\n{what}".encode()
        return blake2b(named, digest_size=16).hexdigest().upper()

    def guid(self, what: str) -> str:
        """Return the same as an id with hyphens."""
        code = self.code(what).lower()
        return "-".join((code[:8], code[8:12], code[12:16], code[16:20], code[20:]))

    def text(self, moment: datetime) -> str:
        """Return a moment as the pages of these paths show it."""
        text = dotnet(moment)
        return text.replace("+00:00", "Z") if self.document else text

    def optional_text(self, moment: datetime | None) -> str | None:
        """Return the same, and null for what did not happen."""
        return None if moment is None else self.text(moment)

    def total(self, name: str) -> int:
        """Return a part of the order's value, in cents."""
        return sum(total.value for total in self.order.totals if total.id == name)

    @property
    def is_to_be_canceled(self) -> bool:
        """Whether VTEX would take a request to cancel it."""
        kinds = {filed.package.type for filed in self.filed}
        sold, returned = InvoiceType.OUTPUT in kinds, InvoiceType.INPUT in kinds
        return after_cancel(self.order.status, sold=sold, returned=returned) is not None

    @property
    def estimated_at(self) -> datetime:
        """When the parcel is to be there."""
        return self._paid_at + timedelta(days=4)

    @property
    def authorized_at(self) -> datetime | None:
        """When the payment was approved, if it was."""
        paid_at = None if self.came_in in UNPAID else self._paid_at
        return self.times.authorized_at or paid_at

    @property
    def invoiced_at(self) -> datetime | None:
        """When the order was invoiced as a whole, if it was."""
        came_in_so = self.came_in == OrderStatus.INVOICED
        made_up = self._paid_at + timedelta(hours=1) if came_in_so else None
        return self.times.invoiced_at or made_up

    @property
    def cancellations(self) -> tuple[Cancellation, ...]:
        """The requests to cancel it, in their order."""
        if self.came_in not in {OrderStatus.CANCELLATION_REQUESTED, OrderStatus.CANCELED}:
            return self.times.cancellations
        asked = CancelRequest(reason=_REASON, requested_by_user=True)
        made_up = Cancellation(at=self._paid_at + timedelta(minutes=10), request=asked)
        return made_up, *self.times.cancellations

    @property
    def canceled_at(self) -> datetime | None:
        """When the order was canceled, if it was."""
        made_up = self.cancellations[0].at if self.came_in == OrderStatus.CANCELED else None
        return self.times.canceled_at or made_up

    @property
    def changed_at(self) -> datetime:
        """When anything happened last."""
        happened = [self.authorized_at, self.invoiced_at, self.times.changed_at]
        happened += [asked.at for asked in self.cancellations]
        return max([self.created_at, *(moment for moment in happened if moment is not None)])

    @property
    def _paid_at(self) -> datetime:
        return self.created_at + timedelta(minutes=7)
