"""However the command line fails, it ends with what to do: each way is gone in a real run."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.command_line import (
    Ended,
    environ_of,
    file_of,
    json_lines,
    made_up_rows,
    row,
    run,
    started,
)
from tests.journals import NOW, make_entries, opened, put
from tests.test_journal_lock import held_by_another
from vtex_invoice_async.errors import CallError, NotSent, RateLimited
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.progress import Progress
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.sandbox.desk import Role

SOUND = {
    "VTEX_ACCOUNT": "acme",
    "VTEX_APP_KEY": "vtexappkey-acme-SECRET",
    "VTEX_APP_TOKEN": "TOKENSECRET",
    "VTEX_BASE_URL": "http://127.0.0.1:9",
}
DOCTOR = "`vtex-invoice doctor`"


def assert_helpful(ended: Ended, code: int, action: str) -> None:
    assert ended.code == code
    assert action in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "SECRET" not in ended.stdout + ended.stderr


USAGE: dict[str, tuple[str, str]] = {
    "no such command": ("snd", "did you mean 'send'?"),
    "no file": ("send", "Try 'vtex-invoice send --help'"),
    "a file that is not there": ("check not-there.jsonl", "Try 'vtex-invoice check --help'"),
    "no such option": ("resume --jsn", "Did you mean '--json'?"),
    "a value out of range": ("send FILE --concurrency 0", "Try 'vtex-invoice send --help'"),
    "no number": ("doctor --timeout soon", "Try 'vtex-invoice doctor --help'"),
    "no such choice": ("check FILE --format xml", "Try 'vtex-invoice check --help'"),
    "no such state": ("export --state lost", "choose of confirmed, rejected"),
    "no such shell": ("completion tcsh", "Try 'vtex-invoice completion --help'"),
    "two sources of orders": ("sandbox --orders 1 --orders-for FILE", "give --orders or"),
    "ids of no notes": ("sandbox --order-id-from xPed", "give that, too"),
    "ids of lines": ("check FILE --order-id-from xPed", "leave it out"),
    "no place of ids": ("check notes.xml --format nfe --order-id-from x", "--order-id-from"),
    "a table that is not there": ("check FOLDER --order-id-from no.csv", "check it"),
    "a table without columns": ("check FOLDER --order-id-from MAP", "must name two columns"),
    "standard input twice": ("check - -", "give - once"),
    "a folder of lines": ("check FOLDER --format jsonl", "name its files"),
    "a journal at an address": ("status --journal postgresql://me:SECRET@db/x", "give a path"),
    "a plan that is no JSON": ("sandbox --faults BROKEN", "correct it"),
    "a plan of something else": ("sandbox --faults OTHER", "take out 'fault'"),
    "a plan of nonsense": ("sandbox --faults NONSENSE", "correct the plan"),
    "a plan that is a list": ("sandbox --faults LIST", "write the plan anew"),
}


def laid_out(folder: Path) -> Mapping[str, Path]:
    """Files for command lines, by the words that stand for them."""
    texts = {
        "BROKEN": "{",
        "OTHER": '{"fault": []}',
        "NONSENSE": '{"faults": [{"do": "explode", "nth": [1]}]}',
        "LIST": "[]",
        "MAP.csv": "a;b\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "FOLDER").mkdir()
    (folder / "FOLDER" / "note.xml").write_text("<nfeProc/>")
    file = file_of(folder, made_up_rows(1))
    found = {name.removesuffix(".csv"): folder / name for name in (*texts, "FOLDER")}
    return {**found, "FILE": file, "notes.xml": folder / "FOLDER" / "note.xml"}


@pytest.mark.parametrize(("line", "action"), USAGE.values(), ids=USAGE)
async def test_what_makes_no_sense_says_what_to_give(
    line: str, action: str, tmp_path: Path
) -> None:
    places = laid_out(tmp_path)
    words = [places.get(word, word) for word in line.split(" ")]

    assert_helpful(await run(*words, environ=SOUND), 2, action)


SETTINGS: dict[str, tuple[dict[str, str], str]] = {
    "nothing is set": (dict.fromkeys(SOUND, ""), DOCTOR),
    "no token": ({"VTEX_APP_TOKEN": ""}, DOCTOR),
    "both kinds": ({"VTEX_USER_TOKEN": "USERSECRET"}, DOCTOR),
    "a line end": ({"VTEX_APP_TOKEN": "TOKENSECRET\n"}, DOCTOR),
    "a host as account": ({"VTEX_ACCOUNT": "acme.myvtex.com"}, "as acme of acme.myvtex.com"),
    "plain http": ({"VTEX_BASE_URL": "http://vtex.example"}, "must start with https://"),
    "no url": ({"VTEX_BASE_URL": "vtex.example"}, "(VTEX_BASE_URL)"),
    "an environment": ({"VTEX_ENVIRONMENT": "x"}, "(VTEX_ENVIRONMENT)"),
    "a dialect": ({"VTEX_ORDERS_API": "x"}, "VTEX_ORDERS_API must be one of"),
}


@pytest.mark.parametrize(("changes", "action"), SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("command", ["send", "track"])
async def test_settings_that_make_no_sense_say_which_and_how_to_find_out_more(
    command: str, changes: dict[str, str], action: str, tmp_path: Path
) -> None:
    file = file_of(tmp_path, made_up_rows(1))

    assert_helpful(await run(command, file, environ=SOUND | changes), 2, action)


async def test_an_env_file_that_is_not_text_and_no_account_say_what_to_give(
    tmp_path: Path,
) -> None:
    put(tmp_path / "vtex.env", b"\xff\xfe")

    assert_helpful(await run("status", "--env-file", tmp_path / "vtex.env"), 2, "give a UTF-8 file")
    assert_helpful(await run("status"), 2, "give --journal, or VTEX_ACCOUNT")


@pytest.mark.parametrize(
    ("command", "text", "action"),
    [
        ("send", json_lines([{"orderId": "1-01"}]), "Correct the file and check it, then send it"),
        ("send", "", "See that it is the right file."),
        ("check", "", "See that it is the right file."),
        ("track", "", "See that it is the right file."),
        ("track", json_lines([{"orderId": "1-01"}]), "Correct the file and send it again"),
    ],
)
async def test_a_file_that_cannot_be_sent_says_what_to_do(
    command: str, text: str, action: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text)

    assert_helpful(await run(command, path, environ=SOUND), 65, action)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    file = file_of(tmp_path, made_up_rows(1))
    file.chmod(0)

    assert_helpful(await run("send", file, environ=SOUND), 74, "check the file and its disk")


def no_journal(_: Path) -> None:
    """Leave the place empty."""


def another_file(path: Path) -> None:
    put(path, b"no database" * 200)


def open_to_all(path: Path) -> None:
    another_file(path)
    path.chmod(0o666)


def a_link(path: Path) -> None:
    path.symlink_to("elsewhere.db")


JOURNALS: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "there is none": (no_journal, 65, "`send` makes one"),
    "another file": (another_file, 65, "name another file"),
    "a link": (a_link, 65, "name the journal itself"),
}


@pytest.mark.parametrize(("make", "code", "action"), JOURNALS.values(), ids=JOURNALS)
@pytest.mark.parametrize("command", ["resume", "status", "export"])
async def test_a_journal_that_is_none_says_what_to_do(
    command: str, make: Callable[[Path], None], code: int, action: str, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    make(path)

    assert_helpful(await run(command, "--journal", path, environ=SOUND), code, action)


async def test_a_journal_that_cannot_be_used_now_says_what_to_do(tmp_path: Path) -> None:
    path, file = tmp_path / "journal.db", file_of(tmp_path, made_up_rows(1))
    environ = SOUND | {"VTEX_BASE_URL": "https://acme.example"}
    with held_by_another(path):
        held = await run("resume", "--journal", path, environ=environ)
    other = await run("resume", "--journal", path, environ=SOUND)
    path.chmod(0o644)
    readable = await run("status", "--journal", path)
    in_file = await run("send", file, "--journal", file / "x.db", environ=SOUND)

    assert_helpful(held, 75, "wait for it, or end it")
    assert_helpful(other, 65, "check VTEX_ACCOUNT")
    assert_helpful(readable, 65, "chmod 600 it")
    assert_helpful(in_file, 74, "check its folder and its disk")


async def test_a_journal_with_nothing_to_do_says_what_to_look_at(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    async with Journal.open(path, sandbox.config):
        pass

    ended = await run("resume", "--journal", path, environ=environ_of(sandbox.config))

    assert_helpful(ended, 65, "`vtex-invoice status` says what it holds")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("command", ["export", "check", "status"])
async def test_a_full_disk_says_what_to_do(command: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        await journal.enter(make_entries(3), await journal.begin("send", {}, NOW))
    words, action = {
        "export": (["export", "--journal", path], "make room, and export again"),
        "check": (["check", file_of(tmp_path, [{}])], "make room, and check again"),
        "status": (["status", "--journal", path, "--json"], "what was meant for it is this"),
    }[command]
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        async with started(*words, stdout=full) as process:
            _, stderr = await process.communicate()
    finally:
        os.close(full)

    assert process.returncode == 74
    assert action in stderr.decode()


async def test_a_port_that_is_taken_says_what_to_choose() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = await run("sandbox", "--port", taken.getsockname()[1])

    assert_helpful(ended, 2, "choose another, or 0 for a free one")


TRACKING = {
    "courier": "Correios",
    "trackingNumber": "TRK1",
    "trackingUrl": "https://www.tracking.com/url",
    "dispatchedDate": "2026-01-31T18:25:43-03:00",
}


@pytest.mark.parametrize("command", ["send", "send --verify", "track"])
async def test_credentials_that_vtex_refuses_lead_to_the_doctor(
    command: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    order = sandbox.orders[0]
    rows = [row(order)]
    if command == "track":
        rows = [{"orderId": order.order_id, "invoiceNumber": "NFe1", **TRACKING}]
    environ = environ_of(sandbox.config) | {"VTEX_APP_TOKEN": "another-token"}

    ended = await run(*command.split(), file_of(tmp_path, rows), environ=environ)

    assert_helpful(ended, 77, DOCTOR)


async def test_a_role_that_lacks_something_leads_to_the_doctor(tmp_path: Path) -> None:
    async with Sandbox(orders=1, roles=[Role.VIEW_ORDER]) as sandbox:
        file = file_of(tmp_path, [row(sandbox.orders[0])])
        ended = await run("send", file, environ=environ_of(sandbox.config))

    assert_helpful(ended, 77, DOCTOR)
    assert "it needs Notify invoice" in ended.stderr


async def test_an_invoice_that_vtex_rejects_leads_to_what_can_be_corrected(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    rows = [row(sandbox.orders[0]), *made_up_rows(1)]

    ended = await run("send", file_of(tmp_path, rows), environ=environ_of(sandbox.config))

    assert_helpful(ended, 3, "--state rejected")
    assert "see whether the account has these orders" in ended.stderr


@pytest.mark.parametrize(
    ("error", "was_read", "action"),
    [
        (CallError("no answer", status=None), True, DOCTOR),
        (NotSent("no turn", attempts=0), False, DOCTOR),
        (CallError("no", status=403), True, "VTEX refuses the credentials"),
        (RateLimited("slow", retry_after=900), False, "go on after it"),
    ],
)
def test_what_stops_a_run_says_what_to_do(error: CallError, was_read: bool, action: str) -> None:
    ends = Progress().learn(error, was_read=was_read)

    assert ends is not None
    assert action in ends.reason
