"""Tables for spreadsheets: CSV that says the same in each of them, and in which nothing is a formula."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Final

__all__ = ["harmless", "write_csv"]

# A spreadsheet evaluates what begins with one of these; some skip blanks and quotes before it, and
# some take the full-width forms for the same.
# https://owasp.org/www-community/attacks/CSV_Injection
_BEGINS: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_BEFORE: Final = "[\\s\"'`\u00b4\u2018-\u201f\uff02\uff07\ufeff\u200b-\u200f]*"

# Where a semicolon is the separator, as in Brazil, a cell ends there, and at a line's end, quoted or not.
_FORMULA: Final = re.compile(
    f"(?:^(?={_BEFORE}[{_BEGINS}\t\r\n])|(?<=[;|\t\r\n])(?={_BEFORE}[{_BEGINS}]))"
)


def harmless(text: str) -> str:
    """Return *text* with an apostrophe before all that could be taken for a formula."""
    return _FORMULA.sub("'", text)


def write_csv(
    file: BinaryIO, header: Sequence[str], rows: Iterable[Sequence[str | int | None]]
) -> None:
    """Write *rows* under a *header*, as RFC 4180 has it.

    A byte order mark comes first, for without it Excel takes the text for Latin-1.
    """
    writer = csv.writer(codecs.getwriter("utf-8-sig")(file))
    writer.writerow(header)
    for row in rows:
        writer.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in row])
