"""`vtex-invoice send`: a file is checked whole, each invoice is sent once, and the counts are true."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Final

from tests.command_line import (
    STATES,
    Ended,
    ending,
    environ_of,
    file_of,
    json_lines,
    made_up_rows,
    row,
    run,
    started,
)
from tests.raw_server import ORDER, Act, RawServer, answer, raw_server, read_request, reply_with
from vtex_invoice_async.sandbox import Role, Sandbox

# In DESIGN.md's words, section 7.
KEYS: Final = [
    *("planned", "confirmed", "confirmed_by_order", "already_confirmed", "rejected", "not_sent"),
    *("in_doubt", "absent", "conflict", "held", "invalid", "duplicates"),
    *("elapsed_s", "journal", "exit_code"),
]


def assert_counts(ended: Ended, code: int, **counts: int) -> None:
    """Assert how a run ended; a count that is not named is 0."""
    assert ended.code == code, ended.stderr
    summary = ended.summary
    named = dict.fromkeys(KEYS[:12], 0) | counts
    assert {key: summary[key] for key in named} == named, ended.stderr
    assert summary["exit_code"] == code
    assert summary["planned"] == sum(summary[state] for state in STATES)


def rows_of(sandbox: Sandbox) -> list[dict[str, object]]:
    return [row(order) for order in sandbox.orders]


async def test_a_file_is_sent_to_a_sandbox_with_orders_made_for_it(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(20))

    async with started("sandbox", "--orders-for", path, "--json") as server:
        assert server.stdout is not None
        said = json.loads(await server.stdout.readline())
        environ = {f"VTEX_{name.upper()}": value for name, value in said.items()}
        environ["VTEX_BASE_URL"] = environ.pop("VTEX_URL")
        ended = await run("send", path, "--json", environ=environ)
        server.terminate()
        served = await ending(server)

    assert_counts(ended, 0, planned=20, confirmed=20)
    assert list(ended.summary) == KEYS
    assert ended.summary["journal"].endswith("-oms.db")
    assert ended.summary["elapsed_s"] > 0
    assert served.code == 0
    assert "Invoices taken: 20" in served.stderr


async def test_standard_input_and_pipes_are_files_too(sandbox: Sandbox) -> None:
    rows, environ = rows_of(sandbox), environ_of(sandbox.config)

    # A shell makes a pipe of `vtex-invoice send <(zcat invoices.jsonl.gz)`.
    endings = await asyncio.gather(
        run(
            "send", "-", "--json", environ=environ, stdin=f"\ufeff\n{json_lines(rows[:5])}".encode()
        ),
        run("send", "/dev/stdin", "--json", environ=environ, stdin=json_lines(rows[5:]).encode()),
    )

    for ended in endings:
        assert_counts(ended, 0, planned=5, confirmed=5)
    assert list(sandbox.applied.values()) == [1] * 10


async def test_bad_rows_are_told_by_place_and_nothing_is_sent(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    first, second, *others = rows_of(sandbox)
    contrary = first | {"courier": "carrierTwo"}
    path = file_of(tmp_path, [first, second | {"invoiceValue": 24.99}, *others, contrary])
    with path.open("a") as file:
        file.write('{"orderId": \n')
    column = path.read_text().splitlines()[1].index("24.99") + 1

    ended = await run("send", path, "--json", environ=environ_of(sandbox.config))

    assert ended.code == 65
    assert ended.summary["exit_code"] == 65
    # Both rows that contradict each other count.
    assert ended.summary["invalid"] == 4
    assert ended.summary["confirmed"] == 0
    assert f"{path}:2:{column}: invoiceValue: " in ended.stderr
    assert f"{path}:11:" in ended.stderr
    assert f"{path}:12:" in ended.stderr
    assert not sandbox.applied


async def test_warnings_do_not_hide_what_is_wrong(tmp_path: Path) -> None:
    # A file from a system that writes no offsets has a warning for every row.
    without_offset = {"issuanceDate": "2026-01-31T18:25:43"}
    rows = [found | without_offset for found in made_up_rows(60)]
    path = file_of(tmp_path, [*rows, {"orderId": "x-01"}])

    ended = await run("send", path, "--sandbox")

    assert ended.code == 65
    assert f"{path}:1:" in ended.stderr
    assert f"{path}:61:" in ended.stderr


async def test_sound_rows_of_a_file_with_bad_ones_are_sent_on_demand(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    first, second, third, *_ = rows_of(sandbox)
    other = third | {"invoiceValue": 1}
    path = file_of(tmp_path, [first, {"orderId": "x-01"}, third, second, other])

    ended = await run("send", path, "--skip-invalid", "--json", environ=environ_of(sandbox.config))

    # Neither of the two rows that contradict each other is sent.
    assert_counts(ended, 3, planned=2, confirmed=2, invalid=3)
    assert set(sandbox.applied) == {(r["orderId"], r["invoiceNumber"]) for r in (first, second)}


async def test_rows_that_say_the_same_are_sent_once(sandbox: Sandbox, tmp_path: Path) -> None:
    first, second, *_ = rows_of(sandbox)
    reordered = dict(reversed(first.items())) | {"invoiceValue": str(first["invoiceValue"])}
    path = file_of(tmp_path, [first, second, reordered, first])

    ended = await run("send", path, "--json", environ=environ_of(sandbox.config))

    assert_counts(ended, 0, planned=2, confirmed=2, duplicates=2)
    assert list(sandbox.applied.values()) == [1, 1]


async def test_a_file_without_a_row_is_bad_input() -> None:
    ended = await run("send", "-", "--sandbox", "--json", stdin=b"\xef\xbb\xbf\r\n \n")

    assert_counts(ended, 65)
    assert "nothing to send" in ended.stderr


async def test_rows_that_vtex_refuses_are_told_and_the_others_sent(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    first, second, third, *_ = rows_of(sandbox)
    unknown, above = second | {"orderId": "nope-01"}, third | {"invoiceValue": 10**9}
    path = file_of(tmp_path, [unknown, above, first])

    ended = await run("send", path, "--json", environ=environ_of(sandbox.config))

    assert_counts(ended, 3, planned=3, confirmed=1, rejected=2)
    assert f"invoice {unknown['invoiceNumber']}, rejected: " in ended.stderr
    assert "OMS007" in ended.stderr
    assert sandbox.applied == {(first["orderId"], first["invoiceNumber"]): 1}


async def test_nothing_is_sent_where_orders_cannot_be_read(tmp_path: Path) -> None:
    async with Sandbox(5, roles=(Role.NOTIFY_INVOICE,)) as sandbox:
        path = file_of(tmp_path, rows_of(sandbox))
        may_not_read = environ_of(sandbox.config)
        wrong_token = may_not_read | {"VTEX_APP_TOKEN": "WRONGWRONG"}
        ended = [
            await run("send", path, "--json", environ=environ)
            for environ in (may_not_read, wrong_token)
        ]

    for found in ended:
        assert_counts(found, 77, planned=5, not_sent=5)
        assert "credentials or their role" in found.stderr
    assert {arrival.operation for arrival in sandbox.oracle.arrived} == {"get_order"}


async def test_a_refusal_of_who_asks_stops_the_run(tmp_path: Path) -> None:
    async with Sandbox(50, roles=(Role.VIEW_ORDER,)) as sandbox:
        path = file_of(tmp_path, rows_of(sandbox))
        environ = environ_of(sandbox.config)

        ended = await run("send", path, "--concurrency", 2, "--json", environ=environ)

    rejected = ended.summary["rejected"]
    assert_counts(ended, 77, planned=50, rejected=rejected, not_sent=50 - rejected)
    # What is in flight is all that may follow.
    assert 1 <= rejected <= 2
    assert "status 403" in ended.stderr


async def test_a_host_where_nobody_listens_is_unavailable(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(5))
    with socket.socket() as bound:  # nobody else can listen there meanwhile
        bound.bind(("127.0.0.1", 0))
        config = RawServer(port=bound.getsockname()[1]).config()

        ended = await run("send", path, "--json", environ=environ_of(config), patience=60)

    assert_counts(ended, 69, planned=5, not_sent=5)


async def test_a_503_leaves_every_invoice_in_doubt_and_sent_once(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(5))
    busy = answer(b"", status="503 Service Unavailable")

    # One read proves that reading is allowed; from then on nothing works.
    async with raw_server(reply_with(answer(ORDER), busy)) as server:
        options = ("--json", "--settle-window", 0.5)
        ended = await run("send", path, *options, environ=environ_of(server.config()))

    assert_counts(ended, 4, planned=5, in_doubt=5)
    assert sum(request.startswith(b"POST") for request in server.requests) == 5
    assert "under 60 s" in ended.stderr


async def test_a_throttled_invoice_was_not_sent(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(1))
    # More than a run waits for: DESIGN.md, section 4.
    throttled = answer(b"", status="429 Too Many Requests", headers="Retry-After: 301\r\n")

    async with raw_server(reply_with(throttled)) as server:
        ended = await run("send", path, "--json", environ=environ_of(server.config()))

    assert_counts(ended, 75, planned=1, not_sent=1)


async def test_credentials_that_an_answer_echoes_are_not_shown(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(1))

    async with raw_server(echoing) as server:
        config = server.config()
        # `run` asserts that none of them is said.
        ended = await run("send", path, "--json", environ=environ_of(config))

    assert_counts(ended, 3, planned=1, rejected=1)
    assert b"TOKENTOKEN" in server.requests[0]
    assert "your token is" in ended.stderr


async def test_a_rehearsal_leaves_the_machine_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    sale = rows_of(sandbox)[0]
    refund = sale | {"type": "Input", "invoiceNumber": "DEV1"}
    path = file_of(tmp_path, [refund, sale])

    ended = await run("send", path, "--sandbox", "--json", environ=environ_of(sandbox.config))

    assert_counts(ended, 0, planned=2, confirmed=2)
    assert not sandbox.applied


async def test_a_rehearsal_speaks_the_accounts_dialect(tmp_path: Path) -> None:
    found = made_up_rows(1)[0] | {
        "issuedDate": "2026-01-31",
        "items": [{"itemIndex": 0, "price": 2499, "quantity": 1}],
        "cfop": "5100",
    }
    del found["issuanceDate"], found["embeddedInvoice"]
    path = file_of(tmp_path, [found])
    rehearsal = ("send", path, "--sandbox", "--json")

    by_option, by_environ = await asyncio.gather(
        run(*rehearsal, "--orders-api", "pii"),
        run(*rehearsal, environ={"VTEX_ORDERS_API": "pii"}),
    )

    assert_counts(by_option, 0, planned=1, confirmed=1)
    assert_counts(by_environ, 0, planned=1, confirmed=1)


async def test_quiet_says_nothing_where_all_is_well(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(3))

    ended = await run("send", path, "--sandbox", "--quiet")

    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


async def test_quiet_does_not_keep_a_failure_to_itself(tmp_path: Path) -> None:
    path = file_of(tmp_path, [*made_up_rows(1), {"orderId": "x-01"}])

    ended = await run("send", path, "--sandbox", "--skip-invalid", "--quiet")

    assert (ended.code, ended.stdout) == (3, "")
    assert f"{path}:2:1: " in ended.stderr
    assert "confirmed" not in ended.stderr


async def test_a_file_may_be_called_anything(tmp_path: Path) -> None:
    # rich takes `[/b]` for markup; the counts are owed to the user all the same.
    folder = tmp_path / "a["
    folder.mkdir()
    path = file_of(folder, made_up_rows(1), name="b].jsonl")

    ended = await run("send", path, "--sandbox", "--json")

    assert_counts(ended, 0, planned=1, confirmed=1)
    assert f"{path}: 1 confirmed in " in ended.stderr


def echoing(server: RawServer) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            server.record(await read_request(reader))
            headers = server.requests[0].decode()
            token = headers.split("X-VTEX-API-AppToken: ")[1].split("\r\n")[0]
            said = {"error": {"code": "1", "message": f"your token is {token}", "exception": None}}
            writer.write(answer(json.dumps(said).encode(), status="400 Bad Request"))

    return act
