"""Our client against the sandbox: each rule of VTEX's arrives as a value or as the right error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from attrs import evolve

from tests.factories import invoice_for, make_item, make_tracking
from vtex_invoice_async import (
    ClientConfig,
    InvoiceType,
    Order,
    OrdersApi,
    Package,
    TrackingStatus,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import (
    BadRequest,
    CallError,
    Conflict,
    NotAuthorized,
    OrderNotFound,
    Rejected,
)
from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.sandbox import Role, Sandbox

Call = Callable[[VtexInvoiceClient, Order], Coroutine[Any, Any, object]]

DELIVERED: Final = TrackingStatus(
    is_delivered=True, delivered_date=datetime(2022, 10, 1, 21, 15, tzinfo=UTC)
)
CALLS: Final[dict[str, Call]] = {
    "notify_invoice": lambda client, order: client.notify_invoice(
        order.order_id, invoice_for(order)
    ),
    "send_tracking": lambda client, order: client.send_tracking(
        order.order_id, "NFe1", make_tracking()
    ),
    "update_tracking_status": lambda client, order: client.update_tracking_status(
        order.order_id, "NFe1", DELIVERED
    ),
    "get_order": lambda client, order: client.get_order(order.order_id),
    "start_handling": lambda client, order: client.start_handling(order.order_id),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
every_dialect = pytest.mark.parametrize("orders_api", OrdersApi)


@pytest.fixture
async def client(sandbox: Sandbox, orders_api: OrdersApi) -> AsyncIterator[VtexInvoiceClient]:
    """A client of each dialect that a test names."""
    async with VtexInvoiceClient(evolve(sandbox.config, orders_api=orders_api)) as opened:
        yield opened


@pytest.fixture
def orders_api() -> OrdersApi:
    return OrdersApi.OMS


async def package_of(client: VtexInvoiceClient, order: Order) -> Package:
    (package,) = (await client.get_order(order.order_id)).packages or ()
    return package


@every_dialect
async def test_an_order_is_invoiced_and_shows_it(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]

    receipt = await client.notify_invoice(order.order_id, invoice_for(order))

    read = await client.get_order(order.order_id)
    package = await package_of(client, order)
    assert receipt.confirmed_by == "response"
    assert receipt.order_id == order.seller_order_id
    assert read.status is OrderStatus.INVOICED
    assert (package.invoice_number, package.invoice_value) == ("NFe1", order.value)
    assert package.type is InvoiceType.OUTPUT
    assert [item.item_index for item in package.items] == list(range(len(order.items)))
    assert sandbox.applied == {(order.order_id, "NFe1"): 1}


@every_dialect
async def test_an_order_is_invoiced_part_by_part(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]
    statuses = []

    for number, value in (("NFe1", order.value - 1), ("NFe2", 1)):
        part = invoice_for(order, invoice_number=number, invoice_value=value)
        await client.notify_invoice(order.order_id, part)
        statuses.append((await client.get_order(order.order_id)).status)

    assert statuses == [OrderStatus.PAYMENT_APPROVED, OrderStatus.INVOICED]


@every_dialect
async def test_more_than_remains_is_a_bad_request(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]
    above = invoice_for(order, invoice_value=order.value + 1)

    with pytest.raises(BadRequest) as caught:
        await client.notify_invoice(order.order_id, above)

    assert caught.value.status == 400
    assert str(order.value) in str(caught.value)
    assert not sandbox.applied


async def test_a_return_above_what_was_invoiced_is_a_bad_request_in_the_words_of_vtex(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]
    refund = invoice_for(order, type=InvoiceType.INPUT)

    with pytest.raises(BadRequest) as caught:
        await client.notify_invoice(order.order_id, refund)

    assert caught.value.message == "Unable to use the restitution Refund more than 0.0"


@every_dialect
async def test_a_return_leaves_the_status_alone(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]
    await client.notify_invoice(order.order_id, invoice_for(order))
    refund = invoice_for(order, type=InvoiceType.INPUT, invoice_number="DEV1")

    receipt = await client.notify_invoice(order.order_id, refund)

    read = await client.get_order(order.order_id)
    assert receipt.receipt
    assert read.status is OrderStatus.INVOICED
    assert [package.type for package in read.packages or ()] == list(InvoiceType)


async def test_a_number_sent_again_on_oms_is_a_new_receipt(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]
    invoice = invoice_for(order)

    receipts = [await client.notify_invoice(order.order_id, invoice) for _ in range(2)]

    assert receipts[0].receipt != receipts[1].receipt
    assert sandbox.applied == {(order.order_id, "NFe1"): 2}
    assert (await package_of(client, order)).invoice_value == order.value


@pytest.mark.parametrize("orders_api", [OrdersApi.PII, OrdersApi.PII_2022])
async def test_a_number_sent_again_on_the_document_path_is_a_bad_request(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]
    await client.notify_invoice(order.order_id, invoice_for(order))

    with pytest.raises(BadRequest, match="invoiceNumber"):
        await client.notify_invoice(order.order_id, invoice_for(order))

    assert sandbox.applied == {(order.order_id, "NFe1"): 1}


@every_dialect
async def test_start_handling_returns_nothing_and_then_is_a_conflict(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[9]

    await client.start_handling(order.order_id)

    assert (await client.get_order(order.order_id)).status is OrderStatus.HANDLING
    with pytest.raises(Conflict) as caught:
        await client.start_handling(order.order_id)
    assert caught.value.code == ("OMS003" if client.config.orders_api is OrdersApi.OMS else None)


@every_dialect
async def test_a_parcel_is_followed_to_its_delivery(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]
    await client.notify_invoice(order.order_id, invoice_for(order))

    await client.send_tracking(order.order_id, "NFe1", make_tracking())
    await client.update_tracking_status(order.order_id, "NFe1", DELIVERED)

    package = await package_of(client, order)
    assert package.tracking_number == "87658"
    assert package.courier_status is not None
    assert package.courier_status.finished is True
    assert sandbox.book.tracked == {(order.order_id, "NFe1"): 2}


@pytest.mark.parametrize("call", ["send_tracking", "update_tracking_status"])
async def test_tracking_of_an_unknown_invoice_is_not_found(
    client: VtexInvoiceClient, sandbox: Sandbox, call: str
) -> None:
    with pytest.raises(OrderNotFound) as caught:
        await CALLS[call](client, sandbox.orders[0])

    assert caught.value.message == "Invoice Not Found"


async def test_news_of_a_parcel_without_a_tracking_number_are_a_bad_request(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]
    await client.notify_invoice(order.order_id, invoice_for(order))

    with pytest.raises(BadRequest):
        await client.update_tracking_status(order.order_id, "NFe1", DELIVERED)


@every_call
@every_dialect
async def test_an_unknown_order_is_not_found(
    client: VtexInvoiceClient, sandbox: Sandbox, call: Call
) -> None:
    unknown = evolve(sandbox.orders[0], order_id="nope-01")

    with pytest.raises(OrderNotFound) as caught:
        await call(client, unknown)

    assert caught.value.status == 404
    assert caught.value.order_id == "nope-01"


@every_call
@every_dialect
async def test_wrong_credentials_are_not_authorized(
    sandbox: Sandbox, orders_api: OrdersApi, call: Call
) -> None:
    wrong = evolve(sandbox.config, app_token="wrong", orders_api=orders_api)

    async with VtexInvoiceClient(wrong) as client:
        with pytest.raises(NotAuthorized) as caught:
            await call(client, sandbox.orders[0])

    assert caught.value.status == 401
    assert not sandbox.applied


@every_call
@every_dialect
async def test_credentials_without_any_role_are_not_authorized(
    orders_api: OrdersApi, call: Call
) -> None:
    async with Sandbox(1, roles=()) as sandbox:
        config = evolve(sandbox.config, orders_api=orders_api)
        async with VtexInvoiceClient(config) as client:
            with pytest.raises(NotAuthorized) as caught:
                await call(client, sandbox.orders[0])

    assert caught.value.status == 403
    assert not sandbox.applied


async def test_a_role_that_only_reads_reads(orders_api: OrdersApi) -> None:
    async with (
        Sandbox(1, roles=[Role.VIEW_ORDER]) as sandbox,
        VtexInvoiceClient(sandbox.config) as client,
    ):
        order = await client.get_order(sandbox.orders[0].order_id)

    assert order == sandbox.orders[0]


async def test_a_user_token_is_enough(sandbox: Sandbox) -> None:
    config = ClientConfig(
        account=sandbox.account, user_token=sandbox.user_token, base_url=sandbox.url
    )
    order = sandbox.orders[0]

    async with VtexInvoiceClient(config) as client:
        receipt = await client.notify_invoice(order.order_id, invoice_for(order))

    assert receipt.receipt


@every_call
@every_dialect
async def test_a_host_without_these_routes_is_rejected_and_no_order_is_blamed(
    sandbox: Sandbox, orders_api: OrdersApi, call: Call
) -> None:
    elsewhere = evolve(sandbox.config, base_url=f"{sandbox.url}/elsewhere", orders_api=orders_api)

    async with VtexInvoiceClient(elsewhere) as client:
        with pytest.raises(Rejected) as caught:
            await call(client, sandbox.orders[0])

    assert not isinstance(caught.value, OrderNotFound)


async def test_an_order_is_the_same_read_as_in_the_book(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    for order in sandbox.orders:
        assert await client.get_order(order.order_id) == order
        assert await client.get_order(f"seq{order.sequence}") == order


async def test_the_time_of_a_receipt_is_that_of_the_answer(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]
    before = datetime.now(UTC)

    receipt = await client.notify_invoice(order.order_id, invoice_for(order))

    assert receipt.date is not None
    assert before <= receipt.date <= datetime.now(UTC)


async def test_an_invoice_may_embed_megabytes_of_xml(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    order = sandbox.orders[0]
    invoice = invoice_for(order, embedded_invoice="<nfeProc/>" * 300_000)

    receipt = await client.notify_invoice(order.order_id, invoice)

    assert receipt.receipt


async def test_an_item_that_the_order_does_not_have_is_taken_as_vtex_takes_it(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    # VTEX accepts a wrong SKU (known issue 547053); the amount alone is checked.
    order = sandbox.orders[0]
    invoice = invoice_for(order, items=[make_item(id="not-there", item_index=None)])

    receipt = await client.notify_invoice(order.order_id, invoice)

    assert receipt.receipt


@every_call
async def test_no_refusal_tells_the_credentials(sandbox: Sandbox, call: Call) -> None:
    config = evolve(sandbox.config, app_token="SECRETSECRET")

    async with VtexInvoiceClient(config) as client:
        with pytest.raises(CallError) as caught:
            await call(client, sandbox.orders[0])

    said = f"{caught.value!r} {caught.value} {vars(caught.value)} {client!r} {config!r}"
    assert "SECRETSECRET" not in said
    assert sandbox.app_key not in said
