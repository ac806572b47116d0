"""Where a journal may be, what may be one, and what is said where it may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command_line import environ_of, file_of, row, run, started
from vtex_invoice_async.sandbox import Sandbox


@pytest.fixture
def file(sandbox: Sandbox, tmp_path: Path) -> Path:
    return file_of(tmp_path, [row(order) for order in sandbox.orders])


def content(path: Path) -> bytes:
    return path.read_bytes()


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


on_a_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux's")


@pytest.mark.parametrize("command", ["send", "resume", "status", "export"])
async def test_a_journal_is_no_address_and_its_password_is_not_said(
    command: str, file: Path, sandbox: Sandbox
) -> None:
    arguments = (command, file) if command == "send" else (command,)
    address = "postgresql://me:hunter2@db/prod"

    ended = await run(*arguments, "--journal", address, environ=environ_of(sandbox.config))

    assert ended.code == 2
    assert "hunter2" not in ended.stdout + ended.stderr
    assert not sandbox.applied


async def test_a_folder_that_is_missing_is_made_for_its_owner_alone(
    file: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "journal.db"

    ended = await run("send", file, "--journal", path, environ=environ_of(sandbox.config))

    assert ended.code == 0
    assert f"New journal: {path}" in ended.stderr
    assert mode_of(path.parent) == 0o700


async def test_a_file_that_is_no_journal_is_left_as_it_is(file: Path, sandbox: Sandbox) -> None:
    before = content(file)

    ended = await run("send", file, "--journal", file, "--json", environ=environ_of(sandbox.config))

    assert (ended.code, ended.summary["exit_code"], ended.summary["not_sent"]) == (65, 65, 10)
    assert "is not a journal" in ended.stderr
    assert content(file) == before
    assert not sandbox.applied


@pytest.mark.parametrize("command", ["send", "resume", "status", "export", "report", "doctor"])
async def test_a_path_that_no_json_can_hold_is_a_usage_error(
    command: str, file: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    files = (file,) if command == "send" else ()
    path = tmp_path / "caf\udce9.db"

    ended = await run(command, *files, "--journal", path, environ=environ_of(sandbox.config))

    assert ended.code == 2
    assert "the journal's path is not UTF-8: " in ended.stderr
    assert "caf\\udce9.db; give another one with --journal" in ended.stderr
    assert not sandbox.applied


async def test_a_new_journal_is_announced_and_an_old_one_is_not(
    file: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    options = ("send", file, "--journal", tmp_path / "journal.db")
    environ = environ_of(sandbox.config)

    first, second = [await run(*options, environ=environ) for _ in range(2)]

    assert "New journal: " in first.stderr
    assert "New journal: " not in second.stderr


async def test_a_run_that_was_cut_off_is_told_with_what_to_do(
    file: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.db"
    options = ("send", file, "--journal", journal, "--rate", 1)
    async with started(*options, environ=environ_of(sandbox.config)) as process:
        assert process.stderr is not None
        while b" of 10" not in await process.stderr.readline():
            pass
        process.kill()
        await process.communicate()

    ended = await run("status", "--journal", journal)

    assert "was cut off" in ended.stderr
    assert f"    vtex-invoice resume --journal {journal}\n" in ended.stderr


@on_a_full_disk
async def test_what_cannot_be_said_does_not_end_a_run(file: Path, sandbox: Sandbox) -> None:
    environ = environ_of(sandbox.config)
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        async with started("send", file, "--json", environ=environ, stderr=full) as process:
            said, _ = await process.communicate()
    finally:
        os.close(full)

    assert process.returncode == 0
    assert b'"confirmed":10' in said
    assert sandbox.applied.total() == 10


@on_a_full_disk
async def test_a_status_that_cannot_be_written_is_no_success(
    file: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.db"
    await run("send", file, "--journal", journal, environ=environ_of(sandbox.config))
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        async with started("status", "--json", "--journal", journal, stdout=full) as process:
            _, told = await process.communicate()
    finally:
        os.close(full)

    assert process.returncode == 74
    assert b'"confirmed":10' in told


async def test_a_port_that_there_is_not_is_a_usage_error() -> None:
    ended = await run("status", "--account", "acme", "--base-url", "http://localhost:99999")

    assert ended.code == 2
    assert "base_url must be" in ended.stderr
