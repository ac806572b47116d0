"""Many workers, one pace and a limit that nobody told it of, played event by event in no time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol, TypeAlias

from attrs import define, field, frozen

from vtex_invoice_async.messages import Reply
from vtex_invoice_async.throttle import Slot, Throttle

__all__ = [
    "BROKEN",
    "SERVED",
    "TURNED_AWAY",
    "WAIT_A_SECOND",
    "Bucket",
    "Limiter",
    "Ours",
    "Pace",
    "Run",
    "Score",
    "Trip",
    "Unrelated",
    "Window",
    "jittered",
    "slow_when_refused",
    "slow_when_served",
    "steady",
]

SERVED: Final = Reply(status=200, headers={}, body=b"")
BROKEN: Final = Reply(status=503, headers={}, body=b"")
TURNED_AWAY: Final = Reply(status=429, headers={}, body=b"")
WAIT_A_SECOND: Final = Reply(status=429, headers={"Retry-After": "1"}, body=b"")

BROKEN_SHARE: Final = 0.01


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
    """So many requests in each second of the clock; *then* as many from the time *at*."""

    rate: int
    then: int | None = None
    at: float = 0
    _second: int = -1
    _taken: int = 0

    def take(self, now: float) -> bool:
        if int(now) != self._second:
            self._second = int(now)
            self._taken = 0
        self._taken += 1
        later = self.rate if self.then is None else self.then
        return self._taken <= (self.rate if now < self.at else later)

    def most(self, until: float) -> float:
        later = self.rate if self.then is None else self.then
        return self.rate * min(until, self.at) + later * max(0.0, until - self.at)


@define
class Unrelated:
    """Another limit, and at random a refusal that has nothing to do with it."""

    limiter: Limiter
    share: float
    seed: int = 1
    _chance: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def take(self, now: float) -> bool:
        return self._chance.random() >= self.share and self.limiter.take(now)

    def most(self, until: float) -> float:
        return self.limiter.most(until)


Trip: TypeAlias = Callable[[random.Random, bool], tuple[float, float]]
"""Seconds that a request takes there, and back; whether it is served may decide the second."""


def steady(chance: random.Random, served: bool) -> tuple[float, float]:
    return 0.01, 0.04


def jittered(chance: random.Random, served: bool) -> tuple[float, float]:
    """Between 30 and 80 ms, so that requests overtake one another."""
    return 0.005 + 0.015 * chance.random(), 0.025 + 0.035 * chance.random()


def slow_when_served(chance: random.Random, served: bool) -> tuple[float, float]:
    return 0.01, 0.79 + 0.4 * chance.random() if served else 0.02


def slow_when_refused(chance: random.Random, served: bool) -> tuple[float, float]:
    return 0.01, 0.04 if served else 2.9 + 0.2 * chance.random()


class Pace(Protocol):
    """Who may send when; `Throttle` is one, and knows no workers."""

    def reserve(self, now: float, worker: int) -> Slot: ...

    def holds(self, slot: Slot) -> bool: ...

    def observe(self, sent_at: float, now: float, reply: Reply, worker: int) -> None: ...


@frozen
class Ours:
    """The throttle of the client."""

    throttle: Throttle = field(factory=Throttle)

    def reserve(self, now: float, worker: int) -> Slot:
        return self.throttle.reserve(now)

    def holds(self, slot: Slot) -> bool:
        return self.throttle.holds(slot)

    def observe(self, sent_at: float, now: float, reply: Reply, worker: int) -> None:
        self.throttle.observe(sent_at, now, reply)


@frozen
class Score:
    of_ideal: float
    """What passed the limit, by what it would have let pass."""

    rejected: float
    """The share of what was sent that was answered 429."""

    longest: float
    """Seconds from the first time that a request was sent until it passed, of the unluckiest."""


class _Step(Enum):
    SLOT = auto()
    ARRIVES = auto()
    IS_BACK = auto()


@define
class Run:
    """Workers who always have something more to send."""

    limiter: Limiter
    seed: int = 1
    workers: int = 64
    trip: Trip = steady
    refusal: Reply = TURNED_AWAY
    served: Callable[[], Reply] = lambda: SERVED
    pace: Pace = field(factory=Ours)
    sent_at: list[float] = field(factory=list)
    rejected: int = 0
    longest: float = 0
    _begun: dict[int, float] = field(factory=dict)
    """When each worker sent first what has not passed yet."""

    _events: list[tuple[float, int, _Step, int, Slot, Reply]] = field(factory=list)
    _count: int = 0
    _chance: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def play(self, seconds: float) -> Score:
        for worker in range(self.workers):
            self._book(worker, self._chance.random() * 0.01)
        while self._events and self._events[0][0] < seconds:
            now, _, step, worker, slot, reply = heapq.heappop(self._events)
            if step is _Step.SLOT:
                if self.pace.holds(slot):
                    self._send(worker, slot, now)
                else:
                    self._book(worker, now)
            elif step is _Step.ARRIVES:
                self._answer(worker, slot, now)
            else:
                self.pace.observe(slot.at, now, reply, worker)
                self._book(worker, now)
        # What still waits has waited as long, at least.
        self.longest = max([self.longest, *(seconds - at for at in self._begun.values())])
        passed = len(self.sent_at) - self.rejected
        return Score(
            passed / self.limiter.most(seconds), self.rejected / len(self.sent_at), self.longest
        )

    def _book(self, worker: int, now: float) -> None:
        slot = self.pace.reserve(now, worker)
        self._push(slot.at, _Step.SLOT, worker, slot)

    def _send(self, worker: int, slot: Slot, now: float) -> None:
        self.sent_at.append(now)
        self._begun.setdefault(worker, now)
        there, _ = self.trip(self._chance, True)
        self._push(now + there, _Step.ARRIVES, worker, slot)

    def _answer(self, worker: int, slot: Slot, now: float) -> None:
        passes = self.limiter.take(now)
        self.rejected += not passes
        if passes:
            self.longest = max(self.longest, now - self._begun.pop(worker))
        reply = self.refusal
        if passes:
            reply = BROKEN if self._chance.random() < BROKEN_SHARE else self.served()
        _, back = self.trip(self._chance, passes)
        self._push(now + back, _Step.IS_BACK, worker, slot, reply)

    def _push(self, at: float, step: _Step, worker: int, slot: Slot, reply: Reply = SERVED) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, step, worker, slot, reply))
