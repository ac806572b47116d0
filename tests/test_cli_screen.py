"""When it is shown how something goes, and to whom: by a clock that the test sets."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console

from tests.terminal import Glass
from vtex_invoice_async.cli.checking import Checking
from vtex_invoice_async.cli.facts import Facts
from vtex_invoice_async.cli.screen import screen
from vtex_invoice_async.cli.watch import SHOWN_OF_A_KIND, Naming

FACTS: Final = Facts(phase="Sending", done=3, total=20, counts={"confirmed": 3})


class Tty(io.StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Time as the test has it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def console(file: io.StringIO, **options: Any) -> Console:
    found: dict[str, Any] = {"file": file, "markup": False, "highlight": False, "width": 60}
    return Console(**found, **options)


def test_where_there_is_no_terminal_a_line_comes_every_five_seconds() -> None:
    file, clock = io.StringIO(), Clock()
    shown = screen(console(file), clock=clock)

    with shown.showing(lambda elapsed: Facts(phase="Sending", total=20, elapsed=elapsed)):
        for _ in range(120):
            clock.now += 0.1
            shown.tick()

    assert file.getvalue() == (
        "Sending: 0 of 20 (0%); 0:05 so far\nSending: 0 of 20 (0%); 0:10 so far\n"
    )


@pytest.mark.parametrize("file", [io.StringIO(), Tty()])
def test_who_wants_it_quiet_is_shown_nothing(file: io.StringIO) -> None:
    clock = Clock()
    shown = screen(console(file), quiet=True, clock=clock)

    with shown.showing(lambda _: FACTS):
        clock.now += 60
        shown.tick()

    assert file.getvalue() == ""


def test_colours_in_a_file_are_no_reason_to_move_a_cursor_there() -> None:
    file, clock = io.StringIO(), Clock()
    shown = screen(console(file, force_terminal=True), clock=clock)

    with shown.showing(lambda _: FACTS):
        clock.now += 5
        shown.tick()

    assert file.getvalue() == "Sending: 3 of 20 (15%); 3 confirmed; 0:00 so far\n"


def test_on_a_terminal_it_is_painted_at_most_ten_times_a_second() -> None:
    file, clock, glass = Tty(), Clock(), Glass(60)
    printed = console(file, force_terminal=True, color_system=None)
    shown = screen(printed, clock=clock)
    paintings = 0

    def facts(_: float) -> Facts:
        nonlocal paintings
        paintings += 1
        return FACTS

    with shown.showing(facts):
        for at in range(1_000):
            clock.now += 0.01
            shown.tick()
            if at == 500:
                printed.print("something happened")
        glass.feed(file.getvalue())
        assert glass.rows[0] == "something happened"
        assert glass.rows[1].startswith("Sending  ━━")
        assert glass.rows[2] == "3 confirmed"
        assert len(glass.rows) == 3
    file.seek(0)
    glass = Glass(60)
    glass.feed(file.read())

    assert 40 <= paintings <= 100
    # What did not change is not painted again: the first, and around what was printed.
    assert file.getvalue().count("Sending") == 2
    assert glass.rows == ["something happened"]
    assert glass.longest == 1


def test_a_file_is_read_under_the_eyes_of_who_waits(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x\n" * 50)
    checking = Checking(screen(console(io.StringIO()), clock=Clock()), [str(path)])

    with path.open("rb", buffering=0) as file:
        checking.began(file)
        for _ in checking.counted(file.readline() for _ in range(20)):
            pass
        facts = checking.facts(1.0)
    after = checking.facts(2.0)

    assert (facts.done, facts.share) == (20, 0.4)
    assert after.share == 1


def test_of_a_pipe_or_a_zip_it_is_not_known_how_much_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK")

    for source in ("-", str(path), str(tmp_path)):
        checking = Checking(screen(console(io.StringIO())), [source])
        checking.began(io.BytesIO(b"x"))
        assert checking.facts(1.0).share is None


def test_of_those_that_end_alike_the_first_are_named() -> None:
    file = io.StringIO()
    naming = Naming(console(file, soft_wrap=True), "invoices")

    for n in range(60):
        naming.name(n + 1, f"NFe{n}", "not_sent", "[bold]\x1b[31m\nwhy")
    naming.name(None, "NFe99", "rejected", "x" * 200)

    lines = file.getvalue().splitlines()
    assert lines[0] == "line 1, invoice NFe0, not sent: [bold] [31m why"
    assert lines[SHOWN_OF_A_KIND:] == [
        "More invoices are not sent: the end counts them by reason.",
        f"invoice NFe99, rejected: {'x' * 200}",
    ]
