"""What `vtex-invoice doctor` says of a journal and of where it is; it changes nothing of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.command_line import environ_of, run
from tests.examined import SOUND, Found, examined
from tests.journals import NOW, brought_to, content_of, made, make_entries, opened, put, records_of
from tests.test_journal_lock import held_by_another
from vtex_invoice_async.cli.doctor.finding import Status
from vtex_invoice_async.cli.doctor.journal import (
    MEBIBYTE,
    file_system_finding,
    kind_of_mount,
    space_finding,
)
from vtex_invoice_async.jobs.lock import WIDTH
from vtex_invoice_async.jobs.sqlite import VERSION, lock_of
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.outcome import State
from vtex_invoice_async.sandbox import Sandbox

# That of `tests.journals.HEADER`; its name is never found.
OURS = SOUND | {"VTEX_BASE_URL": "https://acme.example", "VTEX_ACCOUNT": "acme"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


async def look(path: Path, **environ: str) -> Found:
    found = await examined(OURS | environ, journal=path, seconds=2)
    assert set(found.failed) - {"dns"} == {n for n in found.failed if n.startswith(("j", "f"))}
    return found


def about(found: Found) -> dict[str, str]:
    """How the checks of the journal ended, but for those that are well."""
    names = ("folder", "journal", "journal-lock", "journal-rows")
    return {n: str(found[n].status) for n in names if found[n].status is not Status.OK}


async def settle_all(path: Path) -> None:
    async with opened(path) as journal:
        await journal.enter(make_entries(3), await journal.begin("send", {}, NOW))
        for record in await records_of(journal):
            await brought_to(journal, record, State.CONFIRMED)


async def test_a_sound_journal_is_said_to_be_so_and_left_as_it_is(path: Path) -> None:
    await settle_all(path)
    before = content_of(path), content_of(lock_of(path))

    found = await look(path)

    assert about(found) == {}
    assert "of acme at https://acme.example:443 (oms)" in found["journal"].found
    assert found["journal"].found.endswith(f"schema {VERSION}, mode 0600")
    assert found["journal-rows"].found == "all 3 are sound"
    assert found["journal-lock"].found == "nobody holds it"
    assert (content_of(path), content_of(lock_of(path))) == before


async def test_what_is_not_final_is_a_warning_with_the_command_that_goes_on(path: Path) -> None:
    await made(path, 10)

    found = await look(path)

    assert about(found) == {"journal-rows": "warning"}
    assert found["journal-rows"].found == "all 10 are sound; 6 are not final"
    assert found["journal-rows"].advice == f"go on with: vtex-invoice resume --journal {path}"


async def test_the_command_that_goes_on_has_the_settings_that_were_given(path: Path) -> None:
    await made(path, 10)
    file = path.with_name("my settings.env")
    file.write_text("".join(f"{name}={value}\n" for name, value in OURS.items()))

    found = await examined({}, journal=path, env_file=file, seconds=2)

    resume = f"vtex-invoice resume --env-file '{file}' --journal {path}"
    assert found["journal-rows"].advice == f"go on with: {resume}"


async def test_the_journal_of_the_account_is_looked_for_where_send_makes_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    environ = environ_of(sandbox.config) | {"XDG_STATE_HOME": str(tmp_path / "state")}

    ended = await run("doctor", environ=environ)

    assert ended.code == 0
    assert f"journal: {tmp_path}/state/vtex-invoice/{sandbox.account}@127.0.0.1-" in ended.stderr
    assert f"folder: {tmp_path}/state/vtex-invoice, to be made in {tmp_path}" in ended.stderr
    assert "skipped  journal-rows: there is no journal yet" in ended.stderr


async def test_a_journal_that_a_run_holds_is_read_beside_it(path: Path) -> None:
    with held_by_another(path) as holder:
        found = await look(path)

    assert about(found) == {"journal-lock": "failed", "journal-rows": "warning"}
    assert f"process {holder.pid} on " in found["journal-lock"].found
    assert found["journal-lock"].code == Exit.NOT_SENT
    assert found["journal-rows"].found == "all 3 are sound; 3 are not final"


def alter(statement: str) -> Callable[[Path], None]:
    def altered(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(statement)

    return altered


def lose_the_tail(path: Path) -> None:
    put(lock_of(path), b"%0*d\n" % (WIDTH, 10_000))


def open_to_others(path: Path) -> None:
    path.chmod(0o644)


def overwrite(path: Path) -> None:
    put(path, b"This is no database, however long one looks at it." * 100)


def drop_an_index(path: Path) -> None:
    # An index that lacks a row would let its invoice in a second time.
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'invoice_key'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(content_of(path))
    # The number of cells of the page.
    at = (root - 1) * size + 3
    count = int.from_bytes(content[at : at + 2], "big")
    content[at : at + 2] = (count - 1).to_bytes(2, "big")
    put(path, bytes(content))


WRONG: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a row that was altered": (
        alter("UPDATE invoice SET value = value + 1 WHERE seq = 2"),
        "journal",
        "not what was written",
    ),
    "a row that is gone": (alter("DELETE FROM invoice WHERE seq = 2"), "journal", "is gone"),
    "an index without a row": (drop_an_index, "journal", "is damaged"),
    "another program's file": (overwrite, "journal", "is not a journal"),
    "a later version": (alter("PRAGMA user_version = 9"), "journal", "by a later version"),
    "a mode for all": (open_to_others, "journal", "chmod 600"),
    "the last changes lost": (lose_the_tail, "journal-rows", "changes are lost"),
    "a lock with other words": (
        lambda path: put(lock_of(path), b"what is this?"),
        "journal",
        "not what was written",
    ),
    "gone": (lambda path: path.unlink(), "journal", "is gone, though it held"),
}


@pytest.mark.parametrize(("spoil", "name", "told"), WRONG.values(), ids=WRONG)
async def test_a_journal_that_send_would_refuse_is_bad(
    path: Path, spoil: Callable[[Path], None], name: str, told: str
) -> None:
    await settle_all(path)
    spoil(path)

    found = await look(path)

    assert found[name].status is Status.FAILED
    assert told in found[name].found
    assert found[name].code == Exit.BAD_INPUT
    assert found["journal-rows"].status is not Status.OK


async def test_the_journal_of_another_account_host_or_family_is_bad(path: Path) -> None:
    await settle_all(path)

    for changes in (
        {"VTEX_ACCOUNT": "other"},
        {"VTEX_BASE_URL": "https://other.example"},
        {"VTEX_ORDERS_API": "pii"},
    ):
        found = await look(path, **changes)

        assert found["journal"].status is Status.FAILED
        assert "and not of " in found["journal"].found
        assert found["journal"].code == Exit.BAD_INPUT
        # What is in it can be read all the same.
        assert found["journal-rows"].status is Status.OK


async def test_a_journal_is_looked_at_without_credentials(path: Path) -> None:
    await settle_all(path)

    found = await examined(
        {"VTEX_ACCOUNT": "acme"} | {"VTEX_BASE_URL": OURS["VTEX_BASE_URL"]}, journal=path
    )

    assert about(found) == {}
    assert "credentials" in found.failed


async def test_an_address_is_no_journal_and_its_password_is_not_told() -> None:
    found = await examined(OURS, journal="postgresql://user:PASSWORD@db.example/x", seconds=2)

    assert found["journal"].status is Status.FAILED
    assert found["journal"].code == Exit.USAGE
    assert "PASSWORD" not in " ".join(f"{f.found} {f.advice}" for f in found.values())


async def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    put(tmp_path / "file", b"")

    found = await look(tmp_path / "file" / "journal.db")

    assert found["folder"].status is Status.FAILED
    assert found["folder"].code == Exit.DISK


@pytest.mark.parametrize(
    ("free", "status", "code"),
    [
        (1_000 * MEBIBYTE, Status.OK, 0),
        (100 * MEBIBYTE, Status.WARNING, 0),
        (MEBIBYTE, Status.FAILED, Exit.DISK),
    ],
)
def test_a_disk_that_is_almost_full_is_told(free: int, status: Status, code: int) -> None:
    found = space_finding(free)

    assert (found.status, found.code) == (status, code)


MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/local xfs rw 0 0
//server/share /mnt/my\\040share cifs rw 0 0
/dev/sda2 /home/local ext4 rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("folder", "kind", "status"),
    [
        ("/var/lib", "ext4", Status.OK),
        ("/home/me/.local/state", "nfs4", Status.WARNING),
        # What is mounted later hides what was there.
        ("/home/local/me", "ext4", Status.OK),
        ("/homework", "ext4", Status.OK),
        ("/mnt/my share/x", "cifs", Status.WARNING),
    ],
)
def test_a_networks_file_system_is_a_warning(folder: str, kind: str, status: Status) -> None:
    found = kind_of_mount(MOUNTS, Path(folder))

    assert found == kind
    assert file_system_finding(found).status is status


def test_what_a_system_does_not_tell_is_skipped() -> None:
    assert kind_of_mount("", Path("/var")) is None
    assert file_system_finding(None).status is Status.SKIPPED
