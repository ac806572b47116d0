"""What the journal costs: by itself, and as its share of a send.

    .venv/bin/python -m benchmarks.journal [--invoices 2000] [--concurrency 64] [--latency 0]
                                           [--rounds 7] [--json]

First the journal alone, in a new file each round. `enter` is how many rows a second a plan is taken
in at. Then invoices get their intent and their outcome, each of which returns once it is on disk:
the more tasks there are, the more changes share a commit, and the more are made in a second.

Then the same invoices are sent to a sandbox in another process, three ways in each round, in turn:

    bare     aiohttp with a semaphore, its bodies made before: no retry, no pace, no proof
    client   `client.notify_many`
    journal  `jobs.run` over a new journal, from the check of its jobs to the close of its file

Milliseconds are of one invoice: of wall time, and of CPU time, which leaves out the sandbox and all
waiting, so that it is what a client pays that has enough to do. The ratios to `bare`, and the
journal's share (what `journal` takes beyond `client`, of all that it takes), are medians over the
rounds: read these, for the times depend on the machine and on who else uses it. The sandbox answers
at once; with --latency 0.1 it is as slow as VTEX may be, and waiting hides the wall time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

import aiohttp
from attrs import frozen

from benchmarks.files import FILES
from benchmarks.rows import KEPT, checked
from vtex_invoice_async import ClientConfig, InvoiceJob, ThrottleLimits, VtexInvoiceClient
from vtex_invoice_async.config import MOST_RATE
from vtex_invoice_async.jobs import Journal, run
from vtex_invoice_async.jobs.job import Entry, Record
from vtex_invoice_async.jobs.journal import header_of
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.outcome import State

TASKS: Final = (1, 8, 64)
"""How many change a journal at once."""


@frozen(kw_only=True)
class Load:
    """What is sent, and from where."""

    folder: Path
    entries: Sequence[Entry]
    jobs: Sequence[InvoiceJob]


@frozen(kw_only=True)
class Cost:
    """Seconds."""

    wall: float
    cpu: float


class Counted(sqlite3.Connection):
    """A connection to the one journal that is open; counts the syncs that it waits for."""

    commits = 0

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401
        Counted.commits += sql == "COMMIT"
        return super().execute(sql, parameters)


async def journal_alone(load: Load) -> Mapping[str, float]:
    """Return what a new journal takes in, and changes, in a second."""
    header = header_of(
        account="sandbox", url="https://vtex.example", orders_api=load.entries[0].orders_api
    )
    found: dict[str, float] = {}
    with TemporaryDirectory(prefix="benchmark-") as folder:
        store = SqliteStore(Path(folder) / "journal.db", connection=Counted)
        async with Journal(store, header) as journal:
            run_ = await journal.begin("send", {}, now())
            began = perf_counter()
            await journal.enter(load.entries, run_)
            found["enter"] = len(load.entries) / (perf_counter() - began)
            records = await claimed(journal, run_)
            for at, tasks in enumerate(TASKS):
                some = records[at :: len(TASKS)]
                commits, began = Counted.commits, perf_counter()
                await asyncio.gather(*[change(journal, some[n::tasks]) for n in range(tasks)])
                found[f"changes by {tasks}"] = 2 * len(some) / (perf_counter() - began)
                found[f"commits by {tasks}"] = (Counted.commits - commits) / (2 * len(some))
    return found


async def claimed(journal: Journal, run_: int) -> Sequence[Record]:
    async with aclosing(journal.claims(State.PLANNED, run_, now)) as claims:
        return [record async for claim in claims for record in claim.records]


async def change(journal: Journal, records: Sequence[Record]) -> None:
    """Write an intent and an outcome for each of *records*, one after another."""
    for record in records:
        intent = await journal.intend(record, now())
        await journal.settle(intent, State.CONFIRMED, confirmed_by="answer", receipt="a receipt")


def now() -> datetime:
    return datetime.now(UTC)


async def send_bare(config: ClientConfig, load: Load) -> None:
    slots = asyncio.Semaphore(config.max_concurrency)
    headers = {
        "Content-Type": "application/json",
        "X-VTEX-API-AppKey": config.app_key or "",
        "X-VTEX-API-AppToken": config.app_token or "",
    }
    connector = aiohttp.TCPConnector(limit=config.max_concurrency)
    async with aiohttp.ClientSession(config.url, headers=headers, connector=connector) as session:

        async def send(entry: Entry) -> None:
            path = f"/api/oms/pvt/orders/{entry.order_id}/invoice"
            async with slots, session.post(path, data=entry.body) as answer:
                answer.raise_for_status()
                await answer.json()

        await asyncio.gather(*map(send, load.entries))


async def send_by_client(config: ClientConfig, load: Load) -> None:
    async with VtexInvoiceClient(config) as client:
        async for outcome in client.notify_many(load.jobs):
            if outcome.error is not None:
                raise outcome.error


async def send_by_journal(config: ClientConfig, load: Load) -> None:
    with TemporaryDirectory(prefix="benchmark-") as folder:
        journal = Journal.open(Path(folder) / "journal.db", config)
        async with VtexInvoiceClient(config) as client, journal:
            summary = await run(client, load.jobs, journal)
    if summary.confirmed != len(load.jobs):
        raise ValueError(f"not all were confirmed: {summary}")


WAYS: Final[Mapping[str, Callable[[ClientConfig, Load], Awaitable[None]]]] = {
    "bare": send_bare,
    "client": send_by_client,
    "journal": send_by_journal,
}


@asynccontextmanager
async def sandbox(load: Load, concurrency: int, latency: float) -> AsyncIterator[ClientConfig]:
    """Serve orders for the load in another process; give a client's settings, without a pace."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vtex_invoice_async", "sandbox", "--json"),
        *("--orders-for", load.folder / "rows.jsonl", "--latency", str(latency)),
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        assert process.stdout is not None
        said = json.loads(await process.stdout.readline())
        yield ClientConfig(
            account=said["account"],
            app_key=said["app_key"],
            app_token=said["app_token"],
            base_url=said["url"],
            max_concurrency=concurrency,
            throttle=ThrottleLimits(rate=MOST_RATE),
        )
    finally:
        process.kill()
        await process.communicate()


async def cost(way: str, load: Load, concurrency: int, latency: float) -> Cost:
    """Send the load to a new sandbox."""
    async with sandbox(load, concurrency, latency) as config:
        gc.collect()
        wall, cpu = perf_counter(), process_time()
        await WAYS[way](config, load)
        return Cost(wall=perf_counter() - wall, cpu=process_time() - cpu)


async def measured(load: Load, concurrency: int, latency: float, rounds: int) -> Mapping[str, Any]:
    alone: list[Mapping[str, float]] = []
    sends: list[Mapping[str, Cost]] = []
    for number in range(rounds):
        alone.append(await journal_alone(load))
        # Each way is as often the first as the others.
        ways = [*WAYS][number % len(WAYS) :] + [*WAYS][: number % len(WAYS)]
        sends.append({way: await cost(way, load, concurrency, latency) for way in ways})
    return {
        "invoices": len(load.jobs),
        "concurrency": concurrency,
        "latency": latency,
        "rounds": rounds,
        "alone": {name: median(found[name] for found in alone) for name in alone[0]},
        "sends": dict(_sends(sends, len(load.jobs))),
        "journal_share": {
            "wall": median(1 - found["client"].wall / found["journal"].wall for found in sends),
            "cpu": median(1 - found["client"].cpu / found["journal"].cpu for found in sends),
        },
    }


def _sends(
    sends: Sequence[Mapping[str, Cost]], invoices: int
) -> Iterator[tuple[str, Mapping[str, float]]]:
    for way in WAYS:
        yield (
            way,
            {
                "wall_ms": median(found[way].wall for found in sends) / invoices * 1_000,
                "cpu_ms": median(found[way].cpu for found in sends) / invoices * 1_000,
                "wall_ratio": median(found[way].wall / found["bare"].wall for found in sends),
                "cpu_ratio": median(found[way].cpu / found["bare"].cpu for found in sends),
            },
        )


def show(found: Mapping[str, Any]) -> None:
    alone, share = found["alone"], found["journal_share"]
    print(f"The journal alone: enter takes in {alone['enter']:,.0f} rows/s")
    for tasks in TASKS:
        changes, commits = alone[f"changes by {tasks}"], alone[f"commits by {tasks}"]
        print(f"{tasks:6} at once{changes:10,.0f} changes/s{commits:8.3f} commits per change")
    print(f"A send of {found['invoices']:,} invoices, {found['concurrency']} at once")
    print(f"{'':8}{'wall ms':>10}{'ratio':>8}{'CPU ms':>10}{'ratio':>8}")
    for way, figures in found["sends"].items():
        print(
            f"{way:8}{figures['wall_ms']:10.3f}{figures['wall_ratio']:8.2f}"
            f"{figures['cpu_ms']:10.3f}{figures['cpu_ratio']:8.2f}"
        )
    print(f"The journal's share: {share['wall']:.0%} of wall time, {share['cpu']:.0%} of CPU time")


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.journal", description=__doc__.partition("\n")[0])
    parser.add_argument("--invoices", type=int, default=2_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds, of the sandbox")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.invoices < len(TASKS):
        parser.error(f"--invoices must be at least {len(TASKS)}")
    with TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        FILES[KEPT].write(folder / FILES[KEPT].name, options.invoices)
        with checked(folder) as plan:
            entries = list(plan.entries())
        jobs = [InvoiceJob(order_id=e.order_id, invoice=e.invoice) for e in entries]
        load = Load(folder=folder, entries=entries, jobs=jobs)
        found = asyncio.run(measured(load, options.concurrency, options.latency, options.rounds))
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
