"""What happened in a moment of a run, so that it can be looked at later how it went over time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self

from attrs import asdict, define, evolve, field, frozen

__all__ = ["HAPPENED", "Latency", "Sample", "Tally"]

SHORTEST: Final = 0.001
STEPS: Final = 4
"""Buckets in which latency doubles: each is wider than the one before by a fifth."""


def _bucket(seconds: float) -> int:
    """Return the bucket that *seconds* falls into: 0 holds all up to a millisecond."""
    return math.ceil(STEPS * math.log2(seconds / SHORTEST)) if seconds > SHORTEST else 0


@frozen
class Latency:
    """How long answers took, as counts in buckets that widen; those without any are left out."""

    counts: Mapping[int, int] = field(factory=dict)

    @property
    def total(self) -> int:
        """How many answers there were."""
        return sum(self.counts.values())

    def __add__(self, other: Latency) -> Latency:
        return Latency(dict(Counter(self.counts) + Counter(other.counts)))

    def percentile(self, share: float) -> float | None:
        """Return in how many seconds *share* of the answers came, to within a tenth; None of none."""
        left = share * self.total
        for bucket, count in sorted(self.counts.items()):
            left -= count
            if left <= 0:
                return SHORTEST * 2 ** ((bucket - 0.5 * (bucket > 0)) / STEPS)
        return None


@frozen(kw_only=True)
class Sample:
    """What happened in a moment of a run, and how it stood at its end."""

    run: int
    at: datetime
    """Its end."""

    seconds: float
    """How long it was."""

    attempts: int = 0
    """At sending invoices, by their intents."""

    confirmed: int = 0
    confirmed_by_order: int = 0
    """Those of the confirmed that were found by reading the order."""

    rejected: int = 0
    doubts_opened: int = 0
    doubts_settled: int = 0
    retried: int = 0
    """Attempts, reads included, that repeated one which VTEX had not acted on, whoever uses the client."""

    throttled: int = 0
    """429s, reads included."""

    in_flight: int = 0
    in_doubt: int = 0
    rate: float = 0
    """Requests a second that the client allowed itself."""

    limit: float | None = None
    """The account's, as far as it had been found by then."""

    latency: Latency = field(factory=Latency)
    """From when an attempt may leave, its intent being on disk, until its answer is known."""

    @property
    def began(self) -> datetime:
        """When it began."""
        return self.at - timedelta(seconds=self.seconds)

    @property
    def facts(self) -> dict[str, Any]:
        """All but when it was, as JSON has it."""
        found = asdict(self, filter=lambda name, _: name.name not in _WHEN)
        found["latency"] = {str(bucket): n for bucket, n in sorted(self.latency.counts.items())}
        return found

    @classmethod
    def of(cls, run: int, at: datetime, seconds: float, facts: Mapping[str, Any]) -> Self:
        """Return the sample that `facts` were taken from."""
        latency = Latency({int(bucket): n for bucket, n in facts["latency"].items()})
        return cls(**{**facts, "run": run, "at": at, "seconds": seconds, "latency": latency})

    def then(self, later: Sample) -> Sample:
        """Return both as one, which lasts from the beginning of this to the end of a *later* one."""
        sums = {name: getattr(self, name) + getattr(later, name) for name in HAPPENED}
        seconds = (later.at - self.began).total_seconds()
        return evolve(later, seconds=seconds, latency=self.latency + later.latency, **sums)


_WHEN: Final = frozenset({"run", "at", "seconds"})

HAPPENED: Final = (
    *("attempts", "confirmed", "confirmed_by_order", "rejected"),
    *("doubts_opened", "doubts_settled", "retried", "throttled"),
)
"""What a sample counts."""


@define(eq=False)
class Tally:
    """What has happened since the last sample and is counted nowhere else."""

    attempts: int = 0
    doubts_opened: int = 0
    doubts_settled: int = 0
    answers: dict[int, int] = field(factory=dict)

    def answer(self, seconds: float) -> None:
        """Count an answer that took so long."""
        bucket = _bucket(seconds)
        self.answers[bucket] = self.answers.get(bucket, 0) + 1
