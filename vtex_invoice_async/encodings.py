"""How VTEX writes single values, and how strictly they are read.

Each reader is a cattrs hook: it takes what came out of JSON, so its argument is Any, and raises
`ValueError`, which cattrs reports with its place; `InvalidInvoice` is one that has a code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final, TypeVar, get_args

from cattrs import Converter, IterableValidationNote
from cattrs.errors import IterableValidationError

from vtex_invoice_async import checks
from vtex_invoice_async.errors import InvalidInvoice
from vtex_invoice_async.vocabulary import InvoiceType

__all__ = [
    "MOST_BAD",
    "exactly",
    "list_only",
    "money",
    "money_or_digits",
    "open_word",
    "optional_money",
    "optional_whole",
    "read_date",
    "read_date_time",
    "read_invoice_type",
    "readable_date_time",
    "readable_text",
    "readable_whole",
    "whole",
    "whole_or_digits",
    "write_date",
    "write_minute",
    "written_list",
]

T = TypeVar("T")

MOST_BAD: Final = 100
"""Members of a list that are told; a list may be so long that to tell all would take a minute."""

_DIGITS = re.compile(r"\d{1,16}", re.ASCII)
_SIGNED_DIGITS = re.compile(r"-?\d{1,16}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# ISO 8601 as VTEX writes and takes it; `fromisoformat` alone would also take week dates.
_DATE_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)


def exactly(kind: type[T], words: str) -> Callable[[Any, Any], T]:
    """Return a hook that takes values of just this *kind*: no float is an int, no bool either."""

    def structure(value: Any, _: Any) -> T:
        if type(value) is not kind:
            raise ValueError(f"must be {words}")
        return value

    return structure


def list_only(kind: Any, made: Converter) -> Callable[[Any, Any], Any]:
    """Return a hook for a tuple of *kind*: it takes lists, of which it tells what is wrong by place."""
    member, _ = get_args(kind)
    structure = made.get_structure_hook(member)

    def structure_list(value: Any, _: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError("must be a JSON list")
        found, errors = [], []
        for index, inner in enumerate(value):
            try:
                found.append(structure(inner, member))
            except Exception as error:  # noqa: BLE001  told with its place, as cattrs does
                error.add_note(IterableValidationNote(f"[{index}]", index, member))
                errors.append(error)
                if len(errors) == MOST_BAD:
                    break
        if errors:
            raise IterableValidationError("not the list that it should be", errors, kind)
        return tuple(found)

    return structure_list


def written_list(kind: Any, made: Converter) -> Callable[[Any], list[Any]]:
    """Return a hook that writes a tuple of *kind*."""
    member, _ = get_args(kind)
    write = made.get_unstructure_hook(member)
    return lambda values: [write(value) for value in values]


def whole(value: Any, _: Any) -> int:
    """Read a whole number: no float is one, no bool either."""
    if type(value) is int:
        return value
    raise InvalidInvoice(checks.whole("", value, 0))


def whole_or_digits(value: Any, _: Any) -> int:
    """Read a whole number, which VTEX writes as a number here and in a string there."""
    return whole(_number(value, _DIGITS), None)


def money(value: Any, _: Any) -> int:
    """Read an amount; whether it is too low is for who holds it to say."""
    if type(value) is int:
        return value
    raise InvalidInvoice(checks.money("", value, 0))


def money_or_digits(value: Any, _: Any) -> int:
    """Read an amount, which VTEX writes as a number here and in a string there."""
    return money(_number(value, _SIGNED_DIGITS), None)


def optional_money(value: Any, _: Any) -> int | None:
    """Read an amount that may be left out."""
    return None if value is None else money(value, None)


def _number(value: Any, digits: re.Pattern[str]) -> Any:
    return int(value) if isinstance(value, str) and digits.fullmatch(value) else value


def optional_whole(value: Any, _: Any) -> int | None:
    """Read a whole number that VTEX may leave null."""
    return None if value is None else whole_or_digits(value, None)


def readable_text(value: Any, _: Any) -> str | None:
    """Read text; what is none is left out."""
    return value if isinstance(value, str) else None


def readable_whole(value: Any, _: Any) -> int | None:
    """Read a whole number that nothing hangs on, so that one of another shape costs nothing."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def read_date_time(value: Any, _: Any = None) -> datetime:
    """Read a moment, to the microsecond; one without an offset is UTC, as VTEX reads it."""
    # https://developers.vtex.com/docs/guides/formatting-order-invoicing-time
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        raise ValueError("must be a date and time such as '2026-01-31T18:25:43-03:00'")
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def readable_date_time(value: Any, _: Any = None) -> datetime | None:
    """Read a moment in an answer, where one that cannot be read must not cost the rest."""
    try:
        return read_date_time(value)
    except ValueError:
        return None


def read_date(value: Any, _: Any) -> date:
    """Read a day."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("must be a date such as '2026-01-31'")
    return date.fromisoformat(value)


def write_date(moment: datetime) -> str:
    """Write the day of a moment in the moment's own zone."""
    return moment.date().isoformat()


def write_minute(moment: datetime | None) -> str | None:
    """Write a moment as VTEX wants the time of delivery: to the minute, without its zone."""
    # `strftime` writes the year 999 in three digits.
    return moment.replace(tzinfo=None).isoformat(" ", "minutes") if moment else None


def read_invoice_type(value: Any, _: Any) -> InvoiceType:
    """Read one of the two types."""
    try:
        return InvoiceType(value)
    except ValueError:
        raise ValueError("must be 'Output' or 'Input'") from None


def open_word(kind: Callable[[str], T]) -> Callable[[Any, Any], T | str | None]:
    """Return a hook that keeps a word which VTEX may have added since as plain text."""

    def structure(value: Any, _: Any) -> T | str | None:
        if value is not None and not isinstance(value, str):
            raise ValueError("must be text")
        try:
            return kind(value) if value else value
        except ValueError:
            return value

    return structure
