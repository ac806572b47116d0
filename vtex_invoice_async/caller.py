"""What every call goes through: its turn, one attempt, what that proves, and perhaps another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import backoff
from attrs import define

from vtex_invoice_async.circuit import Circuit
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import (
    CallError,
    CallFacts,
    ConfigError,
    Doubt,
    NotAuthorized,
    NotSent,
    RateLimited,
)
from vtex_invoice_async.events import (
    CircuitTurned,
    Observers,
    Retrying,
    Sent,
    Settled,
    Throttled,
)
from vtex_invoice_async.messages import NoReply, Reply, Request
from vtex_invoice_async.operations import Operation
from vtex_invoice_async.protocol import decode, doubt_of, encode, is_answer
from vtex_invoice_async.retry import Attempt, GiveUp, RetryPolicy, RetryQuota, decide
from vtex_invoice_async.throttle import Throttle
from vtex_invoice_async.transport import Mark, Transport
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["Call", "Caller"]

R = TypeVar("R")


@define(eq=False)
class Call(Generic[R]):
    """One call, over all its attempts."""

    operation: Operation[R]
    orders_api: OrdersApi
    request: Request
    policy: RetryPolicy
    began: float
    attempts: int = 0
    """All of them."""

    counted: int = 0
    """Those that did not end in a 429."""

    doubted: bool = False
    """Whether an attempt may have been applied, so that a refusal of another settles nothing."""

    mark: Mark | None = None
    """Of the attempt in flight; a call that is cancelled keeps it."""

    sent_at: float = 0
    is_probe: bool = False
    """Whether it is the one that an open circuit let through."""

    age: int = 0
    """Of the credentials that the attempt carries."""

    renewed: bool = False


class _FailedError(Exception):
    """An attempt that failed, with its call: what backoff hands on to the waits."""

    def __init__(self, call: Call[Any], error: CallError) -> None:
        self.call = call
        self.error = error
        super().__init__()


class Caller:
    """The pace, the patience and the pool of one account."""

    def __init__(self, config: ClientConfig, observers: Observers) -> None:
        self.observers = observers
        self.chance: Callable[[], float] = random.random
        self._config = config
        self._transport = Transport(config)
        self._slots = asyncio.BoundedSemaphore(config.max_concurrency)
        self._throttle = Throttle(config.throttle, spread=self.chance())
        self._circuit = Circuit()
        self._quota = RetryQuota()
        self._closing = asyncio.Event()
        self._closed = asyncio.Event()
        self._opened_at = (datetime.min.replace(tzinfo=UTC), 0.0)
        # Wrapped once: what differs between calls rides on the exception.
        again = backoff.on_exception(self._waits, _FailedError, jitter=None, logger=None)
        self._attempts = again(self._attempt)

    def open(self) -> None:
        """Make the pool in the running loop."""
        self._transport.open()
        self._opened_at = (datetime.now(UTC), self.time())

    async def aclose(self, *, drain: bool) -> None:
        """Take no more calls, let those in flight end, if they are to be waited for, and close."""
        if not self._transport.is_usable:
            return
        if drain and self._closing.is_set():
            await self._closed.wait()
            return
        self._closing.set()
        try:
            if drain:
                async with asyncio.timeout(self._config.timeouts.total):
                    # Whoever holds every slot knows that nothing is in flight.
                    for _ in range(self._config.max_concurrency):
                        await self._slots.acquire()
        except TimeoutError:
            pass  # what is still in flight ends as OutcomeUnknown, in its own task
        finally:
            try:
                await self._transport.aclose()
            finally:
                self._closed.set()

    @property
    def is_closing(self) -> bool:
        """Whether it takes no more calls."""
        return self._closing.is_set()

    def check_usable(self) -> None:
        """Raise `ConfigError` where a call cannot be sent, here and now."""
        self._transport.check_usable()
        if self._closing.is_set():
            raise ConfigError("this client was closed; nothing was sent")

    def time(self) -> float:
        """Return the loop's clock, which only goes forward."""
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """Return the time of day by the loop's clock: setting the computer's does not move it."""
        wall, loop = self._opened_at
        return wall + timedelta(seconds=self.time() - loop)

    async def sleep(self, seconds: float) -> None:
        """Wait; raise `ConfigError` as soon as the client is closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
        raise ConfigError("this client was closed; nothing was sent")

    def call(
        self,
        operation: Operation[R],
        *,
        policy: RetryPolicy | None = None,
        orders_api: OrdersApi | None = None,
    ) -> Call[R]:
        """Return the call that `run` will make; refuse what cannot be sent."""
        orders_api = orders_api or self._config.orders_api
        request = encode(operation, orders_api)
        self.check_usable()
        return Call(
            operation=operation,
            orders_api=orders_api,
            request=request,
            policy=policy or self._config.retry,
            began=self.time(),
        )

    async def run(self, call: Call[R]) -> R:
        """Send *call*, again where that is safe; return its result or raise what is known."""
        self._quota.earn()
        error: CallError | None = None
        try:
            result: R = await self._attempts(call)
        except _FailedError as failed:
            error = failed.error
        except CallError as refused:
            error = refused
        if self.observers:
            self._tell_end(call, error)
        if error is not None:
            raise error from None
        return result

    def doubt_left_by(self, call: Call[Any]) -> Doubt | None:
        """Return what to look for after *call* was cancelled, if it may have been applied."""
        if call.mark is None or not call.mark.bytes_left:
            return None
        return doubt_of(call.operation, call.orders_api, self.now())

    def _waits(self) -> Generator[float, Any, None]:
        """Yield the wait after each failure that backoff sends in; end where there is none."""
        failed: _FailedError = yield 0.0  # backoff primes it, and drops this
        while True:
            call, error = failed.call, failed.error
            attempt = Attempt(
                number=call.counted,
                elapsed=self.time() - call.began,
                error=error,
                reads_only=not call.operation.acts,
                chance=self.chance(),
            )
            decision = decide(call.policy, attempt)
            if isinstance(decision, GiveUp) or not self._may_repeat(call, error):
                return
            if self.observers:
                retrying = Retrying(
                    operation=call.operation.name,
                    order_id=call.operation.order_id,
                    attempt=call.attempts,
                    wait=decision.seconds,
                    error=type(error).__name__,
                )
                self.observers.tell(retrying)
            # What was throttled waits in the throttle, with everybody else, and wakes on closing.
            failed = yield 0.0 if isinstance(error, RateLimited) else decision.seconds

    def _may_repeat(self, call: Call[Any], error: CallError) -> bool:
        # The throttle spaces those that were throttled, and an open circuit lets no send through.
        held = isinstance(error, RateLimited) or (self._circuit.is_open and call.operation.acts)
        return held or self._quota.spend()

    async def _attempt(self, call: Call[R]) -> R:
        reply: Reply | NoReply | None = None
        try:
            while reply is None:
                if self._circuit.is_open and call.operation.acts:
                    await self._wait_for_circuit(call)
                async with self._slots:
                    if await self._has_turn(call):
                        reply = await self._transport.send(call.request, self._begin(call))
                        self._learn(call, reply)
            return decode(
                call.operation,
                call.orders_api,
                reply,
                self.now(),
                self._transport.blot,
                doubted=call.doubted,
            )
        except CallError as error:
            error.attempts = call.attempts
            call.counted += not isinstance(error, RateLimited)
            if reply is None:
                raise  # it did not get a turn, and will not
            if await self._renewed(call, error):
                return await self._attempt(call)
            raise _FailedError(call, error) from None
        finally:
            if call.is_probe:
                call.is_probe = False
                self._circuit.release()

    async def _wait_for_circuit(self, call: Call[Any]) -> None:
        """Wait, without a slot, until VTEX answers again or this call may try whether it does."""
        while (wait := self._circuit.wait(self.time())) > 0:
            now, deadline = self.time(), call.policy.deadline
            too_late = deadline is not None and now - call.began + wait > deadline
            if too_late or self._circuit.is_over(now):
                told = "nothing was sent: VTEX does not answer, so that it would only add a doubt"
                raise NotSent(told, **_facts(call))
            await self.sleep(wait)
        call.is_probe = self._circuit.is_open

    async def _has_turn(self, call: Call[Any]) -> bool:
        """Wait for the throttle; return False where the circuit has opened meanwhile."""
        self.check_usable()
        slot = self._throttle.reserve(self.time())
        while (wait := slot.at - self.time()) > 0:
            self._check_patience(call, wait)
            await self.sleep(wait)
            if not self._throttle.holds(slot):
                slot = self._throttle.reserve(self.time())
        return call.is_probe or not (self._circuit.is_open and call.operation.acts)

    def _check_patience(self, call: Call[Any], wait: float) -> None:
        """Do not sit out a pause that is longer than the call may last."""
        policy, now = call.policy, self.time()
        too_late = policy.deadline is not None and now - call.began + wait > policy.deadline
        since = self._throttle.fruitless_since
        starved = since is not None and now - since > policy.retry_after_cap
        if too_late or starved or wait > policy.retry_after_cap:
            told = "nothing was sent: VTEX is throttling this account; send it later"
            raise RateLimited(told, retry_after=wait, **_facts(call))

    def _begin(self, call: Call[Any]) -> Mark:
        call.attempts += 1
        call.sent_at = self.time()
        call.mark = Mark()
        return call.mark

    def _learn(self, call: Call[Any], reply: Reply | NoReply) -> None:
        """Let circuit, throttle and observers see how an attempt ended."""
        now = self.time()
        call.age = call.mark.age if call.mark is not None else 0
        call.mark = None
        turned = False
        if call.operation.acts:
            answered = is_answer(reply)
            turned = self._circuit.see(now, answered=answered, probe=call.is_probe)
            call.is_probe = False
        cut = isinstance(reply, Reply) and self._throttle.observe(call.sent_at, now, reply)
        if not self.observers:
            return
        self._tell_of(call, reply, now)
        if turned:
            self.observers.tell(CircuitTurned(is_open=self._circuit.is_open))
        if cut:
            closed_for = max(0.0, self._throttle.closed_until - now)
            self.observers.tell(Throttled(rate=self._throttle.rate, closed_for=closed_for))

    async def _renewed(self, call: Call[Any], error: CallError) -> bool:
        """Get new credentials after a 401, which proves that VTEX did not act; once for a call."""
        if call.renewed or error.status != 401 or not isinstance(error, NotAuthorized):
            return False
        call.renewed = True
        return await self._transport.renew(call.age) is None

    def _tell_of(self, call: Call[Any], reply: Reply | NoReply, now: float) -> None:
        self.observers.tell(
            Sent(
                operation=call.operation.name,
                order_id=call.operation.order_id,
                attempt=call.attempts,
                status=reply.status,
                bytes_left=isinstance(reply, Reply) or reply.bytes_left,
                seconds=now - call.sent_at,
            )
        )

    def _tell_end(self, call: Call[Any], error: CallError | None) -> None:
        self.observers.tell(
            Settled(
                operation=call.operation.name,
                order_id=call.operation.order_id,
                attempts=call.attempts,
                error=type(error).__name__ if error else None,
                seconds=self.time() - call.began,
            )
        )


def _facts(call: Call[Any]) -> CallFacts:
    return CallFacts(operation=call.operation.name, order_id=call.operation.order_id)
