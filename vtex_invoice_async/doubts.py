"""The doubts of a client, and the reads that settle them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, TypeVar

from attrs import define, field

from vtex_invoice_async.call import Call
from vtex_invoice_async.caller import Caller
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
from vtex_invoice_async.looks import Looks
from vtex_invoice_async.models import Order
from vtex_invoice_async.operations import NotifyInvoice
from vtex_invoice_async.options import Options
from vtex_invoice_async.protocol import doubt_of
from vtex_invoice_async.resolve import Finding, Search, judge
from vtex_invoice_async.retry import RetryPolicy
from vtex_invoice_async.seeking import Seeker
from vtex_invoice_async.turns import Sleepers
from vtex_invoice_async.unnamed import Unnamed
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

__all__ = ["Doubts"]

R = TypeVar("R")

GRAIN: Final = 0.001
"""Seconds: clocks are rounded, and a look must not be a hair too early for its place in the plan."""


@define(eq=False, kw_only=True, repr=False)
class _Watched:
    """An order with doubts: one read serves them all."""

    orders_api: OrdersApi
    order_id: str
    searches: dict[Doubt, Search] = field(factory=dict)
    contents: dict[Doubt, bytes | None] = field(factory=dict)
    """A digest of what was sent, where this client sent it."""

    seekers: list[Seeker] = field(factory=list)
    """The calls that wait for what is found."""

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

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._turns = caller.turns
        self._orders: dict[tuple[OrdersApi, str], _Watched] = {}
        self._looks = Looks(caller)
        self._unnamed = Unnamed(caller, self._looks)
        caller.check = self.check

    def list(self) -> tuple[Doubt, ...]:
        """Return the doubts of which nobody was told yet how they ended, oldest first."""
        found = [doubt for order in self._orders.values() for doubt in order.searches]
        return tuple(sorted(found, key=lambda doubt: doubt.since))

    def add(self, call: Call[Any], doubt: Doubt | None) -> None:
        """Remember the doubt that *call* leaves, if it is one about an invoice."""
        if doubt is not None:
            self._watch(doubt, call.policy).contents.setdefault(doubt, _digest(call))

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
            return await self._unnamed.settle(call, unknown)
        doubt = unknown.doubt
        self.add(call, doubt)
        # An earlier call may have sent it, with other contents than this one would.
        same = doubt_of(call.operation, call.orders_api, doubt.since) == doubt and (
            self._watch(doubt, call.policy).contents[doubt] == _digest(call)
        )
        seeker = self._seeker(call.number, call.operation.name, doubt, call.options)
        order = await self._prove(seeker, unknown, doubt, call.policy.resolve_for, same=same)
        return call.operation.confirmed_by(order)

    async def resolve(self, doubt: Doubt, patience: float | None, options: Options) -> Order:
        """Read the order until it is known, or for *patience* seconds; return the one that shows it."""
        told = f"it is not known whether invoice {doubt.invoice_number} was applied"
        seeker = self._seeker(self._caller.number(), "resolve", doubt, options)
        return await self._prove(seeker, _unknown(doubt, told), doubt, patience)

    def _seeker(self, number: int, operation: str, doubt: Doubt, options: Options) -> Seeker:
        return Seeker(
            number=number,
            operation=operation,
            order_id=doubt.order_id,
            invoice_number=doubt.invoice_number,
            options=options,
            began=self._caller.time(),
            doubt=doubt,
        )

    async def _prove(
        self,
        seeker: Seeker,
        unknown: OutcomeUnknown,
        doubt: Doubt,
        patience: float | None,
        *,
        same: bool = True,
    ) -> Order:
        """Look for *patience* seconds, or until it is known; raise what was found instead.

        Where the call would have sent something else than what is in doubt, to find that is a conflict.
        """
        order = self._watch(doubt, seeker.options.retry)
        search = order.searches[doubt]
        order.seekers.append(seeker)
        try:
            until = None if patience is None else seeker.began + patience
            await self._look_until(order, search, until)
        except BaseException:
            seeker.tell_end(self._caller.time(), Finding.NO_EVIDENCE)
            raise
        finally:
            order.seekers.remove(seeker)
        found = search.finding
        if found is not Finding.NO_EVIDENCE:
            self._forget(order, doubt)
            order.sleepers.wake()
        if found is Finding.PRESENT and not same:
            found = Finding.CONFLICT
        seeker.looks = search.looks
        seeker.tell_end(self._caller.time(), found)
        return _proof(unknown, doubt, search, found)

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
        # Whoever has little time for it must not make it fail for those who have more.
        every = (seeker.options for seeker in order.seekers)
        options = max(every, key=lambda options: options.timeouts.total)
        asked = await self._looks.turn()
        refusal: Rejected | None = None
        try:
            shown = await self._looks.read(order.order_id, order.orders_api, options)
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
            for seeker in order.seekers:
                if seeker.doubt == doubt:
                    seeker.tell_look(search.looks, worth)
        order.sleepers.wake()

    def _watch(self, doubt: Doubt, policy: RetryPolicy) -> _Watched:
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
                window=policy.settle_window,
                began=(now - since).total_seconds(),
                chance=order.chance,
            )
        elif not search.is_over:
            search.widen(policy.settle_window)
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


def _proof(unknown: OutcomeUnknown, doubt: Doubt, search: Search, found: Finding) -> Order:
    """Return the order that shows what was in doubt, or raise what else was found."""
    match found, search.order:
        case Finding.PRESENT, Order() as shown:
            return shown
        case Finding.CONFLICT, _:
            raise _conflict(unknown, doubt) from None
        case Finding.ABSENT, _:
            told = f"the order has not shown invoice {doubt.invoice_number}"
            lasting = f"{told} for {search.window:g} s; {_ADVICE[doubt.type]}"
            raise InvoiceAbsent(lasting, **unknown.facts) from None
        case _:
            raise _still_unknown(unknown, doubt, search) from None


def _still_unknown(unknown: OutcomeUnknown, doubt: Doubt, search: Search) -> OutcomeUnknown:
    facts = unknown.facts
    if facts.get("status") is None:
        facts["status"] = search.refused_with
    return OutcomeUnknown(f"{unknown.reason} ({search.reason})", doubt=doubt, **facts)


def _conflict(unknown: OutcomeUnknown, doubt: Doubt) -> InvoiceConflict:
    told = f"the order shows invoice {doubt.invoice_number}, or nearly, with other contents"
    return InvoiceConflict(f"{told}; compare them by hand", **unknown.facts)
