"""`vtex-invoice send`: the invoices of a file, checked whole and then sent concurrently."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from rich.console import Console

from vtex_invoice_async.cli.display import stderr, ticker
from vtex_invoice_async.cli.journal import path_of
from vtex_invoice_async.cli.problems import (
    Teller,
    tell_disk,
    tell_nothing,
    tell_problems,
    tell_unsent,
)
from vtex_invoice_async.cli.sandbox import orders_for
from vtex_invoice_async.cli.work import WorkOptions, work
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.config import ClientConfig, orders_api_of
from vtex_invoice_async.errors import CallError, JournalError
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import named
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.jobs.sources import read
from vtex_invoice_async.jobs.summary import Exit, Summary, exit_of
from vtex_invoice_async.jobs.verifying import exit_of_reading, verify_plan
from vtex_invoice_async.sandbox import Sandbox

__all__ = ["SendOptions", "run_send"]


@frozen(kw_only=True)
class SendOptions(WorkOptions):
    """The options of the command."""

    files: tuple[str, ...]
    format_: str | None
    order_id_from: str | None
    skip_invalid: bool
    strict: bool
    verify: bool
    sandbox: bool

    @property
    def title(self) -> str:
        """How the source is called."""
        more = len(self.files) - 1
        first = named(self.files[0])
        return f"{first} and {more:,} more" if more else first


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
        except (OSError, sqlite3.OperationalError) as error:
            tell_disk(error, console)
            console.print("Nothing was sent.")
            summary = _unsent(plan, Exit.DISK)
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
    rows = read(
        options.files,
        plan.orders_api,
        format_=options.format_,
        order_id_from=options.order_id_from,
        now=now,
        with_order=options.verify,
    )
    # A row that is left out of a run has to be named.
    tell_problems(plan.take(rows), options.title, console, all_=options.skip_invalid)
    return _may_be_sent(plan, options, console)


def _may_be_sent(plan: Plan, options: SendOptions, console: Console) -> bool:
    if plan.invalid and not options.skip_invalid:
        tell_unsent(plan.invalid, console)
        return False
    if not plan.planned:
        tell_nothing(console)
        return False
    return True


def _send(
    plan: Plan, config: ClientConfig | None, options: SendOptions, console: Console
) -> Summary:
    path = None if config is None else path_of(options.journal, config)
    name = None if path is None else str(path)

    def unbegun() -> Summary:
        return evolve(_unsent(plan, Exit.CONFIRMED), journal=name)

    async def go(runner: Runner, told: Mapping[str, Any]) -> Summary:
        return await runner.send(plan, {"file": options.title, **told})

    async def verified(client: VtexInvoiceClient, journal: Journal) -> Summary | None:
        code = await _verify(plan, client, journal, options, console)
        return None if code is None else evolve(unbegun(), exit_code=code)

    before = verified if options.verify else None

    async def rehearse() -> Summary:
        """Send to a sandbox that has orders for the plan, over a journal that goes with it."""
        with tempfile.TemporaryDirectory(prefix="vtex-invoice-") as folder:
            async with Sandbox(orders_for(plan.entries())) as sandbox:
                config = evolve(sandbox.config, orders_api=plan.orders_api)
                journal = Journal.open(Path(folder) / "rehearsal.db", config)
                summary = await work(
                    go, journal, config, options, console, unbegun=unbegun, before=before
                )
        return evolve(summary, journal=None)

    if config is None or path is None:
        return asyncio.run(rehearse())
    if not os.path.lexists(path):
        console.print(f"New journal: {path}; what was sent before is not known to it.")
    try:
        journal = Journal.open(path, config)
        run = work(go, journal, config, options, console, unbegun=unbegun, before=before)
        return asyncio.run(run)
    except JournalError as error:
        console.print(f"vtex-invoice: {error}")
        return evolve(unbegun(), exit_code=exit_of(error))


async def _verify(
    plan: Plan,
    client: VtexInvoiceClient,
    journal: Journal,
    options: SendOptions,
    console: Console,
) -> int | None:
    """Read the orders, and say what they have against the plan; None where it may be sent now."""
    teller = Teller(options.title, console, all_=options.skip_invalid)
    try:
        with ticker(console, "orders read", plan.orders_in_all(), quiet=options.quiet) as shown:
            looks = verify_plan(client, journal, plan)
            async with aclosing(looks) as found:
                async for told in found:
                    for problem in told:
                        teller.tell(problem)
                    shown.tick("read")
    except CallError as error:
        console.print(f"vtex-invoice: {error}")
        console.print(
            "Nothing was sent: not every order could be read. `vtex-invoice doctor` says more."
        )
        return exit_of_reading(error)
    finally:
        teller.end()
    return None if _may_be_sent(plan, options, console) else Exit.BAD_INPUT
