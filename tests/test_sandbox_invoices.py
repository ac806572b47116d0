"""Invoices and tracking on the sandbox over HTTP: what VTEX's services take, refuse and show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from tests.plain_caller import DELIVERED, TRACKING, Caller, Heard, body_for, calling
from vtex_invoice_async import Order, Package
from vtex_invoice_async.models import OrderItem, OrderStatus
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.vocabulary import InvoiceType

ORDER: Final = Order(
    order_id="v5195004lux-01",
    seller_order_id="00-v5195004lux-01",
    sequence="501456",
    status=OrderStatus.HANDLING,
    value=10_000,
    items=(
        OrderItem(id="880", quantity=1, selling_price=2_000),
        OrderItem(id="1234", quantity=2, selling_price=4_000),
    ),
)
ABSENT: Final = object()
"""Stands for a key that is left out."""

paths = pytest.mark.parametrize("document", [False, True], ids=["oms", "document"])


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with Sandbox([ORDER]) as sandbox, calling(sandbox) as opened:
        yield opened


async def notify(caller: Caller, *, document: bool = False, **changes: object) -> Heard:
    body = body_for(ORDER, document=document, **changes)
    sent = {key: value for key, value in body.items() if value is not ABSENT}
    return await caller.route(_invoices(document=document), ORDER.order_id, sent)


def _invoices(*, document: bool) -> str:
    return "document invoice" if document else "invoice"


async def packages(caller: Caller, route: str = "order") -> list[dict[str, Any]]:
    heard = await caller.route(route, ORDER.order_id)
    found = heard.json["packageAttachment"]["packages"]
    assert isinstance(found, list)
    return found


def words(heard: Heard) -> str:
    """All that an error says, whichever of VTEX's shapes it has."""
    assert heard.status == 400
    found = heard.json
    return str(found["error"]["message"]) if "error" in found else str(found["errors"])


async def test_an_order_without_invoices_shows_an_empty_list(caller: Caller) -> None:
    assert await packages(caller) == []


@pytest.mark.parametrize("read", ["order", "document order"])
@paths
async def test_an_order_shows_its_invoices_with_the_line_of_each_item(
    caller: Caller, read: str, *, document: bool
) -> None:
    await notify(caller, document=document)

    (package,) = await packages(caller, read)

    assert package["invoiceNumber"] == "NFe1"
    assert package["invoiceValue"] == 10_000
    assert package["type"] == "Output"
    assert package["issuanceDate"].startswith("2026-01-31T00:00:00")
    lines = [(item["itemIndex"], item["quantity"], item["price"]) for item in package["items"]]
    assert lines == [(0, 1, 2_000), (1, 2, 4_000)]


async def test_a_sequence_reads_the_order(caller: Caller) -> None:
    heard = await caller.route("order", "seq501456")

    assert heard.status == 200
    assert heard.json["orderId"] == ORDER.order_id


@paths
async def test_parts_are_taken_up_to_the_value(caller: Caller, *, document: bool) -> None:
    first = await notify(caller, document=document, invoiceNumber="NFe1", invoiceValue=4_000)
    between = await caller.route("order", ORDER.order_id)
    above = await notify(caller, document=document, invoiceNumber="NFe2", invoiceValue=6_001)
    last = await notify(caller, document=document, invoiceNumber="NFe2", invoiceValue=6_000)
    after = await caller.route("order", ORDER.order_id)

    assert [first.status, above.status, last.status] == [200, 400, 200]
    assert between.json["status"] == "payment-approved"
    assert after.json["status"] == "invoiced"
    assert caller.sandbox.applied == {
        (ORDER.order_id, "NFe1"): 1,
        (ORDER.order_id, "NFe2"): 1,
    }


async def test_a_return_above_what_was_invoiced_is_refused_in_the_words_of_vtex(
    caller: Caller,
) -> None:
    heard = await notify(caller, type="Input", invoiceValue=1)

    assert words(heard) == "Unable to use the restitution Refund more than 0.0"
    assert not caller.sandbox.applied


async def test_a_return_within_what_was_invoiced_leaves_the_status_alone(caller: Caller) -> None:
    await notify(caller)

    heard = await notify(caller, type="Input", invoiceNumber="DEV1", invoiceValue=2_000)

    order = await caller.route("order", ORDER.order_id)
    assert heard.status == 200
    assert order.json["status"] == "invoiced"
    assert [package["type"] for package in await packages(caller)] == ["Output", "Input"]


async def test_a_number_sent_again_on_oms_gets_a_new_receipt_only(caller: Caller) -> None:
    first = await notify(caller, invoiceValue="4000", courier="carrierOne")
    again = await notify(caller, invoiceValue="9000", courier="carrierTwo")

    (package,) = await packages(caller)
    assert (first.status, again.status) == (200, 200)
    assert first.json["receipt"] != again.json["receipt"]
    assert (package["invoiceValue"], package["courier"]) == (4_000, "carrierOne")
    assert caller.sandbox.applied == {(ORDER.order_id, "NFe1"): 2}


async def test_a_number_sent_again_on_the_document_path_is_a_validation_error(
    caller: Caller,
) -> None:
    await notify(caller, document=True)

    heard = await notify(caller, document=True)

    assert heard.status == 400
    assert heard.json["title"] == "One or more validation errors occurred."
    assert list(heard.json["errors"]) == ["invoiceNumber"]
    assert caller.sandbox.applied == {(ORDER.order_id, "NFe1"): 1}


# What is refused though the body is sound: the order before, and what is then sent.
SOLD: Final = Package(invoice_number="SOLD", invoice_value=9_999, type=InvoiceType.OUTPUT)
REFUSED: Final[dict[str, tuple[OrderStatus, dict[str, Any]]]] = {
    "above the remaining value": (OrderStatus.HANDLING, {"invoiceValue": 2}),
    "a return above what was invoiced": (
        OrderStatus.HANDLING,
        {"type": "Input", "invoiceValue": 10_000},
    ),
    "canceled": (OrderStatus.CANCELED, {"invoiceValue": 1}),
    "the number of a sale for a return": (
        OrderStatus.HANDLING,
        {"type": "Input", "invoiceNumber": "SOLD", "invoiceValue": 1},
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
@paths
async def test_each_service_refuses_in_its_own_shape(reason: str, *, document: bool) -> None:
    status, sent = REFUSED[reason]
    order = Order(order_id=ORDER.order_id, status=status, value=10_000, packages=(SOLD,))

    async with Sandbox([order]) as sandbox, calling(sandbox) as caller:
        heard = await notify(caller, document=document, **sent)

    assert heard.status == 400
    assert ("title" in heard.json, "error" in heard.json) == (document, not document)
    assert not sandbox.applied


@pytest.mark.parametrize("written", ["output", "OUTPUT", "Output"])
@paths
async def test_a_type_is_taken_in_any_case_and_shown_in_vtexs(
    caller: Caller, written: str, *, document: bool
) -> None:
    heard = await notify(caller, document=document, type=written)

    (package,) = await packages(caller)
    assert heard.status == 200
    assert package["type"] == "Output"


@pytest.mark.parametrize("value", [10_000, "10000"])
@paths
async def test_a_value_is_taken_as_a_number_and_as_digits(
    caller: Caller, value: object, *, document: bool
) -> None:
    heard = await notify(caller, document=document, invoiceValue=value)

    assert heard.status == 200


async def test_the_first_shape_of_the_document_path_is_taken_as_well(caller: Caller) -> None:
    # Sent by clients of 2022: `issuanceDate`, `items[].id` and the value in a string.
    body = body_for(ORDER, dispatchedDate="2026-01-31", embeddedInvoice="<nfeProc/>")

    heard = await caller.route("document invoice", ORDER.order_id, body)

    (package,) = await packages(caller)
    assert heard.status == 200
    assert package["invoiceValue"] == 10_000
    assert [item["itemIndex"] for item in package["items"]] == [0, 1]


async def test_what_oms_calls_nullable_may_be_null(caller: Caller) -> None:
    nullable: dict[str, Any] = dict.fromkeys(
        ("invoiceKey", "invoiceUrl", "embeddedInvoice", "trackingNumber", "trackingUrl")
    )

    heard = await notify(caller, dispatchedDate=None, **nullable)

    assert heard.status == 200


LINE: Final = {"id": "880", "itemIndex": 0, "price": 2_000, "quantity": 1}
WRONG: Final[list[tuple[str, object, str]]] = [
    *((key, ABSENT, key) for key in ("type", "invoiceNumber", "invoiceValue", "items")),
    ("type", "Refund", "type"),
    ("type", 1, "type"),
    ("invoiceNumber", "", "invoiceNumber"),
    ("invoiceNumber", 1, "invoiceNumber"),
    ("invoiceValue", "24.99", "invoiceValue"),
    ("invoiceValue", 24.99, "invoiceValue"),
    ("invoiceValue", 0, "invoiceValue"),
    ("invoiceValue", -1, "invoiceValue"),
    ("invoiceValue", True, "invoiceValue"),
    ("items", {}, "items"),
    ("items", [{**LINE, "price": "2000"}], "items[0].price"),
    ("items", [LINE, {**LINE, "quantity": 0}], "items[1].quantity"),
    ("items", [LINE, 1], "items[1]"),
]
WRONG_OMS: Final[list[tuple[str, object, str]]] = [
    ("issuanceDate", ABSENT, "issuanceDate"),
    ("issuanceDate", "31/01/2026", "issuanceDate"),
    ("items", [{"price": 2_000, "quantity": 1}], "items[0].id"),
]
WRONG_DOCUMENT: Final[list[tuple[str, object, str]]] = [
    ("issuedDate", ABSENT, "issuedDate"),
    ("issuedDate", "31/01/2026", "issuedDate"),
    ("extraValue", "1", "extraValue"),
    ("items", [{"price": 2_000, "quantity": 1}], "items[0].itemIndex"),
]


@pytest.mark.parametrize(
    ("document", "key", "value", "field"),
    [
        *((False, *case) for case in WRONG + WRONG_OMS),
        *((True, *case) for case in WRONG + WRONG_DOCUMENT),
    ],
)
async def test_a_body_that_vtexs_schema_forbids_is_refused_by_the_name_of_its_field(
    caller: Caller, key: str, value: object, field: str, *, document: bool
) -> None:
    heard = await notify(caller, document=document, **{key: value})

    assert field in words(heard)
    assert not caller.sandbox.applied


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"text"', b"\xff"])
@paths
async def test_a_body_that_is_no_json_object_is_refused(
    caller: Caller, body: bytes, *, document: bool
) -> None:
    heard = await caller.route(_invoices(document=document), ORDER.order_id, body)

    assert heard.status == 400
    assert not caller.sandbox.applied


async def test_tracking_is_shown_and_the_last_call_wins(caller: Caller) -> None:
    await notify(caller)

    first = await caller.route("tracking", ORDER.order_id, TRACKING)
    last = await caller.route("tracking", ORDER.order_id, {**TRACKING, "trackingNumber": "99"})

    (package,) = await packages(caller)
    assert (first.status, last.status) == (200, 200)
    assert (package["courier"], package["trackingNumber"]) == ("carrierOne", "99")


@pytest.mark.parametrize("key", ["courier", "trackingUrl", "dispatchedDate"])
async def test_what_tracking_calls_nullable_may_be_null(caller: Caller, key: str) -> None:
    await notify(caller)

    heard = await caller.route("tracking", ORDER.order_id, {**TRACKING, key: None})

    assert heard.status == 200


@pytest.mark.parametrize(("route", "body"), [("tracking", TRACKING), ("status", DELIVERED)])
async def test_tracking_needs_an_invoice(
    caller: Caller, route: str, body: dict[str, object]
) -> None:
    heard = await caller.route(route, ORDER.order_id, body)

    assert heard.status == 404
    assert heard.json["error"]["message"] == "Invoice Not Found"


async def test_news_of_a_parcel_need_a_tracking_number(caller: Caller) -> None:
    await notify(caller)

    early = await caller.route("status", ORDER.order_id, DELIVERED)
    await caller.route("tracking", ORDER.order_id, TRACKING)
    after = await caller.route("status", ORDER.order_id, DELIVERED)

    (package,) = await packages(caller)
    assert (early.status, after.status) == (400, 200)
    assert package["courierStatus"]["finished"] is True
    assert package["courierStatus"]["deliveredDate"].startswith("2022-10-01T21:15")


NEWS: Final = {"city": "Rio", "state": "RJ", "description": "on its way", "date": "2026-02-01"}
WRONG_TRACKING: Final[list[tuple[str, str, object]]] = [
    *(("tracking", key, ABSENT) for key in TRACKING),
    *(("status", key, ABSENT) for key in DELIVERED),
    ("tracking", "trackingNumber", None),
    ("tracking", "trackingNumber", 1),
    ("status", "isDelivered", "yes"),
    ("status", "isDelivered", None),
    ("status", "deliveredDate", "tomorrow"),
    ("status", "events", None),
    ("status", "events", [{"city": "Rio", "state": "RJ", "description": "on its way"}]),
    ("status", "events", [NEWS, {**NEWS, "description": "x" * 5_001}]),
]


@pytest.mark.parametrize(("route", "key", "value"), WRONG_TRACKING)
async def test_tracking_that_vtexs_schema_forbids_is_refused_by_the_name_of_its_field(
    caller: Caller, route: str, key: str, value: object
) -> None:
    await notify(caller)
    whole: dict[str, object] = {**(TRACKING if route == "tracking" else DELIVERED), key: value}
    sent = {name: given for name, given in whole.items() if given is not ABSENT}

    heard = await caller.route(route, ORDER.order_id, sent)

    assert key in words(heard)
    assert not caller.sandbox.book.tracked


async def test_news_of_a_parcel_may_be_as_long_as_vtex_says(caller: Caller) -> None:
    await notify(caller)
    await caller.route("tracking", ORDER.order_id, TRACKING)
    news = {**NEWS, "description": "x" * 5_000}

    heard = await caller.route("status", ORDER.order_id, {**DELIVERED, "events": [news]})

    assert heard.status == 200
