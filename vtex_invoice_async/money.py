"""Exact cents."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from vtex_invoice_async import checks
from vtex_invoice_async.errors import InvalidInvoice

__all__ = ["cents"]

_MONEY: Final = r"(?a)\d{1,14}(?:\.\d{1,2})?"


def cents(amount: str | Decimal) -> int:
    """Return decimal text such as `"24.99"` as whole cents, exactly.

    Floats are refused, for they are not exact; so are signs, exponents, thousands separators,
    decimal commas and fractions of a cent.
    """
    # `adjusted` keeps `format` from writing a number of a million digits.
    if isinstance(amount, Decimal) and amount.is_finite() and abs(amount.adjusted()) < 40:
        text = format(amount, "f")
        amount = text.rstrip("0").removesuffix(".") if "." in text else text
    if not isinstance(amount, str):
        advice = f"must be decimal text such as '24.99'; a {type(amount).__name__} is not exact"
        raise InvalidInvoice(checks.problem("money", "amount", advice))
    if not re.fullmatch(_MONEY, amount):
        advice = "must be like '24.99': digits, a point, two decimals at most, and nothing else"
        raise InvalidInvoice(checks.problem("money", "amount", advice))
    whole, _, fraction = amount.partition(".")
    return int(whole) * 100 + int(fraction.ljust(2, "0"))
