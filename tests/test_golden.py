"""What VTEX's documents show is what is sent: names, encodings, methods and paths.

Both sides are written out, the documents in `golden/` and the models and paths here, so that a
name misspelt in the code has nothing to agree with.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from tests.factories import make_invoice, make_tracking
from tests.golden_files import canonical, golden, golden_names, golden_requests
from vtex_invoice_async.models import (
    Invoice,
    InvoiceItem,
    TrackingEvent,
    TrackingInfo,
    TrackingStatus,
)
from vtex_invoice_async.operations import (
    OPERATIONS,
    GetOrder,
    NotifyInvoice,
    Operation,
    SendTracking,
    StartHandling,
    UpdateTrackingStatus,
)
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi
from vtex_invoice_async.wire import converter

FIVE_BEHIND = timezone(timedelta(hours=-5))
ORDER_ID = "1172452900788-01"

OLDEST = Invoice(
    type=InvoiceType.OUTPUT,
    invoice_number="9999",
    invoice_value=10000,
    issuance_date=datetime(2010, 1, 31, tzinfo=UTC),
    items=(InvoiceItem(id="1234", price=10000, quantity=1),),
)

SENT: dict[str, Operation[object]] = {
    "notify_invoice.pii-2022": NotifyInvoice(order_id=ORDER_ID, invoice=OLDEST),
    "notify_invoice.pii-2022.nulls": NotifyInvoice(order_id=ORDER_ID, invoice=OLDEST),
    "notify_invoice.pii.go": NotifyInvoice(
        order_id=ORDER_ID,
        invoice=Invoice(
            type=InvoiceType.OUTPUT,
            invoice_number="123456789",
            invoice_value=2499,
            issuance_date=datetime(2020, 7, 15, tzinfo=UTC),
            items=(InvoiceItem(item_index=67, price=2499, quantity=3),),
            invoice_key="illum",
            invoice_url="https://www.example.com/invoice.pdf",
            courier="illum",
            tracking_number="87658",
            tracking_url="https://www.tracking.com/url",
            extra_value=100,
            cfop="6.104",
            volumes=3,
        ),
    ),
    "notify_invoice.pii": NotifyInvoice(
        order_id="v71021948str-01",
        invoice=Invoice(
            type=InvoiceType.OUTPUT,
            invoice_number="000059579",
            invoice_value=2499,
            issuance_date=datetime(2024, 9, 20, tzinfo=UTC),
            items=(InvoiceItem(item_index=0, price=2499, quantity=3),),
            invoice_key="33240945242914001845550010004817221546274961",
            invoice_url="https://ecommerce.str.com/logged/nf/v71021948str-01",
            courier="OSAPLAG_EXPRESS",
            tracking_number="71021938",
            tracking_url="https://tracking.agj.com/order/v71021948str-01/status",
            extra_value=100,
            cfop="5100",
            volumes=3,
        ),
    ),
    "notify_invoice.oms.js": NotifyInvoice(
        order_id=ORDER_ID,
        invoice=Invoice(
            type=InvoiceType.OUTPUT,
            invoice_number="9999",
            invoice_value=10000,
            issuance_date=datetime(2019, 1, 31, 18, 25, 43, tzinfo=FIVE_BEHIND),
            items=(InvoiceItem(id="1234", price=10000, quantity=1, description="335"),),
            invoice_url="link",
        ),
    ),
    "notify_invoice.oms.page": NotifyInvoice(
        order_id=ORDER_ID,
        invoice=Invoice(
            type=InvoiceType.OUTPUT,
            invoice_number="NFe-00001",
            invoice_value=9508,
            issuance_date=datetime(2019, 11, 21, tzinfo=UTC),
            items=(InvoiceItem(id="345117", price=9003, quantity=1),),
            courier="",
            tracking_number="",
            tracking_url="",
        ),
    ),
    "notify_invoice.oms": NotifyInvoice(
        order_id=ORDER_ID,
        invoice=Invoice(
            type=InvoiceType.OUTPUT,
            invoice_number="DFG-v7731485plzv-01",
            invoice_value=2499,
            issuance_date=datetime(2024, 1, 31, 18, 25, 43, tzinfo=FIVE_BEHIND),
            items=(InvoiceItem(id="123", price=2499, quantity=2, description="335"),),
            invoice_key="CFe35201100063960001504590006629690333214542150",
            invoice_url="https://luxstore.com/invoices/24382.pdf",
            embedded_invoice="<NFe/>",
            courier="carrierOne",
            tracking_number="87658",
            tracking_url="https://www.tracking.com/url",
            dispatched_date=datetime(2019, 2, 8, 13, 16, 13, 461765, UTC),
        ),
    ),
    "send_tracking.oms": SendTracking(
        order_id=ORDER_ID,
        invoice_number="24382",
        tracking=TrackingInfo(
            courier="carrierOne",
            tracking_number="87658",
            tracking_url="https://www.tracking.com/url",
            dispatched_date=datetime(2022, 2, 8, 13, 16, 13, 461765, UTC),
        ),
    ),
    "update_tracking_status.oms": UpdateTrackingStatus(
        order_id=ORDER_ID,
        invoice_number="24382",
        tracking=TrackingStatus(
            is_delivered=False,
            delivered_date=None,
            events=(
                TrackingEvent(
                    city="Rio de Janeiro",
                    state="RJ",
                    description="Coletado pela transportadora",
                    date=date(2015, 6, 23),
                ),
                TrackingEvent(
                    city="Sao Paulo",
                    state="SP",
                    description="A caminho de Curitiba",
                    date=date(2015, 6, 24),
                ),
            ),
        ),
    ),
    "update_tracking_status.oms.delivered": UpdateTrackingStatus(
        order_id=ORDER_ID,
        invoice_number="24382",
        tracking=TrackingStatus(
            is_delivered=True, delivered_date=datetime(2022, 10, 1, 21, 15, tzinfo=UTC)
        ),
    ),
    "start_handling.oms": StartHandling(order_id=ORDER_ID),
}

# It mixes two dialects, so it is none of ours; tests/test_golden_sandbox.py sends it as it is.
NEVER_SENT = {"notify_invoice.pii-2023"}

# The routes, of VTEX's OpenAPI; the PII paths have no twins of the two tracking calls.
INVOICE = NotifyInvoice(order_id="v5lux-01", invoice=make_invoice())
TRACKING = SendTracking(order_id="v5lux-01", invoice_number="NFe1", tracking=make_tracking())
STATUS = UpdateTrackingStatus(
    order_id="v5lux-01", invoice_number="NFe1", tracking=TrackingStatus(is_delivered=False)
)
READ = GetOrder(order_id="v5lux-01")
START = StartHandling(order_id="v5lux-01")
OMS, PII, PII_2022 = OrdersApi.OMS, OrdersApi.PII, OrdersApi.PII_2022
ROUTES: list[tuple[Operation[object], OrdersApi, str, str]] = [
    (INVOICE, OMS, "POST", "/api/oms/pvt/orders/v5lux-01/invoice"),
    (INVOICE, PII, "POST", "/api/orders/pvt/document/v5lux-01/invoices"),
    (INVOICE, PII_2022, "POST", "/api/orders/pvt/document/v5lux-01/invoices"),
    (TRACKING, OMS, "PATCH", "/api/oms/pvt/orders/v5lux-01/invoice/NFe1"),
    (TRACKING, PII, "PATCH", "/api/oms/pvt/orders/v5lux-01/invoice/NFe1"),
    (TRACKING, PII_2022, "PATCH", "/api/oms/pvt/orders/v5lux-01/invoice/NFe1"),
    (STATUS, OMS, "PUT", "/api/oms/pvt/orders/v5lux-01/invoice/NFe1/tracking"),
    (STATUS, PII, "PUT", "/api/oms/pvt/orders/v5lux-01/invoice/NFe1/tracking"),
    (STATUS, PII_2022, "PUT", "/api/oms/pvt/orders/v5lux-01/invoice/NFe1/tracking"),
    (READ, OMS, "GET", "/api/oms/pvt/orders/v5lux-01"),
    (READ, PII, "GET", "/api/orders/pvt/document/v5lux-01"),
    (READ, PII_2022, "GET", "/api/orders/pvt/document/v5lux-01"),
    (START, OMS, "POST", "/api/oms/pvt/orders/v5lux-01/start-handling"),
    (START, PII, "POST", "/api/orders/pvt/document/v5lux-01/actions/start-handling"),
    (START, PII_2022, "POST", "/api/orders/pvt/document/v5lux-01/actions/start-handling"),
]


def test_every_golden_request_is_tested() -> None:
    assert golden_requests() == SENT.keys() | NEVER_SENT


def test_every_operation_has_a_golden_file() -> None:
    operations = {golden(name).operation for name in golden_names()}

    assert operations == {operation.name for operation in OPERATIONS}


@pytest.mark.parametrize("name", SENT)
def test_a_model_is_sent_as_the_document_that_vtex_shows(name: str) -> None:
    document, operation = golden(name), SENT[name]

    request = encode(operation, document.dialect)

    sent = None if request.body is None else json.loads(request.body)
    assert operation.name == document.operation
    assert canonical(sent) == canonical(document.ours)


@pytest.mark.parametrize("name", [name for name in SENT if golden(name).vtex is not None])
def test_the_document_that_vtex_shows_reads_as_the_model(name: str) -> None:
    document, model = golden(name), SENT[name].body()
    dialect = converter(document.dialect)

    read = [dialect.structure(shown, type(model)) for shown in (document.vtex, document.ours)]

    assert read == [model, model]
    # Two moments are equal in any zone; their texts are not.
    assert repr(read) == repr([model, model])


@pytest.mark.parametrize(("operation", "dialect", "method", "path"), ROUTES)
def test_an_operation_takes_the_route_of_its_dialect(
    operation: Operation[object], dialect: OrdersApi, method: str, path: str
) -> None:
    request = encode(operation, dialect)

    assert (request.method, request.path) == (method, path)


@pytest.mark.parametrize("operation", [READ, START])
@pytest.mark.parametrize("dialect", OrdersApi)
def test_reading_and_starting_send_no_body(
    operation: Operation[object], dialect: OrdersApi
) -> None:
    assert encode(operation, dialect).body is None
