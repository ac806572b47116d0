"""Samples of a run, taken as it goes: about one a second, fewer of a long run."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from attrs import asdict

from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.progress import Progress
from vtex_invoice_async.jobs.samples import HAPPENED, Latency, Sample, Tally
from vtex_invoice_async.outcome import State
from vtex_invoice_async.throttle import Pace

__all__ = ["Sampler"]

INTERVAL: Final = 1.0
"""Seconds between samples, at first."""

AS_OFTEN: Final = 600
"""Samples of a run after which the time between them doubles."""


class Sampler:
    """Notes what a run's progress and its client's pace come to, from `begin` to `end`.

    Where nothing has happened, nothing is noted.
    """

    def __init__(self, client: VtexInvoiceClient, journal: Journal, progress: Progress) -> None:
        self._client = client
        self._journal = journal
        self._progress = progress
        self._run = 0
        self._interval = INTERVAL
        self._taken = 0
        self._since = 0.0
        self._before: dict[str, int] = {}
        """What was counted until the last sample."""
        self._timer: asyncio.TimerHandle | None = None
        self._pace: Pace | None = None

    def begin(self, run: int) -> None:
        """Begin with how it stands now; a run whose client is closed already does nothing."""
        pace = self._pace_now()
        if pace is None:
            return
        self._run = run
        self._before = self._counted(pace)
        self._since = asyncio.get_running_loop().time()
        self._wait()

    def end(self) -> None:
        """Take the last one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._take()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._tick)

    def _tick(self) -> None:
        self._take()
        self._wait()

    def _take(self) -> None:
        began, self._since = self._since, asyncio.get_running_loop().time()
        pace = self._pace_now()
        assert pace is not None  # noqa: S101  for the type checker; it has begun
        before, self._before = self._before, self._counted(pace)
        tally, self._progress.tally = self._progress.tally, Tally()
        found = {name: count - before.get(name, 0) for name, count in self._before.items()}
        found |= asdict(tally, filter=lambda attribute, _: attribute.name in HAPPENED)
        if not any(found.values()):
            return
        in_flight = self._progress.in_flight
        sample = Sample(
            run=self._run,
            at=self._client.now(),
            seconds=self._since - began,
            in_flight=in_flight,
            in_doubt=self._progress.counts[State.IN_DOUBT] - in_flight,
            rate=pace.rate,
            limit=pace.limit,
            latency=Latency(tally.answers),
            **found,
        )
        self._journal.note(sample)
        self._taken += 1
        if self._taken % AS_OFTEN == 0:
            self._interval *= 2

    def _pace_now(self) -> Pace | None:
        """Return the client's pace: the last one, where it was closed since."""
        with suppress(ConfigError):
            self._pace = self._client.pace()
        return self._pace

    def _counted(self, pace: Pace) -> dict[str, int]:
        """Return what the run and its client count from their beginning."""
        counts = self._progress.counts
        return {
            "confirmed": counts[State.CONFIRMED],
            "confirmed_by_order": self._progress.confirmed_by_order,
            "rejected": counts[State.REJECTED],
            "retried": pace.retried,
            "throttled": pace.throttled,
        }
