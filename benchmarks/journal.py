"""What the journal costs by itself: a plan taken in, and changes by one task, by eight, and by 64.

    .venv/bin/python -m benchmarks.journal [--invoices 3000] [--rounds 7] [--json]

Each round makes a new file. `enter` is a plan's rows taken in; a change is an invoice's intent or its
outcome, each of which returns once it is on disk: the more tasks there are, the more changes share a
commit, and the less each costs. CPU time is of the whole process, its thread for the file included.
Figures are medians over the rounds, and in brackets the least and the most; they depend on the machine
and its disk. What the journal is to a send is told by `benchmarks.throughput`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

from benchmarks.files import FILES
from benchmarks.rounds import Figure, table
from benchmarks.rows import KEPT, checked
from vtex_invoice_async.jobs import Journal
from vtex_invoice_async.jobs.header import header_of
from vtex_invoice_async.jobs.job import Entry, Record
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.outcome import State

TASKS: Final = (1, 8, 64)
"""How many change a journal at once."""

ENTER: Final = "enter"

Cost = Mapping[str, float]


class Counted(sqlite3.Connection):
    """A connection to the one journal that is open; counts the syncs that it waits for."""

    commits = 0

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401
        Counted.commits += sql == "COMMIT"
        return super().execute(sql, parameters)


class Clock:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._commits = Counted.commits
        self._wall, self._cpu = perf_counter(), process_time()

    def cost_of(self, count: int) -> Cost:
        """Return what each of so many took."""
        wall, cpu = perf_counter() - self._wall, process_time() - self._cpu
        return {
            "per_second": count / wall,
            "cpu_us": cpu / count * 1e6,
            "commits": (Counted.commits - self._commits) / count,
        }


async def costs(entries: Sequence[Entry]) -> Mapping[str, Cost]:
    """Return what it costs to take rows into a new journal, and to change one."""
    header = header_of(
        account="sandbox", url="https://vtex.example", orders_api=entries[0].orders_api
    )
    found: dict[str, Cost] = {}
    with TemporaryDirectory(prefix="benchmark-") as folder:
        store = SqliteStore(Path(folder) / "journal.db", connection=Counted)
        async with Journal(store, header) as journal:
            run = await journal.begin("send", {}, now())
            clock = Clock()
            await journal.enter(entries, run)
            found[ENTER] = clock.cost_of(len(entries))
            records = await claimed(journal, run)
            for at, tasks in enumerate(TASKS):
                some = records[at :: len(TASKS)]
                clock = Clock()
                await asyncio.gather(*[change(journal, some[n::tasks]) for n in range(tasks)])
                found[f"changes by {tasks}"] = clock.cost_of(2 * len(some))
    return found


async def claimed(journal: Journal, run: int) -> Sequence[Record]:
    async with aclosing(journal.claims(State.PLANNED, run, now)) as claims:
        return [record async for claim in claims for record in claim.records]


async def change(journal: Journal, records: Sequence[Record]) -> None:
    """Write an intent and an outcome for each of *records*, one after another."""
    for record in records:
        intent = await journal.intend(record, now())
        await journal.settle(intent, State.CONFIRMED, confirmed_by="answer", receipt="a receipt")


def now() -> datetime:
    return datetime.now(UTC)


def measured(invoices: int, rounds: int) -> Mapping[str, Mapping[str, Figure]]:
    with TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        FILES[KEPT].write(folder / FILES[KEPT].name, invoices)
        with checked(folder) as plan:
            entries = list(plan.entries())
        found = [asyncio.run(costs(entries)) for _ in range(rounds)]
    return {
        step: {name: Figure.of(one[step][name] for one in found) for name in cost}
        for step, cost in found[0].items()
    }


def show(found: Mapping[str, Mapping[str, Figure]]) -> None:
    rows = [
        (step, of["per_second"].written(0), of["cpu_us"].written(1), of["commits"].written(3))
        for step, of in found.items()
    ]
    print(table(("", "a second", "CPU us", "commits each"), rows))


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.journal", description=__doc__.partition("\n")[0])
    parser.add_argument("--invoices", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.invoices < len(TASKS):
        parser.error(f"--invoices must be at least {len(TASKS)}")
    found = measured(options.invoices, options.rounds)
    if not options.json:
        show(found)
        return
    said = {step: {name: f.as_json() for name, f in of.items()} for step, of in found.items()}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
