"""`vtex-invoice check`: all that `send` would find in files, grouped; nothing is sent."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import BinaryIO, Final

import orjson
from attrs import frozen
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vtex_invoice_async.cli.after import say
from vtex_invoice_async.cli.checking import Checking, is_typed
from vtex_invoice_async.cli.commands import account_words, words_of
from vtex_invoice_async.cli.display import has_unicode, stderr, stdout, width_of
from vtex_invoice_async.cli.ending import NextStep, next_lines
from vtex_invoice_async.cli.problems import tell_disk, tell_nothing
from vtex_invoice_async.cli.screen import screen
from vtex_invoice_async.cli.settings import AccountOptions
from vtex_invoice_async.cli.signals import Interrupted, interruptible
from vtex_invoice_async.cli.spreadsheet import write_csv
from vtex_invoice_async.config import orders_api_of
from vtex_invoice_async.jobs.findings import Findings, Group
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import RowProblem, named
from vtex_invoice_async.jobs.sources import read
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.jobs.typed import pasted
from vtex_invoice_async.preflight import Severity

__all__ = ["CheckOptions", "run_check"]

COLUMNS: Final = ("severity", "code", "field", "message", "source", "file", "line", "column")

SHOWN_GROUPS: Final = 100
"""Kinds of a severity in a table: a file may have a key of its own in each of its rows."""

SHOWN_PLACES: Final = 10
"""Of one kind, on a terminal where a line is long enough."""

PLAIN_PLACES: Final = 5
"""Of one kind, where there is no terminal."""

TITLES: Final[dict[Severity, str]] = {"refuse": "Cannot be sent", "warn": "Worth a look"}


@frozen(kw_only=True)
class CheckOptions(AccountOptions):
    """The options of the command."""

    files: tuple[str, ...]
    format_: str | None
    order_id_from: str | None
    strict: bool
    verify: bool
    output: str
    quiet: bool


def run_check(options: CheckOptions) -> int:
    """Say all that is wrong with the files, or worth a look; return the exit code."""
    console = stderr()
    orders_api = orders_api_of(options.settings)
    try:
        with (
            interruptible(),
            Plan(orders_api, strict=options.strict) as plan,
            Findings() as findings,
        ):
            _check(plan, findings, options, console)
            is_told = _tell(findings, options, console)
    except Interrupted as interrupted:
        console.print("Interrupted: the check is not whole. Nothing is ever sent by it.")
        return interrupted.code
    except (OSError, sqlite3.OperationalError) as error:
        tell_disk(error, console)
        return Exit.DISK
    if not options.quiet:
        console.print(_summed_up(plan))
    if not plan.planned:
        tell_nothing(console)
    if not options.quiet:
        console.print()
        say(next_lines(list(_next(plan, options)), width_of(console)), console)
    if not is_told:
        return Exit.DISK
    return Exit.BAD_INPUT if plan.invalid or not plan.planned else Exit.CONFIRMED


def _check(plan: Plan, findings: Findings, options: CheckOptions, console: Console) -> None:
    """Find all that is wrong."""
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
        findings.keep(checking.told(plan.take(checking.counted(rows))))


def _next(plan: Plan, options: CheckOptions) -> Iterator[NextStep]:
    """Yield what to do next."""
    given = {
        "--format": options.format_,
        "--order-id-from": options.order_id_from,
        "--verify": options.verify,
        "--strict": options.strict,
    }
    words = [*account_words(options), *words_of(given)]
    if plan.invalid or not plan.planned:
        again = pasted(["check", *words], options.files)
        yield NextStep("Correct the file, and check it again", [again])
    else:
        rehearsed = pasted(["send", *words, "--sandbox"], options.files)
        yield NextStep("Rehearse it; nothing leaves this machine", [rehearsed])


def _summed_up(plan: Plan) -> str:
    invoices = "invoice" if plan.planned == 1 else "invoices"
    counts = [f"{plan.planned:,} {invoices} can be sent"]
    if plan.invalid:
        counts.append(f"{plan.invalid:,} {'row' if plan.invalid == 1 else 'rows'} cannot")
    if plan.duplicates:
        counts.append(
            f"{plan.duplicates:,} {'repeats' if plan.duplicates == 1 else 'repeat'} another"
        )
    return ", ".join(counts) + "."


def _tell(findings: Findings, options: CheckOptions, console: Console) -> bool:
    """Write all of it to stdout; say whether it is whole."""
    name = named(options.files[0])
    try:
        with stdout() as file:
            if options.output == "table":
                _write_tables(findings, name, file)
            elif options.output == "csv":
                write_csv(file, COLUMNS, (_cells(told, name) for told in findings))
            else:
                for told in findings:
                    document = dict(zip(COLUMNS, _cells(told, name), strict=True))
                    file.write(orjson.dumps(document) + b"\n")
    except BrokenPipeError:
        pass  # whoever reads it has seen enough
    except OSError as error:
        console.print(
            f"stdout: {error.strerror}; the list is not whole: make room, and check again"
        )
        return False
    return True


def _cells(told: RowProblem, name: str) -> tuple[str | int | None, ...]:
    """Return what the columns hold of a problem; *name* is that of the only file."""
    found = told.problem
    return (
        *(found.severity, found.code, found.field, found.message, found.source),
        *(told.file or name, told.line, told.column),
    )


def _write_tables(findings: Findings, name: str, file: BinaryIO) -> None:
    """Write a table of what is refused, and one of what is warned of: a row for each kind."""
    # What a pipe gets is the same wherever it comes from, whatever rich is told by the environment.
    console = _console() if sys.stdout.isatty() else None
    for severity, title in TITLES.items():
        kinds, count = findings.counts(severity)
        if not kinds:
            continue
        most = SHOWN_PLACES if console else PLAIN_PLACES
        rows = list(islice(findings.groups(severity, most), SHOWN_GROUPS))
        text = _drawn(title, rows, name, console) if console else "".join(_plain(title, rows, name))
        if kinds > len(rows):
            rest = count - sum(row.count for row in rows)
            more = f"... and {kinds - len(rows):,} more kinds, {rest:,} in all; "
            text += f"{more}`--output jsonl` has them\n"
        file.write(text.encode())


def _console() -> Console:
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def _drawn(title: str, groups: Sequence[Group], name: str, console: Console) -> str:
    """Return a table as a terminal shows it."""
    made = Table(
        title=title,
        title_style="bold",
        title_justify="left",
        show_header=False,
        show_lines=True,
        box=box.SQUARE if has_unicode(console, os.environ) else box.ASCII,
    )
    made.add_column(justify="right", no_wrap=True)
    made.add_column(overflow="fold")
    width = console.width - len(f"│ {groups[0].count:,} │  │")
    for group in groups:
        advice, places, rule = _lines(group, name, width)
        cell = Text.assemble(advice, "\n", places, "\n", (rule, "dim"))
        made.add_row(f"{group.count:,}", cell)
    with console.capture() as captured:
        console.print(made)
    return captured.get()


def _plain(title: str, groups: Sequence[Group], name: str) -> Iterator[str]:
    yield f"{title}:\n"
    for group in groups:
        advice, *others = _lines(group, name, sys.maxsize)
        yield f"{group.count:>9,}  {advice}\n"
        yield from (f"{'':11}{line}\n" for line in others)


def _lines(group: Group, name: str, width: int) -> tuple[str, str, str]:
    """Return what is to be done, where, and which rule of VTEX's says so."""
    found = group.first[0].problem
    advice = f"{group.field}: {found.message}" if group.field else found.message
    rule = f"{found.code}; VTEX: {found.source}" if found.source else found.code
    return advice, _places(group, name, width), rule


def _places(group: Group, name: str, width: int) -> str:
    """Return as many places as go on a line of *width*, and how many there are besides."""
    places = [f"{told.file or name}:{told.line}:{told.column}" for told in group.first]
    for shown in range(len(places), 0, -1):
        more = group.count - shown
        line = ", ".join(places[:shown]) + (f" and {more:,} more" if more else "")
        if len(line) <= width:
            break
    return line
