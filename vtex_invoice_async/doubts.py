"""The doubts of a client, and the reads that settle them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, TypeVar

from attrs import define, evolve, field

from vtex_invoice_async.call import Call
from vtex_invoice_async.caller import Caller
from vtex_invoice_async.config import ThrottleLimits
from vtex_invoice_async.errors import (
    CallError,
    CallFacts,
    ConfigError,
    Doubt,
    InvoiceAbsent,
    InvoiceConflict,
    OutcomeUnknown,
    Rejected,
)
from vtex_invoice_async.events import Resolving
from vtex_invoice_async.models import Order
from vtex_invoice_async.operations import GetOrder, NotifyInvoice
from vtex_invoice_async.protocol import doubt_of
from vtex_invoice_async.resolve import LOOK_AFTER, Finding, Search, judge
from vtex_invoice_async.retry import RetryPolicy
from vtex_invoice_async.throttle import Throttle
from vtex_invoice_async.turns import Sleepers
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

__all__ = ["Doubts"]

R = TypeVar("R")

READS_PER_SECOND: Final = 20.0
"""A fifth of what VTEX lets an account read: 6,000 orders a minute."""

GRAIN: Final = 0.001
"""Seconds: clocks are rounded, and a look must not be a hair too early for its place in the plan."""

FEWEST_LACKING: Final = 2
"""Reads without what was sent, after which a call that may be repeated is repeated."""


class _Lacking:
    """Stands for an order that does not show what was sent."""


_LACKING: Final = _Lacking()


@define(eq=False, kw_only=True, repr=False)
class _Watched:
    """An order with doubts: one read serves them all."""

    orders_api: OrdersApi
    order_id: str
    searches: dict[Doubt, Search] = field(factory=dict)
    contents: dict[Doubt, bytes | None] = field(factory=dict)
    """A digest of what was sent, where this client sent it."""

    sleepers: Sleepers = field(factory=Sleepers)
    """Those who wait to look, and may learn something before."""

    reading: asyncio.Lock = field(factory=asyncio.Lock)
    chance: float
    """In [0, 1): the same for all its searches, so that a look for one is due for all."""

    def open_searches(self) -> dict[Doubt, Search]:
        """Return those that are not over."""
        return {doubt: search for doubt, search in self.searches.items() if not search.is_over}


class Doubts:
    """What may have been applied: kept until a read of the order has settled it."""

    def __init__(self, caller: Caller, policy: RetryPolicy) -> None:
        self._caller = caller
        self._turns = caller.turns
        self._policy = policy
        # A look that fails is followed by another by plan, so that none is repeated in itself.
        self._read_policy = evolve(policy, max_attempts=1)
        self._orders: dict[tuple[OrdersApi, str], _Watched] = {}
        self._pace = Throttle(ThrottleLimits(rate=READS_PER_SECOND))
        caller.check = self.check

    def list(self) -> tuple[Doubt, ...]:
        """Return the doubts of which nobody was told yet how they ended, oldest first."""
        found = [doubt for order in self._orders.values() for doubt in order.searches]
        return tuple(sorted(found, key=lambda doubt: doubt.since))

    def add(self, call: Call[Any], doubt: Doubt | None) -> None:
        """Remember the doubt that *call* leaves, if it is one about an invoice."""
        if doubt is not None:
            self._watch(doubt).contents.setdefault(doubt, _digest(call))

    def note(self, call: Call[Any]) -> None:
        """Remember what *call*, which was cancelled, may have had applied."""
        self.add(call, self._caller.doubt_left_by(call))

    def check(self, call: Call[Any]) -> None:
        """Raise `OutcomeUnknown` where *call* would send an invoice that is in doubt already."""
        if not self._orders:
            return
        operation = call.operation
        order = self._orders.get((call.orders_api, operation.order_id))
        named = operation.tells_of()
        if order is None or named is None:
            return
        number = named[0]
        doubt = next((doubt for doubt in order.searches if doubt.invoice_number == number), None)
        if doubt is not None:
            told = "an earlier call for this invoice is in doubt, so nothing was sent now"
            raise _unknown(doubt, told)

    async def settle(self, call: Call[R], unknown: OutcomeUnknown) -> R:
        """Read the order for what *call* may have done, for as long as the policy says.

        Returns what stands for VTEX's answer, or raises `InvoiceConflict`, `InvoiceAbsent`, or
        what is still unknown.
        """
        if unknown.doubt is None:
            return await self._settle_unnamed(call, unknown)
        doubt = unknown.doubt
        self.add(call, doubt)
        # An earlier call may have sent it, with other contents than this one would.
        same = doubt_of(call.operation, call.orders_api, doubt.since) == doubt and (
            self._watch(doubt).contents[doubt] == _digest(call)
        )
        order = await self._prove(unknown, doubt, self._policy.resolve_for)
        if not same:
            raise _conflict(unknown, doubt)
        return call.operation.confirmed_by(order)

    async def resolve(self, doubt: Doubt, patience: float | None) -> Order:
        """Read the order until it is known, or for *patience* seconds; return the one that shows it."""
        told = f"it is not known whether invoice {doubt.invoice_number} was applied"
        return await self._prove(_unknown(doubt, told), doubt, patience)

    async def _prove(self, unknown: OutcomeUnknown, doubt: Doubt, patience: float | None) -> Order:
        """Look for *patience* seconds, or until it is known; raise what was found instead."""
        order = self._watch(doubt)
        search = order.searches[doubt]
        began = self._caller.time()
        await self._look_until(order, search, None if patience is None else began + patience)
        if search.finding is not Finding.NO_EVIDENCE:
            self._forget(order, doubt)
            order.sleepers.wake()
        match search.finding, search.order:
            case Finding.PRESENT, Order() as shown:
                return shown
            case Finding.CONFLICT, _:
                raise _conflict(unknown, doubt) from None
            case Finding.ABSENT, _:
                told = f"the order has not shown invoice {doubt.invoice_number}"
                lasting = f"{told} for {search.window:g} s; {_ADVICE[doubt.type]}"
                raise InvoiceAbsent(lasting, **unknown.facts) from None
            case _:
                told = f"{unknown.reason} ({search.reason})"
                facts = unknown.facts
                if facts.get("status") is None:
                    facts["status"] = search.refused_with
                raise OutcomeUnknown(told, doubt=doubt, **facts) from None

    async def _look_until(self, order: _Watched, search: Search, until: float | None) -> None:
        search.refused_with = None  # what was refused before may be allowed now
        try:
            async with asyncio.timeout_at(until):
                while not search.is_over:
                    due = search.due
                    wait = due - search.elapsed(self._caller.now())
                    if until is not None and self._caller.time() + wait > until:
                        return
                    await self._turns.sleep(max(0.0, wait + GRAIN), order.sleepers)
                    if search.elapsed(self._caller.now()) < due:
                        continue  # something was found out about the order
                    async with order.reading:
                        # Another doubt of this order may have read for this one too.
                        if not search.is_over and search.last_look < due:
                            await self._look(order)
        except TimeoutError:
            search.reason = "the order could not be read in time"
        except ConfigError:
            search.reason = "the client was closed"
        except Rejected as error:
            search.reason = f"the order cannot be read: {error.reason}"
            search.refused_with = error.status

    async def _look(self, order: _Watched) -> None:
        """Read an order once, for all its doubts; raise `Rejected` where it cannot be read."""
        asked = await self._read_turn()
        refusal: Rejected | None = None
        try:
            shown = await self._read(order.order_id, order.orders_api)
        except CallError as error:
            for search in order.open_searches().values():
                then, now = search.elapsed(asked), search.elapsed(self._caller.now())
                search.miss(then, now, f"the order could not be read: {error.reason}")
            refusal = error if isinstance(error, Rejected) else None
        else:
            self._take_in(order, shown, asked)
        if refusal is not None:
            raise refusal from None

    def _take_in(self, order: _Watched, shown: Order, asked: datetime) -> None:
        searches = order.open_searches()
        for doubt, finding in judge(shown, searches).items():
            search = searches[doubt]
            then, now = search.elapsed(asked), search.elapsed(self._caller.now())
            worth = search.see(shown, finding, then, now)
            if self._caller.observers:
                resolving = Resolving(
                    order_id=order.order_id,
                    invoice_number=doubt.invoice_number,
                    looks=search.looks,
                    finding=worth,
                )
                self._caller.observers.tell(resolving)
        order.sleepers.wake()

    async def _read_turn(self) -> datetime:
        """Wait until the budget of reads has room; return when that was."""
        slot = self._pace.reserve(self._caller.time())
        await self._turns.sleep(max(0.0, slot.at - self._caller.time()))
        return self._caller.now()

    async def _read(self, order_id: str, orders_api: OrdersApi) -> Order:
        operation = GetOrder(order_id=order_id, must_be_fresh=True)
        call = self._caller.call(
            operation, policy=self._read_policy, orders_api=orders_api, is_look=True
        )
        return await self._caller.run(call)

    async def _settle_unnamed(self, call: Call[R], unknown: OutcomeUnknown) -> R:
        """Look for what is no invoice; repeat *call* where the order lacks what it does."""
        while True:
            order = await self._order_that_shows(call)
            if isinstance(order, Order):
                return call.operation.confirmed_by(order)
            if order is not _LACKING or not self._may_repeat(call):
                raise unknown
            call.doubted = True
            try:
                return await self._caller.run(call)
            except OutcomeUnknown as again:
                unknown = again
            except (CallError, ConfigError):
                raise unknown from None

    async def _order_that_shows(self, call: Call[R]) -> Order | _Lacking | None:
        """Return the order once it shows what *call* does, or that it does not; None: who knows."""
        began, lacking = self._caller.time(), 0
        for after in LOOK_AFTER:
            if after > self._policy.resolve_for:
                break
            try:
                async with asyncio.timeout_at(began + self._policy.resolve_for):
                    await self._turns.sleep(max(0.0, began + after - self._caller.time()))
                    await self._read_turn()
                    order = await self._read(call.operation.order_id, call.orders_api)
            except (ConfigError, TimeoutError):
                break
            except CallError:
                continue
            shown = call.operation.shown_by(order)
            if shown:
                return order
            lacking = lacking + 1 if shown is False else 0
            if lacking >= FEWEST_LACKING:
                return _LACKING
        return None

    def _may_repeat(self, call: Call[R]) -> bool:
        deadline = call.policy.deadline
        in_time = deadline is None or self._caller.time() - call.began < deadline
        return in_time and call.counted < call.policy.max_attempts

    def _watch(self, doubt: Doubt) -> _Watched:
        key = (doubt.orders_api, doubt.order_id)
        order = self._orders.get(key)
        if order is None:
            order = _Watched(
                orders_api=doubt.orders_api, order_id=doubt.order_id, chance=self._caller.chance()
            )
            self._orders[key] = order
        search = order.searches.get(doubt)
        if search is None or (search.is_over and search.finding is Finding.NO_EVIDENCE):
            now = self._caller.now()
            # A clock elsewhere may run ahead of this one.
            since = min(doubt.since, now)
            order.searches[doubt] = Search(
                since=since,
                window=self._policy.settle_window,
                began=(now - since).total_seconds(),
                chance=order.chance,
            )
        return order

    def _forget(self, order: _Watched, doubt: Doubt) -> None:
        order.searches.pop(doubt, None)
        order.contents.pop(doubt, None)
        key = (order.orders_api, order.order_id)
        # It may have been forgotten, and watched anew, while somebody slept.
        if not order.searches and self._orders.get(key) is order:
            del self._orders[key]


_ADVICE: Final = {
    InvoiceType.OUTPUT: "it may be sent again",
    InvoiceType.INPUT: "it refunds a shopper: look at the order before you send it again",
}


def _digest(call: Call[Any]) -> bytes | None:
    body = call.request.body
    return None if body is None else blake2b(body, digest_size=16).digest()


def _unknown(doubt: Doubt, told: str) -> OutcomeUnknown:
    facts = CallFacts(operation=NotifyInvoice.name, order_id=doubt.order_id, attempts=0)
    return OutcomeUnknown(told, doubt=doubt, **facts)


def _conflict(unknown: OutcomeUnknown, doubt: Doubt) -> InvoiceConflict:
    told = f"the order shows invoice {doubt.invoice_number}, or nearly, with other contents"
    return InvoiceConflict(f"{told}; compare them by hand", **unknown.facts)
