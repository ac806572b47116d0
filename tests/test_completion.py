"""What shells complete: asked of the real ones, as somebody who types would."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command_line import ROOT, TIMEOUT, run
from tests.test_architecture import modules_after

SHELLS = ("bash", "zsh", "fish")


def installed(folder: Path) -> dict[str, str]:
    """An environment in which `vtex-invoice` can be called, wherever it is installed."""
    program = folder / "bin" / "vtex-invoice"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vtex_invoice_async "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    around = {name: value for name, value in os.environ.items() if not name.startswith("VTEX_")}
    path = f"{program.parent}:{around['PATH']}"
    return around | {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder), "TERM": "dumb"}


@pytest.mark.parametrize("shell", SHELLS)
async def test_the_script_says_first_how_it_is_installed(shell: str) -> None:
    ended = await run("completion", shell)

    assert (ended.code, ended.stderr) == (0, "")
    first = ended.stdout.splitlines()[0]
    assert first.startswith("# To install it, ")
    assert f"vtex-invoice completion {shell}" in first
    assert "_VTEX_INVOICE_COMPLETE" in ended.stdout


async def test_another_shell_is_a_usage_error() -> None:
    ended = await run("completion", "tcsh")

    assert (ended.code, ended.stdout) == (2, "")
    assert all(shell in ended.stderr for shell in SHELLS)


ASKED: list[tuple[str, str]] = [
    ("vtex-invoice re", "resume resolve"),
    ("vtex-invoice send --conc", "--concurrency"),
    ("vtex-invoice send --orders-api pii", "pii pii-2022"),
    ("vtex-invoice export --state re", "rejected"),
    ("vtex-invoice completion ", "bash zsh fish"),
]

BASH = """
eval "$(vtex-invoice completion bash)"
COMP_WORDS=({words}); COMP_CWORD={place}
_vtex_invoice_completion vtex-invoice
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(("line", "wanted"), ASKED)
def test_bash_completes_commands_options_and_choices(
    line: str, wanted: str, tmp_path: Path
) -> None:
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)

    ended = subprocess.run(
        ["bash", "--norc", "-c", BASH.format(words=quoted, place=len(words) - 1)],
        env=installed(tmp_path),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )

    assert ended.stderr == ""
    assert set(wanted.split()) <= set(ended.stdout.split())


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
@pytest.mark.parametrize(("line", "wanted"), ASKED)
def test_fish_completes_commands_options_and_choices(
    line: str, wanted: str, tmp_path: Path
) -> None:
    script = f"vtex-invoice completion fish | source; complete -C '{line}'"

    ended = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=installed(tmp_path),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )

    assert set(wanted.split()) <= {told.split("\t")[0] for told in ended.stdout.splitlines()}


def typed(command: list[str], lines: list[str], wanted: str, environ: dict[str, str]) -> str:
    """Type into a shell on a terminal, and return what it shows, once *wanted* is there."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover  the shell itself
        os.execvpe(command[0], command, environ)
    shown = ""
    ends = time.monotonic() + TIMEOUT
    try:
        for line in lines:
            os.write(terminal, line.encode())
        while not re.search(wanted, shown) and time.monotonic() < ends:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
    return shown


@pytest.mark.parametrize(
    ("command", "setup"),
    [
        (["bash", "--norc", "-i"], ""),
        (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u; "),
    ],
    ids=["bash", "zsh"],
)
def test_on_a_terminal_commands_and_files_are_completed(
    command: list[str], setup: str, tmp_path: Path
) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    environ = installed(tmp_path)
    (tmp_path / "invoices-of-may.jsonl").touch()
    install = f'{setup}eval "$(vtex-invoice completion {command[0]})"; cd {tmp_path}\n'

    shown = typed(
        command,
        [install, "vtex-invoice sen\tinvoi\t"],
        r"(?s)vtex-invoice send .*invoices-of-may\.jsonl",
        environ,
    )

    assert re.search(r"(?s)vtex-invoice send .*invoices-of-may\.jsonl", shown)


def test_to_complete_costs_no_more_than_help() -> None:
    loaded = modules_after(
        "import os, sys; sys.argv[1:] = []\n"
        "os.environ |= {'_VTEX_INVOICE_COMPLETE': 'bash_complete',"
        " 'COMP_WORDS': 'vtex-invoice se', 'COMP_CWORD': '1'}\n"
        "from vtex_invoice_async.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code"
    )

    assert "click" in loaded
    assert not loaded & {"aiohttp", "cattrs", "dotenv", "orjson", "rich"}


def test_to_print_a_script_costs_no_more_than_help() -> None:
    loaded = modules_after(
        "import sys; sys.argv[1:] = ['completion', 'zsh']\n"
        "from vtex_invoice_async.__main__ import main; assert main() == 0"
    )

    assert not loaded & {"aiohttp", "cattrs", "dotenv", "orjson", "rich"}
