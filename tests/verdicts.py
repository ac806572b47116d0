"""What may not happen to invoices, and who sees it: only VTEX's side and the disk are believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from attrs import define, field, frozen

from tests.failures import POSTED
from tests.virtual_time import START
from vtex_invoice_async import InvoiceJob, InvoiceType, State
from vtex_invoice_async.jobs import Summary
from vtex_invoice_async.jobs.events import Event, Moved
from vtex_invoice_async.jobs.job import Record
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.sandbox.oracle import Oracle

__all__ = ["Charge", "Expected", "Key", "Verdict", "Witness", "key_of"]

Key: TypeAlias = tuple[str, str]
"""An order's id and an invoice's number."""

OPEN: Final = (State.IN_DOUBT, State.ABSENT, State.HELD)
TOLD: Final = (*OPEN, State.CONFIRMED, State.REJECTED, State.NOT_SENT, State.CONFLICT)


def key_of(job: InvoiceJob) -> Key:
    return job.order_id, job.invoice.invoice_number


class Verdict(StrEnum):
    """What a client is guilty of."""

    DOUBLED = "VTEX took an invoice twice"
    LOST = "told as confirmed, and VTEX has not taken it"
    ALTERED = "VTEX took what nobody had planned"
    MISREPORTED = "told as not taken, or as in conflict, and that is wrong"
    UNREPORTED = "not told at all, or told in counts that the disk does not have"
    UNRESOLVED = "left open though everything was calm"
    FORGOTTEN = "told before it was on the disk, which a crash forgets"
    UNINTENDED = "sent without an intent on the disk"
    TOGETHER = "sent while another invoice of its order was in doubt"
    TOO_EARLY = "a return sent before the sales that it is about"
    UNASKED = "a return sent once more without the user's word"
    LEAKED = "sent to somebody else"
    IMPATIENT = "sent while VTEX had asked for a pause"
    BROKEN = "an exception that no run may end with"


@frozen(kw_only=True)
class Charge:
    """One thing that a client did, and when: what to look at first."""

    verdict: Verdict
    about: str
    at: float | None = None
    """Seconds of the simulation; None for what was found at its end."""


@define(kw_only=True)
class Expected:
    """What is right."""

    values: dict[Key, set[int]]
    """Cents, of each invoice that somebody has asked for, in each of its versions."""

    refused: set[Key] = field(factory=set)
    """What VTEX does not take, for the order is worth less."""

    unknown: set[Key] = field(factory=set)
    """The same, for there is no such order: what is in doubt about it stays so."""

    contested: set[Key] = field(factory=set)
    """What the order has already, or nearly, with other contents."""

    resend_input: bool = False


@define(eq=False)
class Witness(Oracle):
    """VTEX's record, which looks at the disk whenever an invoice arrives."""

    expected: Expected
    store: MemoryStore = field(factory=MemoryStore)
    charges: list[Charge] = field(factory=list)
    pause: tuple[float, float] = (0.0, 0.0)
    """From when to when nothing may arrive, for VTEX has asked for it."""

    _places: dict[Key, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def note(self, operation: str, order_id: str, number: str | None, now: datetime) -> None:
        super().note(operation, order_id, number, now)
        at = (now - START).total_seconds()
        if operation == POSTED and number is not None:
            for verdict in self._seen((order_id, number), at):
                self.accuse(verdict, f"{order_id} {number}", at)

    def accuse(self, verdict: Verdict, about: str, at: float | None = None) -> None:
        self.charges.append(Charge(verdict=verdict, about=about, at=at))

    def hear(self, event: Event) -> None:
        """Compare what a run tells with the disk."""
        if isinstance(event, Moved):
            told = event.record
            kept = self.store.synced.records.get(told.seq)
            # Another process may have gone on with it.
            if kept is None or (kept != told and kept.change <= told.change):
                about = f"{told.order_id} {told.invoice_number}, as {told.state}"
                self.accuse(Verdict.FORGOTTEN, about)

    def compare(self, summary: Summary) -> None:
        """Compare what a run has counted at its end with the disk."""
        found = Counter(record.state for record in self.store.synced.records.values())
        if summary.conflict > found[State.CONFLICT]:
            return  # rows that the journal has in another version: it is those that are on the disk
        found[State.NOT_SENT] += found[State.PLANNED]  # what was never begun
        # What a run does not begin with is not in its counts, and what is open always is.
        for state in OPEN if summary.planned < found.total() else TOLD:
            if getattr(summary, state.value) != found[state]:
                told = f"{getattr(summary, state.value)} {state} told, {found[state]} on the disk"
                self.accuse(Verdict.UNREPORTED, told)

    def judge(self) -> Iterator[Charge]:
        """Yield what is to be said once everything is over and calm."""
        records = {(r.order_id, r.invoice_number): r for r in self.store.synced.records.values()}
        values, taken = self.expected.values, self.counted(POSTED)
        for key in sorted(values.keys() | taken.keys() | records.keys()):
            record = records.get(key) if key in values else None
            verdict = self._judged(key, record, taken[key])
            if verdict is not None:
                state = "unknown" if record is None else record.state
                about = f"{key[0]} {key[1]}: {state}, taken {taken[key]} times"
                yield Charge(verdict=verdict, about=about)
        for done in self.applied:
            key = (done.order_id, done.invoice_number or "")
            if done.operation == POSTED and done.value not in values.get(key, ()):
                about = f"{key[0]} {key[1]}: {done.value} cents"
                yield Charge(verdict=Verdict.ALTERED, about=about)

    def _judged(self, key: Key, record: Record | None, taken: int) -> Verdict | None:
        expected = self.expected
        if taken > 1:
            return Verdict.DOUBLED
        if record is None:
            return Verdict.UNREPORTED
        match record.state:
            case State.CONFIRMED:
                return None if taken else Verdict.LOST
            case State.REJECTED:
                is_right = key in expected.refused | expected.unknown | expected.contested
                return None if is_right and not taken else Verdict.MISREPORTED
            case State.CONFLICT:
                return None if key in expected.contested else Verdict.MISREPORTED
            case State.ABSENT | State.HELD:
                return Verdict.MISREPORTED if taken else None
            case State.IN_DOUBT if key in expected.unknown:
                return None
            case _:
                return Verdict.UNRESOLVED

    def _seen(self, key: Key, at: float) -> Iterator[Verdict]:
        if self.pause[0] < at < self.pause[1]:
            yield Verdict.IMPATIENT
        order = self._order(key[0])
        mine = order.get(key[1])
        if mine is None or mine.state is not State.IN_DOUBT:
            yield Verdict.UNINTENDED
            return
        others = [record for record in order.values() if record is not mine]
        if any(other.state is State.IN_DOUBT for other in others):
            yield Verdict.TOGETHER
        if mine.type is InvoiceType.INPUT:
            sales = [other for other in others if other.type is InvoiceType.OUTPUT]
            if not all(sale.state is State.CONFIRMED for sale in sales):
                yield Verdict.TOO_EARLY
            if mine.resent and not self.expected.resend_input:
                yield Verdict.UNASKED

    def _order(self, order_id: str) -> dict[str, Record]:
        found = self.store.synced.records
        if len(self._places) != len(found):
            self._places = {(r.order_id, r.invoice_number): seq for seq, r in found.items()}
        return {
            number: found[seq] for (order, number), seq in self._places.items() if order == order_id
        }
