"""What happened to one order, of which what a reader sees at a moment is derived.

So a read changes nothing, whichever thread it comes from, and an earlier moment can be read again.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from functools import reduce
from typing import Final, assert_never

from attrs import define, evolve, field, frozen

from vtex_invoice_async.models import (
    CourierEvent,
    CourierStatus,
    InvoiceType,
    Order,
    OrderStatus,
    OrderTotal,
    Package,
    TrackingInfo,
    TrackingStatus,
)
from vtex_invoice_async.sandbox.dates import dotnet
from vtex_invoice_async.sandbox.filed import Cancellation, CancelRequest, Filed, Shown, Times
from vtex_invoice_async.sandbox.statuses import Status, after_verifying

__all__ = ["AskedToCancel", "Changed", "Event", "History", "Moved", "State", "Took", "Tracked"]

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@frozen(kw_only=True)
class Took:
    """An invoice was taken."""

    at: datetime
    shown_from: datetime
    filed: Filed
    verified_at: datetime | None
    """When a sale will have been verified; None for a return, which nobody verifies."""


@frozen(kw_only=True)
class Tracked:
    """The first invoice of a number was given tracking data."""

    at: datetime
    number: str
    tracking: TrackingInfo | TrackingStatus


@frozen(kw_only=True)
class Moved:
    """The order got another status because somebody asked for it."""

    at: datetime
    status: OrderStatus


@frozen(kw_only=True)
class AskedToCancel:
    """A request to cancel the order was taken, which gave it another status."""

    at: datetime
    status: OrderStatus
    request: CancelRequest


@frozen(kw_only=True)
class Changed:
    """The order got another value, in cents."""

    at: datetime
    value: int


Event = Took | Tracked | Moved | AskedToCancel | Changed


@frozen(kw_only=True)
class State:
    """An order between two events."""

    status: Status
    value: int
    filed: tuple[Filed, ...] = ()
    verified_at: datetime | None = None
    """When its last sale will have been verified, while it is not."""

    times: Times = field(factory=Times)

    def total(self, kind: InvoiceType) -> int:
        """Return the cents of all sales, or of all returns."""
        packages = (filed.package for filed in self.filed)
        return sum(p.invoice_value or 0 for p in packages if p.type == kind)

    def has(self, kind: InvoiceType) -> bool:
        """Whether there is a sale, or a return."""
        return any(filed.package.type == kind for filed in self.filed)

    def find(self, number: str) -> Filed | None:
        """Return the first invoice of this number, letter by letter as VTEX compares it."""
        same = (filed for filed in self.filed if filed.package.invoice_number == number)
        return next(same, None)

    def until(self, now: datetime) -> State:
        """Return it as it is when nothing happens until *now*."""
        if self.verified_at is None or now < self.verified_at:
            return self
        status = after_verifying(self.total(InvoiceType.OUTPUT), self.value)
        return evolve(self.became(status, self.verified_at), verified_at=None)

    def became(self, status: OrderStatus, at: datetime) -> State:
        """Return it with another status, and the time of what that means."""
        times = evolve(self.times, changed_at=at)
        if status == OrderStatus.PAYMENT_APPROVED:
            # An invoice of a part dates the approval anew, says a known issue without a number.
            times = evolve(times, authorized_at=at)
        if status == OrderStatus.INVOICED:
            times = evolve(times, invoiced_at=at)
        if status == OrderStatus.CANCELED:
            times = evolve(times, canceled_at=at)
        return evolve(self, status=status, times=times)


def _after(state: State, event: Event) -> State:
    """Return what *event* makes of an order."""
    after = _made_of(state.until(event.at), event)
    return evolve(after, times=evolve(after.times, changed_at=event.at))


def _made_of(before: State, event: Event) -> State:
    match event:
        case Took():
            return _invoiced(before, event)
        case Tracked():
            found = before.find(event.number)
            filed = tuple(_tracked(f, event) if f is found else f for f in before.filed)
            return evolve(before, filed=filed)
        case Moved():
            return before.became(event.status, event.at)
        case AskedToCancel():
            asked = Cancellation(at=event.at, request=event.request)
            times = evolve(before.times, cancellations=(*before.times.cancellations, asked))
            return evolve(before, times=times).became(event.status, event.at)
        case Changed():
            return _changed(before, event)
    assert_never(event)


def _invoiced(before: State, event: Took) -> State:
    taken = evolve(before, filed=(*before.filed, event.filed))
    # An order that is invoiced stays so, whatever comes.
    if event.verified_at is None or before.status == OrderStatus.INVOICED:
        return taken
    if before.status == OrderStatus.CANCELLATION_REQUESTED:
        taken = evolve(taken, times=evolve(taken.times, denied_at=event.at))
    return evolve(taken, status=OrderStatus.INVOICE, verified_at=event.verified_at)


def _changed(before: State, event: Changed) -> State:
    """Give an order another value; what was sold may now be all that there is to sell.

    https://help.vtex.com/en/docs/tracks/invoicing-an-order
    """
    changed = evolve(before, value=event.value)
    sold = changed.has(InvoiceType.OUTPUT)
    whole = sold and changed.total(InvoiceType.OUTPUT) == changed.value
    # While its last sale is being verified, the end of that will tell.
    if whole and changed.verified_at is None:
        return changed.became(OrderStatus.INVOICED, event.at)
    return changed


@frozen(kw_only=True)
class _Past:
    """All that happened, and what came of it."""

    events: tuple[Event, ...] = ()
    state: State
    shown_by: datetime = _LONG_AGO
    """From when on a reader is shown all of it."""

    def and_then(self, event: Event) -> _Past:
        return _Past(
            events=(*self.events, event),
            state=_after(self.state, event),
            shown_by=max(self.shown_by, _shown_from(event)),
        )

    def seen(self, before: State, now: datetime) -> State:
        """Return what a reader sees of it, where *before* is the order as it came in."""
        if now >= self.shown_by:
            return self.state.until(now)
        seen = (event for event in self.events if _shown_from(event) <= now)
        return reduce(_after, seen, before).until(now)


@define
class History:
    """One order as it came in, and all that happened to it, in its order."""

    order: Order
    _before: State = field(init=False)
    _past: _Past = field(init=False)

    def __attrs_post_init__(self) -> None:
        filed = tuple(Filed(package=package) for package in self.order.packages or ())
        self._before = State(status=self.order.status, value=self.order.value, filed=filed)
        self._past = _Past(state=self._before)

    def add(self, event: Event) -> None:
        """Add what happened last."""
        # One assignment: whoever reads meanwhile has all of it or nothing.
        self._past = self._past.and_then(event)

    def state(self, now: datetime) -> State:
        """Return the order as it is, which a reader may not be shown yet."""
        return self._past.state.until(now)

    def shown(self, now: datetime) -> Shown:
        """Return the order as a reader sees it: what is not shown has not moved it either."""
        return self._as(self._past.seen(self._before, now))

    def known(self, now: datetime) -> Shown:
        """Return the order as it is, whether a reader is shown that yet or not."""
        return self._as(self.state(now))

    def before(self) -> Shown:
        """Return the order as it came in."""
        return self._as(self._before)

    def _as(self, state: State) -> Shown:
        order = evolve(
            self.order,
            status=state.status,
            value=state.value,
            totals=_totals(self.order, state.value),
            packages=tuple(filed.package for filed in state.filed),
        )
        return Shown(order=order, filed=state.filed, times=state.times, came_in=self.order.status)


def _shown_from(event: Event) -> datetime:
    return event.shown_from if isinstance(event, Took) else event.at


def _totals(order: Order, value: int) -> tuple[OrderTotal, ...]:
    """Return the parts of an order's value, which add up to it; the name of the last is ours."""
    if value == order.value:
        return order.totals
    change = OrderTotal(id="Change", name="Change Total", value=value - order.value)
    return (*order.totals, change)


def _tracked(filed: Filed, event: Tracked) -> Filed:
    package, tracking = filed.package, event.tracking
    if isinstance(tracking, TrackingInfo):
        package = evolve(
            package,
            courier=tracking.courier,
            tracking_number=tracking.tracking_number,
            tracking_url=tracking.tracking_url,
        )
    else:
        package = evolve(package, courier_status=_courier_status(package, tracking, event.at))
    return evolve(filed, package=package, changed_at=event.at)


def _courier_status(package: Package, tracking: TrackingStatus, now: datetime) -> CourierStatus:
    # A delivery finishes the courier's work; its `status` stays unknown.
    # https://developers.vtex.com/docs/api-reference/orders-api#put-/api/oms/pvt/orders/-orderId-/invoice/-invoiceNumber-/tracking
    delivered = tracking.delivered_date
    before = package.courier_status or CourierStatus()
    events = tuple(
        CourierEvent(
            city=event.city,
            state=event.state,
            description=event.description,
            create_date=dotnet(datetime.combine(event.date, time.min, UTC)),
            last_change=dotnet(now.astimezone(UTC)),
        )
        for event in tracking.events
    )
    return CourierStatus(
        finished=tracking.is_delivered,
        delivered_date=dotnet(delivered) if delivered else None,
        data=before.data + events,
    )
