"""`vtex-invoice track`: tracking from a file, sent where the orders do not show it yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from attrs import asdict, frozen
from rich.console import Console

from vtex_invoice_async.cli.after import Ended, tell
from vtex_invoice_async.cli.checking import Checking, is_typed
from vtex_invoice_async.cli.commands import account_words, free_name, words_of
from vtex_invoice_async.cli.display import say_json, stderr
from vtex_invoice_async.cli.ending import NextStep
from vtex_invoice_async.cli.failed_rows import FailedRows, failed_rows
from vtex_invoice_async.cli.options import CONCURRENCY
from vtex_invoice_async.cli.problems import tell_disk, tell_problems, tell_unsent
from vtex_invoice_async.cli.screen import screen
from vtex_invoice_async.cli.settings import CallOptions
from vtex_invoice_async.cli.signals import Interrupted, interruptible
from vtex_invoice_async.cli.tracking import track
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.jobs.rows import named
from vtex_invoice_async.jobs.sources import opened
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.jobs.tracking import (
    TrackingPlan,
    TrackSummary,
)
from vtex_invoice_async.jobs.typed import pasted
from vtex_invoice_async.retry import RetryPolicy
from vtex_invoice_async.throttle import Pace

__all__ = ["TrackOptions", "run_track"]


@frozen(kw_only=True)
class TrackOptions(CallOptions):
    """The options of the command."""

    file: str
    skip_invalid: bool
    failed: str | None

    def again(self, file: str, failed: str | None, *, skip_invalid: bool) -> str:
        """Return what to type to send a file of tracking as this one is sent."""
        given = {
            "--concurrency": None if self.concurrency == CONCURRENCY else self.concurrency,
            "--timeout": self.timeout,
            "--rate": self.rate,
            "--skip-invalid": skip_invalid,
            "--failed": failed,
        }
        return pasted(["track", *account_words(self), *words_of(given)], [file])


def run_track(options: TrackOptions) -> int:
    """Check the file, send what is new in it, say how it went; return the exit code."""
    console = stderr()
    # Nobody waits for a single row; a run ends when VTEX is given up.
    policy = RetryPolicy(deadline=None)
    config = options.applied_to(ClientConfig.from_env(options.settings), policy)
    with failed_rows(options.failed, options.file) as failed:
        try:
            with interruptible(), opened(options.file) as file:
                plan = TrackingPlan(file, config.orders_api)
                is_sound = _is_sound(plan, file, options, console)
        except Interrupted as interrupted:
            console.print("Interrupted while the file was checked: nothing was sent.")
            return _told(TrackSummary(exit_code=interrupted.code), failed, options, console)
        except OSError as error:
            tell_disk(error, console)
            return _told(TrackSummary(exit_code=Exit.DISK), failed, options, console)
        if is_sound:
            summary, pace = asyncio.run(track(plan, config, failed, options, console))
            return _told(summary, failed, options, console, pace)
    summary = TrackSummary(
        planned=plan.planned,
        not_sent=plan.planned,
        invalid=plan.invalid,
        duplicates=plan.duplicates,
        exit_code=Exit.BAD_INPUT,
    )
    return _told(summary, failed, options, console)


def _told(
    summary: TrackSummary,
    failed: FailedRows,
    options: TrackOptions,
    console: Console,
    pace: Pace | None = None,
) -> int:
    failed.end()
    counts = asdict(summary)
    names = [name for name in counts if name not in {"elapsed_s", "exit_code"}]
    ended = Ended(
        counts={name: counts[name] for name in names},
        elapsed=summary.elapsed_s,
        pace=pace,
        reasons=failed.reasons(),
        next_=list(_next(summary, options)),
        has_run=summary.exit_code != Exit.BAD_INPUT,
    )
    tell(ended, named(options.file), console, quiet=options.quiet)
    if options.as_json:
        say_json(counts)
    return summary.exit_code


def _next(summary: TrackSummary, options: TrackOptions) -> Iterator[NextStep]:
    """Yield what to do next."""
    file, failed = options.file, options.failed
    if summary.exit_code in {Exit.UNAUTHORIZED, Exit.UNANSWERED}:
        yield NextStep("See what keeps it", [pasted(["doctor", *account_words(options)])])
    skip = options.skip_invalid
    if summary.invalid:
        what_for = "Correct the file and send it again: what the orders show is skipped"
        yield NextStep(what_for, [options.again(file, failed, skip_invalid=False)])
        if summary.planned and not skip:
            sound = options.again(file, failed, skip_invalid=True)
            yield NextStep("Or send the rows that are sound", [sound])
    elif summary.rejected or summary.not_sent or summary.in_doubt:
        if failed is None:
            what_for = "Send the file again: what the orders show is skipped"
            yield NextStep(what_for, [options.again(file, None, skip_invalid=skip)])
        else:
            left = free_name(str(Path(failed).with_suffix("")), ".jsonl")
            what_for = f"Correct what was rejected in {named(failed)}, and send that"
            yield NextStep(what_for, [options.again(failed, left, skip_invalid=False)])


def _is_sound(plan: TrackingPlan, file: BinaryIO, options: TrackOptions, console: Console) -> bool:
    """Check every row; say what is wrong and whether anything may be sent."""
    shown = screen(console, quiet=options.quiet or is_typed([options.file]))
    checking = Checking(shown, [options.file])
    checking.began(file)
    with shown.showing(checking.facts):
        found = checking.told(plan.check(checking.counted))
        # A row that is left out of a run has to be named.
        tell_problems(found, options.file, console, all_=options.skip_invalid)
    if plan.invalid and not options.skip_invalid:
        tell_unsent(plan.invalid, console)
        return False
    if not plan.planned:
        console.print(
            "There is nothing to send: no line holds sound tracking. See that it is the right file."
        )
        return False
    return True
