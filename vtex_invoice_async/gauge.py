"""How much an account takes, though nobody says so: judged by what passes and what is refused.

A 429 says that the limit's bucket is empty at that moment. Between two such moments, what passed
over the time it took *is* the limit. So the rate grows until the first 429, then cruises just under
what was measured, and every while spends what it has saved on a probe a little above, which ends in
the next measurement. A probe that outlives its savings means that the limit rose.

Not every 429 is the limit's. One that comes while there should be something left is put on trial:
where the limit fell, more of them follow at once; where what follows passes, it meant nothing.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import Final

from attrs import define, field, frozen

from vtex_invoice_async.config import MOST_RATE

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

TOO_FAST: Final = 0.75
"""What is kept of a rate that met a 429 where too little was under way to judge by."""

JUDGED_BY: Final = 4
"""Answers to what was under way, at least, to judge a step up by them."""

CRUISE: Final = 0.995
"""How far below the measured limit to stay: what is saved pays for the next probe."""

PROBE_COSTS: Final = 1.0
"""Requests too many that a probe has under way when its first 429 comes back."""

LEAST_PROBE: Final = 0.1
MOST_PROBE: Final = 0.25

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
MANY: Final = 180
"""Requests between two probes, until and once measurements agree: each costs about one 429."""

PAUSE_WORTH: Final = 60.0
"""Where a 429 closes the account for long, the cruise before the next one is so much longer."""

FIRST_WORTH: Final = 8.0

GENEROUS: Final = 1.15
"""More than what passed of what was under way: too much is soon measured, too little is not."""

AGREES: Final = 0.05

LONG_PROBE: Final = 1.05
"""A probe proves nothing sooner: limits that count by the second let a second's worth pass."""

TRIAL: Final = 30
"""Answers after which a 429 that nothing explains, and that few followed, is dismissed."""

GUILTY: Final = 1 / 15
"""The part of a trial's answers that are 429s where the limit did fall; at least two of them."""

RAISED: Final = 1.02

REFILL: Final = 10
"""Requests that a bucket saves in the silence after a probe, if that is shorter than a trip."""

DISMISSED: Final = 0.9975
"""What is kept of a measurement for each: a limit may fall by less than a trial can tell."""


class _Mode(Enum):
    GROW = auto()
    REGROW = auto()
    CRUISE = auto()
    PROBE = auto()


@define
class _Trial:
    """What came back of what left after a 429 that nothing explains."""

    since: float
    most: float
    passed: int = 0
    refused: int = 0

    @property
    def is_over(self) -> bool:
        return self.passed + self.refused >= TRIAL

    @property
    def convicts(self) -> bool:
        return self.refused >= 2 and self.refused >= GUILTY * (self.passed + self.refused)


@frozen
class _Step:
    """A step up that met a 429: whether it went too far is judged by what was under way."""

    mode: _Mode
    rate: float
    estimate: float
    """Before it."""

    next_at: float
    trip: float
    waits: bool


@define
class Gauge:
    """The measurement of one account's limit, and the rate that follows from it."""

    most: float = MOST_RATE
    rate: float = field(default=FIRST_RATE, init=False)
    review_at: float = field(default=-math.inf, init=False)
    """When `review` is due."""

    empty_at: float = field(default=-math.inf, init=False)
    """When the request left that found the bucket empty."""

    passed: int = field(default=0, init=False)
    """Answers to what left since."""

    unclear: int = field(default=0, init=False)
    """The same, of those that a limit may not have seen."""

    refused: int = field(default=0, init=False)
    """The same, of 429s, as long as they say nothing new."""

    idle: float = field(default=0.0, init=False)
    """How long since then nobody wanted to send."""

    trial: _Trial | None = field(default=None, init=False)

    _closed: float = field(default=0.0, init=False)
    """How long since then nobody was allowed to send."""

    _resumes: float = field(default=-math.inf, init=False)
    _mode: _Mode = field(default=_Mode.GROW, init=False)
    _step: _Step | None = field(default=None, init=False)
    _estimate: float = field(default=math.inf, init=False)
    _probed: bool = field(default=False, init=False)
    """The last measurement ended a probe."""

    _dismissed: int = field(default=0, init=False)
    _noise: int = field(default=0, init=False)
    _turns: int = field(default=0, init=False)
    _trusted: bool = field(default=False, init=False)
    """Whether a second measurement confirmed the estimate."""

    _cruise: float = field(default=FIRST_CRUISE, init=False)
    _probe: tuple[float, float] = field(default=(0.0, 0.0), init=False)
    """When the probe began, and how much may have passed before it exceeds its savings."""

    def __attrs_post_init__(self) -> None:
        self._set_rate(FIRST_RATE)

    def is_strange(self, sent_at: float, trip: float, *, waits: bool) -> bool:
        """Whether a 429 came though there should be something left; it is on trial then."""
        if waits or self._mode in {_Mode.GROW, _Mode.REGROW}:
            return False
        if self.trial is None:
            took = sent_at - self.empty_at
            left = self._estimate * took - self.passed
            known = self._trusted and self._mode is _Mode.CRUISE and left > self._slack
            # Where much is under way, a trial costs nothing.
            many = self.rate * trip >= (4 if self._mode is _Mode.CRUISE else 8)
            noisy = self._noise >= 2
            if self.passed < (1 if noisy else self._slack) or not (known or many or noisy):
                return False
            self.trial = _Trial(sent_at, self._bounds(took)[1])
            return True
        if sent_at > self.trial.since:
            self.trial.refused += 1
            if self.trial.convicts:
                return False
            if self.trial.is_over:
                self._dismiss()
        return True

    def see_passed(self, sent_at: float) -> None:
        """Count for the trial; to be called only while there is one."""
        trial = self.trial
        if trial is not None and sent_at > trial.since:
            trial.passed += 1
            if trial.is_over:
                self._dismiss()

    def _dismiss(self) -> None:
        most = self.trial.most if self.trial is not None else math.inf
        self.trial = None
        kept = DISMISSED if self._trusted else 1 - 1 / TRIAL
        self._dismissed += 1
        self._noise = min(self._noise + 1, 4)
        if self._dismissed > 2:
            self._trusted = True
        if self._mode is _Mode.CRUISE:
            self._estimate = max(self._estimate * kept, min(self._estimate, most), LEAST_RATE)
            self._set_rate(self._estimate * CRUISE)

    @property
    def _slack(self) -> float:
        return max(3.0, 0.02 * self._estimate)

    def cut(self, sent_at: float, seen_to: float, now: float, trip: float, waits: bool) -> float:
        """Take the measurement that a 429 completes; return how long to be silent."""
        trial = self.trial
        convicted = trial is not None
        self._noise = max(self._noise - convicted, 0)
        self.trial = None
        known = 0.0
        if trial is not None and trial.passed >= 8 and seen_to > trial.since:
            # It passed without a silence, in which a small bucket would have run over.
            known = trial.passed / (seen_to - trial.since)
        self._dismissed = 0
        mode, rate, before = self._mode, self.rate, self._estimate
        steps = mode in {_Mode.GROW, _Mode.REGROW}
        if steps:
            silence = trip
            self._learn_of_step()
        else:
            silence = min(trip, REFILL / before)
            self._learn(seen_to - self.empty_at, trip, known)
        self._trusted = self._trusted or convicted
        self._step = _Step(mode, rate, before, self.review_at, trip, waits) if steps else None
        self._probed = mode is _Mode.PROBE
        self._mode = _Mode.CRUISE
        self._set_rate(min(self.rate, self._estimate * CRUISE))
        self.empty_at = sent_at
        self.restart()
        if self._step:
            self.review_at = now + trip * (2 if waits else 1)
        return silence

    def is_shut(self, took: float, trip: float) -> bool:
        """Whether next to nothing passed since the bucket was found empty."""
        return not self.passed or (self.passed < 4 and took < 3 * trip)

    def restart(self) -> None:
        self.passed = self.unclear = self.refused = 0
        self.idle = self._closed = 0.0

    def close(self, now: float, until: float, asked: float = 0.0) -> None:
        """Take note that nobody sends before *until*, and of how long VTEX asked to wait."""
        self._closed += max(0.0, until - max(now, self._resumes))
        self._resumes = max(self._resumes, until)
        self._cruise = max(self._cruise, (PAUSE_WORTH if self._trusted else FIRST_WORTH) * asked)
        if self._mode is _Mode.PROBE:
            self._end_probe()
        if not self._step:
            self.review_at = self._resumes + self._cruise

    def _end_probe(self) -> None:
        self._mode = _Mode.CRUISE
        self._set_rate(self._estimate * CRUISE)

    def _learn_of_step(self) -> None:
        """Go back to what is certain, until the step is judged."""
        if self._mode is _Mode.REGROW:
            # The last step but one passed; what came before it is no longer true.
            self._estimate = max(self._estimate, self.rate / REGROW_BY)
        else:
            self._estimate = self.rate * TOO_FAST
        self._trusted = False
        self._plan_cruise(agrees=False)

    def _judge(self, step: _Step, now: float) -> None:
        """Look at what was under way when the 429 came, all of which has been answered."""
        self._step = None
        passed = self.passed + self.unclear
        count = passed + self.refused
        self.review_at = self._resumes + self._cruise
        if count < JUDGED_BY:
            if step.mode is _Mode.GROW and not self.refused and not step.waits:
                self._step = step
                self.review_at = now + step.trip
            return
        if self.refused <= GUILTY * count:
            # All of it passed: the 429 was not the limit's.
            self._mode, self._estimate = step.mode, step.estimate
            self._set_rate(step.rate)
            self.review_at = max(step.next_at, now)
        elif passed:
            least = step.rate / REGROW_BY if step.mode is _Mode.REGROW else 0.0
            self._estimate = max(least, min(step.rate, GENEROUS * (passed + 1) / step.trip))
            self._set_rate(self._estimate * CRUISE)
        elif step.mode is _Mode.GROW:
            self._estimate = min(self._estimate, max(2 / step.trip, step.rate / 4))
            self._set_rate(self._estimate * CRUISE)

    def _learn(self, took: float, trip: float, known: float) -> None:
        """Take what passed since the bucket was last empty for the limit."""
        before = self._estimate
        if took <= 0:
            self._estimate = max(self.rate * TOO_FAST, LEAST_RATE)
            self._trusted = False
            self._plan_cruise(agrees=False)
            return
        if self.is_shut(took, trip):
            # A window that is used up, or an outage, says nothing of the limit, except that
            # what a probe was thought to have saved was not there.
            if self._probed:
                self._estimate *= RAISED
            self._plan_cruise(agrees=True)
            return
        least, most = self._bounds(took)
        if self._trusted and self._mode is _Mode.PROBE:
            most = before
        self._estimate = max(min(least, self.rate), min(before, max(most, known)), LEAST_RATE)
        agrees = abs(before - self._estimate) < AGREES * before
        self._trusted = agrees
        self._plan_cruise(agrees=agrees)

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
        if not pressed:
            # What nobody waits for need not grow, and a probe of it proves nothing.
            if self._mode is _Mode.PROBE:
                self._end_probe()
            return False
        if self._mode is _Mode.PROBE:
            since, paid = self._probe
            overspent = self.passed - paid - self._estimate * (now - since)
            if overspent <= self._slack or now < since + LONG_PROBE or self.trial:
                return False
            self._mode = _Mode.REGROW
        if self._mode is _Mode.CRUISE:
            saved = self._estimate * (now - self.empty_at) - self.passed
            self._probe = now, self.passed + max(0.0, min(saved, MOST_SAVED))
            self._mode = _Mode.PROBE
            step = PROBE_COSTS / (self._estimate * trip) if trip else MOST_PROBE
            self._turns += 1
            if self._turns % 2:
                step = min(step, MOST_PROBE) / 2
            self._set_rate(self._estimate * (1 + min(max(step, LEAST_PROBE), MOST_PROBE)))
        else:
            self._set_rate(self.rate * (GROW_BY if self._mode is _Mode.GROW else REGROW_BY))
        return True

    def _set_rate(self, rate: float) -> None:
        self.rate = min(max(rate, LEAST_RATE), self.most)
