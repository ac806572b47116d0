"""Whatever stands in a path, it keeps the segments of its template, or nothing is sent."""

from __future__ import annotations

import string
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import make_invoice, make_tracking
from vtex_invoice_async.errors import InvalidInvoice
from vtex_invoice_async.models import TrackingStatus
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
from vtex_invoice_async.vocabulary import OrdersApi

STATUS = TrackingStatus(is_delivered=False)


def make_operation(
    kind: type[Operation[object]], order_id: Any = "v5lux-01", invoice_number: Any = "NFe1"
) -> Operation[object]:
    if kind is NotifyInvoice:
        return NotifyInvoice(order_id=order_id, invoice=make_invoice())
    if kind is SendTracking:
        return SendTracking(
            order_id=order_id, invoice_number=invoice_number, tracking=make_tracking()
        )
    if kind is UpdateTrackingStatus:
        return UpdateTrackingStatus(
            order_id=order_id, invoice_number=invoice_number, tracking=STATUS
        )
    return GetOrder(order_id=order_id) if kind is GetOrder else StartHandling(order_id=order_id)


def refusal(operation: Operation[object], dialect: OrdersApi) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInvoice) as caught:
        encode(operation, dialect)
    return [(problem.code, problem.field) for problem in caught.value.problems]


WITH_A_NUMBER = [SendTracking, UpdateTrackingStatus]
SEGMENTS = {
    (NotifyInvoice, OrdersApi.OMS): 6,
    (NotifyInvoice, OrdersApi.PII): 6,
    (SendTracking, OrdersApi.OMS): 7,
    (UpdateTrackingStatus, OrdersApi.OMS): 8,
    (GetOrder, OrdersApi.OMS): 5,
    (GetOrder, OrdersApi.PII): 5,
    (StartHandling, OrdersApi.OMS): 6,
    (StartHandling, OrdersApi.PII): 7,
}

NO_SEGMENTS = [
    "../../x?y#z",
    "..",
    ".",
    "./",
    ".hidden",
    "-first",
    "a/b",
    "/",
    "a\\b",
    "a?b",
    "a#b",
    "a;b",
    "a&b",
    "a%2fb",
    "%2e",
    "%2e%2e",
    "%252e",
    "a%",
    "a b",
    " a",
    "a ",
    "",
    "a\n",
    "\na",
    "a\rb",
    "a\tb",
    "a\x00b",
    "a\x7fb",
    "a\x85b",
    "caf\u00e9",
    "\u0661\u0662",  # Arabic digits
    "\uff11\uff12",  # full-width digits
    "a\u2215b",  # a slash of mathematics
    "a\uff0fb",  # a full-width slash
    "a\u2024b",  # one dot leader
    "\ud800",
    "a" * 129,
    "{order_id}",
    "a'b",
    'a"b',
    "<a>",
    "a|b",
    "a*b",
    None,
    5,
    5.0,
    True,
    b"v5lux-01",
    ["v5lux-01"],
]

SOUND = [
    ("1172452900788-01", "1172452900788-01"),
    ("70caf3941s6df1", "70caf3941s6df1"),
    ("00-v5195004lux-01", "00-v5195004lux-01"),
    ("SLR-v527103anml-01", "SLR-v527103anml-01"),
    ("MLB-2000001234567890", "MLB-2000001234567890"),
    ("a", "a"),
    ("0", "0"),
    ("a..b", "a..b"),
    ("a.", "a."),
    ("a_b~c", "a_b~c"),
    ("a:b", "a%3Ab"),
    ("a@b", "a%40b"),
    ("a+b", "a%2Bb"),
    ("a=b", "a%3Db"),
    ("a,b", "a%2Cb"),
    ("a" * 128, "a" * 128),
    ("seq", "seq"),
    ("seq-501456", "seq-501456"),
    ("seq501456-01", "seq501456-01"),
]


@pytest.mark.parametrize("order_id", NO_SEGMENTS)
@pytest.mark.parametrize("kind", OPERATIONS)
def test_an_order_id_that_no_path_can_carry_is_refused(
    kind: type[Operation[object]], order_id: object
) -> None:
    operation = make_operation(kind, order_id=order_id)

    told = [refusal(operation, dialect) for dialect in OrdersApi]

    is_missing = not isinstance(order_id, str) or not order_id
    assert told == [[("required" if is_missing else "order-id", "orderId")]] * 3


@pytest.mark.parametrize("number", NO_SEGMENTS)
@pytest.mark.parametrize("kind", WITH_A_NUMBER)
def test_an_invoice_number_that_no_path_can_carry_is_refused_where_it_stands_in_one(
    kind: type[Operation[object]], number: object
) -> None:
    operation = make_operation(kind, invoice_number=number)

    told = [refusal(operation, dialect) for dialect in OrdersApi]

    assert told == [[("path", "invoiceNumber")]] * 3


@pytest.mark.parametrize(("order_id", "segment"), SOUND)
@pytest.mark.parametrize("kind", OPERATIONS)
def test_an_order_id_stands_percent_encoded_in_its_own_segment(
    kind: type[Operation[object]], order_id: str, segment: str
) -> None:
    operation = make_operation(kind, order_id=order_id)

    oms, pii = (encode(operation, api).path.split("/") for api in (OrdersApi.OMS, OrdersApi.PII))

    assert oms[5] == segment
    assert pii[5] == segment


@pytest.mark.parametrize(("number", "segment"), SOUND)
@pytest.mark.parametrize("kind", WITH_A_NUMBER)
def test_an_invoice_number_stands_percent_encoded_in_its_own_segment(
    kind: type[Operation[object]], number: str, segment: str
) -> None:
    operation = make_operation(kind, invoice_number=number)

    assert encode(operation, OrdersApi.OMS).path.split("/")[7] == segment


@pytest.mark.parametrize("sequence", ["seq501456", "SEQ501456", "Seq1"])
@pytest.mark.parametrize("dialect", OrdersApi)
@pytest.mark.parametrize("kind", [kind for kind in OPERATIONS if kind is not GetOrder])
def test_a_sequence_names_no_order_to_act_on(
    kind: type[Operation[object]], dialect: OrdersApi, sequence: str
) -> None:
    with pytest.raises(InvalidInvoice, match="sequence"):
        encode(make_operation(kind, order_id=sequence), dialect)


def test_a_sequence_names_an_order_to_read() -> None:
    request = encode(GetOrder(order_id="seq501456"), OrdersApi.OMS)

    assert request.path == "/api/oms/pvt/orders/seq501456"


def test_a_number_that_looks_like_a_sequence_is_a_number() -> None:
    operation = make_operation(SendTracking, invoice_number="seq501456")

    assert encode(operation, OrdersApi.OMS).path.endswith("/invoice/seq501456")


# Half of the texts are of characters that stand in paths, so that some are accepted.
ALMOST_IDS = st.text(string.ascii_letters + string.digits + "._~:@+=,-%/?#", max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    route=st.sampled_from(sorted(SEGMENTS, key=str)),
    order_id=st.text() | ALMOST_IDS,
    number=st.just("NFe1") | ALMOST_IDS,
)
def test_any_text_is_refused_or_keeps_to_its_segment(
    route: tuple[type[Operation[object]], OrdersApi], order_id: str, number: str
) -> None:
    kind, dialect = route
    operation = make_operation(kind, order_id=order_id, invoice_number=number)

    try:
        path = encode(operation, dialect).path
    except InvalidInvoice:
        return

    url = urlsplit(f"https://acme.vtexcommercestable.com.br{path}")
    segments = [unquote(segment) for segment in url.path.split("/")[1:]]
    assert (url.netloc, url.query, url.fragment) == ("acme.vtexcommercestable.com.br", "", "")
    assert url.path == path
    assert path.isascii()
    assert len(segments) == SEGMENTS[route]
    assert segments[4] == order_id
    assert kind not in WITH_A_NUMBER or segments[6] == number
    assert not {".", ".."} & set(segments)


def test_the_longest_answer_of_a_read_is_longer_than_that_of_a_call() -> None:
    limits = {kind: encode(make_operation(kind), OrdersApi.OMS).reply_limit for kind in OPERATIONS}

    assert limits.pop(GetOrder) == 16 * 2**20
    assert set(limits.values()) == {2**20}


def test_the_body_of_a_request_is_not_printed() -> None:
    invoice = make_invoice(embedded_invoice="<NFe>Maria</NFe>")

    request = encode(NotifyInvoice(order_id="v5lux-01", invoice=invoice), OrdersApi.OMS)

    assert b"Maria" in (request.body or b"")
    assert "Maria" not in repr(request)
