"""What may not happen to invoices, and who sees it: only VTEX's side and the disk are believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeAlias

from attrs import define, field, frozen

from tests.failures import POSTED
from tests.virtual_time import START
from vtex_invoice_async import Invoice, InvoiceJob, InvoiceType, Package, State
from vtex_invoice_async.jobs import Summary
from vtex_invoice_async.jobs.events import Event, Moved, Refused
from vtex_invoice_async.jobs.job import FINAL, Record
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.oracle import Oracle

__all__ = ["Charge", "Expected", "Key", "Verdict", "Witness", "key_of"]

Key: TypeAlias = tuple[str, str]
"""An order's id and an invoice's number."""

TOLD: Final = (
    *(State.CONFIRMED, State.REJECTED, State.NOT_SENT, State.IN_DOUBT),
    *(State.ABSENT, State.CONFLICT, State.HELD),
)
"""What a summary counts."""

SETTLED: Final = (*(State.CONFIRMED, State.REJECTED, State.ABSENT, State.CONFLICT, State.HELD),)
"""Where an invoice only gets by an outcome, which is told."""


def key_of(job: InvoiceJob) -> Key:
    return job.order_id, job.invoice.invoice_number


class Verdict(StrEnum):
    """What a client is guilty of."""

    DOUBLED = "VTEX took an invoice twice"
    LOST = "told as confirmed, and VTEX has not taken it"
    ALTERED = "VTEX took what nobody had planned"
    MISREPORTED = "told as not taken, or as in conflict, and that is wrong"
    UNREPORTED = "not told, or counted as the disk does not have it"
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

    versions: dict[Key, list[Invoice]]
    """Of each invoice, all that somebody has asked for."""

    refused: set[Key] = field(factory=set)
    """What VTEX does not take, for the order is worth less."""

    unknown: set[Key] = field(factory=set)
    """The same, for there is no such order: what is in doubt about it stays so."""

    contested: set[Key] = field(factory=set)
    """The same, for the order has this number with another type."""

    near: set[Key] = field(factory=set)
    """What the order has, or nearly, with other contents, and VTEX takes all the same."""

    resend_input: bool = False

    @property
    def not_taken(self) -> set[Key]:
        return self.refused | self.unknown | self.contested


@define(eq=False)
class Witness(Oracle):
    """VTEX's record, which looks at the disk whenever something arrives or is told."""

    expected: Expected
    store: MemoryStore = field(factory=MemoryStore)
    charges: list[Charge] = field(factory=list)
    pause: tuple[float, float] = (0.0, 0.0)
    """From when to when nothing may arrive, for VTEX has asked for it."""

    _before: Mapping[int, Record] = field(factory=dict)
    """What was on the disk when the run began."""

    _told: dict[int, Record] = field(factory=dict)
    """What the run has told last of each invoice."""

    _refused: int = 0
    """Rows of which it told that the journal has them in another version."""

    _places: dict[Key, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def begin(self) -> None:
        """Take note that a run begins, to which nobody has said anything yet."""
        self.pause = (0.0, 0.0)
        self._before = self.store.synced.records
        self._told = {}
        self._refused = 0

    def note(self, operation: str, order_id: str, number: str | None, now: datetime) -> None:
        super().note(operation, order_id, number, now)
        at = (now - START).total_seconds()
        if self.pause[0] < at < self.pause[1]:
            self.accuse(Verdict.IMPATIENT, f"{operation} {order_id}", at)
        if operation == POSTED and number is not None:
            for verdict in self._seen((order_id, number)):
                self.accuse(verdict, f"{order_id} {number}", at)

    def accuse(self, verdict: Verdict, about: str, at: float | None = None) -> None:
        self.charges.append(Charge(verdict=verdict, about=about, at=at))

    def hear(self, event: Event) -> None:
        """Compare what a run tells with the disk."""
        self._refused += isinstance(event, Refused)
        if isinstance(event, Moved):
            told = event.record
            self._told[told.seq] = told
            if self.store.synced.records.get(told.seq) != told:
                about = f"{told.order_id} {told.invoice_number}, as {told.state}"
                self.accuse(Verdict.FORGOTTEN, about)

    def compare(self, summary: Summary, *, resumes: bool) -> None:
        """Compare what a run has told and counted at its end with the disk."""
        kept, before = self.store.synced.records, self._before
        run = max(self.store.synced.runs)
        scope = [
            record
            for record in kept.values()
            if (before[record.seq].state not in FINAL if resumes else record.run == run)
        ]
        found = Counter(record.state for record in scope)
        found[State.NOT_SENT] += found[State.PLANNED]  # what was never begun
        found[State.CONFLICT] += self._refused
        old = [r for r in scope if r.seq in before and before[r.seq].state is State.CONFIRMED]
        new = [record for record in scope if self._is_new(record)]
        by_order = sum(r.state is State.CONFIRMED and r.confirmed_by == "order" for r in new)
        counts = {state.value: found[state] for state in TOLD}
        counts |= {"already_confirmed": len(old), "confirmed_by_order": by_order}
        for name, count in counts.items():
            if getattr(summary, name) != count:
                told = f"{getattr(summary, name)} {name} told, {count} on the disk"
                self.accuse(Verdict.UNREPORTED, told)
        for record in new:
            if self._told.get(record.seq) != record:
                about = f"{record.order_id} {record.invoice_number}, {record.state}: not told"
                self.accuse(Verdict.UNREPORTED, about)

    def _is_new(self, record: Record) -> bool:
        """Whether the run has brought an invoice where it is."""
        before = self._before.get(record.seq)
        is_as_before = before is not None and (before.state, before.attempts) == (
            record.state,
            record.attempts,
        )
        return record.state in SETTLED and not is_as_before

    def judge(self, book: OrderBook) -> Iterator[Charge]:
        """Yield what is to be said once everything is over and calm."""
        kept = {(r.order_id, r.invoice_number): r for r in self.store.synced.records.values()}
        versions, taken = self.expected.versions, self.counted(POSTED)
        for key in sorted(versions.keys() | taken.keys() | kept.keys()):
            record = kept.get(key) if key in versions else None
            verdict = self._judged(key, record, taken[key])
            if verdict is None and taken[key] and not self._is_as_asked(key, record, book):
                verdict = Verdict.ALTERED
            if verdict is not None:
                state = "unknown" if record is None else record.state
                about = f"{key[0]} {key[1]}: {state}, taken {taken[key]} times"
                yield Charge(verdict=verdict, about=about)

    def _judged(self, key: Key, record: Record | None, taken: int) -> Verdict | None:
        if taken > 1:
            return Verdict.DOUBLED
        if record is None:
            return Verdict.UNREPORTED
        expected = self.expected
        match record.state:
            case State.CONFIRMED:
                return None if taken else Verdict.LOST
            case State.REJECTED:
                is_right = key in expected.not_taken and not taken
            case State.CONFLICT:
                is_right = key in expected.near or (key in expected.contested and not taken)
            case State.ABSENT | State.HELD:
                is_right = not taken
            case _:
                is_right = True
        if not is_right:
            return Verdict.MISREPORTED
        return Verdict.UNRESOLVED if self._is_open(key, record) else None

    def _is_open(self, key: Key, record: Record) -> bool:
        """Whether more was to be done for an invoice now that everything is calm."""
        match record.state:
            case State.ABSENT:
                # Once more is all that is allowed.
                asked = record.type is InvoiceType.OUTPUT or self.expected.resend_input
                return asked and not record.resent and not self._lacks_sales(record)
            case State.HELD:
                return not self._lacks_sales(record)
            case State.IN_DOUBT:
                return key not in self.expected.unknown
            case _:
                return record.state not in FINAL

    def _lacks_sales(self, record: Record) -> bool:
        """Whether VTEX lacks a sale that a return is about."""
        order = self._order(record.order_id).values()
        sales = [other for other in order if other.type is InvoiceType.OUTPUT]
        is_return = record.type is InvoiceType.INPUT
        return is_return and not all(sale.state is State.CONFIRMED for sale in sales)

    def _is_as_asked(self, key: Key, record: Record | None, book: OrderBook) -> bool:
        """Whether the order shows what was asked for, and the journal means the same."""
        order = book.order(key[0], datetime.max.replace(tzinfo=UTC))
        packages = () if order is None else order.packages or ()
        # What was there before, by another hand, comes first.
        package = [package for package in packages if package.invoice_number == key[1]][-1]
        same = [invoice for invoice in self.expected.versions[key] if _says(package, invoice)]
        return bool(same) and record is not None and record.value == package.invoice_value

    def _seen(self, key: Key) -> Iterator[Verdict]:
        order = self._order(key[0])
        mine = order.get(key[1])
        if mine is None or mine.state is not State.IN_DOUBT:
            yield Verdict.UNINTENDED
            return
        others = [record for record in order.values() if record is not mine]
        if any(other.state is State.IN_DOUBT for other in others):
            yield Verdict.TOGETHER
        if mine.type is InvoiceType.INPUT:
            if self._lacks_sales(mine):
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


def _says(package: Package, invoice: Invoice) -> bool:
    """Whether an order shows an invoice with its contents, as far as every dialect says them."""
    lines = [(item.quantity, item.price) for item in package.items]
    date = None if package.issuance_date is None else package.issuance_date.date()
    return (
        package.type is invoice.type
        and package.invoice_value == invoice.invoice_value
        and date == invoice.issuance_date.date()
        and lines == [(item.quantity, item.price) for item in invoice.items]
    )
