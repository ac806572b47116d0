"""How fast to send: as fast as the account's limit allows, though nobody says what it is.

Pure arithmetic on times that are handed in. The throttle says who leaves when: evenly spaced at the
rate that its gauge found, nobody while VTEX asks to wait, and nobody for a moment after a 429.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import Final

from attrs import define, field, frozen

from vtex_invoice_async.config import MOST_RATE, ThrottleLimits
from vtex_invoice_async.gauge import FIRST_RATE, Gauge
from vtex_invoice_async.messages import Reply
from vtex_invoice_async.value import Value

__all__ = ["LONGEST_BUSY", "Pace", "Slot", "Throttle"]

# Rates are requests a second, times are seconds.

SPREAD: Final = 0.1
"""The part of a `Retry-After` over which clients are spread that were told it together."""

LONGEST_BUSY: Final = 300.0
"""What a 503 may close: it promises nothing, and may come from anything on the way."""

SHORTEST_SILENCE: Final = 0.01
LONGEST_SILENCE: Final = 30.0
HINT_SILENCE: Final = 0.1
"""The most that a header is worth: nothing was refused, so nothing has to be waited for."""


@frozen(kw_only=True, eq=False, repr=False)
class Pace(Value):
    """How fast a client sends at one moment, and what has held it up so far."""

    rate: float
    """Requests a second, from now on."""

    limit: float | None
    """The account's, in requests a second, as its answers showed it. None where nothing has yet, and
    where the rate was given."""

    closed_for: float
    """Seconds in which nothing is sent at all: a 429 was met, or VTEX asked to wait."""

    is_answered: bool
    """False while sends wait for VTEX to answer again."""

    throttled: int
    """429s so far, reads included."""

    retried: int
    """Attempts so far, reads included, that repeated one which VTEX had not acted on."""


@frozen(eq=False, repr=False)
class Slot(Value):
    """A moment at which one request may leave, as long as the throttle has not turned since."""

    at: float
    turn: int


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

    _gauge: Gauge = field(init=False)
    _learns: bool = field(init=False)
    _pressed: bool = field(default=False, init=False)
    """Somebody had to wait for a slot since the last review."""

    _cut_at: float = field(default=-math.inf, init=False)
    _misses: int = field(default=0, init=False)
    _unspent: bool = field(default=False, init=False)
    _round_trip: float = field(default=0.0, init=False)
    _fruitless_since: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        most = min(self.limits.max_rate or MOST_RATE, MOST_RATE)
        self._gauge = Gauge(most)
        self._learns = self.limits.rate is None
        self._set_rate(min(self.limits.rate or FIRST_RATE, most))

    def reserve(self, now: float) -> Slot:
        """Book the next moment to send, and give it back if nothing is sent then."""
        if now >= self._gauge.review_at:
            self._review(now)
        while self._given_back:
            if (at := heappop(self._given_back)) >= now:
                return Slot(at, self._turn)
        at = self._next
        if at > now:
            self._pressed = True
        else:
            self._gauge.idle += now - at
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
    def limit(self) -> float | None:
        """What the account takes, in requests a second; None where that is told, or not known."""
        return self._gauge.limit if self._learns else None

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
        gauge = self._gauge
        if status >= 500:
            # A broken VTEX says nothing of the limit, but is left alone for as long as it asks.
            gauge.unclear += sent_at > gauge.empty_at
            if status == 503 and (wait := reply.retry_after) is not None:
                self.wait_out(now, min(wait, LONGEST_BUSY))
            return False
        if sent_at > gauge.empty_at:
            gauge.passed += 1
        if gauge.trial is not None:
            gauge.see_passed(sent_at)
            self._keep_to_gauge()
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
        cuts = sent_at > self._cut_at
        if not cuts:
            self._gauge.refused += 1
        elif self._learns and self._gauge.is_strange(
            sent_at, self._seen_to(sent_at, now), self._round_trip, waits=wait is not None
        ):
            cuts = False
            self._keep_to_gauge()
        else:
            self._cut(sent_at, now, LONGEST_SILENCE, waits=wait is not None)
        if wait is not None:
            self.wait_out(now, wait)
        return cuts

    def wait_out(self, now: float, wait: float) -> None:
        """Close the account for as long as VTEX asks, and a little more."""
        until = now + wait * (1 + SPREAD * self.spread)
        if until > self.closed_until:
            self._close(now, until, asked=wait)

    def _cut(self, sent_at: float, now: float, longest: float, *, waits: bool = False) -> None:
        gauge = self._gauge
        trip = min(max(now - sent_at, SHORTEST_SILENCE), longest)
        seen_to = self._seen_to(sent_at, now)
        missed = seen_to > gauge.empty_at > -math.inf and gauge.is_shut(
            seen_to - gauge.empty_at, trip
        )
        self._misses = self._misses + 1 if missed else 0
        # Nothing passes at all: a window that is used up, or an outage. One at a time finds out.
        self._scout = 1.5 * trip if missed else 0.0
        silence = gauge.cut(sent_at, seen_to, now, trip, waits=waits)
        if missed or not self._learns:
            silence = min(trip * 2.0 ** min(self._misses, 30), LONGEST_SILENCE)
        self._cut_at = now
        self._pressed = self._unspent = False
        # What is under way comes back before anything more is sent.
        self._close(now, now + silence)

    def _seen_to(self, sent_at: float, now: float) -> float:
        """Return when the last of what has passed by now left, however long the 429 took."""
        return now - self._round_trip if self._round_trip else sent_at

    def _close(self, now: float, until: float, asked: float = 0.0) -> None:
        self.closed_until = max(self.closed_until, until)
        self._gauge.close(now, until, asked)
        self._keep_to_gauge()
        self._rebook(now)

    def _rebook(self, now: float) -> None:
        # What is due may have left; the rest of what was booked is void.
        self._next = max(self.closed_until, min(self._next, now + self._gap))
        self._given_back.clear()
        self._turn += 1

    def _review(self, now: float) -> None:
        if not self._learns:
            return
        changed = self._gauge.review(now, self._round_trip, pressed=self._pressed)
        self._pressed = False
        self._keep_to_gauge()
        if changed:
            # Who waits for a slot of the old pace need not.
            self._rebook(now)

    def _keep_to_gauge(self) -> None:
        if self._learns and self._gauge.rate != self.rate:
            self._set_rate(self._gauge.rate)

    def _set_rate(self, rate: float) -> None:
        self.rate = rate
        self._gap = 1 / rate
