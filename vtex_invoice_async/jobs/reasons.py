"""Why invoices are not confirmed: the same reason once, with its count and with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import define, field, frozen

from vtex_invoice_async.jobs.job import Record
from vtex_invoice_async.outcome import State
from vtex_invoice_async.preflight import RULES
from vtex_invoice_async.vocabulary import InvoiceType

__all__ = ["NEEDY", "SENT_TWICE", "Place", "Reason", "Reasons", "sent_twice"]

NEEDY: Final = (
    State.CONFLICT,
    State.IN_DOUBT,
    State.ABSENT,
    State.HELD,
    State.REJECTED,
    State.NOT_SENT,
)
"""The states that have a reason, those first that need a person most."""

SHOWN_PLACES: Final = 3

ON_ITS_WAY: Final = "it was on its way, and nothing is known of an answer"

DOUBTED: Final = "; it may have been applied"
"""With which goes on what was said of a doubt when it arose."""

SENT_TWICE: Final = (
    "they were sent twice, and their orders show neither: look at the orders in VTEX Admin, and "
    "enter there what is still missing"
)
"""What to do about those that no run sends any more. Under another number they could be doubled:
what VTEX shows late is still there.
"""

MOST_KINDS: Final = 1_000
"""That are told apart: VTEX's words may differ in each of a million answers."""


@frozen(kw_only=True)
class Place:
    """One of the invoices that a reason is about."""

    line: int | None
    """In its file."""

    order_id: str
    invoice_number: str


@frozen(kw_only=True)
class Reason:
    """What keeps so many invoices from being confirmed."""

    state: State
    status: int | None
    """Of VTEX's answer, if one came."""

    code: str | None
    """VTEX's own, or that of a rule."""

    message: str | None
    """VTEX's words, or ours, about the first of them."""

    count: int
    advice: str
    first: tuple[Place, ...]
    """Some of them."""


def sent_twice(reasons: Iterable[Reason]) -> int:
    """Return how many invoices no run goes on with, though they are not final."""
    return sum(reason.count for reason in reasons if reason.advice == SENT_TWICE)


_Kind = tuple[State, int | None, str | None, str | None, str]


@define(eq=False)
class _Group:
    """The invoices of one kind: nothing of them is kept that grows with what they hold."""

    message: str | None
    count: int = 0
    first: list[Place] = field(factory=list)


class Reasons:
    """Counts invoices by their reason, in memory that does not grow with them."""

    def __init__(self) -> None:
        self._groups: dict[_Kind, _Group] = {}

    def add(self, record: Record) -> None:
        """Count *record*, unless its state needs no reason."""
        if record.state not in NEEDY:
            return
        words, shape = _words(record), _shape(record)
        advice = _advice(record)
        kind: _Kind = (record.state, record.status, record.code, shape, advice)
        if kind not in self._groups and len(self._groups) >= MOST_KINDS:
            kind, words = (record.state, None, None, None, advice), None
        group = self._groups.setdefault(kind, _Group(words))
        group.count += 1
        if len(group.first) < SHOWN_PLACES:
            group.first.append(
                Place(
                    line=record.line,
                    order_id=record.order_id,
                    invoice_number=record.invoice_number,
                )
            )

    def found(self) -> Sequence[Reason]:
        """Return the reasons: by state, and of one state the most frequent first."""
        found = [
            Reason(
                state=state,
                status=status,
                code=code,
                message=group.message,
                count=group.count,
                advice=advice,
                first=tuple(group.first),
            )
            for (state, status, code, _, advice), group in self._groups.items()
        ]
        return sorted(found, key=lambda reason: (NEEDY.index(reason.state), -reason.count))


def _words(record: Record) -> str | None:
    is_open = record.state is State.IN_DOUBT and record.status is None
    message = record.message
    if message is not None and record.state in {State.IN_DOUBT, State.ABSENT}:
        # What to do is the advice, and once an order was read it is another one.
        message, _, _ = message.partition(DOUBTED)
    return message or (ON_ITS_WAY if is_open else None)


def _shape(record: Record) -> str | None:
    """Return a message without what differs between two invoices: names and numbers."""
    words = _words(record)
    if words is None:
        return None
    for name in (record.order_id, record.invoice_number):
        words = words.replace(name, "#")
    return re.sub(r"\S*\d\S*", "#", words)


def _advice(record: Record) -> str:
    match record.state:
        case State.REJECTED:
            return _advice_on_rejection(record.status, record.code)
        case State.NOT_SENT:
            return "`resume` sends them"
        case State.IN_DOUBT:
            return "`resume` and `resolve` read their orders; send them by no other way meanwhile"
        case State.ABSENT if record.resent:
            return SENT_TWICE
        case State.ABSENT if record.type is InvoiceType.INPUT:
            return "they refund shoppers, and go once more with `resume --resend-input` alone"
        case State.ABSENT:
            return "`resume` sends them once more"
        case State.HELD:
            return "`resume` sends them once the invoices that they wait for are confirmed"
        case _:
            return "their orders have these numbers with other contents: a person has to look"


def _advice_on_rejection(status: int | None, code: str | None) -> str:
    if status in {401, 403}:
        return "see what the credentials may do: `vtex-invoice doctor`"
    if status == 404:
        return "see whether the account has these orders; correct their ids and send them again"
    if status == 409:
        return "the status of their orders does not allow it: look at the orders"
    if status is None and code in RULES:
        return "correct them by what the README says of this code, and send them again"
    return "correct them and send them again"
