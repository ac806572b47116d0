"""How `vtex-invoice check` ends: on a terminal, at a pipe that closes, on a full disk, at Ctrl-C."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import struct
import termios
from pathlib import Path
from typing import Final

import pytest

from tests.command_line import TIMEOUT, file_of, run, started
from tests.test_check import SUMMARY, TABLE, again, mixed, sound, with_key
from tests.test_cli_journals import on_a_full_disk
from tests.test_disk_full import limited

BORDERS: Final = re.compile("[│─┌┬┐├┼┤└┴┘]|\x1b\\[[0-9;]*m")


async def on_a_terminal(width: int, *arguments: object) -> tuple[int | None, str]:
    """The exit code, and what is shown on a terminal of so many columns."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environ = {"TERM": "xterm", "COLUMNS": ""}
    shown = b""
    async with started(*arguments, environ=environ, stdout=theirs) as process:
        os.close(theirs)
        loop = asyncio.get_running_loop()
        try:
            while piece := await loop.run_in_executor(None, os.read, ours, 65_536):
                shown += piece
        except OSError:
            pass  # so Linux says that nobody writes any more
        os.close(ours)
        code, _ = await ending_without_stdout(process)
    return code, shown.decode()


def without_blanks(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("width", [40, 60, 80, 120, 300])
async def test_nothing_that_a_person_needs_is_cut_on_a_terminal(width: int, tmp_path: Path) -> None:
    path = mixed(tmp_path)

    code, shown = await on_a_terminal(width, "check", path)

    plain = BORDERS.sub("", shown)
    assert max(map(len, plain.splitlines())) <= width
    told = without_blanks(plain)
    places = f"{path}:2:190, {path}:2:243, {path}:3:233"
    told_in_table = TABLE.format(path=path)
    assert told_in_table.count(places) == 1
    for line in told_in_table.replace(places, f"{path}:2:190").replace(":\n", "\n").splitlines():
        assert all(without_blanks(words) in told for words in line.strip().split("  "))
    # Places that do not go on one line are counted.
    assert (without_blanks(places) in told) == (len(places) <= width - 9)
    assert ("and 2 more" in plain) == (width < 2 * len(f"{path}:2:190"))
    assert code == 65


@pytest.mark.parametrize(("room", "told"), [(0, ""), (-1, " and 1 more")])
async def test_as_many_places_are_told_as_go_on_a_line(
    room: int, told: str, tmp_path: Path
) -> None:
    path = mixed(tmp_path)
    places = [f"{path}:{place}" for place in ("2:190", "2:243", "3:233")]
    width = len(f"│ 3 │ {', '.join(places)} │")

    _, shown = await on_a_terminal(width + room, "check", path)

    assert f"{', '.join(places[:2] if told else places)}{told} " in BORDERS.sub("", shown)


async def test_kinds_without_end_are_counted_where_they_are_not_shown(tmp_path: Path) -> None:
    rows = [sound(f"{n}-01", f"NFe{n}") | {f"k{n}": 1} for n in range(103)]
    path = file_of(tmp_path, [*rows, with_key("sku", 0, 1), sound("x-01", "x")])

    ended = await run("check", path)

    # Those with the most come first; of equals, by name.
    assert ended.stdout.startswith("Cannot be sent:\n        2  items[].sku: ")
    assert ended.stdout.count("is not a key") == 100
    assert ended.stdout.endswith("\n... and 4 more kinds, 4 in all; `--output jsonl` has them\n")


@pytest.mark.parametrize("output", ["table", "jsonl", "csv"])
async def test_who_reads_it_may_leave(output: str, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)

    path = mixed(tmp_path)
    async with started("check", path, "--output", output, stdout=write) as process:
        os.close(write)
        ended = await ending_without_stdout(process)

    assert ended == (65, SUMMARY + again(path))


@on_a_full_disk
@pytest.mark.parametrize("output", ["table", "jsonl", "csv"])
async def test_a_list_that_is_not_whole_is_no_success(output: str, tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)

    path = mixed(tmp_path)
    async with started("check", path, "--output", output, stdout=full) as process:
        os.close(full)
        ended = await ending_without_stdout(process)

    told = "stdout: No space left on device; the list is not whole: make room, and check again\n"
    assert ended == (74, told + SUMMARY + again(path))


async def ending_without_stdout(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(TIMEOUT):
        _, told = await process.communicate()
    return process.returncode, told.decode()


async def test_no_room_for_what_is_found_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("x\n" * 80_000)

    ended = await limited(100_000, "check", path, environ={"TMPDIR": str(tmp_path)})

    assert (ended.code, ended.stdout) == (74, "")
    assert re.fullmatch(r"the folder for temporary files, which TMPDIR names: .+\n", ended.stderr)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file of Linux's")
async def test_a_file_that_cannot_be_read_is_told() -> None:
    # It opens, and nothing is where it begins.
    ended = await run("check", "/proc/self/mem")

    assert (ended.code, ended.stdout) == (74, "")
    told = "/proc/self/mem: Input/output error; check the file and its disk, and try again\n"
    assert ended.stderr == told


async def test_it_can_be_interrupted() -> None:
    async with started("check", "-") as process:
        assert process.stdin is not None
        process.stdin.write(b"\n" * 500_000)
        # A pipe holds less than that: it has begun to read.
        async with asyncio.timeout(TIMEOUT):
            await process.stdin.drain()
        process.send_signal(signal.SIGINT)
        ended = await ending_without_stdout(process)

    assert ended == (130, "Interrupted: the check is not whole. Nothing is ever sent by it.\n")
