"""Reads of orders in doubt: within a budget of their own, and beside what is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from vtex_invoice_async.caller import Caller
from vtex_invoice_async.config import ThrottleLimits
from vtex_invoice_async.models import Order
from vtex_invoice_async.operations import GetOrder
from vtex_invoice_async.options import Options
from vtex_invoice_async.throttle import Throttle
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["Looks"]

READS_PER_SECOND: Final = 20.0
"""A fifth of what VTEX lets an account read: 6,000 orders a minute."""


class Looks:
    """What a client may read to settle doubts."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._pace = Throttle(ThrottleLimits(rate=READS_PER_SECOND))

    async def turn(self) -> datetime:
        """Wait until the budget has room; return when that was."""
        slot = self._pace.reserve(self._caller.time())
        await self._caller.turns.sleep(max(0.0, slot.at - self._caller.time()))
        return self._caller.now()

    async def read(self, order_id: str, orders_api: OrdersApi, options: Options) -> Order:
        """Read an order once: a look that fails is followed by another by plan."""
        operation = GetOrder(order_id=order_id, must_be_fresh=True)
        call = self._caller.call(
            operation, options, policy=options.once, orders_api=orders_api, is_look=True
        )
        return await self._caller.run(call)
