"""An order as the sandbox shows it in full: every key that VTEX shows, and all of one piece."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tests.factories import make_invoice
from tests.order_paths import DATE, dates_of, documented
from tests.shown_orders import (
    ORDERS,
    each_order,
    every_scene,
    families,
    invoiced,
    returned,
    sale,
    shown,
)
from vtex_invoice_async import Order
from vtex_invoice_async.models import InvoiceItem, OrderStatus, PackageItem
from vtex_invoice_async.sandbox.filed import Shown
from vtex_invoice_async.sandbox.generated import fitting_order


def packages(found: Any) -> list[Any]:
    listed = found["packageAttachment"]["packages"]
    assert isinstance(listed, list)
    return listed


@families
def test_every_path_of_vtexs_example_is_shown_by_some_order(*, document: bool) -> None:
    page = documented("pii" if document else "oms")

    found = [shown(scene, document=document) for scene in every_scene()]

    assert page.absent(found) == set()
    assert [page.wrong(each) for each in found if page.wrong(each)] == []
    dates = {date for each in found for date in dates_of(each)}
    assert {date for date in dates if not DATE.fullmatch(date)} == set()


@families
@each_order
def test_the_sums_of_an_order_agree(order: Order, *, document: bool) -> None:
    found = shown(Shown(order=order), document=document)

    totals = {total["id"]: total["value"] for total in found["totals"]}
    lines = [line["priceDefinition"] for line in found["items"]]
    (payment,) = found["paymentData"]["transactions"][0]["payments"]
    assert sum(totals.values()) == found["value"] == payment["value"]
    assert sum(line["total"] for line in lines) == totals["Items"] + totals["Discounts"]
    assert [line["total"] for line in lines] == [
        sum(price["value"] * price["quantity"] for price in line["sellingPrices"]) for line in lines
    ]
    assert [line["quantity"] for line in found["items"]] == [
        sum(price["quantity"] for price in line["sellingPrices"]) for line in lines
    ]
    freights = [one["price"] for one in found["shippingData"]["logisticsInfo"]]
    assert sum(freights) == totals["Shipping"]
    assert len(freights) == len(found["items"]) == len(lines)


@each_order
def test_the_tax_is_the_orders_and_null_where_there_is_none(order: Order) -> None:
    found = shown(Shown(order=order))

    (tax,) = [total["value"] for total in found["totals"] if total["id"] == "Tax"]
    told = found["taxData"]
    tags = told["taxInfoCollection"][0]["priceTags"] if told else []
    assert sum(tag["value"] for tag in tags) == tax
    assert (told is None) is (tax == 0)


@each_order
def test_a_discount_is_told_with_its_line_on_the_document_paths(order: Order) -> None:
    found = shown(Shown(order=order), document=True)

    for line in found["items"]:
        off = sum(round(100 * tag["rawValue"]) for tag in line["priceTags"])
        assert line["price"] * line["quantity"] + off == line["priceDefinition"]["total"]


def test_the_moments_of_an_order_follow_each_other() -> None:
    came_in_so = Shown(order=evolve(ORDERS[0], status=OrderStatus.INVOICED))

    for scene in (*every_scene(), came_in_so):
        found = shown(scene)
        moments = [found["creationDate"], found["authorizedDate"], found["invoicedDate"]]
        told = [moment for moment in [*moments, found["lastChange"]] if moment]
        assert told == sorted(told)


@families
@pytest.mark.parametrize(
    ("status", "description", "allowed"),
    [
        (OrderStatus.READY_FOR_HANDLING, "Pronto para o Manuseio", True),
        (OrderStatus.HANDLING, "Preparando Entrega", True),
        (OrderStatus.INVOICE, "Verificando Fatura", False),
        (OrderStatus.INVOICED, "Faturado", False),
        (OrderStatus.CANCELED, "Cancelado", False),
        ("window-to-cancel", "window-to-cancel", True),
    ],
)
def test_what_is_said_of_an_order_follows_its_status(
    status: str, description: str, *, allowed: bool, document: bool
) -> None:
    found = shown(Shown(order=evolve(ORDERS[0], status=status)), document=document)

    is_canceled = status == OrderStatus.CANCELED
    assert found["allowCancellation"] is allowed
    assert (found["cancellationData"] is not None) is is_canceled
    assert (found["cancelReason"] is not None) is is_canceled
    if document:
        (workflow,) = found["workflowData"]["instances"]
        assert workflow["currentStepName"] == found["state"] == found["status"] == status
        assert workflow["timeLine"][-1]["stepName"] == status
        assert workflow["logicTimeLine"][-1]["stepName"] == workflow["currentLogicalStep"]
    else:
        assert found["statusDescription"] == description


def test_a_package_has_the_keys_of_its_family() -> None:
    (oms,) = packages(shown(invoiced(ORDERS[0], items_inferred=True)))
    (pii,) = packages(shown(invoiced(ORDERS[0]), document=True))

    assert oms.keys() - pii.keys() == {"EnableInferItems"}
    assert pii.keys() - oms.keys() == {"description", "lastChange"}
    assert oms["EnableInferItems"] is True
    assert oms["embeddedInvoice"] == pii["embeddedInvoice"] == "<NFe/>"
    assert pii["items"][0].keys() - oms["items"][0].keys() == {"id"}


@families
@pytest.mark.parametrize(("worth", "renamed"), [(-1, False), (0, True), (1, True)])
def test_the_lines_of_an_invoice_of_all_of_an_order_bear_the_products_name(
    worth: int, *, renamed: bool, document: bool
) -> None:
    order = ORDERS[0]
    package = sale(order, invoice_value=order.value + worth)

    (found,) = packages(shown(invoiced(order, package=package), document=document))

    name = shown(Shown(order=order))["items"][0]["name"]
    assert [item["description"] for item in found["items"]] == [name if renamed else "caixa"]


def test_a_line_that_the_order_lacks_keeps_its_description() -> None:
    line = PackageItem(item_index=99, quantity=1, price=100, description="caixa")
    package = sale(ORDERS[0], items=(line,))

    (found,) = packages(shown(invoiced(ORDERS[0], package=package)))

    assert found["items"][0]["description"] == "caixa"


def test_a_refund_is_told_of_the_return_that_made_it() -> None:
    by_index = InvoiceItem(item_index=0, price=300, quantity=1)
    found = returned(ORDERS[0], by_index)

    oms, pii = (packages(shown(found, document=document)) for document in (False, True))

    refund = oms[1]["restitutions"]["Refund"]
    assert refund == pii[1]["restitutions"]["refund"]
    assert (refund["value"], refund["giftCardData"]) == (300, None)
    assert [item["id"] for item in refund["items"]] == [ORDERS[0].items[0].id]
    # VTEX's orders show an empty object; its PII page allows for null.
    assert (oms[0]["restitutions"], pii[0]["restitutions"]) == ({}, None)


@families
def test_an_order_is_shown_the_same_each_time(*, document: bool) -> None:
    one, same, other = (
        shown(Shown(order=order), document=document) for order in (*ORDERS[:1] * 2, ORDERS[1])
    )

    assert one == same
    assert one["clientProfileData"] != other["clientProfileData"]


@families
def test_an_order_made_to_fit_an_invoice_is_shown_like_any_other(*, document: bool) -> None:
    page = documented("pii" if document else "oms")

    found = shown(Shown(order=fitting_order("v5lux-01", [make_invoice()])), document=document)

    assert page.wrong(found) == {}
    assert page.left_out(found) == set()
