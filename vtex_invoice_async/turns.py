"""Whose turn it is: the circuit, the slots and the pace that all calls of a client share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vtex_invoice_async.call import Call
from vtex_invoice_async.circuit import Circuit
from vtex_invoice_async.config import LOOKS_AT_ONCE, ClientConfig
from vtex_invoice_async.errors import ConfigError, NotSent, RateLimited
from vtex_invoice_async.events import CircuitTurned, Observers, Throttled
from vtex_invoice_async.messages import NoReply, Reply
from vtex_invoice_async.protocol import is_answer
from vtex_invoice_async.throttle import LONGEST_BUSY, Pace, Throttle

__all__ = ["Sleepers", "Turns"]


class Sleepers:
    """Those who wait for a time, and can be woken before it."""

    def __init__(self) -> None:
        self._futures: set[asyncio.Future[None]] = set()

    @contextmanager
    def including(self, future: asyncio.Future[None]) -> Iterator[None]:
        """Count *future* among them for as long as the block lasts."""
        self._futures.add(future)
        try:
            yield
        finally:
            self._futures.discard(future)

    def wake(self) -> None:
        """Wake them all."""
        for future in self._futures:
            if not future.done():
                future.set_result(None)


class Turns:
    """Who may send, and when. A turn that was taken must be given back."""

    def __init__(self, config: ClientConfig, observers: Observers, spread: float) -> None:
        self._slots = asyncio.BoundedSemaphore(config.max_concurrency)
        self._look_slots = asyncio.BoundedSemaphore(LOOKS_AT_ONCE)
        self._observers = observers
        # VTEX limits reads for themselves.
        self._pace = Throttle(config.throttle, spread=spread)
        self._read_pace = Throttle(config.throttle, spread=spread)
        self._circuit = Circuit()
        self._sleepers = Sleepers()
        self._most = config.max_concurrency
        self._throttled = 0
        self.is_closing = False

    def pace(self, now: float, retried: int) -> Pace:
        """Return how fast is sent, after so many attempts that were *retried*."""
        return Pace(
            rate=self._pace.rate,
            limit=self._pace.limit,
            closed_for=max(0.0, self._pace.closed_until - now),
            is_answered=not self._circuit.is_open,
            throttled=self._throttled,
            retried=retried,
        )

    @property
    def circuit_is_open(self) -> bool:
        """Whether sends have to wait until VTEX answers again."""
        return self._circuit.is_open

    def rate(self, *, acts: bool) -> float:
        """Return the pace of what changes something at VTEX, or of what only reads."""
        return (self._pace if acts else self._read_pace).rate

    def check_open(self) -> None:
        """Raise `ConfigError` once the client is closing."""
        if self.is_closing:
            raise ConfigError("this client was closed; nothing was sent")

    async def sleep(self, seconds: float, among: Sleepers | None = None) -> None:
        """Wait, or until somebody wakes *among*; raise `ConfigError` as soon as the client closes."""
        self.check_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _end, future)
        try:
            with self._sleepers.including(future), (among or self._sleepers).including(future):
                await future
        finally:
            timer.cancel()
        self.check_open()

    async def close(self, drain_for: float | None) -> None:
        """Give no more turns, and wake who waits for one; wait for those that were given."""
        self.is_closing = True
        self._sleepers.wake()
        if drain_for is None:
            return
        held: list[asyncio.BoundedSemaphore] = []
        everyone = [self._slots] * self._most + [self._look_slots] * LOOKS_AT_ONCE
        try:
            async with asyncio.timeout(drain_for):
                # Whoever holds every slot knows that nothing is in flight.
                for slots in everyone:
                    await slots.acquire()
                    held.append(slots)
        except TimeoutError:
            pass  # what is still in flight ends as OutcomeUnknown, in its own task
        finally:
            # Who comes for one after a pause shall learn that it is too late.
            for slots in held:
                slots.release()

    async def take(self, call: Call[Any]) -> asyncio.BoundedSemaphore:
        """Wait for the turn of *call*; return the slots, one of which is its own and to be released.

        Raises `NotSent`, `RateLimited` or `ConfigError` where it will not come.
        """
        acts = call.operation.acts
        slots = self._look_slots if call.is_look else self._slots
        while True:
            if acts and self._circuit.is_open:
                await self._wait_for_circuit(call)
            await slots.acquire()
            try:
                await self._keep_pace(call, self._pace if acts else self._read_pace)
            except BaseException:
                slots.release()
                raise
            if call.is_probe or not (acts and self._circuit.is_open):
                return slots
            # The circuit opened meanwhile.
            slots.release()

    async def _wait_for_circuit(self, call: Call[Any]) -> None:
        """Wait, without a slot, until VTEX answers again or this call may try whether it does."""
        now = asyncio.get_running_loop().time
        while (wait := self._circuit.wait(now())) > 0:
            # Who waits for nobody would wait for ever.
            given_up = call.policy.deadline is None and self._circuit.is_over(now())
            if given_up or call.is_late(now(), wait):
                told = "nothing was sent: VTEX does not answer, so that it would only add a doubt; send it later"
                raise NotSent(told, **call.facts)
            await self.sleep(wait)
        call.is_probe = self._circuit.is_open

    async def _keep_pace(self, call: Call[Any], pace: Throttle) -> None:
        """Wait for the throttle, with a slot: the request leaves as soon as it says so."""
        self.check_open()
        clock = asyncio.get_running_loop().time
        now = clock()
        if call.is_late(now):
            raise NotSent(
                "nothing was sent: no connection was free in time; send it again", **call.facts
            )
        slot = pace.reserve(now)
        try:
            while (wait := slot.at - now) > 0:
                _check_patience(call, pace, now, wait)
                await self.sleep(wait)
                now = clock()
                if not pace.holds(slot):
                    slot = pace.reserve(now)
            call.sent_at = now
        except BaseException:
            pace.give_back(slot)
            raise

    def give_back_probe(self, call: Call[Any]) -> None:
        """Let another call be the probe, if this one was it and was not sent."""
        call.is_probe = False
        self._circuit.release()

    def learn(self, call: Call[Any], reply: Reply | NoReply, now: float) -> None:
        """See how an attempt ended, and tell the observers what that changes."""
        acts = call.operation.acts
        if acts and not (isinstance(reply, NoReply) and not reply.tried):
            turned = self._circuit.see(now, answered=is_answer(reply), probe=call.is_probe)
            call.is_probe = False
            if turned and self._observers:
                self._observers.tell(CircuitTurned(is_open=self._circuit.is_open))
        if isinstance(reply, NoReply):
            return
        pace, other = (self._pace, self._read_pace) if acts else (self._read_pace, self._pace)
        self._throttled += reply.status == 429
        cut = pace.observe(call.sent_at, now, reply)
        if reply.status in {429, 503} and (wait := reply.retry_after) is not None:
            # It is the account that is asked to wait.
            other.wait_out(now, wait if reply.status == 429 else min(wait, LONGEST_BUSY))
        if cut and self._observers:
            closed_for = max(0.0, pace.closed_until - now)
            self._observers.tell(Throttled(acts=acts, rate=pace.rate, closed_for=closed_for))


def _check_patience(call: Call[Any], pace: Throttle, now: float, wait: float) -> None:
    """Do not sit out what is longer than the call may last."""
    cap, since = call.policy.retry_after_cap, pace.fruitless_since
    # Only what VTEX refuses while this call waits is held against it.
    starved = since is not None and now - max(since, call.began, pace.closed_until) > cap
    closed_for = pace.closed_until - now
    if starved or closed_for > cap or (closed_for > 0 and call.is_late(now, closed_for)):
        told = "nothing was sent: VTEX is throttling this account; send it later"
        raise RateLimited(told, retry_after=max(closed_for, wait), **call.facts)
    if call.is_late(now, wait):
        told = f"nothing was sent: no turn came in time at {pace.rate:.3g} requests a second; send it again"
        raise NotSent(told, **call.facts)


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
