"""How many invoices a second, and at what cost: this package's ways beside bare aiohttp.

    python -m benchmarks.throughput [--invoices 4000] [--concurrency 1 16 64 256] [--rounds 7]
                                    [--peers] [--ways NAME ...] [--json]

A stub of VTEX answers at once, on a core of its own. Each way sends the same invoices in a new
process on the other core, after some that warm it up; the ways take turns in each round. The
invoices are of five items. `bare aiohttp` has their bodies ready, and `notify_invoice` and
`notify_many of ready` the invoices; the others make and check them on the way. All but the first
write them as JSON and read what the answers say. CPU time is the client process's own. What counts are the ratios to `bare
aiohttp` of the same round: medians over the rounds, and in brackets the least and the most.

With --peers the same is done by what a user would pick instead, as far as it is installed (`pip
install -e '.[benchmarks]'`): each makes the same documents itself, sends them in its documented best
way with a pool as large as what is under way, and checks the status of each answer. Slow ones send
fewer. Node.js tells its own CPU time; it has warmed itself up.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import perf_counter, process_time
from typing import Final

from benchmarks.peers import PEERS
from benchmarks.rounds import CLIENT_CORE, Figure, in_turn, pin, table
from benchmarks.stub import serve
from benchmarks.ways import WAYS, Cost, Load, Way

BARE: Final = "bare aiohttp"
WARM_UP: Final = 300
FEWEST: Final = 20


ALL: Final[Mapping[str, Way]] = {**WAYS, **PEERS}


def child(url: str, way: str, invoices: int, concurrency: int) -> Cost:
    """Send in this process, and return what it cost."""
    pin(CLIENT_CORE)
    send = ALL[way].send
    send(Load(url=url, invoices=min(WARM_UP, invoices), concurrency=concurrency))
    load = Load(url=url, invoices=invoices, concurrency=concurrency)
    gc.collect()
    wall, cpu = perf_counter(), process_time()
    told = send(load)
    return told or Cost(
        wall=(perf_counter() - wall) / invoices, cpu=(process_time() - cpu) / invoices
    )


def cost(url: str, way: str, invoices: int, concurrency: int) -> Cost:
    """Send in a new process."""
    invoices = max(min(FEWEST, invoices), round(invoices * ALL[way].share))
    command = [sys.executable, "-m", "benchmarks.throughput", "--url", url, "--ways", way]
    command += ["--invoices", str(invoices), "--concurrency", str(concurrency)]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600)
    return Cost(**json.loads(said.stdout))


Found = Mapping[str, Mapping[str, Figure]]


async def measured(ways: Sequence[str], invoices: int, concurrency: int, rounds: int) -> Found:
    """Return for each way what an invoice costs, and how that is to bare aiohttp."""
    costs: dict[str, list[Cost]] = {way: [] for way in ways}
    async with serve() as url:
        for turn in in_turn(ways, rounds):
            for way in turn:
                spent = await asyncio.to_thread(cost, url, way, invoices, concurrency)
                costs[way].append(spent)
    return {way: dict(_figures(spent, costs[BARE])) for way, spent in costs.items()}


def _figures(spent: Sequence[Cost], of_bare: Sequence[Cost]) -> Mapping[str, Figure]:
    pairs = list(zip(spent, of_bare, strict=True))
    return {
        "per_second": Figure.of(1 / one.wall for one in spent),
        "cpu_us": Figure.of(one.cpu * 1e6 for one in spent),
        "throughput_ratio": Figure.of(bare.wall / one.wall for one, bare in pairs),
        "cpu_ratio": Figure.of(one.cpu / bare.cpu for one, bare in pairs),
        "cpu_us_more": Figure.of((one.cpu - bare.cpu) * 1e6 for one, bare in pairs),
    }


def show(found: Mapping[int, Found]) -> None:
    heads = ("", "invoices/s", "to bare", "CPU us", "to bare", "more us")
    for concurrency, ways in found.items():
        rows = [
            (
                way,
                f"{of['per_second'].median:,.0f}",
                of["throughput_ratio"].written(2 if of["throughput_ratio"].median > 0.1 else 4),
                f"{of['cpu_us'].median:,.0f}",
                of["cpu_ratio"].written(),
                of["cpu_us_more"].written(0),
            )
            for way, of in ways.items()
        ]
        print(f"{concurrency} in flight", table(heads, rows), sep="\n", end="\n\n")


def installed(peers: Iterable[str]) -> Iterator[str]:
    """Yield those of the peers that can be measured, and say how to get the others."""
    for name in peers:
        if how := "; ".join(dict.fromkeys(PEERS[name].lacks())):
            print(f"{name} is not measured; to get it: {how}", file=sys.stderr)
        else:
            yield name


def main() -> None:
    parser = argparse.ArgumentParser(
        "benchmarks.throughput", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--invoices", type=int, default=4_000)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ways", nargs="+", choices=ALL, metavar="NAME", help="no others")
    parser.add_argument("--peers", action="store_true", help="what a user would pick instead, too")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.url:
        spent = child(options.url, options.ways[0], options.invoices, options.concurrency[0])
        print(json.dumps({"wall": spent.wall, "cpu": spent.cpu}))
        return
    asked = options.ways or (ALL if options.peers else WAYS)
    there = {*WAYS, *installed(way for way in asked if way in PEERS)}
    ways = [BARE, *(way for way in asked if way in there and way != BARE)]
    found = {
        concurrency: asyncio.run(measured(ways, options.invoices, concurrency, options.rounds))
        for concurrency in options.concurrency
    }
    if not options.json:
        show(found)
        return
    said = {
        str(concurrency): {
            way: {name: figure.as_json() for name, figure in of.items()} for way, of in ways.items()
        }
        for concurrency, ways in found.items()
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
