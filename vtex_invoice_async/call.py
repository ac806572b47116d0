"""One call, over all its attempts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import define

from vtex_invoice_async.errors import CallError, CallFacts
from vtex_invoice_async.evidence import Mark
from vtex_invoice_async.messages import Request
from vtex_invoice_async.operations import Operation
from vtex_invoice_async.options import Options
from vtex_invoice_async.retry import RetryPolicy
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["Call"]

R = TypeVar("R")


@define(eq=False, repr=False)
class Call(Generic[R]):
    """What is sent, how patiently, and what became of it so far. Times are the loop's."""

    operation: Operation[R]
    orders_api: OrdersApi
    request: Request
    options: Options
    policy: RetryPolicy
    """That of its options, or one that stands on it."""

    began: float
    number: int = 0
    """As events tell it."""

    is_look: bool = False
    """Whether it is a look at an order in doubt, which must not queue behind what is sent."""

    is_sought: bool = False
    """Whether the order is read at once for what it leaves in doubt."""

    intend: Callable[[], Awaitable[None]] | None = None
    """Awaited before the first byte of each attempt; what it raises is raised, and nothing is sent."""

    attempts: int = 0
    """All of them."""

    counted: int = 0
    """Those that did not end in a 429."""

    doubted: bool = False
    """Whether an attempt may have been applied, so that a refusal of another settles nothing."""

    failure: CallError | None = None
    """Of the first attempt, until it is decided whether there is another."""

    pause: float = 0
    """Seconds before the next attempt."""

    mark: Mark | None = None
    """Of the attempt in flight; a call that is cancelled keeps it."""

    queued_since: float | None = None
    """Since when it waits for the turn of an attempt, if it does."""

    sent_at: float = 0
    """When the turn of the last attempt came."""

    queued: float = 0
    """Seconds, over all attempts, until their turns came."""

    paused: float = 0
    """Seconds, over all, before another attempt."""

    status: int | None = None
    """Of the last attempt's answer."""

    age: int = 0
    """Of the credentials that the attempt carried."""

    renewed: bool = False
    is_probe: bool = False
    """Whether it is the one that an open circuit let through."""

    @property
    def facts(self) -> CallFacts:
        """What an error tells of it."""
        return CallFacts(
            operation=self.operation.name,
            order_id=self.operation.order_id,
            attempts=self.attempts,
        )

    def is_late(self, now: float, wait: float = 0) -> bool:
        """Whether an attempt that begins after *wait* would begin after the deadline."""
        deadline = self.policy.deadline
        return deadline is not None and now - self.began + wait > deadline
