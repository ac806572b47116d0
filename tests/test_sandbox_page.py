"""The sandbox's page: what a person sees of what the client did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, date, datetime
from urllib.parse import quote

import pytest
from attrs import evolve

from tests.command_line import until
from tests.factories import ONCE, invoice_for, make_tracking
from tests.pages import Browser, browsing
from tests.plain_caller import OMS, body_for, calling
from vtex_invoice_async import TrackingEvent, TrackingStatus, VtexInvoiceClient
from vtex_invoice_async.errors import VtexInvoiceError
from vtex_invoice_async.sandbox import Do, Fault, Limit, Role, Sandbox


@pytest.fixture
async def browser(sandbox: Sandbox) -> AsyncIterator[Browser]:
    async with browsing(sandbox) as opened:
        yield opened


async def test_before_anything_arrives_it_says_so(browser: Browser) -> None:
    page = await browser.look()

    assert page.status == 200
    assert "Nothing has arrived so far." in page.part("requests")
    assert "Nothing is planned to go wrong." in page.part("faults")
    assert page.part("again") == ""
    orders = browser.sandbox.orders
    assert [order.order_id in page.part("orders") for order in orders] == [True] * len(orders)


async def test_a_sandbox_without_orders_has_a_page() -> None:
    async with Sandbox(0) as sandbox, browsing(sandbox) as browser:
        page = await browser.look()

    assert page.status == 200
    assert "The sandbox has no orders." in page.part("orders")


async def test_an_invoice_and_its_parcel_are_shown_with_their_order(
    browser: Browser, client: VtexInvoiceClient
) -> None:
    order = browser.sandbox.orders[3]
    delivered = datetime(2026, 2, 3, 12, tzinfo=UTC)
    event = TrackingEvent(city="Niterói", state="RJ", description="left", date=date(2026, 2, 1))
    invoice = invoice_for(order, invoice_number="NFe77")
    await client.notify_invoice(order.order_id, invoice)
    await client.send_tracking(order.order_id, "NFe77", make_tracking())
    status = TrackingStatus(is_delivered=True, delivered_date=delivered, events=[event])
    await client.update_tracking_status(order.order_id, "NFe77", status)

    page = await browser.look()

    told, parcel = page.rows("orders")[1:3]
    worth = f"{order.value // 100:,}.{order.value % 100:02}"
    assert told.startswith(f"{order.order_id} invoiced ")
    assert told.endswith(f"{worth} {worth}")
    assert parcel.startswith("NFe77 sale, 2026-01-31 carrierOne 87658 https://www.tracking.com/url")
    assert "delivered 2026-02-03, 1 event 2026-02-01 left Niterói, RJ" in parcel
    assert parcel.endswith(worth)
    answers = [row.partition(" ms ")[2] for row in page.rows("requests")[1:]]
    assert answers == [
        f"update_tracking_status {order.order_id} NFe77 200 news taken",
        f"send_tracking {order.order_id} NFe77 200 tracking taken",
        f"notify_invoice {order.order_id} NFe77 200 invoice taken",
    ]
    assert "Invoices taken 1" in page.part("glance")
    assert "Taken more than once 0 as it should be" in page.part("glance")


async def test_the_order_that_changed_last_comes_first(
    browser: Browser, client: VtexInvoiceClient
) -> None:
    orders = browser.sandbox.orders
    for number, order in enumerate((orders[2], orders[1], orders[2])):
        part = invoice_for(order, invoice_value=1, invoice_number=f"NFe{number}")
        await client.notify_invoice(order.order_id, part)

    page = await browser.look()

    heads = [element.text for element in page.all("th", scope="rowgroup")]
    changed = [orders[2], orders[1]]
    rest = [order for order in orders if order not in changed]
    assert heads == [order.order_id for order in changed + rest]
    assert f"{len(orders)} orders, 2 of them changed" in page.part("orders")


HAPPENED = [
    (Fault(do=Do.CLOSE, nth=[1], acted=True), "no answer acted, then closed"),
    (Fault(do=Do.CLOSE, nth=[1]), "no answer not acted, then closed"),
    (Fault(do=Do.RESET, nth=[1], acted=True), "no answer acted, then reset"),
    (Fault(do=Do.CUT, nth=[1], at=9), "no answer acted, then closed after 9 bytes of the answer"),
    (
        Fault(do=Do.CUT_REQUEST, nth=[1], at=5),
        "no answer not acted, then reset after 5 bytes of the request",
    ),
    (
        Fault(do=Do.ANSWER, nth=[1], status=503, body="<html>", acted=True),
        "503 acted, then answered 503 instead “<html>”",
    ),
    (
        Fault(do=Do.RAW, nth=[1], body="x"),
        "no answer not acted, then sent bytes that are no answer",
    ),
    (Fault(do=Do.DELAY, nth=[1], seconds=0.01), "200 acted, then answered 0.01 s late"),
    (Fault(do=Do.LAG, nth=[1], seconds=60), "200 acted, then shown to readers 60 s later"),
    (Fault(do=Do.LIMIT, nth=[1], per_second=50), "200 limited to 50 a second, invoice taken"),
    (Fault(do=Do.REVOKE, nth=[1]), "401 credentials revoked, nothing done “Unauthorized access”"),
]


@pytest.mark.parametrize(("fault", "told"), HAPPENED, ids=[fault.do for fault, _ in HAPPENED])
async def test_what_a_fault_did_is_told_as_such_and_counted(fault: Fault, told: str) -> None:
    async with (
        Sandbox(2, faults=[fault]) as sandbox,
        browsing(sandbox) as browser,
        VtexInvoiceClient(evolve(sandbox.config, retry=ONCE)) as client,
    ):
        order = sandbox.orders[0]
        with suppress(VtexInvoiceError):
            await client.notify_invoice(order.order_id, invoice_for(order))
        page = await browser.look("?requests=odd")
        acted = sandbox.applied.total()

    (row,) = page.rows("requests")[1:]
    assert row.endswith(told)
    assert acted == (0 if "not acted" in told or "nothing done" in told else 1)
    (planned,) = page.rows("faults")[1:]
    assert planned.endswith("number 1 1 of 1")
    assert "Faults 1 happened" in page.part("glance")


@pytest.mark.parametrize("do", [Do.HANG, Do.LATE])
async def test_a_request_that_is_not_answered_is_waiting_until_the_client_hangs_up(do: Do) -> None:
    fault = Fault(do=do, nth=[1], seconds=0.01)
    async with (
        Sandbox(1, faults=[fault]) as sandbox,
        browsing(sandbox) as browser,
        calling(sandbox) as caller,
    ):
        order = sandbox.orders[0]
        sending = asyncio.create_task(caller.route("invoice", order.order_id, body_for(order)))

        log = sandbox._desk.log
        await until(lambda: any(arrival.fault for arrival in log.latest()))
        waiting = (await browser.look()).rows("requests")[-1]
        await until(lambda: do is Do.HANG or next(log.latest()).acted)
        acted = (await browser.look()).rows("requests")[-1]
        sending.cancel()
        await until(lambda: next(log.latest()).ended_at is not None)
        ended = (await browser.look()).rows("requests")[-1]

    effect = "not acted, then never answered" if do is Do.HANG else "never answered, act"
    assert f"{order.order_id} NFe1 waiting {effect}" in waiting
    assert do is Do.HANG or acted.endswith("waiting never answered, acted 0.01 s later")
    assert f"no answer {effect}" in ended


async def test_a_refusal_is_shown_with_its_words(browser: Browser) -> None:
    order = browser.sandbox.orders[0]
    async with calling(browser.sandbox) as caller:
        await caller.route("invoice", order.order_id, body_for(order, invoiceValue="x"))
        await caller.route("document invoice", order.order_id, {})
        await caller.route("order", "nope-01")
        await caller.route("order", order.order_id, headers={})
        await caller.call("GET", f"{OMS}/a/b/c")
        await caller.call("GET", "/favicon.ico")

    rows = (await browser.look()).rows("requests")[1:]

    assert rows[0].endswith(f"GET {OMS}/a/b/c 404 nothing done “Route not found”")
    assert rows[1].endswith("401 nothing done “Unauthorized access”")
    assert rows[2].endswith("404 nothing done “Order Not Found”")
    assert "400 nothing done “invoiceNumber: is required; " in rows[3]
    assert "400 nothing done “invoiceValue: " in rows[4]
    assert len(rows) == 5


async def test_only_what_is_odd_can_be_looked_at(
    browser: Browser, client: VtexInvoiceClient
) -> None:
    order = browser.sandbox.orders[0]
    await client.notify_invoice(order.order_id, invoice_for(order))
    async with calling(browser.sandbox) as caller:
        await caller.route("order", "nope-01")

    page = await browser.look("?requests=odd")

    assert len(page.rows("requests")[1:]) == 1
    assert "Requests 2 1 odd" in page.part("glance")
    chosen = [element.text for element in page.all("a", **{"aria-current": "true"})]
    assert chosen == ["Only faults and refusals (1)"]


@pytest.mark.parametrize("duplicates", ["documented", "apply_again"])
async def test_an_invoice_that_was_taken_again_is_loud(duplicates: str) -> None:
    async with (
        Sandbox(2, duplicates=duplicates) as sandbox,  # type: ignore[arg-type]
        browsing(sandbox) as browser,
        VtexInvoiceClient(sandbox.config) as client,
    ):
        order = sandbox.orders[0]
        part = invoice_for(order, invoice_value=1, invoice_number="NFe9")
        for _ in range(3):
            await client.notify_invoice(order.order_id, part)
        page = await browser.look()

    assert page.rows("again")[1:] == [f"NFe9 {order.order_id} 3 times"]
    assert "1 invoice was taken more than once" in page.part("again")
    loud = [element.text for element in page.elements if element.attributes.get("class") == "loud"]
    assert loud == ["Taken more than once 1 see below", page.part("again")]
    assert next(page.all("title")).text.startswith("(1 taken twice) Sandbox ")
    filed = sum("NFe9 filed again" in row for row in page.rows("orders"))
    assert filed == (2 if duplicates == "apply_again" else 0)
    assert f"number-again {order.order_id} NFe9 the order has an invoice of this number" in (
        page.rows("remarks")
    )


async def test_the_account_is_shown_as_it_is_now() -> None:
    faults = [Fault(do=Do.REVOKE, nth=[1]), Fault(do=Do.LIMIT, nth=[2], per_second=7, burst=3)]
    roles = set(Role) - {Role.CANCEL_ORDER}
    settings = {"roles": roles, "limit": Limit(per_second=50), "read_lag": 5.0}
    async with (
        Sandbox(1, faults=faults, **settings) as sandbox,  # type: ignore[arg-type]
        browsing(sandbox) as browser,
        calling(sandbox) as caller,
    ):
        before = (await browser.look()).part("glance")
        await caller.route("order", "nope-01")
        await caller.route("order", "nope-01")
        after = (await browser.look()).part("glance")

    assert "Credentials accepted 50 requests a second, 20 at once" in before
    assert "Without the role Cancel order read_lag 5 s" in before
    assert "Credentials revoked 7 requests a second, 3 at once" in after


async def test_an_invoice_that_readers_are_not_shown_yet_is_said_to_be_so() -> None:
    async with (
        Sandbox(1, read_lag=60) as sandbox,
        browsing(sandbox) as browser,
        VtexInvoiceClient(sandbox.config) as client,
    ):
        order = sandbox.orders[0]
        await client.notify_invoice(order.order_id, invoice_for(order))
        rows = (await browser.look()).rows("orders")

    assert rows[2].startswith("NFe1 sale")
    assert rows[3] == "1 of the invoices not shown to readers yet"


async def test_one_order_is_shown_alone_with_what_was_asked_of_it(
    browser: Browser, client: VtexInvoiceClient
) -> None:
    one, other = browser.sandbox.orders[:2]
    for order in (one, other):
        await client.notify_invoice(order.order_id, invoice_for(order))

    for asked in (quote(one.order_id), f"seq{one.sequence}"):
        page = await browser.look(f"?order={asked}")

        assert page.status == 200
        assert one.order_id in page.part("orders")
        assert other.order_id not in page.part("orders") + page.part("requests")
        assert len(page.rows("requests")[1:]) == 1


async def test_an_order_that_is_not_there_is_said_to_be_so(browser: Browser) -> None:
    page = await browser.look("?order=nope-01")

    assert page.status == 404
    assert page.part("told") == "The sandbox has no order nope-01."
    assert [element.text for element in page.all("p", role="alert")] == [page.part("told")]


async def test_it_works_beside_a_plain_block_too() -> None:
    with Sandbox(1) as sandbox:
        async with browsing(sandbox) as browser, VtexInvoiceClient(sandbox.config) as client:
            order = sandbox.orders[0]
            await client.notify_invoice(order.order_id, invoice_for(order))
            page = await browser.look()

    assert "Invoices taken 1" in page.part("glance")
