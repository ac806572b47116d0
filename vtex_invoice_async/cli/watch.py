"""What people see of a run over a journal while it goes, and how they end it."""

from __future__ import annotations

import asyncio
import math
import traceback
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from rich.console import Console

from vtex_invoice_async.cli.display import shows_unicode, width_of
from vtex_invoice_async.cli.facts import SHORTEST_PAUSE, Facts, pace_words
from vtex_invoice_async.cli.meter import Meter
from vtex_invoice_async.cli.wording import clip, one_line
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.errors import CallError, ConfigError, InvoiceAbsent, VtexInvoiceError
from vtex_invoice_async.jobs.events import Event, Lost, Moved, Refused, Stopped
from vtex_invoice_async.jobs.job import Entry, Record
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.reasons import Place, Reason
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.outcome import State
from vtex_invoice_async.throttle import Pace
from vtex_invoice_async.vocabulary import InvoiceType

__all__ = ["SHOWN_OF_A_KIND", "Naming", "Watch", "drained", "left_at_once", "said"]

SHOWN_OF_A_KIND: Final = 20
"""Invoices that are named while a run goes, of those that end alike."""

SHORTEST_LINE: Final = 60
"""Cells that it takes to name one."""

INTERRUPTED: Final = "interrupted"
SENDING: Final = "Sending"

_NO_PACE: Final = Pace(rate=0, limit=None, closed_for=0, is_answered=True, throttled=0, retried=0)

_ENDS: Final = (
    *(State.CONFIRMED, State.REJECTED, State.NOT_SENT, State.ABSENT),
    *(State.CONFLICT, State.HELD),
)
"""As what an invoice may end that is neither to be begun nor in doubt; so they are shown."""


class Naming:
    """Names what needs somebody, the first ones of a kind."""

    def __init__(self, console: Console, what: str) -> None:
        self._console = console
        self._what = what
        self._unicode = shows_unicode(console)
        self._named: Counter[str] = Counter()

    def name(self, line: int | None, number: str, state: str, told: object) -> None:
        """Name one more that ended in *state*."""
        self._named[state] += 1
        if self._named[state] <= SHOWN_OF_A_KIND:
            place = "" if line is None else f"line {line}, "
            words = f"{place}invoice {number}, {state.replace('_', ' ')}: {told}"
            shown = one_line(words, unicode=self._unicode)
            width = width_of(self._console)
            if width is not None:
                # One line is enough: the end and `export` have all of the words.
                shown = clip(shown, max(width, SHORTEST_LINE), unicode=self._unicode)
            self._console.print(shown, soft_wrap=True)
        elif self._named[state] == SHOWN_OF_A_KIND + 1:
            kind = state.replace("_", " ")
            self._console.print(f"More {self._what} are {kind}: the end counts them by reason.")


def drained(in_flight: int, longest: float) -> str:
    """Say what the first signal does."""
    are = "is" if in_flight == 1 else "are"
    awaited = f"{in_flight:,} in flight {are} awaited (at most {longest:.0f} s)"
    return f"Interrupted: {awaited if in_flight else 'nothing is in flight'}, nothing more is sent."


def left_at_once(in_flight: int, keeper: str) -> str:
    """Say what the second signal does."""
    if not in_flight:
        return "Leaving at once."
    stays = "stays" if in_flight == 1 else "stay"
    return f"Leaving at once: {in_flight:,} in flight {stays} in doubt; {keeper}."


class Watch:
    """What people see of a run, and how they end it.

    It is told what to watch as that comes to be: first nothing, then a client, then its runner.
    """

    def __init__(
        self,
        console: Console,
        main: asyncio.Task[object],
        *,
        settle_window: float,
        rate: float | None,
        plan: Plan | None = None,
    ) -> None:
        self.runner: Runner | None = None
        self.client: VtexInvoiceClient | None = None
        self.signal: int | None = None
        self.is_over = False
        """Whether there is nothing left but to tell how it ended."""
        self.first_end = math.inf
        """The first change by which this run ended an invoice that is not confirmed."""
        self._refused: list[Entry] = []
        self._console = console
        self._main = main
        self._settle_window = timedelta(seconds=settle_window)
        self._rate = rate
        self._plan = plan
        self._naming = Naming(console, "invoices")
        self._closing: asyncio.Future[None] | None = None
        self._meter = Meter()
        self._pace = _NO_PACE
        self._phase = ""
        self._has_looked = False
        self._doubted: datetime | None = None
        """The latest time from which one in doubt is looked for."""

    def interrupt(self, number: int) -> None:
        """Drain at the first signal; leave at once at the second."""
        is_first, self.signal = self.signal is None, self.signal or number
        if self.is_over:
            self._console.print("Interrupted: it is over; only the reasons are left out.")
        elif self.runner is None or self.client is None:
            self._console.print("Interrupted: nothing was sent.")
        elif is_first:
            self._drain(self.runner, self.client, number)
            return
        else:
            keeper = "the journal has them, and `resume` finds out"
            self._console.print(left_at_once(self.runner.progress.in_flight, keeper))
        self._main.cancel()

    def _drain(self, runner: Runner, client: VtexInvoiceClient, number: int) -> None:
        if runner.is_entered:
            longest = client.config.timeouts.total
            told = drained(runner.progress.in_flight, longest)
            self._console.print(f"{told} Ctrl-C again leaves at once; the journal keeps all of it.")
        else:
            self._console.print(
                "Interrupted: nothing was sent, and the journal takes in none of it."
            )
        runner.stop(INTERRUPTED, signal=number)

    def see(self, event: Event) -> None:
        """Tell of what happened where it needs a person."""
        match event:
            case Moved(record=record, error=error):
                self._note(record)
                told = _said(record, error)
                if told is not None:
                    self._naming.name(record.line, record.invoice_number, record.state, told)
            case Refused(entry=entry, state=state):
                self._refused.append(entry)
                told = f"the journal has it as {state}, with other contents"
                self._naming.name(entry.line, entry.invoice_number, State.CONFLICT, told)
            case Stopped(reason=reason, for_good=for_good):
                if reason != INTERRUPTED:
                    told = reason if reason.endswith("?") else f"{reason}."
                    self._console.print(f"{told} No more are sent.")
                if for_good and self.client is not None and self._closing is None:
                    # What waits for its turn, or between two attempts, need not wait for it.
                    self._closing = asyncio.ensure_future(self.client.aclose())
            case Lost(record=record, state=state, facts=facts):
                self._tell_lost(record.order_id, record.invoice_number, state, facts)

    def _note(self, record: Record) -> None:
        """Remember what the end has to tell."""
        if record.state in {State.REJECTED, State.CONFLICT}:
            self.first_end = min(self.first_end, record.change)
        elif record.state is State.IN_DOUBT and record.since is not None:
            self._doubted = max(self._doubted or record.since, record.since)

    def facts(self, elapsed: float) -> Facts:
        """Return how it stands."""
        if self.runner is None or self.client is None:
            return Facts(phase="Opening the journal", elapsed=elapsed)
        progress, now = self.runner.progress, self.client.now()
        phase = self._phase_of(self.runner)
        if phase != self._phase:
            self._phase = phase
            self._meter.restart()
        if not self.runner.is_entered:
            return self._taking_in(elapsed)
        counts, in_flight, pace = progress.counts, progress.in_flight, self.pace
        if pace.closed_for >= SHORTEST_PAUSE or not pace.is_answered:
            # How fast it went before says nothing of how fast it will go on.
            self._meter.restart()
        total, done = counts.total(), sum(counts[state] for state in _ENDS)
        self._meter.see(elapsed, done)
        doubts = max(counts[State.IN_DOUBT] - in_flight, 0)
        is_sending = bool(counts[State.PLANNED] or in_flight)
        outcomes = {str(state).replace("_", " "): counts[state] for state in _ENDS}
        waits = "" if is_sending or not doubts else self._waits(doubts, now)
        return Facts(
            phase=phase,
            done=done,
            total=total,
            counts={**outcomes, "in flight": in_flight, "in doubt": 0 if waits else doubts},
            pace=pace_words(pace, self._meter.rate, self._rate) if is_sending else "",
            waits=waits,
            retried=pace.retried,
            throttled=pace.throttled,
            elapsed=elapsed,
            left=self._meter.left(total - done) if phase == SENDING else None,
        )

    def _taking_in(self, elapsed: float) -> Facts:
        """Return how it stands where the journal takes the plan in."""
        if self._plan is None:
            return Facts(phase=self._phase, elapsed=elapsed)
        done, total = self._plan.given, self._plan.planned
        self._meter.see(elapsed, done)
        left = self._meter.left(total - done)
        return Facts(phase=self._phase, done=done, total=total, elapsed=elapsed, left=left)

    @property
    def pace(self) -> Pace:
        """How fast is sent, and once the client is closed, how fast that was at last."""
        if self.client is not None:
            with suppress(ConfigError):
                self._pace = self.client.pace()
        return self._pace

    def _phase_of(self, runner: Runner) -> str:
        progress = runner.progress
        if progress.is_over:
            return "Ending"
        if not runner.is_entered:
            return "Taking into the journal"
        doubts = progress.counts[State.IN_DOUBT] - progress.in_flight
        if progress.counts[State.PLANNED] and not progress.sends_are_over:
            return SENDING
        if progress.in_flight:
            return "Sending once more" if self._has_looked else SENDING
        is_looking = doubts > 0 or progress.counts[State.ABSENT] > 0
        self._has_looked |= is_looking
        return "Looking for doubts" if is_looking else "Ending"

    def _waits(self, doubts: int, now: datetime) -> str:
        self._doubted = self._doubted or now
        until = self._doubted + self._settle_window
        told = f"{doubts:,} in doubt: looked for"
        return f"{told} until {until.astimezone():%H:%M:%S}" if until > now else f"{told} still"

    def explain(self, failure: Exception | None) -> None:
        """Tell what ended the run, if it did not end by itself."""
        if failure is None:
            return
        if isinstance(failure, VtexInvoiceError):
            self._console.print(f"vtex-invoice: {failure}")
        else:
            self._console.print("".join(traceback.format_exception(failure)))
            self._console.print("vtex-invoice: this is a bug; the counts are those of the journal")

    def refused(self, count: int) -> Reason:
        """Return the reason of so many that the journal holds with other contents."""
        first = [
            Place(line=entry.line, order_id=entry.order_id, invoice_number=entry.invoice_number)
            for entry in self._refused[:3]
        ]
        advice = "what was sent first stands: leave them out, or correct it by an invoice of another number"
        return Reason(
            state=State.CONFLICT,
            status=None,
            code=None,
            message="the journal has them with other contents",
            count=count,
            advice=advice,
            first=tuple(first),
        )

    def _tell_lost(
        self, order_id: str, number: str, state: State, facts: Mapping[str, Any]
    ) -> None:
        """Say on stderr what the journal could not take, so that it is somewhere."""
        lost = {"orderId": order_id, "invoiceNumber": number, "state": state, **facts}
        self._console.print(orjson.dumps(lost).decode())


def _said(record: Record, error: VtexInvoiceError | None) -> VtexInvoiceError | str | None:
    """Return what is to be said of where an invoice got, if anything is."""
    match record.state, error:
        case State.CONFIRMED, _:
            return "its order shows it" if record.confirmed_by == "order" else None
        case State.HELD, _:
            return record.message
        case State.IN_DOUBT, CallError():
            reason, _, _ = error.reason.partition(";")
            return f"{reason}; it may have been applied"
        case State.ABSENT, InvoiceAbsent():
            told = "the order has not shown it for the whole settle window"
            if record.resent:
                return f"{told}, though it was sent twice: look at the order"
            if record.type is InvoiceType.INPUT:
                return f"{told}; it refunds a shopper, and is sent again with --resend-input alone"
            return f"{told}; `send` and `resume` send it once more"
        case _, CallError():
            return said(error)
        case _:
            return error


def said(error: CallError) -> str:
    """Return VTEX's words with what names them, or else why there are none."""
    if error.status is None or not (error.code or error.message):
        status = "" if error.status is None else f"status {error.status}: "
        return f"{status}{error.reason}"
    words = error.message or error.reason
    code = f", {error.code}" if error.code else ""
    return f"status {error.status}{code}: {words}"
