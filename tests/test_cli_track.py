"""`vtex-invoice track`: what orders do not show yet is sent once, and what fails can be sent again."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from tests.command_line import (
    TIMEOUT,
    Ended,
    ending,
    environ_of,
    file_of,
    json_lines,
    run,
    started,
    until,
)
from vtex_invoice_async import InvoiceType, Order, Package
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.sandbox.desk import Role
from vtex_invoice_async.sandbox.faults import Do, Fault

STATES: Final = ("confirmed", "skipped", "rejected", "not_sent", "in_doubt")
KEYS: Final = ["planned", *STATES, "invalid", "duplicates", "elapsed_s", "exit_code"]


def invoiced(count: int) -> list[Order]:
    """Orders with an invoice each, of which nobody has tracking yet."""
    return [
        Order(
            order_id=f"1172452{n:06}-01",
            value=2499,
            packages=(
                Package(invoice_number=f"NFe{n}", invoice_value=2499, type=InvoiceType.OUTPUT),
            ),
        )
        for n in range(count)
    ]


def parcel(order: Order, **changes: object) -> dict[str, object]:
    """A row that says where the parcel of an order is."""
    (package,) = order.packages or ()
    sound: dict[str, object] = {
        "orderId": order.order_id,
        "invoiceNumber": package.invoice_number,
        "courier": "carrierOne",
        "trackingNumber": f"TRK-{package.invoice_number}",
        "trackingUrl": None,
        "dispatchedDate": "2026-02-01T08:00:00-03:00",
    }
    return sound | changes


def news(order: Order, description: str = "delivered", **changes: object) -> dict[str, object]:
    """A row that says how far it came."""
    (package,) = order.packages or ()
    delivered = description == "delivered"
    event = {
        "city": "Niterói",
        "state": "RJ",
        "description": description,
        "date": "2026-02-03",
    }
    sound: dict[str, object] = {
        "orderId": order.order_id,
        "invoiceNumber": package.invoice_number,
        "isDelivered": delivered,
        "deliveredDate": "2026-02-03 10:30" if delivered else None,
        "events": [event],
    }
    return sound | changes


async def track(sandbox: Sandbox, rows: Iterable[object], *options: object) -> Ended:
    """Send *rows* from standard input, and end with the summary."""
    environ, content = environ_of(sandbox.config), json_lines(rows).encode()
    return await run("track", "-", *options, "--json", environ=environ, stdin=content)


def said(ended: Ended) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows that failed, and the summary behind them."""
    *rows, summary = [json.loads(line) for line in ended.stdout.splitlines()]
    return rows, summary


def assert_counts(ended: Ended, code: int, **counts: int) -> list[dict[str, Any]]:
    """Assert how a run ended, a count that is not named being 0; return the rows that failed."""
    assert ended.code == code, ended.stderr
    rows, summary = said(ended)
    assert list(summary) == KEYS
    named = dict.fromkeys(KEYS[:8], 0) | counts
    assert {key: summary[key] for key in named} == named, ended.stderr
    assert summary["exit_code"] == code
    assert summary["planned"] == sum(summary[state] for state in STATES)
    return rows


def done(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(did.operation, did.order_id) for did in sandbox.oracle.applied]


def reads(sandbox: Sandbox) -> int:
    return sum(came.operation == "get_order" for came in sandbox.oracle.arrived)


def told(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "job"} for row in rows]


async def test_tracking_goes_before_its_news_and_what_is_shown_is_not_sent_again(
    tmp_path: Path,
) -> None:
    async with Sandbox(invoiced(3)) as sandbox:
        first, second, third = sandbox.orders
        rows = [news(first, "posted"), parcel(first), parcel(second), news(first), parcel(third)]
        path = file_of(tmp_path, [*rows, parcel(first)])
        environ = environ_of(sandbox.config)

        sent = await run("track", path, "--json", environ=environ)
        by_order = [did for did, order_id in done(sandbox) if order_id == first.order_id]
        again = await run("track", path, "--json", environ=environ)

    assert assert_counts(sent, 0, planned=5, confirmed=5, duplicates=1) == []
    assert by_order == ["send_tracking", "update_tracking_status", "update_tracking_status"]
    assert assert_counts(again, 0, planned=5, skipped=5, duplicates=1) == []
    assert len(done(sandbox)) == 5
    # Each order is read once, whatever the number of its rows.
    assert reads(sandbox) == 2 * 3
    (package,) = sandbox.orders[0].packages or ()
    assert package.courier_status is not None
    assert package.courier_status.finished


async def test_bad_rows_are_told_by_place_and_nothing_is_asked_or_sent(tmp_path: Path) -> None:
    async with Sandbox(invoiced(4)) as sandbox:
        first, second, third, fourth = sandbox.orders
        rows = [
            parcel(first),
            parcel(second, isDelivered=True),
            parcel(third, Courier="x"),
            parcel(first, courier="carrierTwo"),
            news(fourth, events=[{"city": 5}]),
        ]
        path = file_of(tmp_path, rows)
        column = path.read_text().splitlines()[1].index("true") + 1

        ended = await run("track", path, "--json", environ=environ_of(sandbox.config))

    assert_counts(ended, 65, planned=0, invalid=5)
    assert f"{path}:2:{column}: isDelivered: " in ended.stderr
    assert f"{path}:3:" in ended.stderr
    assert f"{path}:4:1: invoiceNumber: has tracking in line 1" in ended.stderr
    assert f"{path}:5:" in ended.stderr
    assert "Nothing was sent" in ended.stderr
    assert sandbox.oracle.arrived == ()


async def test_of_very_many_bad_rows_the_first_ones_are_told(sandbox: Sandbox) -> None:
    rows = [{"orderId": f"{n}-01", "invoiceNumber": "NFe1", "events": 5} for n in range(60)]

    ended = await track(sandbox, rows)

    assert_counts(ended, 65, invalid=60)
    assert "-:25:" in ended.stderr
    assert "-:26:" not in ended.stderr
    assert "... and 70 more problems" in ended.stderr


async def test_sound_rows_of_a_file_with_bad_ones_are_sent_on_demand() -> None:
    async with Sandbox(invoiced(2)) as sandbox:
        first, second = sandbox.orders
        rows = [parcel(first), {"orderId": "x-01"}, parcel(second)]

        ended = await track(sandbox, rows, "--skip-invalid")

    assert_counts(ended, 3, planned=2, confirmed=2, invalid=1)
    assert "-:2:1: " in ended.stderr


async def test_a_file_without_a_row_is_bad_input(sandbox: Sandbox) -> None:
    ended = await track(sandbox, [])

    assert_counts(ended, 65)
    assert "nothing to send" in ended.stderr


async def test_rows_that_failed_are_written_as_they_came_and_can_be_sent_from_there() -> None:
    known, late = invoiced(2)
    async with Sandbox([known]) as sandbox:
        ended = await track(sandbox, [parcel(late), parcel(known), news(late)])
        rows = assert_counts(ended, 3, planned=3, confirmed=1, rejected=2)
        sandbox.book.add(late)
        again = await track(sandbox, rows)

    assert told(rows) == [parcel(late), news(late)]
    assert [row["job"] for row in rows] == [
        {"line": line, "state": "rejected", "status": 404, "code": "OMS007"}
        | {"message": "Order Not Found"}
        for line in (1, 3)
    ]
    assert "line 1, invoice NFe1, rejected: the order could not be read" in ended.stderr
    assert "TRK" not in ended.stderr
    assert_counts(again, 0, planned=2, confirmed=2)


async def test_news_does_not_overtake_what_failed_before_it() -> None:
    refusal = Fault(do=Do.ANSWER, on="send_tracking", status=400, nth=(1,))
    async with Sandbox(invoiced(2), faults=[refusal]) as sandbox:
        first, second = sandbox.orders
        rows = [parcel(first), news(first), parcel(second), news(second)]

        ended = await track(sandbox, rows, "--concurrency", 1)

    failed = assert_counts(ended, 75, planned=4, confirmed=2, rejected=1, not_sent=1)
    assert told(failed) == [parcel(first), news(first)]
    assert "line 1, of the same invoice" in failed[1]["job"]["message"]
    assert [order_id for _, order_id in done(sandbox)] == [second.order_id] * 2


async def test_a_row_in_doubt_is_looked_for_on_its_order() -> None:
    lost = Fault(do=Do.CLOSE, on="send_tracking", acted=True, nth=(1,))
    async with Sandbox(invoiced(1), faults=[lost]) as sandbox:
        ended = await track(sandbox, map(parcel, sandbox.orders))

    assert_counts(ended, 0, planned=1, confirmed=1)
    assert len(done(sandbox)) == 1


async def test_orders_that_cannot_be_read_are_not_sent_to() -> None:
    orders = invoiced(40)
    busy = [
        Fault(do=Do.ANSWER, on="get_order", status=503, rate=1, order_id=order.order_id)
        for order in orders[:30]
    ]
    async with Sandbox(orders, faults=busy) as sandbox:
        # The last ones wait until VTEX may answer again, and are not lost to the outage too.
        ended = await track(sandbox, map(parcel, orders), "--concurrency", 20)

    rows = assert_counts(ended, 75, planned=40, confirmed=10, not_sent=30)
    assert {(row["job"]["state"], row["job"]["status"]) for row in rows} == {("not_sent", 503)}
    assert len(done(sandbox)) == 10


@pytest.mark.campaign  # for two minutes it may still come back
async def test_a_run_ends_where_vtex_does_not_answer(tmp_path: Path) -> None:
    busy = Fault(do=Do.ANSWER, status=503, rate=1)
    async with Sandbox(invoiced(100), faults=[busy]) as sandbox:
        path, environ = file_of(tmp_path, map(parcel, sandbox.orders)), environ_of(sandbox.config)

        options = ("--concurrency", 30, "--json")
        ended = await run("track", path, *options, environ=environ, patience=200)

    assert len(assert_counts(ended, 69, planned=100, not_sent=100)) == 100


@pytest.mark.parametrize(
    ("roles", "token", "status"),
    [((), None, 403), (tuple(Role), "WRONGWRONG", 401), ((Role.VIEW_ORDER,), None, 403)],
)
async def test_a_refusal_of_who_asks_stops_the_run(
    roles: tuple[Role, ...], token: str | None, status: int, tmp_path: Path
) -> None:
    async with Sandbox(invoiced(50), roles=roles) as sandbox:
        path = file_of(tmp_path, map(parcel, sandbox.orders))
        environ = environ_of(sandbox.config) | ({"VTEX_APP_TOKEN": token} if token else {})

        ended = await run("track", path, "--concurrency", 2, "--json", environ=environ)

        _, summary = said(ended)
        rejected = summary["rejected"]
        rows = assert_counts(ended, 77, planned=50, rejected=rejected, not_sent=50 - rejected)
        # Nothing is lost: whoever gets the role sends these.
        assert sorted(row["orderId"] for row in rows) == [o.order_id for o in sandbox.orders]
    assert 1 <= rejected <= 4
    assert f"status {status}" in ended.stderr
    assert ended.stderr.count("VTEX refuses the credentials") == 1


async def test_a_refusal_of_who_asks_spares_the_other_invoices_of_the_order() -> None:
    package = Package(invoice_number="NFe9", invoice_value=1, type=InvoiceType.OUTPUT)
    (order,) = invoiced(1)
    both = evolve(order, packages=(*(order.packages or ()), package))
    async with Sandbox([both], roles=[Role.VIEW_ORDER]) as sandbox:
        ended = await track(sandbox, [parcel(order), parcel(order, invoiceNumber="NFe9")])

    rows = assert_counts(ended, 77, planned=2, rejected=1, not_sent=1)
    assert [row["job"]["message"] for row in rows] == ["No authorized", "it was not begun"]


async def test_a_throttled_row_was_not_sent() -> None:
    # More than a run waits for: DESIGN.md, section 4.
    throttled = Fault(
        do=Do.ANSWER, on="send_tracking", status=429, headers={"Retry-After": "301"}, nth=(1,)
    )
    async with Sandbox(invoiced(3), faults=[throttled]) as sandbox:
        ended = await track(sandbox, map(parcel, sandbox.orders), "--concurrency", 1)

    rows = assert_counts(ended, 75, planned=3, not_sent=3)
    assert [row["job"]["status"] for row in rows] == [429, None, None]
    assert "Not begun: 2 rows" in ended.stderr


async def test_people_are_told_on_stderr_unless_they_want_it_quiet(tmp_path: Path) -> None:
    async with Sandbox(invoiced(2)) as sandbox:
        path, environ = file_of(tmp_path, map(parcel, sandbox.orders)), environ_of(sandbox.config)

        ended = await run("track", path, environ=environ)
        quiet = await run("track", path, "--quiet", environ=environ)

    assert (ended.code, ended.stdout) == (0, "")
    assert f"{path}: all 2 confirmed in " in ended.stderr
    assert (quiet.code, quiet.stdout, quiet.stderr) == (0, "", "")


# Interrupted ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_lets_what_is_in_flight_end_and_sends_no_more(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    async with Sandbox(invoiced(60), latency=0.2) as sandbox:
        path = file_of(tmp_path, map(parcel, sandbox.orders))
        options = ("--concurrency", 4, "--json")
        async with started("track", path, *options, environ=environ_of(sandbox.config)) as process:
            await until(lambda: len(done(sandbox)) >= 4)
            process.send_signal(number)
            ended = await ending(process)

    rows, counts = said(ended)
    assert ended.code == counts["exit_code"] == code, ended.stderr
    assert counts["confirmed"] == len(done(sandbox))
    assert (counts["planned"], counts["in_doubt"]) == (60, 0)
    assert counts["not_sent"] == len(rows) == 60 - counts["confirmed"]
    assert "Interrupted" in ended.stderr


async def test_a_second_signal_leaves_at_once_and_what_is_in_flight_is_in_doubt(
    tmp_path: Path,
) -> None:
    hang = Fault(do=Do.HANG, on="send_tracking", rate=1)
    async with Sandbox(invoiced(10), faults=[hang]) as sandbox:
        path = file_of(tmp_path, map(parcel, sandbox.orders))
        options = ("--concurrency", 3, "--json")
        async with started("track", path, *options, environ=environ_of(sandbox.config)) as process:
            assert process.stderr is not None
            await until(lambda: len(sandbox.oracle.arrived) == 6)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(TIMEOUT):
                said_first = await process.stderr.readline()
            process.send_signal(signal.SIGINT)
            # Far less than the 30 s that draining may take.
            ended = await ending(process, patience=5)

    assert b"Interrupted" in said_first
    # The first one counts.
    rows = assert_counts(ended, 143, planned=10, in_doubt=3, not_sent=7)
    assert sorted(row["job"]["line"] for row in rows) == list(range(1, 11))
    assert len(sandbox.oracle.arrived) == 6


async def test_a_run_that_waits_for_vtex_to_come_back_can_be_interrupted(tmp_path: Path) -> None:
    busy = Fault(do=Do.ANSWER, status=503, rate=1)
    async with Sandbox(invoiced(200), faults=[busy]) as sandbox:
        path = file_of(tmp_path, map(parcel, sandbox.orders))
        options = ("--concurrency", 30, "--json")
        async with started("track", path, *options, environ=environ_of(sandbox.config)) as process:
            # Its retries are used up, so that it waits for a probe.
            await until(lambda: reads(sandbox) > 50)
            process.send_signal(signal.SIGINT)
            ended = await ending(process)

    assert len(assert_counts(ended, 130, planned=200, not_sent=200)) == 200


async def test_draining_waits_for_answers_that_are_late(tmp_path: Path) -> None:
    hang = Fault(do=Do.HANG, on="send_tracking", rate=1)
    async with Sandbox(invoiced(10), faults=[hang]) as sandbox:
        path = file_of(tmp_path, map(parcel, sandbox.orders))
        options = ("--concurrency", 3, "--timeout", 1, "--json")
        async with started("track", path, *options, environ=environ_of(sandbox.config)) as process:
            await until(lambda: len(sandbox.oracle.arrived) == 6)
            process.send_signal(signal.SIGINT)
            ended = await ending(process)

    assert_counts(ended, 130, planned=10, in_doubt=3, not_sent=7)
    assert "no answer" in ended.stderr
