"""The shoppers of the sandbox's orders: made up, masked where VTEX masks, never read by us."""

from __future__ import annotations

from typing import Any, Final

import orjson
import pytest
from attrs import evolve

from tests.factories import invoice_for, make_tracking
from tests.order_paths import documented
from tests.plain_caller import DOCUMENT, OMS, calling
from tests.shown_orders import NOON, ORDERS, each_order, every_scene, invoiced, shown
from vtex_invoice_async import ClientConfig, Order, OrdersApi, VtexInvoiceClient
from vtex_invoice_async.models import TrackingStatus
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.sandbox.documents.customers import (
    DOCUMENT_PREFIX,
    EMAIL_DOMAIN,
    LAST_NAME,
    PHONE_PREFIX,
    STREET,
    customer_of,
)
from vtex_invoice_async.sandbox.filed import Shown

MARKS: Final = (LAST_NAME, EMAIL_DOMAIN, STREET, PHONE_PREFIX)
"""What is seen of a made-up shopper wherever one is."""


def test_the_shopper_of_an_order_is_always_the_same_and_plainly_made_up() -> None:
    ids = [order.order_id for order in ORDERS]

    found = [customer_of(order_id) for order_id in ids]

    assert found == [customer_of(order_id) for order_id in ids]
    assert len({each.email for each in found}) == len(ids)
    for each in found:
        assert each.last_name == "Caixa-de-Areia"
        assert each.email.endswith("@cliente.example")
        assert each.alias.endswith("@cliente.example")
        assert each.street == "Rua da Caixa de Areia"
        assert each.phone.startswith("+5500999")
        assert each.document.startswith(DOCUMENT_PREFIX)
        assert (DOCUMENT_PREFIX, len(each.document)) == ("000", 11)


@pytest.mark.parametrize("masked", [False, True])
def test_a_masked_order_has_the_same_keys_and_types(*, masked: bool) -> None:
    page = documented("pii")

    found = [shown(scene, document=True, masked=masked) for scene in every_scene()]

    assert [page.wrong(each) for each in found if page.wrong(each)] == []
    assert {each["piiHidden"] for each in found} == {masked}


def read_text(found: Any) -> str:
    return orjson.dumps(found).decode()


@each_order
def test_a_masked_order_shows_nothing_of_its_shopper(order: Order) -> None:
    customer = customer_of(order.order_id)
    secrets = (*MARKS, customer.document, customer.alias, customer.postal_code)

    clear, masked = (
        read_text(shown(invoiced(order), document=True, masked=masked)) for masked in (False, True)
    )

    assert [secret for secret in secrets if secret not in clear] == []
    assert [secret for secret in secrets if secret in masked] == []


def test_a_masked_name_keeps_its_first_letter_as_vtexs_page_shows() -> None:
    profile = shown(Shown(order=ORDERS[0]), document=True, masked=True)["clientProfileData"]

    first_name = customer_of(ORDERS[0].order_id).first_name
    assert profile["firstName"] == first_name[0] + "*" * (len(first_name) - 1)
    assert profile["lastName"] == "C*************"
    assert set(profile["email"] + profile["phone"] + profile["document"]) == {"*"}


@each_order
def test_a_masked_address_is_a_town(order: Order) -> None:
    found = shown(Shown(order=order), document=True, masked=True)

    (payment,) = found["paymentData"]["transactions"][0]["payments"]
    billing, customer = payment["billingAddress"], customer_of(order.order_id)
    assert billing["geoCoordinates"] == []
    assert (billing["city"], billing["state"]) == (customer.city, customer.state)
    hidden = ("street", "number", "complement", "neighborhood", "postalCode")
    assert {key: set(billing[key]) for key in hidden} == {key: {"*"} for key in hidden}


@pytest.mark.parametrize(
    ("path", "is_clear"),
    [
        (f"{OMS}/%s", True),
        (f"{OMS}/%s?reason=data-validation", True),
        (f"{DOCUMENT}/%s", False),
        (f"{DOCUMENT}/%s?reason=", False),
        (f"{DOCUMENT}/%s?reason=data-validation", True),
    ],
)
async def test_the_document_paths_show_the_shopper_for_a_reason(
    path: str, *, is_clear: bool
) -> None:
    async with Sandbox(orders=1) as sandbox, calling(sandbox) as caller:
        heard = await caller.call("GET", path % sandbox.orders[0].order_id)

    assert heard.status == 200
    found = [mark for mark in MARKS if mark in heard.body.decode()]
    assert found == (list(MARKS) if is_clear else [])


@pytest.mark.parametrize("dialect", OrdersApi)
async def test_our_client_reads_the_order_and_nothing_of_its_shopper(dialect: OrdersApi) -> None:
    status = TrackingStatus(is_delivered=True, delivered_date=NOON)
    async with Sandbox(orders=10) as sandbox:
        config: ClientConfig = evolve(sandbox.config, orders_api=dialect)
        async with VtexInvoiceClient(config) as client:
            first = sandbox.orders[0]
            await client.notify_invoice(first.order_id, invoice_for(first))
            await client.send_tracking(first.order_id, "NFe1", make_tracking())
            await client.update_tracking_status(first.order_id, "NFe1", status)

            read = [await client.get_order(order.order_id) for order in sandbox.orders]
        expected = sandbox.orders

    assert len(read[0].packages or ()) == 1
    assert [without_line_names(order) for order in read] == [
        without_line_names(order) for order in expected
    ]
    assert [mark for mark in MARKS if mark in repr(read)] == []


def without_line_names(order: Order) -> Order:
    """Leave out what is said of an invoice's lines: each of the two pages has a key of its own."""
    return evolve(
        order,
        packages=tuple(
            evolve(
                package,
                items_inferred=None,
                items=tuple(evolve(item, id=None, description=None) for item in package.items),
            )
            for package in order.packages or ()
        ),
    )
