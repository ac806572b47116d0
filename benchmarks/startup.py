"""How long a program takes to start: what our imports add to those that they need.

    .venv/bin/python -m benchmarks.startup [--rounds 15] [--json]

Each way is a new process, started in turn with the others, and measured to its end: wall time, and
the CPU time of it alone. All is run once before, so that every module has its bytecode cached.

    bare         `python -c pass`: what every one of the others pays, too
    needs        aiohttp, attrs, cattrs, backoff and orjson, which the client stands on
    package      `import vtex_invoice_async`, of which no name is asked for yet
    client       `from vtex_invoice_async import VtexInvoiceClient`
    help         `vtex-invoice --help`
    send help    `vtex-invoice send --help`

The ratios are of `client` to `needs`, medians over the rounds: as they are, and without `bare`. Where
others use the machine too, read those of CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Final

from attrs import frozen

from benchmarks.rounds import CLIENT_CORE, Figure, in_turn, pin, table

WAYS: Final[Mapping[str, Sequence[str]]] = {
    "bare": ("-c", "pass"),
    "needs": ("-c", "import aiohttp, attrs, cattrs, backoff, orjson"),
    "package": ("-c", "import vtex_invoice_async"),
    "client": ("-c", "from vtex_invoice_async import VtexInvoiceClient"),
    "help": ("-m", "vtex_invoice_async", "--help"),
    "send help": ("-m", "vtex_invoice_async", "send", "--help"),
}

# The first run of each way leaves its bytecode to the others, whatever is said of it here.
ENVIRON: Final = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


@frozen(kw_only=True)
class Start:
    """Milliseconds."""

    wall: float
    cpu: float


def started(way: str) -> Start:
    """Run a way in a new process, to its end."""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = perf_counter()
    command = [sys.executable, *WAYS[way]]
    process = os.posix_spawn(sys.executable, command, ENVIRON, file_actions=quiet)
    _, status, used = os.wait4(process, 0)
    wall = perf_counter() - began
    if status:
        raise ValueError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return Start(wall=wall * 1_000, cpu=(used.ru_utime + used.ru_stime) * 1_000)


def measured(rounds: int) -> Mapping[str, Any]:
    for way in WAYS:
        started(way)
    found = [{way: started(way) for way in ways} for ways in in_turn([*WAYS], rounds)]

    def ratio(kind: str, but: float) -> Figure:
        """Of the client to what it needs, each without so many times the bare interpreter."""
        times = [{way: getattr(round_[way], kind) for way in WAYS} for round_ in found]
        return Figure.of(
            (time["client"] - but * time["bare"]) / (time["needs"] - but * time["bare"])
            for time in times
        )

    return {
        "rounds": rounds,
        "milliseconds": {
            way: {
                kind: Figure.of(getattr(round_[way], kind) for round_ in found).as_json()
                for kind in ("wall", "cpu")
            }
            for way in WAYS
        },
        "client_to_needs": {kind: ratio(kind, 0).as_json() for kind in ("wall", "cpu")},
        "client_to_needs_without_bare": {
            kind: ratio(kind, 1).as_json() for kind in ("wall", "cpu")
        },
    }


def show(found: Mapping[str, Any]) -> None:
    rows = [
        (way, *(Figure(**figures[kind]).written(1) for kind in ("wall", "cpu")))
        for way, figures in found["milliseconds"].items()
    ]
    ratios = {"client / needs": "client_to_needs", "without bare": "client_to_needs_without_bare"}
    rows += [
        (told, *(Figure(**found[name][kind]).written() for kind in ("wall", "cpu")))
        for told, name in ratios.items()
    ]
    print(table(("ms, and ratios", "wall", "CPU"), rows))


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.startup", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    pin(CLIENT_CORE)  # and every process that it starts
    found = measured(options.rounds)
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
