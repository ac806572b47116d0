"""Whether rows stream: how long each step on a file takes, and the most memory that it ever had.

    .venv/bin/python -m benchmarks.rows [--rows 1000000] [--notes 20000] [--steps csv ...] [--json]

The steps are those of `vtex-invoice send` before anything is sent, and of what reads a journal:

    jsonl, csv, parquet, nfe
            read a file of that format strictly and keep its sound rows in a Plan, on disk;
            of NF-e, which cost more and are files of their own, there are as many as --notes says
    enter   take a plan (its check is not timed) into a new journal, in one transaction
    open    open that journal, which compares every row with its digest
    export  write all of it as JSON lines to nowhere, with the command's own code

Each runs in a process of its own, once with a tenth of the rows and once with all of them. The
peaks, of the whole interpreter, are what to read: where rows stream, ten times as many need no more
memory, and their ratio is near 1. The times depend on the machine; a row is about 700 bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from functools import partial
from io import BufferedWriter, RawIOBase, TextIOWrapper
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from shutil import rmtree
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final, TypeVar

from attrs import frozen

from benchmarks.files import FILES
from vtex_invoice_async import ClientConfig
from vtex_invoice_async.cli.journal import JournalOptions, run_export
from vtex_invoice_async.jobs import Journal
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.sources import FORMATS, read
from vtex_invoice_async.vocabulary import OrdersApi

T = TypeVar("T")

KEPT: Final = "jsonl"
"""The format of the file that all other steps are about."""

CONFIG: Final = ClientConfig(account="sandbox", app_key="key", app_token="token")
MIB: Final = 2**20 if sys.platform == "darwin" else 2**10
"""A MiB in the unit of `ru_maxrss`."""


@frozen(kw_only=True)
class Cost:
    """What a step took."""

    seconds: float
    peak: float
    """MiB."""


class Lines(RawIOBase):
    """Keeps nothing of what is written to it but the count of its lines."""

    def __init__(self) -> None:
        self.count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401  Python 3.12 names it `Buffer`
        written = bytes(data)
        self.count += written.count(b"\n")
        return len(written)


@contextmanager
def checked(folder: Path, format_: str = KEPT) -> Iterator[Plan]:
    """Give the plan of a folder's file."""
    file = FILES[format_]
    with Plan(OrdersApi.OMS) as plan:
        rows = read([str(folder / file.name)], plan.orders_api, **file.options)
        problems = sum(1 for _ in plan.take(rows))
        if problems:
            raise ValueError(f"{problems:,} of the made-up rows are not sound")
        yield plan


def check(folder: Path, format_: str) -> float:
    began = perf_counter()
    with checked(folder, format_) as plan:
        seconds = perf_counter() - began
        if not plan.planned:
            raise ValueError("the made-up file has no rows")
        return seconds


def enter(folder: Path) -> float:
    async def take_in(plan: Plan) -> float:
        async with Journal.open(folder / "journal.db", CONFIG) as journal:
            run = await journal.begin("send", {}, datetime.now(UTC))
            began = perf_counter()
            await journal.enter(plan.entries(), run)
            return perf_counter() - began

    with checked(folder) as plan:
        return asyncio.run(take_in(plan))


def open_(folder: Path) -> float:
    async def go() -> float:
        began = perf_counter()
        async with Journal.open(folder / "journal.db", CONFIG):
            return perf_counter() - began

    return asyncio.run(go())


def export(folder: Path) -> float:
    lines = Lines()
    options = JournalOptions(
        account=None,
        orders_api=None,
        base_url=None,
        env_file=None,
        journal=str(folder / "journal.db"),
    )
    with redirect_stdout(TextIOWrapper(BufferedWriter(lines))):
        began = perf_counter()
        run_export(options)
        seconds = perf_counter() - began
    with (folder / FILES[KEPT].name).open("rb") as file:
        if lines.count != sum(1 for _ in file):
            raise ValueError(f"only {lines.count:,} rows were exported")
    return seconds


READS: Final[Mapping[str, Callable[[Path], float]]] = {
    format_: partial(check, format_=format_) for format_ in FILES if format_ in FORMATS
}
STEPS: Final[Mapping[str, Callable[[Path], float]]] = {
    **READS,
    "enter": enter,
    "open": open_,
    "export": export,
}
"""By name: what does the step in a folder and returns its seconds, in their order."""


def cost(step: str, folder: Path) -> Cost:
    """Do a step in this process, which is to do nothing else."""
    seconds = STEPS[step](folder)
    return Cost(seconds=seconds, peak=getrusage(RUSAGE_SELF).ru_maxrss / MIB)


def alone(do: Callable[..., T], *arguments: object) -> T:
    """Return what a new process returns that does nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(do, *arguments).result()


def costs(counts: Mapping[str, int]) -> Mapping[str, Cost]:
    """Do all steps on new files of so many rows."""
    found: dict[str, Cost] = {}
    with TemporaryDirectory(prefix="benchmark-") as folder:
        for step, rows in counts.items():
            path = Path(folder) / FILES[step].name if step in READS else None
            if path is not None:
                # A process begins with the peak of the one that starts it, which has to stay small.
                alone(FILES[step].write, path, rows)
            found[step] = alone(cost, step, Path(folder))
            if path is not None and step != KEPT:
                remove = rmtree if path.is_dir() else Path.unlink
                remove(path)
    return found


def measured(rows: int, notes: int, steps: Collection[str]) -> Mapping[str, Any]:
    counts = {step: notes if step == "nfe" else rows for step in STEPS if step in steps}
    few, all_ = costs({step: count // 10 for step, count in counts.items()}), costs(counts)
    figures = {
        step: {
            "rows": count,
            "seconds": all_[step].seconds,
            "rows_per_second": count / all_[step].seconds,
            "peak_mib_of_a_tenth": few[step].peak,
            "peak_mib": all_[step].peak,
            "peak_ratio": all_[step].peak / few[step].peak,
        }
        for step, count in counts.items()
    }
    return {"rows": rows, "notes": notes, "steps": figures}


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.rows", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--notes", type=int, default=20_000)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=[*STEPS])
    options = parser.parse_args()
    if min(options.rows, options.notes) < 10:
        parser.error("--rows and --notes must be at least 10")
    if {"enter", "open", "export"} & {*options.steps} and not {KEPT, "enter"} <= {*options.steps}:
        parser.error(f"a journal is made of what {KEPT} reads, by enter: name both")
    found = measured(options.rows, options.notes, options.steps)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'':8}{'rows':>10}{'seconds':>9}{'rows/s':>10}   peak in MiB at a tenth, and at all")
    for step, figures in found["steps"].items():
        print(
            f"{step:8}{figures['rows']:10,}{figures['seconds']:9.1f}"
            f"{figures['rows_per_second']:10,.0f}"
            f"   {figures['peak_mib_of_a_tenth']:6.0f}{figures['peak_mib']:8.0f}"
            f"   ratio {figures['peak_ratio']:.2f}"
        )


if __name__ == "__main__":
    main()
