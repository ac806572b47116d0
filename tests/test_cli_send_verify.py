"""`vtex-invoice send --verify`: each order is read first, and what it has against a row is told."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.command_line import (
    Ended,
    ending,
    environ_of,
    file_of,
    made_up_rows,
    row,
    run,
    started,
    until,
)
from tests.raw_server import RawServer
from tests.test_cli_send import assert_counts
from vtex_invoice_async import Order
from vtex_invoice_async.sandbox import Do, Fault, Role, Sandbox


def in_handling(sandbox: Sandbox) -> list[Order]:
    return [order for order in sandbox.orders if order.status == "handling"]


def reads(sandbox: Sandbox) -> int:
    return sum(entry.operation == "get_order" for entry in sandbox.oracle.arrived)


def returned(order: Order, **changes: object) -> dict[str, object]:
    return row(order, type="Input", invoiceNumber=f"RET{order.sequence}", **changes)


async def send(sandbox: Sandbox, *arguments: object, **environ: str) -> Ended:
    given = environ_of(sandbox.config) | environ
    return await run("send", *arguments, "--verify", "--json", environ=given)


def column(path: Path, line: int, text: str) -> str:
    """Where a text stands in a file, as it is told."""
    at = path.read_text(encoding="utf-8").splitlines()[line - 1].index(text) + 1
    return f"{path}:{line}:{at}: "


async def test_a_file_that_fits_its_orders_is_sent(sandbox: Sandbox, tmp_path: Path) -> None:
    orders = in_handling(sandbox)
    path = file_of(tmp_path, [row(order) for order in orders])

    ended = await send(sandbox, path, "--strict", "--concurrency", 3)

    assert_counts(ended, 0, planned=9, confirmed=9)
    assert set(sandbox.applied.values()) == {1}


async def test_what_an_order_has_against_a_row_is_told_by_its_place_and_nothing_is_sent(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    first, second, third, fourth, *_ = in_handling(sandbox)
    unknown = row(third, items=[{"id": "0000", "price": 1, "quantity": 1}])
    stranger = row(fourth, orderId="1170000000000-01")
    early = row(next(order for order in sandbox.orders if order.status != "handling"))
    rows = [row(first, invoiceValue=first.value + 1), row(second), unknown, stranger, early]
    path = file_of(tmp_path, rows)

    ended = await send(sandbox, path)

    assert ended.code == ended.summary["exit_code"] == 65
    assert ended.summary["invalid"] == 4
    assert ended.summary["planned"] == ended.summary["not_sent"] == 1
    value = str(first.value + 1)
    assert f"{column(path, 1, value)}invoiceValue: is above the {first.value}" in ended.stderr
    assert f"{column(path, 3, chr(34) + '0000')}items[0].id: " in ended.stderr
    assert f"{column(path, 4, chr(34) + '1170000000000-01')}orderId: VTEX does not" in ended.stderr
    assert f"{path}:5:13: orderId: is ready-for-handling" in ended.stderr
    assert f"{path}:2:" not in ended.stderr
    assert "Nothing was sent. Rows that cannot be sent: 4." in ended.stderr
    assert not sandbox.applied


async def test_sound_rows_are_sent_on_demand_and_the_others_are_not(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    first, second, *_ = in_handling(sandbox)
    rows = [row(first, invoiceValue=first.value + 1), row(second), {"orderId": "x-01"}]

    ended = await send(sandbox, file_of(tmp_path, rows), "--skip-invalid")

    assert_counts(ended, 3, planned=1, confirmed=1, invalid=2)
    assert list(sandbox.applied) == [(second.order_id, f"NFe{second.sequence}")]


async def test_a_file_of_which_no_row_is_left_is_not_sent(sandbox: Sandbox, tmp_path: Path) -> None:
    first, *_ = in_handling(sandbox)
    path = file_of(tmp_path, [row(first, invoiceValue=first.value + 1)])

    ended = await send(sandbox, path, "--skip-invalid")

    assert ended.code == 65
    assert ended.summary["invalid"] == 1
    assert ended.summary["planned"] == 0
    assert "There is nothing to send" in ended.stderr


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 65)])
async def test_a_warning_refuses_only_strictly(
    strict: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    asked = evolve(Sandbox(1).orders[0], status="cancellation-requested")
    async with Sandbox([asked]) as sandbox:
        path = file_of(tmp_path, [row(asked)])

        ended = await send(sandbox, path, *strict)

        taken = sandbox.applied.total()
    assert ended.code == code, ended.stderr
    assert taken == (code == 0)
    word = "" if strict else "warning: "
    assert f"{path}:1:13: {word}orderId: is cancellation-requested" in ended.stderr


async def test_invoices_of_one_order_are_looked_at_one_after_another(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    first, second, third, *_ = in_handling(sandbox)
    part = second.value // 3
    rows = [
        # As they are sent, and not as they stand here.
        *(returned(first, invoiceValue=first.value), row(first)),
        *(row(second, invoiceNumber=f"P{n}", invoiceValue=part, items=[]) for n in range(4)),
        row(third, invoiceValue=third.value - 1),
        row(third, invoiceNumber="MORE", invoiceValue=2),
    ]
    path = file_of(tmp_path, rows)

    ended = await send(sandbox, path, "--skip-invalid")

    assert_counts(ended, 3, planned=6, confirmed=6, invalid=2)
    assert f"{path}:6:" in ended.stderr
    assert f"{path}:8:" in ended.stderr
    assert set(sandbox.applied.values()) == {1}


async def test_what_the_journal_has_is_not_read_again(sandbox: Sandbox, tmp_path: Path) -> None:
    orders = in_handling(sandbox)
    path, journal = file_of(tmp_path, [row(order) for order in orders]), tmp_path / "j.db"
    await send(sandbox, path, "--journal", journal)
    before = reads(sandbox)

    # Its order shows what is to be sent, which would be told of a row that is new.
    ended = await send(sandbox, path, "--journal", journal)
    anew = await send(sandbox, path, "--journal", tmp_path / "new.db")

    assert_counts(ended, 0, planned=9, confirmed=9, already_confirmed=9)
    assert anew.code == 65
    assert anew.stderr.count("is on the order already") == 9
    assert reads(sandbox) == before + 9
    assert set(sandbox.applied.values()) == {1}


async def test_what_was_sent_a_moment_ago_counts_before_its_order_shows_it(tmp_path: Path) -> None:
    late = Fault(do=Do.LAG, on="notify_invoice", seconds=600, nth=(1,))
    async with Sandbox(1, faults=[late]) as sandbox:
        (order,) = sandbox.orders
        sale, journal = row(order), tmp_path / "j.db"
        first = await send(sandbox, file_of(tmp_path, [sale]), "--journal", journal)
        more = [sale, row(order, invoiceNumber="MORE"), returned(order)]

        both = await send(sandbox, file_of(tmp_path, more), "--journal", journal, "--skip-invalid")

    assert_counts(first, 0, planned=1, confirmed=1)
    assert_counts(both, 3, planned=2, confirmed=2, already_confirmed=1, invalid=1)
    assert "is above the 0 that are left" in both.stderr
    assert "nothing can return" not in both.stderr


async def test_what_was_rejected_is_looked_at_again(tmp_path: Path) -> None:
    async with Sandbox(2, early="refuse") as sandbox:
        orders = in_handling(sandbox)
        journal = tmp_path / "j.db"
        wrong = [row(order, invoiceValue=order.value + 1) for order in orders]
        path = file_of(tmp_path, wrong)
        told = await run("send", path, "--journal", journal, environ=environ_of(sandbox.config))
        again = await send(sandbox, path, "--journal", journal)
        right = file_of(tmp_path, [row(order) for order in orders])
        at_last = await send(sandbox, right, "--journal", journal)

    assert told.code == 3
    assert again.code == 65
    assert_counts(at_last, 0, planned=2, confirmed=2)


async def test_wrong_credentials_send_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    path = file_of(tmp_path, [row(order) for order in in_handling(sandbox)])

    ended = await send(sandbox, path, VTEX_APP_TOKEN="wrong-words")

    assert_counts(ended, 77, planned=9, not_sent=9)
    assert not sandbox.applied


async def test_a_role_that_may_not_read_sends_nothing(tmp_path: Path) -> None:
    async with Sandbox(2, roles=[Role.NOTIFY_INVOICE]) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])

        ended = await send(sandbox, path)

        assert_counts(ended, 77, planned=2, not_sent=2)
        assert not sandbox.applied


async def test_nothing_is_sent_while_vtex_is_silent(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(2))
    with socket.socket() as bound:  # nobody else can listen there meanwhile
        bound.bind(("127.0.0.1", 0))
        environ = environ_of(RawServer(port=bound.getsockname()[1]).config())

        ended = await run("send", path, "--verify", "--json", environ=environ, patience=60)

    assert_counts(ended, 69, planned=2, not_sent=2)
    assert "Nothing was sent: not every order could be read." in ended.stderr


async def test_nothing_is_sent_while_vtex_throttles(tmp_path: Path) -> None:
    throttled = Fault(
        do=Do.ANSWER, on="get_order", status=429, headers={"Retry-After": "301"}, nth=(2,)
    )
    async with Sandbox(3, faults=[throttled]) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])

        ended = await send(sandbox, path, "--concurrency", 1)

        assert_counts(ended, 75, planned=3, not_sent=3)
        assert not sandbox.applied


async def test_an_order_that_cannot_be_read_is_a_bad_row(tmp_path: Path) -> None:
    refused = Fault(do=Do.ANSWER, on="get_order", status=400, body="No", nth=(1,))
    async with Sandbox(2, faults=[refused]) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])

        ended = await send(sandbox, path, "--concurrency", 1)

        assert ended.code == 65
        assert f"{path}:1:13: orderId: cannot be read: VTEX refused" in ended.stderr
        assert ended.summary["invalid"] == 1
        assert not sandbox.applied


async def test_an_answer_about_another_order_says_which(tmp_path: Path) -> None:
    other = '{"orderId": "SLR-v2-01", "value": 1, "packageAttachment": {"packages": []}}'
    answer = Fault(do=Do.ANSWER, on="get_order", status=200, body=other, nth=(1,))
    async with Sandbox(1, faults=[answer]) as sandbox:
        path = file_of(tmp_path, [row(sandbox.orders[0])])

        ended = await send(sandbox, path)

        assert ended.code == 65
        assert f"{path}:1:13: orderId: VTEX answers with order SLR-v2-01: if" in ended.stderr
        assert not sandbox.applied


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_the_reading_at_once(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    hanging = Fault(do=Do.HANG, on="get_order", rate=1.0)
    async with Sandbox(9, faults=[hanging]) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])
        environ = environ_of(sandbox.config)
        async with started("send", path, "--verify", "--json", environ=environ) as process:
            await until(lambda: reads(sandbox) >= 3)
            process.send_signal(number)
            async with asyncio.timeout(5):
                ended = await ending(process)

    assert_counts(ended, code, planned=9, not_sent=9)
    assert "Interrupted: nothing was sent." in ended.stderr
    assert not sandbox.applied


async def test_what_was_verified_and_not_sent_is_gone_on_with(tmp_path: Path) -> None:
    throttled = Fault(
        do=Do.ANSWER, on="notify_invoice", status=429, headers={"Retry-After": "301"}, nth=(2,)
    )
    async with Sandbox(5, faults=[throttled]) as sandbox:
        path, journal = file_of(tmp_path, [row(o) for o in sandbox.orders]), tmp_path / "j.db"
        cut = await send(sandbox, path, "--concurrency", 1, "--journal", journal)
        environ = environ_of(sandbox.config)
        resumed = await run("resume", "--journal", journal, "--json", environ=environ)

        assert_counts(cut, 75, planned=5, confirmed=1, not_sent=4)
        assert_counts(resumed, 0, planned=4, confirmed=4)
        assert set(sandbox.applied.values()) == {1}


async def test_a_rehearsal_verifies_too(tmp_path: Path) -> None:
    orders = Sandbox(9).orders
    rows: list[dict[str, Any]] = [row(order) for order in orders]
    rows.append(returned(orders[0]))
    path = file_of(tmp_path, rows)

    ended = await run("send", path, "--sandbox", "--verify", "--strict", "--json")

    assert_counts(ended, 0, planned=10, confirmed=10)
