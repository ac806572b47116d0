"""The command line itself: what it says of itself, what it refuses, and where settings come from."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.command_line import (
    ROOT,
    TIMEOUT,
    Ended,
    ending,
    environ_of,
    file_of,
    made_up_rows,
    row,
    run,
    started,
)
from tests.plain_caller import body_for
from vtex_invoice_async import __version__
from vtex_invoice_async.cli import ABOVE_VALUE, DUPLICATES, EARLY
from vtex_invoice_async.sandbox import Rules, Sandbox
from vtex_invoice_async.sandbox.rules import AboveValue, Duplicates, Early

SOUND = {
    "VTEX_ACCOUNT": "acme",
    "VTEX_APP_KEY": "vtexappkey-acme-SECRET",
    "VTEX_APP_TOKEN": "TOKENSECRET",
}
# A port of the discard protocol: whoever is sent there finds nobody.
NOBODY = "http://127.0.0.1:9"


async def test_help_names_the_commands() -> None:
    ended = await run("--help")

    assert ended.code == 0
    assert all(command in ended.stdout for command in ("demo", "sandbox", "send"))
    assert not ended.stderr


async def test_the_version_is_that_of_the_package() -> None:
    ended = await run("--version")

    assert (ended.code, ended.stderr) == (0, "")
    assert __version__ in ended.stdout


async def test_without_a_command_it_shows_how_it_is_used() -> None:
    ended = await run()

    assert ended.code == 2
    assert "Usage: vtex-invoice" in ended.stdout + ended.stderr


async def test_the_demo_ends_with_json_on_stdout_and_speaks_to_people_on_stderr() -> None:
    ended = await run("demo", "--orders", 50, "--json")

    assert ended.code == 0
    assert json.loads(ended.stdout) == {
        "orders": 50,
        "invoices": {"confirmed": 50},
        "tracking": {"confirmed": 50},
        "sandbox_agrees": True,
    }
    assert "each invoice and each parcel once" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["send", "FILE", "--nonsense"],
        ["send", "not-there.jsonl"],
        ["send", "FILE", "--concurrency", "0"],
        ["send", "FILE", "--env-file", "not-there.env"],
        ["demo", "--orders", "0"],
        ["sandbox", "--orders-for", "not-there.jsonl"],
        ["sandbox", "--orders-for", "FILE", "--orders", "100"],
    ],
    ids=" ".join,
)
async def test_what_it_does_not_understand_is_a_usage_error(
    arguments: list[str], tmp_path: Path
) -> None:
    path = file_of(tmp_path, made_up_rows(1))

    ended = await run(*(str(path) if word == "FILE" else word for word in arguments))

    assert (ended.code, ended.stdout) == (2, "")
    assert "Error: " in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("option", ["--app-key", "--app-token", "--user-token"])
async def test_credentials_are_never_taken_as_options(option: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(1))

    ended = await run("send", path, option, "SECRET", environ=SOUND)

    # Every user of a machine sees the options of every process.
    assert (ended.code, ended.stdout) == (2, "")
    assert f"No such option '{option}'" in ended.stderr


async def test_settings_that_make_no_sense_are_told_in_one_line(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(1))
    table: list[tuple[dict[str, str], str]] = [
        ({}, "VTEX_ACCOUNT"),
        (SOUND | {"VTEX_BASE_URL": "http://vtex.example"}, "https://"),
    ]

    endings = await asyncio.gather(*(run("send", path, environ=environ) for environ, _ in table))

    for ended, (_, named) in zip(endings, table, strict=True):
        assert (ended.code, ended.stdout) == (2, "")
        assert named in ended.stderr
        assert ended.stderr.count("\n") == 1


async def test_an_environment_file_that_is_not_text_is_a_usage_error(tmp_path: Path) -> None:
    path, settings = file_of(tmp_path, made_up_rows(1)), tmp_path / "vtex.env"
    settings.write_bytes(b"\xff\xfeVTEX_ACCOUNT=acme")

    ended = await run("send", path, "--env-file", settings)

    assert ended.code == 2
    assert "Traceback" not in ended.stderr


async def test_an_option_goes_before_the_environment_and_that_before_the_file(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async def send(place: int, in_file: str, in_environ: str | None, option: str | None) -> Ended:
        found = environ_of(sandbox.config) | {"VTEX_BASE_URL": in_file}
        settings = tmp_path / f"{place}.env"
        settings.write_text("".join(f"{name}={value}\n" for name, value in found.items()))
        path = file_of(tmp_path, [row(sandbox.orders[place])], name=f"{place}.jsonl")
        environ = {"VTEX_BASE_URL": in_environ} if in_environ else {}
        options = ["--base-url", option] if option else []
        return await run("send", path, "--env-file", settings, *options, environ=environ)

    endings = await asyncio.gather(
        send(0, sandbox.url, None, None),
        send(1, NOBODY, sandbox.url, None),
        send(2, NOBODY, NOBODY, sandbox.url),
    )

    assert [ended.code for ended in endings] == [0, 0, 0]
    assert sandbox.applied.total() == 3
    assert not any(sandbox.app_token in ended.stdout + ended.stderr for ended in endings)


async def test_the_sandbox_says_in_lines_to_paste_where_it_listens() -> None:
    async with started("sandbox", "--orders", 7) as server:
        assert server.stdout is not None
        lines = [(await server.stdout.readline()).decode() for _ in range(7)]
        server.send_signal(signal.SIGINT)
        served = await ending(server)

    words = [shlex.split(line) for line in lines]
    exported = dict(word.split("=", 1) for _, word in words)
    assert {command for command, _ in words} == {"export"}
    assert set(exported) == {
        "VTEX_ACCOUNT",
        "VTEX_APP_KEY",
        "VTEX_APP_TOKEN",
        "VTEX_USER_TOKEN",
        "VTEX_ENVIRONMENT",
        "VTEX_BASE_URL",
        "VTEX_ORDERS_API",
    }
    assert urlsplit(exported["VTEX_BASE_URL"]).hostname == "127.0.0.1"
    # Pasting is the one place where its secrets are shown.
    assert served.stdout == ""
    assert exported["VTEX_APP_TOKEN"] not in served.stderr
    assert "Orders: 7, such as " in served.stderr
    assert f"Look at it: {exported['VTEX_BASE_URL']}/\n" in served.stderr


async def test_a_sandbox_says_as_json_which_dialect_it_was_asked_for() -> None:
    async with started("sandbox", "--orders-api", "pii", "--json") as server:
        assert server.stdout is not None
        said = json.loads(await server.stdout.readline())
        server.send_signal(signal.SIGINT)
        await ending(server)

    assert said["orders_api"] == "pii"


async def test_a_sandbox_without_orders_names_none() -> None:
    async with started("sandbox", "--orders", 0) as server:
        assert server.stdout is not None
        await server.stdout.readline()
        server.send_signal(signal.SIGINT)
        served = await ending(server)

    assert "Orders: 0. Stop with Ctrl-C." in served.stderr


async def test_a_sandbox_on_a_port_that_is_taken_says_so_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = await run("sandbox", "--port", port)

    assert (ended.code, ended.stdout) == (2, "")
    assert str(port) in ended.stderr
    assert ended.stderr.count("\n") == 1


async def test_a_sandbox_for_a_file_with_bad_rows_calls_it_bad_input(tmp_path: Path) -> None:
    # The first row is sound and only has a warning.
    warned = made_up_rows(1)[0] | {"issuanceDate": "2026-01-31T18:25:43"}
    path = file_of(tmp_path, [warned, {"orderId": "x-01"}])

    ended = await run("sandbox", "--orders-for", path)

    assert (ended.code, ended.stdout) == (65, "")
    assert f"{path}:2:" in ended.stderr


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_extra_it_says_in_one_line_what_to_install(missing: str) -> None:
    # A module that is None in sys.modules cannot be imported, as if it were not installed.
    program = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = ['send', '-', '--sandbox']; "
        "from vtex_invoice_async.__main__ import main; sys.exit(main())"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'vtex-invoice-async[cli]'" in ended.stderr
    assert ended.stderr.count("\n") == 1


async def test_a_sandbox_does_what_its_plan_of_faults_says(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"faults": [{"do": "answer", "on": "get_order", "nth": [1], "status": 503}]}')

    async with started("sandbox", "--faults", path, "--seed", 7, "--json") as server:
        assert server.stdout is not None
        said = json.loads(await asyncio.wait_for(server.stdout.readline(), 30))
        headers = {
            "X-VTEX-API-AppKey": said["app_key"],
            "X-VTEX-API-AppToken": said["app_token"],
        }
        async with aiohttp.ClientSession(headers=headers) as session:
            statuses = []
            for _ in range(2):
                async with session.get(f"{said['url']}/api/oms/pvt/orders/x-01") as heard:
                    statuses.append(heard.status)
        server.terminate()
        await ending(server)

    assert statuses == [503, 404]


@pytest.mark.parametrize(
    ("option", "status", "count"),
    [(("--read-lag", "inf"), "handling", 0), (("--settle-delay", "inf"), "invoice", 1)],
)
async def test_the_rules_of_the_sandbox_are_options_of_its_command(
    option: tuple[str, str], status: str, count: int
) -> None:
    options = (*option, "--duplicates", "reject", "--limit", 0.001)

    async with started("sandbox", *options, "--json") as server:
        assert server.stdout is not None
        said = json.loads(await asyncio.wait_for(server.stdout.readline(), 30))
        order = Sandbox(1).orders[0]
        headers = {
            "X-VTEX-API-AppKey": said["app_key"],
            "X-VTEX-API-AppToken": said["app_token"],
        }
        path = f"{said['url']}/api/oms/pvt/orders/{order.order_id}"
        async with aiohttp.ClientSession(headers=headers) as session:
            statuses = []
            for _ in range(2):
                async with session.post(f"{path}/invoice", json=body_for(order)) as heard:
                    statuses.append(heard.status)
            async with session.get(path) as heard:
                read = await heard.json()
            # The burst that every limit has is spent before the end of this.
            for _ in range(18):
                async with session.get(path) as heard:
                    statuses.append(heard.status)
                    wait = heard.headers.get("Retry-After")
        server.terminate()
        await ending(server)

    assert (statuses, wait) == ([200, 400] + [200] * 17 + [429], "1")
    assert (read["status"], len(read["packageAttachment"]["packages"])) == (status, count)


@pytest.mark.parametrize(
    ("options", "answers"),
    [
        ((), [200, 400]),
        (("--early", "refuse", "--above-value", "take"), [409, 200]),
    ],
)
async def test_an_early_sale_and_one_above_the_value_are_answered_as_chosen(
    options: tuple[str, ...], answers: list[int]
) -> None:
    # The tenth waits for its handling.
    early, other = (Sandbox(10).orders[place] for place in (9, 0))
    above = {**body_for(other), "invoiceValue": str(other.value + 1)}

    async with started("sandbox", *options, "--json") as server:
        assert server.stdout is not None
        said = json.loads(await asyncio.wait_for(server.stdout.readline(), 30))
        headers = {
            "X-VTEX-API-AppKey": said["app_key"],
            "X-VTEX-API-AppToken": said["app_token"],
        }
        statuses = []
        async with aiohttp.ClientSession(headers=headers) as session:
            for order, body in ((early, body_for(early)), (other, above)):
                path = f"{said['url']}/api/oms/pvt/orders/{order.order_id}/invoice"
                async with session.post(path, json=body) as heard:
                    statuses.append(heard.status)
        server.terminate()
        await ending(server)

    assert statuses == answers


def test_the_choices_of_the_command_are_those_of_the_sandbox() -> None:
    assert get_args(Duplicates) == DUPLICATES
    assert get_args(Early) == EARLY
    assert get_args(AboveValue) == ABOVE_VALUE
    defaults = Rules()
    first = (DUPLICATES[0], EARLY[0], ABOVE_VALUE[0])
    assert (defaults.duplicates, defaults.early, defaults.above_value) == first


@pytest.mark.parametrize(
    "wrong",
    [
        ("--duplicates", "twice"),
        ("--early", "maybe"),
        ("--above-value", "maybe"),
        ("--read-lag", -1),
        ("--settle-delay", "nan"),
        ("--limit", 0),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(wrong: tuple[object, ...]) -> None:
    ended = await run("sandbox", *wrong)

    assert (ended.code, ended.stdout) == (2, "")


@pytest.mark.parametrize("plan", ["{", '{"faults": [{"do": "explode", "nth": [1]}]}', "[]"])
async def test_a_plan_of_faults_that_makes_no_sense_is_refused(plan: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(plan)

    ended = await run("sandbox", "--faults", path)

    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
