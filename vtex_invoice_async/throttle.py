"""How fast to send: as fast as the account's limit allows, though nobody says what it is.

Pure arithmetic on times that are handed in. A 429 says that the limit's bucket is empty at that
moment. Between two such moments, what passed over the time it took *is* the limit. So the
throttle grows until the first 429, then cruises just under what it measured, and every while
spends what it has saved on a probe a little above, which ends in the next measurement. A probe
that outlives its savings means that the limit rose; a 429 between probes, that it fell.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from heapq import heappop, heappush
from typing import Final

from attrs import define, field, frozen

from vtex_invoice_async.config import MOST_RATE, ThrottleLimits
from vtex_invoice_async.messages import Reply
from vtex_invoice_async.printed import Printed

__all__ = ["LONGEST_BUSY", "Slot", "Throttle"]

# Rates are requests a second, times are seconds. What looks arbitrary was tried with
# tests/simulated_pace.py against limits from 0.5 to 2,000.

FIRST_RATE: Final = 100.0
"""Before anything is known: few enough for a small account's burst."""

LEAST_RATE: Final = 0.05

GROW_EVERY: Final = 0.3
"""Between two steps up while no limit shows."""

GROW_BY: Final = 2.0
REGROW_BY: Final = 1.25
"""The step once a limit was met: the next one cannot be far."""

TOO_FAST: Final = 0.75
"""What is kept of a rate that met a 429 before anything was measured."""

CRUISE: Final = 0.995
"""How far below the measured limit to stay: what is saved pays for the next probe."""

PROBE: Final = 1.1
SPILL: Final = 1.0075
"""A measurement misses what ran over the bucket's rim: so much is no sign of a lower limit."""

BUCKET: Final = 15
"""Requests that a bucket is thought to save while nobody sends; it may be more or fewer."""

MOST_SAVED: Final = 20
"""Requests that a probe may use up before it shows that the limit rose."""

FIRST_CRUISE: Final = 1.0
STEADY_CRUISE: Final = 3.0
"""Between two probes, once measurements agree."""

LONGEST_CRUISE: Final = 30.0

FEW: Final = 40
MANY: Final = 200
"""Requests between two probes, until and once measurements agree: each costs about one 429."""

PAUSE_WORTH: Final = 60.0
"""Where a 429 closes the account for long, the cruise before the next one is so much longer."""

SPREAD: Final = 0.1
"""The part of a `Retry-After` over which clients are spread that were told it together."""

LONGEST_BUSY: Final = 300.0
"""What a 503 may close: it promises nothing, and may come from anything on the way."""

SHORTEST_SILENCE: Final = 0.01
LONGEST_SILENCE: Final = 30.0
HINT_SILENCE: Final = 0.1
"""The most that a header is worth: nothing was refused, so nothing has to be waited for."""


@frozen(repr=False)
class Slot(Printed):
    """A moment at which one request may leave, as long as the throttle has not turned since."""

    at: float
    turn: int


class _Mode(Enum):
    GROW = auto()
    REGROW = auto()
    CRUISE = auto()
    PROBE = auto()


@define(eq=False, repr=False)
class Throttle:
    """The pace of one account, shared by everyone who sends for it.

    Times are seconds on one steady clock. The way of a request: `reserve`, wait for the slot, ask
    whether it still `holds` (if not, reserve again), send, `observe` the answer.
    """

    limits: ThrottleLimits = field(factory=ThrottleLimits)
    spread: float = 0.0
    """From 0 to 1: how far behind others that were told to wait as long this account comes back."""

    rate: float = field(init=False)
    """Requests a second, now."""

    closed_until: float = field(default=-math.inf, init=False)
    """Nobody sends before."""

    _gap: float = field(init=False)
    _next: float = field(default=-math.inf, init=False)
    _given_back: list[float] = field(factory=list, init=False)
    _turn: int = field(default=0, init=False)
    _scout: float = field(default=0.0, init=False)
    """How long the first request after a silence goes alone."""

    _mode: _Mode = field(default=_Mode.GROW, init=False)
    _review_at: float = field(default=-math.inf, init=False)
    _pressed: bool = field(default=False, init=False)
    """Somebody had to wait for a slot since the last review."""

    _estimate: float = field(default=math.inf, init=False)
    _cruise: float = field(default=FIRST_CRUISE, init=False)
    _probe: tuple[float, float] = field(default=(0.0, 0.0), init=False)
    """When the probe began, and how much may have passed before it exceeds its savings."""

    _cut_at: float = field(default=-math.inf, init=False)
    _empty_at: float = field(default=-math.inf, init=False)
    """When the request left that found the bucket empty."""

    _passed: int = field(default=0, init=False)
    _unclear: int = field(default=0, init=False)
    """Answers since, and those of them that a limit may not have seen."""

    _idle: float = field(default=0.0, init=False)
    """How long since then nobody wanted to send."""

    _misses: int = field(default=0, init=False)
    _unspent: bool = field(default=False, init=False)
    _round_trip: float = field(default=0.0, init=False)
    _fruitless_since: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._set_rate(self.limits.rate or FIRST_RATE)

    def reserve(self, now: float) -> Slot:
        """Book the next moment to send, and give it back if nothing is sent then."""
        if now >= self._review_at:
            self._review(now)
        while self._given_back:
            if (at := heappop(self._given_back)) >= now:
                return Slot(at, self._turn)
        at = self._next
        if at > now:
            self._pressed = True
        else:
            self._idle += now - at
            at = now
        self._next = at + self._gap
        if self._scout:
            self._next = at + max(self._gap, self._scout)
            self._scout = 0.0
        return Slot(at, self._turn)

    def give_back(self, slot: Slot) -> None:
        """Let somebody else have *slot*: who booked it will not send."""
        if self.holds(slot):
            heappush(self._given_back, slot.at)

    def holds(self, slot: Slot) -> bool:
        """Whether *slot* still stands; if not, the pace changed: book another."""
        return slot.turn == self._turn

    @property
    def fruitless_since(self) -> float | None:
        """Since when nothing but 429s came back; None if something else did since the last."""
        return self._fruitless_since

    def observe(self, sent_at: float, now: float, reply: Reply) -> bool:
        """Learn from the answer to a request; return whether the pace was cut for it."""
        status = reply.status
        if status == 429:
            return self._reject(sent_at, now, reply)
        self._fruitless_since = None
        if status >= 500:
            # A broken VTEX says nothing of the limit, but is left alone for as long as it asks.
            self._unclear += sent_at > self._empty_at
            if status == 503 and (wait := reply.retry_after) is not None:
                self.wait_out(now, min(wait, LONGEST_BUSY))
            return False
        if sent_at > self._empty_at:
            self._passed += 1
        trip = now - sent_at
        if 0 <= trip <= LONGEST_SILENCE:
            self._round_trip += (0.1 if self._round_trip else 1) * (trip - self._round_trip)
        if not reply.rate_is_spent:
            self._unspent = True
        elif self._unspent and sent_at > self._cut_at:
            # Only the first 0 is news: a server that says it all the time says nothing.
            self._cut(sent_at, now, HINT_SILENCE)
            return True
        return False

    def _reject(self, sent_at: float, now: float, reply: Reply) -> bool:
        if self._fruitless_since is None:
            self._fruitless_since = now
        wait = reply.retry_after
        if wait is None:
            wait = reply.rate_resets_in
        # What left before the last cut is of the same burst, which is already answered for.
        news = sent_at > self._cut_at
        if news:
            self._cut(sent_at, now, LONGEST_SILENCE)
        if wait is not None:
            self.wait_out(now, wait)
        return news

    def wait_out(self, now: float, wait: float) -> None:
        """Close the account for as long as VTEX asks, and a little more."""
        until = now + wait * (1 + SPREAD * self.spread)
        if until > self.closed_until:
            self._cruise = max(self._cruise, PAUSE_WORTH * wait)
            self._close(now, until)

    def _cut(self, sent_at: float, now: float, longest: float) -> None:
        trip = min(max(now - sent_at, SHORTEST_SILENCE), longest)
        # A request that passes may take longer than a 429: count up to what must be answered.
        seen_to = sent_at - max(0.0, self._round_trip - trip)
        missed = not self._passed and seen_to > self._empty_at > -math.inf
        self._misses = self._misses + 1 if missed else 0
        # Nothing passes at all: a window that is used up, or an outage. One at a time finds out.
        self._scout = 1.5 * trip if missed else 0.0
        if self.limits.rate is None:
            self._learn(seen_to)
        self._cut_at = now
        self._empty_at = sent_at
        self._passed = self._unclear = 0
        self._idle = 0.0
        self._pressed = self._unspent = False
        # What is under way comes back before anything more is sent.
        self._close(now, now + min(trip * 2.0 ** min(self._misses, 30), LONGEST_SILENCE))

    def _close(self, now: float, until: float) -> None:
        self.closed_until = max(self.closed_until, until)
        self._review_at = self.closed_until + self._cruise
        self._rebook(now)

    def _rebook(self, now: float) -> None:
        # What is due may have left; the rest of what was booked is void.
        self._next = max(self.closed_until, min(self._next, now + self._gap))
        self._given_back.clear()
        self._turn += 1

    def _learn(self, seen_to: float) -> None:
        """Take the measurement that a 429 completes."""
        before = self._estimate
        took = seen_to - self._empty_at
        if self._mode is _Mode.GROW or took <= 0:
            self._estimate = self.rate * TOO_FAST
        elif self._mode is _Mode.REGROW:
            # The last step but one passed; what came before it is no longer true.
            self._estimate = max(before, self.rate / REGROW_BY)
        elif self._passed:
            least, most = self._bounds(took)
            self._estimate = max(min(least, self.rate), min(before, most), LEAST_RATE)
        agrees = abs(before - self._estimate) < 0.02 * before
        cruise = STEADY_CRUISE if agrees else FIRST_CRUISE
        cruise = max(cruise, (MANY if agrees else FEW) / self._estimate)
        self._cruise = min(cruise, LONGEST_CRUISE)
        self._mode = _Mode.CRUISE
        self._set_rate(min(self.rate, self._estimate * CRUISE))

    def _bounds(self, took: float) -> tuple[float, float]:
        """Return the least and the most that the limit can be, after what passed in *took*."""
        least = (self._passed - 1) / took
        counted = self._passed + self._unclear
        # Of a few requests the last one weighs much: it may have come early or late.
        most = (SPILL * counted + (0.5 if counted < 8 else 0.0)) / took
        silent = self._idle + self.closed_until - self._cut_at
        if took > silent:
            # The bucket may have run over while nobody sent: then only the rest counts.
            most = max(most, (counted - BUCKET) / (took - silent))
        return least, most

    def _review(self, now: float) -> None:
        """Do what time brings: a step up, a probe, or the end of one."""
        pressed, self._pressed = self._pressed, False
        self._review_at = now + GROW_EVERY
        if self.limits.rate is not None:
            return
        if not pressed:
            # What nobody waits for need not grow, and a probe of it proves nothing.
            if self._mode is _Mode.PROBE:
                self._mode = _Mode.CRUISE
                self._set_rate(self._estimate * CRUISE)
            return
        if self._mode is _Mode.PROBE:
            since, paid = self._probe
            overspent = self._passed - paid - self._estimate * (now - since)
            if overspent <= max(3.0, 0.02 * self._estimate):
                return
            self._mode = _Mode.REGROW
        if self._mode is _Mode.CRUISE:
            saved = self._estimate * (now - self._empty_at) - self._passed
            self._probe = now, self._passed + max(0.0, min(saved, MOST_SAVED))
            self._mode = _Mode.PROBE
            self._set_rate(self._estimate * PROBE)
        else:
            self._set_rate(self.rate * (GROW_BY if self._mode is _Mode.GROW else REGROW_BY))
        # Who waits for a slot of the old pace need not.
        self._rebook(now)

    def _set_rate(self, rate: float) -> None:
        if self.limits.rate is None:
            rate = max(rate, LEAST_RATE)
        self.rate = min(rate, self.limits.max_rate or MOST_RATE, MOST_RATE)
        self._gap = 1 / self.rate
