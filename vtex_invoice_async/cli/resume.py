"""`vtex-invoice resume` and `resolve`: go on with what a journal holds."""

from __future__ import annotations

import asyncio
import os

from attrs import evolve

from vtex_invoice_async.cli.display import stderr
from vtex_invoice_async.cli.journal import path_of
from vtex_invoice_async.cli.work import Go, Worked, WorkOptions, tell_worked, work
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import JournalError
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.summary import Exit, Summary, exit_of

__all__ = ["run_resolve", "run_resume"]


def run_resume(options: WorkOptions) -> int:
    """Go on with what is not final; return the exit code."""
    return _run(options, lambda runner, told: runner.resume(told), "send or to find out")


def run_resolve(options: WorkOptions) -> int:
    """Read the orders of what is in doubt or absent; return the exit code."""
    return _run(options, lambda runner, told: runner.resolve(told), "find out")


def _run(options: WorkOptions, go: Go, what: str) -> int:
    console = stderr()
    config = ClientConfig.from_env(options.settings)
    path = path_of(options.journal, config)
    unbegun = Summary(journal=str(path))
    try:
        # One that is made here would hold nothing, and hide that another one was meant.
        if not os.path.lexists(path):
            raise JournalError(f"there is no journal {path}; `send` makes one")
        journal = Journal.open(path, config)
        worked = asyncio.run(work(go, journal, config, options, console, unbegun=lambda: unbegun))
    except JournalError as error:
        console.print(f"vtex-invoice: {error}")
        worked = Worked(summary=evolve(unbegun, exit_code=exit_of(error)))
    summary = worked.summary
    if summary.exit_code == 0 and not summary.planned:
        told = f"There is nothing left to {what} in {path}."
        console.print(f"{told} `vtex-invoice status` says what it holds.")
        worked = evolve(worked, summary=evolve(summary, exit_code=Exit.BAD_INPUT))
    tell_worked(worked, str(path), options, console)
    return worked.summary.exit_code
