"""How much an account takes, though nobody says so: judged by what passes and what is refused.

A 429 says that the limit's bucket is empty at that moment. Between two such moments, what passed
over the time it took *is* the limit. So the rate grows, as long as what is sent comes back, until
the first 429, then cruises just under what was measured, and every while spends what it has saved on a probe a little above, which ends in
the next measurement. A probe that outlives its savings means that the limit rose.

Not every 429 is the limit's. One that comes while there should be something left is put on trial:
where the limit fell, more of them follow at once; where what follows passes, it meant nothing.
"""

from __future__ import annotations

import math
from typing import Final

from attrs import define, field

from vtex_invoice_async.config import MOST_RATE
from vtex_invoice_async.trial import Mode, Step, Trial, is_excess

__all__ = ["FIRST_RATE", "LEAST_RATE", "Gauge"]

# Rates are requests a second, times are seconds. What looks arbitrary was tried with
# benchmarks/pace.py against limits from 0.5 to 2,000.

FIRST_RATE: Final = 100.0
"""Before anything is known: few enough for a small account's burst."""

LEAST_RATE: Final = 0.05

GROW_EVERY: Final = 0.3
"""Between two steps up while no limit shows."""

GROW_BY: Final = 2.0
REGROW_BY: Final = 1.25
"""The step once a limit was met: the next one cannot be far."""

PROVES: Final = 0.35
"""The part of a rate that has to pass before the next step: a 429 may take long to come back."""

TOO_FAST: Final = 0.75
"""What is kept of a rate that met a 429 before anything was measured."""

STILL_TOO_FAST: Final = 0.25
"""The same, where nothing passed of what was under way: it may be a window that is used up."""

GENEROUS: Final = 1.15
"""More than what passed of what was under way: too much is soon measured, too little is not."""

LEAST_UNDER_WAY: Final = 0.01

JUDGED_WITHIN: Final = 4
"""Trips after which a step up is judged, however few answers came."""

CRUISE: Final = 0.995
"""How far below the measured limit to stay: what is saved pays for the next probe."""

LEAST_PROBE: Final = 0.1
MOST_PROBE: Final = 0.25
"""How far above it to probe: so far that one request too many is under way at the first 429."""

LONG_PROBE: Final = 1.05
"""A probe proves nothing sooner: limits that count by the second let a second's worth pass."""

MOST_SAVED: Final = 20
"""Requests that a probe may use up before it shows that the limit rose."""

RAISED: Final = 1.02
"""A probe that met a window was too fast by less than it seemed: nothing can be saved there."""

REFILL: Final = 10
"""Requests that a bucket saves in the silence after a probe, if that is shorter than a trip."""

SPILL: Final = 1.0075
"""A measurement misses what ran over the bucket's rim: so much is no sign of a lower limit."""

BUCKET: Final = 15
"""Requests that a bucket is thought to save while nobody sends; it may be more or fewer."""

FIRST_CRUISE: Final = 1.0
STEADY_CRUISE: Final = 3.0
"""Between two probes, once measurements agree."""

LONGEST_CRUISE: Final = 30.0

FEW: Final = 40
MANY: Final = 180
"""Requests between two probes, until and once measurements agree: each costs about one 429."""

FIRST_WORTH: Final = 8.0
PAUSE_WORTH: Final = 60.0
"""Where a 429 closes the account for long, the cruise before the next one is so much longer: little
at first, for an estimate that nothing has confirmed may be far too low."""

AGREES: Final = 0.05
"""How far two measurements of one limit are apart."""

MANY_UNDER_WAY: Final = {Mode.CRUISE: 4, Mode.PROBE: 8}
"""Requests under way that make a trial cheap: they are refused or not, whatever is done."""

DISMISSED: Final = 0.9975
"""What is kept of an estimate for each trial that came to nothing: a limit may fall by less than a
trial can tell."""

NOISY: Final = 2
MOST_NOISE: Final = 4
"""Trials that came to nothing, less those that did not: where many 429s mean nothing, all are tried."""


@define(eq=False, repr=False)
class Gauge:
    """The measurement of one account's limit, and the rate that follows from it.

    The throttle counts into it: what came back of what left after `empty_at`.
    """

    most: float = MOST_RATE
    rate: float = field(default=FIRST_RATE, init=False)
    review_at: float = field(default=-math.inf, init=False)
    """When `review` is due."""

    empty_at: float = field(default=-math.inf, init=False)
    """When the bucket was empty: what left later is counted."""

    passed: int = field(default=0, init=False)
    unclear: int = field(default=0, init=False)
    """Answers that a limit may not have seen."""

    refused: int = field(default=0, init=False)
    """429s that say nothing new."""

    idle: float = field(default=0.0, init=False)
    """How long nobody wanted to send."""

    trial: Trial | None = field(default=None, init=False)

    _closed: float = field(default=0.0, init=False)
    """How long nobody was allowed to send."""

    _resumes: float = field(default=-math.inf, init=False)
    _mode: Mode = field(default=Mode.GROW, init=False)
    _step: Step | None = field(default=None, init=False)
    """The last step up, until it is judged."""

    _estimate: float = field(default=math.inf, init=False)
    _trusted: bool = field(default=False, init=False)
    """Whether something confirmed the estimate."""

    _noise: int = field(default=0, init=False)
    _cruise: float = field(default=FIRST_CRUISE, init=False)
    _faster: tuple[float, float] = field(default=(0.0, 0.0), init=False)
    """When the probe or the last step up began, and what passed before; a probe's savings too."""

    _probed: bool = field(default=False, init=False)
    """The last cut ended a probe."""

    _small: bool = field(default=False, init=False)
    """Whether the last probe was half as far: a window lets it pass where it stops a whole one."""

    def __attrs_post_init__(self) -> None:
        self._set_rate(FIRST_RATE)

    @property
    def limit(self) -> float | None:
        """What the account takes, as it was last measured; None while nothing shows where it ends."""
        return None if self._mode.grows or math.isinf(self._estimate) else self._estimate

    def is_strange(self, sent_at: float, seen_to: float, trip: float, *, waits: bool) -> bool:
        """Whether a 429 may mean nothing, so that the pace is kept until it is known.

        Where VTEX asks to *wait*, what passes afterwards tells nothing.
        """
        if waits or self._mode.grows:
            return False
        trial = self.trial
        if trial is None:
            return self._try(sent_at, seen_to, trip)
        if sent_at > trial.since:
            trial.refused += 1
            if trial.convicts:
                return False
            if trial.is_over:
                self._dismiss()
        return True

    def _try(self, sent_at: float, seen_to: float, trip: float) -> bool:
        """Put a 429 on trial, where that costs little or the limit is no likely reason."""
        if not self.passed:
            return False
        noisy = self._noise >= NOISY
        left = self._estimate * (seen_to - self.empty_at) - self.passed
        unlikely = self._trusted and self._mode is Mode.CRUISE and left > self._slack
        if not (unlikely or noisy or self.rate * trip >= MANY_UNDER_WAY[self._mode]):
            return False
        self.trial = Trial(sent_at)
        return True

    def see_passed(self, sent_at: float) -> None:
        """Count for the trial, if there is one."""
        trial = self.trial
        if trial is not None and sent_at > trial.since:
            trial.passed += 1
            if trial.is_over:
                self._dismiss()

    def _dismiss(self) -> None:
        self.trial = None
        self._noise = min(self._noise + 1, MOST_NOISE)
        if self._mode is Mode.CRUISE:
            self._cruise_at(max(self._estimate * DISMISSED, LEAST_RATE))

    @property
    def _slack(self) -> float:
        return max(3.0, 0.02 * self._estimate)

    def cut(self, sent_at: float, seen_to: float, now: float, trip: float, *, waits: bool) -> float:
        """Take the measurement that a 429 completes; return how long to be silent."""
        mode, rate, before, took = self._mode, self.rate, self._estimate, seen_to - self.empty_at
        self._noise = max(self._noise - (self.trial is not None), 0)
        self.trial = self._step = None
        self.empty_at = max(sent_at, seen_to)
        if mode.grows:
            silence = trip
            self._step_back()
            self._step = Step(
                mode=mode,
                rate=rate,
                estimate=before,
                next_at=self.review_at,
                trip=trip,
                under_way=max(now - self.empty_at, LEAST_UNDER_WAY),
                ends_at=now + JUDGED_WITHIN * trip,
                waits=waits,
            )
            self.review_at = now + trip * (2 if waits else 1)
        else:
            silence = min(trip, REFILL / before)
            self._learn(took, trip)
        self._probed = mode is Mode.PROBE
        self._cruise_at(self._estimate)
        # Nothing that is answered makes anybody faster at once.
        self._set_rate(min(self.rate, rate))
        self.restart()
        return silence

    def restart(self) -> None:
        """Count from now on."""
        self.passed = self.unclear = self.refused = 0
        self.idle = self._closed = 0.0

    def is_shut(self, took: float, trip: float) -> bool:
        """Whether next to nothing passed since the bucket was found empty."""
        return not self.passed or (self.passed < 4 and took < 3 * trip)

    def close(self, now: float, until: float, asked: float = 0.0) -> None:
        """Take note that nobody sends before *until*, and of how long VTEX asked to wait."""
        self._closed += max(0.0, until - max(now, self._resumes))
        self._resumes = max(self._resumes, until)
        worth = PAUSE_WORTH if self._trusted else FIRST_WORTH
        self._cruise = max(self._cruise, worth * asked)
        if self._mode is Mode.PROBE:
            self._cruise_at(self._estimate)
        if not self._step:
            self.review_at = self._resumes + self._cruise

    def _step_back(self) -> None:
        """Go back to what is certain, until the step is judged."""
        if self._mode is Mode.REGROW:
            # The last step but one passed; what came before it is no longer true.
            self._estimate = max(self._estimate, self.rate / REGROW_BY)
        else:
            self._estimate = self.rate * TOO_FAST
        self._trusted = False
        self._plan_cruise(agrees=False)

    def _judge(self, step: Step, now: float) -> None:
        """Look at what was under way when the step met its 429."""
        passed = self.passed + self.unclear
        count = passed + self.refused
        if step.is_open(self.refused, count, now):
            self.review_at = now + step.trip
            return
        self._step = None
        self.review_at = self._resumes + self._cruise
        if not step.is_judged(count):
            return
        if not is_excess(self.refused, count):
            # All of it passed: the 429 was not the limit's.
            self._mode, self._estimate = step.mode, step.estimate
            self._step_up(step.rate, now)
            self.review_at = max(step.next_at, now)
        elif passed:
            least = step.rate / REGROW_BY if step.mode is Mode.REGROW else 0.0
            found = min(step.rate, GENEROUS * (passed + 1) / step.under_way)
            self._cruise_at(max(least, found))
        elif step.mode is Mode.GROW:
            self._cruise_at(step.rate * STILL_TOO_FAST)

    def _learn(self, took: float, trip: float) -> None:
        """Take what passed since the bucket was last empty for the limit."""
        before = self._estimate
        if took <= 0:
            self._estimate = max(self.rate * TOO_FAST, LEAST_RATE)
            self._trusted = False
        elif self.is_shut(took, trip):
            # A window that is used up, or an outage, says nothing of the limit.
            if self._probed:
                self._estimate *= RAISED
            self._plan_cruise(agrees=True)
            return
        else:
            least, most = self._bounds(took)
            if self._trusted and self._mode is Mode.PROBE:
                # What was saved may be less than was thought.
                most = before
            self._estimate = max(min(least, self.rate), min(before, most), LEAST_RATE)
            self._trusted = abs(before - self._estimate) < AGREES * before
        self._plan_cruise(agrees=self._trusted)

    def _plan_cruise(self, *, agrees: bool) -> None:
        cruise = STEADY_CRUISE if agrees else FIRST_CRUISE
        cruise = max(cruise, (MANY if agrees else FEW) / self._estimate)
        self._cruise = min(cruise, LONGEST_CRUISE)

    def _bounds(self, took: float) -> tuple[float, float]:
        """Return the least and the most that the limit can be, after what passed in *took*."""
        least = (self.passed - 1) / took
        counted = self.passed + self.unclear
        # Of a few requests the last one weighs much: it may have come early or late.
        most = (SPILL * counted + (0.5 if counted < 8 else 0.0)) / took
        silent = self.idle + self._closed
        if took > silent:
            # The bucket may have run over while nobody sent: then only the rest counts.
            most = max(most, (counted - BUCKET) / (took - silent))
        return least, most

    def review(self, now: float, trip: float, *, pressed: bool) -> bool:
        """Do what time brings: a step up, a probe, or the end of one; say if the pace changed."""
        if self._step:
            self._judge(self._step, now)
            return True
        self.review_at = now + GROW_EVERY
        since, before = self._faster
        came = self.passed + self.unclear
        if not pressed:
            # What nobody waits for need not grow, and a probe of it proves nothing.
            if self._mode is Mode.PROBE:
                self._cruise_at(self._estimate)
            self._faster = now, came
            return False
        if self._mode is Mode.CRUISE:
            self._begin_probe(now, trip)
        elif self._mode is Mode.PROBE:
            if not self._outlived(now):
                return False
            self._mode = Mode.REGROW
            self._step_up(self.rate * REGROW_BY, now)
        elif came - before < PROVES * self.rate * (now - since):
            return False
        else:
            self._step_up(self.rate * (GROW_BY if self._mode is Mode.GROW else REGROW_BY), now)
        return True

    def _step_up(self, rate: float, now: float) -> None:
        self._faster = now, self.passed + self.unclear
        self._set_rate(rate)

    def _begin_probe(self, now: float, trip: float) -> None:
        saved = self._estimate * (now - self.empty_at) - self.passed
        self._faster = now, self.passed + max(0.0, min(saved, MOST_SAVED))
        self._mode = Mode.PROBE
        self._small = not self._small
        step = 1 / (self._estimate * trip) if trip else MOST_PROBE
        step = min(step, MOST_PROBE) / (2 if self._small else 1)
        self._set_rate(self._estimate * (1 + max(step, LEAST_PROBE)))

    def _outlived(self, now: float) -> bool:
        """Whether the probe let pass more than was saved for it."""
        since, paid = self._faster
        overspent = self.passed - paid - self._estimate * (now - since)
        return overspent > self._slack and now >= since + LONG_PROBE and not self.trial

    def _cruise_at(self, estimate: float) -> None:
        self._mode = Mode.CRUISE
        self._estimate = estimate
        self._set_rate(estimate * CRUISE)

    def _set_rate(self, rate: float) -> None:
        self.rate = min(max(rate, LEAST_RATE), self.most)
