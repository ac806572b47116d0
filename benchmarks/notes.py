"""Whether NF-e stream: what a note takes to be checked, and the most memory that it ever needed.

    .venv/bin/python -m benchmarks.notes [--notes 20000] [--json]

A note of nfelib's own samples (12 KB, with its signature), each time with another key and number,
is read from a folder and from a zip into a Plan, as `vtex-invoice send` does before it sends, and
looked through for cancellations before that. Each runs in a process of its own, once with a tenth
of the notes and once with all of them. Of a folder and of a zip the names are kept, and nothing else:
the peaks, of the whole interpreter, differ by them, and by what a Plan takes as its cache.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile

from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.sources import read
from vtex_invoice_async.vocabulary import OrdersApi

MIB: Final = 2**20 if sys.platform == "darwin" else 2**10
"""A MiB in the unit of `ru_maxrss`."""

SAMPLE: Final = "42211275277525000178550030000276771368212013"
NUMBER: Final = 27677
KINDS: Final = ("folder", "zip")


def notes(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of *count* notes, each of an order of its own."""
    folder = Path(str(resources.files("nfelib"))) / "nfe/samples/v4_0/leiauteNFe"
    raw = (folder / f"{SAMPLE}-procNFe.xml").read_bytes()
    for number in range(1, count + 1):
        key = f"{SAMPLE[:25]}{number:09}{SAMPLE[34:]}"
        changed = raw.replace(SAMPLE.encode(), key.encode())
        yield (
            f"117{number:010}-01.xml",
            changed.replace(b"<nNF>%d<" % NUMBER, b"<nNF>%d<" % number),
        )


def write_notes(path: Path, kind: str, count: int) -> None:
    if kind == "zip":
        with ZipFile(path, "w", ZIP_DEFLATED) as archive:
            for name, content in notes(count):
                archive.writestr(name, content)
        return
    path.mkdir()
    for name, content in notes(count):
        (path / name).write_bytes(content)


def checked(path: Path, count: int) -> tuple[float, float]:
    """Check all notes in this process, which is to do nothing else; return seconds of the processor and MiB."""
    began = process_time()
    with Plan(OrdersApi.OMS) as plan:
        rows = read([str(path)], plan.orders_api, order_id_from="filename")
        problems = sum(1 for _ in plan.take(rows))
        seconds = process_time() - began
        if problems or plan.planned != count:
            raise ValueError(f"{problems:,} of the made-up notes are not sound")
    return seconds, getrusage(RUSAGE_SELF).ru_maxrss / MIB


def cost(kind: str, count: int) -> tuple[float, float]:
    with TemporaryDirectory(prefix="benchmark-") as folder:
        path = Path(folder) / f"notas{'.zip' if kind == 'zip' else ''}"
        write_notes(path, kind, count)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            return process.submit(checked, path, count).result()


def measured(count: int) -> Mapping[str, Any]:
    kinds = {}
    for kind in KINDS:
        (_, few), (seconds, peak) = cost(kind, count // 10), cost(kind, count)
        kinds[kind] = {
            "ms_per_note": 1_000 * seconds / count,
            "peak_mib_of_a_tenth": few,
            "peak_mib": peak,
            "peak_ratio": peak / few,
        }
    return {"notes": count, "kinds": kinds}


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.notes", description=__doc__.partition("\n")[0])
    parser.add_argument("--notes", type=int, default=20_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.notes < 10:
        parser.error("--notes must be at least 10")
    found = measured(options.notes)
    if options.json:
        print(json.dumps(found))
        return
    few, all_ = options.notes // 10, options.notes
    print(f"{'':8}{'ms a note':>10}   peak in MiB at {few:,} and at {all_:,} notes")
    for kind, figures in found["kinds"].items():
        print(
            f"{kind:8}{figures['ms_per_note']:10.2f}"
            f"   {figures['peak_mib_of_a_tenth']:6.0f}{figures['peak_mib']:8.0f}"
            f"   ratio {figures['peak_ratio']:.2f}"
        )


if __name__ == "__main__":
    main()
