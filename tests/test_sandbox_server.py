"""The sandbox over HTTP as any client sees it: paths, credentials, and errors word for word."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import reduce
from operator import getitem
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest

from tests.command_line import until
from tests.factories import authentication, job_for, make_invoice
from tests.plain_caller import (
    DELIVERED,
    DOCUMENT,
    OMS,
    ROUTES,
    TRACKING,
    Caller,
    body_for,
    calling,
)
from vtex_invoice_async import Order, VtexInvoiceClient
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.sandbox import Role, Sandbox

each_route = pytest.mark.parametrize("route", ROUTES)


@pytest.fixture
async def caller(sandbox: Sandbox) -> AsyncIterator[Caller]:
    async with calling(sandbox) as opened:
        yield opened


async def test_it_listens_on_loopback_and_nowhere_else(sandbox: Sandbox) -> None:
    assert sandbox._runner is not None

    # aiohttp asks each of its sockets with getsockname().
    addresses = sandbox._runner.addresses

    assert addresses == [("127.0.0.1", urlsplit(sandbox.url).port)]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "a:b"]
)
async def test_a_page_that_says_it_is_this_host_is_refused(caller: Caller, host: str) -> None:
    order = caller.sandbox.orders[0]
    headers = {**authentication(caller.sandbox.config), "Host": host}

    heard = await caller.route("invoice", order.order_id, body_for(order), headers)

    assert heard.status in {400, 421}
    assert not caller.sandbox.applied


async def test_localhost_is_a_name_of_it(caller: Caller) -> None:
    order = caller.sandbox.orders[0]
    port = urlsplit(caller.sandbox.url).port
    headers = {**authentication(caller.sandbox.config), "Host": f"localhost:{port}"}

    heard = await caller.route("order", order.order_id, headers=headers)

    assert heard.status == 200


async def test_a_port_that_is_taken_is_said_in_one_line(sandbox: Sandbox) -> None:
    port = urlsplit(sandbox.url).port
    assert port is not None
    other = Sandbox(0, port=port)

    with pytest.raises(ConfigError) as caught:
        await other.__aenter__()

    assert str(port) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="not running"):
        _ = other.url


async def test_a_port_that_cannot_be_is_a_setting_that_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="70000"):
        await Sandbox(0, port=70_000).__aenter__()


async def test_after_its_block_it_listens_no_more(caller: Caller) -> None:
    async with Sandbox(0) as other:
        url = other.url

    with pytest.raises(aiohttp.ClientConnectorError):
        await caller.session.get(url)
    with pytest.raises(ConfigError, match="not running"):
        _ = other.url


@pytest.mark.parametrize("route", ["invoice", "tracking", "status", "document invoice"])
async def test_a_body_that_is_not_in_the_encoding_that_it_names_is_refused(
    caller: Caller, route: str
) -> None:
    order = caller.sandbox.orders[0]
    headers = {**authentication(caller.sandbox.config), "Content-Encoding": "gzip"}

    heard = await caller.route(route, order.order_id, b"{}", headers)

    assert heard.status == 400
    assert heard.content_type.startswith("application/json")
    assert not caller.sandbox.applied


WRONG_CREDENTIALS: Final = {
    "none": {},
    "only the key": {"X-VTEX-API-AppKey": "KEY"},
    "only the token": {"X-VTEX-API-AppToken": "TOKEN"},
    "another key": {"X-VTEX-API-AppKey": "vtexappkey-x", "X-VTEX-API-AppToken": "TOKEN"},
    "another token": {"X-VTEX-API-AppKey": "KEY", "X-VTEX-API-AppToken": "wrong"},
    "another user token": {"VtexIdclientAutCookie": "wrong"},
    "empty": {"X-VTEX-API-AppKey": "", "X-VTEX-API-AppToken": "", "VtexIdclientAutCookie": ""},
    "the pair the wrong way round": {"X-VTEX-API-AppKey": "TOKEN", "X-VTEX-API-AppToken": "KEY"},
}


@each_route
@pytest.mark.parametrize("wrong", WRONG_CREDENTIALS)
async def test_credentials_that_are_missing_or_wrong_are_401_in_the_words_of_vtex(
    caller: Caller, route: str, wrong: str
) -> None:
    order = caller.sandbox.orders[0]
    real = {"KEY": caller.sandbox.app_key, "TOKEN": caller.sandbox.app_token}
    headers = {name: real.get(v, v) for name, v in WRONG_CREDENTIALS[wrong].items()}

    heard = await caller.route(route, order.order_id, headers=headers)

    assert heard.status == 401
    if route.startswith("document"):
        assert set(heard.json) == {"type", "title", "status", "traceId"}
        assert heard.json["title"] == "Unauthorized"
        assert heard.json["type"] == "https://tools.ietf.org/html/rfc9110#section-15.5.2"
        assert heard.json["status"] == 401
    else:
        error = {"code": "1", "message": "Unauthorized access", "exception": None}
        assert heard.json == {"error": error}


async def test_header_names_are_read_without_regard_to_case(caller: Caller) -> None:
    order = caller.sandbox.orders[0]
    headers = {name.lower(): value for name, value in authentication(caller.sandbox.config).items()}

    heard = await caller.route("order", order.order_id, headers=headers)

    assert heard.status == 200


async def test_a_user_token_alone_is_enough(caller: Caller) -> None:
    order = caller.sandbox.orders[0]
    headers = {"VtexIdclientAutCookie": caller.sandbox.user_token}

    heard = await caller.route("invoice", order.order_id, body_for(order), headers)

    assert heard.status == 200


@each_route
async def test_credentials_without_the_role_are_403(route: str) -> None:
    _, _, role = ROUTES[route]
    others = set(Role) - {role}

    async with Sandbox(1, roles=others) as sandbox, calling(sandbox) as caller:
        order = sandbox.orders[0]
        heard = await caller.route(route, order.order_id, body_for(order))
        applied = sandbox.applied

    assert heard.status == 403
    assert heard.body == (b"" if route.startswith("document") else b"No authorized")
    assert not applied


@each_route
async def test_one_role_opens_its_routes(route: str) -> None:
    _, _, role = ROUTES[route]

    async with Sandbox(1, roles=[role]) as sandbox, calling(sandbox) as caller:
        heard = await caller.route(route, sandbox.orders[0].order_id, {})

    assert heard.status not in {401, 403}


@pytest.mark.parametrize(
    "path", ["/", "/api/oms/pvt/nonsense", f"{OMS}/x-01/nonsense", f"{DOCUMENT}/x-01/invoice"]
)
async def test_a_route_that_vtex_does_not_have_is_answered_by_its_router(
    caller: Caller, path: str
) -> None:
    heard = await caller.call("POST", path, {})

    assert heard.status == 404
    assert heard.json["code"] == "NotFound"
    assert heard.json["source"] == "Vtex.Kube.Router"
    assert "requestId" in heard.json


@pytest.mark.parametrize(
    ("path", "key", "form"),
    [
        (f"{DOCUMENT}/x-01", "traceId", "00-[0-9a-f]{32}-[0-9a-f]{16}-00"),
        ("/nonsense", "requestId", "[0-9a-f]{32}"),
    ],
)
async def test_each_error_that_has_an_id_has_one_of_its_own(path: str, key: str, form: str) -> None:
    async def heard(seed: int) -> list[str]:
        async with Sandbox(0, seed=seed) as sandbox, calling(sandbox) as caller:
            return [(await caller.call("GET", path)).json[key] for _ in range(5)]

    ids = await heard(1) + await heard(2)

    assert len(set(ids)) == 10
    assert all(re.fullmatch(form, found) for found in ids)
    assert await heard(1) == ids[:5]


NOT_FOUND_BODIES: Final = {
    "invoice": {},
    "tracking": TRACKING,
    "status": DELIVERED,
    "order": None,
    "handling": None,
    "cancel": {"reason": "out of stock"},
    "document invoice": {},
    "document order": None,
    "document handling": None,
    "document cancel": {"reason": "out of stock"},
}


@each_route
async def test_an_unknown_order_is_404_in_the_words_of_vtex(caller: Caller, route: str) -> None:
    document = route.startswith("document")
    order = caller.sandbox.orders[0]
    body = NOT_FOUND_BODIES[route]
    sent = body_for(order, document=document) if body == {} else body

    heard = await caller.route(route, "nope-01", sent)

    assert heard.status == 404
    if document:
        assert heard.json["title"] == "Not Found"
        assert heard.json["status"] == 404
        assert heard.json["type"] == "https://tools.ietf.org/html/rfc7231#section-6.5.4"
    else:
        error = {"code": "OMS007", "message": "Order Not Found", "exception": None}
        assert heard.json == {"error": error}


@pytest.mark.parametrize(
    ("route", "words"),
    [("handling", ("error", "message")), ("document handling", ("detail",))],
)
async def test_start_handling_is_an_empty_204_and_then_a_conflict_in_the_shape_of_its_service(
    caller: Caller, route: str, words: tuple[str, ...]
) -> None:
    order = caller.sandbox.orders[9]

    first = await caller.route(route, order.order_id)
    second = await caller.route(route, order.order_id)

    assert order.status is OrderStatus.READY_FOR_HANDLING
    assert caller.sandbox.orders[9].status is OrderStatus.HANDLING
    assert (first.status, first.body) == (204, b"")
    assert second.status == 409
    told = reduce(getitem, words, second.json)
    assert told == "Order status should be ready-for-handling to perform this action"
    assert second.json.get("title") == ("Conflict" if words == ("detail",) else None)


@pytest.mark.parametrize("document", [False, True])
async def test_a_receipt_has_vtexs_date_the_sellers_order_and_a_protocol_code(
    caller: Caller, *, document: bool
) -> None:
    order = caller.sandbox.orders[0]
    route = "document invoice" if document else "invoice"

    heard = await caller.route(route, order.order_id, body_for(order, document=document))

    assert heard.status == 200
    assert heard.content_type == "application/json; charset=utf-8"
    assert set(heard.json) == {"date", "orderId", "receipt"}
    date, zone = heard.json["date"][:27], heard.json["date"][27:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}", date)
    assert zone == ("Z" if document else "+00:00")
    assert heard.json["orderId"] == f"00-{order.order_id}"
    assert re.fullmatch(r"[0-9a-f]{32}", heard.json["receipt"])


async def test_an_order_waits_for_its_invoice_to_be_verified() -> None:
    async with Sandbox(1, settle_delay=3_600) as sandbox, calling(sandbox) as caller:
        order = sandbox.orders[0]
        await caller.route("invoice", order.order_id, body_for(order))

        heard = await caller.route("order", order.order_id)

    assert heard.json["status"] == "invoice"


async def test_a_caller_that_hangs_up_has_invoiced_all_the_same() -> None:
    async with Sandbox(1, latency=0.05) as sandbox, aiohttp.ClientSession() as session:
        order = sandbox.orders[0]
        impatient = aiohttp.ClientTimeout(sock_read=0.01)

        with pytest.raises(TimeoutError):
            await session.post(
                f"{sandbox.url}{OMS}/{order.order_id}/invoice",
                json=body_for(order),
                headers=authentication(sandbox.config),
                timeout=impatient,
            )

        await until(lambda: sandbox.applied == {(order.order_id, "NFe1"): 1}, patience=1)


def test_settings_of_a_sandbox_that_does_not_run_cannot_be_asked_for() -> None:
    sandbox = Sandbox([Order(order_id="x-01", value=make_invoice().invoice_value)])

    with pytest.raises(ConfigError, match="async with"):
        _ = sandbox.config


async def test_whoever_holds_the_runs_token_is_told_what_was_taken(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    job = job_for(sandbox.orders[0])
    await client.notify_invoice(job.order_id, job.invoice)

    async with aiohttp.ClientSession() as session:
        told: list[tuple[int, bytes]] = []
        for token in (sandbox.control_token, "wrong", sandbox.app_token):
            headers = {"X-Sandbox-Token": token}
            async with session.get(f"{sandbox.url}/_sandbox/applied", headers=headers) as answer:
                told.append((answer.status, await answer.read()))

    (done,) = orjson.loads(told[0][1])
    assert told[0][0] == 200
    assert done["operation"] == "notify_invoice"
    assert done["order_id"] == job.order_id
    assert done["invoice_number"] == job.invoice.invoice_number
    assert done["value"] == job.invoice.invoice_value
    assert told[1:] == [(403, b""), (403, b"")]
