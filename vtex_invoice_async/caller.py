"""What every call goes through: its turn, one attempt, what that proves, and perhaps another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, TypeVar

import backoff

from vtex_invoice_async.call import Call
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import (
    CallError,
    ConfigError,
    Doubt,
    NotAuthorized,
    OutcomeUnknown,
    RateLimited,
)
from vtex_invoice_async.events import Observers, Retrying, Sent, Settled
from vtex_invoice_async.evidence import Mark
from vtex_invoice_async.messages import NoReply, Reply
from vtex_invoice_async.operations import Operation
from vtex_invoice_async.options import Options
from vtex_invoice_async.protocol import decode, doubt_of, encode
from vtex_invoice_async.retry import Attempt, GiveUp, RetryPolicy, RetryQuota, decide
from vtex_invoice_async.throttle import Pace
from vtex_invoice_async.transport import Connector, Transport
from vtex_invoice_async.turns import Turns
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["Caller"]

R = TypeVar("R")

_NUMBERS: Final = count(1)
"""Of all calls of this process, whichever client makes them: observers may hear several."""


class _FailedError(Exception):
    """An attempt that failed, with its call: what backoff hands on to the waits."""

    def __init__(self, call: Call[Any], error: CallError) -> None:
        self.call = call
        self.error = error
        super().__init__()


class Caller:
    """The patience and the pool of one account."""

    def __init__(
        self, config: ClientConfig, observers: Observers, connector: Connector | None = None
    ) -> None:
        self.observers = observers
        self.chance: Callable[[], float] = random.random
        self.turns = Turns(config, observers, spread=self.chance())
        self.check: Callable[[Call[Any]], None] = _send_all
        """Asked in the last moment before an attempt; raises where it must not be made."""
        self._config = config
        self._transport = Transport(config, connector)
        self._quota = RetryQuota()
        self._retried = 0
        self._closed = asyncio.Event()
        self._opened_at = (datetime.min.replace(tzinfo=UTC), 0.0)
        self.time: Callable[[], float] = _time
        """The loop's clock, which only goes forward."""
        # Wrapped once: what differs between calls rides on the exception.
        again = backoff.on_exception(self._waits, _FailedError, jitter=None, logger=None)
        self._go_on = again(self._attempt_again)

    def open(self) -> None:
        """Make the pool in the running loop."""
        self._transport.open()
        self.time = asyncio.get_running_loop().time
        self._opened_at = (datetime.now(UTC), self.time())

    async def aclose(self, *, drain: bool) -> bool:
        """Take no more calls, let those in flight end, if they are to be waited for, and close.

        Return whether this has closed it: it may be closed, or another's, or be closing.
        """
        if not self._transport.is_usable:
            return False
        if drain and self.turns.is_closing:
            await self._closed.wait()
            return False
        try:
            await self.turns.close(self._config.timeouts.total if drain else None)
        finally:
            try:
                await self._transport.aclose()
            finally:
                self._closed.set()
        return True

    def check_usable(self) -> None:
        """Raise `ConfigError` where a call cannot be sent, here and now."""
        self._transport.check_usable()
        self.turns.check_open()

    def now(self) -> datetime:
        """Return the time of day by the loop's clock: setting the computer's does not move it."""
        wall, loop = self._opened_at
        return wall + timedelta(seconds=self.time() - loop)

    def pace(self) -> Pace:
        """Return how fast is sent, here and now."""
        return self.turns.pace(self.time(), self._retried)

    def number(self) -> int:
        """Return a number that no other call has."""
        return next(_NUMBERS)

    def call(
        self,
        operation: Operation[R],
        options: Options,
        *,
        policy: RetryPolicy | None = None,
        orders_api: OrdersApi | None = None,
        is_look: bool = False,
        is_sought: bool = False,
    ) -> Call[R]:
        """Return the call that `run` will make; refuse what cannot be written."""
        orders_api = orders_api or self._config.orders_api
        return Call(
            operation=operation,
            orders_api=orders_api,
            request=encode(operation, orders_api),
            options=options,
            policy=policy or options.retry,
            began=self.time(),
            number=next(_NUMBERS),
            is_look=is_look,
            is_sought=is_sought,
        )

    async def run(self, call: Call[R]) -> R:
        """Send *call*, again where that is safe; return its result or raise what is known."""
        self._quota.earn()
        error: CallError | None = None
        try:
            result = await self._attempt(call)
        except _FailedError as failed:
            call.failure = failed.error
        except CallError as refused:
            error = refused
        except BaseException as stopped:
            self._tell_end(call, stopped)
            raise
        if call.failure is not None:
            # Only now: to wrap every call in its patience would cost as much as to read an answer.
            try:
                result = await self._go_on(call)
            except _FailedError as failed:
                error = failed.error
            except CallError as refused:
                error = refused
            except BaseException as stopped:
                self._tell_end(call, stopped)
                raise
        if call.options.observers is not None:
            self._tell_end(call, error)
        if error is not None:
            raise error from None
        return result

    def doubt_left_by(self, call: Call[Any]) -> Doubt | None:
        """Return what to look for after *call* was cancelled, if it may have been applied."""
        if call.mark is None or not call.mark.bytes_left:
            return None
        return doubt_of(call.operation, call.orders_api, self.latest())

    def latest(self) -> datetime:
        """Return the later of two clocks: the loop's stands still while the computer sleeps."""
        return max(self.now(), datetime.now(UTC))

    def _waits(self) -> Generator[float, Any, None]:
        """Yield once for each failure that backoff sends in and that is followed by an attempt."""
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
            self._retried += 1
            if call.options.observers is not None:
                retrying = Retrying(
                    call=call.number,
                    operation=call.operation.name,
                    order_id=call.operation.order_id,
                    attempt=call.attempts,
                    wait=decision.seconds,
                    error=type(error).__name__,
                )
                call.options.observers.tell(retrying)
            # What was throttled waits in the throttle, with everybody else. The pause itself is the
            # attempt's, for backoff's cannot be ended when the client closes.
            call.pause = 0.0 if isinstance(error, RateLimited) else decision.seconds
            failed = yield 0.0

    def _may_repeat(self, call: Call[Any], error: CallError) -> bool:
        # The throttle spaces those that were throttled, and an open circuit lets no send through.
        held = self.turns.circuit_is_open and call.operation.acts
        return isinstance(error, RateLimited) or held or self._quota.spend()

    async def _attempt_again(self, call: Call[R]) -> R:
        """Let backoff hear of the first failure, and make every attempt after it."""
        if call.failure is not None:
            error, call.failure = call.failure, None
            raise _FailedError(call, error)
        return await self._attempt(call)

    async def _attempt(self, call: Call[R]) -> R:
        reply: Reply | NoReply | None = None
        try:
            if call.pause:
                await self._pause(call)
            call.queued_since = self.time()
            slots = await self.turns.take(call)
            call.queued += call.sent_at - call.queued_since
            call.queued_since = None
            try:
                self.check(call)
                call.attempts += 1
                mark = call.mark = Mark(intend=call.intend)
                reply = await self._transport.send(call.request, mark, call.options.timeouts)
                call.age, call.status = mark.age, reply.status
                self._take_in(call, reply)
            finally:
                slots.release()
            return decode(
                call.operation,
                call.orders_api,
                reply,
                self.latest,
                self._transport.blot,
                doubted=call.doubted,
            )
        except CallError as error:
            error.attempts = call.attempts
            if reply is None:
                raise  # it did not get a turn, and will not
            call.counted += error.status != 429
            if await self._renewed(call, error):
                return await self._attempt(call)
            raise _FailedError(call, error) from None
        finally:
            if call.is_probe:
                self.turns.give_back_probe(call)

    def _take_in(self, call: Call[Any], reply: Reply | NoReply) -> None:
        """Tell how an attempt ended, and learn from it."""
        now = self.time()
        if call.options.observers is not None:
            self._tell_of(call.options.observers, call, reply, now)
        self.turns.learn(call, reply, now)
        # Only now: an observer may raise what no `except` should stop, as a cancellation.
        call.mark = None

    async def _pause(self, call: Call[Any]) -> None:
        began = self.time()
        try:
            await self.turns.sleep(call.pause)
        finally:
            call.paused += self.time() - began

    async def _renewed(self, call: Call[Any], error: CallError) -> bool:
        """Get new credentials after a 401, which proves that VTEX did not act; once for a call."""
        if call.renewed or error.status != 401 or not isinstance(error, NotAuthorized):
            return False
        call.renewed = True
        return await self._transport.renew(call.age, call.options.timeouts) is None

    def _tell_of(
        self, observers: Observers, call: Call[Any], reply: Reply | NoReply, now: float
    ) -> None:
        acts = call.operation.acts
        observers.tell(
            Sent(
                call=call.number,
                operation=call.operation.name,
                order_id=call.operation.order_id,
                attempt=call.attempts,
                status=reply.status,
                bytes_left=isinstance(reply, Reply) or reply.bytes_left,
                seconds=now - call.sent_at,
                acts=acts,
                rate=self.turns.rate(acts=acts),
            )
        )

    def _tell_end(self, call: Call[Any], error: BaseException | None) -> None:
        observers = call.options.observers
        if observers is None:
            return
        now = self.time()
        # What an earlier attempt left in doubt is still that.
        is_in_doubt = isinstance(error, OutcomeUnknown) or (
            call.doubted and isinstance(error, CallError | ConfigError)
        )
        kind = OutcomeUnknown if is_in_doubt else type(error)
        observers.tell(
            Settled(
                call=call.number,
                operation=call.operation.name,
                order_id=call.operation.order_id,
                attempts=call.attempts,
                error=None if error is None else kind.__name__,
                status=call.status,
                seconds=now - call.began,
                queued=call.queued
                + (0.0 if call.queued_since is None else now - call.queued_since),
                paused=call.paused,
                is_looked_for=call.is_sought and isinstance(error, OutcomeUnknown),
            )
        )


def _time() -> float:
    """Return the loop's clock before it is known whose it is."""
    return asyncio.get_running_loop().time()


def _send_all(call: Call[Any]) -> None:
    """Let every call be sent."""
