"""VTEX's rules over HTTP, where a path, a header, a role or the answer's shape is the point."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, get_args

import aiohttp
import pytest
from attrs import evolve

from tests.factories import authentication
from tests.plain_caller import (
    DELIVERED,
    OMS,
    TRACKING,
    Caller,
    Heard,
    body_for,
    calling,
)
from vtex_invoice_async import InvoiceType, Order, Package
from vtex_invoice_async.models import OrderItem, OrderStatus
from vtex_invoice_async.sandbox import Fault, Limit, Remark, Role, Sandbox
from vtex_invoice_async.sandbox.faults import Do
from vtex_invoice_async.sandbox.rules import Duplicates

ORDER: Final = Order(
    order_id="v5195004lux-01",
    seller_order_id="00-v5195004lux-01",
    status=OrderStatus.HANDLING,
    value=10_000,
    items=(
        OrderItem(id="880", quantity=1, selling_price=2_000),
        OrderItem(id="1234", quantity=2, selling_price=4_000),
    ),
)
SOLD: Final = (Package(invoice_number="SOLD", invoice_value=10_000, type=InvoiceType.OUTPUT),)
REASON: Final = {"reason": "out of stock"}

paths = pytest.mark.parametrize("document", [False, True], ids=["oms", "document"])


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with Sandbox([ORDER]) as sandbox, calling(sandbox) as opened:
        yield opened


async def notify(caller: Caller, *, document: bool = False, **changes: object) -> Heard:
    route = "document invoice" if document else "invoice"
    return await caller.route(route, ORDER.order_id, body_for(ORDER, document=document, **changes))


async def cancel(caller: Caller, body: object = None, *, document: bool = False) -> Heard:
    route = "document cancel" if document else "cancel"
    return await caller.route(route, ORDER.order_id, body)


async def status(caller: Caller) -> str:
    return str((await caller.route("order", ORDER.order_id)).json["status"])


AGAIN: Final[Mapping[Duplicates, tuple[int, int]]] = {
    "documented": (200, 400),
    "refresh": (200, 200),
    "reject": (400, 400),
    "conflict": (409, 409),
    "apply_again": (200, 200),
}


@pytest.mark.parametrize("choice", get_args(Duplicates))
@paths
async def test_a_number_sent_again_is_answered_as_chosen(
    choice: Duplicates, *, document: bool
) -> None:
    async with Sandbox([ORDER], duplicates=choice) as sandbox, calling(sandbox) as caller:
        first = await notify(caller, document=document)
        again = await notify(caller, document=document)
        order = await caller.route("order", ORDER.order_id)

    expected = AGAIN[choice][document]
    packages = order.json["packageAttachment"]["packages"]
    assert (first.status, again.status) == (200, expected)
    assert len(packages) == (2 if choice == "apply_again" else 1)
    if expected == 200:
        assert again.json["receipt"] != first.json["receipt"]
        assert sandbox.applied == {(ORDER.order_id, "NFe1"): 2}
    else:
        assert ("title" in again.json, "error" in again.json) == (document, not document)


@paths
async def test_an_early_sale_may_be_a_conflict_in_the_shape_of_its_service(
    *, document: bool
) -> None:
    early = evolve(ORDER, status="payment-pending")

    async with Sandbox([early], early="refuse") as sandbox, calling(sandbox) as caller:
        heard = await notify(caller, document=document)

    assert heard.status == 409
    assert ("title" in heard.json, "error" in heard.json) == (document, not document)


async def test_the_other_rules_are_settings_as_well() -> None:
    async with (
        Sandbox([ORDER], above_value="take", read_lag=math.inf) as sandbox,
        calling(sandbox) as caller,
    ):
        above = await notify(caller, invoiceValue="10001")
        order = await caller.route("order", ORDER.order_id)

    assert above.status == 200
    assert order.json["packageAttachment"]["packages"] == []
    assert order.json["status"] == "handling"
    assert (sandbox.rules.above_value, sandbox.rules.read_lag) == ("take", math.inf)


@pytest.mark.parametrize("body", [REASON, {**REASON, "requestedByUser": True}, {}, None])
@paths
async def test_an_order_is_canceled_by_the_second_request(body: object, *, document: bool) -> None:
    async with Sandbox([ORDER]) as sandbox, calling(sandbox) as caller:
        first = await cancel(caller, body, document=document)
        between = await status(caller)
        second = await cancel(caller, body, document=document)
        after = await status(caller)

    assert (first.status, second.status) == (200, 200)
    assert set(first.json) == {"date", "orderId", "receipt"}
    assert first.json["orderId"] == ORDER.seller_order_id
    assert (between, after) == ("cancellation-requested", "canceled")


@pytest.mark.parametrize("body", [b"[]", b"{", {"reason": 1}])
async def test_a_reason_that_is_no_text_is_refused(caller: Caller, body: object) -> None:
    heard = await cancel(caller, body)

    assert heard.status == 400
    assert await status(caller) == "handling"


@paths
async def test_an_order_with_an_invoice_of_a_part_is_not_canceled(
    caller: Caller, *, document: bool
) -> None:
    await notify(caller, invoiceValue="4000")

    heard = await cancel(caller, REASON, document=document)

    assert heard.status == 400
    assert ("title" in heard.json, "error" in heard.json) == (document, not document)
    assert await status(caller) == "payment-approved"


async def test_a_sale_denies_the_cancellation(caller: Caller) -> None:
    await cancel(caller, REASON)

    heard = await notify(caller)

    assert heard.status == 200
    assert await status(caller) == "invoiced"


async def test_a_fault_may_happen_to_a_cancellation() -> None:
    fault = Fault(do=Do.ANSWER, on="cancel_order", nth=(1,), status=503, acted=True)

    async with Sandbox([ORDER], faults=[fault]) as sandbox, calling(sandbox) as caller:
        heard = await cancel(caller, REASON)
        after = await status(caller)

    assert (heard.status, after) == (503, "cancellation-requested")


@pytest.mark.parametrize("number", ["NFe%201", "NFe1%20", "%20NFe1"])
@pytest.mark.parametrize(
    ("method", "end", "body"), [("PATCH", "", TRACKING), ("PUT", "/tracking", DELIVERED)]
)
async def test_a_number_with_a_space_is_taken_and_its_tracking_fails(
    caller: Caller, number: str, method: str, end: str, body: dict[str, object]
) -> None:
    taken = await notify(caller, invoiceNumber=number.replace("%20", " "))

    heard = await caller.call(method, f"{OMS}/{ORDER.order_id}/invoice/{number}{end}", body)

    assert taken.status == 200
    assert heard.status == 500
    assert heard.json["error"]["message"] == "An error has occurred"


@pytest.mark.parametrize("number", ["NFe/1", "NFe%2F1", "NFe%2f1"])
@pytest.mark.parametrize(
    ("method", "end", "body"), [("PATCH", "", TRACKING), ("PUT", "/tracking", DELIVERED)]
)
async def test_a_number_with_a_slash_is_taken_and_its_tracking_has_no_route(
    caller: Caller, number: str, method: str, end: str, body: dict[str, object]
) -> None:
    taken = await notify(caller, invoiceNumber="NFe/1")

    heard = await caller.call(method, f"{OMS}/{ORDER.order_id}/invoice/{number}{end}", body)

    assert taken.status == 200
    assert heard.status == 404
    assert heard.json["source"] == "Vtex.Kube.Router"


BODIES: Final[dict[str, object]] = {
    "invoice": body_for(ORDER),
    "document invoice": body_for(ORDER, document=True),
    "tracking": TRACKING,
    "status": DELIVERED,
}


@pytest.mark.parametrize("route", BODIES)
async def test_a_body_that_is_missing_is_415_in_the_words_of_vtex(
    caller: Caller, route: str
) -> None:
    heard = await caller.route(route, ORDER.order_id)

    assert heard.status == 415
    assert heard.json["title"] == "Unsupported Media Type"
    assert heard.json["type"] == "https://tools.ietf.org/html/rfc7231#section-6.5.13"
    assert heard.json["status"] == 415


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("route", [*BODIES, "cancel"])
async def test_a_body_that_does_not_say_that_it_is_json_is_refused(
    caller: Caller, route: str, content_type: str
) -> None:
    await notify(caller, invoiceNumber="NFe1", invoiceValue="4000")
    headers = {**authentication(caller.sandbox.config), "Content-Type": content_type}

    heard = await caller.route(route, ORDER.order_id, BODIES.get(route, REASON), headers)

    assert heard.status == 400
    assert "Content-Type" in heard.body.decode()
    assert caller.sandbox.applied.total() == 1
    assert not caller.sandbox.book.tracked


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"]
)
async def test_json_may_be_called_by_its_other_names(caller: Caller, content_type: str) -> None:
    headers = {**authentication(caller.sandbox.config), "Content-Type": content_type}

    heard = await caller.route("invoice", ORDER.order_id, body_for(ORDER), headers)

    assert heard.status == 200


ROLES: Final[list[tuple[tuple[Role, ...], str, int]]] = [
    ((Role.NOTIFY_INVOICE,), "Output", 200),
    ((Role.NOTIFY_INVOICE,), "Input", 200),
    ((Role.NOTIFY_INVOICE,), "input", 200),
    ((Role.NOTIFY_REFUND,), "Input", 200),
    ((Role.NOTIFY_REFUND,), "INPUT", 200),
    ((Role.NOTIFY_REFUND,), "Output", 403),
    ((Role.VIEW_ORDER, Role.CANCEL_ORDER, Role.CHANGE_STATUS), "Output", 403),
    ((Role.VIEW_ORDER, Role.CANCEL_ORDER, Role.CHANGE_STATUS), "Input", 403),
]


@pytest.mark.parametrize(("roles", "kind", "answer"), ROLES)
@paths
async def test_a_return_needs_the_role_for_refunds_or_that_for_invoices(
    roles: tuple[Role, ...], kind: str, answer: int, *, document: bool
) -> None:
    sold = evolve(ORDER, packages=SOLD)

    async with (
        Sandbox([sold], roles=roles, above_value="take") as sandbox,
        calling(sandbox) as caller,
    ):
        heard = await notify(caller, document=document, type=kind, invoiceNumber="DEV1")

    assert heard.status == answer


async def test_the_role_for_refunds_tracks_nothing() -> None:
    async with Sandbox([ORDER], roles=[Role.NOTIFY_REFUND]) as sandbox, calling(sandbox) as caller:
        heard = await caller.route("tracking", ORDER.order_id, {**TRACKING, "type": "Input"})

    assert heard.status == 403


async def headers_of(sandbox: Sandbox, times: int, order: str = ORDER.order_id) -> list[Any]:
    """The rate limit's headers of so many reads of an order, beside their statuses."""
    found = []
    async with aiohttp.ClientSession(headers=authentication(sandbox.config)) as session:
        for _ in range(times):
            async with session.get(f"{sandbox.url}{OMS}/{order}") as heard:
                told = [
                    heard.headers.get(f"Ratelimit-{name}")
                    for name in ("Limit", "Remaining", "Reset")
                ]
                found.append((heard.status, *told))
    return found


async def test_a_limit_that_tells_says_on_each_answer_how_much_is_left() -> None:
    limit = Limit(per_second=0.001, burst=2, tells=True)

    async with Sandbox([ORDER], limit=limit) as sandbox:
        found = await headers_of(sandbox, 3)

    assert found == [
        (200, "2", "1", "1000"),
        (200, "2", "0", "2000"),
        (429, "2", "0", "2000"),
    ]


async def test_a_limit_that_tells_does_so_with_a_refusal_and_with_a_fault() -> None:
    limit = Limit(per_second=0.001, burst=9, tells=True)
    fault = Fault(do=Do.ANSWER, nth=(2,), status=503, headers={"Ratelimit-Reset": "5"})

    async with Sandbox([ORDER], limit=limit, faults=[fault]) as sandbox:
        found = await headers_of(sandbox, 2, "nope-01")

    assert found == [(404, "9", "8", "1000"), (503, "9", "7", "5")]


async def test_a_limit_that_nobody_has_used_is_full() -> None:
    limit = Limit(per_second=3, burst=2, tells=True)

    async with (
        Sandbox([ORDER], limit=limit) as sandbox,
        aiohttp.ClientSession() as session,
        session.get(f"{sandbox.url}{OMS}/{ORDER.order_id}") as heard,
    ):
        told = [heard.headers[f"Ratelimit-{n}"] for n in ("Limit", "Remaining", "Reset")]

    assert heard.status == 401
    assert told == ["2", "2", "0"]


async def test_a_limit_from_which_nothing_comes_back_names_no_time() -> None:
    async with Sandbox([ORDER], limit=Limit(per_second=0, burst=1, tells=True)) as sandbox:
        found = await headers_of(sandbox, 2)

    assert found == [(200, "1", "0", None), (429, "1", "0", None)]


@pytest.mark.parametrize("limit", [None, Limit(per_second=100)])
async def test_no_answer_speaks_of_a_limit_by_default(limit: Limit | None) -> None:
    async with Sandbox([ORDER], limit=limit) as sandbox:
        assert await headers_of(sandbox, 1) == [(200, None, None, None)]


async def test_the_sandbox_says_what_was_odd(caller: Caller) -> None:
    await notify(caller, items=[])

    (remark,) = caller.sandbox.remarks

    assert isinstance(remark, Remark)
    assert (remark.order_id, remark.invoice_number, remark.rule) == (
        ORDER.order_id,
        "NFe1",
        "no-items",
    )


async def test_an_invoice_without_lines_is_shown_with_those_of_its_order(caller: Caller) -> None:
    await notify(caller, items=[])

    heard = await caller.route("order", ORDER.order_id)

    (package,) = heard.json["packageAttachment"]["packages"]
    lines = [(item["itemIndex"], item["quantity"], item["price"]) for item in package["items"]]
    assert lines == [(0, 1, 2_000), (1, 2, 4_000)]
