"""PII files that name lines by SKU: the order tells the indexes, and only those are sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import Ended, ending, environ_of, file_of, run, started
from tests.notes import Line, line_with, make_note, written_to
from tests.test_cli_send import assert_counts
from vtex_invoice_async import Order
from vtex_invoice_async.sandbox import Do, Fault, Sandbox


def by_sku(order: Order, **changes: object) -> dict[str, Any]:
    """A row of the PII dialect with the SKUs of an order instead of its indexes."""
    items = [
        {"id": x.id, "price": (x.selling_price or 0) * x.quantity, "quantity": x.quantity}
        for x in reversed(order.items)
    ]
    sound = {
        "orderId": order.order_id,
        "type": "Output",
        "invoiceNumber": f"NFe{order.sequence}",
        "invoiceValue": order.value,
        "issuedDate": "2026-01-31",
        "items": items,
    }
    return sound | changes


def of_many_lines(sandbox: Sandbox) -> list[Order]:
    return [o for o in sandbox.orders if len(o.items) > 1 and o.status == "handling"]


async def send(sandbox: Sandbox, path: Path, *arguments: object) -> Ended:
    environ = environ_of(sandbox.config) | {"VTEX_ORDERS_API": "pii"}
    return await run("send", path, *arguments, "--json", environ=environ)


async def test_the_order_tells_the_indexes_and_the_file_is_known_again(tmp_path: Path) -> None:
    async with Sandbox(20) as sandbox:
        orders = of_many_lines(sandbox)
        path, journal = file_of(tmp_path, map(by_sku, orders)), tmp_path / "j.db"
        verify = ("--verify", "--strict", "--journal", journal)

        first = await send(sandbox, path, *verify)
        again = await send(sandbox, path, *verify)

        count = len(orders)
        assert_counts(first, 0, planned=count, confirmed=count)
        assert_counts(again, 0, planned=count, confirmed=count, already_confirmed=count)
        assert set(sandbox.applied.values()) == {1}
        for order in sandbox.orders:
            for package in order.packages or ():
                indexes = [item.item_index for item in package.items]
                assert indexes == [*reversed(range(len(order.items)))]


async def test_a_sku_is_never_sent_on_pii(tmp_path: Path) -> None:
    refused = Fault(do=Do.ANSWER, on="notify_invoice", status=400, body="No", nth=(1,))
    async with Sandbox(1, faults=[refused]) as sandbox:
        order, journal = sandbox.orders[0], tmp_path / "j.db"
        ended = await send(
            sandbox, file_of(tmp_path, [by_sku(order)]), "--verify", "--journal", journal
        )
        environ = environ_of(sandbox.config) | {"VTEX_ORDERS_API": "pii"}
        exported = await run("export", "--journal", journal, environ=environ)
        bodies = [json.loads(line) for line in exported.stdout.splitlines()]
        # What an export writes has its indexes, and is a file that needs no order.
        resent = await send(sandbox, file_of(tmp_path, bodies, "again.jsonl"), "--journal", journal)

    assert_counts(ended, 3, planned=1, rejected=1)
    assert [sorted(item) for item in bodies[0]["items"]] == len(order.items) * [
        ["itemIndex", "price", "quantity"]
    ]
    assert_counts(resent, 0, planned=1, confirmed=1)


async def test_without_its_order_a_row_needs_indexes(tmp_path: Path) -> None:
    async with Sandbox(1) as sandbox:
        path = file_of(tmp_path, [by_sku(sandbox.orders[0])])

        ended = await send(sandbox, path)

    assert ended.code == 65
    assert f"{path}:1:" in ended.stderr
    assert "items[0].itemIndex: is missing: with --verify " in ended.stderr
    assert "--verify" in ended.stderr
    assert not sandbox.applied


@pytest.mark.parametrize("verify", [(), ("--verify",)])
async def test_an_item_may_have_both(verify: tuple[str, ...], tmp_path: Path) -> None:
    async with Sandbox(1) as sandbox:
        order = sandbox.orders[0]
        items = [
            {"id": line.id, "itemIndex": at, "price": 1, "quantity": line.quantity}
            for at, line in enumerate(order.items)
        ]

        ended = await send(sandbox, file_of(tmp_path, [by_sku(order, items=items)]), *verify)

    assert_counts(ended, 0, planned=1, confirmed=1)


async def test_what_names_no_line_or_two_is_told(tmp_path: Path) -> None:
    async with Sandbox(20) as sandbox:
        first, second, third, *_ = of_many_lines(sandbox)
        contrary = [{"id": second.items[1].id, "itemIndex": 0, "price": 1, "quantity": 1}]
        rows = [
            by_sku(first, items=[{"id": "0000", "price": 1, "quantity": 1}]),
            by_sku(second, items=contrary),
            by_sku(third),
        ]
        path = file_of(tmp_path, rows)

        ended = await send(sandbox, path, "--verify", "--skip-invalid")

    assert_counts(ended, 3, planned=1, confirmed=1, invalid=2)
    assert f"{path}:1:" in ended.stderr
    assert "items[0].id: the order has no SKU 0000" in ended.stderr
    assert "items[0].itemIndex: line 0 of the order is SKU" in ended.stderr


async def test_such_files_are_rehearsed_and_served(tmp_path: Path) -> None:
    path = file_of(tmp_path, map(by_sku, Sandbox(9).orders))
    options = ("--verify", "--strict", "--json")

    rehearsed = await run("send", path, "--sandbox", *options, environ={"VTEX_ORDERS_API": "pii"})
    serve = ("sandbox", "--orders-for", path, "--orders-api", "pii", "--json")
    async with started(*serve) as server:
        assert server.stdout is not None
        said = json.loads(await server.stdout.readline())
        environ = {f"VTEX_{name.upper()}": value for name, value in said.items()}
        environ["VTEX_BASE_URL"] = environ.pop("VTEX_URL")
        sent = await run("send", path, *options, environ=environ)
        server.terminate()
        await ending(server)

    assert_counts(rehearsed, 0, planned=9, confirmed=9)
    assert_counts(sent, 0, planned=9, confirmed=9)


def note_of(order: Order, number: int, *more: Line) -> str:
    """A note of all that an order has: of each line a first piece, and then the others."""
    lines = [(str(line.id), count) for line in order.items for count in (1, line.quantity - 1)]
    sold = [Line(sku, f"{count}.0000", "0.00") for sku, count in lines if count]
    value = f"{order.value // 100}.{order.value % 100:02}"
    return make_note(number, *reversed(sold), *more, value=value, order=order.order_id)


async def test_notes_are_told_their_lines_by_the_orders(tmp_path: Path) -> None:
    async with Sandbox(40) as sandbox:
        first, second, third, *_ = of_many_lines(sandbox)
        texts = {
            "1.xml": note_of(first, 1),
            "2.xml": note_of(second, 2, Line("0000", "1", "0.00")),
            "3.xml": note_of(third, 3, Line(str(third.items[0].id), "1.0000", "0.00")),
        }
        folder = written_to(tmp_path / "notas", texts)
        journal = ("--journal", tmp_path / "j.db", "--order-id-from", "xPed")

        without = await send(sandbox, folder, *journal)
        whole = await send(sandbox, folder, "--verify", *journal)
        nothing_sent = not sandbox.applied
        ended = await send(sandbox, folder, "--verify", "--skip-invalid", *journal)
        again = await send(sandbox, folder, "--verify", "--skip-invalid", *journal)
        applied = dict(sandbox.applied)
        sold = next(o for o in sandbox.orders if o.order_id == first.order_id)

    assert (without.code, whole.code, nothing_sent) == (65, 65, True)
    assert "with --verify" in without.stderr
    assert_counts(ended, 3, planned=1, confirmed=1, invalid=2)
    assert_counts(again, 3, planned=1, confirmed=1, already_confirmed=1, invalid=2)
    assert applied == {(first.order_id, "1"): 1}
    (package,) = sold.packages or ()
    assert {item.item_index: item.quantity for item in package.items} == {
        at: line.quantity for at, line in enumerate(first.items)
    }
    # Where it stands in the file, and not the place of the file among the others.
    line, column = line_with(texts["2.xml"], "<cProd>0000")
    assert f"{folder}/2.xml:{line}:{column}: items[" in ended.stderr
    line, column = line_with(texts["3.xml"], f"<cProd>{third.items[0].id}")
    assert f"{folder}/3.xml:{line + 2}:{column}: items[" in ended.stderr
