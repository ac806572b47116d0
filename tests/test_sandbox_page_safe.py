"""The sandbox's page shows what anybody sent: none of it becomes markup, a link, or a secret told."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final
from urllib.parse import quote

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.canaries import NET
from tests.factories import invoice_for
from tests.pages import Read, browsing, read_page
from tests.plain_caller import OMS, Caller, body_for, calling
from vtex_invoice_async import Order, Package, VtexInvoiceClient
from vtex_invoice_async.models import CourierEvent, CourierStatus, InvoiceType
from vtex_invoice_async.sandbox import Do, Fault, Limit, Sandbox
from vtex_invoice_async.sandbox.page.asked import read_query
from vtex_invoice_async.sandbox.page.markup import ATTRIBUTES, ELEMENTS, element

EVIL: Final = (
    "\"'><script>alert(1)</script><img src=x onerror=alert(2)><a href=javascript:alert(3)>"
    "</code></td></table></style></title><!-- <base href=//evil.example> &lt;b&gt; \u202e\x00\r\n"
)
TAKEN: Final = "".join(filter(str.isprintable, EVIL))
IN_PATH: Final = quote(TAKEN.replace("/", ""), safe="")
URL: Final = "javascript:alert(document.domain)//"
ORDER: Final = evolve(
    Sandbox(1).orders[0],
    order_id=EVIL,
    status=EVIL,
    packages=(
        Package(
            invoice_number=EVIL,
            invoice_value=-5,
            type=EVIL,
            courier=EVIL,
            tracking_number=EVIL,
            tracking_url=URL,
            courier_status=CourierStatus(
                finished=True,
                delivered_date=EVIL,
                data=(CourierEvent(city=EVIL, state=EVIL, description=EVIL, create_date=EVIL),) * 2,
            ),
        ),
        Package(invoice_number="\ud800", type=InvoiceType.INPUT, tracking_url=f"\t{URL}"),
    ),
)
PLANNED: Final = [
    Fault(do=Do.ANSWER, nth=[1], status=503, body=EVIL, headers={"X-Evil": "<b>"}),
    Fault(do=Do.RAW, nth=[99], body=EVIL.replace("\u202e", ""), order_id=EVIL),
]


def assert_ours(page: Read) -> None:
    """Nothing stands in a page but what the sandbox writes itself."""
    assert {each.name for each in page.elements} <= ELEMENTS
    for each in page.elements:
        assert set(each.attributes) <= ATTRIBUTES - {"src", "action", "style"}
        leads_to = each.attributes.get("href", "/")
        if each.name == "link":
            assert leads_to.startswith("data:image/svg+xml,%3Csvg")
        else:
            assert re.match(r"/$|/\?|#", leads_to)
    assert len(list(page.all("script"))) == len(list(page.all("style"))) == 1
    assert "\u202e" not in page.body.decode()
    assert "\x00" not in page.body.decode()


async def tell_everything(caller: Caller, order: Order) -> None:
    """Send hostile text in every field that VTEX takes."""
    where = {"courier": TAKEN, "trackingNumber": TAKEN, "trackingUrl": URL}
    event = {"city": TAKEN, "state": TAKEN, "description": TAKEN, "date": "2026-02-01"}
    news = {"isDelivered": True, "deliveredDate": "2026-02-01 10:00", "events": [event] * 2}
    invoice = {**body_for(order, invoiceValue="1", invoiceUrl=URL, invoiceKey=TAKEN), **where}
    at = f"{OMS}/{order.order_id}/invoice"
    for number in ("N0", "N1", TAKEN, TAKEN, EVIL):
        await caller.call("POST", at, {**invoice, "invoiceNumber": number})
    await caller.call("POST", at, {**invoice, "invoiceValue": EVIL})
    await caller.call("PATCH", f"{at}/N1", {**where, "dispatchedDate": "2026-01-31"})
    await caller.call("PUT", f"{at}/N1/tracking", news)
    await caller.call("PATCH", f"{at}/{IN_PATH}", where)
    await caller.call("POST", f"{OMS}/{order.order_id}/cancel", {"reason": TAKEN})
    await caller.call("GET", f"{OMS}/{IN_PATH}")
    await caller.call("GET", f"/api/{IN_PATH}")


async def test_hostile_text_stays_text_wherever_it_stands() -> None:
    sound = Sandbox(2).orders[1]
    async with (
        Sandbox([ORDER, sound], faults=PLANNED, duplicates="apply_again") as sandbox,
        browsing(sandbox) as browser,
        calling(sandbox) as caller,
    ):
        await tell_everything(caller, sound)
        pages = [
            await browser.look(query)
            for query in (
                *(
                    "",
                    "?requests=odd",
                    f"?order={sound.order_id}",
                    f"?order={quote(EVIL, safe='')}",
                ),
                *(f"?order=x{IN_PATH}", f"?{IN_PATH}={IN_PATH}", f"?page={IN_PATH}"),
                f"?requests={IN_PATH}",
            )
        ]

    for page in pages:
        assert_ours(page)
    assert [page.status for page in pages] == [200, 200, 200, 200, 404, 400, 400, 400]
    # They are there, as text.
    assert pages[0].part("orders").count("<script>alert(1)</script>") >= 10
    assert pages[0].part("orders").count("javascript:alert(document.domain)") == 5
    assert pages[0].part("faults").count("<script>alert(1)</script>") == 3
    assert "<script>alert(1)</script>" in pages[0].part("again")
    assert "<script>alert(1)</script>" in pages[0].part("remarks")
    assert "<script>alert(1)" in pages[0].part("requests")
    assert "<script>alert(1)" in pages[4].part("told")


@given(st.text(), st.text())
def test_any_text_is_read_back_as_what_it_was(text: str, title: str) -> None:
    written = element("p", text[:200], title=title)

    page = read_page(200, {}, written.text.encode())

    (only,) = page.elements
    expected = ["".join(c if c.isprintable() else "\ufffd" for c in t) for t in (text[:200], title)]
    assert "".join(only.parts)[1:] == expected[0]
    assert only.attributes == {"title": expected[1]}


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        " /",
        "/x\n",
    ],
)
def test_no_link_leads_elsewhere(href: str) -> None:
    with pytest.raises(ValueError, match="nowhere but to itself"):
        element("a", "x", href=href)


@given(st.lists(st.tuples(st.text() | st.sampled_from(["order", "page", "requests"]), st.text())))
def test_any_query_is_answered_and_leads_back_to_itself(pairs: list[tuple[str, str]]) -> None:
    asked = read_query(pairs)

    element("a", "x", href=asked.address())
    if asked.problem is not None:
        assert asked.address() == "/"


async def test_its_headers_let_a_browser_run_and_load_nothing_else(sandbox: Sandbox) -> None:
    async with browsing(sandbox) as browser:
        page = await browser.look()

    rules = dict(rule.split(" ", 1) for rule in page.headers["Content-Security-Policy"].split("; "))
    for kind in ("script", "style"):
        (own,) = page.all(kind)
        # A hash is of what stands in the element, which is no text of the page's.
        inside = page.body.decode().split(f"<{kind}>")[1].split(f"</{kind}>")[0].encode()
        digest = base64.b64encode(hashlib.sha256(inside).digest()).decode()
        assert rules.pop(f"{kind}-src") == f"'sha256-{digest}'"
        assert own.attributes == {}
    assert rules == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not any(name.startswith("Access-Control") for name in page.headers)


async def test_its_head_is_that_of_the_page_and_other_methods_are_vtexs(sandbox: Sandbox) -> None:
    async with browsing(sandbox) as browser, calling(sandbox) as caller:
        page = await browser.look()
        async with browser.session.head(f"{sandbox.url}/") as head:
            body = await head.read()
        others = [
            await caller.call(method, path, {})
            for method, path in (
                *(("POST", "/"), ("PUT", "/"), ("DELETE", "/"), ("OPTIONS", "/")),
                *(("GET", "//"), ("GET", "/index.html"), ("GET", "/favicon.ico")),
            )
        ]

    assert (head.status, body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(page.body))
    assert head.headers["Content-Security-Policy"] == page.headers["Content-Security-Policy"]
    assert [(other.status, other.json["source"]) for other in others] == [
        (404, "Vtex.Kube.Router")
    ] * len(others)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "a:b"])
async def test_a_site_that_says_it_is_this_host_sees_nothing(sandbox: Sandbox, host: str) -> None:
    async with (
        browsing(sandbox) as browser,
        browser.session.get(f"{sandbox.url}/", headers={"Host": host}) as answer,
    ):
        assert answer.status in {400, 421}
        assert sandbox.account not in await answer.text()


async def test_to_look_leaves_everything_as_it_is() -> None:
    faults = [Fault(do=Do.CLOSE, nth=[2]), Fault(do=Do.ANSWER, rate=1, order_id="none")]
    limit = Limit(per_second=0, burst=2, tells=True)
    async with (
        Sandbox(3, faults=faults, limit=limit, latency=3600) as sandbox,
        browsing(sandbox) as browser,
    ):
        ids = sandbox._ids.getstate()
        bucket = repr(sandbox._desk._bucket)
        orders = sandbox.orders
        for query in ("", "?order=nope", "?page=9", "?x=y", "") * 2:
            page = await browser.look(query)

        assert not sandbox.oracle.arrived
        assert not sandbox.oracle.applied
        assert "Requests 0 0 odd" in page.part("glance")
        assert [(each.seen, each.happened) for each in sandbox.faults.standings] == [(0, 0)] * 2
        assert repr(sandbox._desk._bucket) == bucket
        assert sandbox._ids.getstate() == ids
        assert sandbox.orders == orders
        assert "Ratelimit-Limit" not in page.headers


async def test_no_credential_is_on_it_even_where_a_client_puts_one(sandbox: Sandbox) -> None:
    secrets = [sandbox.app_key, sandbox.app_token, sandbox.user_token, sandbox.control_token]
    order = sandbox.orders[0]
    sandbox.faults.add(Fault(do=Do.ANSWER, nth=[9], headers={"X-Key": sandbox.app_token}))
    async with (
        browsing(sandbox) as browser,
        calling(sandbox) as caller,
        VtexInvoiceClient(sandbox.config) as client,
    ):
        await client.notify_invoice(order.order_id, invoice_for(order))
        for secret in secrets:
            await caller.route("order", secret)
            await caller.call("PATCH", f"{OMS}/{order.order_id}/invoice/{secret}", {})
            pages = [await browser.look(), await browser.look(f"?order={secret}")]
            for page in pages:
                NET.look(page.body, "the page", for_people=False)
                assert not [each for each in secrets if each.encode() in page.body]
    assert "get_order [a credential] 404" in pages[0].part("requests")
    assert f"send_tracking {order.order_id} [a credential] 400" in pages[0].part("requests")
    assert "X-Key" in pages[0].part("faults")
