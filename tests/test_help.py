"""What the command line says of itself: complete, the same everywhere, and readable where it is narrow."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.command_line import ROOT, TIMEOUT, run
from vtex_invoice_async import __version__
from vtex_invoice_async.cli import main
from vtex_invoice_async.cli.group import EXAMPLES, EXIT_CODES, SECTIONS
from vtex_invoice_async.jobs.summary import Exit

COMMANDS = sorted(main.commands)
VARIABLES = (
    "ACCOUNT",
    "APP_KEY",
    "APP_TOKEN",
    "USER_TOKEN",
    "ENVIRONMENT",
    "BASE_URL",
    "ORDERS_API",
)

DIFFERENT = {
    # Of one attempt, or of all checks; of what is sent, or of what is served; and so on.
    ("doctor", "--timeout"),
    ("doctor", "--quiet"),
    ("check", "--quiet"),
    ("check", "--verify"),
    ("report", "--format"),
    ("sandbox", "--orders-api"),
    ("sandbox", "--orders"),
    ("sandbox", "--json"),
}
"""Options that mean something else in a command than in the others."""


def help_of(*words: str, width: int = 80) -> str:
    ended = CliRunner().invoke(
        main, [*words, "--help"], terminal_width=width, max_content_width=width
    )
    assert ended.exit_code == 0
    return ended.output


def options() -> Iterator[tuple[str, click.Option]]:
    for name, command in main.commands.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield name, parameter


def test_the_whole_lists_every_command_setting_and_exit_code() -> None:
    told = help_of()

    assert all(re.search(rf"^  {name} +\w", told, re.MULTILINE) for name in COMMANDS)
    assert all(re.search(rf"^  VTEX_{name} +\w", told, re.MULTILINE) for name in VARIABLES)
    codes = {int(code) for codes, _ in EXIT_CODES for code in codes.split(", ")}
    assert {int(code) for code in Exit} | {129, 130, 143} == codes
    assert all(example in told for example in EXAMPLES[""])


def test_the_commands_come_in_the_order_in_which_they_are_needed() -> None:
    told = help_of()
    order = ["demo", "doctor", "check", "send", "resume", "resolve", "status", "export", "sandbox"]

    places = [re.search(rf"^  {name} ", told, re.MULTILINE) for name in order]

    assert all(places)
    starts = [place.start() for place in places if place]
    assert starts == sorted(starts)
    # What has no place of its own would come under another title.
    assert "Others:" not in told
    assert set(COMMANDS) <= {name for names in SECTIONS.values() for name in names}


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS)], ids=" ".join)
def test_help_fits_into_a_narrow_terminal(words: tuple[str, ...], width: int) -> None:
    told = help_of(*words, width=width)

    assert max(map(len, told.splitlines())) <= width
    assert "..." not in re.sub(r"VTEX_\.\.\.|\[ARGS\]\.\.\.|FILES\.\.\.", "", told)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_names_it(name: str) -> None:
    told = help_of(name)

    _, title, examples = told.rpartition("Example")
    assert title
    assert f"vtex-invoice {name}" in examples


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name])
def test_the_options_of_an_example_are_those_of_its_command(name: str) -> None:
    known = {flag for p in main.commands[name].params for flag in p.opts}

    for example in EXAMPLES[name]:
        assert set(re.findall(r"--[a-z-]+", example)) <= known


def test_an_option_has_one_help_wherever_it_is() -> None:
    told: dict[str, set[str | None]] = {}
    for command, option in options():
        assert option.help, f"{command} {option.opts[0]}"
        if (command, option.opts[0]) not in DIFFERENT:
            told.setdefault(option.opts[0], set()).add(option.help)

    assert {name: helps for name, helps in told.items() if len(helps) > 1} == {}


def test_every_command_that_reads_settings_takes_them_from_a_file_too() -> None:
    reading = {command for command, option in options() if "--account" in option.opts}
    with_file = {command for command, option in options() if "--env-file" in option.opts}

    assert reading == with_file
    assert {"check", "send", "resume", "resolve", "status", "export", "track", "doctor"} <= reading


def test_an_option_that_goes_before_a_variable_names_it() -> None:
    for command, option in options():
        if option.opts[0] in {"--account", "--base-url", "--orders-api"} and command != "sandbox":
            name = option.opts[0].removeprefix("--").replace("-", "_").upper()
            assert f"VTEX_{name}" in (option.help or "")


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["snd"], "did you mean 'send'?"),
        (["doctr"], "did you mean 'doctor'?"),
        (["xyzzy"], "one of demo, "),
        (["send", "-", "--concurency", "3"], "'--concurrency'"),
        (["export", "--stat", "x"], "'--state'"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
async def test_what_was_mistyped_is_told_with_the_near_one(words: list[str], near: str) -> None:
    ended = await run(*words)

    assert (ended.code, ended.stdout) == (2, "")
    assert near in ended.stderr


@pytest.mark.parametrize(
    "words", [["-h"], ["--version"], ["send"], ["snd"], ["status"]], ids=" ".join
)
def test_the_console_command_and_the_module_are_the_same(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VTEX_ACCOUNT", raising=False)
    module = [sys.executable, "-m", "vtex_invoice_async"]
    # What an installed script does.
    script = [
        sys.executable,
        "-c",
        "import sys; from vtex_invoice_async.__main__ import main; sys.exit(main())",
    ]

    ended = [
        subprocess.run(
            [*program, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        for program in (module, script)
    ]

    first, second = ((e.returncode, e.stdout, e.stderr) for e in ended)
    assert first == second
    assert "__main__" not in first[1] + first[2]


async def test_the_version_says_which_python_it_is() -> None:
    ended = await run("--version")

    python = ".".join(map(str, sys.version_info[:3]))
    assert ended.stdout == f"vtex-invoice {__version__} (Python {python}, {sys.platform})\n"
