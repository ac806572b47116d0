"""A run over a plan of tracking: each order is read, and what it does not show is sent."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial
from typing import Final

from rich.console import Console

from vtex_invoice_async.bulk import work_through
from vtex_invoice_async.circuit import Circuit
from vtex_invoice_async.cli.facts import Facts, pace_words
from vtex_invoice_async.cli.failed_rows import FailedRows
from vtex_invoice_async.cli.meter import Meter
from vtex_invoice_async.cli.screen import screen
from vtex_invoice_async.cli.settings import CallOptions
from vtex_invoice_async.cli.signals import heed
from vtex_invoice_async.cli.watch import Naming, drained, left_at_once, said
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import CallError, ConfigError, NotSent, RateLimited, Rejected
from vtex_invoice_async.jobs.summary import Ending, Exit
from vtex_invoice_async.jobs.tracking import (
    TrackingPlan,
    TrackingRow,
    TrackSummary,
    lines_shown,
)
from vtex_invoice_async.models import Order
from vtex_invoice_async.outcome import State, state_of
from vtex_invoice_async.throttle import Pace

__all__ = ["track"]

SKIPPED: Final = "skipped"
NOT_BEGUN: Final = "it was not begun"


class _Run:
    """One run over a plan: what it has seen, and what makes it stop."""

    def __init__(
        self,
        plan: TrackingPlan,
        client: VtexInvoiceClient,
        failed: FailedRows,
        console: Console,
        main: asyncio.Task[object],
    ) -> None:
        self.signal: int | None = None
        self.failed: Exit | None = None
        self._orders = list(plan.orders())
        self._left = {row.line: row for rows in self._orders for row in rows}
        """By line: the rows of which it is not known yet how they end."""
        self._in_flight: set[int] = set()
        self._plan = plan
        self._client = client
        self._failed = failed
        self._console = console
        self._naming = Naming(console, "rows")
        self._meter = Meter()
        self._main = main
        self._closing: asyncio.Future[None] | None = None
        self._stopped = asyncio.Event()
        self._reads = Circuit()
        """The client's own holds back what it sends, and lets reads through."""
        self._states: Counter[str] = Counter()
        self._unauthorized = False
        self._answered = False

    @property
    def planned(self) -> int:
        """How many rows there are."""
        return self._states.total() + len(self._left)

    def orders(self) -> Iterator[Sequence[TrackingRow]]:
        """Yield the rows of one order after the other until something stops the run."""
        for rows in self._orders:
            if self._stopped.is_set():
                return
            yield rows

    def interrupt(self, number: int) -> None:
        """Drain at the first signal; leave at once at the second."""
        if self.signal is not None:
            keeper = "read their orders before you send them again"
            self._console.print(left_at_once(len(self._in_flight), keeper))
            self._main.cancel()
            return
        self.signal = number
        self._stopped.set()
        told = drained(len(self._in_flight), self._client.config.timeouts.total)
        self._console.print(f"{told} Ctrl-C again leaves at once.")
        self._closing = asyncio.ensure_future(self._client.aclose())

    @property
    def pace(self) -> Pace | None:
        """How fast is sent; None once the client is closed."""
        with suppress(ConfigError):
            return self._client.pace()
        return None

    def facts(self, rate: float | None, elapsed: float) -> Facts:
        """Return how it stands; *rate* is what the user allows."""
        states, pace = self._states, self.pace
        done, total = states.total(), self.planned
        self._meter.see(elapsed, done)
        told = (State.CONFIRMED, SKIPPED, State.REJECTED, State.NOT_SENT, State.IN_DOUBT)
        counts = {name.replace("_", " "): states[name] for name in told}
        return Facts(
            phase="Ending" if self._stopped.is_set() else "Tracking",
            done=done,
            total=total,
            counts={**counts, "in flight": len(self._in_flight)},
            pace="" if pace is None else pace_words(pace, self._meter.rate, rate),
            retried=0 if pace is None else pace.retried,
            throttled=0 if pace is None else pace.throttled,
            elapsed=elapsed,
            left=None if self._stopped.is_set() else self._meter.left(total - done),
        )

    async def take(self, rows: Sequence[TrackingRow]) -> None:
        """Read the order of *rows* once; send what it does not show, one row after the other."""
        order = await self._read(rows)
        if order is None:
            return
        shown = lines_shown(rows, order)
        failed: dict[str, int] = {}
        for row in rows:
            number = row.operation.invoice_number
            if row.line in shown:
                self._end(row, SKIPPED)
            elif number in failed:
                # News that overtakes what came before it would be undone when that is sent again.
                told = f"line {failed[number]}, of the same invoice, has to go before it"
                self._fail(row, State.NOT_SENT, told)
            elif self._stopped.is_set():
                return
            elif not await self._send(row):
                failed[number] = row.line

    async def _read(self, rows: Sequence[TrackingRow]) -> Order | None:
        """Read the order of *rows*; where that cannot be done, none of them is sent."""
        if not await self._has_turn():
            return None
        probe = self._reads.is_open
        try:
            order = await self._client.get_order(rows[0].operation.order_id)
        except (ConfigError, CallError) as error:
            self._learn(error, probe=probe)
            # A read sends nothing: only a refusal is more than that.
            state = State.REJECTED if isinstance(error, Rejected) else State.NOT_SENT
            for row in rows:
                self._fail(row, state, f"the order could not be read: {_words(error)}", error)
            return None
        self._learn(None, probe=probe)
        return order

    async def _has_turn(self) -> bool:
        """Wait while VTEX does not answer; say whether to go on."""
        clock = asyncio.get_running_loop().time
        while not self._stopped.is_set():
            wait = self._reads.wait(clock())
            if wait <= 0:
                return True
            if self._reads.is_over(clock()):
                self._stop("VTEX does not answer: no more are sent. See `vtex-invoice doctor`.")
                break
            try:
                async with asyncio.timeout(wait):
                    await self._stopped.wait()
            except TimeoutError:
                pass
        return False

    async def _send(self, row: TrackingRow) -> bool:
        """Send a row; say whether VTEX confirmed it."""
        self._in_flight.add(row.line)
        try:
            await self._client.send(row.operation)
        except (ConfigError, CallError) as error:
            self._learn(error)
            self._fail(row, state_of(error), _words(error), error)
            return False
        self._learn(None)
        self._end(row, State.CONFIRMED)
        return True

    def _learn(self, error: ConfigError | CallError | None, *, probe: bool | None = None) -> None:
        """See whether VTEX answered, and whether to go on; *probe* is told of a read."""
        if isinstance(error, ConfigError):
            return
        status = None if error is None else error.status
        throttled = isinstance(error, RateLimited)
        answered = error is None or throttled or (status is not None and status < 500)
        self._answered |= answered
        if probe is not None:
            now = asyncio.get_running_loop().time()
            self._reads.see(now, answered=answered, probe=probe)
        if status in {401, 403}:
            self._unauthorized = True
            self._stop(
                "VTEX refuses the credentials or their role: no more are sent. See `vtex-invoice doctor`."
            )
        # Without a deadline of its own, a row that got no turn means that none will.
        elif throttled or (isinstance(error, NotSent) and error.attempts == 0):
            self._stop(
                "VTEX has no turn for this account: no more are sent. Send what is left later."
            )

    def _stop(self, told: str) -> None:
        """Begin no more; say why, if nothing else has stopped it before."""
        if not self._stopped.is_set():
            self._console.print(told)
        self._stopped.set()

    def _end(self, row: TrackingRow, state: str) -> None:
        del self._left[row.line]
        self._in_flight.discard(row.line)
        self._states[state] += 1

    def _fail(
        self,
        row: TrackingRow,
        state: State,
        told: str,
        error: ConfigError | CallError | None = None,
    ) -> None:
        """Name a row on stderr, and keep it where it can be sent from again."""
        if told != NOT_BEGUN:
            self._naming.name(row.line, row.operation.invoice_number, state, told)
        self._end(row, state)
        self._failed.add(row, state, error if isinstance(error, CallError) else None, told)

    def summary(self, elapsed: float) -> TrackSummary:
        """Return the counts; a row that was in flight and never heard of again is in doubt."""
        never_begun = len(self._left) - len(self._in_flight)
        if never_begun:
            self._console.print(f"Not begun: {never_begun:,} rows.")
        for row in list(self._left.values()):
            if row.line in self._in_flight:
                told = "it was in flight; read the order before sending it again"
                self._fail(row, State.IN_DOUBT, told)
            else:
                self._fail(row, State.NOT_SENT, NOT_BEGUN)
        counted = TrackSummary(
            planned=self.planned,
            confirmed=self._states[State.CONFIRMED],
            skipped=self._states[SKIPPED],
            rejected=self._states[State.REJECTED],
            not_sent=self._states[State.NOT_SENT],
            in_doubt=self._states[State.IN_DOUBT],
            invalid=self._plan.invalid,
            duplicates=self._plan.duplicates,
            elapsed_s=round(elapsed, 3),
        )
        ending = Ending(
            failed=self.failed,
            unauthorized=self._unauthorized,
            unanswered=not self._answered,
            signal=self.signal,
        )
        return counted.ended_by(ending)


def _words(error: ConfigError | CallError) -> str:
    return said(error) if isinstance(error, CallError) else str(error)


async def track(
    plan: TrackingPlan,
    config: ClientConfig,
    failed: FailedRows,
    options: CallOptions,
    console: Console,
) -> tuple[TrackSummary, Pace | None]:
    """Send the rows of *plan*; what fails goes to *failed*. Return the counts, and how fast it went."""
    main = asyncio.current_task()
    assert main is not None  # noqa: S101  for the type checker; a coroutine runs in a task
    client = VtexInvoiceClient(config)
    run, pace = _Run(plan, client, failed, console, main), None
    heed(run.interrupt)
    started = time.perf_counter()
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            shown = screen(console, quiet=options.quiet)
            stack.enter_context(shown.ticking(partial(run.facts, options.rate)))
            orders = work_through(
                run.orders(),
                run.take,
                width=options.concurrency,
                grace=config.timeouts.total,
                # What is not taken any more ends as a row that was not begun.
                ready=lambda: None,
            )
            async for _ in await stack.enter_async_context(aclosing(orders)):
                pass  # each row is told as it ends
            pace = run.pace
    except asyncio.CancelledError:
        if run.signal is None:
            raise
    except Exception:  # noqa: BLE001  the counts are still owed to the user
        run.failed = Exit.INTERNAL
        console.print(traceback.format_exc())
    return run.summary(time.perf_counter() - started), pace
