"""A text is told by its shape, in time that grows with its length only."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtex_invoice_async import preflight, shapes
from vtex_invoice_async.preflight import of_order_id

# Keys that are printed on pages which explain them.
PUBLISHED = [
    "33150308370779000149550010001100931002410775",
    "13181017921427000125650010000000309887251170",
]
parts = st.text("0123456789", min_size=43, max_size=43)


@pytest.mark.parametrize("key", PUBLISHED)
def test_a_key_that_was_issued_has_its_check_digit(key: str) -> None:
    assert shapes.is_key(key)
    assert shapes.check_digit(key) == key[43]


def remainder(key: str) -> int:
    """Of a whole key, by the words of its manual: weights 2 to 9 from the right, and again."""
    return sum(int(c) * (2 + place % 8) for place, c in enumerate(reversed(key[:43]))) % 11


@settings(max_examples=200)
@given(parts)
def test_the_check_digit_makes_the_sum_divisible_by_eleven(part: str) -> None:
    digit = int(shapes.check_digit(part))

    rest = remainder(part)

    assert (rest + digit) % 11 == 0 or (rest, digit) == (1, 0)


@settings(max_examples=200)
@given(parts, st.integers(0, 42), st.integers(1, 9))
def test_one_wrong_digit_is_found_but_where_two_sums_share_the_digit_zero(
    part: str, at: int, more: int
) -> None:
    wrong = part[:at] + str((int(part[at]) + more) % 10) + part[at + 1 :]

    is_found = shapes.check_digit(wrong) != shapes.check_digit(part)

    assert is_found or {remainder(wrong), remainder(part)} == {0, 1}


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("24.99", 2499),
        ("24,9", 2490),
        ("0,01", 1),
        ("24.00", 2400),
        ("1.234,56", 123_456),
        ("1.234.567,89", 123_456_789),
        ("1,234.5", 123_450),
        ("24.0", None),
        ("1.234", None),
        ("12.34,56", None),
        ("1.2345,67", None),
        ("1,234,56", None),
        ("1.234.56", None),
        (".99", None),
        ("24.", None),
        ("-24.99", None),
        ("2499", None),
        ("", None),
    ],
)
def test_an_amount_has_cents_where_it_can_mean_but_one(text: str, cents: int | None) -> None:
    assert shapes.cents_written(text) == cents


@given(st.integers(0, 10**13), st.integers(1, 99), st.sampled_from(",."))
def test_the_cents_of_an_amount_are_exact_however_it_is_grouped(
    whole: int, fraction: int, mark: str
) -> None:
    grouped = f"{whole:,}".replace(",", "." if mark == "," else ",")

    found = [shapes.cents_written(f"{text}{mark}{fraction:02}") for text in (str(whole), grouped)]

    assert found == [whole * 100 + fraction] * 2


@given(st.text(max_size=30))
def test_what_has_cents_has_decimals(text: str) -> None:
    assert shapes.cents_written(text) is None or shapes.has_decimals(text)


LONG = 200_000
LOOKS: list[Any] = [getattr(shapes, name) for name in shapes.__all__]
HARD = [
    "1" * LONG,
    "1." + "1" * LONG,
    "1" * LONG + "E+",
    "1," * LONG,
    "1.111" * LONG,
    "seq" + "1" * LONG + "x",
    "a" * LONG + "#",
    "https://" + "a" * LONG + " ",
    "https://" + "a@" * LONG,
    "https://" + ":" * LONG,
    "https://[" + ":" * LONG,
    "https://a/" + "?" * LONG + "\n",
    "a-" * LONG,
    "\u0130" * LONG,
]


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.__name__)
def test_a_look_at_a_long_text_takes_no_time(look: Any) -> None:
    """It takes some milliseconds of the processor; what goes back over the text takes minutes."""
    before = time.process_time()

    for text in HARD:
        look(text)

    assert time.process_time() - before < 2


texts = st.one_of(
    st.from_regex(r"[A-Za-z0-9]{1,70}-\d{2}", fullmatch=True),
    st.from_regex(r"(seq|nan|NFe|1E5|none)-?\d{0,21}(-\d\d)?", fullmatch=True),
    st.text("0123456789abEn.,+-/# ", max_size=12),
    st.text(max_size=12),
)


@settings(max_examples=1_000)
@given(texts)
def test_a_plain_id_is_nothing_else_and_goes_into_a_path_as_it_is(text: str) -> None:
    if shapes.is_plain_id(text):
        assert shapes.is_path_parameter(text)
        assert quote(text, safe="") == text
        assert not of_order_id(text)


@settings(max_examples=1_000)
@given(texts)
def test_in_a_plain_number_there_is_nothing_to_refuse(text: str) -> None:
    if shapes.is_plain_number(text):
        assert text.isprintable()
        assert not list(preflight._of_refused_number(text))


@pytest.mark.parametrize("text", ["1172452900788-01", "v5195004lux-01", "NFe-000123", "4501", "A7"])
def test_what_most_orders_and_invoices_are_called_is_plain(text: str) -> None:
    assert shapes.is_plain_id(text) or shapes.is_plain_number(text)
