"""What VTEX's documents show as answers is read as the values written out here."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.factories import make_invoice, make_tracking
from tests.golden_files import canonical, golden, golden_names
from vtex_invoice_async.messages import Reply
from vtex_invoice_async.models import (
    CourierEvent,
    CourierStatus,
    InvoiceType,
    Order,
    OrderItem,
    OrderStatus,
    OrderTotal,
    Package,
    PackageItem,
    PriceDefinition,
    Receipt,
    TrackingStatus,
)
from vtex_invoice_async.operations import (
    GetOrder,
    NotifyInvoice,
    Operation,
    SendTracking,
    StartHandling,
    UpdateTrackingStatus,
)
from vtex_invoice_async.protocol import decode
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import converter

SINCE = datetime(2026, 1, 31, 18, 26, tzinfo=UTC)
INVOICE = NotifyInvoice(order_id="v5lux-01", invoice=make_invoice())
TRACKING = SendTracking(order_id="v5lux-01", invoice_number="NFe1", tracking=make_tracking())
STATUS = UpdateTrackingStatus(
    order_id="v5lux-01", invoice_number="NFe1", tracking=TrackingStatus(is_delivered=False)
)

ORDERS: dict[str, Order] = {
    "get_order.oms": Order(
        order_id="1172452900788-01",
        status=OrderStatus.HANDLING,
        value=1160,
        totals=(
            OrderTotal(id="Items", name="Total dos Itens", value=99),
            OrderTotal(id="Discounts", name="Total dos Descontos", value=0),
        ),
        items=(
            OrderItem(
                id="18",
                quantity=1,
                unique_id="94913BB553334977BFD669A24E678C69",
                seller="1",
                price=990,
                selling_price=990,
                tax=0,
                price_definition=PriceDefinition(calculated_selling_price=990, total=990),
            ),
        ),
        packages=(
            Package(
                invoice_number="24382",
                invoice_value=1015,
                type=InvoiceType.INPUT,
                items=(PackageItem(item_index=0, quantity=1, price=0, description="001"),),
                items_inferred=False,
                issuance_date=datetime(2024, 2, 9, 10, 10, 20, 532268, UTC),
                raw_issuance_date="2024-02-09T10:10:20.5322681+00:00",
                invoice_key="CFe35201100063960001504590006629690333214542150",
                invoice_url="https://luxstore.com/invoices/24382.pdf",
                courier="PAC Correios",
                tracking_number="TRK-48960684",
                tracking_url="https://tracking.fastdelivery.com/track/146",
                courier_status=CourierStatus(
                    status="ok",
                    finished=True,
                    delivered_date="2024-02-15T10:17:40.5322681+00:00",
                    data=(CourierEvent(city="Rio de Janeiro"),),
                ),
                cfop="5100",
                volumes=1,
            ),
        ),
        workflow_is_in_error=False,
        is_completed=True,
        sequence="502556",
        origin="Marketplace",
        marketplace_order_id="1172452900788-01",
        seller_order_id="00-v502556llux-01",
    ),
    "get_order.pii": Order(
        order_id="v70530116str-01",
        status=OrderStatus.CANCELED,
        value=19900,
        totals=(
            OrderTotal(id="Items", name="Total Items", value=27998),
            OrderTotal(id="Discounts", name="Total Discounts", value=-8098),
            OrderTotal(id="Shipping", name="Total Shipping", value=0),
            OrderTotal(id="Tax", name="Total Taxes", value=0),
        ),
        items=(
            OrderItem(
                id="5658771",
                quantity=2,
                unique_id="B977B816F0F94EC698E331699E509C29",
                seller="strnov",
                price=13999,
                selling_price=9950,
                tax=0,
                price_definition=PriceDefinition(calculated_selling_price=9950, total=19900),
            ),
        ),
        packages=(
            Package(
                invoice_number="000059579",
                invoice_value=19900,
                type=InvoiceType.OUTPUT,
                items=(
                    PackageItem(
                        item_index=0, id="5658771", quantity=2, price=9950, description="jeans"
                    ),
                ),
                issuance_date=datetime(2024, 9, 20, 0, 0, 0, 123456, UTC),
                raw_issuance_date="2024-09-20T00:00:00.1234567Z",
                invoice_url="https://ecommerce.str.com/logged/nf/v71021948str-01",
                courier="OSAPLAG_EXPRESS",
                tracking_number="71021938",
                tracking_url="https://tracking.agj.com/order/v71021948str-01/status",
            ),
        ),
        workflow_is_in_error=False,
        is_completed=True,
        sequence="70530118",
        origin="Marketplace",
        seller_order_id="SLR-v70530116str-01",
    ),
}

RECEIPTS: dict[str, Receipt] = {
    "receipt.seed": Receipt(
        date=datetime(2019, 2, 8, 13, 16, 13, 461765, UTC),
        raw_date="2019-02-08T13:16:13.4617653+00:00",
        order_id="00-v5195004lux-01",
        receipt="527b1ae251264ef1b7a9b597cd8f16b9",
    ),
    "receipt.oms": Receipt(
        date=datetime(2024, 2, 7, 15, 22, 56, 761221, timezone(timedelta(hours=-2))),
        raw_date="2024-02-07T15:22:56.7612218-02:00",
        order_id="123543123",
        receipt="38e0e47da2934847b489216d208cfd91",
    ),
    "receipt.pii": Receipt(
        date=datetime(2024, 9, 25, 18, 3, 19, 705598, UTC),
        raw_date="2024-09-25T18:03:19.7055982Z",
        order_id="v71021948str-01",
        receipt="38e0e47da2934847b489216d208cfd91",
    ),
    "receipt.pii-2023": Receipt(
        date=datetime(2014, 2, 7, 15, 22, 56, 761221, timezone(timedelta(hours=-2))),
        raw_date="2014-02-07T15:22:56.7612218-02:00",
        order_id="123543123",
        receipt="38e0e47da2934847b489216d208cfd91",
    ),
    "receipt.put": Receipt(
        date=datetime(2017, 3, 29, 18, 4, 31, 52123, UTC),
        raw_date="2017-03-29T18:04:31.0521233+00:00",
        order_id="v501245lspt-01",
        receipt="f67d33a8029c42ce9a8f07fc17f54449",
    ),
}

# What VTEX, or a service of its time, has written as the date of a receipt.
DATES: list[tuple[object, datetime | None, str | None]] = [
    ("2019-02-08T13:16:13Z", datetime(2019, 2, 8, 13, 16, 13, tzinfo=UTC), "2019-02-08T13:16:13Z"),
    (
        "2019-02-08T13:16:13-0300",
        datetime(2019, 2, 8, 13, 16, 13, tzinfo=timezone(timedelta(hours=-3))),
        "2019-02-08T13:16:13-0300",
    ),
    (
        "2019-02-08T13:16:13.5+05:30",
        datetime(2019, 2, 8, 13, 16, 13, 500000, timezone(timedelta(hours=5, minutes=30))),
        "2019-02-08T13:16:13.5+05:30",
    ),
    (
        "2014-10-06 18:52:00",
        datetime(2014, 10, 6, 18, 52, tzinfo=UTC),
        "2014-10-06 18:52:00",
    ),
    ("yesterday", None, "yesterday"),
    ("2019-02-30T13:16:13Z", None, "2019-02-30T13:16:13Z"),
    ("2019-W06-5", None, "2019-W06-5"),
    ("", None, ""),
    (1549631773, None, None),
    (None, None, None),
]


def test_every_golden_answer_is_tested() -> None:
    answers = {name for name in golden_names() if name.startswith(("get_order", "receipt"))}

    assert answers == ORDERS.keys() | RECEIPTS.keys()


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_is_read_whatever_else_vtex_says_of_it(name: str) -> None:
    document = golden(name)
    reply = Reply(status=200, headers={}, body=json.dumps(document.vtex).encode())

    order = decode(GetOrder(order_id="v5lux-01"), document.dialect, reply, lambda: SINCE)

    assert order == ORDERS[name]


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_is_written_back_with_the_keys_that_are_known(name: str) -> None:
    document = golden(name)
    dialect = converter(document.dialect)

    written = dialect.unstructure(ORDERS[name])

    assert canonical(written) == canonical(document.ours)
    assert dialect.structure(written, Order) == ORDERS[name]


@pytest.mark.parametrize("name", RECEIPTS)
@pytest.mark.parametrize("operation", [INVOICE, TRACKING, STATUS])
@pytest.mark.parametrize("dialect", OrdersApi)
def test_a_receipt_is_read_with_the_text_of_its_date(
    name: str, operation: Operation[object], dialect: OrdersApi
) -> None:
    document = golden(name)
    reply = Reply(status=200, headers={}, body=json.dumps(document.vtex).encode())

    receipt = decode(operation, dialect, reply, lambda: SINCE)

    assert receipt == RECEIPTS[name]
    assert canonical(converter(dialect).unstructure(receipt)) == canonical(document.vtex)


def test_starting_is_answered_by_204_with_nothing() -> None:
    reply = Reply(status=204, headers={}, body=b"")

    answers = [
        decode(StartHandling(order_id="v5lux-01"), dialect, reply, lambda: SINCE)
        for dialect in OrdersApi
    ]

    assert answers == [None, None, None]


@pytest.mark.parametrize(("written", "date", "raw_date"), DATES)
def test_a_receipt_stands_however_its_date_is_written(
    written: object, date: datetime | None, raw_date: str | None
) -> None:
    body = json.dumps({"date": written, "orderId": "v5lux-01", "receipt": "527b"}).encode()

    receipt = decode(
        INVOICE, OrdersApi.OMS, Reply(status=200, headers={}, body=body), lambda: SINCE
    )

    assert receipt == Receipt(date=date, raw_date=raw_date, order_id="v5lux-01", receipt="527b")
    # Two moments are equal in any zone; their texts are not.
    assert repr(receipt.date) == repr(date)


@pytest.mark.parametrize("beside", [{}, {"orderId": None}, {"orderId": 7}, {"orderId": ["x"]}])
def test_a_receipt_stands_without_a_date_and_an_order_id(beside: dict[str, object]) -> None:
    body = json.dumps({"receipt": "527b", **beside}).encode()

    receipt = decode(
        INVOICE, OrdersApi.OMS, Reply(status=201, headers={}, body=body), lambda: SINCE
    )

    assert receipt == Receipt(date=None, raw_date=None, order_id=None, receipt="527b")
