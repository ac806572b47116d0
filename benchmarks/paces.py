"""What a user would write instead of the client's throttle, to be played against the same limits."""

from __future__ import annotations

import math
import random
from typing import Final

from attrs import define, field

from vtex_invoice_async.messages import Reply
from vtex_invoice_async.throttle import Slot

__all__ = ["AdditiveIncrease", "Backoff", "Told"]

LONGEST_BACKOFF: Final = 60.0


@define
class Backoff:
    """A semaphore; what fails is tried again after up to 1, 2, 4 ... s, in its slot, with full jitter.

    The workers are the semaphore. Where it *obeys*, a `Retry-After` is waited out, and up to a
    second more.
    """

    obeys: bool = False
    seed: int = 1
    _failed: dict[int, int] = field(factory=dict, init=False)
    _until: dict[int, float] = field(factory=dict, init=False)
    _chance: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def reserve(self, now: float, worker: int) -> Slot:
        return Slot(max(now, self._until.get(worker, now)), 0)

    def holds(self, slot: Slot) -> bool:
        return True

    def observe(self, sent_at: float, now: float, reply: Reply, worker: int) -> None:
        if reply.status not in {429, 503}:
            self._failed[worker] = 0
            return
        failed = self._failed.get(worker, 0)
        self._failed[worker] = failed + 1
        wait = reply.retry_after if self.obeys else None
        if wait is None:
            wait = self._chance.random() * min(LONGEST_BACKOFF, 2.0**failed)
        else:
            wait += self._chance.random()
        self._until[worker] = now + wait


@define
class _Paced:
    """Requests evenly spaced, and none before the time that a `Retry-After` names."""

    rate: float
    _next: float = field(default=-math.inf, init=False)
    _closed_until: float = field(default=-math.inf, init=False)

    def reserve(self, now: float, worker: int) -> Slot:
        at = max(now, self._next, self._closed_until)
        self._next = at + 1 / self.rate
        return Slot(at, 0)

    def holds(self, slot: Slot) -> bool:
        return slot.at >= self._closed_until

    def observe(self, sent_at: float, now: float, reply: Reply, worker: int) -> None:
        if reply.status == 429 and (wait := reply.retry_after) is not None:
            self._closed_until = max(self._closed_until, now + wait)


@define
class Told(_Paced):
    """A leaky bucket that was told the true rate when it began, as one sets up aiolimiter."""


@define
class AdditiveIncrease(_Paced):
    """AIMD: the rate grows by a constant each second, and is cut once for each burst of 429s."""

    rate: float = 10.0
    grows_by: float = 10.0
    cut_to: float = 0.8
    _grown_at: float = field(default=0.0, init=False)
    _cut_at: float = field(default=-math.inf, init=False)

    def observe(self, sent_at: float, now: float, reply: Reply, worker: int) -> None:
        _Paced.observe(self, sent_at, now, reply, worker)
        self.rate += self.grows_by * (now - self._grown_at)
        self._grown_at = now
        if reply.status == 429 and sent_at > self._cut_at:
            self.rate = max(1.0, self.rate * self.cut_to)
            self._cut_at = now
