"""What an NF-e says, as nfelib reads it, in a dialect's names."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

from attrs import define, field, frozen
from nfelib.nfe.bindings.v4_0.proc_nfe_v4_00 import NfeProc
from nfelib.nfe_evento_generico.bindings.v1_0.proc_evento_nfe_v1_00 import ProcEventoNfe
from xsdata.exceptions import ConverterWarning
from xsdata.formats.dataclass.context import XmlContext
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig
from xsdata.logger import logger

from vtex_invoice_async.encodings import read_date_time
from vtex_invoice_async.errors import InvalidInvoice, Problem, printable
from vtex_invoice_async.jobs.markup import NOTE, BrokenError, Markup
from vtex_invoice_async.jobs.order_ids import KEY, Named
from vtex_invoice_async.jobs.rows import Json
from vtex_invoice_async.money import cents
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import INVOICE_NAMES

__all__ = ["Content", "Document", "canceled_by", "content_of", "document_of"]

# Made once: to learn nfelib's classes takes xsdata ten times as long as to read a note. What a later
# layout adds is passed over, for SEFAZ has checked the note.
_PARSER: Final = XmlParser(
    context=XmlContext(), config=ParserConfig(fail_on_unknown_properties=False)
)

CANCELS: Final = ("110111", "110112")
"""The events of a cancellation, and of one in favour of another note."""

TYPES: Final = {"0": "Input", "1": "Output"}

_ID: Final = re.compile(rf"NFe({KEY.pattern})", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_EVENT: Final = re.compile(r"\d{6}", re.ASCII)
# Whatever it counts in, VTEX takes whole pieces.
_WHOLE: Final = re.compile(r"(\d{1,15})(?:\.0+)?", re.ASCII)


@frozen(kw_only=True)
class Content:
    """An NF-e with its protocol, by the names of its tags."""

    root: object = field(repr=False)

    def text(self, path: str) -> str | None:
        """Return the text of a tag below `infNFe`, if it has one."""
        return text_at(self.root, f"NFe/infNFe/{path}")

    def members(self, path: str) -> list[object]:
        """Return the tags of a list below `infNFe`."""
        found = _at(self.root, f"NFe/infNFe/{path}")
        return list(found) if isinstance(found, list) else []

    def protocol(self, name: str) -> str | None:
        """Return what SEFAZ's protocol says."""
        return text_at(self.root, f"protNFe/infProt/{name}")

    @property
    def key(self) -> str | None:
        """The access key."""
        found = _ID.fullmatch(self.text("Id") or "")
        return found and found[1]

    @property
    def number(self) -> str | None:
        """The number, as a person would write it."""
        found = self.text("ide/nNF") or ""
        return found.lstrip("0") or None if _NUMBER.fullmatch(found) else None

    def named(self, base: str, *, is_shared: bool) -> Named:
        """Return what may name its order; *base* is its file's name, and maybe another's."""
        remarks = self.members("infAdic/obsCont")
        return Named(
            file=base,
            is_shared=is_shared,
            key=self.key or "",
            number=self.number or "",
            order=self.text("compra/xPed"),
            items=tuple(text_at(det, "prod/xPed") for det in self.members("det")),
            remarks=tuple(
                (text_at(remark, "xCampo") or "", text_at(remark, "xTexto")) for remark in remarks
            ),
        )


def content_of(markup: Markup) -> Content:
    """Return what a note holds; raise `BrokenError` where it is none that nfelib reads."""
    return Content(root=_parsed(markup, NfeProc))


def canceled_by(markup: Markup) -> str | None:
    """Return the key of the note that an event cancels, if it does; else raise as `content_of`."""
    event = _parsed(markup, ProcEventoNfe)
    key = text_at(event, "evento/infEvento/chNFe") or ""
    kind = text_at(event, "evento/infEvento/tpEvento") or ""
    if not KEY.fullmatch(key) or not _EVENT.fullmatch(kind):
        raise BrokenError("is an event of NF-e that does not say which, or of which note")
    return key if kind in CANCELS else None


def _parsed(markup: Markup, kind: type[object]) -> object:
    try:
        with _quiet():
            return _PARSER.from_bytes(markup.text.encode(), kind)
    except Exception:  # noqa: BLE001  xsdata raises what the document makes it
        message = "does not follow the layout of NF-e 4.00, as far as the installed nfelib knows it"
        raise BrokenError(message, markup.place(NOTE)) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep xsdata from telling of what is newer than nfelib: it quotes the note."""
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConverterWarning)
            yield
    finally:
        logger.disabled = was_disabled


def _at(node: object, path: str) -> object:
    for step in path.split("/"):
        node = getattr(node, step, None)
    return node


def text_at(node: object, path: str) -> str | None:
    """Return the text of a tag below *node*, if it has one."""
    found = _at(node, path)
    found = found.value if isinstance(found, Enum) else found
    return found if isinstance(found, str) and found else None


@define(kw_only=True)
class _Line:
    """An item of the invoice: a SKU, of all items of the note with it."""

    number: int
    """Of the first of them, from 1."""

    sku: str = ""
    quantity: int = 0
    total: int = 0


class _BadItemError(Exception):
    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(message)


@define(kw_only=True)
class Document:
    """An invoice as a note says it, and what keeps it from being one."""

    fields: dict[str, Json] = field(factory=dict, repr=False)
    items: tuple[int, ...] = ()
    """Of each item, the number of the first `det` that it is made of."""

    problems: list[Problem] = field(factory=list)

    def add(self, name: str, value: Json, needed: str) -> None:
        """Take a field in; a *value* of None is one that cannot be read, as *needed* says."""
        if value is None:
            self.problems.append(Problem(code="value", field=name, message=f"must be {needed}"))
        else:
            self.fields[name] = value


def document_of(content: Content, markup: Markup, orders_api: OrdersApi) -> Document:
    """Return the invoice of a note in a dialect, without its order's id."""
    found = Document()
    names = INVOICE_NAMES[orders_api]
    found.add("type", TYPES.get(content.text("ide/tpNF") or ""), "0 or 1, in tpNF")
    found.add("invoiceNumber", content.number, "a number from 1 to 999999999, in nNF")
    value = _cents(content.text("total/ICMSTot/vNF"))
    found.add("invoiceValue", value, "an amount such as 24.99, in vNF")
    issued = _issued(content.text("ide/dhEmi"), orders_api)
    needed = "a date and time such as 2026-01-31T18:25:43-03:00, in dhEmi"
    found.add(names["issuance_date"], issued, needed)
    found.add("invoiceKey", content.key, "44 digits, in the Id of infNFe")
    if "embedded_invoice" in names:
        found.fields["embeddedInvoice"] = markup.text
    if "cfop" in names:
        cfop = next((text_at(det, "prod/CFOP") for det in content.members("det")), None)
        found.add("cfop", cfop, "the CFOP of the first item")
    if "volumes" in names:
        _add_volumes(found, content)
    _add_items(found, content, orders_api)
    return found


def _issued(text: str | None, orders_api: OrdersApi) -> str | None:
    try:
        moment = read_date_time(text)
    except ValueError:
        return None
    # As it stands, so that a time without an offset shows; PII has the day in its own zone only.
    return moment.date().isoformat() if orders_api is OrdersApi.PII else text


def _add_volumes(found: Document, content: Content) -> None:
    texts = [text_at(volume, "qVol") for volume in content.members("transp/vol")]
    counts = [_WHOLE.fullmatch(text) for text in texts if text is not None]
    if counts:
        whole = sum(int(count[1]) for count in counts if count) if all(counts) else None
        found.add("volumes", whole, "the sum of whole numbers, in qVol")


def _add_items(found: Document, content: Content, orders_api: OrdersApi) -> None:
    """Take the items in, one for a SKU: VTEX refunds none that stands twice (known issue 1198829)."""
    lines: list[_Line] = []
    of_sku: dict[str, _Line] = {}
    for number, det in enumerate(content.members("det"), 1):
        try:
            line = _line(number, det)
        except _BadItemError as bad:
            name = f"items[{len(lines)}].{bad.name}"
            found.problems.append(Problem(code="value", field=name, message=str(bad)))
            lines.append(_Line(number=number))
            continue
        known = of_sku.setdefault(line.sku, line)
        if known is line:
            lines.append(line)
        else:
            known.quantity += line.quantity
            known.total += line.total
    found.items = tuple(line.number for line in lines)
    found.fields["items"] = list(_items(lines, orders_api))


def _items(lines: list[_Line], orders_api: OrdersApi) -> Iterator[Json]:
    for line in lines:
        # What does not divide cannot be said on OMS; VTEX takes the exact sum from invoiceValue.
        is_unit = orders_api is OrdersApi.OMS and line.quantity
        price = line.total // line.quantity if is_unit else line.total
        yield {"id": line.sku, "quantity": line.quantity, "price": price}


def _line(number: int, det: object) -> _Line:
    sku = text_at(det, "prod/cProd")
    if sku is None:
        raise _BadItemError("id", f"must be the SKU, in cProd of item {number} of the note")
    where = f"of item {number} of the note (SKU {printable(sku, 60)})"
    count = _WHOLE.fullmatch(text_at(det, "prod/qCom") or "")
    if count is None:
        message = f"must be whole: VTEX takes no part of a piece, as qCom {where} has it"
        raise _BadItemError("quantity", message)
    discount = text_at(det, "prod/vDesc")
    gross, less = _cents(text_at(det, "prod/vProd")), _cents(discount or "0")
    if gross is None or less is None:
        message = f"must be an amount such as 24.99, in vProd and vDesc {where}"
        raise _BadItemError("price", message)
    if less > gross:
        raise _BadItemError("price", f"must not be below 0: vDesc is above vProd {where}")
    # An item that does not count is part of the parcel, and not of the note's value.
    counts = text_at(det, "prod/indTot") != "0"
    return _Line(number=number, sku=sku, quantity=int(count[1]), total=(gross - less) * counts)


def _cents(text: str | None) -> int | None:
    try:
        return cents(text or "")
    except InvalidInvoice:
        return None
