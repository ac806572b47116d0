"""The benchmarks run at any size, and what they print can be read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.files import FILES
from benchmarks.pace import LIMITS, PACES
from benchmarks.peers import PEERS
from benchmarks.peers.orders import documents
from benchmarks.rows import STEPS
from benchmarks.ways import Load
from tests.command_line import ROOT
from vtex_invoice_async.jobs.sources import FORMATS


def measured(module: str, *options: object) -> dict[str, Any]:
    command = [sys.executable, "-m", f"benchmarks.{module}", "--json", *map(str, options)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_cost_of_the_journal_is_measured() -> None:
    found = measured("journal", "--invoices", 12, "--rounds", 1)

    assert list(found) == ["enter", "changes by 1", "changes by 8", "changes by 64"]
    assert all(of[name]["median"] > 0 for of in found.values() for name in of)
    assert found["changes by 1"]["commits"]["median"] == 1


def test_every_step_on_a_file_is_measured() -> None:
    steps = ("jsonl", "parquet", "enter", "export")

    found = measured("rows", "--rows", 20, "--notes", 10, "--steps", *steps)

    assert list(STEPS) == [*sorted(FORMATS, key=list(FILES).index), "enter", "open", "export"]
    assert tuple(found["steps"]) == steps
    assert all(figure > 0 for step in found["steps"].values() for figure in step.values())


@pytest.mark.parametrize("format_", FILES)
def test_a_file_of_each_format_can_be_written(format_: str, tmp_path: Path) -> None:
    path = tmp_path / FILES[format_].name

    FILES[format_].write(path, 3)

    assert path.stat().st_size
    assert len(list(path.iterdir())) == 3 if path.is_dir() else path.is_file()


def test_every_start_is_measured() -> None:
    found = measured("startup", "--rounds", 1)

    assert {"needs", "client", "help"} < set(found["milliseconds"])
    assert all(kind["least"] > 0 for way in found["milliseconds"].values() for kind in way.values())
    assert found["client_to_needs"]["cpu"]["median"] > 0


def test_the_memory_of_sending_is_measured() -> None:
    found = measured("memory", "--few", 5, "--many", 10, "--concurrency", 4)

    assert set(found["ways"]) == {"notify_many", "journaled run"}
    # An interpreter with all that a client needs.
    assert all(way["peak_mib_of_few"] > 20 for way in found["ways"].values())


def test_every_part_of_a_call_is_measured() -> None:
    found = measured("parts", "--calls", 5, "--rounds", 2)["parts"]

    assert {"encode", "decode", "turn", "row"} < set(found)
    assert found["json.dumps"]["ratio"]["median"] == 1
    assert all(part["microseconds"]["least"] > 0 for part in found.values())


def test_what_a_user_would_write_by_hand_is_measured() -> None:
    way = "aiohttp by hand"

    found = measured(
        "throughput", "--invoices", 12, "--concurrency", 4, "--rounds", 1, "--ways", way
    )

    assert list(found["4"]) == ["bare aiohttp", way]
    assert found["4"]["bare aiohttp"]["throughput_ratio"]["median"] == 1
    assert found["4"][way]["throughput_ratio"]["median"] > 0


def test_peers_are_given_the_same_invoices() -> None:
    load = Load(url="http://vtex.example", invoices=3, concurrency=1)

    assert list(documents(3)) == [(order_id, json.loads(body)) for order_id, body in load.bodies]
    assert not list(PEERS["aiohttp by hand"].lacks())


def test_every_pace_is_played_against_every_limit() -> None:
    found = measured("pace", "--seconds", 5, "--seeds", 1, "--rates", 20)

    assert list(found["limits"]) == list(LIMITS)
    for rates in found["limits"].values():
        assert list(rates["20"]) == list(PACES)
        assert all(0 < pace["of_ideal"]["median"] <= 1.1 for pace in rates["20"].values())
        assert all(0 <= pace["rejected"]["median"] < 1 for pace in rates["20"].values())


def test_the_client_is_measured_on_the_wire() -> None:
    found = measured("pace", "--wire", "--only", "doubled", "--seconds", 1, "--rates", 20)

    (run,) = found["wire"]
    assert (run["limit"], run["rate"]) == ("doubled", 20)
    assert 0 < run["of_ideal"] <= 1.1
    assert 0 <= run["rejected"] < 1
