"""What keeps a file from being read is told by each command that reads it, and nothing is sent."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.command_line import file_of, row, run
from tests.test_disk_full import limited
from vtex_invoice_async.sandbox import Sandbox

ROW = row(Sandbox(1).orders[0])

COMMANDS = [("check",), ("send", "--sandbox"), ("sandbox", "--orders-for")]


@pytest.mark.parametrize("command", COMMANDS[:2])
async def test_standard_input_is_given_once(command: tuple[str, ...]) -> None:
    ended = await run(*command, "-", "-", stdin=json.dumps(ROW).encode())

    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == "vtex-invoice: standard input is read once: give - once\n"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file of Linux's")
@pytest.mark.parametrize("command", COMMANDS)
async def test_a_file_that_cannot_be_read_is_told_by_its_name(command: tuple[str, ...]) -> None:
    # It opens, and nothing is where it begins.
    ended = await run(*command, "/proc/self/mem")

    assert ended.code == 74
    assert ended.stderr.startswith("/proc/self/mem: Input/output error; check the file ")


async def test_no_room_for_a_plan_is_told(tmp_path: Path) -> None:
    # More than is kept in memory.
    path = file_of(
        tmp_path,
        ({**ROW, "invoiceNumber": str(at), "embeddedInvoice": "x" * 900_000} for at in range(50)),
    )

    ended = await limited(
        100_000, "send", path, "--sandbox", "--json", environ={"TMPDIR": str(tmp_path)}
    )

    assert (ended.code, ended.summary["exit_code"], ended.summary["confirmed"]) == (74, 74, 0)
    said = r"the folder for temporary files, which TMPDIR names: .+\nNothing was sent\.\n"
    assert re.search(said, ended.stderr)


@pytest.mark.parametrize("command", COMMANDS[:2])
async def test_a_file_without_invoices_is_missed_among_others(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    sound = file_of(tmp_path, [ROW])
    empty = tmp_path / "empty.csv"
    empty.touch()

    ended = await run(*command, sound, empty)

    assert ended.code == 65
    told = f"{empty}:1:1"
    assert told in ended.stdout + ended.stderr
    assert "the file holds no invoice; leave it out" in ended.stdout + ended.stderr


def folder_of_any_bytes(beside: Path) -> Path:
    folder = Path(os.fsdecode(os.fsencode(beside) + b"/\xff\n"))
    folder.mkdir()
    return folder


async def test_a_file_may_be_called_by_any_bytes(tmp_path: Path) -> None:
    path = file_of(folder_of_any_bytes(tmp_path), [ROW])

    ended = await run("send", path, "--sandbox")

    assert ended.code == 0, ended.stderr
    assert r"/\udcff\n/" in ended.stderr.replace("\n", "")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file of Linux's")
async def test_tracking_that_cannot_be_read_is_told() -> None:
    environ = {"VTEX_ACCOUNT": "shop", "VTEX_APP_KEY": "key-of-none", "VTEX_APP_TOKEN": "no-token"}

    ended = await run("track", "/proc/self/mem", "--json", environ=environ)

    assert ended.code == ended.summary["exit_code"] == 74
    assert ended.stderr.startswith("/proc/self/mem: Input/output error; check the file ")
