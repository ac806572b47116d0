"""A time series that stays short: samples side by side become one as it grows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from attrs import frozen

from vtex_invoice_async.jobs.samples import Sample

__all__ = ["MOST_POINTS", "Moment", "Series", "moments"]

MOST_POINTS: Final = 400

BREAK: Final = 0.25
"""Seconds between two samples, of less than which nothing is to be seen."""


class Series:
    """The samples of some runs, in their order; of each run one is left at least.

    As it grows, all of its points become longer: none says less of its time than another.
    """

    def __init__(self, most: int = MOST_POINTS) -> None:
        self._most = most
        self._length = 0.0
        """Seconds that a point may last, if it is not one sample."""
        self._found: list[Sample] = []

    @property
    def _runs(self) -> int:
        return len({sample.run for sample in self._found})

    def add(self, sample: Sample) -> None:
        """Add the next one."""
        self._put(sample)
        while len(self._found) > self._most and len(self._found) > self._runs:
            self._length = 2 * max(self._length, min(found.seconds for found in self._found), 0.5)
            points, self._found = self._found, []
            for point in points:
                self._put(point)

    def _put(self, sample: Sample) -> None:
        last = self._found[-1] if self._found else None
        if last is not None and last.run == sample.run:
            both = last.then(sample)
            if both.seconds <= self._length:
                self._found[-1] = both
                return
        self._found.append(sample)

    @property
    def found(self) -> Sequence[Sample]:
        """What they come to."""
        return self._found


@frozen(kw_only=True)
class Moment:
    """A stretch of time in which a run did what its *sample* says, or nothing."""

    begins: float
    """Seconds of runs before it: the time between runs is left out."""

    ends: float
    run: int
    sample: Sample | None

    def per_second(self, name: str) -> float:
        """Return how often in a second something happened."""
        if self.sample is None or self.ends <= self.begins:
            return 0.0
        count: int = getattr(self.sample, name)
        return count / (self.ends - self.begins)


def moments(samples: Sequence[Sample]) -> Sequence[Moment]:
    """Return samples as moments without gaps, the runs laid end to end."""
    return list(_moments(samples))


def _moments(samples: Sequence[Sample]) -> Iterable[Moment]:
    if not samples:
        return
    at = 0.0
    for before, sample in pairwise((None, *samples)):
        assert sample is not None  # noqa: S101  for the type checker
        if before is not None and before.run == sample.run:
            idle = (sample.began - before.at).total_seconds()
            if idle > BREAK:
                yield Moment(begins=at, ends=at + idle, run=sample.run, sample=None)
                at += idle
        # A clock that was set in between makes nothing longer.
        yield Moment(begins=at, ends=at + sample.seconds, run=sample.run, sample=sample)
        at += sample.seconds
