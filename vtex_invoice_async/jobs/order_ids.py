"""Which order an NF-e is of: the note itself, its file's name or a table says it, as one chooses."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Final, TextIO, TypeAlias

from attrs import field, frozen

from vtex_invoice_async.errors import ConfigError

__all__ = ["CHOICES", "KEY", "Named", "NoOrderIdError", "OrderIds", "order_ids_from"]

CHOICES: Final = (
    "xPed (compra/xPed, or the xPed of all items), obsCont, obsCont:NAME, filename, "
    "or a .csv file with the columns orderId and one of invoiceKey, invoiceNumber, file"
)

# Since 2026 the CNPJ in it may have letters.
KEY: Final = re.compile(r"\d{6}[0-9A-Z]{12}\d{26}", re.ASCII)


@frozen(kw_only=True)
class Named:
    """What of a note may name its order."""

    file: str = field(repr=False)
    """The name of its file, without folders."""

    is_shared: bool = False
    """Whether another file, elsewhere, has that name too."""

    key: str = field(repr=False)
    number: str
    order: str | None
    """compra/xPed"""

    items: tuple[str | None, ...]
    """det/prod/xPed, of each item."""

    remarks: tuple[tuple[str, str | None], ...] = field(repr=False)
    """infAdic/obsCont, each by its name."""


class NoOrderIdError(Exception):
    """A note without an order's id, and the tag of the note where it was looked for."""

    def __init__(self, message: str, tag: str = "") -> None:
        self.tag = tag
        super().__init__(message)


OrderIds: TypeAlias = Callable[[Named], tuple[str, str]]
"""Returns the order's id and the tag of the note that says it, or raises `NoOrderIdError`."""


def order_ids_from(choice: str | None) -> OrderIds:
    """Return what finds order ids as *choice* says it: one of `CHOICES`.

    A table is kept in memory: some 0.2 KB a row. Raises `ConfigError`.
    """
    name, colon, wanted = (choice or "").partition(":")
    if choice == "xPed":
        return _in_purchase
    if name == "obsCont" and bool(colon) == bool(wanted):
        return lambda named: _in_remarks(named, wanted)
    if choice == "filename":
        return _in_file_name
    if choice is not None and choice.lower().endswith(".csv"):
        return _Table(choice).find
    raise ConfigError(f"say with --order-id-from where the order id of an NF-e is: {CHOICES}")


def _in_purchase(named: Named) -> tuple[str, str]:
    if named.order:
        return named.order, "compra/xPed"
    found = set(named.items)
    if len(found) > 1:
        message = "is not the same in det/prod/xPed of all items, and there is no compra/xPed"
        raise NoOrderIdError(message, "det[1]/prod/xPed")
    for order_id in found:
        if order_id:
            return order_id, "det[1]/prod/xPed"
    message = "is missing: there is neither compra/xPed nor det/prod/xPed"
    raise NoOrderIdError(message, "compra/xPed")


def _in_remarks(named: Named, wanted: str) -> tuple[str, str]:
    found = [
        (number, text)
        for number, (name, text) in enumerate(named.remarks, 1)
        if wanted in {"", name}
    ]
    called = f" with xCampo {wanted}" if wanted else ""
    if not found:
        raise NoOrderIdError(f"is missing: there is no infAdic/obsCont{called}", "infAdic")
    tag = f"infAdic/obsCont[{found[-1][0]}]"
    if len(found) > 1:
        which = "" if wanted else "; say which: --order-id-from obsCont:NAME"
        message = f"is not clear: there are {len(found)} infAdic/obsCont{called}{which}"
        raise NoOrderIdError(message, tag)
    text = found[0][1]
    if not text:
        raise NoOrderIdError(f"is missing: infAdic/obsCont{called} has no text", tag)
    return text, tag


def _in_file_name(named: Named) -> tuple[str, str]:
    return PurePosixPath(named.file).stem, ""


_TAGS: Final = {"invoiceKey": "", "invoiceNumber": "ide/nNF", "file": ""}
"""What a table may know a note by, and the tag of the note that says it."""


class _Table:
    """A CSV file that says which order is whose."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._by = ""
        self._ids: dict[str, str] = {}
        try:
            with Path(path).open(encoding="utf-8-sig", newline="") as file:
                self._take(file)
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}): check it") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{path} is not UTF-8; save it as CSV UTF-8") from None

    def find(self, named: Named) -> tuple[str, str]:
        """Return the order's id of a note."""
        if self._by == "file" and named.is_shared:
            message = (
                "is not clear: several files are called so; name them apart, or go by invoiceKey"
            )
            raise NoOrderIdError(message, _TAGS["file"])
        known = {"invoiceKey": named.key, "invoiceNumber": named.number, "file": named.file}
        found = self._ids.get(known[self._by])
        if found is None:
            message = f"is missing: {self._path} has no row with the {self._by} of this note"
            raise NoOrderIdError(message, _TAGS[self._by])
        return found, _TAGS[self._by]

    def _take(self, file: TextIO) -> None:
        head = file.readline()
        rows = csv.reader(chain([head], file), delimiter=";" if ";" in head else ",", strict=True)
        try:
            columns = self._columns(next(rows, []))
            for cells in rows:
                if any(cells):
                    self._add(dict(zip(columns, cells, strict=False)), len(cells), rows.line_num)
        except csv.Error as error:
            raise self._broken(
                rows.line_num, f"is not CSV ({error}): save it as CSV anew"
            ) from None

    def _columns(self, names: list[str]) -> list[str]:
        known = [name for name in names if name in _TAGS]
        if len(names) != 2 or len(known) != 1 or "orderId" not in names:
            wanted = f"orderId and one of {', '.join(_TAGS)}"
            raise self._broken(1, f"must name two columns, with ; or , between them: {wanted}")
        self._by = known[0]
        return names

    def _add(self, row: dict[str, str], width: int, line: int) -> None:
        if width != 2 or not all(row.values()):
            raise self._broken(line, "must have two cells that are not empty")
        name = row[self._by]
        if self._by == "invoiceKey" and not KEY.fullmatch(name):
            raise self._broken(line, "must have the 44 digits of a key in invoiceKey")
        if self._by == "invoiceNumber":
            name = name.lstrip("0")
        if name in self._ids:
            raise self._broken(
                line, f"names what stands above already: keep one row of its {self._by}"
            )
        self._ids[name] = row["orderId"]

    def _broken(self, line: int, message: str) -> ConfigError:
        return ConfigError(f"{self._path}:{line}: {message}")
