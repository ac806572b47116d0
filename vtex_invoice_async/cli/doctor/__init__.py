"""`vtex-invoice doctor`: what keeps invoices from being sent, check by check; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from attrs import frozen
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from vtex_invoice_async.cli.display import say_json, stderr
from vtex_invoice_async.cli.doctor.finding import Finding, Status, Tell, skipped, worst
from vtex_invoice_async.cli.doctor.host import NAMES, Clock, look_at_host
from vtex_invoice_async.cli.doctor.journal import look_at_journal
from vtex_invoice_async.cli.doctor.permission import NAME, look_at_permission
from vtex_invoice_async.cli.doctor.settings import Known, look_at_settings
from vtex_invoice_async.cli.doctor.versions import look_at_versions
from vtex_invoice_async.cli.journal import JournalOptions
from vtex_invoice_async.jobs.summary import Exit

__all__ = ["DoctorOptions", "examine", "run_doctor"]

STYLES: Final = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.FAILED: "bold red",
    Status.SKIPPED: "dim",
}
INDENT: Final = 9
"""Columns of the word that says how a check ended."""


@frozen(kw_only=True)
class DoctorOptions(JournalOptions):
    """The options of the command."""

    order: str | None = None
    timeout: float = 30
    """Seconds for all of it."""

    quiet: bool = False


def run_doctor(options: DoctorOptions) -> int:
    """Make all checks, tell each as it ends, and return the exit code."""
    console = stderr()
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not options.quiet or finding.status in {Status.WARNING, Status.FAILED}:
            _show(finding, console)

    asyncio.run(examine(options, tell))
    code = worst(findings)
    if not options.quiet:
        console.print(_summed_up(findings, code))
    if options.as_json:
        said = {"checks": [_document(found) for found in findings], "exit_code": int(code)}
        if not say_json(said):
            return Exit.DISK
    return code


async def examine(
    options: DoctorOptions, tell: Tell, *, clock: Clock = lambda: datetime.now(UTC)
) -> None:
    """Make all checks; the journal is looked at while the host answers."""
    until = asyncio.get_running_loop().time() + options.timeout
    known = look_at_settings(options)
    for finding in known.findings:
        tell(finding)
    async with asyncio.TaskGroup() as group:
        journal = group.create_task(look_at_journal(options, known.header, until))
        await _look_outside(options, known, until, clock, tell)
    for finding in (*journal.result(), *look_at_versions()):
        tell(finding)


async def _look_outside(
    options: DoctorOptions, known: Known, until: float, clock: Clock, tell: Tell
) -> None:
    """Look at the host, and then at what it lets these credentials do."""
    if known.target is None:
        for name in (*NAMES, NAME):
            tell(skipped(name, "the host is not known"))
        return
    is_reached = await look_at_host(known.target.url, until, clock, tell)
    if known.config is None:
        bad = ", ".join(found.name for found in known.findings if found.code)
        tell(skipped(NAME, f"{bad} failed"))
    elif not is_reached:
        tell(skipped(NAME, "the host was not reached"))
    else:
        tell(await look_at_permission(known.config, options.order, until))


def _document(finding: Finding) -> dict[str, str | None]:
    return {
        "name": finding.name,
        "status": finding.status,
        "found": finding.found,
        "advice": finding.advice,
    }


def _show(finding: Finding, console: Console) -> None:
    """Show a finding: on a terminal what to do stands in a line of its own, elsewhere in the same."""
    word = f"{finding.status:<{INDENT}}"
    told = f"{finding.name}: {finding.found}"
    if not console.is_terminal:
        console.print(f"{word}{told}" + (f"; {finding.advice}" if finding.advice else ""))
        return
    first, *others = Text(told).wrap(console, max(console.width - INDENT, 20))
    console.print(Text.assemble((word, STYLES[finding.status]), first))
    for line in others:
        console.print(Padding(line, (0, 0, 0, INDENT)))
    if finding.advice:
        console.print(Padding(Text(finding.advice, "bold"), (0, 0, 0, INDENT)))


def _summed_up(findings: Sequence[Finding], code: Exit) -> str:
    counts = {status: sum(found.status is status for found in findings) for status in Status}
    warnings = counts[Status.WARNING]
    worth = f"{warnings} {'warning' if warnings == 1 else 'warnings'}"
    if not counts[Status.FAILED]:
        return f"All is well, but for {worth}." if warnings else "All is well."
    checks = "check" if counts[Status.FAILED] == 1 else "checks"
    first = next(found for found in findings if found.code == code)
    told = f"{counts[Status.FAILED]} {checks} failed, {worth}"
    return f"{told}; exit code {int(code)}, for {first.name}. Mend what failed, and run it again."
