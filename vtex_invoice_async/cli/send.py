"""`vtex-invoice send`: the invoices of a file, checked whole and then sent concurrently."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen
from rich.console import Console

from vtex_invoice_async.cli.after import steps
from vtex_invoice_async.cli.checking import Checking, is_typed
from vtex_invoice_async.cli.commands import account_words, free_name, words_of
from vtex_invoice_async.cli.display import stderr
from vtex_invoice_async.cli.ending import NextStep
from vtex_invoice_async.cli.facts import Facts
from vtex_invoice_async.cli.journal import path_of
from vtex_invoice_async.cli.meter import Meter
from vtex_invoice_async.cli.problems import (
    Teller,
    tell_disk,
    tell_nothing,
    tell_problems,
    tell_unsent,
)
from vtex_invoice_async.cli.sandbox import orders_for
from vtex_invoice_async.cli.screen import screen
from vtex_invoice_async.cli.signals import Interrupted, interruptible
from vtex_invoice_async.cli.work import Worked, WorkOptions, counts_of, tell_worked, work
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.config import ClientConfig, orders_api_of
from vtex_invoice_async.errors import CallError, JournalError
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import named
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.jobs.sources import read
from vtex_invoice_async.jobs.summary import Exit, Summary, exit_of
from vtex_invoice_async.jobs.typed import pasted
from vtex_invoice_async.jobs.verifying import exit_of_reading, verify_plan
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["SendOptions", "run_send"]


REHEARSED: Final = "It was a rehearsal: nothing left this machine, and no journal was kept."
REHEARSE: Final = "Rehearse it again"


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

    def again(self, name: str, **changes: object) -> str:
        """Return what to type to check or to send the same files, otherwise where that is said."""
        given: dict[str, object] = {
            "--format": self.format_,
            "--order-id-from": self.order_id_from,
            "--verify": self.verify,
            "--strict": self.strict,
        }
        if name == "send":
            given |= {"--skip-invalid": self.skip_invalid, "--sandbox": self.sandbox}
        words = words_of(given | changes)
        if name == "send":
            return self.command(name, *words, files=self.files)
        # What only looks at files has no journal, and no pace.
        return pasted([name, *account_words(self), *words], self.files)


def run_send(options: SendOptions) -> int:
    """Check the file, send it, say how it went; return the exit code."""
    console = stderr()
    with ExitStack() as stack:
        settings = options.settings
        # A rehearsal needs no account; its dialect is that of the account all the same.
        config = None if options.sandbox else ClientConfig.from_env(settings)
        orders_api = config.orders_api if config else orders_api_of(settings)
        plan = stack.enter_context(Plan(orders_api, strict=options.strict))
        sandbox: Sandbox | None = None
        try:
            with interruptible():
                is_sound = _is_sound(plan, options, console)
                if is_sound and options.sandbox:
                    sandbox = Sandbox(orders_for(plan.entries()))
        except Interrupted as interrupted:
            console.print("Interrupted while the file was checked: nothing was sent.")
            worked = Worked(summary=_unsent(plan, interrupted.code))
        except (OSError, sqlite3.OperationalError) as error:
            tell_disk(error, console)
            console.print("Nothing was sent.")
            worked = Worked(summary=_unsent(plan, Exit.DISK))
        else:
            if is_sound:
                worked = _send(plan, config, sandbox, options, console)
            else:
                worked = Worked(summary=_unsent(plan, Exit.BAD_INPUT))
    is_rehearsed = options.sandbox and worked.pace is not None
    note = REHEARSED if is_rehearsed else ""
    next_ = list(_next(worked, options))
    tell_worked(worked, options.title, options, console, next_=next_, note=note)
    return worked.summary.exit_code


def _next(worked: Worked, options: SendOptions) -> Iterator[NextStep]:
    """Yield what to do next."""
    summary = worked.summary
    fix = free_name("problems", ".csv")
    if summary.invalid:
        yield NextStep(
            "Correct the file and check it, then send it",
            [options.again("check"), options.again("send", **{"--skip-invalid": False})],
        )
        yield NextStep(
            "Or have all that is wrong with it as a table",
            [f"{options.again('check', **{'--output': 'csv'})} > {fix}"],
        )
    if worked.pace is None or not worked.is_entered:
        # It has not come to a run.
        code = summary.exit_code
        if code in {Exit.UNAUTHORIZED, Exit.UNANSWERED}:
            yield NextStep("See what keeps it", [options.command("doctor")])
        if code not in {Exit.BAD_INPUT, Exit.CONFIRMED}:
            yield NextStep("Send the file again", [options.again("send")])
        elif summary.invalid and summary.planned and not options.skip_invalid:
            sound = options.again("send", **{"--skip-invalid": True})
            yield NextStep("Or send the rows that are sound", [sound])
        return
    if options.sandbox:
        yield from _after_rehearsal(summary, options)
        return
    yield from steps(counts_of(summary), summary.exit_code, options.command)


def _after_rehearsal(summary: Summary, options: SendOptions) -> Iterator[NextStep]:
    if summary.confirmed == summary.planned:
        yield NextStep("Send it for good, to VTEX", [options.again("send", **{"--sandbox": False})])
    else:
        what_for = "Correct the file, and rehearse it again" if summary.rejected else REHEARSE
        yield NextStep(what_for, [options.again("send")])


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
    shown = screen(console, quiet=options.quiet or is_typed(options.files))
    checking = Checking(shown, options.files)
    rows = read(
        options.files,
        plan.orders_api,
        format_=options.format_,
        order_id_from=options.order_id_from,
        now=datetime.now(UTC),
        with_order=options.verify,
        began=checking.began,
    )
    with shown.showing(checking.facts):
        found = checking.told(plan.take(checking.counted(rows)))
        # A row that is left out of a run has to be named.
        tell_problems(found, options.title, console, all_=options.skip_invalid)
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
    plan: Plan,
    config: ClientConfig | None,
    sandbox: Sandbox | None,
    options: SendOptions,
    console: Console,
) -> Worked:
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

    async def run(journal: Journal, config: ClientConfig) -> Worked:
        return await work(
            go, journal, config, options, console, unbegun=unbegun, before=before, plan=plan
        )

    if sandbox is not None:
        return asyncio.run(_rehearse(sandbox, plan.orders_api, run))
    assert config is not None  # noqa: S101  for the type checker: only a rehearsal has none
    assert path is not None  # noqa: S101
    if not os.path.lexists(path):
        console.print(f"New journal: {path}; what was sent before is not known to it.")
    try:
        return asyncio.run(run(Journal.open(path, config), config))
    except JournalError as error:
        console.print(f"vtex-invoice: {error}")
        return Worked(summary=evolve(unbegun(), exit_code=exit_of(error)))


async def _rehearse(
    sandbox: Sandbox,
    orders_api: OrdersApi,
    run: Callable[[Journal, ClientConfig], Awaitable[Worked]],
) -> Worked:
    """Run against a sandbox that has orders for the plan, over a journal that goes with it."""
    with tempfile.TemporaryDirectory(prefix="vtex-invoice-") as folder:
        async with sandbox:
            config = evolve(sandbox.config, orders_api=orders_api)
            worked = await run(Journal.open(Path(folder) / "rehearsal.db", config), config)
    return evolve(worked, summary=evolve(worked.summary, journal=None))


async def _verify(
    plan: Plan,
    client: VtexInvoiceClient,
    journal: Journal,
    options: SendOptions,
    console: Console,
) -> int | None:
    """Read the orders, and say what they have against the plan; None where it may be sent now."""
    teller = Teller(options.title, console, all_=options.skip_invalid)
    meter, total, done = Meter(), plan.orders_in_all(), 0

    def facts(elapsed: float) -> Facts:
        meter.see(elapsed, done)
        return Facts(
            phase="Reading orders",
            done=done,
            total=total,
            counts={"problems": teller.found["refuse"], "warnings": teller.found["warn"]},
            elapsed=elapsed,
            left=meter.left(total - done),
        )

    try:
        with screen(console, quiet=options.quiet).ticking(facts):
            looks = verify_plan(client, journal, plan)
            async with aclosing(looks) as found:
                async for told in found:
                    for problem in told:
                        teller.tell(problem)
                    done += 1
    except CallError as error:
        console.print(f"vtex-invoice: {error}")
        console.print(
            "Nothing was sent: not every order could be read. `vtex-invoice doctor` says more."
        )
        return exit_of_reading(error)
    finally:
        teller.end()
    return None if _may_be_sent(plan, options, console) else Exit.BAD_INPUT
