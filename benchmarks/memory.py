"""Whether sending streams: the most memory that it ever has, for a few invoices and for a million.

    .venv/bin/python -m benchmarks.memory [--few 10000] [--many 1000000] [--concurrency 64]
                                          [--ways NAME ...] [--json]

    notify_many    `client.notify_many`, its outcomes read one by one and dropped
    journaled run  `jobs.run` over a new journal on disk, of which each invoice is a row for good

The jobs come from a generator and go to a stub of VTEX in another process, at any pace. Each way and
count has a process of its own; the peak is that of all of it, the interpreter and every module
included, from its start to its end. Where sending streams, a hundred times as many invoices need no
more, and the ratio is near 1. A run's files are in the folder for temporary files: a million
invoices need about 2 GiB there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

from benchmarks.rounds import CLIENT_CORE, pin, table
from benchmarks.rows import MIB, Cost, alone
from benchmarks.stub import serve
from benchmarks.ways import Load, jobs
from vtex_invoice_async import ClientConfig, State, VtexInvoiceClient
from vtex_invoice_async.jobs import Journal, run


async def notify_many(config: ClientConfig, count: int) -> int:
    """Return how many were confirmed."""
    confirmed = 0
    async with VtexInvoiceClient(config) as client:
        async for outcome in client.notify_many(jobs(count)):
            confirmed += outcome.state is State.CONFIRMED
    return confirmed


async def journaled(config: ClientConfig, count: int) -> int:
    with TemporaryDirectory(prefix="benchmark-") as folder:
        journal = Journal.open(Path(folder) / "journal.db", config)
        async with VtexInvoiceClient(config) as client, journal:
            return (await run(client, jobs(count), journal)).confirmed


WAYS: Final[Mapping[str, Callable[[ClientConfig, int], Coroutine[None, None, int]]]] = {
    "notify_many": notify_many,
    "journaled run": journaled,
}


def cost(way: str, url: str, count: int, concurrency: int) -> Cost:
    """Send in this process, which is to do nothing else."""
    pin(CLIENT_CORE)
    # A load makes the bodies that others send; of this one, only where it goes is of interest.
    config = Load(url=url, invoices=0, concurrency=concurrency).config
    began = perf_counter()
    confirmed = asyncio.run(WAYS[way](config, count))
    seconds = perf_counter() - began
    if confirmed != count:
        raise ValueError(f"{way}: only {confirmed:,} of {count:,} invoices were confirmed")
    return Cost(seconds=seconds, peak=getrusage(RUSAGE_SELF).ru_maxrss / MIB)


async def measured(
    ways: Sequence[str], few: int, many: int, concurrency: int
) -> Mapping[str, Mapping[str, float]]:
    found: dict[str, Mapping[str, float]] = {}
    async with serve() as url:
        for way in ways:
            of_few, of_many = [
                await asyncio.to_thread(alone, cost, way, url, count, concurrency)
                for count in (few, many)
            ]
            found[way] = {
                "peak_mib_of_few": of_few.peak,
                "peak_mib_of_many": of_many.peak,
                "peak_ratio": of_many.peak / of_few.peak,
                "seconds_for_many": of_many.seconds,
            }
    return found


def show(found: Mapping[str, Any]) -> None:
    heads = ("peak in MiB", f"{found['few']:,}", f"{found['many']:,}", "ratio", "invoices/s")
    rows = [
        (
            way,
            f"{figures['peak_mib_of_few']:.1f}",
            f"{figures['peak_mib_of_many']:.1f}",
            f"{figures['peak_ratio']:.2f}",
            f"{found['many'] / figures['seconds_for_many']:,.0f}",
        )
        for way, figures in found["ways"].items()
    ]
    print(table(heads, rows))


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.memory", description=__doc__.partition("\n")[0])
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if not 1 <= options.few <= options.many:
        parser.error("--few must be at least 1, and --many at least as many")
    few, many = options.few, options.many
    ways = asyncio.run(measured(options.ways, few, many, options.concurrency))
    found = {"few": few, "many": many, "concurrency": options.concurrency, "ways": ways}
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
