"""Tests that leak, each in one place: `test_canaries.py` runs them, and has them fail.

Run as a module it is a child that writes a token to stdout or to stderr.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.canaries import CUSTOMER, EMBEDDED, KEY_MARK, NAME, TOKEN_MARK
from tests.factories import make_invoice
from tests.journals import NOW, make_entry, only_record, opened
from vtex_invoice_async import ClientConfig, InvoiceJob, Outcome, State
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.events import Sent
from vtex_invoice_async.jobs.sqlite import lock_of
from vtex_invoice_async.sandbox import Sandbox

TOKEN: Final = f"{TOKEN_MARK}planted"


def test_in_a_log() -> None:
    logging.getLogger("aiohttp.client").debug("sent with %s", TOKEN)


def test_in_the_error_of_a_log() -> None:
    logging.getLogger("asyncio").debug("it failed", exc_info=ValueError(TOKEN))


def test_in_a_field_of_a_log() -> None:
    logging.getLogger("backoff").debug("again", extra={"header": {"token": TOKEN}})


def test_in_a_warning() -> None:
    with pytest.warns(UserWarning, match="of "):
        warnings.warn(f"of {KEY_MARK}", UserWarning, stacklevel=1)


def test_on_stdout() -> None:
    sys.stdout.write(NAME)


def test_on_stderr() -> None:
    sys.stderr.write(NAME)


def test_in_captured_output(capsys: pytest.CaptureFixture[str]) -> None:
    sys.stdout.write("+5500999123456")

    capsys.readouterr()


def test_in_a_credential_of_its_own() -> None:
    config = ClientConfig(account="acme", app_key="K", app_token="hunter2hunter2")

    sys.stdout.write(str(config.app_token))


def test_in_the_beginning_of_a_credential() -> None:
    ClientConfig(account="acme", app_key="K", app_token="hunter2hunter2hunter2")

    sys.stdout.write("hunter2hunte")


def child(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.planted_leaks", *arguments], capture_output=True, check=True
    )


def test_on_a_childs_stdout() -> None:
    child("out")


def test_on_a_childs_stderr() -> None:
    child("err")


async def test_in_what_is_read_of_a_child() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.planted_leaks", "out"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None

    await process.stdout.readline()
    await process.wait()


@pytest.mark.parametrize("is_text", [True, False], ids=["text", "bytes"])
@pytest.mark.parametrize("way", ["read", "in_pieces", "line", "lines", "through"])
def test_in_a_pipe_of_a_child(way: str, is_text: bool) -> None:
    command = [sys.executable, "-m", "tests.planted_leaks", "err"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=is_text) as process:
        pipe = process.stderr
        assert pipe is not None

        if way == "through":
            assert len(list(pipe)) == 1
        elif way == "in_pieces":
            while pipe.read(5):
                pass
        else:
            {"read": pipe.read, "line": pipe.readline, "lines": pipe.readlines}[way]()


def test_in_the_arguments_of_a_child() -> None:
    subprocess.run([sys.executable, "-c", "pass", TOKEN], check=True)


def test_on_the_stderr_of_a_sandbox() -> None:
    child("sandbox", "err")


def test_of_a_secret_in_an_export() -> None:
    child("export", "out")


def test_of_what_a_sandbox_said() -> None:
    child("sandbox", "own")

    sys.stdout.write("told-by-a-sandbox")


def test_in_the_text_of_an_error() -> None:
    ConfigError(TOKEN)


@pytest.mark.xfail(raises=LookupError, strict=True)
def test_in_an_error_that_no_test_expects() -> None:
    raise LookupError(TOKEN)


def test_in_the_pickle_of_an_error() -> None:
    error = ConfigError("no")

    vars(error)["header"] = (TOKEN.encode(),)


def test_in_the_cause_of_an_error() -> None:
    with pytest.raises(ConfigError):
        raise ConfigError("no") from OSError(2, "no", TOKEN)


def test_in_a_request_behind_an_error() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"X-VTEX-API-AppToken": TOKEN}))
    url = URL("https://acme.example")
    asked = aiohttp.RequestInfo(url, "GET", headers, url)

    with pytest.raises(ConfigError):
        raise ConfigError("no") from aiohttp.ClientResponseError(asked, ())


def test_in_the_context_of_an_error() -> None:
    error = ConfigError("no")

    error.__context__ = ValueError(TOKEN)


def test_in_a_note_on_an_error() -> None:
    ConfigError("no").add_note(TOKEN)


def test_in_an_event() -> None:
    Sent(
        call=1,
        operation="get_order",
        order_id="maria@cliente.example",
        attempt=1,
        status=None,
        bytes_left=True,
        seconds=0,
        acts=False,
        rate=1,
    )


def test_in_an_outcome() -> None:
    job = InvoiceJob(order_id="maria@cliente.example", invoice=make_invoice())

    Outcome(job=job, state=State.CONFIRMED, attempts=1, elapsed=0)


async def kept(path: Path, state: State = State.CONFIRMED, **facts: Any) -> None:
    """A journal of one invoice, which was closed."""
    async with opened(path) as journal:
        await journal.enter([make_entry(**facts.pop("invoice", {}))], 1)
        intent = await journal.intend(await only_record(journal), NOW)
        await journal.settle(intent, state, **facts)


async def test_in_a_column_of_a_journal(tmp_path: Path) -> None:
    await kept(tmp_path / "journal.db", State.REJECTED, message="of Caixa-de-Areia")


async def test_of_a_secret_in_a_body(tmp_path: Path) -> None:
    await kept(tmp_path / "journal.db", State.REJECTED, invoice={"courier": TOKEN})


async def test_in_a_body_that_was_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await kept(path)

    with closing(sqlite3.connect(path, isolation_level=None)) as journal:
        journal.execute("UPDATE invoice SET body = x'00'")


async def test_in_what_a_journal_erased(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await kept(path)

    with closing(sqlite3.connect(path, isolation_level=None)) as journal:
        journal.execute("PRAGMA secure_delete = OFF")
        journal.execute("UPDATE invoice SET body = ?", (EMBEDDED.encode(),))
        journal.execute("UPDATE invoice SET body = NULL")


async def test_in_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await kept(path)

    with lock_of(path).open("a") as file:
        file.write(NAME)


def test_in_a_report(tmp_path: Path) -> None:
    with (tmp_path / "report.html").open("w") as file:
        file.write(NAME)


def test_in_a_temporary_folder() -> None:
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "rows.tmp").open("w") as file:
        file.write(NAME)


def test_in_a_folder_that_is_left_behind() -> None:
    with (Path(tempfile.mkdtemp()) / "rows.tmp").open("w") as file:
        file.write(NAME)


def test_in_a_folder_that_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    with (folder / "rows.tmp").open("wb") as file:
        file.write(TOKEN.encode("utf-16"))

    shutil.rmtree(folder)


def test_in_a_file_of_the_tests_own_that_was_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("an old one")

    with path.open("w") as file:
        file.write(NAME)


def test_in_what_was_added_to_a_file_of_the_tests_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{CUSTOMER} {EMBEDDED}\n")

    with path.open("a") as file:
        file.write(TOKEN)


async def test_allowed_are_the_body_of_what_is_not_confirmed_and_a_journal_without_one(
    tmp_path: Path,
) -> None:
    invoice = {"embedded_invoice": EMBEDDED}
    await kept(tmp_path / "rejected.db", State.REJECTED, invoice=invoice)
    await kept(tmp_path / "confirmed.db", invoice=invoice)


def test_allowed_is_a_file_of_the_tests_own(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(f"{CUSTOMER} {EMBEDDED} {TOKEN}")


def test_allowed_is_to_add_to_a_file_of_the_tests_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{CUSTOMER} {EMBEDDED} {TOKEN}\n")

    with path.open("a") as file:
        file.write("{}")


def test_allowed_is_what_a_sandbox_says_to_open_it() -> None:
    child("sandbox", "out")


def test_allowed_is_what_is_personal_in_an_export() -> None:
    child("export", "name")


async def test_allowed_is_to_run_a_sandbox() -> None:
    async with Sandbox(1) as sandbox:
        assert TOKEN_MARK in sandbox.app_token
        assert KEY_MARK.upper() in sandbox.app_key


if __name__ == "__main__":
    written = {"out": TOKEN, "name": NAME, "own": '{"app_token":"told-by-a-sandbox"}'}
    stream = sys.stderr if sys.argv[-1] == "err" else sys.stdout
    stream.write(f"{written.get(sys.argv[-1], TOKEN)}\n")
    stream.flush()
    sys.exit(os.EX_OK)
