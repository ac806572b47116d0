"""Every block of shell in the README does what it says, and what it shows is what is to be seen."""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
import pytest

from tests.notes import Line, make_note, written_to, zipped
from tests.readme import blocks
from tests.terminal import Glass
from vtex_invoice_async.cli.sandbox import orders_for
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.sources import read
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.vocabulary import OrdersApi

WIDTH = 100
"""Of the terminal that the README shows."""

IS_RUN_ELSEWHERE = ("vtex-invoice demo", "pytest -q")
"""`tests/test_cli.py` runs the demo, and whoever runs this runs the tests."""


def shell_block(text: str) -> str:
    (found,) = [block for block in blocks("sh") if text in block]
    return found


def shown_block(text: str) -> str:
    (found,) = [block for block in blocks("text") if text in block]
    return found.rstrip("\n")


@pytest.fixture
def around(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has just installed it."""
    here = {name: value for name, value in os.environ.items() if not name.startswith("VTEX_")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # pytest in several processes tells each how wide it is.
    own = {"COLUMNS": "", "LC_ALL": "C.UTF-8", "XDG_STATE_HOME": str(tmp_path / "state")}
    return {**here, **own, "PATH": path}


def bash(script: str, folder: Path, around: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=around,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@contextmanager
def on_a_terminal(
    script: str, folder: Path, around: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run *script* on a terminal; what is seen there is read by `seen`."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env={**around, "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        process.stdout = screen
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def seen(process: subprocess.Popen[bytes], until: Callable[[str], bool] = lambda _: False) -> str:
    """What a person has seen, when *until* is so or the program has ended."""
    assert process.stdout is not None
    glass, decoder = Glass(WIDTH), codecs.getincrementaldecoder("utf-8")()
    while not until(glass.text):
        try:
            piece = process.stdout.read(65_536)
        except OSError:
            break  # so Linux says that nobody writes any more
        if not piece:
            break
        glass.feed(decoder.decode(piece))
    return glass.text.strip("\n")


def orders_file(folder: Path, *, mended: bool) -> Path:
    block, _ = blocks("csv")
    path = folder / "orders.csv"
    path.write_text(block.replace("24,99", "2499").replace("1003/A", "1003") if mended else block)
    return path


def sandbox_for(path: Path, latency: float = 0) -> Sandbox:
    with Plan(OrdersApi.OMS) as plan:
        assert not [
            p for p in plan.take(read([str(path)], OrdersApi.OMS)) if p.problem.severity == "refuse"
        ]
        return Sandbox(orders_for(plan.entries()), latency=latency)


def posted(sandbox: Sandbox) -> list[str]:
    """The orders for which an invoice has come in, whatever has become of it."""
    arrived = sandbox.oracle.arrived
    return [entry.order_id for entry in arrived if entry.operation == "notify_invoice"]


def masked(line: str) -> str:
    """A line without what differs between two runs."""
    line = re.sub(r"\d{4}-\d\d-\d\dT[\d:+]+", "<time>", line)
    return re.sub(r"\d+\.\d( s|/s)", r"<n>\1", line)


def test_every_shell_block_is_tested_here() -> None:
    assert len(blocks("sh")) == 9


def test_the_demo_shows_what_the_readme_shows(tmp_path: Path, around: dict[str, str]) -> None:
    shown = shown_block("tracking per second")

    with on_a_terminal("vtex-invoice demo --orders 64", tmp_path, around) as running:
        lines = seen(running).splitlines()

    named = [re.sub(r" +[\d,]+( ms)?$|^[\d,]+ ", "", line) for line in lines]
    assert named == [re.sub(r" +[\d,]+( ms)?$|^[\d,]+ ", "", line) for line in shown.splitlines()]


def test_the_check_shows_what_the_readme_shows(tmp_path: Path, around: dict[str, str]) -> None:
    orders_file(tmp_path, mended=False)

    with on_a_terminal("vtex-invoice check orders.csv", tmp_path, around) as running:
        assert seen(running) == shown_block("Cannot be sent")


def test_the_rehearsal_shows_what_the_readme_shows(tmp_path: Path, around: dict[str, str]) -> None:
    orders_file(tmp_path, mended=True)

    with on_a_terminal("vtex-invoice send orders.csv --sandbox", tmp_path, around) as running:
        assert masked(seen(running)) == masked(shown_block("It was a rehearsal"))


def test_what_is_set_is_examined_and_sent(tmp_path: Path, around: dict[str, str]) -> None:
    settings, _, commands = shell_block("vtex-invoice doctor\nvtex-invoice send").partition("\n")
    path = orders_file(tmp_path, mended=True)

    with sandbox_for(path) as sandbox:
        ended = bash(f"set -e\n{commands}", tmp_path, {**around, **sandbox.environ})

        assert settings.startswith("export VTEX_ACCOUNT=")
        assert ended.returncode == 0, ended.stderr
        assert sandbox.applied.total() == 3


def test_a_sandbox_in_one_terminal_and_a_run_in_another(
    tmp_path: Path, around: dict[str, str]
) -> None:
    orders_file(tmp_path, mended=True)
    serve = shell_block("| tee sandbox.env").replace("--latency 3", "--latency 0")

    with on_a_terminal(serve, tmp_path, around) as serving:
        told = seen(serving, lambda text: "Look at it: " in text and "ORDERS_API" in text)
        ended = bash(shell_block(". ./sandbox.env"), tmp_path, around)

    assert "--latency 0" in serve
    assert told.count("export VTEX_") == 7
    assert ended.returncode == 0, ended.stderr
    assert "all 3 confirmed" in ended.stderr


def test_a_run_that_is_killed_goes_on_as_the_readme_shows(
    tmp_path: Path, around: dict[str, str]
) -> None:
    path = orders_file(tmp_path, mended=True)
    shown = shown_block("$ vtex-invoice status")

    with sandbox_for(path, latency=2) as sandbox:
        around |= sandbox.environ
        with on_a_terminal("exec vtex-invoice send orders.csv", tmp_path, around) as running:
            seen(running, lambda text: "3 in flight" in text and len(posted(sandbox)) == 3)
            running.kill()
        status, resume = re.findall(r"^\$ (.*)$", shown, re.MULTILINE)
        with on_a_terminal(f"{status}; {resume}", tmp_path, around) as running:
            said = [masked(line) for line in seen(running).split("\n")]

        assert set(sandbox.applied.values()) == {1}

    told = [line for line in shown.split("\n") if line and not line.startswith(("$", "..."))]
    assert [line for line in told if masked(line) not in said] == []
    (ending,) = [line for line in shown.split("\n") if line.startswith("... ")]
    assert masked(ending.removeprefix("... ")) in " ".join(said)


def test_the_order_that_the_awaited_call_is_for_is_served(
    tmp_path: Path, around: dict[str, str]
) -> None:
    block = shell_block("> invoices.jsonl")

    with on_a_terminal(block, tmp_path, around) as serving:
        told = seen(serving, lambda text: "Look at it: " in text)

    assert "such as 1172452900788-01" in told


@pytest.mark.parametrize("is_sound", [True, False])
def test_every_night(tmp_path: Path, around: dict[str, str], *, is_sound: bool) -> None:
    line = orjson.loads(blocks("json")[1])
    for folder in ("out", "sent"):
        (tmp_path / folder).mkdir()
    (tmp_path / "out" / "a.jsonl").write_bytes(orjson.dumps(line) + b"\n")
    rejected = {**line, "orderId": "1172452900799-01", "invoiceValue": 999_999}
    sandbox = sandbox_for(tmp_path / "out" / "a.jsonl")
    if not is_sound:
        (tmp_path / "out" / "b.jsonl").write_bytes(orjson.dumps(rejected) + b"\n")

    with sandbox:
        ended = bash(shell_block("set -- out"), tmp_path, {**around, **sandbox.environ})

    assert ended.returncode == (0 if is_sound else 3), ended.stderr
    assert orjson.loads((tmp_path / "summary.json").read_bytes())["confirmed"] == 1
    assert (tmp_path / "sent" / "a.jsonl").exists()
    assert (
        [*tmp_path.glob("report-*.html")] == [] if is_sound else [*tmp_path.glob("report-*.html")]
    )


def test_the_notes(tmp_path: Path, around: dict[str, str]) -> None:
    first, rehearsed, third = shell_block("vtex-invoice send notas/").splitlines()
    notes = {
        f"11724529{n}-01.xml": make_note(n, Line(), order=f"11724529{n}-01") for n in (7881, 7882)
    }
    written_to(tmp_path / "notas", notes)
    (tmp_path / "notas.zip").write_bytes(zipped(notes))
    mapped = "".join(f"{n};11724529{n}-01\n" for n in (7881, 7882))
    (tmp_path / "map.csv").write_text(f"invoiceNumber;orderId\n{mapped}")

    for command in (first, rehearsed, third):
        rehearsal = command if command is rehearsed else f"{command.partition('#')[0]} --sandbox"
        ended = bash(rehearsal, tmp_path, around)

        assert ended.returncode == 0, ended.stderr
        assert "all 2 confirmed" in ended.stderr


def test_the_commands_one_after_another(tmp_path: Path, around: dict[str, str]) -> None:
    line = orjson.loads(blocks("json")[1])
    (tmp_path / "invoices.jsonl").write_bytes(orjson.dumps(line) + b"\n")
    tracking = {
        "orderId": line["orderId"],
        "invoiceNumber": line["invoiceNumber"],
        "courier": "Correios",
        "trackingNumber": "BR1",
        "trackingUrl": "https://www.tracking.com/url",
        "dispatchedDate": "2026-02-01T00:00:00Z",
    }
    (tmp_path / "tracking.jsonl").write_bytes(orjson.dumps(tracking) + b"\n")
    commands = shell_block("vtex-invoice track").splitlines()
    nothing_is_left = ("resume", "resolve")

    with sandbox_for(tmp_path / "invoices.jsonl") as sandbox:
        for command in commands:
            ended = bash(command, tmp_path, {**around, **sandbox.environ})

            expected = 65 if command.split()[1] in nothing_is_left else 0
            assert ended.returncode == expected, (command, ended.stderr)

        assert sandbox.book.tracked == sandbox.applied
        assert sandbox.applied.total() == 1
    assert len(commands) == 11
