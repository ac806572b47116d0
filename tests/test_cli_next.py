"""How commands end: why not all is confirmed, and commands that can be typed as they are said."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.command_line import (
    ROOT,
    TIMEOUT,
    Ended,
    ending,
    environ_of,
    file_of,
    json_lines,
    made_up_rows,
    row,
    run,
    started,
)
from tests.terminal import terminal
from tests.test_cli_track import invoiced, parcel
from vtex_invoice_async.cli.watch import SHOWN_OF_A_KIND
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

REFUSED: Final = '{"error": {"code": "OMS007", "message": "the value is [bold]wrong[/bold]"}}'


def rejecting(*nth: int) -> Fault:
    return Fault(do=Do.ANSWER, on="notify_invoice", nth=nth, status=400, body=REFUSED)


def commands(told: str) -> list[str]:
    """The commands that are said to be next."""
    _, _, after = told.partition("Next:\n")
    return re.findall(r"^    (vtex-invoice .*)$", after, re.MULTILINE)


async def typed(command: str, environ: Mapping[str, str], folder: Path) -> Ended:
    """Type what was said into a shell."""
    this = f"{sys.executable} -m vtex_invoice_async"
    process = await asyncio.create_subprocess_shell(
        command.replace("vtex-invoice", this, 1),
        cwd=folder,
        env={**environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder), "PATH": "/bin"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return await ending(process)


async def test_what_is_said_to_be_next_can_be_typed_until_all_is_confirmed(tmp_path: Path) -> None:
    async with Sandbox(6, faults=[rejecting(2, 5)]) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])
        environ = environ_of(sandbox.config)
        journal = tmp_path / "my journal.db"

        first = await run("send", path, "--journal", journal, "--concurrency", 1, environ=environ)
        export, send, report = commands(first.stderr)
        exported = await typed(export, environ, tmp_path)
        fixed = tmp_path / "rejected.jsonl"
        # Whoever corrects it writes it again.
        fixed.write_text(fixed.read_text())
        again = await typed(send, environ, tmp_path)

    assert first.code == 3
    assert f"{path} in " in first.stderr
    assert "\nWhy:\n  2 rejected (400 OMS007): the value is [bold]wrong[/bold]\n" in first.stderr
    assert f"      line 2, order {sandbox.orders[1].order_id}, invoice NFe" in first.stderr
    assert export == f"vtex-invoice export --journal '{journal}' --state rejected > rejected.jsonl"
    assert report == f"vtex-invoice report --journal '{journal}' -o run.html"
    assert (exported.code, exported.stderr) == (0, "")
    assert len(fixed.read_text().splitlines()) == 2
    assert again.code == 0, again.stderr
    assert again.stderr.startswith("rejected.jsonl: all 2 confirmed in ")
    assert set(sandbox.applied.values()) == {1}
    assert sandbox.applied.total() == 6


async def test_the_journal_of_the_account_need_not_be_named(tmp_path: Path) -> None:
    async with Sandbox(2, faults=[rejecting(1)]) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])
        ended = await run("send", path, environ=environ_of(sandbox.config))

    assert commands(ended.stderr) == [
        "vtex-invoice export --state rejected > rejected.jsonl",
        "vtex-invoice send rejected.jsonl",
        "vtex-invoice report -o run.html",
    ]


async def test_a_rehearsal_ends_with_how_to_send_for_good(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(3), name="a b.jsonl")

    well = await run("send", path, "--sandbox", "--strict", "--concurrency", 2)
    quiet = await run("send", path, "--sandbox", "--quiet")

    note = "It was a rehearsal: nothing left this machine, and no journal was kept.\n"
    assert f"{path}: all 3 confirmed in " in well.stderr
    assert note in well.stderr
    assert commands(well.stderr) == [f"vtex-invoice send --concurrency 2 --strict '{path}'"]
    assert (quiet.code, quiet.stderr) == (0, "")


async def test_a_file_with_mistakes_ends_with_how_to_go_about_them(tmp_path: Path) -> None:
    rows = made_up_rows(3)
    rows[1]["invoiceValue"] = -1
    path = file_of(tmp_path, rows)

    ended = await run("send", path, "--sandbox")

    assert ended.code == 65
    # What never ran is told by its problems, and by no table of zeros.
    assert "confirmed" not in ended.stderr
    assert commands(ended.stderr) == [
        f"vtex-invoice check {path}",
        f"vtex-invoice send --sandbox {path}",
        f"vtex-invoice check --output csv {path} > problems.csv",
        f"vtex-invoice send --skip-invalid --sandbox {path}",
    ]


@pytest.mark.parametrize("name", ["-odd name.jsonl", "-"])
async def test_files_with_odd_names_are_typed_as_a_shell_takes_them(
    name: str, tmp_path: Path
) -> None:
    path = file_of(tmp_path, made_up_rows(2), name="-odd name.jsonl")
    environ = {"VTEX_ORDERS_API": "oms"}

    given = f"'{name}' < './{path.name}'"
    first = await typed(f"vtex-invoice check -- {given}", environ, tmp_path)
    (rehearse,) = commands(first.stderr)
    rehearsed = await typed(rehearse.replace("FILE", "'./-odd name.jsonl'"), environ, tmp_path)

    assert first.code == 0, first.stderr
    assert rehearsed.code == 0, rehearsed.stderr
    assert "all 2 confirmed" in rehearsed.stderr


async def test_of_many_that_end_alike_the_first_are_named_and_the_end_counts_all(
    tmp_path: Path,
) -> None:
    count = SHOWN_OF_A_KIND + 10
    async with Sandbox(count, faults=[rejecting(*range(1, count + 1))]) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])
        environ = environ_of(sandbox.config)

        ended = await run("send", path, "--journal", tmp_path / "j.db", "--json", environ=environ)

    assert ended.stderr.count(", rejected: status 400, OMS007: ") == SHOWN_OF_A_KIND
    assert ended.stderr.count("More invoices are rejected: the end counts them by reason.") == 1
    assert f"  {count} rejected (400 OMS007): " in ended.stderr
    assert f"; and {count - 3} more\n" in ended.stderr
    assert ended.summary["rejected"] == count


async def test_a_run_that_goes_on_tells_its_own_reasons_alone(tmp_path: Path) -> None:
    pause = Fault(
        do=Do.ANSWER, on="notify_invoice", nth=(2,), status=429, headers={"Retry-After": "9999"}
    )
    async with Sandbox(2, faults=[rejecting(1, 3), pause]) as sandbox:
        first, second = [[row(order)] for order in sandbox.orders]
        environ = environ_of(sandbox.config)
        journal = ("--journal", tmp_path / "j.db")
        await run("send", file_of(tmp_path, first, "1.jsonl"), *journal, environ=environ)
        left = await run("send", file_of(tmp_path, second, "2.jsonl"), *journal, environ=environ)
        resumed = await run("resume", *journal, environ=environ)
        status = await run("status", *journal)

    assert left.code == 75
    assert f"    vtex-invoice resume --journal {tmp_path / 'j.db'}\n" in left.stderr
    assert resumed.code == 3, resumed.stderr
    assert "\n  1 rejected (400 OMS007): " in resumed.stderr
    assert "\n  2 rejected (400 OMS007): " in status.stderr
    assert "vtex-invoice export --journal " in status.stderr


async def test_a_journal_that_holds_other_contents_is_a_reason(tmp_path: Path) -> None:
    async with Sandbox(1) as sandbox:
        first = row(sandbox.orders[0])
        other = first | {"courier": "carrierTwo"}
        options = ("--journal", tmp_path / "j.db", "--json")
        environ = environ_of(sandbox.config)
        await run("send", file_of(tmp_path, [first]), *options, environ=environ)
        ended = await run("send", file_of(tmp_path, [other]), *options, environ=environ)

    assert ended.code == 4
    assert "  1 conflict: the journal has them with other contents\n" in ended.stderr
    assert "what was sent first stands" in ended.stderr


@pytest.mark.parametrize("reads_a_file", [True, False])
async def test_what_fails_to_be_tracked_goes_where_it_can_be_sent_from(
    tmp_path: Path, *, reads_a_file: bool
) -> None:
    fault = Fault(do=Do.ANSWER, on="send_tracking", nth=(1,), status=400, body=REFUSED)
    async with Sandbox(invoiced(3), faults=[fault]) as sandbox:
        rows = [parcel(order) for order in sandbox.orders]
        path, failed = file_of(tmp_path, rows), tmp_path / "failed.jsonl"
        environ = environ_of(sandbox.config)
        options = ("--failed", failed, "--json", "--concurrency", 1)
        source, stdin = (path, b"") if reads_a_file else ("-", json_lines(rows).encode())

        first = await run("track", source, *options, environ=environ, stdin=stdin)
        (said,) = commands(first.stderr)
        again = await typed(said, environ, tmp_path)
        itself = await run("track", failed, "--failed", failed, environ=environ)

    assert first.summary["rejected"] == 1
    assert first.code == 3
    table, _, _ = first.stderr.partition("Why:")
    names = [line[:11].strip() for line in table.splitlines() if line.startswith("  ")]
    assert names[:3] == ["planned", "confirmed", "rejected"]
    assert set(names[3:]) <= {"mean rate"}
    (kept,) = [json.loads(line) for line in failed.read_text().splitlines()]
    assert {name: kept[name] for name in rows[0]} == rows[0]
    assert kept["job"]["state"] == "rejected"
    assert "\n  1 rejected (400 OMS007): the value is [bold]wrong[/bold]\n" in first.stderr
    assert (again.code, again.stdout) == (0, ""), again.stderr
    assert itself.code == 2
    assert "--failed is the file that is read" in itself.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("command", [("send", "-", "--sandbox"), ("check", "-"), ("track", "-")])
async def test_a_signal_while_a_file_is_read_is_answered(
    command: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    environ = {"VTEX_ACCOUNT": "acme", "VTEX_APP_KEY": "K" * 20, "VTEX_APP_TOKEN": "T" * 20}
    async with started(*command, environ=environ) as process:
        assert process.stdin is not None
        process.stdin.write(b"\n" * 500_000)
        # A pipe holds less than that: it has begun to read.
        async with asyncio.timeout(TIMEOUT):
            await process.stdin.drain()
        process.send_signal(number)
        async with asyncio.timeout(TIMEOUT):
            _, told = await process.communicate()

    assert process.returncode == code
    assert told.startswith(b"Interrupted")


async def test_ctrl_c_is_answered_while_the_journal_takes_the_plan_in(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(15_000))
    environ = {"VTEX_ACCOUNT": "acme", "VTEX_APP_KEY": "K" * 20, "VTEX_APP_TOKEN": "T" * 20}
    options = ("--journal", tmp_path / "j.db", "--base-url", "http://127.0.0.1:9")

    async with terminal("send", path, *options, width=200, environ=environ) as shown:
        await shown.shows("Taking into the journal")
        shown.type(b"\x03")
        await shown.shows("Interrupted: nothing was sent, and the journal takes in none of it.")
        code = await shown.ends()

    assert code == 130
    assert [line.split()[:2] for line in commands(shown.glass.text)] == [["vtex-invoice", "send"]]


async def test_ctrl_c_is_answered_while_orders_are_read(tmp_path: Path) -> None:
    async with Sandbox(30, latency=0.2) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])
        environ = environ_of(sandbox.config)
        options = ("--verify", "--concurrency", 1, "--journal", tmp_path / "j.db")
        async with terminal("send", path, *options, width=120, environ=environ) as shown:
            await shown.shows("Reading orders")
            shown.type(b"\x03")
            await shown.shows("Interrupted: nothing was sent.")
            assert await shown.ends() == 130

    assert not sandbox.applied
    assert "Reading" not in shown.glass.text
