"""Standard output and error that are full or closed: no run fails by them, and no exit code is lost."""

from __future__ import annotations

import os
import sys
from asyncio import create_subprocess_exec
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import ROOT, environ_of, file_of, row, started
from vtex_invoice_async.sandbox import Sandbox

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux's")


@pytest.fixture
def full() -> Iterator[int]:
    number = os.open("/dev/full", os.O_WRONLY)
    yield number
    os.close(number)


async def test_a_run_that_can_say_nothing_at_all_ends_as_it_would(
    full: int, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = file_of(tmp_path, [row(order) for order in sandbox.orders])
    options = ("--journal", tmp_path / "j.db", "--json")
    environ = environ_of(sandbox.config)
    async with started("send", file, *options, environ=environ, stdout=full, stderr=full) as sent:
        await sent.communicate()

    assert sent.returncode == 0
    assert sandbox.applied.total() == 10


async def test_closed_streams_end_no_run(sandbox: Sandbox, tmp_path: Path) -> None:
    file = file_of(tmp_path, [row(order) for order in sandbox.orders])
    command = f"exec {sys.executable} -m vtex_invoice_async"
    options = f"--json --journal {tmp_path / 'j.db'} >&- 2>&-"
    environ = {**environ_of(sandbox.config), "PATH": "/bin"}
    process = await create_subprocess_exec(
        "/bin/sh", "-c", f"{command} send {file} {options}", cwd=ROOT, env=environ
    )

    assert await process.wait() == 0
    assert sandbox.applied.total() == 10


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status", "--journal", "none.db"), 65),
        (("status",), 2),
        (("frobnicate",), 2),
        (("doctor", "--journal", "none.db"), 2),
    ],
)
async def test_a_failure_that_cannot_be_told_keeps_its_exit_code(
    arguments: tuple[str, ...], code: int, full: int
) -> None:
    async with started(*arguments, stderr=full) as process:
        await process.communicate()

    assert process.returncode == code


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("completion", "bash"), ("sandbox",)]
)
async def test_what_cannot_be_written_to_a_full_disk_is_no_bug(
    arguments: tuple[str, ...], full: int
) -> None:
    async with started(*arguments, stdout=full) as process:
        _, told = await process.communicate()

    assert process.returncode == 74
    assert told.decode() == (
        "vtex-invoice: stdout: No space left on device; it is not whole: make room, and try again\n"
    )
