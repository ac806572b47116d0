"""Many workers, one throttle and a limit that nobody told it of, played event by event."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Final, Protocol

from attrs import define, field, frozen

from vtex_invoice_async.messages import Reply
from vtex_invoice_async.throttle import Slot, Throttle

SERVED: Final = Reply(status=200, headers={}, body=b"")
BROKEN: Final = Reply(status=503, headers={}, body=b"")
TURNED_AWAY: Final = Reply(status=429, headers={}, body=b"")
WAIT_A_SECOND: Final = Reply(status=429, headers={"Retry-After": "1"}, body=b"")


class Limiter(Protocol):
    def take(self, now: float) -> bool: ...

    def most(self, until: float) -> float:
        """Return how many requests it lets pass until then, at best."""
        ...


@define
class Bucket:
    """A token bucket whose rate changes to *then* at the time *at*. The sandbox's keeps its rate."""

    rate: float
    then: float | None = None
    at: float = 0
    burst: float = 20
    tokens: float = field(init=False)
    _filled_at: float = 0

    def __attrs_post_init__(self) -> None:
        self.tokens = self.burst

    def _made(self, until: float) -> float:
        later = self.rate if self.then is None else self.then
        return self.rate * min(until, self.at) + later * max(0.0, until - self.at)

    def take(self, now: float) -> bool:
        new = self._made(now) - self._made(self._filled_at)
        self.tokens = min(self.burst, self.tokens + new)
        self._filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def most(self, until: float) -> float:
        return self.burst + self._made(until)


@define
class Window:
    """So many requests in each second of the clock."""

    rate: int
    _second: int = -1
    _taken: int = 0

    def take(self, now: float) -> bool:
        if int(now) != self._second:
            self._second = int(now)
            self._taken = 0
        self._taken += 1
        return self._taken <= self.rate

    def most(self, until: float) -> float:
        return self.rate * until


def steady(chance: random.Random, served: bool) -> float:
    return 0.05


def slow_when_served(chance: random.Random, served: bool) -> float:
    return 0.8 + 0.4 * chance.random() if served else 0.03


@frozen
class Score:
    of_ideal: float
    """What passed the limit, by what it would have let pass."""

    rejected: float
    """The share of what was sent that was answered 429."""


@define
class Run:
    """Workers who always have something more to send."""

    limiter: Limiter
    seed: int = 1
    workers: int = 64
    trip: Callable[[random.Random, bool], float] = steady
    refusal: Reply = TURNED_AWAY
    served: Callable[[], Reply] = lambda: SERVED
    throttle: Throttle = field(factory=Throttle)
    sent_at: list[float] = field(factory=list)
    rejected: int = 0
    _events: list[tuple[float, int, Slot | tuple[float, Reply]]] = field(factory=list)
    _count: int = 0

    def play(self, seconds: float) -> Score:
        chance = random.Random(self.seed)
        for _ in range(self.workers):
            self._book(chance.random() * 0.01)
        while self._events and self._events[0][0] < seconds:
            now, _, event = heapq.heappop(self._events)
            if isinstance(event, tuple):
                self.throttle.observe(event[0], now, event[1])
                self._book(now)
            elif self.throttle.holds(event):
                self._send(now, chance)
            else:
                self._book(now)
        passed = len(self.sent_at) - self.rejected
        return Score(passed / self.limiter.most(seconds), self.rejected / len(self.sent_at))

    def _book(self, now: float) -> None:
        slot = self.throttle.reserve(now)
        self._push(slot.at, slot)

    def _send(self, now: float, chance: random.Random) -> None:
        passes = self.limiter.take(now + 0.01)
        self.sent_at.append(now)
        self.rejected += not passes
        reply = self.refusal
        if passes:
            reply = BROKEN if chance.random() < 0.01 else self.served()
        self._push(now + self.trip(chance, passes), (now, reply))

    def _push(self, at: float, event: Slot | tuple[float, Reply]) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, event))
