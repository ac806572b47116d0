"""Each rule finds what it is for and nothing else, wherever an invoice comes from."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.canaries import INVOICE_KEY, INVOICE_URL
from tests.factories import ISSUED, make_invoice
from tests.golden_files import golden, golden_names
from tests.json_lines import read_json_lines
from tests.preflight_cases import CASES, NOW, OMS, Case, case, same_line
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import RowProblem
from vtex_invoice_async.models import Invoice, InvoiceItem
from vtex_invoice_async.preflight import RULES, check, of_order_id, refusals, warnings
from vtex_invoice_async.rules import OF_A_NOTE, OF_THE_ORDER
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi
from vtex_invoice_async.wire import converter

ELSEWHERE = {
    *("no-offset", "number-twice", "number-of-sale"),  # test_sources.py, test_plan.py
    *(rule.code for rule in OF_A_NOTE),  # test_nfe.py
    *(rule.code for rule in OF_THE_ORDER),  # test_verify.py, test_cli_verify.py
}
"""Rules that need the text of a row, another row, a note or the order."""

FIRES = [(code, found) for code, (fires, _) in CASES.items() for found in fires]
SILENT = [(code, found) for code, (_, silent) in CASES.items() for found in silent]


def in_a_plan(lines: str, *, strict: bool) -> tuple[Plan, list[RowProblem]]:
    plan = Plan(OMS, strict=strict)
    rows = read_json_lines(io.BytesIO(lines.encode()), OMS, now=NOW)
    return plan, list(plan.take(rows))


def test_every_rule_has_cases_that_it_finds_and_cases_that_it_does_not() -> None:
    assert set(CASES) | ELSEWHERE == set(RULES)
    assert all(fires and silent for fires, silent in CASES.values())
    assert all(code == rule.code for code, rule in RULES.items())
    sources = ("known issue", "https://", "NF-e, Manual")
    assert all(any(s in rule.source for s in sources) for rule in RULES.values())


@pytest.mark.parametrize(("code", "found"), FIRES)
def test_a_rule_finds_what_it_is_for(code: str, found: Case) -> None:
    rule = RULES[code]

    (made, *_) = [problem for problem in found.in_python() if problem.code == code]
    (read, *_) = [told.problem for told in found.in_a_line() if told.problem.code == code]

    assert (made.severity, made.source) == (rule.severity, rule.source)
    assert (read.severity, read.source) == (rule.severity, rule.source)
    assert made.message == read.message
    # A line of an invoice that makes no sense is refused by itself, before it has a place.
    assert read.field in {made.field, f"items[0].{made.field}"}


@pytest.mark.parametrize(("code", "found"), SILENT)
def test_a_rule_finds_nothing_else(code: str, found: Case) -> None:
    told = [*found.in_python(), *(row.problem for row in found.in_a_line())]

    assert code not in {problem.code for problem in told}


@pytest.mark.parametrize("dialect", OrdersApi)
def test_a_sound_invoice_is_not_remarked_on(dialect: OrdersApi) -> None:
    assert not case(dialect).in_python()
    assert not case(dialect).in_a_line()


WARNED = [found for code, found in FIRES if RULES[code].severity == "warn" and found.dialect is OMS]
REFUSED = [
    found for code, found in FIRES if RULES[code].severity == "refuse" and found.dialect is OMS
]


@pytest.mark.parametrize("found", WARNED)
def test_what_is_warned_of_is_sent_unless_one_is_strict(found: Case) -> None:
    plan, told = in_a_plan(found.line, strict=False)
    strict, refused = in_a_plan(found.line, strict=True)

    assert (plan.planned, plan.invalid) == (1, 0)
    assert (strict.planned, strict.invalid) == (0, 1)
    assert {row.problem.severity for row in told} == {"warn"}
    assert {row.problem.severity for row in refused} == {"refuse"}
    assert [row.problem.code for row in told] == [row.problem.code for row in refused]


@pytest.mark.parametrize("found", REFUSED)
def test_what_is_refused_is_never_sent(found: Case) -> None:
    for strict in (False, True):
        plan, told = in_a_plan(found.line, strict=strict)

        assert (plan.planned, plan.invalid) == (0, 1)
        assert {row.problem.severity for row in told} == {"refuse"}


def test_a_warning_is_told_by_the_column_of_its_field() -> None:
    found = case(OMS, "1172452900788-01", invoice_url="link", invoice_number="NF_9876")

    columns = {row.problem.field: row.column for row in found.in_a_line()}

    line = found.line
    assert columns == {
        "invoiceNumber": line.index('"NF_9876"') + 1,
        "invoiceUrl": line.index('"link"') + 1,
    }


def test_a_line_that_is_there_twice_is_told_where_it_is_there_again() -> None:
    (again,) = same_line(OMS, InvoiceType.OUTPUT).in_a_line()

    line = same_line(OMS, InvoiceType.OUTPUT).line
    assert again.problem.field == "items[1].id"
    assert again.column == line.rindex('"1"') + 1


def test_of_lines_that_are_there_many_times_one_is_told() -> None:
    items = [InvoiceItem(id="1", price=1, quantity=1) for _ in range(1_000)]
    invoice = make_invoice(items=items, type=InvoiceType.INPUT)

    assert [problem.code for problem in refusals(invoice)] == ["return-line-twice"]


def test_a_line_of_a_return_is_known_by_what_is_sent() -> None:
    """One SKU on two lines of the order: by their indexes they are two, by their ids one."""
    items = [InvoiceItem(id="1", item_index=n, price=1, quantity=1) for n in range(2)]
    invoice = make_invoice(items=items, type=InvoiceType.INPUT)

    assert [problem.field for problem in refusals(invoice)] == ["items[1].id"]
    assert [problem.field for problem in refusals(invoice, OMS)] == ["items[1].id"]
    assert not list(refusals(invoice, OrdersApi.PII))


def test_a_line_that_a_pii_row_names_by_its_sku_is_known_by_it() -> None:
    items = [InvoiceItem(id="1", price=1, quantity=1) for _ in range(2)]
    elsewhere = InvoiceItem(id="1", item_index=1, price=1, quantity=1)
    sale, back = make_invoice(items=items), make_invoice(items=items, type=InvoiceType.INPUT)

    told = [(found.code, found.field) for found in warnings("1-01", sale, OrdersApi.PII, None)]

    assert ("line-twice", "items[1].id") in told
    assert [p.field for p in refusals(back, OrdersApi.PII)] == ["items[1].id"]
    # Which line the SKU alone means, only the order tells.
    apart = make_invoice(items=[items[0], elsewhere], type=InvoiceType.INPUT)
    assert not list(refusals(apart, OrdersApi.PII))


def test_without_a_now_no_date_lies_ahead() -> None:
    late = make_invoice(issuance_date=datetime(9999, 12, 31, 23, tzinfo=UTC))

    told = [problem.code for problem in warnings("1-01", late, OMS, None)]

    assert "date-range" not in told


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("caf\u00e9", ("'\\xe9'", "No tracking can be sent")),
        ("-1", ("starts with a hyphen", "No tracking can be sent")),
        ("1\\2", ("No tracking can be sent",)),
        ("1172.0", ("'.'", "format its column as text")),
    ],
)
def test_an_odd_number_is_told_with_what_comes_of_it(number: str, words: tuple[str, ...]) -> None:
    (told,) = case(invoice_number=number).in_python()

    assert all(word in told.message for word in words)


def test_a_number_that_tracking_can_carry_is_not_told_otherwise() -> None:
    (told,) = case(invoice_number="NF_1").in_python()

    assert "tracking" not in told.message


@pytest.mark.parametrize(
    ("written", "cents"),
    [("24,99", 2499), ("1.234,56", 123_456), ("1,234.56", 123_456), (24.99, 2499), (24.9, 2490)],
)
def test_decimals_are_told_with_the_cents_that_they_can_only_mean(
    written: object, cents: int
) -> None:
    (told, *_) = case(invoice_value=written).in_python()

    assert f"write cents: {cents} for {written}" in told.message


@pytest.mark.parametrize("written", [2499.0, "2499.0", "1.234", 1e3, "1e3", -24.99, "24,999"])
def test_of_decimals_that_may_mean_several_things_none_is_told(written: object) -> None:
    (told, *_) = case(invoice_value=written).in_python()

    assert "write cents: 2499 for 24.99" in told.message


INVOICES = sorted(name for name in golden_names() if name.startswith("notify_invoice."))


@pytest.mark.parametrize("kind", ["vtex", "ours"])
@pytest.mark.parametrize("name", INVOICES)
def test_an_example_of_vtex_is_warned_of_at_most(name: str, kind: str) -> None:
    example = golden(name)
    invoice = converter(example.dialect).structure(getattr(example, kind), Invoice)

    told = check("1172452900788-01", invoice, example.dialect, NOW)

    assert {problem.severity for problem in told} <= {"warn"}


order_ids = st.sampled_from(["1172452900788-01", "v5195004lux-01", "SLR-v527103anml-01"])
of_orders = st.builds(
    lambda lines, freight, digits, prefix: (lines, freight, f"{prefix}{digits}"),
    st.lists(st.tuples(st.integers(100, 10**7), st.integers(1, 9)), min_size=1, max_size=5),
    st.integers(0, 9),
    st.integers(1, 10**9 - 1).map("{:09}".format),
    st.sampled_from(["", "NFe-", "DFG"]),
)


@pytest.mark.parametrize("dialect", OrdersApi)
@settings(max_examples=60, deadline=None)
@given(of_orders, order_ids, st.sampled_from(InvoiceType))
def test_what_is_made_of_an_order_as_vtex_shows_it_is_sound(
    dialect: OrdersApi,
    made: tuple[list[tuple[int, int]], int, str],
    order_id: str,
    kind: InvoiceType,
) -> None:
    lines, freight, number = made
    goods = sum(price * quantity for price, quantity in lines)
    extra = goods * freight
    # Freight that happens to be what the other reading of a price makes of it is remarked on.
    misread = [price if dialect is OMS else price * quantity**2 for price, quantity in lines]
    assume(goods + extra != sum(misread) or goods == sum(misread))
    items = [
        InvoiceItem(
            id=None if dialect is OrdersApi.PII else str(n),
            item_index=n if dialect is OrdersApi.PII else None,
            price=price if dialect is OMS else price * quantity,
            quantity=quantity,
        )
        for n, (price, quantity) in enumerate(lines)
    ]
    invoice = Invoice(
        type=kind,
        invoice_number=number,
        invoice_value=goods + extra,
        issuance_date=ISSUED,
        items=items,
        extra_value=extra if dialect is OrdersApi.PII else None,
    )

    assert check(order_id, invoice, dialect, NOW) == ()


@pytest.mark.parametrize("dialect", OrdersApi)
@settings(max_examples=60, deadline=None)
@given(st.data(), st.text(max_size=40))
def test_whatever_an_invoice_is_what_is_told_of_it_is_one_line_without_key_and_url(
    dialect: OrdersApi, data: st.DataObject, order_id: str
) -> None:
    drawn = data.draw(strategies.invoices(dialect))
    personal = evolve(drawn, invoice_key=INVOICE_KEY, invoice_url=f"x{INVOICE_URL}")

    told = check(order_id, personal, dialect, NOW)

    assert {"url"} <= {problem.code for problem in told} <= set(RULES) | {"required"}
    for problem in told:
        assert str(problem).isprintable()
        assert str(problem).encode()
        assert len(str(problem)) < 300
        assert INVOICE_KEY not in str(problem)
        assert "nfe.example" not in str(problem)


@pytest.mark.parametrize("order_id", [None, 5, True, b"1-01", ""])
def test_what_is_no_text_is_no_orders_id(order_id: object) -> None:
    assert [problem.code for problem in of_order_id(order_id)] == ["required"]


@pytest.mark.parametrize("order_id", ["seq501456", "None", "1.17E+12"])
def test_what_takes_no_invoice_can_still_be_read(order_id: str) -> None:
    assert list(of_order_id(order_id))
    assert not list(of_order_id(order_id, is_read=True))
