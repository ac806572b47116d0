"""`vtex-invoice report`: where it goes, how it is written, and what is said where that fails."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.command_line import environ_of, file_of, row, run, started
from tests.reports import make_journal
from vtex_invoice_async.cli.report import ReportOptions
from vtex_invoice_async.sandbox import Sandbox


@pytest.fixture
async def journal(tmp_path: Path) -> Path:
    return await make_journal(tmp_path / "journal.db")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def is_link(path: Path) -> bool:
    return path.is_symlink()


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_a_report_of_a_run_is_a_page_in_a_file(sandbox: Sandbox, tmp_path: Path) -> None:
    file = file_of(tmp_path, [row(order) for order in sandbox.orders])
    environ = environ_of(sandbox.config) | {"XDG_STATE_HOME": str(tmp_path)}
    await run("send", file, environ=environ)

    ended = await run("report", "-o", tmp_path / "r.html", environ=environ)

    assert ended.code == 0
    assert ended.stdout == ""
    assert f"The report is in {tmp_path / 'r.html'} (" in ended.stderr
    assert "10 of 10 invoices confirmed." in text_of(tmp_path / "r.html")
    assert mode_of(tmp_path / "r.html") == 0o600


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        ((), "<!DOCTYPE html>"),
        (("-o", "-", "--format", "md"), "# Invoices of acme"),
        (("--format", "json"), "{"),
    ],
)
async def test_without_a_file_it_goes_to_stdout(
    arguments: tuple[str, ...], begins: str, journal: Path
) -> None:
    ended = await run("report", "--journal", journal, *arguments)

    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(begins)


@pytest.mark.parametrize(
    ("name", "asked", "format_"),
    [
        ("r.md", None, "md"),
        ("r.JSON", None, "json"),
        ("r.htm", None, "html"),
        ("report", None, "html"),
        ("-", None, "html"),
        (None, None, "html"),
        ("r.md", "json", "json"),
    ],
)
def test_the_name_of_the_file_says_how_it_is_written(
    name: str | None, asked: str | None, format_: str
) -> None:
    options = ReportOptions(
        account=None,
        orders_api=None,
        base_url=None,
        env_file=None,
        journal=None,
        output=name,
        format_=asked,
        run="all",
    )

    assert options.format == format_


async def test_a_page_is_not_poured_into_a_terminal(journal: Path) -> None:
    ours, theirs = os.openpty()
    try:
        async with started("report", "--journal", journal, stdout=theirs) as process:
            _, told = await process.communicate()
    finally:
        os.close(theirs)
        os.close(ours)

    assert process.returncode == 2
    assert b"give it a file with -o report.html, or --format md" in told


async def test_a_file_that_is_there_is_replaced_for_its_owner_alone(
    journal: Path, tmp_path: Path
) -> None:
    file, link = tmp_path / "r.md", tmp_path / "link.md"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o644)
    link.symlink_to(file)

    ended = await run("report", "--journal", journal, "-o", link)

    assert ended.code == 0
    assert is_link(link)
    assert text_of(file).startswith("# Invoices")
    assert mode_of(file) == 0o600
    assert {"r.md", "link.md"} <= set(names_in(tmp_path))
    assert not [name for name in names_in(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("name", ["missing/r.md", "file/r.md"])
async def test_where_it_cannot_be_written_that_is_said(
    name: str, journal: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    ended = await run("report", "--journal", journal, "-o", tmp_path / name)

    assert ended.code == 74
    assert "the report was not written. Name another file with -o" in ended.stderr


@pytest.mark.parametrize("name", ["folder", "pipe"])
async def test_what_is_no_file_is_not_replaced(name: str, journal: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    ended = await run("report", "--journal", journal, "--format", "md", "-o", tmp_path / name)

    assert ended.code == 2
    assert "is no plain file" in ended.stderr


@pytest.mark.parametrize("name", ["journal.db", "link.db", "journal.db.lock", "journal.db-wal"])
async def test_the_journal_is_not_replaced_by_its_report(
    name: str, journal: Path, tmp_path: Path
) -> None:
    (tmp_path / "link.db").symlink_to(journal)
    before = bytes_of(journal)

    ended = await run("report", "--journal", journal, "-o", tmp_path / name)

    assert ended.code == 2
    assert "is the journal, or belongs to it: name another file with -o" in ended.stderr
    assert bytes_of(journal) == before


on_a_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux's")


@on_a_full_disk
async def test_a_full_disk_is_told(journal: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        arguments = ("report", "--journal", journal, "--format", "md")
        async with started(*arguments, stdout=full) as process:
            _, told = await process.communicate()
    finally:
        os.close(full)

    assert process.returncode == 74
    assert b"stdout: No space left on device; the report was not written" in told


async def test_where_there_is_no_journal_that_is_said(tmp_path: Path) -> None:
    ended = await run("report", "--journal", tmp_path / "none.db", "--format", "md")

    assert ended.code == 65
    assert "there is no journal" in ended.stderr
    assert "`send` makes one" in ended.stderr


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("7", "has no run 7; it has those from 1 to 1"),
        ("0", "has no run 0"),
        ("last", "give the number of a run, or all"),
        ("-1", "give the number of a run, or all"),
        ("1" * 30, "give the number of a run, or all"),
    ],
)
async def test_a_run_that_there_is_not_is_a_usage_error(
    number: str, told: str, journal: Path
) -> None:
    ended = await run("report", "--journal", journal, "--format", "md", f"--run={number}")

    assert ended.code == 2
    assert told in ended.stderr


async def test_one_run_can_be_told_alone(journal: Path) -> None:
    ended = await run("report", "--journal", journal, "--format", "json", "--run", "1")

    assert ended.code == 0
    assert json.loads(ended.stdout)["run"] == 1


MISSING = "raise ModuleNotFoundError(\"No module named '{0}'\", name='{0}')"


@pytest.mark.parametrize("name", ["matplotlib", "jinja2"])
@pytest.mark.parametrize(("format_", "code"), [("html", 2), ("md", 0), ("json", 0)])
async def test_only_a_page_needs_the_extra(
    name: str, format_: str, code: int, journal: Path, tmp_path: Path
) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / f"{name}.py").write_text(MISSING.format(name), encoding="utf-8")
    environ = {"PYTHONPATH": str(tmp_path / "without")}

    ended = await run("report", "--journal", journal, "--format", format_, environ=environ)

    assert ended.code == code
    assert ("pip install 'vtex-invoice-async[report]'" in ended.stderr) == (code == 2)


async def test_beside_a_run_it_says_that_it_goes_on(sandbox: Sandbox, tmp_path: Path) -> None:
    file = file_of(tmp_path, [row(order) for order in sandbox.orders])
    path = tmp_path / "journal.db"
    options = ("send", file, "--journal", path, "--rate", 1)
    async with started(*options, environ=environ_of(sandbox.config)) as process:
        assert process.stderr is not None
        while b" of 10" not in await process.stderr.readline():
            pass
        ended = await run("report", "--journal", path, "--format", "json")
        process.kill()
        await process.communicate()

    assert ended.code == 0
    said = json.loads(ended.stdout)
    assert said["running"].startswith(f"process {process.pid} on ")
    assert said["runs"][0]["goes_on"]
    assert said["next"] == []
    assert said["totals"]["attempts"] > 0
