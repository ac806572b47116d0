"""A bulk job whose process is killed again and again, and a sandbox in its own that saw it all.

The sandbox is the oracle: what it applied, and how often, no kill can change. What the journal says
is read from its file, beside the code that wrote it.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import aiohttp
from attrs import define, field, frozen

from tests.command_line import TIMEOUT, Ended, ending, file_of, made_up_rows, started

Row = Mapping[str, object]

WINDOW: Final = 1.0
"""Seconds. What the sandbox got before a kill it has applied long before, so that this is sound."""

LATENCY: Final = 0.03
"""Seconds before the sandbox acts, in which an invoice is under way and not applied."""

UNANSWERED: Final = {
    "on": "notify_invoice",
    "do": "delay",
    "acted": True,
    "rate": 0.6,
    "seconds": 0.05,
}
"""Most invoices are applied for some time before that is answered."""

TROUBLE: Final = (
    # In the first half of a file: what is sent again at its end must not be lost again.
    {"on": "notify_invoice", "do": "answer", "status": 503, "nth": [7, 31, 58, 90]},
    {"on": "notify_invoice", "do": "close", "nth": [26, 66, 101]},
    {"on": "notify_invoice", "do": "answer", "status": 503, "acted": True, "nth": [13, 44, 77]},
    {"on": "notify_invoice", "do": "close", "acted": True, "nth": [20, 52, 85]},
    {"on": "notify_invoice", "do": "reset", "acted": True, "nth": [38, 71, 110]},
    {"on": "get_order", "do": "answer", "status": 503, "rate": 0.1},
    {"on": "get_order", "do": "close", "rate": 0.05},
    UNANSWERED,
)
"""Invoices that VTEX never had, answers that are lost after it acted, and reads that fail."""

STARTING: Final = 0.1
"""Seconds in which a command does not send yet, and the last one's requests come to be applied."""

COMMAND: Final = (
    *("--concurrency", 8, "--settle-window", WINDOW),
    *("--resend-input", "--json", "--quiet"),
)
MOST_RUNS: Final = 3
"""After the last kill. One is enough, but for a refund that waited for a sale to be sent again."""


@frozen(kw_only=True)
class Point:
    """A named point of the child's own work, passed for the *nth* time."""

    name: str
    nth: int

    def __str__(self) -> str:
        return f"'{self.name}' no. {self.nth}"


@frozen(kw_only=True)
class Instant:
    """A moment that is seen from outside: after the sandbox has *applied* so many more, or the start."""

    applied: int = 0
    seconds: float = 0

    def __str__(self) -> str:
        return f"{self.seconds:.3f} s after {self.applied or 'the start'}"


@frozen(kw_only=True)
class Seen:
    """What a journal holds."""

    states: Mapping[str, int]
    open: frozenset[tuple[int, int]]
    """Intents without an outcome, by their invoice's place and the number of the attempt."""


@frozen(kw_only=True)
class Kill:
    """A kill, and what the journal held right after it."""

    at: Point | Instant
    command: str
    open: int
    """Intents without an outcome, of the process that was killed: not of those before it."""
    states: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.command} killed at {self.at}: {self.open} open, {dict(self.states)}"


@frozen(kw_only=True)
class Oracle:
    """A sandbox in its own process."""

    url: str
    environ: Mapping[str, str]
    _token: str = field(alias="token")
    _session: aiohttp.ClientSession = field(alias="session")

    async def applied(self) -> Counter[tuple[str, str]]:
        """How often each invoice was applied, by order id and invoice number."""
        headers = {"X-Sandbox-Token": self._token}
        async with self._session.get(f"{self.url}/_sandbox/applied", headers=headers) as answer:
            assert answer.status == 200
            found = await answer.json()
        return Counter((done["order_id"], done["invoice_number"]) for done in found)


@asynccontextmanager
async def oracle_for(
    path: Path, faults: Iterable[Mapping[str, object]] = (UNANSWERED,), *, seed: int = 0
) -> AsyncIterator[Oracle]:
    """A sandbox with orders that the invoices of a file fit on."""
    plan = path.with_suffix(".faults.json")
    plan.write_text(json.dumps({"seed": seed, "faults": list(faults)}))
    options = ("--orders-for", path, "--latency", LATENCY, "--faults", plan, "--json")
    async with started("sandbox", *options) as server, aiohttp.ClientSession() as session:
        assert server.stdout is not None
        said = json.loads(await server.stdout.readline())
        environ = {
            "VTEX_ACCOUNT": said["account"],
            "VTEX_APP_KEY": said["app_key"],
            "VTEX_APP_TOKEN": said["app_token"],
            "VTEX_BASE_URL": said["url"],
        }
        yield Oracle(url=said["url"], environ=environ, token=said["control_token"], session=session)


@define(kw_only=True)
class Job:
    """A file that is sent by processes that do not live long."""

    path: Path
    rows: Sequence[Row]
    oracle: Oracle
    chance: random.Random
    kills: list[Kill] = field(factory=list)

    @property
    def journal(self) -> Path:
        return self.path.with_suffix(".db")

    @property
    def wanted(self) -> Counter[tuple[str, str]]:
        """Each invoice of the file, once."""
        return Counter((str(row["orderId"]), str(row["invoiceNumber"])) for row in self.rows)

    @property
    def story(self) -> str:
        """What was done to it, for whoever reads that it failed."""
        return "\n".join(map(str, self.kills))

    async def kill(self, at: Point | Instant) -> Kill:
        """Go on with the job until it is killed."""
        command, *arguments = self._next_command()
        line = (command, *arguments, *COMMAND)
        module = "vtex_invoice_async"
        if isinstance(at, Point):
            module, line = "tests.killed_child", (at.name, at.nth, *line)
        before = look_into(self.journal)
        async with started(*line, environ=self.oracle.environ, module=module) as process:
            end = asyncio.create_task(ending(process))
            if isinstance(at, Instant):
                await self._come(at, end)
                process.kill()
            ended = await end
        assert ended.code == -signal.SIGKILL, f"{at}: it was not killed\n{ended}\n{self.story}"
        seen = look_into(self.journal)
        kill = Kill(at=at, command=command, open=len(seen.open - before.open), states=seen.states)
        self.kills.append(kill)
        return kill

    async def _come(self, at: Instant, end: asyncio.Task[Ended]) -> None:
        """Wait for an instant, or until the process has ended, which it should not."""
        if at.applied:
            await asyncio.sleep(STARTING)
            wanted = (await self.oracle.applied()).total() + at.applied
            async with asyncio.timeout(TIMEOUT):
                while (  # noqa: ASYNC110  another process sets no event of ours
                    not end.done() and (await self.oracle.applied()).total() < wanted
                ):
                    await asyncio.sleep(0.01)
        await asyncio.sleep(at.seconds)

    def _next_command(self) -> tuple[str, ...]:
        """Resume, or now and then send the file again: both go on with a journal."""
        has_plan = bool(look_into(self.journal).states)
        if has_plan and self.chance.random() < 0.7:
            return ("resume", "--journal", str(self.journal))
        return ("send", str(self.path), "--journal", str(self.journal))

    async def finish(self) -> Ended:
        """Resume until nothing is left to be done, and return the last end."""
        arguments: tuple[object, ...] = ("resume", "--journal", self.journal)
        if not look_into(self.journal).states:
            arguments = ("send", self.path, "--journal", self.journal)
        for _ in range(MOST_RUNS):
            environ = self.oracle.environ
            async with started(*arguments, *COMMAND, environ=environ) as process:
                ended = await ending(process, patience=3 * TIMEOUT)
            if ended.code in {0, 65}:
                break
            arguments = ("resume", "--journal", self.journal)
        return ended

    async def assert_done(self) -> None:
        """Assert that VTEX has each invoice once, and that the journal knows it."""
        ended = await self.finish()
        applied, wanted = await self.oracle.applied(), self.wanted
        doubled = applied - wanted
        lost = wanted - applied
        assert not doubled, f"doubled: {dict(doubled)}\n{self.story}"
        assert not lost, f"lost: {dict(lost)}\n{look_into(self.journal)}\n{self.story}\n{ended}"
        assert ended.code in {0, 65}, f"{ended}\n{self.story}"
        assert look_into(self.journal).states == {"confirmed": len(self.rows)}, self.story


def assert_often_open(kills: Sequence[Kill]) -> None:
    """Assert that a third of the kills hit while an intent was open; `pytest -rA` shows them."""
    hits = sum(kill.open > 0 for kill in kills)
    sys.stdout.write("".join(f"{kill}\n" for kill in kills))
    sys.stdout.write(f"{hits} of {len(kills)} kills hit with an intent open\n")
    assert 3 * hits >= len(kills)


def moment(name: str, chance: random.Random) -> Point | Instant:
    """A pass of a point in the midst of the sending; `applied` is one that VTEX sees."""
    nth = chance.randrange(6, 14)
    return Instant(applied=nth) if name == "applied" else Point(name=name, nth=nth)


def random_instant(chance: random.Random) -> Instant:
    """A moment in the midst of the sending, or now and then before it."""
    if chance.random() < 0.15:
        return Instant(seconds=chance.uniform(0, 0.6))
    return Instant(applied=chance.randrange(1, 12), seconds=chance.uniform(0, 0.1))


def look_into(journal: Path) -> Seen:
    """Read a journal's file; nothing is seen where there is none yet, or no plan in it."""
    rows: list[tuple[str, bool, int, int]] = []
    if journal.exists():
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
            try:
                rows = connection.execute(
                    "SELECT state, state = 'in_doubt' AND since IS NULL, seq, attempts FROM invoice"
                ).fetchall()
            except sqlite3.OperationalError as error:
                # It was killed before there was one.
                assert "no such table" in str(error)  # noqa: PT017
    return Seen(
        states=Counter(state for state, *_ in rows),
        open=frozenset((seq, attempts) for _, is_open, seq, attempts in rows if is_open),
    )


def rows_for(orders: int, chance: random.Random) -> list[Row]:
    """Invoices of orders that are invoiced whole, in parts, or with a return."""
    found: list[Row] = []
    for sale in made_up_rows(orders):
        number = sale["invoiceNumber"]
        parts = range(chance.choice((1, 1, 1, 2, 3)))
        found += [
            sale | {"invoiceNumber": f"{number}P{part}", "invoiceValue": 2499 + part}
            for part in parts
        ]
        if chance.random() < 0.1:
            found.append(sale | {"type": "Input", "invoiceNumber": f"DEV{number}"})
    return found


@asynccontextmanager
async def job_of(
    folder: Path,
    orders: int,
    *,
    seed: int,
    faults: Iterable[Mapping[str, object]] = (UNANSWERED,),
) -> AsyncIterator[Job]:
    """A job that was not begun, and its sandbox."""
    chance = random.Random(seed)
    rows = rows_for(orders, chance)
    path = file_of(folder, rows)
    async with oracle_for(path, faults, seed=seed) as oracle:
        yield Job(path=path, rows=rows, oracle=oracle, chance=chance)
