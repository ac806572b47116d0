"""What a journal knows of an invoice, how that may change, and what a run does next about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, TypedDict

import orjson
from attrs import field, fields, frozen
from cattrs.errors import BaseValidationError

from vtex_invoice_async.errors import Doubt, InvalidInvoice
from vtex_invoice_async.models import Invoice
from vtex_invoice_async.operations import NotifyInvoice
from vtex_invoice_async.outcome import InvoiceJob, State
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi
from vtex_invoice_async.wire import problems_of, row_converter

__all__ = [
    "AT",
    "COLUMNS",
    "FINAL",
    "TRANSITIONS",
    "Changes",
    "Entering",
    "Entry",
    "Facts",
    "Record",
    "Round",
    "Step",
    "anew",
    "changed",
    "digest",
    "entering",
    "is_begun",
    "next_step",
    "values_of",
]

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    # The way through IN_DOUBT is the only one to VTEX: an intent that was not settled is a doubt.
    # What is refused here, before it is begun, is rejected: a row of an earlier version may be.
    State.PLANNED: frozenset(
        {State.PLANNED, State.IN_DOUBT, State.NOT_SENT, State.HELD, State.REJECTED}
    ),
    State.IN_DOUBT: frozenset(
        {
            *(State.IN_DOUBT, State.CONFIRMED, State.REJECTED, State.NOT_SENT),
            *(State.ABSENT, State.CONFLICT),
        }
    ),
    # Sent once more, or shown by the order after all.
    State.ABSENT: frozenset({State.ABSENT, State.IN_DOUBT, State.CONFIRMED, State.CONFLICT}),
    State.REJECTED: frozenset({State.PLANNED}),
    State.NOT_SENT: frozenset({State.PLANNED}),
    State.HELD: frozenset({State.PLANNED}),
    State.CONFIRMED: frozenset(),
    State.CONFLICT: frozenset(),
}
"""From each state, those that may follow."""

FINAL: Final = frozenset({State.CONFIRMED, State.REJECTED, State.CONFLICT})
"""Where no run goes on by itself."""


def digest(content: bytes) -> bytes:
    """Return what tells *content* from any other."""
    return blake2b(content, digest_size=16).digest()


@frozen(kw_only=True)
class Entry:
    """An invoice as a plan asks for it."""

    order_id: str
    invoice_number: str
    type: InvoiceType
    value: int
    """Cents."""

    orders_api: OrdersApi
    body: bytes = field(repr=False)
    """What is sent: VTEX's JSON, in the dialect's names."""

    line: int | None = None
    """Where it stands in its file."""

    @property
    def invoice(self) -> Invoice:
        """The invoice that the body says."""
        return _invoice(self.body, self.orders_api)

    @classmethod
    def of(cls, job: InvoiceJob, orders_api: OrdersApi, line: int | None = None) -> Entry:
        """Return the entry of a job; raise `InvalidInvoice` where the dialect cannot say it."""
        operation = NotifyInvoice(order_id=job.order_id, invoice=job.invoice)
        return cls(
            order_id=job.order_id,
            invoice_number=job.invoice.invoice_number,
            type=job.invoice.type,
            value=job.invoice.invoice_value,
            orders_api=orders_api,
            body=encode(operation, orders_api).body or b"",
            line=line,
        )


@frozen
class Record:
    """An invoice as the journal knows it; made by name, or from a row of `COLUMNS`."""

    seq: int
    """Its place in the journal: 1, 2, ..."""

    change: int
    """Counts the journal's changes, and is that of the last one here: times are for people."""

    run: int
    """The run that asked for it last."""

    order_id: str
    invoice_number: str
    type: InvoiceType
    value: int
    orders_api: OrdersApi
    content: bytes
    """The digest of its body, which is kept for good."""

    line: int | None = None
    body: bytes | None = field(default=None, repr=False)
    """None once it is confirmed: it may name people."""

    state: State = State.PLANNED
    attempts: int = 0
    """Intents that were written down, over all runs."""

    resent: bool = False
    """Whether it was sent once more after it had been absent."""

    since: datetime | None = None
    """From when the settle window counts; None while an intent is open."""

    status: int | None = None
    code: str | None = None
    message: str | None = None
    confirmed_by: str | None = None
    receipt: str | None = None
    date: str | None = None
    """VTEX's own text."""

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON, in its dialect's names; empty where it is kept no more."""
        found: dict[str, Any] = orjson.loads(self.body or b"{}")
        return found

    @property
    def job(self) -> InvoiceJob:
        """What is to be sent; nothing that is confirmed can be.

        Raises `InvalidInvoice` where it is not taken any more.
        """
        invoice = _invoice(self.body or b"", self.orders_api)
        return InvoiceJob(order_id=self.order_id, invoice=invoice)

    def doubt(self, since: datetime) -> Doubt:
        """Return what to look for on the order."""
        return Doubt(
            order_id=self.order_id,
            invoice_number=self.invoice_number,
            type=self.type,
            value=self.value,
            orders_api=self.orders_api,
            since=since,
        )


COLUMNS: Final = tuple(attribute.name for attribute in fields(Record))
"""What a record is made of."""

AT: Final[Mapping[str, int]] = {name: at for at, name in enumerate(COLUMNS)}
"""Where each of them stands."""

_CHANGE: Final = AT["change"]
values_of: Final[Callable[[Record], tuple[Any, ...]]] = attrgetter(*COLUMNS)
"""What a record is made of, as a row."""


def changed(record: Record, change: int, changes: Changes) -> list[Any]:
    """Return, as a row, what *changes* make of a record: the journal's change of that number."""
    # What `evolve` does, in a third of the time: a run makes two for each invoice.
    values = list(values_of(record))
    values[_CHANGE] = change
    for name, value in changes.items():
        values[AT[name]] = value
    return values


def _invoice(body: bytes, orders_api: OrdersApi) -> Invoice:
    try:
        return row_converter(orders_api).structure(orjson.loads(body), Invoice)
    except BaseValidationError as error:
        # An earlier version took it; the rules have grown since.
        raise InvalidInvoice(problems_of(error, orders_api)) from None


class Facts(TypedDict, total=False):
    """What is known of an outcome, as a record names it."""

    since: datetime | None
    resent: bool
    status: int | None
    code: str | None
    message: str | None
    confirmed_by: str | None
    receipt: str | None
    date: str | None


class Changes(Facts, total=False):
    """What becomes otherwise in a record."""

    run: int
    line: int | None
    type: InvoiceType
    value: int
    orders_api: OrdersApi
    content: bytes
    body: bytes | None
    state: State
    attempts: int


def anew(entry: Entry, content: bytes, run: int) -> Changes:
    """Return what planning an entry anew changes in the record that is there: all but its attempts."""
    return Changes(
        run=run,
        type=entry.type,
        value=entry.value,
        orders_api=entry.orders_api,
        line=entry.line,
        content=content,
        body=entry.body,
        state=State.PLANNED,
        resent=False,
        since=None,
        status=None,
        code=None,
        message=None,
        confirmed_by=None,
        receipt=None,
        date=None,
    )


class Entering(Enum):
    """What becomes of an entry whose invoice the journal knows already."""

    SKIP = "it is confirmed, or on its way"
    PLAN = "it is planned anew, as the entry says"
    REFUSE = "the journal holds it with other contents"


_REPLACEABLE: Final = frozenset({State.PLANNED, State.REJECTED, State.NOT_SENT, State.HELD})


def is_begun(known: Record) -> bool:
    """Whether VTEX may have, or has had, an invoice as it is *known*; else an entry replaces it."""
    return known.state not in _REPLACEABLE


def entering(known: Record, content: bytes) -> Entering:
    """Return what becomes of an entry for an invoice that is *known* already."""
    if not is_begun(known):
        return Entering.PLAN
    return Entering.SKIP if known.content == content else Entering.REFUSE


class Step(Enum):
    """What comes next for an invoice."""

    DONE = "nothing"
    SEND = "send it"
    RESOLVE = "read its order"
    HOLD = "hold it back for good in this run"
    WAIT = "leave it, and what follows it on its order, for the end of the run"


@frozen(kw_only=True)
class Round:
    """One of a run's two rounds over its invoices, and how far it goes."""

    is_last: bool = False
    """Whether it is the second, in which doubts are waited out."""

    reads_only: bool = False
    resend_input: bool = False


def next_step(
    record: Record, order: Iterable[Record], round_: Round, *, is_proven: bool = False
) -> Step:
    """Return what comes next for *record*, in the light of all of its order's invoices.

    *is_proven* says that a read of this run has proven its absence. An Output waits for doubts about
    others of its order, an Input for all of its Outputs: VTEX refunds by what was invoiced.
    """
    others = [other for other in order if other.seq != record.seq]
    if record.state is State.IN_DOUBT:
        return Step.RESOLVE
    if record.state is State.ABSENT:
        return _about_absent(record, others, round_, is_proven=is_proven)
    if record.state is not State.PLANNED or round_.reads_only:
        return Step.DONE
    if any(other.state is State.IN_DOUBT for other in others):
        return Step.HOLD if round_.is_last else Step.WAIT
    if _has_its_outputs(record, others):
        return Step.SEND
    may_still = any(other.state is State.ABSENT for other in others) and not round_.is_last
    return Step.WAIT if may_still else Step.HOLD


def _about_absent(
    record: Record, others: Iterable[Record], round_: Round, *, is_proven: bool
) -> Step:
    if not round_.is_last:
        return Step.DONE
    # The proof of an earlier run is old: somebody may have invoiced the order since.
    if not is_proven:
        return Step.RESOLVE
    allowed = record.type is InvoiceType.OUTPUT or round_.resend_input
    may_send = allowed and not record.resent and not round_.reads_only
    in_doubt = any(other.state is State.IN_DOUBT for other in others)
    is_free = not in_doubt and _has_its_outputs(record, others)
    return Step.SEND if may_send and is_free else Step.DONE


def _has_its_outputs(record: Record, others: Iterable[Record]) -> bool:
    """Whether VTEX has what an invoice is about: an Input, all Outputs of its order."""
    return record.type is InvoiceType.OUTPUT or all(
        other.state is State.CONFIRMED for other in others if other.type is InvoiceType.OUTPUT
    )
