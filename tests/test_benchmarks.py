"""The benchmarks run at any size, and what they print can be read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.files import FILES
from benchmarks.rows import STEPS
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
