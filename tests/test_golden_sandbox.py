"""What VTEX's pages show as sent is sent to the sandbox, which answers as they show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
import pytest
from attrs import frozen

from tests.factories import authentication
from tests.golden_files import canonical, golden, golden_names, golden_requests
from tests.order_paths import DATE, dates_of, documented
from tests.plain_caller import DOCUMENT, OMS, Caller, Heard, calling
from vtex_invoice_async import Order, OrdersApi, Package
from vtex_invoice_async.models import InvoiceType, OrderItem, OrderStatus
from vtex_invoice_async.sandbox import Limit, Role, Sandbox

ORDER_ID: Final = "v5195004lux-01"
INVOICED: Final = "24382"
"""The invoice that the pages' tracking data is for."""

# The routes of VTEX's OpenAPI, and what each answers where all is well.
ROUTES: Final[Mapping[tuple[str, bool], tuple[str, str, int]]] = {
    ("notify_invoice", False): ("POST", f"{OMS}/{ORDER_ID}/invoice", 200),
    ("notify_invoice", True): ("POST", f"{DOCUMENT}/{ORDER_ID}/invoices", 200),
    ("send_tracking", False): ("PATCH", f"{OMS}/{ORDER_ID}/invoice/{INVOICED}", 200),
    ("update_tracking_status", False): (
        "PUT",
        f"{OMS}/{ORDER_ID}/invoice/{INVOICED}/tracking",
        200,
    ),
    ("get_order", False): ("GET", f"{OMS}/{ORDER_ID}", 200),
    ("get_order", True): ("GET", f"{DOCUMENT}/{ORDER_ID}", 200),
    ("start_handling", False): ("POST", f"{OMS}/{ORDER_ID}/start-handling", 204),
    ("start_handling", True): ("POST", f"{DOCUMENT}/{ORDER_ID}/actions/start-handling", 204),
}
ANSWERS: Final = sorted(name for name in golden_names() if name.startswith("answers."))
# The request that is sent where an answer other than that of success is asked for.
PLAIN: Final = {
    ("notify_invoice", False): "notify_invoice.oms",
    ("notify_invoice", True): "notify_invoice.pii",
    ("send_tracking", False): "send_tracking.oms",
    ("update_tracking_status", False): "update_tracking_status.oms",
}
RECEIPT: Final = re.compile("[0-9a-f]{32}")


@frozen
class Route:
    operation: str
    document: bool

    @classmethod
    def of(cls, name: str) -> Route:
        found = golden(name)
        return cls(found.operation, found.dialect is not OrdersApi.OMS)

    async def ask(
        self, caller: Caller, body: object, headers: Mapping[str, str] | None = None
    ) -> Heard:
        method, path, _ = ROUTES[self.operation, self.document]
        given = authentication(caller.sandbox.config) if headers is None else headers
        sent = None if body is None else orjson.dumps(body)
        return await caller.call(method, path, sent, {"Accept": "application/json", **given})

    @property
    def success(self) -> int:
        return ROUTES[self.operation, self.document][2]


def order_for(route: Route, invoice: Mapping[str, Any]) -> Order:
    """An order that an invoice fits on, or one that has the invoice to be tracked."""
    value = int(invoice.get("invoiceValue", 2_499))
    lines = invoice.get("items", [])
    skus = [line.get("id", "1234") for line in lines] or ["1234"]
    skus += ["7"] * max([int(line.get("itemIndex", 0)) for line in lines], default=0)
    starts = route.operation == "start_handling"
    earlier = Package(
        invoice_number=INVOICED,
        invoice_value=value,
        type=InvoiceType.OUTPUT,
        tracking_number="87658",
    )
    return Order(
        order_id=ORDER_ID,
        seller_order_id=f"00-{ORDER_ID}",
        status=OrderStatus.READY_FOR_HANDLING if starts else OrderStatus.HANDLING,
        value=value,
        items=tuple(OrderItem(id=sku, quantity=3, price=value) for sku in skus),
        packages=(earlier,) if "track" in route.operation else (),
    )


def assert_documented(heard: Heard, answer: Mapping[str, Any] | None) -> None:
    """Compare an answer with what a page shows of it; of a body it says nothing where null."""
    if answer is None:
        return
    media_type, *parameters = answer["contentType"].split("; ")
    assert heard.content_type.split("; ")[0] == media_type
    assert set(parameters) <= set(heard.content_type.split("; "))
    if "error" in answer.get("body", {}):
        assert canonical(heard.json) == canonical(answer["body"])
    elif "body" in answer:
        assert_receipt(heard.json)
        assert heard.json.keys() == answer["body"].keys()


def assert_receipt(found: Any) -> None:
    assert DATE.fullmatch(found["date"])
    assert RECEIPT.fullmatch(found["receipt"])
    assert found["orderId"] == f"00-{ORDER_ID}"


def answers_of(name: str) -> Mapping[str, Any]:
    found = golden(f"answers.{name}").vtex
    assert isinstance(found, dict)
    return found


def answered(route: Route, dialect: OrdersApi) -> Mapping[str, Any]:
    """What the page of a request's time says; the page of 2022 is that of January 2023."""
    return answers_of(f"{route.operation}.{dialect}")


@pytest.mark.parametrize("name", sorted(golden_requests()))
async def test_what_vtex_shows_as_sent_is_answered_as_it_shows(name: str) -> None:
    shown, route = golden(name), Route.of(name)
    order = order_for(route, shown.vtex or {})

    async with Sandbox([order]) as sandbox, calling(sandbox) as caller:
        heard = await route.ask(caller, shown.vtex)

    assert heard.status == route.success
    assert_documented(heard, answered(route, shown.dialect)[str(route.success)])
    assert heard.status != 204 or heard.body == b""


@pytest.mark.parametrize("name", sorted(golden_requests()))
async def test_what_vtex_shows_as_sent_is_done(name: str) -> None:
    shown, route = golden(name), Route.of(name)
    order = order_for(route, shown.vtex or {})

    async with Sandbox([order]) as sandbox, calling(sandbox) as caller:
        await route.ask(caller, shown.vtex)

        (done,) = sandbox.oracle.applied
    number = (shown.vtex or {}).get("invoiceNumber")
    assert (done.operation, done.order_id) == (shown.operation, ORDER_ID)
    assert done.invoice_number == number or "invoice" not in shown.operation


def every_answer() -> list[tuple[str, str]]:
    return [(name, status) for name in ANSWERS for status in golden(name).vtex]


@pytest.mark.parametrize(("name", "status"), every_answer())
async def test_each_answer_that_vtex_documents_is_given(name: str, status: str) -> None:
    route = Route.of(name)
    plain = PLAIN.get((route.operation, route.document))
    body = golden(plain).vtex if plain else None
    order = order_for(route, body or {})
    orders = [] if status == "404" else [order]
    roles = [role for role in Role if status != "403"]
    limit = Limit(per_second=0.001, burst=1) if status == "429" else None
    headers: Mapping[str, str] | None = {} if status == "401" else None

    async with (
        Sandbox(orders, roles=roles, limit=limit) as sandbox,
        calling(sandbox) as caller,
    ):
        if status in {"409", "429"}:
            await route.ask(caller, body)
        heard = await route.ask(caller, body, headers)

    assert heard.status == int(status)
    assert_documented(heard, golden(name).vtex[status])


def test_no_golden_file_is_left_out() -> None:
    read_by_clients = {n for n in golden_names() if n.startswith(("get_order", "receipt"))}
    paths = {"order_paths.oms", "order_paths.pii"}

    assert golden_names() == golden_requests() | set(ANSWERS) | read_by_clients | paths


def test_every_route_has_its_answers() -> None:
    assert {(r.operation, r.document) for r in map(Route.of, ANSWERS)} == ROUTES.keys()


@pytest.mark.parametrize("document", [False, True], ids=["oms", "pii"])
@pytest.mark.parametrize("query", ["", "?reason=data-validation"])
async def test_an_order_is_shown_with_every_key_that_vtex_shows_and_no_other(
    query: str, *, document: bool
) -> None:
    page = documented("pii" if document else "oms")
    path = f"{DOCUMENT if document else OMS}/"

    async with Sandbox(orders=10) as sandbox, calling(sandbox) as caller:
        heard = [await caller.call("GET", path + o.order_id + query) for o in sandbox.orders]

    assert {each.status for each in heard} == {200}
    assert {each.content_type.split(";")[0] for each in heard} == {"application/json"}
    for each in heard:
        assert page.wrong(each.json) == {}
        assert page.left_out(each.json) == set()
        assert [date for date in dates_of(each.json) if not DATE.fullmatch(date)] == []


@pytest.mark.parametrize("document", [False, True], ids=["oms", "pii"])
async def test_a_delivered_invoice_is_shown_as_vtex_shows_one(*, document: bool) -> None:
    page = documented("pii" if document else "oms")
    async with Sandbox(orders=1) as sandbox, calling(sandbox) as caller:
        order = sandbox.orders[0]
        path = f"{OMS}/{order.order_id}/invoice"
        invoice = golden("notify_invoice.oms").vtex | {
            "invoiceNumber": INVOICED,
            "invoiceValue": str(order.value),
            "items": [
                {"id": line.id, "price": line.price, "quantity": line.quantity, "description": "x"}
                for line in order.items
            ],
        }
        sent = [
            ("POST", path, invoice),
            ("PATCH", f"{path}/{INVOICED}", golden("send_tracking.oms").vtex),
            ("PUT", f"{path}/{INVOICED}/tracking", golden("update_tracking_status.oms").vtex),
            (
                "PUT",
                f"{path}/{INVOICED}/tracking",
                golden("update_tracking_status.oms.delivered").vtex,
            ),
        ]

        done = [(await caller.call(*each)).status for each in sent]
        heard = await caller.call("GET", f"{DOCUMENT if document else OMS}/{order.order_id}")

    assert done == [200] * 4
    # Nothing sent on the OMS paths says how many volumes there are. VTEX's orders show null then.
    nulls = {} if document else {"packageAttachment.packages[].volumes": {"null"}}
    assert page.wrong(heard.json) == nulls
    assert page.left_out(heard.json) <= {"packageAttachment.packages[].restitutions.Refund"}
    assert [date for date in dates_of(heard.json) if not DATE.fullmatch(date)] == []
    (package,) = heard.json["packageAttachment"]["packages"]
    assert package["courierStatus"]["deliveredDate"].startswith("2022-10-01T21:15")
    assert len(package["courierStatus"]["data"]) == 2
