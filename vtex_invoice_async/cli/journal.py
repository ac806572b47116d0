"""What a journal holds: `vtex-invoice status`, `export`, and where journals are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from attrs import asdict, frozen

from vtex_invoice_async.cli.after import Ended, steps, tell
from vtex_invoice_async.cli.commands import account_words, words_of
from vtex_invoice_async.cli.display import say_json, stderr, stdout
from vtex_invoice_async.cli.settings import AccountOptions
from vtex_invoice_async.config import ClientConfig, orders_api_of, url_of
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.header import Header, header_for, header_of
from vtex_invoice_async.jobs.job import Record
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.lock import read_holder
from vtex_invoice_async.jobs.rows import OURS, named
from vtex_invoice_async.jobs.sqlite import lock_of
from vtex_invoice_async.jobs.store import RunRecord
from vtex_invoice_async.jobs.summary import Exit, by_state
from vtex_invoice_async.jobs.typed import pasted
from vtex_invoice_async.outcome import State

__all__ = ["JournalOptions", "default_path", "path_of", "run_export", "run_status"]

SHOWN_RUNS = 5


@frozen(kw_only=True)
class JournalOptions(AccountOptions):
    """The options of a command that only reads a journal."""

    journal: str | None
    state: tuple[str, ...] = ()
    as_json: bool = False

    def command(self, name: str, *words: str) -> str:
        """Return what to type for another command over the same journal."""
        account = account_words(self)
        journal = words_of({"--journal": self.journal})
        reads = name in {"export", "report"} and self.journal is not None
        return pasted([name, *([] if reads else account), *journal, *words])

    @property
    def path(self) -> Path:
        """Where the journal is: given, or where that of the account is by default."""
        if self.journal is not None:
            return _named(self.journal)
        settings = self.settings
        account = settings.get("VTEX_ACCOUNT")
        if account is None:
            raise ConfigError("say which journal: give --journal, or VTEX_ACCOUNT")
        environment, base_url = settings.get("VTEX_ENVIRONMENT"), settings.get("VTEX_BASE_URL")
        url = url_of(account, environment, base_url)
        header = header_of(account=account, url=url, orders_api=orders_api_of(settings))
        return _utf8(default_path(header))


def path_of(given: str | None, config: ClientConfig) -> Path:
    """Return where the journal for a client of *config* is."""
    if given is not None:
        return _named(given)
    return _utf8(default_path(header_for(config)))


def _named(path: str) -> Path:
    if "://" in path:
        # It may hold a password, and would be the name of a file.
        raise ConfigError("--journal is the path of a file here, and no address: give a path")
    return _utf8(Path(path))


def _utf8(path: Path) -> Path:
    """Return *path*, which is told in JSON and on pages; raise `ConfigError` where it cannot be."""
    whole = str(path.absolute())
    if any(0xD800 <= ord(c) <= 0xDFFF for c in whole):
        told = f"the journal's path is not UTF-8: {named(whole)}"
        raise ConfigError(f"{told}; give another one with --journal")
    return path


def default_path(header: Header) -> Path:
    """Return where the journal of an account is by default: one for all of its files."""
    state = os.environ.get("XDG_STATE_HOME") or ""
    # What is not absolute has to be ignored: https://specifications.freedesktop.org/basedir-spec
    folder = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    _, _, authority = header.origin.partition("://")
    host, _, port = authority.rpartition(":")
    name = f"{header.account}@{host.strip('[]').replace(':', '_')}-{port}-{header.family}.db"
    return folder / "vtex-invoice" / name


def run_status(options: JournalOptions) -> int:
    """Say what the journal holds, and who works on it."""
    return asyncio.run(_status(options))


async def _status(options: JournalOptions) -> int:
    path = options.path
    async with Journal.read(path) as journal:
        counts = await journal.counts()
        runs = await journal.runs(SHOWN_RUNS)
        header = journal.header
        reasons = [] if options.as_json else await journal.reasons()
    holder = read_holder(lock_of(path))
    told = by_state(counts)
    if options.as_json:
        said = {
            "journal": str(path),
            **asdict(header),
            **told,
            "states": {str(state): counts[state] for state in State if state is not State.INVALID},
            "running": None if holder is None else asdict(holder),
            "runs": [asdict(run) for run in runs],
        }
        return 0 if say_json(said) else Exit.DISK
    console = stderr()
    account = f"{header.account} at {header.origin} ({header.family})"
    for run in runs:
        goes_on = holder is not None and run is runs[0]
        console.print(_run_words(run, goes_on=goes_on), soft_wrap=True)
    ended = Ended(
        counts=told,
        never_begun=counts[State.PLANNED],
        reasons=reasons,
        # Who goes on with what a run holds would only be sent away.
        next_=[] if holder is not None else list(steps(told, 0, options.command, reasons)),
    )
    tell(ended, f"{path}: {account}", console, quiet=False)
    if holder is not None:
        console.print(f"A run holds it: {holder}", soft_wrap=True)
    return 0


def _run_words(run: RunRecord, *, goes_on: bool) -> str:
    ended = f"ended {run.ended_at}" if run.ended_at else "goes on" if goes_on else "was cut off"
    code = f", exit code {run.counts['exit_code']}" if run.counts else ""
    return f"{run.command}: began {run.started_at}, {ended}{code}"


def run_export(options: JournalOptions) -> int:
    """Write rows of the journal to stdout, as `send` reads them."""
    try:
        with stdout() as file:
            asyncio.run(_export(options, file))
    except BrokenPipeError:
        pass  # whoever reads it has seen enough
    except OSError as error:
        stderr().print(
            f"stdout: {error.strerror}; the export is not whole: make room, and export again"
        )
        return Exit.DISK
    return 0


async def _export(options: JournalOptions, file: BinaryIO) -> None:
    states = {State(name) for name in options.state} or set(State)
    async with Journal.read(options.path) as journal:
        async for record in journal.records(states):
            file.write(orjson.dumps(_row(record)) + b"\n")


def _row(record: Record) -> Mapping[str, Any]:
    named = {
        "orderId": record.order_id,
        "invoiceNumber": record.invoice_number,
        "type": record.type,
    }
    ours = {
        "line": record.line,
        "state": record.state,
        "confirmedBy": record.confirmed_by,
        "receipt": record.receipt,
        "date": record.date,
        "attempts": record.attempts,
        "status": record.status,
        "code": record.code,
        "message": record.message,
    }
    return {**named, **record.document, OURS: ours}
