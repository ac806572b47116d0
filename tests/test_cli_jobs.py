"""`resume`, `resolve`, `status`, `export`: what was sent is known afterwards, and gone on with."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.command_line import (
    TIMEOUT,
    Ended,
    ending,
    environ_of,
    file_of,
    made_up_rows,
    row,
    run,
    started,
    until,
)
from tests.raw_faults import hang_after_post
from tests.raw_server import raw_server
from tests.test_cli_send import assert_counts
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

PERSONAL: Final = "Rua das Laranjeiras 7"


class Shop:
    """A sandbox, a file for it and a journal, and commands that know of all three."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.rows = [row(order) for order in sandbox.orders]
        self.journal = folder / "journal.db"
        self.environ = environ_of(sandbox.config)
        self.folder = folder

    async def __call__(self, command: str, *options: object) -> Ended:
        return await run(command, *options, "--journal", self.journal, environ=self.environ)

    async def send(self, rows: list[dict[str, object]] | None = None, *options: object) -> Ended:
        path = file_of(self.folder, self.rows if rows is None else rows, "sent.jsonl")
        return await self("send", path, "--json", *options)

    async def status(self) -> dict[str, Any]:
        return (await self("status", "--json")).summary

    async def export(self, *options: object) -> list[dict[str, Any]]:
        ended = await self("export", *options)
        assert ended.code == 0, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]


async def test_a_file_that_is_sent_again_is_known(sandbox: Sandbox, tmp_path: Path) -> None:
    shop = Shop(sandbox, tmp_path)

    assert_counts(await shop.send(shop.rows[:4]), 0, planned=4, confirmed=4)
    again = await shop.send()

    assert_counts(again, 0, planned=10, confirmed=10, already_confirmed=4)
    assert again.summary["journal"] == str(shop.journal)
    assert list(sandbox.applied.values()) == [1] * 10


async def test_the_journal_of_an_account_is_one_for_all_of_its_files(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    shop = Shop(sandbox, tmp_path)
    environ = shop.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
    for name, rows in (("one", shop.rows[:3]), ("two", shop.rows[2:5])):
        path = file_of(tmp_path, rows, name)
        ended = await run("send", path, "--json", environ=environ)

    assert_counts(ended, 0, planned=3, confirmed=3, already_confirmed=1)
    journal = Path(ended.summary["journal"])
    assert journal.parent == tmp_path / "state" / "vtex-invoice"
    assert re.fullmatch(r"sandbox-[0-9a-f]{6}@127\.0\.0\.1-\d+-oms\.db", journal.name)
    told = await run("status", environ=environ)
    assert "confirmed" in told.stderr


async def test_rows_that_were_refused_are_exported_corrected_and_confirmed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    shop = Shop(sandbox, tmp_path)
    wrong = [found | {"invoiceValue": 10**9} for found in shop.rows[:3]]
    assert_counts(await shop.send(wrong + shop.rows[3:]), 3, planned=10, confirmed=7, rejected=3)

    exported = await shop.export("--state", "rejected")
    assert [found["job"]["state"] for found in exported] == ["rejected"] * 3
    assert all(found["job"]["status"] == 400 for found in exported)
    corrected = [
        found | {"invoiceValue": sound["invoiceValue"]}
        for found, sound in zip(exported, shop.rows, strict=False)
    ]
    ended = await shop.send(corrected)

    assert_counts(ended, 0, planned=3, confirmed=3)
    assert (await shop.status())["confirmed"] == 10
    assert list(sandbox.applied.values()) == [1] * 10


async def test_an_export_can_be_sent_to_another_journal_as_it_is(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    shop = Shop(sandbox, tmp_path)
    wrong = [found | {"invoiceValue": 10**9} for found in shop.rows]
    await shop.send(wrong)

    exported = await shop.export()
    shop.journal = tmp_path / "other.db"
    ended = await shop.send(exported)

    assert [found["orderId"] for found in exported] == [found["orderId"] for found in shop.rows]
    assert_counts(ended, 3, planned=10, rejected=10)


def holding(words: str, folder: Path) -> list[str]:
    """The files of the journal that hold these words."""
    return [p.name for p in folder.glob("journal.db*") if words.encode() in p.read_bytes()]


async def test_what_is_confirmed_is_forgotten_but_for_its_name(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    shop = Shop(sandbox, tmp_path)
    rows = [found | {"courier": PERSONAL} for found in shop.rows]
    assert_counts(await shop.send(rows), 0, planned=10, confirmed=10)

    first, *_ = await shop.export("--state", "confirmed")

    kept = {name: shop.rows[0][name] for name in ("orderId", "invoiceNumber", "type")}
    assert {name: value for name, value in first.items() if name != "job"} == kept
    assert first["job"]["confirmedBy"] == "response"
    assert first["job"]["receipt"]
    assert holding(PERSONAL, tmp_path) == []
    # Nor was a secret ever there.
    for secret in (sandbox.app_key, sandbox.app_token):
        assert holding(secret, tmp_path) == []


async def test_a_run_that_was_interrupted_says_how_to_go_on_and_goes_on(tmp_path: Path) -> None:
    async with Sandbox(60, latency=0.1) as sandbox:
        shop = Shop(sandbox, tmp_path)
        path = file_of(tmp_path, shop.rows)
        options = ("--concurrency", 3, "--journal", shop.journal)
        async with started("send", path, *options, environ=shop.environ) as process:
            await until(lambda: sandbox.applied.total() >= 6)
            process.send_signal(signal.SIGTERM)
            _, told = await process.communicate()
        said = re.search(r"^    vtex-invoice (resume .*)$", told.decode(), re.MULTILINE)
        assert said is not None, told
        resumed = await run(*said[1].split(), "--json", environ=shop.environ)

    assert process.returncode == 143
    assert_counts(
        resumed, 0, planned=resumed.summary["planned"], confirmed=resumed.summary["planned"]
    )
    assert sandbox.applied.total() == 60
    assert set(sandbox.applied.values()) == {1}


async def test_there_is_nothing_to_resume_where_all_is_confirmed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    shop = Shop(sandbox, tmp_path)
    await shop.send()

    for command in ("resume", "resolve"):
        ended = await shop(command, "--json")
        assert_counts(ended, 65)
        assert "nothing left" in ended.stderr


@pytest.mark.parametrize("command", ["resume", "resolve", "status", "export"])
async def test_a_journal_that_is_missing_is_not_made(
    command: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    shop = Shop(sandbox, tmp_path)

    ended = await shop(command)

    assert ended.code == 65
    assert "there is no journal" in ended.stderr
    assert holding("", tmp_path) == []


def reads_of(sandbox: Sandbox) -> int:
    return sum(a.operation == "get_order" for a in sandbox.oracle.arrived)


async def test_resolving_finds_out_and_sends_nothing(tmp_path: Path) -> None:
    lost = Fault(do=Do.CLOSE, on="notify_invoice", nth=(1,), acted=True)
    unreadable = Fault(do=Do.ANSWER, on="get_order", nth=(2,), status=503)
    async with Sandbox(3, faults=[lost, unreadable]) as sandbox:
        shop = Shop(sandbox, tmp_path)
        path = file_of(tmp_path, shop.rows)
        options = ("--json", "--journal", shop.journal)
        async with started("send", path, *options, environ=shop.environ) as process:
            await until(lambda: reads_of(sandbox) == 2)
            process.send_signal(signal.SIGINT)
            first = await ending(process)
        assert_counts(first, 130, planned=3, confirmed=2, in_doubt=1)

        ended = await shop("resolve", "--json")

    assert_counts(ended, 0, planned=1, confirmed=1, confirmed_by_order=1)
    assert sandbox.applied.total() == 3


async def test_a_return_is_sent_again_only_where_that_is_wanted(tmp_path: Path) -> None:
    dropped = Fault(do=Do.CLOSE, on="notify_invoice", nth=(2,))
    async with Sandbox(1, faults=[dropped]) as sandbox:
        shop = Shop(sandbox, tmp_path)
        (output,) = shop.rows
        returned = output | {"type": "Input", "invoiceNumber": "R-1"}
        window = ("--settle-window", 0.5)
        assert_counts(
            await shop.send([returned, output], *window), 4, planned=2, confirmed=1, absent=1
        )
        assert_counts(await shop("resume", "--json", *window), 4, planned=1, absent=1)
        ended = await shop("resume", "--json", *window, "--resend-input")

    assert_counts(ended, 0, planned=1, confirmed=1)
    assert list(sandbox.applied.values()) == [1, 1]


async def test_the_journal_can_be_read_while_a_run_holds_it(tmp_path: Path) -> None:
    path, journal = file_of(tmp_path, made_up_rows(10)), tmp_path / "journal.db"
    async with raw_server(hang_after_post) as server:
        environ = environ_of(server.config())
        options = ("--concurrency", 3, "--journal", journal)
        async with started("send", path, *options, environ=environ) as process:
            async with asyncio.timeout(TIMEOUT):
                await server.arrivals(3)
            status = await run("status", "--json", "--journal", journal)
            told = await run("status", "--journal", journal)
            exported = await run("export", "--state", "in-doubt", "--journal", journal)
            busy = await run("resume", "--json", "--journal", journal, environ=environ)

    said = status.summary
    assert (said["planned"], said["in_doubt"], said["not_sent"]) == (10, 3, 7)
    assert (said["states"]["planned"], said["states"]["not_sent"]) == (7, 0)
    assert status.summary["running"]["pid"] == process.pid
    assert f"process {process.pid} on " in told.stderr
    assert len(exported.stdout.splitlines()) == 3
    assert busy.code == 75 == busy.summary["exit_code"]
    assert f"process {process.pid} on " in busy.stderr


async def test_a_journal_of_another_account_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    shop = Shop(sandbox, tmp_path)
    await shop.send()

    for changes in (
        {"VTEX_ACCOUNT": "another"},
        {"VTEX_BASE_URL": "http://127.0.0.1:9"},
        {"VTEX_ORDERS_API": "pii"},
    ):
        environ = shop.environ | changes
        ended = await run("resume", "--journal", shop.journal, environ=environ)
        assert ended.code == 65, ended.stderr
        assert f"the journal is for {sandbox.account} at" in ended.stderr


async def test_status_needs_no_credentials(sandbox: Sandbox, tmp_path: Path) -> None:
    shop = Shop(sandbox, tmp_path)
    await shop.send()

    ended = await run("status", "--json", "--journal", shop.journal)

    assert ended.summary["confirmed"] == ended.summary["planned"] == 10
    assert ended.summary["running"] is None
    (found,) = ended.summary["runs"]
    assert found["counts"]["exit_code"] == 0
    assert found["options"]["concurrency"] == 64


async def test_an_export_may_be_cut_short_by_who_reads_it(sandbox: Sandbox, tmp_path: Path) -> None:
    shop = Shop(sandbox, tmp_path)
    await shop.send()
    read, write = os.pipe()
    os.close(read)

    async with started("export", "--journal", shop.journal, stdout=write) as process:
        os.close(write)
        _, told = await process.communicate()

    assert (process.returncode, told) == (0, b"")


async def test_a_warning_keeps_a_file_from_being_sent_where_that_is_wanted(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    shop = Shop(sandbox, tmp_path)
    rows = [found | {"issuanceDate": "2026-01-31T18:25:43"} for found in shop.rows]

    assert_counts(await shop.send(rows, "--strict"), 65, invalid=10)
    assert not sandbox.applied
    assert_counts(await shop.send(rows), 0, planned=10, confirmed=10)


async def test_a_state_that_there_is_not_is_a_usage_error(tmp_path: Path) -> None:
    ended = await run("export", "--journal", tmp_path / "x.db", "--state", "lost")

    assert ended.code == 2
    assert "in_doubt" in ended.stderr
