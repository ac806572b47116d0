"""`vtex-invoice send`: the invoices of a file, checked whole and then sent concurrently."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from rich.console import Console

from vtex_invoice_async.cli.display import stderr
from vtex_invoice_async.cli.journal import path_of
from vtex_invoice_async.cli.problems import tell_problems, tell_unsent
from vtex_invoice_async.cli.sandbox import orders_for
from vtex_invoice_async.cli.work import WorkOptions, work
from vtex_invoice_async.config import ClientConfig, orders_api_of
from vtex_invoice_async.errors import JournalError
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.jobs.sources import read
from vtex_invoice_async.jobs.summary import Exit, Summary, exit_of
from vtex_invoice_async.sandbox import Sandbox

__all__ = ["SendOptions", "run_send"]


@frozen(kw_only=True)
class SendOptions(WorkOptions):
    """The options of the command."""

    files: tuple[str, ...]
    format_: str | None
    skip_invalid: bool
    strict: bool
    sandbox: bool

    @property
    def title(self) -> str:
        """How the source is called."""
        more = len(self.files) - 1
        return f"{self.files[0]} and {more:,} more" if more else self.files[0]


def run_send(options: SendOptions) -> int:
    """Check the file, send it, say how it went; return the exit code."""
    console = stderr()
    with ExitStack() as stack:
        settings = options.settings
        # A rehearsal needs no account; its dialect is that of the account all the same.
        config = None if options.sandbox else ClientConfig.from_env(settings)
        orders_api = config.orders_api if config else orders_api_of(settings)
        plan = stack.enter_context(Plan(orders_api, strict=options.strict))
        try:
            is_sound = _is_sound(plan, options, console)
        except KeyboardInterrupt:
            console.print("Interrupted while the file was checked: nothing was sent.")
            summary = _unsent(plan, 128 + signal.SIGINT)
        else:
            summary = (
                _send(plan, config, options, console) if is_sound else _unsent(plan, Exit.BAD_INPUT)
            )
    options.tell(summary, options.title, console)
    return summary.exit_code


def _unsent(plan: Plan, code: int) -> Summary:
    return Summary(
        planned=plan.planned,
        not_sent=plan.planned,
        invalid=plan.invalid,
        duplicates=plan.duplicates,
        exit_code=code,
    )


def _is_sound(plan: Plan, options: SendOptions, console: Console) -> bool:
    """Check every row; say what is wrong and whether anything may be sent."""
    now = datetime.now(UTC)
    rows = read(options.files, plan.orders_api, format_=options.format_, now=now)
    # A row that is left out of a run has to be named.
    tell_problems(plan.take(rows), options.title, console, all_=options.skip_invalid)
    if plan.invalid and not options.skip_invalid:
        tell_unsent(plan.invalid, console)
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
        return await runner.send(plan, {"file": options.title, **told})

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
