"""Whatever write the disk refuses: nothing is sent after it, and the next run is clean."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from tests.command_line import ROOT, Ended, ending, environ_of, file_of, row
from tests.factories import job_for
from tests.failures import POSTED
from vtex_invoice_async import ClientConfig, VtexInvoiceClient
from vtex_invoice_async.errors import JournalFailed
from vtex_invoice_async.jobs import Journal, run
from vtex_invoice_async.jobs.header import header_for
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.sandbox import Sandbox

ORDERS: Final = 4


@frozen(kw_only=True)
class Attempt:
    """A run over a disk that may fail."""

    sent: int
    """Invoices that had arrived when the disk failed, or in the end."""
    sent_in_the_end: int
    failed: bool


def posts(sandbox: Sandbox) -> int:
    return sum(arrived.operation == POSTED for arrived in sandbox.oracle.arrived)


def journal_of(config: ClientConfig, path: Path, kind: type[sqlite3.Connection]) -> Journal:
    header = header_for(config)
    return Journal(SqliteStore(path, connection=kind), header)


def failing_at(n: int, failed: Callable[[], None]) -> type[sqlite3.Connection]:
    """A connection of which the n-th call fails, and all after it but reads."""
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == n:
            failed()
            raise sqlite3.OperationalError("disk I/O error")

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            count()
            return super().execute(sql, parameters)

        def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
            count()
            return super().executemany(sql, parameters)

    return Failing


def full_at(pages: int, failed: Callable[[], None]) -> type[sqlite3.Connection]:
    """A connection to a database that cannot grow beyond so many pages."""

    class Full(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            try:
                if sql == "BEGIN IMMEDIATE":
                    super().execute(f"PRAGMA max_page_count = {pages}")
                return super().execute(sql, parameters)
            except sqlite3.OperationalError:
                failed()
                raise

        def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
            try:
                return super().executemany(sql, parameters)
            except sqlite3.OperationalError:
                failed()
                raise

    return Full


async def attempt(
    path: Path, kind_of: Callable[[Callable[[], None]], type[sqlite3.Connection]]
) -> Attempt:
    """Run with one invoice in flight at a time, so that none is under way when the disk fails."""
    async with Sandbox(ORDERS) as sandbox:
        sent: list[int] = []
        config = evolve(sandbox.config, max_concurrency=1)
        jobs = [job_for(order) for order in sandbox.orders]
        failed = False
        async with VtexInvoiceClient(config) as client:
            try:
                kind = kind_of(lambda: sent.append(posts(sandbox)))
                async with journal_of(config, path, kind) as journal:
                    await run(client, jobs, journal)
            except JournalFailed:
                failed = True
            in_the_end = posts(sandbox)
            async with journal_of(config, path, sqlite3.Connection) as journal:
                await run(client, jobs, journal)
        assert sandbox.applied == Counter(
            {(job.order_id, job.invoice.invoice_number): 1 for job in jobs}
        )
    return Attempt(sent=sent[0] if sent else in_the_end, sent_in_the_end=in_the_end, failed=failed)


async def test_a_call_that_fails_is_the_last_before_the_sending_stops(tmp_path: Path) -> None:
    attempts: list[Attempt] = []
    while not attempts or attempts[-1].failed or attempts[-1].sent < ORDERS:
        first = len(attempts) + 1
        attempts += await asyncio.gather(
            *(
                attempt(tmp_path / f"{n}.db", partial(failing_at, n))
                for n in range(first, first + 20)
            )
        )

    assert all(found.sent == found.sent_in_the_end for found in attempts)
    # All the way from before the first invoice to behind the last.
    assert {found.sent for found in attempts} == set(range(ORDERS + 1))
    assert sum(found.failed for found in attempts) > 50


async def test_a_database_that_is_full_stops_the_sending(tmp_path: Path) -> None:
    found = [
        await attempt(tmp_path / f"{pages}.db", partial(full_at, pages))
        for pages in (3, 5, 7, 9, 50)
    ]

    assert all(one.sent == one.sent_in_the_end for one in found)
    assert found[0].failed
    assert not found[-1].failed


PROGRAM: Final = """
import resource, sys
from vtex_invoice_async.__main__ import main
most = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
sys.exit(main())
"""


async def limited(most: int, *arguments: object, environ: dict[str, str]) -> Ended:
    """Run the command in a process that cannot make a file larger than so many bytes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(most), *map(str, arguments),
        cwd=ROOT, env=environ,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    return await ending(process)


async def test_a_command_that_meets_a_full_disk_says_so_and_goes_on_later(tmp_path: Path) -> None:
    sent: list[int] = []
    async with Sandbox(300) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])
        environ = environ_of(sandbox.config) | {"XDG_STATE_HOME": str(tmp_path)}
        options = ("send", path, "--json", "--settle-window", 2)
        # Room for hardly a plan; for a plan and some of its intents; for all of it.
        for most, code in ((60_000, 74), (800_000, 74), (1_000_000_000, 0)):
            ended = await limited(most, *options, environ=environ)
            assert ended.code == code == ended.summary["exit_code"], ended.stderr
            sent.append(posts(sandbox))

    assert sent[0] == 0
    assert 0 < sent[1] < 300
    assert ended.summary["confirmed"] == 300
    assert set(sandbox.applied.values()) == {1}
    assert sandbox.applied.total() == 300
