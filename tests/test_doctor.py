"""What `vtex-invoice doctor` says of settings and of what VTEX lets them do, and how it ends."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.canaries import NET
from tests.command_line import environ_of, run, started
from tests.examined import ALL, SOUND, Found, examined
from tests.failures import close_at_the_next_request, facing
from tests.journals import is_empty
from tests.raw_server import answer, raw_server, reply_with
from vtex_invoice_async.cli.doctor import versions
from vtex_invoice_async.cli.doctor.finding import Finding, Status, failed, ok, warning, worst
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.sandbox import Do, Fault, Sandbox
from vtex_invoice_async.sandbox.desk import Role


async def test_where_all_is_well_it_says_so_and_sends_nothing_but_reads(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    environ = environ_of(sandbox.config) | {"XDG_STATE_HOME": str(tmp_path)}

    ended = await run("doctor", "--json", environ=environ)

    assert ended.code == 0
    said = ended.summary
    assert set(said) == {"checks", "exit_code"}
    assert said["exit_code"] == 0
    assert [check["name"] for check in said["checks"]] == list(ALL)
    assert all(set(check) == {"name", "status", "found", "advice"} for check in said["checks"])
    assert {check["status"] for check in said["checks"]} == {"ok", "skipped"}
    assert ended.stderr.splitlines()[-1] == "All is well."
    assert len(ended.stderr.splitlines()) == len(ALL) + 1
    # The one without credentials is turned away before it is any operation's.
    assert {entry.operation for entry in sandbox.oracle.arrived} == {"get_order"}
    assert is_empty(tmp_path)


async def test_to_be_quiet_is_to_say_only_what_is_wrong(sandbox: Sandbox) -> None:
    environ = environ_of(sandbox.config)

    well = await run("doctor", "--quiet", environ=environ)
    ill = await run("doctor", "--quiet", environ=environ | {"VTEX_APP_TOKEN": "another-token"})

    assert (well.code, well.stdout, well.stderr) == (0, "", "")
    assert (ill.code, ill.stdout) == (77, "")
    assert ill.stderr.startswith("failed   permission: VTEX does not know these credentials")
    assert ill.stderr.count("\n") == 1


async def test_options_and_an_env_file_go_before_as_in_every_command(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "vtex.env"
    path.write_text("".join(f"{k}={v}\n" for k, v in environ_of(sandbox.config).items()))

    from_file = await run("doctor", "--env-file", path, "--json")
    other = await run("doctor", "--env-file", path, "--account", "acme", "--json")

    assert from_file.code == other.code == 0
    (account, credentials, host) = from_file.summary["checks"][:3]
    assert account["found"] == f"{sandbox.account}, from the file {path}"
    assert credentials["found"] == f"key and token, from the file {path}"
    assert host["found"].endswith(f"from the file {path}")
    assert other.summary["checks"][0]["found"] == "acme, from an option"


KEY, TOKEN = SOUND["VTEX_APP_KEY"], SOUND["VTEX_APP_TOKEN"]
NOBODY = {"VTEX_BASE_URL": "http://127.0.0.1:9"}

MISTAKES: dict[str, tuple[str, dict[str, str], str]] = {
    "nothing": ("credentials", {"VTEX_APP_KEY": "", "VTEX_APP_TOKEN": ""}, "VTEX_APP_KEY and VTEX"),
    "no token": ("credentials", {"VTEX_APP_TOKEN": ""}, "not set: VTEX_APP_TOKEN"),
    "swapped": (
        "credentials",
        {"VTEX_APP_KEY": TOKEN, "VTEX_APP_TOKEN": KEY},
        "VTEX_APP_TOKEN and VTEX_APP_KEY are swapped",
    ),
    "twice the key": ("credentials", {"VTEX_APP_TOKEN": KEY}, "holds the key, too"),
    "quotes": ("credentials", {"VTEX_APP_TOKEN": f'"{TOKEN}"'}, "quotes around it"),
    "a space": ("credentials", {"VTEX_APP_KEY": f"{KEY} "}, "a space or a line end around it"),
    "a newline": ("credentials", {"VTEX_APP_TOKEN": f"{TOKEN}\n"}, "a space or a line end"),
    "a space inside": ("credentials", {"VTEX_APP_TOKEN": "TOKEN SECRET"}, "holds a space"),
    "a letter": ("credentials", {"VTEX_APP_TOKEN": "TOKENSECRÉT"}, "not ASCII"),
    "its own name": ("credentials", {"VTEX_APP_KEY": f"VTEX_APP_KEY={KEY}"}, "name of a setting"),
    "a placeholder": ("credentials", {"VTEX_APP_TOKEN": "<your token>"}, "is a placeholder"),
    "the account": ("credentials", {"VTEX_APP_KEY": "acme"}, "is the account's name"),
    "both": ("credentials", {"VTEX_USER_TOKEN": "USERSECRET"}, "both a user token and a key"),
    "no account": ("account", {"VTEX_ACCOUNT": ""}, "is not set"),
    "a host": ("account", {"VTEX_ACCOUNT": "acme.myvtex.com"}, "is an address"),
    "a url": ("account", {"VTEX_ACCOUNT": "https://acme.myvtex.com"}, "is an address"),
    "capitals": ("account", {"VTEX_ACCOUNT": "Acme"}, "capital letters"),
    "an account in quotes": ("account", {"VTEX_ACCOUNT": '"acme"'}, "quotes around it"),
    "a bad account": ("account", {"VTEX_ACCOUNT": "acme_1"}, "no account's name"),
    "a key as account": ("account", {"VTEX_ACCOUNT": KEY}, "holds an app key"),
    "plain http": ("host", {"VTEX_BASE_URL": "http://vtex.example"}, "loopback only"),
    "no url": ("host", {"VTEX_BASE_URL": "vtex.example"}, "must be https://"),
    "an environment": ("host", {"VTEX_ENVIRONMENT": "production"}, "must be one of"),
    "a dialect": ("host", {"VTEX_ORDERS_API": "soap"}, "must be one of"),
}


@pytest.mark.parametrize(("name", "changes", "told"), MISTAKES.values(), ids=MISTAKES)
async def test_a_mistake_in_the_settings_is_named_and_no_value_of_it(
    name: str, changes: dict[str, str], told: str
) -> None:
    environ = SOUND | NOBODY | changes
    for secret in (*SOUND.values(), "USERSECRET"):
        NET.hide("a setting", secret if secret != "acme" else None)

    found = await examined({k: v for k, v in environ.items() if v})

    assert found[name].status is Status.FAILED
    assert told in found[name].found
    assert found[name].code == Exit.USAGE
    assert found["permission"].status is Status.SKIPPED
    assert name in found["permission"].found or "host" in found["permission"].found
    assert list(found) == list(ALL)
    everything = " ".join(f"{f.found} {f.advice}" for f in found.values())
    assert not re.search("SECRET|<your|production|soap", everything)


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("account", {"VTEX_ACCOUNT": "acme--other"}, "workspace--account"),
        ("credentials", {"VTEX_APP_KEY": "a-label"}, "does not begin with vtexappkey-"),
        ("credentials", {"VTEX_APP_KEY": "vtexappkey-beta-KEY"}, "made in another account"),
    ],
)
async def test_what_may_well_be_meant_is_a_warning(
    name: str, changes: dict[str, str], told: str
) -> None:
    found = await examined(SOUND | NOBODY | changes)

    assert found[name].status is Status.WARNING
    assert told in found[name].found
    # What is reached with them is another question.
    assert found.failed == ["connection"]


async def test_a_user_token_is_as_good_as_a_key(sandbox: Sandbox) -> None:
    environ = {**sandbox.environ, "VTEX_USER_TOKEN": sandbox.user_token}
    environ |= {"VTEX_APP_KEY": "", "VTEX_APP_TOKEN": ""}

    found = await examined(environ)

    assert found.code == 0
    assert found["credentials"].found.startswith("a user token, from the environment")


async def test_an_env_file_that_cannot_be_read_is_told_first(tmp_path: Path) -> None:
    path = tmp_path / "vtex.env"
    path.write_bytes(b"\xff\xfeVTEX_ACCOUNT=acme")

    found = await examined({}, env_file=path)

    assert next(iter(found)) == "settings"
    assert found.code == Exit.USAGE
    assert found["dns"].found == "the host is not known"
    assert found["versions"].status is Status.OK


async def test_an_order_is_read_where_one_is_named(sandbox: Sandbox) -> None:
    order = sandbox.orders[0]

    there = await examined(sandbox.environ, order=order.order_id)
    absent = await examined(sandbox.environ, order="1-01")
    no_id = await examined(sandbox.environ, order="a/b")

    assert there["permission"].found == f"order {order.order_id} can be read (handling)"
    assert absent["permission"].found == "orders can be read, but this account has no order 1-01"
    assert (there.code, absent.code, no_id.code) == (0, Exit.USAGE, Exit.USAGE)
    assert absent.failed == no_id.failed == ["permission"]


async def test_what_the_role_lacks_is_named() -> None:
    roles = [role for role in Role if role is not Role.VIEW_ORDER]
    async with Sandbox(orders=1, roles=roles) as sandbox:
        found = await examined(sandbox.environ)

    assert found.failed == ["permission"]
    assert "lacks View order" in found["permission"].found
    assert "Notify invoice" in (found["permission"].advice or "")
    assert found.code == Exit.UNAUTHORIZED


PAGE = b"<html><title>Blocked</title></html>"
AS_PAGE = "Content-Type: text/html\r\n"
ROUTER = b'{"code":"NotFound","message":"Route not found","source":"Vtex.Kube.Router"}'

ANSWERS: dict[str, tuple[bytes, Exit, str]] = {
    "a firewall": (answer(PAGE, status="403 No", headers=AS_PAGE), Exit.UNAUTHORIZED, "firewall"),
    "a portal": (answer(PAGE, headers=AS_PAGE), Exit.NOT_SENT, "cannot be read"),
    "an outage": (answer(b"", status="503 Down"), Exit.NOT_SENT, "503"),
    "a page of an outage": (answer(PAGE, status="502 Bad", headers=AS_PAGE), Exit.NOT_SENT, "502"),
    "throttled": (answer(b"", status="429 Slow"), Exit.NOT_SENT, "throttling"),
    "throttled for long": (
        answer(b"", status="429 Slow", headers="Retry-After: 3000\r\n"),
        Exit.NOT_SENT,
        "throttling",
    ),
    "no account": (
        answer(ROUTER, status="404 No", headers="Content-Type: application/json\r\n"),
        Exit.USAGE,
        "no such account",
    ),
    "an order for everybody": (
        answer(b'{"orderId": "0000000000000-00", "status": "handling", "value": 1, "items": []}'),
        Exit.UNANSWERED,
        "that is not VTEX",
    ),
    "moved": (answer(b"", status="302 Found", headers="Location: /x\r\n"), Exit.NOT_SENT, "302"),
}


@pytest.mark.parametrize(("reply", "code", "told"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_that_is_not_vtex_saying_404_fails(
    reply: bytes, code: Exit, told: str
) -> None:
    async with raw_server(reply_with(reply)) as server:
        found = await examined(SOUND | {"VTEX_BASE_URL": server.url})

    assert found.failed == ["permission"]
    assert told in found["permission"].found
    assert found.code == code
    assert [request.split()[0] for request in server.requests] == [b"GET", b"GET"]
    # The first goes without credentials.
    assert [b"AppToken" in request for request in server.requests] == [False, True]


async def test_an_answer_that_does_not_come_is_told() -> None:
    async with facing(*[close_at_the_next_request] * 3) as (_, server, _):
        found = await examined(SOUND | {"VTEX_BASE_URL": server.url})

    assert found.failed == ["answer"]
    assert found["answer"].found == "the connection went, unanswered"
    assert found.code == Exit.UNANSWERED


async def test_a_read_that_breaks_off_is_told_and_not_tried_again() -> None:
    breaks = Fault(do=Do.RESET, on="get_order", nth=[2])
    async with Sandbox(orders=1, faults=[breaks]) as sandbox:
        found = await examined(sandbox.environ)
        reads = len(sandbox.oracle.arrived)

    assert found.failed == ["permission"]
    assert found.code == Exit.UNANSWERED
    assert reads == 2


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([75, 69], 69),
        ([75, 69, 65], 65),
        ([69, 2], 2),
        ([2, 77], 77),
        ([77, 74], 74),
        ([74, 70], 70),
    ],
)
def test_of_several_failures_the_exit_code_says_the_most(codes: list[int], code: int) -> None:
    findings: list[Finding] = [failed("x", "wrong", "mend it", Exit(found)) for found in codes]

    assert worst([ok("y", "fine"), warning("z", "hm", "look"), *findings]) == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
async def test_what_cannot_be_written_to_stdout_is_the_disks_fault(sandbox: Sandbox) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        environ = environ_of(sandbox.config)
        async with started("doctor", "--json", environ=environ, stdout=full) as process:
            _, stderr = await process.communicate()
    finally:
        os.close(full)

    assert process.returncode == 74
    assert json.loads(stderr.splitlines()[-1])["exit_code"] == 0


def test_versions_are_told_and_those_that_are_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Found((finding.name, finding) for finding in versions.look_at_versions())
    told = {"aiohttp": "3.1.0", "pyarrow": None}
    real = versions._version
    monkeypatch.setattr(versions, "_version", lambda name: told.get(name, real(name)))
    then = Found((finding.name, finding) for finding in versions.look_at_versions())

    assert now["versions"].status is now["extras"].status is Status.OK
    words = ("aiohttp ", "Python ", "SQLite ", "OpenSSL ", "attrs ", "cattrs ", "orjson ")
    assert all(word in now["versions"].found for word in words)
    assert then["versions"].status is Status.WARNING
    assert then["versions"].found.startswith("aiohttp 3.1.0 is older than 3.")
    assert "parquet (for Parquet files)" in then["extras"].found
    assert "pip install" in (then["extras"].advice or "")
