"""What a text is, by its shape alone. Each look at it takes time that grows with its length only."""

from __future__ import annotations

import re
from operator import mul
from typing import Final

__all__ = [
    "cents_written",
    "check_digit",
    "has_decimals",
    "is_exponent",
    "is_key",
    "is_nothing",
    "is_path_parameter",
    "is_plain_id",
    "is_plain_number",
    "is_reservation",
    "is_sequence",
    "is_web_address",
]

# Possessive quantifiers (`++`) never give back what they took, so no text is gone over twice.

# Ids of orders from outside may hold almost anything; these are the characters that survive a path
# segment whatever decodes it on the way. `.` and `..` cannot be written, nor `%`.
_PATH_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:@+=,-]{0,127}+", re.ASCII)
_PLAIN_ID = re.compile(r"[A-Za-z0-9]{1,64}+-\d{2}", re.ASCII)
_PLAIN_NUMBER = re.compile(r"(?:[A-Za-z]{1,8}+-?+)?+\d{1,20}+", re.ASCII)
_SEQUENCE = re.compile(r"seq\d++", re.ASCII | re.IGNORECASE)
# With a digit before the exponent and either a point or a sign: `1E5` and `70e12` may be meant.
_EXPONENT = re.compile(r"\d(?:[.,]\d++E\+?+|E\+)\d++", re.ASCII | re.IGNORECASE)
_GUID: Final = r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}"
# Since 2026 the CNPJ of who issued it may have capital letters.
_KEY: Final = r"(?a)\d{6}[0-9A-Z]{12}\d{26}"
_WEB_ADDRESS: Final = r"(?i)https?+://(?:[^\s/?#@]*+@)?+(?:\[[0-9a-f:.]++\]|[^\s/?#@:\[\]]++)(?::\d*+)?+(?:[/?#]\S*+)?+"
_AMOUNT: Final = r"(?ai)[+-]?+[\d.,]++(?:E[+-]?+\d++)?+"
_CENTS: Final = r"(?a)(\d++|\d{1,3}+(?:\.\d{3})++(?=,)|\d{1,3}+(?:,\d{3})++(?=\.))[.,](\d{1,2}+)"
_LONGEST_AMOUNT: Final = 40

_NOTHING: Final = frozenset({"none", "null", "nan", "nat", "nil", "<na>", "undefined"})

_WEIGHTS: Final = tuple(2 + place % 8 for place in range(43))[::-1]
_ZEROS: Final = sum(_WEIGHTS) * ord("0")


def is_path_parameter(text: str) -> bool:
    """Whether VTEX's paths can carry it."""
    return _PATH_PARAMETER.fullmatch(text) is not None


def is_plain_id(text: str) -> bool:
    """Whether it is like most ids of orders: nothing else looks like it, and any path carries it."""
    return _PLAIN_ID.fullmatch(text) is not None


def is_plain_number(text: str) -> bool:
    """Whether it is like most numbers of invoices, in which nothing is to be refused."""
    return _PLAIN_NUMBER.fullmatch(text) is not None


def is_sequence(text: str) -> bool:
    """Whether it names an order by its sequence, as `seq501456`."""
    return _SEQUENCE.fullmatch(text) is not None


def is_exponent(text: str) -> bool:
    """Whether it is a long number as a spreadsheet, or a float, shows it: most digits are lost."""
    return _EXPONENT.fullmatch(text) is not None


def is_nothing(text: str) -> bool:
    """Whether it is how a program writes that there is nothing."""
    return text.casefold() in _NOTHING


def is_reservation(text: str) -> bool:
    """Whether it is a GUID, or 32 hexadecimal digits."""
    return re.fullmatch(_GUID, text) is not None


def is_key(text: str) -> bool:
    """Whether it can be the key of an NF-e, whatever its check digit."""
    return re.fullmatch(_KEY, text) is not None


def is_web_address(text: str) -> bool:
    """Whether it is a URL of http or https, and has a host."""
    return re.fullmatch(_WEB_ADDRESS, text) is not None


def has_decimals(text: str) -> bool:
    """Whether it is an amount that is not written in whole cents."""
    if len(text) > _LONGEST_AMOUNT or text.lstrip("+-").isdecimal():
        return False
    return re.fullmatch(_AMOUNT, text) is not None and any(map(str.isdecimal, text))


def cents_written(text: str) -> int | None:
    """Return the cents that an amount with decimals can only mean."""
    found = re.fullmatch(_CENTS, text)
    # 2499.0 is what a float makes of 2499, which may be cents or not.
    if found is None or found[2] == "0":
        return None
    return int(re.sub("[.,]", "", found[1])) * 100 + int(found[2].ljust(2, "0"))


def check_digit(key: str) -> str:
    """Return the last digit that the key of an NF-e must have, by its first 43 characters."""
    # Letters count by their place in ASCII, as digits do.
    rest = (sum(map(mul, _WEIGHTS, key[:43].encode())) - _ZEROS) % 11
    return str(0 if rest < 2 else 11 - rest)
