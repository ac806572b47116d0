"""`vtex-invoice send`: the invoices of a file, checked whole and then sent concurrently."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from attrs import evolve, frozen
from rich.console import Console

from vtex_invoice_async.cli.check import opened, tell_problems, tell_unsent
from vtex_invoice_async.cli.display import stderr
from vtex_invoice_async.cli.journal import path_of
from vtex_invoice_async.cli.sandbox import orders_for
from vtex_invoice_async.cli.work import WorkOptions, work
from vtex_invoice_async.config import ClientConfig, orders_api_of
from vtex_invoice_async.errors import JournalError
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.jobs.sources import read_json_lines
from vtex_invoice_async.jobs.summary import Exit, Summary, exit_of
from vtex_invoice_async.sandbox import Sandbox

__all__ = ["SendOptions", "run_send"]


@frozen(kw_only=True)
class SendOptions(WorkOptions):
    """The options of the command."""

    file: str
    skip_invalid: bool
    strict: bool
    sandbox: bool


def run_send(options: SendOptions) -> int:
    """Check the file, send it, say how it went; return the exit code."""
    console = stderr()
    with ExitStack() as stack:
        file = stack.enter_context(opened(options.file))
        settings = options.settings
        # A rehearsal needs no account; its dialect is that of the account all the same.
        config = None if options.sandbox else ClientConfig.from_env(settings)
        plan = stack.enter_context(Plan(config.orders_api if config else orders_api_of(settings)))
        try:
            is_sound = _is_sound(plan, file, options, console)
        except KeyboardInterrupt:
            console.print("Interrupted while the file was checked: nothing was sent.")
            summary = _unsent(plan, 128 + signal.SIGINT)
        else:
            summary = (
                _send(plan, config, options, console) if is_sound else _unsent(plan, Exit.BAD_INPUT)
            )
    options.tell(summary, options.file, console)
    return summary.exit_code


def _unsent(plan: Plan, code: int) -> Summary:
    return Summary(
        planned=plan.planned,
        not_sent=plan.planned,
        invalid=plan.invalid,
        duplicates=plan.duplicates,
        exit_code=code,
    )


def _is_sound(plan: Plan, file: BinaryIO, options: SendOptions, console: Console) -> bool:
    """Check every row; say what is wrong and whether anything may be sent."""
    rows = read_json_lines(file, plan.orders_api)
    # A row that is left out of a run has to be named.
    found = tell_problems(plan.take(rows), options.file, console, all_=options.skip_invalid)
    if plan.invalid and not options.skip_invalid:
        tell_unsent(plan.invalid, console)
        return False
    if found["warn"] and options.strict:
        console.print(f"Nothing was sent: with --strict, {found['warn']:,} warnings are too many.")
        return False
    if not plan.planned:
        console.print("There is nothing to send: no line holds a sound invoice.")
        return False
    return True


def _send(
    plan: Plan, config: ClientConfig | None, options: SendOptions, console: Console
) -> Summary:
    unbegun = _unsent(plan, Exit.CONFIRMED)

    async def go(runner: Runner, told: Mapping[str, Any]) -> Summary:
        return await runner.send(plan, {"file": options.file, **told})

    async def rehearse() -> Summary:
        """Send to a sandbox that has orders for the plan, over a journal that goes with it."""
        with tempfile.TemporaryDirectory(prefix="vtex-invoice-") as folder:
            async with Sandbox(orders_for(plan.entries())) as sandbox:
                config = evolve(sandbox.config, orders_api=plan.orders_api)
                journal = Journal.open(Path(folder) / "rehearsal.db", config)
                summary = await work(go, journal, config, options, console, unbegun=unbegun)
        return evolve(summary, journal=None)

    if config is None:
        return asyncio.run(rehearse())
    path = path_of(options.journal, config)
    unbegun = evolve(unbegun, journal=str(path))
    if not os.path.lexists(path):
        console.print(f"New journal: {path}; what was sent before is not known to it.")
    try:
        journal = Journal.open(path, config)
        return asyncio.run(work(go, journal, config, options, console, unbegun=unbegun))
    except JournalError as error:
        console.print(f"vtex-invoice: {error}")
        return evolve(unbegun, exit_code=exit_of(error))
