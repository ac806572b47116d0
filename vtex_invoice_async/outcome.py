"""Invoices as work: what is to be sent, and how it ended."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from attrs import frozen

from vtex_invoice_async import checks
from vtex_invoice_async.errors import (
    CallError,
    ConfigError,
    Doubt,
    InvalidInvoice,
    InvoiceAbsent,
    InvoiceConflict,
    NotSent,
    RateLimited,
    Rejected,
    VtexInvoiceError,
)
from vtex_invoice_async.models import Invoice, Receipt
from vtex_invoice_async.value import Value
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["InvoiceJob", "Outcome", "State", "state_of"]


class State(StrEnum):
    """How it stands with an invoice; as text it is what reports and exports say."""

    PLANNED = "planned"
    """A job holds it and has not begun it."""

    CONFIRMED = "confirmed"
    """VTEX recorded it."""

    REJECTED = "rejected"
    """VTEX refused it and did not act."""

    NOT_SENT = "not_sent"
    """No byte left, or VTEX was throttling: it may be sent again."""

    ABSENT = "absent"
    """It was in doubt, and the order has not shown it for the whole settle window."""

    CONFLICT = "conflict"
    """The order shows this number, or nearly, with other contents."""

    IN_DOUBT = "in_doubt"
    """VTEX may have recorded it: read the order before anything else."""

    HELD = "held"
    """It waits for another invoice of its order, of which it is not known that VTEX recorded it."""

    INVALID = "invalid"
    """Refused here."""


@frozen(kw_only=True, eq=False, repr=False)
class InvoiceJob(Value):
    """An invoice to be sent, and the order it is for; `InvalidInvoice` where it is neither."""

    order_id: str
    invoice: Invoice

    def __attrs_post_init__(self) -> None:
        checks.refuse(checks.name("orderId", self.order_id, "order-id"))
        checks.require(Invoice, "invoice", self.invoice)

    def doubt(self, orders_api: OrdersApi, since: datetime) -> Doubt:
        """Return what `client.resolve` looks for, where the invoice may have left at *since*.

        That is for intents in a store of your own: `OutcomeUnknown` has a doubt already.
        """
        return Doubt(
            order_id=self.order_id,
            invoice_number=self.invoice.invoice_number,
            type=self.invoice.type,
            value=self.invoice.invoice_value,
            orders_api=orders_api,
            since=since,
        )


@frozen(kw_only=True, eq=False, repr=False)
class Outcome(Value):
    """How a job ended: with a *receipt* or with an *error*."""

    job: InvoiceJob
    state: State
    receipt: Receipt | None = None
    """Only where it is `CONFIRMED`."""

    error: VtexInvoiceError | None = None
    """What `notify_invoice` would have raised; of an `OutcomeUnknown`, *doubt* goes to `resolve`."""

    attempts: int
    """How often it was tried; 0 where it was refused here."""

    elapsed: float
    """Seconds from taking the job to its end, waiting for a free connection included."""


def state_of(error: ConfigError | InvalidInvoice | CallError) -> State:
    """Return the state in which *error* leaves an invoice; what proves nothing leaves it in doubt."""
    match error:
        case ConfigError():
            # The client was closed after the job was taken: it is told, not lost.
            return State.NOT_SENT
        case InvalidInvoice():
            return State.INVALID
        case NotSent() | RateLimited():
            return State.NOT_SENT
        case Rejected():
            return State.REJECTED
        case InvoiceAbsent():
            return State.ABSENT
        case InvoiceConflict():
            return State.CONFLICT
        case _:
            return State.IN_DOUBT
