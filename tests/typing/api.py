"""How users write against this package, for the type checker alone: nothing here ever runs.

A line that has to be a type error carries the code of that error; if it ever passes, mypy says
that its `type: ignore` is unused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from typing import assert_type

import aiohttp
import pytest

from vtex_invoice_async import (
    CallOptions,
    ClientConfig,
    Credentials,
    Doubt,
    Invoice,
    InvoiceItem,
    InvoiceJob,
    InvoiceType,
    Order,
    OrdersApi,
    Outcome,
    Package,
    Receipt,
    RetryPolicy,
    State,
    ThrottleLimits,
    Timeouts,
    TrackingEvent,
    TrackingInfo,
    TrackingStatus,
    VtexInvoiceClient,
    cents,
)
from vtex_invoice_async.billing import invoice_items, return_items
from vtex_invoice_async.errors import (
    CallError,
    InvalidInvoice,
    OutcomeUnknown,
    Problem,
    RateLimited,
    VtexInvoiceError,
)
from vtex_invoice_async.events import Event, Settled, log_event
from vtex_invoice_async.jobs import Journal, Summary, resolve, resume, run
from vtex_invoice_async.jobs.job import Record
from vtex_invoice_async.operations import GetOrder, NotifyInvoice, StartHandling
from vtex_invoice_async.otel import Telemetry
from vtex_invoice_async.sandbox import Do, Fault, FaultPlan, Sandbox

NOW = datetime(2026, 1, 31, 18, 25, 43, tzinfo=UTC)

invoice = Invoice(
    type=InvoiceType.OUTPUT,
    invoice_number="DFG1",
    invoice_value=cents("24.99"),
    issuance_date=NOW,
    items=[InvoiceItem(id="1234", price=2499, quantity=1)],
)
job = InvoiceJob(order_id="1172452900788-01", invoice=invoice)
tracking = TrackingInfo(
    courier="carrierOne", tracking_number="87658", tracking_url=None, dispatched_date=NOW
)
status = TrackingStatus(
    is_delivered=False,
    delivered_date=None,
    events=[TrackingEvent(city="Rio", state="RJ", description="on its way", date=date(2026, 2, 1))],
)


def a_generator() -> Iterator[InvoiceJob]:
    yield job


async def an_async_generator() -> AsyncIterator[InvoiceJob]:
    yield job


async def one_by_one() -> None:
    config = ClientConfig(
        account="acme",
        app_key="key",
        app_token="token",
        orders_api=OrdersApi.PII,
        timeouts=Timeouts(connect=5, read=20, total=30),
    )
    async with VtexInvoiceClient(config) as client:
        assert_type(client, VtexInvoiceClient)
        assert_type(await client.notify_invoice("1172452900788-01", invoice), Receipt)
        assert_type(await client.send_tracking("1172452900788-01", "DFG1", tracking), Receipt)
        assert_type(
            await client.update_tracking_status("1172452900788-01", "DFG1", status), Receipt
        )
        assert_type(await client.get_order("1172452900788-01"), Order)
        order = await client.get_order("1172452900788-01")
        assert_type(client.check(order, invoice), tuple[Problem, ...])
        assert_type(await client.start_handling("1172452900788-01"), None)
        assert_type(await client.send(NotifyInvoice(order_id="x-01", invoice=invoice)), Receipt)
        assert_type(await client.send(GetOrder(order_id="x-01")), Order)
        assert_type(await client.send(StartHandling(order_id="x-01")), None)


async def with_other_options(client: VtexInvoiceClient) -> None:
    retry = RetryPolicy(deadline=10)
    order_id, options = "x-01", CallOptions(timeout=Timeouts(read=5), retry=retry, observe=see)
    assert_type(client.with_options(timeout=5, observe=[see, log_event]), VtexInvoiceClient)
    assert_type(await client.notify_invoice(order_id, invoice, timeout=2.5), Receipt)
    assert_type(await client.send(GetOrder(order_id=order_id), **options), Order)
    await client.send_tracking(order_id, "DFG1", tracking, timeout=5, retry=retry)
    await client.update_tracking_status(order_id, "DFG1", status, **options)
    await client.get_order(order_id, retry=retry)
    await client.start_handling(order_id, observe=see)
    await client.notify_journaled(job, intend=write_down, **options)
    async for outcome in client.notify_many([job], timeout=5, observe=see):
        assert_type(outcome, Outcome)
    await client.get_order(order_id, timeout="5")  # type: ignore[arg-type]
    await client.get_order(order_id, timeouts=5)  # type: ignore[call-arg]
    client.with_options(retry=3)  # type: ignore[arg-type]
    assert_type(Timeouts().within(5), Timeouts)
    async with aiohttp.TCPConnector(limit=200) as connector:
        VtexInvoiceClient(client.config, connector=connector)
    VtexInvoiceClient(client.config, connector=aiohttp.ClientSession())  # type: ignore[arg-type]
    VtexInvoiceClient(client.config, observe=Telemetry())
    client.with_options(observe=Telemetry(1))  # type: ignore[arg-type]


async def many(client: VtexInvoiceClient) -> None:
    async for outcome in client.notify_many([job], concurrency=8):
        assert_type(outcome, Outcome)
        assert_type(outcome.state, State)
        assert_type(outcome.receipt, Receipt | None)
        assert_type(outcome.error, VtexInvoiceError | None)
        assert_type(outcome.job, InvoiceJob)
    async for outcome in client.notify_many(a_generator()):
        assert_type(outcome, Outcome)
    async for outcome in client.notify_many(an_async_generator()):
        assert_type(outcome, Outcome)
    assert_type([outcome async for outcome in client.notify_many((job,))], list[Outcome])


async def in_jobs(client: VtexInvoiceClient) -> None:
    async with Journal.open("invoices.db", client.config) as journal:
        assert_type(journal, Journal)
        assert_type(await run(client, [job], journal), Summary)
        assert_type(await run(client, an_async_generator(), journal, resend_input=True), Summary)
        assert_type(await resume(client, journal), Summary)
        summary = await resolve(client, journal)
        assert_type(summary.confirmed, int)
        assert_type(summary.journal, str | None)
        found = await journal.find("x-01", "DFG1")
        assert_type(found, Record | None)
        found.state.upper()  # type: ignore[union-attr]
        await run(client, [invoice], journal)  # type: ignore[list-item]
    await client.notify_journaled(job, intend=write_down)
    await client.notify_journaled(job)  # type: ignore[call-arg]


async def write_down() -> None:
    pass


async def in_a_test() -> None:
    async with Sandbox(orders=10) as sandbox, VtexInvoiceClient(sandbox.config) as client:
        assert_type(sandbox.orders, list[Order])
        await client.start_handling(sandbox.orders[9].order_id)
        assert_type(sandbox.applied["1172452900788-01", "DFG1"], int)
    with Sandbox(orders=10) as sandbox:
        assert_type(sandbox, Sandbox)


@pytest.mark.vtex_sandbox(orders=10)
def test_with_the_fixture(vtex_sandbox: Sandbox) -> None:
    assert_type(vtex_sandbox.config, ClientConfig)
    assert_type(vtex_sandbox.faults, FaultPlan)
    vtex_sandbox.faults.add(Fault(do=Do.CLOSE, nth=(1,)))
    vtex_sandbox.faults.add(Do.CLOSE)  # type: ignore[arg-type]
    vtex_sandbox.faults.clear()


async def what_values_hold(client: VtexInvoiceClient) -> None:
    receipt = await client.notify_invoice("1172452900788-01", invoice)
    order = await client.get_order("1172452900788-01")

    assert_type(receipt.date, datetime | None)
    assert_type(receipt.receipt, str | None)
    assert_type(order.value, int)
    assert_type(order.packages, tuple[Package, ...] | None)
    assert_type(invoice.items, tuple[InvoiceItem, ...])
    assert_type(cents("24.99"), int)
    assert_type(ClientConfig.from_env(), ClientConfig)


async def what_may_go_wrong(client: VtexInvoiceClient) -> None:
    try:
        await client.notify_invoice("1172452900788-01", invoice)
    except InvalidInvoice as error:
        assert_type(error.problems, tuple[Problem, ...])
    except RateLimited as error:
        assert_type(error.retry_after, float | None)
    except OutcomeUnknown as error:
        assert_type(error.doubt, Doubt | None)
    except CallError as error:
        assert_type(error.status, int | None)
        assert_type(error.attempts, int)


async def what_must_not_pass(client: VtexInvoiceClient) -> None:
    # Money is whole cents.
    InvoiceItem(id="1234", price=24.99, quantity=1)  # type: ignore[arg-type]
    InvoiceItem(id="1234", price="2499", quantity=1)  # type: ignore[arg-type]
    cents(24.99)  # type: ignore[arg-type]

    # Fields are named, required and of their types, and values do not change.
    InvoiceItem("1234", 2499, 1)  # type: ignore[call-arg]
    InvoiceItem(id="1234", price=2499)  # type: ignore[call-arg]
    InvoiceItem(sku="1234", price=2499, quantity=1)  # type: ignore[call-arg]
    TrackingInfo(courier=None, tracking_number="87658")  # type: ignore[arg-type]
    TrackingStatus(is_delivered=False, events=[{"city": "Rio"}])  # type: ignore[list-item]
    invoice.invoice_value = 1  # type: ignore[misc]
    Invoice(
        type="Output",  # type: ignore[arg-type]
        invoice_number="DFG1",
        invoice_value=2499,
        issuance_date="2026-01-31",  # type: ignore[arg-type]
    )
    ClientConfig(account="acme", orders_api="pii")  # type: ignore[arg-type]
    VtexInvoiceClient()  # type: ignore[call-arg]

    # What may be missing is looked at first.
    receipt = await client.notify_invoice("1172452900788-01", invoice)
    receipt.date.isoformat()  # type: ignore[union-attr]
    order = await client.get_order("1172452900788-01")
    len(order.packages)  # type: ignore[arg-type]

    # Calls are awaited and take what they are for.
    unawaited: Receipt = client.notify_invoice("x-01", invoice)  # type: ignore[assignment]
    await client.notify_invoice("x-01", job)  # type: ignore[arg-type]
    await client.notify_invoice(invoice)  # type: ignore[call-arg,arg-type]
    await client.send_tracking("x-01", "DFG1", status)  # type: ignore[arg-type]
    await client.send("x-01")  # type: ignore[arg-type]
    client.notify_many([invoice])  # type: ignore[list-item]
    client.notify_many([job], concurrency="8")  # type: ignore[arg-type]
    for _ in client.notify_many([job]):  # type: ignore[attr-defined]
        pass
    with VtexInvoiceClient(client.config):  # type: ignore[attr-defined]
        pass
    unawaited.receipt.upper()  # type: ignore[union-attr]


async def ask() -> Credentials:
    return Credentials(user_token="token")


def see(event: Event) -> None:
    if isinstance(event, Settled):
        assert_type(event.error, str | None)


async def find_out(doubt: Doubt) -> None:
    config = ClientConfig(
        account="acme",
        credentials=ask,
        retry=RetryPolicy(deadline=None, resolve_for=5),
        throttle=ThrottleLimits(max_rate=50),
    )
    async with VtexInvoiceClient(config, observe=[see, log_event]) as client:
        assert_type(await client.resolve(doubt), Receipt)
        assert_type(client.in_doubt(), tuple[Doubt, ...])
        await client.resolve("x-01")  # type: ignore[arg-type]
    VtexInvoiceClient(config, observe=len)  # type: ignore[arg-type]
    VtexInvoiceClient(config, see)  # type: ignore[call-arg]
    ClientConfig(account="acme", retry=5)  # type: ignore[arg-type]
    RetryPolicy(5)  # type: ignore[call-arg]
    doubt.value = 1  # type: ignore[misc]


def bill(order: Order) -> None:
    assert_type(invoice_items(order, {"880": 2}, "NFe1", issuance_date=NOW), Invoice)
    return_items(order, "DEV1", orders_api=OrdersApi.PII, issuance_date=NOW)
    return_items(order, "DEV1", {"880": 1}, issuance_date=NOW)
    invoice_items(order, {"880": 1.5}, "NFe1", issuance_date=NOW)  # type: ignore[dict-item]
    invoice_items(order, {"880": 1}, "NFe1")  # type: ignore[call-arg]
