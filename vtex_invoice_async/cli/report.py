"""`vtex-invoice report`: what a journal says of its runs, as a page, as Markdown or as JSON."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Final

import click
from attrs import frozen

from vtex_invoice_async.cli.display import stderr, stdout
from vtex_invoice_async.cli.journal import JournalOptions
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.lock import read_holder
from vtex_invoice_async.jobs.report.as_json import as_json
from vtex_invoice_async.jobs.report.as_markdown import as_markdown
from vtex_invoice_async.jobs.report.facts import Report
from vtex_invoice_async.jobs.report.gather import gather
from vtex_invoice_async.jobs.sqlite import lock_of
from vtex_invoice_async.jobs.summary import Exit

__all__ = ["EXTRA", "ReportOptions", "check_asked", "run_report"]

EXTRA: Final = ("jinja2", "markupsafe", "matplotlib")
"""What the `report` extra brings."""

SUFFIXES: Final = {".md": "md", ".markdown": "md", ".json": "json"}

SIDES: Final = ("-wal", "-shm", "-journal")
"""How the files are called that SQLite keeps beside a journal."""

Write = Callable[[Report], str]


@frozen(kw_only=True)
class ReportOptions(JournalOptions):
    """The options of `report`."""

    output: str | None
    format_: str | None
    run: str

    @property
    def file(self) -> Path | None:
        """Where it goes; None where that is standard output."""
        return None if self.output in {None, "-"} else Path(self.output or "")

    @property
    def format(self) -> str:
        """How it is written."""
        suffix = self.file.suffix.lower() if self.file is not None else ""
        return self.format_ or SUFFIXES.get(suffix, "html")

    @property
    def number(self) -> int | None:
        """The run that it is about; None for all of them."""
        if self.run == "all":
            return None
        if not (self.run.isascii() and self.run.isdigit() and 0 < len(self.run) < 10):
            raise click.BadParameter("give the number of a run, or all", param_hint="--run")
        return int(self.run)


def check_asked(options: ReportOptions) -> None:
    """Raise a usage error where what is asked for makes no sense, before anything is loaded for it."""
    _ = options.number
    to_terminal = options.output is None and sys.stdout is not None and sys.stdout.isatty()
    # Into a pipe it goes, as whoever writes `> report.html` expects.
    if options.format == "html" and to_terminal:
        raise ConfigError(
            "a page is nothing to read in a terminal: give it a file with -o report.html, "
            "or --format md"
        )


def run_report(options: ReportOptions, page: Write | None) -> int:
    """Write the report where the options say; return the exit code. *page* writes a page."""
    write = page or {"md": as_markdown, "json": as_json}[options.format]
    if options.file is not None and _is_of(options.path, options.file):
        raise ConfigError(
            f"{options.file} is the journal, or belongs to it: name another file with -o"
        )
    content = write(asyncio.run(_gathered(options.path, options.number))).encode()
    try:
        if options.file is None:
            with stdout() as file:
                file.write(content)
        else:
            _put(options.file, content)
    except BrokenPipeError:
        return 0  # whoever reads it has seen enough
    except OSError as error:
        where = "stdout" if options.file is None else f"{options.file}"
        told = f"vtex-invoice: {where}: {error.strerror}; the report was not written"
        stderr().print(f"{told}. Name another file with -o")
        return Exit.DISK
    if options.file is not None:
        stderr().print(f"The report is in {options.file} ({-(-len(content) // 1_000):,} kB).")
    return 0


async def _gathered(path: Path, number: int | None) -> Report:
    async with Journal.read(path) as journal:
        holder = read_holder(lock_of(path))
        return await gather(journal, run=number, holder=None if holder is None else str(holder))


def _is_of(journal: Path, file: Path) -> bool:
    """Whether a file is the journal, which nothing may replace, or one of those that go with it."""
    target, path = Path(os.path.realpath(file)), Path(os.path.realpath(journal))
    own = {path, lock_of(path), *(path.with_name(f"{path.name}{end}") for end in SIDES)}
    return target in own or (target.exists() and path.exists() and target.samefile(path))


def _put(file: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, all of it or nothing; one that is there is replaced."""
    # A link stays, and what it names is replaced.
    target = Path(os.path.realpath(file))
    if target.exists() and not target.is_file():
        raise ConfigError(f"{file} is no plain file: name another one with -o, or - for stdout")
    number, name = mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(number, "wb") as made:
            made.write(content)
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
