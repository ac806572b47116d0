"""What the fields of a value must be; each check says, in VTEX's names, what is wrong and what to do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TypeVar

from vtex_invoice_async.errors import InvalidInvoice, Problem
from vtex_invoice_async.rules import RULES
from vtex_invoice_async.shapes import cents_written, has_decimals

__all__ = [
    "listed",
    "many",
    "moment",
    "money",
    "name",
    "of",
    "problem",
    "refuse",
    "require",
    "text",
    "whole",
]

T = TypeVar("T")

MOST = 2**53 - 1
"""The largest number that every JSON reader on the way keeps exact."""

LONE_SURROGATE = re.compile("[\ud800-\udfff]")

Problems = tuple[Problem, ...]


def problem(code: str, field: str, message: str) -> Problems:
    """Return one problem; that of a rule as the rule tells it."""
    rule = RULES.get(code)
    if rule is not None:
        return (rule.problem(field, message),)
    return (Problem(code=code, field=field, message=message),)


def whole(field: str, value: object, least: int, below: str = "range") -> Problems:
    """Refuse what is not an `int` of at least *least*: 24.99 and True are none."""
    if type(value) is not int:
        return problem("whole-number", field, f"must be a whole number{_unquoted(value)}")
    if value < least:
        return problem(below, field, f"must be at least {least}")
    if value > MOST:
        return problem("range", field, f"must be at most {MOST}")
    return ()


def money(field: str, value: object, least: int) -> Problems:
    """Refuse what is not a whole number of cents."""
    if type(value) is int and least <= value <= MOST:
        return ()
    if type(value) is int:
        return whole(field, value, least, "not-positive")
    # A Decimal has that method. To import its module takes as long as to check a thousand invoices.
    is_written = isinstance(value, str | float) or hasattr(value, "as_tuple")
    written = str(value) if is_written else ""
    if has_decimals(written):
        found = cents_written(written)
        meant = "2499 for 24.99" if found is None else f"{found} for {written}"
        return problem("decimals", field, f"has decimals; write cents: {meant}")
    advice = f"must be a whole number of cents, such as 2499 for 24.99{_unquoted(value)}"
    return problem("whole-number", field, advice)


def _unquoted(value: object) -> str:
    return ", not in quotes" if isinstance(value, str) and value.isdecimal() else ""


def text(field: str, value: object) -> Problems:
    """Refuse what is not text that JSON can carry."""
    if not isinstance(value, str):
        return problem("text", field, "must be a str")
    if not value.isascii() and LONE_SURROGATE.search(value):
        return problem("text", field, "holds half of a surrogate pair: decode it as UTF-8")
    return ()


def name(field: str, value: object, unprintable: str = "control-character") -> Problems:
    """Refuse what cannot name a thing: nothing, or text with characters that do not print."""
    if not isinstance(value, str) or not value:
        return problem("required", field, "must be text that is not empty")
    if not value.isprintable():
        at, odd = next((at, c) for at, c in enumerate(value, 1) if not c.isprintable())
        told = f"its character {at}, U+{ord(odd):04X}, does not print: leave it out"
        return problem(unprintable, field, told)
    return ()


def moment(field: str, value: object) -> Problems:
    """Refuse what is not a datetime with a zone."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        return problem("time-zone", field, "must be a datetime with a time zone")
    return ()


def many(kind: type[object], field: str, values: Iterable[object]) -> Problems:
    """Refuse members that are not of *kind*."""
    if {*map(type, values)} <= {kind}:
        return ()
    return tuple(
        Problem(code="type", field=f"{field}[{index}]", message=f"must be of type {kind.__name__}")
        for index, value in enumerate(values)
        if not isinstance(value, kind)
    )


def of(kind: type[object], field: str, value: object) -> Problems:
    """Refuse what is not of *kind*."""
    return (
        ()
        if isinstance(value, kind)
        else problem("type", field, f"must be of type {kind.__name__}")
    )


def require(kind: type[object], field: str, value: object) -> None:
    """Raise `InvalidInvoice` for what is not of *kind*."""
    if not isinstance(value, kind):
        raise InvalidInvoice(of(kind, field, value))


def listed(field: str, values: Iterable[T]) -> tuple[T, ...]:
    """Return *values* as a tuple, or refuse what has none."""
    if type(values) is not list and not isinstance(values, Iterable):
        raise InvalidInvoice(problem("type", field, "must be a list"))
    return tuple(values)


def refuse(problems: Collection[Problem]) -> None:
    """Raise `InvalidInvoice` if there are any *problems*."""
    if problems:
        raise InvalidInvoice(problems)
