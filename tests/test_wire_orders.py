"""Orders are read for what an invoicer needs, and one word that is new costs nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vtex_invoice_async.models import (
    InvoiceType,
    Order,
    OrderStatus,
    Package,
    PriceDefinition,
)
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import read

Json = dict[str, Any]


def order(**changes: Any) -> Order:
    return read(json.dumps({"orderId": "1", "value": 1, **changes}).encode(), Order, OrdersApi.OMS)


@pytest.mark.parametrize("status", ["waiting-for-fulfillment", "detail.state.null", "", None])
def test_a_status_that_is_not_known_is_kept(status: str | None) -> None:
    assert order(status=status).status == status


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("payment-approved", OrderStatus.PAYMENT_APPROVED),
        ("ready-for-handling", OrderStatus.READY_FOR_HANDLING),
        ("handling", OrderStatus.HANDLING),
        ("invoice", OrderStatus.INVOICE),
        ("invoiced", OrderStatus.INVOICED),
        ("canceled", OrderStatus.CANCELED),
    ],
)
def test_a_status_that_is_known_is_a_member(word: str, status: OrderStatus) -> None:
    assert order(status=word).status is status


@pytest.mark.parametrize("word", ["output", "Refund", "", None])
def test_a_type_of_package_that_is_not_known_is_kept(word: str | None) -> None:
    found = order(packageAttachment={"packages": [{"type": word}, {"type": "Input"}]}).packages

    assert found is not None
    assert [package.type for package in found] == [word, InvoiceType.INPUT]


@pytest.mark.parametrize(
    ("said", "packages"),
    [
        ({}, None),
        ({"packageAttachment": {}}, None),  # it does not speak of packages either
        ({"packages": [{"invoiceNumber": "not VTEX's place for it"}]}, None),
        ({"packageAttachment": None}, ()),
        ({"packageAttachment": {"packages": None}}, ()),
        ({"packageAttachment": {"packages": []}}, ()),
    ],
)
def test_only_an_answer_that_speaks_of_packages_says_that_there_are_none(
    said: Json, packages: object
) -> None:
    assert order(**said).packages == packages


@pytest.mark.parametrize(
    "attachment",
    [
        [],
        "x",
        5,
        False,
        {"packages": {}},
        {"packages": "x"},
        {"packages": 0},
        {"packages": False},
        {"packages": [None]},
        {"packages": ["x"]},
        {"packages": [{"invoiceNumber": 9999}]},
        {"packages": [{"invoiceValue": 24.99}]},
        {"packages": [{"type": 1}]},
    ],
)
def test_packages_of_another_shape_are_an_error(attachment: Any) -> None:
    with pytest.raises(ValueError, match=r"^(packageAttachment|packages)"):
        order(packageAttachment=attachment)


@pytest.mark.parametrize("key", ["priceDefinition", "priceDefinitions"])
def test_the_price_definition_is_read_under_either_name(key: str) -> None:
    line = {"id": "18", "quantity": 1, key: {"calculatedSellingPrice": 990, "total": 1980}}

    found = order(items=[line]).items[0].price_definition

    assert found == PriceDefinition(calculated_selling_price=990, total=1980)


def test_the_date_of_a_package_is_kept_as_it_was_written() -> None:
    packages = [{"issuanceDate": "01/31/2026"}, {"issuanceDate": "2026-01-31T00:00:00"}, {}]

    found = order(packageAttachment={"packages": packages}).packages

    assert found is not None
    assert [package.raw_issuance_date for package in found] == [
        "01/31/2026",
        "2026-01-31T00:00:00",
        None,
    ]
    assert [package.issuance_date is None for package in found] == [True, False, True]


@pytest.mark.parametrize("value", [24.99, "1160", True, None])
def test_an_order_whose_value_is_no_whole_number_is_not_read(value: Any) -> None:
    with pytest.raises(ValueError, match="value: "):
        order(value=value)


@pytest.mark.parametrize(
    "key",
    [
        "invoiceNumber",
        "invoiceValue",
        "type",
        "issuanceDate",
        "invoiceKey",
        "invoiceUrl",
        "courier",
        "trackingNumber",
        "trackingUrl",
        "courierStatus",
        "cfop",
        "volumes",
    ],
)
def test_null_in_a_package_is_as_good_as_absent(key: str) -> None:
    assert order(packageAttachment={"packages": [{key: None}]}).packages == (Package(),)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (b'{"value": 1}', "orderId: is missing"),
        (b'{"orderId": 1, "value": 1}', "orderId: must be text"),
        (b'{"orderId": "1"}', "value: is missing"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"", "not a JSON object"),
    ],
)
def test_what_is_no_order_is_told_with_its_place(document: bytes, place: str) -> None:
    with pytest.raises(ValueError, match=f"^{place}"):
        read(document, Order, OrdersApi.OMS)


DONE: Json = {"reason": "", "receipt": {"receipt": "029f9ab8"}}


@pytest.mark.parametrize(
    ("attachment", "is_changing"),
    [
        (None, False),
        ({"changesData": None}, False),
        ({"changesData": []}, False),
        ({"changesData": [DONE]}, False),
        ({"changesData": [{"reason": "", "receipt": None}]}, True),
        ({"changesData": [DONE, {"reason": ""}]}, True),
        ({"changesData": [DONE | {"inProgress": True}]}, True),
        ({"changesData": [DONE | {"finished": False}]}, True),
        ({"changesData": [{"receipt": None, "finished": True}]}, False),
        ({"changesData": [{"receipt": None, "inProgress": False}]}, False),
        ({"changesData": [{"receipt": None, "inProgress": "no"}]}, True),
        ({"changesData": "x"}, False),
        ({"changesData": {"inProgress": True}}, False),
        ({"changesData": [None, "x", 1]}, False),
        *((odd, False) for odd in ("x", 5, True)),
    ],
)
def test_an_order_is_changing_while_one_of_its_changes_is_not_finished(
    attachment: object, is_changing: bool
) -> None:
    assert order(changesAttachment=attachment).is_changing is is_changing


@pytest.mark.parametrize(
    ("said", "kept"), [(True, True), (False, False), (None, None), ("yes", None), (1, None)]
)
def test_only_yes_and_no_say_whether_lines_were_made_up(said: object, kept: bool | None) -> None:
    packages = order(packageAttachment={"packages": [{"EnableInferItems": said}]}).packages

    assert packages is not None
    assert packages[0].items_inferred is kept
