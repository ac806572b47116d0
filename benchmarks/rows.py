"""Whether rows stream: how long each step on a file takes, and the most memory that it ever had.

    .venv/bin/python -m benchmarks.rows [--rows 1000000] [--json]

The steps are those of `vtex-invoice send` before anything is sent, and of what reads a journal:

    check   read the file strictly and keep its sound rows in a Plan, on disk
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
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from io import BufferedWriter, RawIOBase, TextIOWrapper
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

from attrs import frozen

from vtex_invoice_async import ClientConfig
from vtex_invoice_async.cli.journal import JournalOptions, run_export
from vtex_invoice_async.jobs import Journal
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.sources import read_json_lines
from vtex_invoice_async.vocabulary import OrdersApi

CONFIG: Final = ClientConfig(account="sandbox", app_key="key", app_token="token")
MIB: Final = 2**20 if sys.platform == "darwin" else 2**10
"""A MiB in the unit of `ru_maxrss`."""


@frozen(kw_only=True)
class Cost:
    """What a step took."""

    seconds: float
    peak: float
    """MiB."""


def made_up_row(number: int) -> Mapping[str, Any]:
    """Return an invoice of two items, as a seller's system would export it."""
    return {
        # In no order, so that the journal's index of them is written all over.
        "orderId": f"117{number * 7_919_317 % 10**10:010}-01",
        "type": "Output",
        "invoiceNumber": f"NFe-{number:09}",
        "invoiceValue": 2 * 2_499 + 12_990 + 1_490,
        "issuanceDate": "2026-01-31T18:25:43-03:00",
        "invoiceKey": f"35260112345678000195550010{number:018}",
        "invoiceUrl": f"https://nfe.example.com.br/danfe/{number:09}.pdf",
        "courier": "Transportadora Rápida",
        "trackingNumber": f"BR{number:09}TR",
        "trackingUrl": f"https://rastreio.example.com.br/BR{number:09}TR",
        "items": [
            {"id": "2000037", "price": 2_499, "quantity": 2, "description": "Camiseta preta, M"},
            {"id": "2000104", "price": 12_990, "quantity": 1, "description": "Tênis branco, 42"},
        ],
    }


def write_rows(path: Path, count: int) -> None:
    """Write a file of *count* rows, each for an order of its own."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(json.dumps(made_up_row(number), ensure_ascii=False) + "\n")


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
def checked(folder: Path) -> Iterator[Plan]:
    """Give the plan of a folder's file."""
    with (folder / "rows.jsonl").open("rb") as file, Plan(OrdersApi.OMS) as plan:
        problems = sum(1 for _ in plan.take(read_json_lines(file, plan.orders_api)))
        if problems:
            raise ValueError(f"{problems:,} of the made-up rows are not sound")
        yield plan


def check(folder: Path) -> float:
    began = perf_counter()
    with checked(folder):
        return perf_counter() - began


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
    with (folder / "rows.jsonl").open("rb") as file:
        if lines.count != sum(1 for _ in file):
            raise ValueError(f"only {lines.count:,} rows were exported")
    return seconds


STEPS: Final[Mapping[str, Callable[[Path], float]]] = {
    "check": check,
    "enter": enter,
    "open": open_,
    "export": export,
}
"""By name: what does the step in a folder and returns its seconds, in their order."""


def cost(step: str, folder: Path) -> Cost:
    """Do a step in this process, which is to do nothing else."""
    seconds = STEPS[step](folder)
    return Cost(seconds=seconds, peak=getrusage(RUSAGE_SELF).ru_maxrss / MIB)


def costs(rows: int) -> Mapping[str, Cost]:
    """Do all steps on a new file, each in a new process."""
    found: dict[str, Cost] = {}
    with TemporaryDirectory(prefix="benchmark-") as folder:
        write_rows(Path(folder) / "rows.jsonl", rows)
        for step in STEPS:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                found[step] = process.submit(cost, step, Path(folder)).result()
    return found


def measured(rows: int) -> Mapping[str, Any]:
    few, all_ = costs(rows // 10), costs(rows)
    steps = {
        step: {
            "seconds": all_[step].seconds,
            "rows_per_second": rows / all_[step].seconds,
            "peak_mib_of_a_tenth": few[step].peak,
            "peak_mib": all_[step].peak,
            "peak_ratio": all_[step].peak / few[step].peak,
        }
        for step in STEPS
    }
    return {"rows": rows, "steps": steps}


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.rows", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.rows < 10:
        parser.error("--rows must be at least 10")
    found = measured(options.rows)
    if options.json:
        print(json.dumps(found))
        return
    few, all_ = options.rows // 10, options.rows
    print(f"{'':8}{'seconds':>9}{'rows/s':>10}   peak in MiB at {few:,} and at {all_:,} rows")
    for step, figures in found["steps"].items():
        print(
            f"{step:8}{figures['seconds']:9.1f}{figures['rows_per_second']:10,.0f}"
            f"   {figures['peak_mib_of_a_tenth']:6.0f}{figures['peak_mib']:8.0f}"
            f"   ratio {figures['peak_ratio']:.2f}"
        )


if __name__ == "__main__":
    main()
