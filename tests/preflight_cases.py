"""For each rule, invoices that it finds and invoices that it does not: as Python, and as a line."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from attrs import field, frozen

from tests.canaries import INVOICE_KEY
from tests.json_lines import read_json_lines
from vtex_invoice_async import preflight
from vtex_invoice_async.errors import InvalidInvoice, Problem
from vtex_invoice_async.jobs.rows import BadRow, RowProblem
from vtex_invoice_async.models import Invoice, InvoiceItem
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi
from vtex_invoice_async.wire import INVOICE_NAMES, ITEM_NAMES

OMS, PII, PII_2022 = OrdersApi.OMS, OrdersApi.PII, OrdersApi.PII_2022
NOW: Final = datetime(2026, 2, 1, 12, tzinfo=UTC)
BRASILIA: Final = timezone(timedelta(hours=-3))
SOUND_KEY: Final = INVOICE_KEY
WRONG_KEY: Final = f"{INVOICE_KEY[:-1]}9"
INPUT: Final = InvoiceType.INPUT

LINES: Final[Mapping[OrdersApi, Sequence[Mapping[str, Any]]]] = {
    OMS: ({"id": "1", "price": 2499, "quantity": 1}, {"id": "2", "price": 100, "quantity": 2}),
    PII: (
        {"item_index": 0, "price": 2499, "quantity": 1},
        {"item_index": 1, "price": 200, "quantity": 2},
    ),
    PII_2022: (
        {"id": "1", "price": 2499, "quantity": 1},
        {"id": "2", "price": 200, "quantity": 2},
    ),
}
"""What comes to 2699 cents as each dialect reads a price."""


@frozen
class Case:
    """A sound invoice with changes, in the words of the models."""

    dialect: OrdersApi
    order_id: str
    changes: Mapping[str, Any] = field(repr=False)

    @property
    def fields(self) -> dict[str, Any]:
        sound = {
            "type": InvoiceType.OUTPUT,
            "invoice_number": "NFe-9876",
            "invoice_value": 2699,
            "issuance_date": datetime(2026, 1, 31, 18, 25, 43, tzinfo=UTC),
            "items": LINES[self.dialect],
        }
        return {**sound, **self.changes}

    @property
    def line(self) -> str:
        """The row of a file that says the same."""
        names, of_item = INVOICE_NAMES[self.dialect], ITEM_NAMES[self.dialect]
        row = {names[name]: self._written(value) for name, value in self.fields.items()}
        row["items"] = [{of_item[k]: v for k, v in item.items()} for item in self.fields["items"]]
        return json.dumps({"orderId": self.order_id, **row})

    def _written(self, value: object) -> object:
        if not isinstance(value, datetime):
            return value
        return value.isoformat() if self.dialect is OMS else value.date().isoformat()

    def in_python(self) -> tuple[Problem, ...]:
        """What is told of it where it is made."""
        try:
            items = [InvoiceItem(**item) for item in self.fields["items"]]
            invoice = Invoice(**{**self.fields, "items": items})
        except InvalidInvoice as refused:
            return refused.problems
        return preflight.check(self.order_id, invoice, self.dialect, NOW)

    def in_a_line(self) -> tuple[RowProblem, ...]:
        """What is told of it where it stands in a file."""
        (row,) = read_json_lines(io.BytesIO(self.line.encode()), self.dialect, now=NOW)
        return row.problems if isinstance(row, BadRow) else row.warnings


def case(dialect: OrdersApi = OMS, order_id: str = "1172452900788-01", /, **changes: Any) -> Case:
    return Case(dialect, order_id, changes)


def numbers(*found: str) -> list[Case]:
    return [case(invoice_number=number) for number in found]


def values(*found: object) -> list[Case]:
    return [case(invoice_value=value) for value in found]


def first_line(dialect: OrdersApi = OMS, **changes: Any) -> Case:
    first, second = LINES[dialect]
    return case(dialect, items=[{**first, **changes}, second])


def same_line(dialect: OrdersApi, type_: InvoiceType) -> Case:
    first, second = LINES[dialect]
    name = "item_index" if dialect is PII else "id"
    return case(dialect, type=type_, items=[first, {**second, name: first[name]}])


def orders(*found: str) -> list[Case]:
    return [case(OMS, order_id) for order_id in found]


def keys(*found: str, **changes: Any) -> list[Case]:
    return [case(invoice_key=key, **changes) for key in found]


OUTPUT: Final = InvoiceType.OUTPUT
EVERY: Final = tuple(OrdersApi)
DECIMALS: Final = (24.99, 2499.0, 1e3, "24.99", "24,99", "1.234,56", "1,234.56", "2499.0", "1e3")
MIDNIGHT: Final = datetime(2026, 1, 31, tzinfo=UTC)
GUID: Final = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
SAT_KEY: Final = "35201100063960001504590006629690333214542151"
ALPHANUMERIC_KEY: Final = "35260112ABC34501DE35550010000098761987654321"

CASES: Final[dict[str, tuple[list[Case], list[Case]]]] = {
    "number-space": (numbers("NF 1", " 1", "1 "), numbers("NF1", "NF-1")),
    "number-slash": (numbers("1/2", "/"), numbers("1-2", "1\\2")),
    "number-hash": (numbers("#1", "1#"), numbers("1")),
    "control-character": (
        [
            *numbers("a\tb", "a\u00a0b", "\u202e1", "1\u200b", "\ufeff1", "1\x00", "1\n"),
            first_line(id="1\t"),
        ],
        [*numbers("ação", "1"), first_line(id="caf\u00e9")],
    ),
    "number-word": (numbers("None", "nan", "null", "NULL", "NaN", "NaT"), numbers("None-1", "NA")),
    "number-exponent": (
        numbers("1.17E+12", "1,17E+12", "1e+16", "1.17E12", "1,172452900788e+12"),
        numbers("1E5", "70e12", "1.17", "NF1.17E+12", "1.17E-12", "E+12"),
    ),
    "not-positive": (
        [*values(0, -1, -2499), first_line(price=-1), case(PII, extra_value=-1)],
        [*values(1, "2699"), first_line(price=0), case(PII, extra_value=0)],
    ),
    "decimals": (
        [
            *values(*DECIMALS),
            *[first_line(price=price) for price in DECIMALS],
            *[case(PII, extra_value=value) for value in DECIMALS],
            *[case(dialect, invoice_value=24.99) for dialect in EVERY],
        ],
        [*values(2699, "nan", True, "", "24:99", "R$ 1"), first_line(quantity=1.5)],
    ),
    "quantity": (
        [first_line(dialect, quantity=quantity) for dialect in EVERY for quantity in (0, -1)],
        [first_line(quantity=1), first_line(quantity=99)],
    ),
    "order-id": (
        [
            *orders("../x", "a/b", "a b", "a#b", "-1", "caf\u00e9", "a\tb", "1" * 129),
            *orders("seq501456", "None", "nan", "NULL", "1.17E+12", "1,17E+12", "1.17e+12"),
        ],
        [
            *orders("1172452900788-01", "v5195004lux-01", "SLR-v527103anml-01", "70caf3941s6df1"),
            *orders("00-v5195004lux-01", "MLB-2000001234567890", "1E5", "123e-01", GUID),
        ],
    ),
    "return-line-twice": (
        [same_line(dialect, INPUT) for dialect in EVERY],
        [
            *[case(dialect, type=INPUT) for dialect in EVERY],
            *[same_line(dialect, OUTPUT) for dialect in EVERY],
            case(type=INPUT, items=[]),
        ],
    ),
    "number-characters": (
        numbers("NF_1", "caf\u00e9", "1.0", "-1", "1\\2", "\uff11", "NFe\u0301", "a+b"),
        numbers("NFe-00001", "000030711", "DFG-v7731485plzv-01", "1 2", "1/2", "#1"),
    ),
    "number-length": (numbers("1" * 41, "1" * 44), numbers("1" * 40, "DFG-v7731485plzv-01")),
    "number-nfc": (numbers("NFe\u0301", "\u212b1"), numbers("NF\u00e9", "NFe1")),
    "line-twice": (
        [same_line(dialect, OUTPUT) for dialect in EVERY],
        [*[case(dialect) for dialect in EVERY], *[same_line(dialect, INPUT) for dialect in EVERY]],
    ),
    "no-items": ([case(dialect, items=[]) for dialect in EVERY], [case()]),
    "lines-above-value": (
        [
            *[case(dialect, invoice_value=2698) for dialect in EVERY],
            case(PII, extra_value=1),
            case(type=INPUT, invoice_value=2698),
        ],
        [
            *[case(dialect, invoice_value=value) for dialect in EVERY for value in (2699, 3204)],
            case(PII, extra_value=1, invoice_value=2700),
            case(items=[], invoice_value=100),
        ],
    ),
    "value-above-lines": (
        [*[case(dialect, invoice_value=26_991) for dialect in EVERY], first_line(price=24)],
        [
            *[case(dialect, invoice_value=26_990) for dialect in EVERY],
            case(items=[{"id": "1", "price": 0, "quantity": 1}]),
        ],
    ),
    "lines-and-extra": (
        [case(PII, extra_value=value, invoice_value=2900) for value in (0, 100)],
        [
            case(PII, extra_value=201, invoice_value=2900),
            case(PII, extra_value=202, invoice_value=2900),
            case(PII, invoice_value=2900),
        ],
    ),
    "price-reading": (
        [
            case(invoice_value=2599),
            case(PII, invoice_value=2899),
            case(PII, invoice_value=2999, extra_value=100),
            case(PII_2022, invoice_value=2899),
        ],
        [
            *[case(dialect) for dialect in EVERY],
            *[case(dialect, invoice_value=2600) for dialect in EVERY],
        ],
    ),
    "small-value": (values(1, 24, 99), [*values(100), first_line(price=24)]),
    "date-range": (
        [
            *[case(api, issuance_date=datetime(1999, 12, 31, 23, tzinfo=UTC)) for api in EVERY],
            *[case(api, issuance_date=NOW + timedelta(days=2)) for api in EVERY],
            case(issuance_date=NOW + timedelta(days=1, seconds=1)),
        ],
        [
            case(issuance_date=datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC)),
            case(issuance_date=NOW + timedelta(days=1)),
            case(PII, issuance_date=NOW),
        ],
    ),
    "date-without-time": (
        [case(issuance_date=MIDNIGHT), case(issuance_date=MIDNIGHT.replace(tzinfo=BRASILIA))],
        [
            case(issuance_date=MIDNIGHT + timedelta(seconds=1)),
            case(issuance_date=MIDNIGHT.astimezone(BRASILIA)),
            case(PII, issuance_date=MIDNIGHT),
            case(PII_2022, issuance_date=MIDNIGHT),
        ],
    ),
    "url": (
        [
            *[case(invoice_url=url) for url in ("link", "ftp://a.example/1", "https://", "//a/b")],
            *[case(invoice_url=url) for url in ("https:///a", "http://a b", "javascript:alert(1)")],
            *[case(tracking_url=url) for url in ("www.tracking.example/1", "http://:80/")],
            *[case(tracking_url=url) for url in ("http://u@", "https://a.example:x")],
        ],
        [
            *[case(invoice_url=url) for url in ("https://a.example/1.pdf", "HTTP://a", "", None)],
            *[case(tracking_url=url) for url in ("https://u:p@a.example:80/?q#f", "http://[::1]:8/")],
        ],
    ),
    "key-digits": (
        [*keys("1", "illum", SOUND_KEY[1:], f"{SOUND_KEY}0", f"NFe{SOUND_KEY}", "x" * 44)],
        [*keys(SOUND_KEY, WRONG_KEY, ALPHANUMERIC_KEY, ""), case(invoice_key=None)],
    ),
    "key-check-digit": (keys(WRONG_KEY), keys(SOUND_KEY, "1", SAT_KEY)),
    "key-of-another": (
        [case(invoice_key=SOUND_KEY, invoice_number=n) for n in ("9877", "ABC", "98760", "19876")],
        [
            *[case(invoice_key=SOUND_KEY, invoice_number=n) for n in ("9876", "1-9876", "NF009876")],
            case(invoice_key=SOUND_KEY, invoice_number="001000009876"),
            case(invoice_key=SAT_KEY, invoice_number="1"),
            case(invoice_key=WRONG_KEY, invoice_number="1"),
        ],
    ),
    "reservation-id": (
        orders(GUID, GUID.upper(), GUID.replace("-", "")),
        orders("1172452900788-01", GUID[:-1], f"{GUID}0", "1" * 31, "v5195004lux-01"),
    ),
}  # fmt: skip
