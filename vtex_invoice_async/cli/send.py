"""`vtex-invoice send`: the invoices of a file, checked whole and then sent concurrently."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing
from pathlib import Path
from typing import BinaryIO

from attrs import asdict, evolve, frozen
from rich.console import Console

from vtex_invoice_async.cli.display import say_json, stderr, table, ticker
from vtex_invoice_async.cli.sandbox import orders_for
from vtex_invoice_async.cli.settings import read_settings
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.config import ClientConfig, ThrottleLimits, Timeouts, orders_api_of
from vtex_invoice_async.errors import CallError, ConfigError, NotSent, RateLimited
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.sources import Row
from vtex_invoice_async.jobs.summary import Ending, Exit, Summary, exit_code
from vtex_invoice_async.outcome import InvoiceJob, Outcome, State
from vtex_invoice_async.retry import RetryPolicy
from vtex_invoice_async.sandbox import Sandbox

__all__ = ["SendOptions", "run_send"]

SHOWN_PROBLEMS = 50


@frozen(kw_only=True)
class SendOptions:
    """The options of the command."""

    file: str
    account: str | None
    orders_api: str | None
    base_url: str | None
    env_file: str | None
    concurrency: int
    timeout: float | None
    rate: float | None
    settle_window: float
    skip_invalid: bool
    sandbox: bool
    as_json: bool
    quiet: bool

    def applied_to(self, config: ClientConfig) -> ClientConfig:
        """Return *config* with what the options say."""
        timeouts, retry = Timeouts(), RetryPolicy()
        if self.timeout is not None:
            timeouts = Timeouts(
                connect=min(timeouts.connect, self.timeout),
                read=min(timeouts.read, self.timeout),
                total=self.timeout,
            )
        # Past twice the window nothing more comes to light.
        patience = min(retry.resolve_for, 2 * self.settle_window)
        return evolve(
            config,
            max_concurrency=self.concurrency,
            timeouts=timeouts,
            retry=RetryPolicy(settle_window=self.settle_window, resolve_for=patience),
            throttle=ThrottleLimits(rate=self.rate),
        )


def run_send(options: SendOptions) -> int:
    """Check the file, send it, say how it went; return the exit code."""
    console = stderr()
    with ExitStack() as stack:
        file = stack.enter_context(_opened(options.file))
        settings = read_settings(
            account=options.account,
            orders_api=options.orders_api,
            base_url=options.base_url,
            env_file=options.env_file,
        )
        # A rehearsal needs no account; its dialect is that of the account all the same.
        config = None if options.sandbox else ClientConfig.from_env(settings)
        plan = Plan(file, config.orders_api if config else orders_api_of(settings))
        if _is_sound(plan, options, console):
            summary = asyncio.run(_send(plan, config, options, console))
        else:
            summary = Summary(
                planned=plan.planned,
                not_sent=plan.planned,
                invalid=plan.invalid,
                duplicates=plan.duplicates,
                exit_code=Exit.BAD_INPUT,
            )
    _tell(summary, options, console)
    return summary.exit_code


def _opened(path: str) -> BinaryIO:
    """Return the input as a file that can be read twice; a pipe is spooled."""
    file = sys.stdin.buffer if path == "-" else Path(path).open("rb")  # noqa: SIM115  ended below
    if path != "-" and file.seekable():
        return file
    spool = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
    with file:
        shutil.copyfileobj(file, spool)
    return spool


def _is_sound(plan: Plan, options: SendOptions, console: Console) -> bool:
    """Check every row; say what is wrong and whether anything may be sent."""
    # Warnings are counted apart, so that they cannot crowd out what keeps the file from being sent.
    found: Counter[str] = Counter()
    # A row that is left out of a run has to be named.
    shown = sys.maxsize if options.skip_invalid else SHOWN_PROBLEMS
    for row in plan.check():
        severity = row.problem.severity
        found[severity] += 1
        if found[severity] <= shown:
            word = "warning: " if severity == "warn" else ""
            console.print(f"{options.file}:{row.line}:{row.column}: {word}{row.problem}")
    for severity, name in (("refuse", "problems"), ("warn", "warnings")):
        if found[severity] > shown:
            console.print(f"... and {found[severity] - shown:,} more {name}")
    if plan.invalid and not options.skip_invalid:
        console.print(
            f"Nothing was sent. Rows that cannot be: {plan.invalid:,}. "
            "Correct them, or send the others with --skip-invalid."
        )
        return False
    if not plan.planned:
        console.print("There is nothing to send: no line holds a sound invoice.")
        return False
    return True


class _Run:
    """One run over a plan: what it has seen, and what makes it stop."""

    def __init__(self, plan: Plan, console: Console, main: asyncio.Task[object]) -> None:
        self.planned = plan.planned
        self.signal: int | None = None
        self.crashed = False
        self.client: VtexInvoiceClient | None = None
        self._closing: asyncio.Future[None] | None = None
        self._confirmed_by_order = 0
        self._gave_up = False
        self._states: Counter[State] = Counter()
        self._unauthorized = False
        self._answered = False
        self._plan = plan
        self._console = console
        self._main = main
        self._taken = 0
        self._last_line = 0
        self._exhausted = False
        self._in_flight: dict[int, Row] = {}
        """By the identity of their jobs."""

    def jobs(self) -> Iterator[InvoiceJob]:
        """Yield the plan's invoices until something stops the run."""
        for row in self._plan.rows():
            if self.signal is not None or self._unauthorized or self._gave_up:
                return
            self._in_flight[id(row.job)] = row
            self._taken += 1
            self._last_line = row.line
            yield row.job
        self._exhausted = True

    def interrupt(self, number: int) -> None:
        """Drain at the first signal; leave at once at the second."""
        if self.signal is not None:
            self._main.cancel()
            return
        self.signal = number
        self._console.print(
            "Interrupted: no more are sent, those in flight are awaited; once more to leave at once."
        )
        if self.client is not None:
            # It also ends the search for what is in doubt, which could take long.
            self._closing = asyncio.ensure_future(self.client.aclose())

    def see(self, outcome: Outcome) -> None:
        """Count how a job ended; say so where it needs a person."""
        row = self._in_flight.pop(id(outcome.job))
        self._states[outcome.state] += 1
        error = outcome.error
        status = error.status if isinstance(error, CallError) else None
        self._answered |= outcome.receipt is not None or status is not None
        by_order = outcome.receipt is not None and outcome.receipt.confirmed_by == "order"
        self._confirmed_by_order += by_order
        # Without a deadline of its own, a job that got no turn means that none will.
        given_up = isinstance(error, RateLimited) or (
            isinstance(error, NotSent) and error.attempts == 0
        )
        if given_up and not self._gave_up:
            self._gave_up = True
            self._console.print("VTEX has no turn for this account: no more are sent.")
        if status in {401, 403} and not self._unauthorized:
            self._unauthorized = True
            self._console.print("VTEX refuses the credentials or their role: no more are sent.")
        if error is not None:
            self._name(row, outcome.state, str(error))

    def _name(self, row: Row, state: State, told: str) -> None:
        number = row.job.invoice.invoice_number
        self._console.print(f"line {row.line}, invoice {number}, {state}: {told}")

    def _name_the_rest(self, count: int) -> None:
        if count and self._exhausted:
            told = "they were not found again: the file changed since it was checked"
            self._console.print(f"Not sent: {count:,} invoices; {told}.")
        elif count:
            told = f"those behind line {self._last_line}"
            self._console.print(f"Not begun: {count:,} invoices, {told}.")

    def summary(self, elapsed: float) -> Summary:
        """Return the counts; an invoice that was taken and never heard of again is in doubt."""
        for row in self._in_flight.values():
            told = f"it was in flight; read order {row.job.order_id} before sending it again"
            self._name(row, State.IN_DOUBT, told)
        self._name_the_rest(self.planned - self._taken)
        # Every row was checked as sending checks it, so that none ends as INVALID here.
        begun = Counter({**self._states, State.NOT_SENT: 0})
        begun[State.IN_DOUBT] += len(self._in_flight)
        counted = Summary(
            planned=self.planned,
            confirmed=begun[State.CONFIRMED],
            confirmed_by_order=self._confirmed_by_order,
            rejected=begun[State.REJECTED],
            in_doubt=begun[State.IN_DOUBT],
            absent=begun[State.ABSENT],
            conflict=begun[State.CONFLICT],
            not_sent=self.planned - begun.total(),
            invalid=self._plan.invalid,
            duplicates=self._plan.duplicates,
            elapsed_s=round(elapsed, 3),
        )
        ending = Ending(
            crashed=self.crashed,
            unauthorized=self._unauthorized,
            unanswered=bool(self._states) and not self._answered,
            signal=self.signal,
        )
        return evolve(counted, exit_code=exit_code(counted, ending))


async def _send(
    plan: Plan,
    config: ClientConfig | None,
    options: SendOptions,
    console: Console,
) -> Summary:
    main = asyncio.current_task()
    assert main is not None  # noqa: S101  for the type checker; a coroutine runs in a task
    run = _Run(plan, console, main)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, run.interrupt, number)
    started = time.perf_counter()
    try:
        async with AsyncExitStack() as stack:
            if config is None:
                sandbox = await stack.enter_async_context(Sandbox(orders_for(plan.rows())))
                config = evolve(sandbox.config, orders_api=plan.orders_api)
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                client = VtexInvoiceClient(options.applied_to(config))
            for warning in warned:
                console.print(f"warning: {warning.message}")
            run.client = await stack.enter_async_context(client)
            outcomes = await stack.enter_async_context(aclosing(client.notify_many(run.jobs())))
            with ticker(console, "invoices", run.planned, quiet=options.quiet) as shown:
                async for outcome in outcomes:
                    run.see(outcome)
                    shown.tick(outcome.state.replace("_", " "))
    except asyncio.CancelledError:
        if run.signal is None:
            raise
    except ConfigError:
        # Closing, which a signal asks for, ends what takes jobs.
        if run.signal is None:
            raise
    except Exception:  # noqa: BLE001  the counts are still owed to the user
        run.crashed = True
        console.print(traceback.format_exc())
    return run.summary(time.perf_counter() - started)


def _tell(summary: Summary, options: SendOptions, console: Console) -> None:
    counts = asdict(summary)
    figures = [
        (name.replace("_", " "), f"{count:,}")
        for name, count in counts.items()
        if type(count) is int
        and name != "exit_code"
        and (count or name in {"planned", "confirmed"})
    ]
    if not options.quiet:
        console.print(table(f"{options.file} in {summary.elapsed_s:.1f} s", figures))
    if options.as_json:
        say_json(counts)
