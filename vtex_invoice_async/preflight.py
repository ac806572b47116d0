"""What is wrong with an invoice before it is sent, by VTEX's own rules and known issues.

Each rule has a code that stays, and names where VTEX says so (`rules`). What a rule refuses would
be lost, or break the order; what it warns of is taken by VTEX and is likely not what was meant. What
makes no sense by itself, as an amount with decimals, no `Invoice` can hold: it is refused by the same
rules when one is made. Known issues are VTEX's: https://help.vtex.com/en/known-issues
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Final
from unicodedata import is_normalized

from vtex_invoice_async import checks, shapes
from vtex_invoice_async.errors import Problem
from vtex_invoice_async.models import Invoice
from vtex_invoice_async.rules import RULES, Rule, Severity
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

__all__ = ["RULES", "Rule", "Severity", "check", "of_order_id", "refusals", "warnings"]

Found = Iterator[tuple[str, str, str]]
"""Of each finding: the rule's code, the field in VTEX's names, and what is wrong and what to do."""

# VTEX names no limit. The longest number of its examples has 19 characters; what has more than 40 is
# something else: the key of an NF-e has 44.
LONGEST_NUMBER: Final = 40
SMALL: Final = 100
"""Cents under which a value is likely to be of whole coins. Lines are often that cheap, invoices not."""

TOO_MUCH: Final = 10
"""Times its lines that a value may be: freight is rarely more, and reais are a hundredth of cents."""

FIRST_YEAR: Final = 2000
A_DAY: Final = timedelta(days=1)

_AS_TEXT: Final = "format its column as text, and write all its digits"
_MARKS: Final = ((" ", "number-space"), ("/", "number-slash"), ("#", "number-hash"))
_ODD: Final = r"[^A-Za-z0-9 /#-]"
_DIGITS: Final = r"(?a)\d+"
_FLOAT: Final = r"(?a)\d++\.0"
# Of a CF-e SAT, whose key has other parts.
_SAT: Final = "59"


def refusals(invoice: Invoice, orders_api: OrdersApi | None = None) -> Iterator[Problem]:
    """Yield what would be lost, or break the order, if VTEX were sent it.

    A return names a line twice by what is sent in a dialect; without *orders_api*, in any of them.
    """
    if not shapes.is_plain_number(invoice.invoice_number):
        yield from _of_refused_number(invoice.invoice_number)
    if invoice.type is InvoiceType.INPUT and len(invoice.items) > 1:
        for field, told in _lines_twice(invoice, orders_api):
            yield RULES["return-line-twice"].problem(field, f"{told}, or there is no refund")


def _of_refused_number(number: str) -> Iterator[Problem]:
    for mark, code in _MARKS:
        if mark in number:
            told = f"holds {mark!r}: leave it out, here and in your own books"
            yield RULES[code].problem("invoiceNumber", told)
    if shapes.is_nothing(number):
        told = f"is {number!r}, a program's word for nothing: the number is missing"
        yield RULES["number-word"].problem("invoiceNumber", told)
    if shapes.is_exponent(number):
        told = f"is a long number as a spreadsheet shortens it: {_AS_TEXT}"
        yield RULES["number-exponent"].problem("invoiceNumber", told)


def of_order_id(order_id: object, *, is_read: bool = False) -> tuple[Problem, ...]:
    """Return why nothing can be sent to an order of this id, or why it cannot even be read."""
    if not isinstance(order_id, str) or not order_id:
        return checks.name("orderId", order_id)
    if not shapes.is_path_parameter(order_id):
        told = (
            "must start with a letter or a digit and go on with letters, digits or ._~:@+=,- "
            "(128 at most): VTEX's routes cannot carry anything else"
        )
    elif is_read:
        return ()
    elif shapes.is_sequence(order_id):
        told = "is a sequence, by which VTEX only reads orders; read it, and send its orderId"
    elif shapes.is_nothing(order_id):
        told = f"is {order_id!r}, a program's word for nothing: the id is missing"
    elif shapes.is_exponent(order_id):
        told = f"is a long number as a spreadsheet shortens it: {_AS_TEXT}"
    else:
        return ()
    return (RULES["order-id"].problem("orderId", told),)


def warnings(
    order_id: str, invoice: Invoice, orders_api: OrdersApi, now: datetime | None
) -> Iterator[Problem]:
    """Yield what VTEX would take, and is likely not what was meant.

    Without *now*, no date is taken to lie in the future.
    """
    for code, field, message in chain(
        _of_reservation(order_id),
        _of_number(invoice.invoice_number),
        _of_value(invoice, orders_api),
        _of_date(invoice, orders_api, now),
        _of_urls(invoice),
        _of_key(invoice),
        _of_lines(invoice, orders_api),
    ):
        yield RULES[code].problem(field, message)


def check(
    order_id: str, invoice: Invoice, orders_api: OrdersApi, now: datetime | None = None
) -> tuple[Problem, ...]:
    """Return all that is wrong with an invoice for an order, or worth a look."""
    return (
        *of_order_id(order_id),
        *refusals(invoice, orders_api),
        *warnings(order_id, invoice, orders_api, now),
    )


def _of_reservation(order_id: object) -> Found:
    if isinstance(order_id, str) and shapes.is_reservation(order_id):
        told = "looks like a reservation of the seller's; give the marketplace's id of the order"
        yield "reservation-id", "orderId", told


def _of_number(number: str) -> Found:
    field = "invoiceNumber"
    if len(number) > LONGEST_NUMBER:
        told = f"has {len(number)} characters: is it the key of an NF-e, which is the invoiceKey?"
        yield "number-length", field, told
    odd = re.search(_ODD, number)
    if odd is not None or number.startswith("-"):
        told = f"holds {odd[0]!a}" if odd else "starts with a hyphen"
        if re.fullmatch(_FLOAT, number):
            told += " and looks like what a spreadsheet made of it: format its column as text"
        else:
            told += "; VTEX's examples have letters of ASCII, digits and hyphens"
        if not shapes.is_path_parameter(number[:LONGEST_NUMBER]):
            told += ". No tracking can be sent for it: the paths of VTEX cannot carry it"
        yield "number-characters", field, told
    if not number.isascii() and not is_normalized("NFC", number):
        told = "has an accent apart from its letter, so that it equals no other way to write it"
        yield "number-nfc", field, f"{told}: write it in NFC"


def _of_value(invoice: Invoice, orders_api: OrdersApi) -> Found:
    value, items = invoice.invoice_value, invoice.items
    if value < SMALL:
        yield "small-value", "invoiceValue", f"is {value} cents: write 2499 for 24.99"
    if not items:
        yield "no-items", "items", "has no items, which VTEX then guesses: send what was invoiced"
        return
    extra = invoice.extra_value or 0
    units = sum([item.price * item.quantity for item in items]) + extra
    totals = sum([item.price for item in items]) + extra
    of_one, of_line = "of one unit", "of the whole line"
    lines, reading, other, misread = units, of_one, totals, of_line
    if orders_api is not OrdersApi.OMS:
        lines, reading, other, misread = totals, of_line, units, of_one
    if lines == value:
        return
    sums = f"is {value}, and the lines come to {lines}"
    if other == value:
        told = f"{sums}: here, price is {reading}; it fits if it were {misread}"
        yield "price-reading", "invoiceValue", told
    elif lines > value:
        yield "lines-above-value", "invoiceValue", f"{sums}: price is {reading}, in cents"
    elif 0 < lines * TOO_MUCH < value:
        told = f"{sums}: are both in cents, and is price {reading}?"
        yield "value-above-lines", "invoiceValue", told
    elif invoice.extra_value is not None and orders_api is OrdersApi.PII:
        told = f"{sums} with extraValue: what belongs to no item is missing there"
        yield "lines-and-extra", "extraValue", told


def _of_date(invoice: Invoice, orders_api: OrdersApi, now: datetime | None) -> Found:
    issued = invoice.issuance_date
    field = "issuedDate" if orders_api is OrdersApi.PII else "issuanceDate"
    if issued.year < FIRST_YEAR:
        yield "date-range", field, f"lies in the year {issued.year}: write when it was issued"
    elif now is not None and issued - now > A_DAY:
        told = f"lies more than a day ahead of now, {now.isoformat(timespec='minutes')}"
        yield "date-range", field, f"{told}: write when it was issued"
    is_midnight = not (issued.hour or issued.minute or issued.second or issued.microsecond)
    if orders_api is OrdersApi.OMS and is_midnight:
        yield "date-without-time", field, "is midnight to the second: write the time of day too"


def _of_urls(invoice: Invoice) -> Found:
    for field, url in (
        ("invoiceUrl", invoice.invoice_url),
        ("trackingUrl", invoice.tracking_url),
    ):
        if url and not shapes.is_web_address(url):
            told = "is no address that a shopper could open: write https:// and a host"
            yield "url", field, told


def _of_key(invoice: Invoice) -> Found:
    key = invoice.invoice_key
    if not key:
        return
    field = "invoiceKey"
    if not shapes.is_key(key):
        yield "key-digits", field, "is not the 44 digits of an NF-e, without letters before them"
    elif key[43] != shapes.check_digit(key):
        yield "key-check-digit", field, "has a wrong check digit: copy all of it once more"
    elif key[20:22] != _SAT and not _has_number(invoice.invoice_number, key[25:34]):
        told = "is the key of an NF-e of another number; write what belongs together"
        yield "key-of-another", field, told


def _has_number(invoice_number: str, of_key: str) -> bool:
    """Whether one of the numbers within an invoice's number, with or without a series, is a key's."""
    short = of_key.lstrip("0")
    return any(
        digits.lstrip("0") == short or digits.endswith(of_key)
        for digits in re.findall(_DIGITS, invoice_number)
    )


def _of_lines(invoice: Invoice, orders_api: OrdersApi) -> Found:
    if invoice.type is InvoiceType.OUTPUT and len(invoice.items) > 1:
        for field, told in _lines_twice(invoice, orders_api):
            yield "line-twice", field, f"{told}, or no return of it is refunded"


def _lines_twice(invoice: Invoice, orders_api: OrdersApi | None) -> Iterator[tuple[str, str]]:
    """Yield the first line that names one of the order's a second time, and what to do about it."""
    # One that is told is enough: a place is found by reading the row again.
    items = invoice.items
    names: list[list[object]] = []
    if orders_api is not OrdersApi.PII:
        names.append([item.id for item in items])
    if orders_api is None:
        names.append([item.item_index for item in items])
    elif orders_api is OrdersApi.PII:
        # Of an item that has only its SKU, the order tells the index: of one SKU, the same.
        names.append([item.id if item.item_index is None else item.item_index for item in items])
    for named in names:
        if len(set(named)) == len(named):
            continue
        first: dict[object, int] = {}
        for at, value in enumerate(named):
            known = first.setdefault(value, at)
            if value is not None and known != at:
                name = "itemIndex" if isinstance(value, int) else "id"
                yield (
                    f"items[{at}].{name}",
                    f"stands in items[{known}] too: add up their quantities, or take out what repeats it",
                )
                break
