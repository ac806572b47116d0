"""What a person sees of a command on a terminal: a real one, which is resized and typed on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.command_line import environ_of, file_of, made_up_rows, row, run
from tests.raw_faults import hang_after_post
from tests.raw_server import raw_server
from tests.terminal import Glass, terminal
from vtex_invoice_async.sandbox import Do, Fault, Sandbox


def rejecting(*nth: int) -> Fault:
    body = '{"error": {"code": "OMS007", "message": "[bold]no[/bold]"}}'
    return Fault(do=Do.ANSWER, on="notify_invoice", nth=nth, status=400, body=body)


@pytest.mark.parametrize("width", [20, 33, 60, 80, 120])
async def test_two_lines_stay_below_what_is_printed_and_go_when_it_is_over(
    width: int, tmp_path: Path
) -> None:
    async with Sandbox(60, latency=0.05, faults=[rejecting(5, 30)]) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])
        options = ("--concurrency", 2, "--journal", tmp_path / "j.db")
        environ = environ_of(sandbox.config)
        async with terminal("send", path, *options, width=width, environ=environ) as shown:
            await shown.shows("Sending")
            await shown.shows("invoice NFe")
            code = await shown.ends()

    told = shown.glass.text
    assert code == 3
    # No trace of them is left, and nothing of what was printed above them was lost.
    assert "in flight" not in told
    assert "Sending" not in told
    assert len(re.findall("rejected: status 400, OMS007", told)) == 2 or width < 60
    assert "58" in told
    assert "2 rejected (400 OMS007): [bold]no[/bold]" in " ".join(told.split())


async def test_it_stays_in_its_two_lines_when_the_terminal_is_resized(tmp_path: Path) -> None:
    async with Sandbox(200, latency=0.1, faults=[rejecting(1)]) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])
        environ = environ_of(sandbox.config)
        options = ("--concurrency", 2, "--journal", tmp_path / "j.db")
        async with terminal("send", path, *options, width=100, environ=environ) as shown:
            await shown.shows("1 rejected")
            for width in (47, 20, 81, 7, 120):
                shown.resize(width)
                # Whatever the old lines had become is gone with the second picture.
                await shown.pictures(2)
                live = [line for line in shown.glass.text.splitlines() if line.strip()][-2:]
                assert all(len(line) < width for line in live), live
                assert shown.glass.text.count("Sending"[: width - 2]) == 1, shown.glass.text
                assert shown.glass.text.count("rejected: status 400") == 1
            shown.type(b"\x03")
            assert await shown.ends() == 130
    assert "Sending" not in shown.glass.text


async def test_ctrl_c_is_answered_at_once_with_what_happens_next(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(10))

    async with raw_server(hang_after_post) as server:
        environ = environ_of(server.config())
        options = ("--concurrency", 3, "--journal", tmp_path / "j.db")
        async with terminal("send", path, *options, width=120, environ=environ) as shown:
            await shown.shows("3 in flight")
            shown.type(b"\x03")
            await shown.shows(
                "Interrupted: 3 in flight are awaited (at most 30 s), nothing more is sent. Ctrl-C"
            )
            # It has not ended, and still shows what it waits for.
            await shown.shows(lambda glass: glass.rows[-2].startswith("Ending"))
            shown.type(b"\x03")
            await shown.shows("Leaving at once: 3 in flight stay in doubt; the journal has them")
            code = await shown.ends()

    told = shown.glass.text
    assert code == 130
    assert "^C" not in told
    assert re.search(r"in doubt +3\n", told)
    assert f"    vtex-invoice resume --journal {tmp_path / 'j.db'} --concurrency 3\n" in told


async def test_ctrl_c_is_answered_while_a_file_is_checked(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(40_000))
    check = ("check", path)
    for command, words in (
        (check, "Interrupted: the check is not whole."),
        (("send", path, "--sandbox"), "Interrupted while the file was checked: nothing was sent."),
    ):
        async with terminal(*command) as shown:
            await shown.shows(
                lambda glass: re.search(r"Checking .* rows +\d%", glass.text) is not None
            )
            shown.type(b"\x03")
            await shown.shows(words)
            assert await shown.ends() == 130
        assert "rows" not in shown.glass.text.replace("Checking", "")


@pytest.mark.parametrize("locale", ["C", "POSIX"])
async def test_a_terminal_that_has_only_ascii_is_sent_nothing_else(
    locale: str, tmp_path: Path
) -> None:
    rows = made_up_rows(30)
    rows[3]["invoiceValue"] = -1
    path = file_of(tmp_path, rows)

    async with terminal("send", path, "--sandbox", environ={"LC_ALL": locale}) as shown:
        code = await shown.ends()

    assert code == 65
    assert "Checking" in shown.written
    assert shown.written.isascii()


async def test_no_colour_and_no_bar_where_they_are_not_wanted(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(5))

    async with terminal("send", path, "--sandbox", environ={"NO_COLOR": "1"}) as plain:
        assert await plain.ends() == 0
    async with terminal("send", path, "--sandbox", environ={"TERM": "dumb"}) as dumb:
        assert await dumb.ends() == 0
    forced = await run("send", path, "--sandbox", environ={"FORCE_COLOR": "1"})

    assert "Checking" in plain.written
    # Bold is no colour.
    assert not re.search(r"\x1b\[\d*;?3\dm", plain.written)
    assert "\x1b" not in dumb.written
    assert "Checking" not in dumb.written
    assert "Checking" not in forced.stderr
    assert "\x1b[" in forced.stderr
    assert "\x1b[J" not in forced.stderr


def test_a_glass_shows_what_a_terminal_shows() -> None:
    glass = Glass(4)
    glass.feed("abcdef\nx\r\x1b[2A\x1b[Jyz")
    assert glass.rows == ["yz"]
