"""A run over a journal on a terminal: shown as it goes, ended by signals, and told when it is over."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

from attrs import evolve, frozen
from rich.console import Console

from vtex_invoice_async.cli.after import Ended, steps, tell
from vtex_invoice_async.cli.commands import account_words, words_of
from vtex_invoice_async.cli.display import say_json
from vtex_invoice_async.cli.ending import NextStep
from vtex_invoice_async.cli.options import CONCURRENCY, SETTLE_WINDOW
from vtex_invoice_async.cli.screen import screen
from vtex_invoice_async.cli.settings import CallOptions
from vtex_invoice_async.cli.signals import heed
from vtex_invoice_async.cli.watch import Watch
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import JournalError
from vtex_invoice_async.jobs.job import FINAL
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.reasons import NEEDY, Reason, Reasons
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.jobs.summary import Summary
from vtex_invoice_async.jobs.typed import pasted
from vtex_invoice_async.outcome import State
from vtex_invoice_async.retry import RetryPolicy
from vtex_invoice_async.throttle import Pace

__all__ = ["Before", "Go", "WorkOptions", "Worked", "counts_of", "tell_worked", "work"]

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

    @property
    def told(self) -> Mapping[str, Any]:
        """What the journal keeps of them: how the run went about it."""
        names = ("concurrency", "timeout", "rate", "settle_window", "resend_input")
        return {name: getattr(self, name) for name in names}

    def command(self, name: str, *words: str, files: Sequence[str] = ()) -> str:
        """Return what to type for another command over the same journal."""
        account = account_words(self)
        journal = words_of({"--journal": self.journal})
        if name in {"export", "report", "status"}:
            # A path says all; without one, the account's own is meant.
            return pasted([name, *(journal or account), *words])
        if name == "doctor":
            return pasted([name, *account, *words])
        resends = self.resend_input and name in {"send", "resume"}
        resend = words_of({"--resend-input": resends})
        return pasted([name, *account, *journal, *self._pace, *resend, *words], files)

    @property
    def _pace(self) -> Sequence[str]:
        window = self.settle_window
        return words_of(
            {
                "--concurrency": None if self.concurrency == CONCURRENCY else self.concurrency,
                "--timeout": self.timeout,
                "--rate": self.rate,
                "--settle-window": None if window == SETTLE_WINDOW else window,
            }
        )


@frozen(kw_only=True)
class Worked:
    """What a run came to, and what is known of why."""

    summary: Summary
    reasons: Sequence[Reason] = ()
    pace: Pace | None = None
    never_begun: int = 0
    is_entered: bool = True
    """Whether the journal holds what was to be sent."""


async def work(
    go: Go,
    journal: Journal,
    config: ClientConfig,
    options: WorkOptions,
    console: Console,
    *,
    unbegun: Callable[[], Summary],
    before: Before | None = None,
    plan: Plan | None = None,
) -> Worked:
    """Run *go* to its end, as people watch and interrupt it, and return what it comes to.

    That is *unbegun* where it is interrupted *before* anything may be sent.
    """
    main = asyncio.current_task()
    assert main is not None  # noqa: S101  for the type checker; a coroutine runs in a task
    watch = Watch(console, main, settle_window=options.settle_window, rate=options.rate, plan=plan)
    heed(watch.interrupt)
    reasons: Sequence[Reason] = ()
    summary = None
    try:
        async with AsyncExitStack() as stack:
            shown = screen(console, quiet=options.quiet)
            with shown.ticking(watch.facts):
                await stack.enter_async_context(journal)
            made = _client(options.applied_to(config, options.policy), console)
            watch.client = await stack.enter_async_context(made)
            if before is not None and (summary := await before(made, journal)) is not None:
                return Worked(summary=summary)
            watch.runner = Runner(made, journal, resend_input=options.resend_input, watch=watch.see)
            with shown.ticking(watch.facts):
                summary = await go(watch.runner, options.told)
                watch.is_over = True
                reasons = await _reasons(journal, watch, summary, is_all=plan is None)
            watch.explain(watch.runner.failure)
    except asyncio.CancelledError:
        if watch.signal is None:
            raise
    return _worked(watch, summary, unbegun, reasons)


def _worked(
    watch: Watch, summary: Summary | None, unbegun: Callable[[], Summary], reasons: Sequence[Reason]
) -> Worked:
    """Return how it stands: what is in flight stays as the journal has it, in doubt."""
    runner = watch.runner
    if runner is None:
        return Worked(summary=evolve(unbegun(), exit_code=128 + (watch.signal or 0)))
    return Worked(
        summary=summary or runner.summary(),
        reasons=reasons,
        pace=watch.pace,
        never_begun=runner.progress.counts[State.PLANNED],
        is_entered=runner.is_entered,
    )


async def _reasons(
    journal: Journal, watch: Watch, summary: Summary, *, is_all: bool
) -> Sequence[Reason]:
    """Return why not all of a run's invoices are confirmed; *is_all*, it went on with all there were."""
    runner = watch.runner
    if runner is None or runner.failure is not None or not runner.is_entered:
        return ()
    counts = runner.progress.counts
    refused = summary.conflict - counts[State.CONFLICT]
    told = [watch.refused(refused)] if refused > 0 else []
    if not any(counts[state] for state in NEEDY):
        return told
    try:
        if not is_all:
            return [*told, *await journal.reasons((await journal.runs(1))[0].id)]
        found = Reasons()
        async for record in journal.records({state for state in NEEDY if counts[state]}):
            # What an earlier run brought to its end is not this one's.
            if record.state not in FINAL or record.change >= watch.first_end:
                found.add(record)
        return [*told, *found.found()]
    except JournalError as error:
        watch.explain(error)
        return told


def _client(config: ClientConfig, console: Console) -> VtexInvoiceClient:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        client = VtexInvoiceClient(config)
    for warning in warned:
        console.print(f"warning: {warning.message}")
    return client


def counts_of(summary: Summary) -> Mapping[str, int]:
    """Return what a summary counts."""
    none = {"exit_code", "elapsed_s", "journal"}
    return {name: count for name, count in summary.counts.items() if name not in none}


def tell_worked(
    worked: Worked,
    title: str,
    options: WorkOptions,
    console: Console,
    *,
    next_: Sequence[NextStep] | None = None,
    note: str = "",
) -> None:
    """Tell people how a run ended and what to do next, and programs what it counted.

    What is to be done is known from the counts, unless *next_* knows better.
    """
    summary = worked.summary
    counts = counts_of(summary)
    if next_ is None:
        next_ = list(steps(counts, summary.exit_code, options.command, worked.reasons))
    ended = Ended(
        counts=counts,
        elapsed=summary.elapsed_s,
        pace=worked.pace,
        never_begun=worked.never_begun,
        reasons=worked.reasons,
        note=note,
        next_=next_,
        has_run=worked.pace is not None,
    )
    tell(ended, title, console, quiet=options.quiet)
    if options.as_json:
        say_json(summary.counts)
