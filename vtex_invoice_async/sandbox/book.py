"""VTEX's side of the story: orders, what was invoiced on them, and a count that cannot be argued with.

Rules only: the time is an argument, an answer is a `Receipt` or a `Refusal`. How a client behaves
is none of its business.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice

from vtex_invoice_async.models import (
    Invoice,
    InvoiceType,
    Order,
    OrderStatus,
    Receipt,
    TrackingInfo,
    TrackingStatus,
)
from vtex_invoice_async.sandbox import refusals
from vtex_invoice_async.sandbox.dates import dotnet
from vtex_invoice_async.sandbox.filed import CancelRequest, Refund, Shown
from vtex_invoice_async.sandbox.filing import filed_as
from vtex_invoice_async.sandbox.history import (
    AskedToCancel,
    Changed,
    Event,
    History,
    Moved,
    State,
    Took,
    Tracked,
)
from vtex_invoice_async.sandbox.oracle import Oracle
from vtex_invoice_async.sandbox.refusals import Refusal
from vtex_invoice_async.sandbox.remarks import Remark, Rule, remarks_on, repeated, sent_again
from vtex_invoice_async.sandbox.rules import Rules
from vtex_invoice_async.sandbox.statuses import CANCELED, CHANGEABLE, EARLY, after_cancel

__all__ = ["OrderBook"]

OUTPUT, INPUT = InvoiceType.OUTPUT, InvoiceType.INPUT


class OrderBook:
    """The orders of one account, under *rules*."""

    def __init__(
        self, orders: Iterable[Order], *, chance: random.Random, rules: Rules | None = None
    ) -> None:
        self._histories: dict[str, History] = {}
        self._chance = chance
        self._rules = Rules() if rules is None else rules
        self._remarks: list[Remark] = []
        self._remarked: Counter[Rule] = Counter()
        self.oracle = Oracle()
        self._changed: dict[str, None] = {}
        """Those that something happened to, or that came later; the latest last."""

        for order in orders:
            self.add(order)
        self._changed.clear()

    @property
    def applied(self) -> Counter[tuple[str, str]]:
        """How often VTEX took an invoice, by order id and invoice number, whatever it answered."""
        return self.oracle.counted("notify_invoice")

    @property
    def tracked(self) -> Counter[tuple[str, str]]:
        """The same for tracking data sent after the invoice."""
        return self.oracle.counted("send_tracking") + self.oracle.counted("update_tracking_status")

    @property
    def remarks(self) -> Sequence[Remark]:
        """What was odd about the invoices that were taken, in their order."""
        return tuple(self._remarks)

    def __len__(self) -> int:
        return len(self._histories)

    def __contains__(self, order_id: object) -> bool:
        return order_id in self._histories

    def add(self, order: Order) -> None:
        """Take in an order; its packages are invoices that it has already."""
        self._histories[order.order_id] = History(order)
        self._touch(order.order_id)

    @property
    def changed(self) -> int:
        """How many orders something happened to, or were added later."""
        return len(self._changed)

    @property
    def remarked(self) -> Counter[Rule]:
        """How often there is something odd, by its rule."""
        return self._remarked.copy()

    def latest_remarks(self, most: int) -> list[Remark]:
        """Return the remarks made last, the latest first."""
        return self._remarks[: -most - 1 : -1]

    def latest(self, start: int, most: int, now: datetime) -> list[Shown]:
        """Return orders as they are: those that changed last first, then those as they came in."""
        rest = (order_id for order_id in self._histories if order_id not in self._changed)
        chosen = islice(chain(reversed(self._changed), rest), start, start + most)
        return [self._histories[order_id].known(now) for order_id in chosen]

    def known(self, order_id: str, now: datetime) -> Shown | None:
        """Return an order as it is, by its id or its sequence, shown to readers yet or not."""
        history = self._find(order_id)
        return None if history is None else history.known(now)

    def orders(self, now: datetime) -> list[Order]:
        """Return every order as a reader sees it."""
        # A copy made at once: an order may be added meanwhile.
        return [history.shown(now).order for history in list(self._histories.values())]

    def order(self, order_id: str, now: datetime) -> Order | None:
        """Return an order by its id, or by its sequence as `seq501456`."""
        shown = self.shown(order_id, now)
        return None if shown is None else shown.order

    def shown(self, order_id: str, now: datetime) -> Shown | None:
        """Return the same with all that is kept of its invoices."""
        history = self._find(order_id)
        return None if history is None else history.shown(now)

    def _find(self, order_id: str) -> History | None:
        history = self._histories.get(order_id)
        if history is None and order_id.startswith("seq"):
            all_ = list(self._histories.values())
            history = next((h for h in all_ if h.order.sequence == order_id[3:]), None)
        return history

    def shown_before(self, order_id: str) -> Shown:
        """Return an order as it came in, before anything was done to it."""
        return self._histories[order_id].before()

    def invoice(
        self, order_id: str, invoice: Invoice, now: datetime, *, document: bool, lag: float = 0
    ) -> Receipt | Refusal:
        """Take an invoice, on the *document* paths (PII) or on those of OMS.

        The order shows it only after *lag* seconds, besides those of the rules.
        """
        history = self._histories.get(order_id)
        if history is None:
            return refusals.order_not_found(document=document)
        state = history.state(now)
        refusal = self._refusal(state, invoice, document=document)
        if refusal is not None:
            return refusal
        number = invoice.invoice_number
        known = state.find(number) is not None
        self.oracle.record("notify_invoice", order_id, number, now, invoice.invoice_value)
        if known:
            self._remark(sent_again(history.order, invoice))
        if not known or self._rules.duplicates == "apply_again":
            self._remark(*remarks_on(history.order, invoice))
            self._file(history, state, invoice, now, lag)
        return self._receipt(history.order, now)

    def _file(
        self, history: History, state: State, invoice: Invoice, now: datetime, lag: float
    ) -> None:
        refund: Refund | None = None
        if invoice.type is INPUT and _is_refunded(state):
            refund = Refund(value=invoice.invoice_value, items=invoice.items)
        verified_at = _after(now, self._rules.settle_delay)
        self._happened(
            history,
            Took(
                at=now,
                shown_from=_after(now, self._rules.read_lag + lag),
                filed=filed_as(invoice, history.order, now, refund),
                verified_at=verified_at if invoice.type is OUTPUT else None,
            ),
        )

    def _refusal(self, state: State, invoice: Invoice, *, document: bool) -> Refusal | None:
        if state.status in CANCELED:
            return refusals.canceled(document=document)
        known = state.find(invoice.invoice_number)
        if known is not None:
            same = known.package.type == invoice.type
            return self._refusal_again(invoice, same_type=same, document=document)
        sold, value = state.total(OUTPUT), invoice.invoice_value
        if invoice.type is INPUT:
            # Every return counts, refunded or not: VTEX adds up receipts (known issue 1380918).
            left = sold - state.total(INPUT)
            return refusals.refund_above(left, document=document) if value > left else None
        early = state.status in EARLY and not state.has(OUTPUT)
        if early and self._rules.early == "refuse":
            return refusals.too_early(str(state.status), document=document)
        left = state.value - sold
        if value > left and self._rules.above_value == "refuse":
            return refusals.value_above(left, document=document)
        return None

    def _refusal_again(
        self, invoice: Invoice, *, same_type: bool, document: bool
    ) -> Refusal | None:
        """Return what becomes of a number that the order has; a return never has a sale's."""
        rule, number = self._rules.duplicates, invoice.invoice_number
        taken = rule in {"refresh", "apply_again"} or (rule == "documented" and not document)
        if same_type and taken:
            return None
        status = 409 if rule == "conflict" else 400
        return refusals.duplicate_number(number, document=document, status=status)

    def send_tracking(
        self, order_id: str, number: str, tracking: TrackingInfo, now: datetime
    ) -> Receipt | Refusal:
        """Put tracking data on an invoice; the last call wins."""
        return self._track("send_tracking", order_id, number, tracking, now)

    def update_tracking_status(
        self, order_id: str, number: str, tracking: TrackingStatus, now: datetime
    ) -> Receipt | Refusal:
        """Take news of a parcel; its invoice must carry a tracking number."""
        return self._track("update_tracking_status", order_id, number, tracking, now)

    def _track(
        self,
        operation: str,
        order_id: str,
        number: str,
        tracking: TrackingInfo | TrackingStatus,
        now: datetime,
    ) -> Receipt | Refusal:
        history = self._histories.get(order_id)
        if history is None:
            return refusals.ORDER_NOT_FOUND
        # The number was taken without a word, and cannot be tracked for ever.
        if " " in number:
            return refusals.ERROR_HAS_OCCURRED
        filed = history.state(now).find(number)
        if filed is None:
            return refusals.INVOICE_NOT_FOUND
        if isinstance(tracking, TrackingStatus) and not filed.package.tracking_number:
            return refusals.TRACKING_NUMBER_MISSING
        self.oracle.record(operation, order_id, number, now)
        self._happened(history, Tracked(at=now, number=number, tracking=tracking))
        return self._receipt(history.order, now)

    def start_handling(self, order_id: str, now: datetime, *, document: bool) -> Refusal | None:
        """Move an order on from `ready-for-handling`; return None where that was done."""
        history = self._histories.get(order_id)
        if history is None:
            return refusals.order_not_found(document=document)
        if history.state(now).status != OrderStatus.READY_FOR_HANDLING:
            return refusals.wrong_status(document=document)
        self.oracle.record("start_handling", order_id, None, now)
        self._happened(history, Moved(at=now, status=OrderStatus.HANDLING))
        return None

    def cancel(
        self,
        order_id: str,
        now: datetime,
        *,
        document: bool,
        request: CancelRequest | None = None,
    ) -> Receipt | Refusal:
        """Cancel an order; while it is handled, the first request only asks for it."""
        history = self._histories.get(order_id)
        if history is None:
            return refusals.order_not_found(document=document)
        state = history.state(now)
        sold, returned = state.has(OUTPUT), state.has(INPUT)
        status = after_cancel(state.status, sold=sold, returned=returned)
        if status is None:
            return refusals.not_cancelable(str(state.status), document=document)
        self.oracle.record("cancel_order", order_id, None, now)
        asked = CancelRequest() if request is None else request
        self._happened(history, AskedToCancel(at=now, status=status, request=asked))
        return self._receipt(history.order, now)

    def change_value(self, order_id: str, value: int, now: datetime) -> Receipt | Refusal:
        """Give an order another value, in cents, as a change of its items or prices does.

        Once something was invoiced its value only goes down, as far as what was invoiced.
        """
        history = self._histories.get(order_id)
        if history is None:
            return refusals.ORDER_NOT_FOUND
        refusal = _refusal_of_change(history.state(now), value)
        if refusal is not None:
            return refusal
        self.oracle.record("change_value", order_id, None, now, value)
        self._happened(history, Changed(at=now, value=value))
        return self._receipt(history.order, now)

    def _happened(self, history: History, event: Event) -> None:
        history.add(event)
        self._touch(history.order.order_id)

    def _touch(self, order_id: str) -> None:
        self._changed.pop(order_id, None)
        self._changed[order_id] = None

    def _remark(self, *remarks: Remark) -> None:
        self._remarks.extend(remarks)
        self._remarked.update(remark.rule for remark in remarks)

    def _receipt(self, order: Order, now: datetime) -> Receipt:
        return Receipt(
            date=now,
            raw_date=dotnet(now.astimezone(UTC), last_digit=self._chance.randrange(10)),
            order_id=order.seller_order_id or order.order_id,
            receipt=f"{self._chance.getrandbits(128):032x}",
        )


def _is_refunded(state: State) -> bool:
    """Whether a return is refunded: only of an order whose sales make up its value."""
    whole = state.status == OrderStatus.INVOICED or state.total(OUTPUT) == state.value
    # Known issue 1198829. Where VTEX inferred the lines, the invoice had none to repeat.
    return whole and not any(
        repeated(filed.package.items)
        for filed in state.filed
        if filed.package.type == OUTPUT and not filed.items_inferred
    )


def _refusal_of_change(state: State, value: int) -> Refusal | None:
    if state.status in CANCELED:
        return refusals.CHANGE_OF_CANCELED
    if value < 0:
        return refusals.CHANGE_TOO_LARGE
    if state.status == OrderStatus.INVOICED:
        return refusals.CHANGE_AFTER_INVOICE
    if state.has(OUTPUT):
        allowed = state.total(OUTPUT) <= value <= state.value
        return None if allowed else refusals.CHANGE_AFTER_INVOICE
    return None if state.status in CHANGEABLE else refusals.CHANGE_NOT_ALLOWED


def _after(now: datetime, seconds: float) -> datetime:
    """Return the time *seconds* later; what no calendar holds is as late as one goes."""
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
