"""Doubts about what is no invoice: it may be sent once more where the order lacks it."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

from vtex_invoice_async.call import Call
from vtex_invoice_async.caller import Caller
from vtex_invoice_async.errors import CallError, ConfigError, OutcomeUnknown
from vtex_invoice_async.looks import Looks
from vtex_invoice_async.models import Order
from vtex_invoice_async.operations import Operation, SendTracking, UpdateTrackingStatus
from vtex_invoice_async.resolve import LOOK_AFTER, Finding
from vtex_invoice_async.seeking import Seeker

__all__ = ["Unnamed"]

R = TypeVar("R")

FEWEST_LACKING: Final = 2
"""Reads without what was sent, after which a call that may be repeated is repeated."""


class Unnamed:
    """Settles what tracking, or the start of handling, has left in doubt."""

    def __init__(self, caller: Caller, looks: Looks) -> None:
        self._caller = caller
        self._looks = looks

    async def settle(self, call: Call[R], unknown: OutcomeUnknown) -> R:
        """Read the order for what *call* does, and repeat it where the order lacks that.

        Returns what stands for VTEX's answer, or raises what is still unknown.
        """
        while True:
            seeker = Seeker(
                number=call.number,
                operation=call.operation.name,
                order_id=call.operation.order_id,
                invoice_number=_number_of(call.operation),
                options=call.options,
                began=self._caller.time(),
            )
            try:
                order = await self._order_that_shows(call, seeker)
            except BaseException:
                seeker.tell_end(self._caller.time(), Finding.NO_EVIDENCE)
                raise
            if isinstance(order, Order):
                seeker.tell_end(self._caller.time(), Finding.PRESENT)
                return call.operation.confirmed_by(order)
            if order is not Finding.ABSENT or not self._may_repeat(call):
                seeker.tell_end(self._caller.time(), Finding.NO_EVIDENCE)
                raise unknown
            seeker.tell_end(self._caller.time(), Finding.ABSENT, is_repeated=True)
            call.doubted = True
            try:
                return await self._caller.run(call)
            except OutcomeUnknown as again:
                unknown = again
            except (CallError, ConfigError):
                raise unknown from None

    async def _order_that_shows(self, call: Call[R], seeker: Seeker) -> Order | Finding:
        """Return the order once it shows what *call* does, or what else it shows of that."""
        lacking, patience = 0, call.policy.resolve_for
        for after in LOOK_AFTER:
            if after > patience:
                break
            try:
                async with asyncio.timeout_at(seeker.began + patience):
                    await self._caller.turns.sleep(
                        max(0.0, seeker.began + after - self._caller.time())
                    )
                    await self._looks.turn()
                    order = await self._looks.read(seeker.order_id, call.orders_api, call.options)
            except (ConfigError, TimeoutError):
                break
            except CallError:
                seeker.looks += 1
                continue
            seeker.looks += 1
            shown = call.operation.shown_by(order)
            if shown:
                return order
            lacking = lacking + 1 if shown is False else 0
            if lacking >= FEWEST_LACKING:
                return Finding.ABSENT
        return Finding.NO_EVIDENCE

    def _may_repeat(self, call: Call[R]) -> bool:
        deadline = call.policy.deadline
        in_time = deadline is None or self._caller.time() - call.began < deadline
        return in_time and call.counted < call.policy.max_attempts


def _number_of(operation: Operation[Any]) -> str | None:
    if isinstance(operation, SendTracking | UpdateTrackingStatus):
        return operation.invoice_number
    return None
