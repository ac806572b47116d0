"""A run over a journal on a terminal: what is told of it, how a signal ends it, what it comes to."""

from __future__ import annotations

import asyncio
import shlex
import signal
import traceback
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeAlias

import orjson
from attrs import evolve, frozen
from rich.console import Console

from vtex_invoice_async.cli.display import PLAIN_EVERY, Ticker, tell_counts, ticker
from vtex_invoice_async.cli.options import CONCURRENCY, SETTLE_WINDOW
from vtex_invoice_async.cli.settings import CallOptions
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import CallError, InvoiceAbsent, VtexInvoiceError
from vtex_invoice_async.jobs.events import Event, Lost, Moved, Refused, Stopped
from vtex_invoice_async.jobs.job import Record
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.jobs.summary import Summary
from vtex_invoice_async.outcome import State
from vtex_invoice_async.retry import RetryPolicy
from vtex_invoice_async.vocabulary import InvoiceType

__all__ = ["Before", "Go", "WorkOptions", "work"]

Before: TypeAlias = Callable[[VtexInvoiceClient, Journal], Awaitable[Summary | None]]
"""What comes before a run, and sends nothing; a summary says that there will be no run."""

Go: TypeAlias = Callable[[Runner, Mapping[str, Any]], Awaitable[Summary]]


@frozen(kw_only=True)
class WorkOptions(CallOptions):
    """The options of a command that runs over a journal."""

    journal: str | None
    settle_window: float
    resend_input: bool = False

    @property
    def policy(self) -> RetryPolicy:
        """How patient a run is."""
        # Past twice the window nothing more comes to light.
        patience = min(RetryPolicy().resolve_for, 2 * self.settle_window)
        return RetryPolicy(settle_window=self.settle_window, resolve_for=patience)

    def tell(self, summary: Summary, title: str, console: Console) -> None:
        """Tell what a run came to."""
        how = {"quiet": self.quiet, "as_json": self.as_json}
        tell_counts(summary.counts, title, console, **how)

    @property
    def told(self) -> Mapping[str, Any]:
        """What the journal keeps of them: how the run went about it."""
        names = ("concurrency", "timeout", "rate", "settle_window", "resend_input")
        return {name: getattr(self, name) for name in names}

    def command(self, name: str, journal: str | None) -> str:
        """Return what to type to go on."""
        if name == "export":
            return shlex.join(["vtex-invoice", name, "--journal", journal or ""])
        given = {
            "--account": self.account,
            "--orders-api": self.orders_api,
            "--base-url": self.base_url,
            "--env-file": self.env_file,
            "--journal": journal,
            "--concurrency": None if self.concurrency == CONCURRENCY else self.concurrency,
            "--timeout": self.timeout,
            "--rate": self.rate,
            "--settle-window": None if self.settle_window == SETTLE_WINDOW else self.settle_window,
        }
        words = [
            str(word)
            for name, value in given.items()
            if value is not None
            for word in (name, value)
        ]
        if self.resend_input:
            words.append("--resend-input")
        return shlex.join(["vtex-invoice", name, *words])


async def work(
    go: Go,
    journal: Journal,
    config: ClientConfig,
    options: WorkOptions,
    console: Console,
    *,
    unbegun: Callable[[], Summary],
    before: Before | None = None,
) -> Summary:
    """Run *go* to its end, as people watch and interrupt it, and return what it comes to.

    That is *unbegun* where it is interrupted *before* anything may be sent.
    """
    main = asyncio.current_task()
    assert main is not None  # noqa: S101  for the type checker; a coroutine runs in a task
    shown = _Shown(console, main)
    shown.heed_signals()
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(journal)
            made = _client(options.applied_to(config, options.policy), console)
            client = await stack.enter_async_context(made)
            if before is not None and (summary := await before(client, journal)) is not None:
                return summary
            shown.client = client
            shown.runner = Runner(
                client, journal, resend_input=options.resend_input, watch=shown.see
            )
            stack.enter_context(shown.progress(quiet=options.quiet))
            summary = await go(shown.runner, options.told)
            shown.explain(shown.runner.failure)
    except asyncio.CancelledError:
        if shown.signal is None:
            raise
        summary = shown.broken_off(unbegun, shown.signal)
    # A rehearsal is not gone on with.
    if shown.runner is not None and unbegun().journal is not None:
        _advise(summary, shown.runner, options, console)
    return summary


def _client(config: ClientConfig, console: Console) -> VtexInvoiceClient:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        client = VtexInvoiceClient(config)
    for warning in warned:
        console.print(f"warning: {warning.message}")
    return client


class _Shown:
    """What people see of a run, and how they end it."""

    def __init__(self, console: Console, main: asyncio.Task[object]) -> None:
        self.runner: Runner | None = None
        self.client: VtexInvoiceClient | None = None
        self._ticker = Ticker()
        self.signal: int | None = None
        self._console = console
        self._main = main
        self._closing: asyncio.Future[None] | None = None

    def heed_signals(self) -> None:
        """Let signals end the run; not those that are ignored, as nohup has it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self.interrupt, number)

    def interrupt(self, number: int) -> None:
        """Drain at the first signal; leave at once at the second."""
        if self.signal is not None or self.runner is None:
            self.signal = number
            self._main.cancel()
            return
        self.signal = number
        self.runner.stop(
            "Interrupted: those in flight are awaited; once more to leave at once",
            signal=number,
        )

    def broken_off(self, unbegun: Callable[[], Summary], signal: int) -> Summary:
        """Return how it stands: what is in flight stays as the journal has it, in doubt."""
        if self.runner is not None:
            return self.runner.summary()
        self._console.print("Interrupted: nothing was sent.")
        return evolve(unbegun(), exit_code=128 + signal)

    def see(self, event: Event) -> None:
        """Tell of what happened where it needs a person."""
        match event:
            case Moved(record=record, error=error):
                told = _said(record, error)
                if told is not None:
                    self._name(record.line, record.invoice_number, record.state, told)
                self._show()
            case Refused(entry=entry, state=state):
                told = f"the journal has it as {state}, with other contents"
                self._name(entry.line, entry.invoice_number, State.CONFLICT, told)
            case Stopped(reason=reason, for_good=for_good):
                told = reason if reason.endswith("?") else f"{reason}."
                self._console.print(f"{told} No more are sent.")
                if for_good and self.client is not None and self._closing is None:
                    # What waits for its turn, or between two attempts, need not wait for it.
                    self._closing = asyncio.ensure_future(self.client.aclose())
            case Lost(record=record, state=state, facts=facts):
                self._tell_lost(record.order_id, record.invoice_number, state, facts)

    @contextmanager
    def progress(self, *, quiet: bool) -> Iterator[None]:
        """Show how far it has come, also while nothing happens but waiting."""
        with ticker(self._console, "invoices", quiet=quiet) as self._ticker:
            ticking = asyncio.create_task(self._tick())
            try:
                yield
            finally:
                ticking.cancel()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(PLAIN_EVERY)
            self._show()

    def _show(self) -> None:
        if self.runner is not None:
            self._ticker.show(self.runner.progress.counts, self.runner.progress.in_flight)

    def explain(self, failure: Exception | None) -> None:
        """Tell what ended the run, if it did not end by itself."""
        if failure is None:
            return
        if isinstance(failure, VtexInvoiceError):
            self._console.print(f"vtex-invoice: {failure}")
        else:
            self._console.print("".join(traceback.format_exception(failure)))
            self._console.print("vtex-invoice: this is a bug; the counts are those of the journal")

    def _name(
        self, line: int | None, number: str, state: State, told: VtexInvoiceError | str
    ) -> None:
        self._console.print(f"line {line}, invoice {number}, {state}: {told}")

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
        case _:
            return error


def _advise(summary: Summary, runner: Runner, options: WorkOptions, console: Console) -> None:
    """Tell how to go on from there."""
    if not runner.is_entered:
        console.print("The journal may have taken in none of it: send the file again.")
        return
    if summary.not_sent or summary.in_doubt or summary.held:
        console.print(f"Go on with: {options.command('resume', summary.journal)}")
    for state in (State.REJECTED, State.ABSENT, State.CONFLICT):
        if runner.progress.counts[state]:
            export = f"{options.command('export', summary.journal)} --state {state}"
            then = "correct and send what this writes" if state is State.REJECTED else "look at"
            console.print(f"{state.capitalize()}: {then}: {export}")
