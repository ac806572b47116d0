"""NF-e as rows: authorised notes, each with the order that it is of.

A note names whom it is for: nothing that is told of one quotes it, but for its number and SKUs.
https://www.nfe.fazenda.gov.br: Manual de Orientação do Contribuinte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from attrs import evolve, field, frozen

from vtex_invoice_async.errors import ConfigError, Problem
from vtex_invoice_async.jobs.markup import EVENT, NOTE, PROCESSED, BrokenError, Markup
from vtex_invoice_async.jobs.nfe_document import Content, canceled_by, content_of, document_of
from vtex_invoice_async.jobs.nfe_folders import Found, files_in
from vtex_invoice_async.jobs.order_ids import NoOrderIdError, OrderIds
from vtex_invoice_async.jobs.rows import BadRow, Json, Row, RowProblem, Written, bad_row, key_of
from vtex_invoice_async.preflight import RULES
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["Note", "Notes"]

AUTHORISED: Final = ("100", "150")
"""In time, and late."""

TEST: Final = "2"
COMPLEMENT, ADJUSTMENT, RETURN = "2", "3", "4"

_CODE: Final = re.compile(r"\d{3}", re.ASCII)
_NO_PROTOCOL: Final = "the note has no protocol of SEFAZ's that says its cStat; give the nfeProc that has SEFAZ's answer"
_ITEM: Final = re.compile(r"items\[(\d+)\](?:\.(\w+))?")
_PROTOCOL: Final = f"{PROCESSED}/protNFe/infProt"

# The tags that fields come from, and those that rules are about.
_TAGS: Final[Mapping[str, str]] = {
    "type": f"{NOTE}/ide/tpNF",
    "invoiceNumber": f"{NOTE}/ide/nNF",
    "issuanceDate": f"{NOTE}/ide/dhEmi",
    "issuedDate": f"{NOTE}/ide/dhEmi",
    "invoiceValue": f"{NOTE}/total/ICMSTot/vNF",
    "cfop": f"{NOTE}/det[1]/prod/CFOP",
    "volumes": f"{NOTE}/transp/vol[1]/qVol",
    "note-not-authorized": f"{_PROTOCOL}/cStat",
    "note-of-test": f"{NOTE}/ide/tpAmb",
    "note-purpose": f"{NOTE}/ide/finNFe",
}
_ITEM_TAGS: Final[Mapping[str, str]] = {"id": "cProd", "quantity": "qCom", "price": "vProd"}


@frozen(kw_only=True)
class Note:
    """A note as a row; its number is its place among the notes of its source."""

    file: str
    number: int
    markup: Markup = field(repr=False)
    document: dict[str, Json] = field(factory=dict, repr=False)
    items: tuple[int, ...] = ()
    """Of each item, the number of the first `det` that it is made of."""

    order_id_tag: str = ""
    """Where the order's id stands, or should."""

    def located(self, problem: Problem) -> RowProblem:
        """Return *problem* with the place of the tag that it is about."""
        line, column = self.markup.place(self._tag(problem))
        return RowProblem(file=self.file, line=line, column=column, problem=problem)

    @property
    def line(self) -> int:
        """The line of its file that the number stands in."""
        return self.markup.place(_TAGS["invoiceNumber"])[0]

    def _tag(self, problem: Problem) -> str:
        item = _ITEM.fullmatch(problem.field)
        if item is not None and int(item[1]) < len(self.items):
            tag = _ITEM_TAGS.get(item[2], "")
            return f"{NOTE}/det[{self.items[int(item[1])]}]/prod/{tag}"
        if problem.field == "orderId":
            return f"{NOTE}/{self.order_id_tag}"
        return _TAGS.get(problem.code) or _TAGS.get(problem.field, NOTE)


class Notes:
    """Reads the notes of a source, one in memory at a time."""

    def __init__(self, paths: Sequence[str], order_ids: OrderIds) -> None:
        """Look through all *paths* for cancellations and for names that several files have."""
        if "-" in paths:
            raise ConfigError("NF-e are read twice: name files, folders or zips, not -")
        self._order_ids = order_ids
        self._told = 0
        self._canceled: set[str | None] = set()
        self._shared: set[str] = set()
        places: dict[str, str] = {}
        for found in chain.from_iterable(map(files_in, paths)):
            if EVENT.encode() in found.raw:
                self._canceled.add(_canceled(found))
            elif places.setdefault(found.base, found.name) != found.name:
                self._shared.add(found.base)
        self._canceled.discard(None)

    def read(
        self, path: str, orders_api: OrdersApi, check: Callable[[Written], Row | BadRow]
    ) -> Iterator[Row | BadRow]:
        """Yield a row for each file at a path, but for those of events; *check* makes it of a note."""
        for found in files_in(path):
            row = self._row(found, orders_api, check)
            if row is not None:
                self._told += 1
                yield row

    def _row(
        self, found: Found, orders_api: OrdersApi, check: Callable[[Written], Row | BadRow]
    ) -> Row | BadRow | None:
        number = self._told + 1
        try:
            markup = _markup(found)
            if markup.root == EVENT:
                canceled_by(markup)
                return None
            note = Note(file=found.name, number=number, markup=markup)
            content = _content(markup)
        except BrokenError as broken:
            line, column = broken.place
            problem = Problem(code="file", field="", message=f"the file {broken}")
            told = RowProblem(file=found.name, line=line, column=column, problem=problem)
            return BadRow(file=found.name, line=number, line_in_file=line, problems=(told,))
        row = self._checked(note, content, found.base, orders_api, check)
        return evolve(row, line_in_file=note.line)

    def _checked(
        self,
        note: Note,
        content: Content | None,
        base: str,
        orders_api: OrdersApi,
        check: Callable[[Written], Row | BadRow],
    ) -> Row | BadRow:
        refused = tuple(_standing(content, self._canceled))
        # What is no invoice need make no sense as one, and has no say in what another one holds.
        if content is None or refused:
            return bad_row(note, refused)
        written = document_of(content, note.markup, orders_api)
        problems = written.problems
        try:
            written.fields["orderId"], tag = self._order_ids(
                content.named(base, is_shared=base in self._shared)
            )
        except NoOrderIdError as missing:
            tag = missing.tag
            problems = [Problem(code="required", field="orderId", message=str(missing)), *problems]
        note = evolve(note, document=written.fields, items=written.items, order_id_tag=tag)
        if problems:
            names = (written.fields.get(name) for name in ("orderId", "invoiceNumber"))
            return bad_row(note, problems, key_of(*names))
        row = check(note)
        if isinstance(row, BadRow):
            return row
        return evolve(row, warnings=(*row.warnings, *map(note.located, _doubtful(content))))


def _markup(found: Found) -> Markup:
    if found.trouble is not None:
        raise BrokenError(found.trouble)
    return Markup.of(found.raw)


def _canceled(found: Found) -> str | None:
    """Return the key that a file says is canceled, if it can be read; that is told later."""
    try:
        markup = _markup(found)
        return canceled_by(markup) if markup.root == EVENT else None
    except BrokenError:
        return None


def _content(markup: Markup) -> Content | None:
    """Return what a note holds; None of one that nobody has authorised."""
    if markup.root == "NFe":
        return None
    if markup.root != PROCESSED or NOTE not in markup:
        raise BrokenError("is no NF-e: that is an nfeProc with an infNFe")
    return content_of(markup)


def _standing(content: Content | None, canceled: Container[str | None]) -> Iterator[Problem]:
    """Say why a note is none that VTEX may be told of."""
    unauthorised = RULES["note-not-authorized"]
    if content is None:
        message = "this is an NFe without a protocol; give the nfeProc that has SEFAZ's answer, too"
        yield unauthorised.problem("", message)
        return
    code = content.protocol("cStat")
    if content.key in canceled:
        message = "this note was canceled by an event that is among these files"
        yield RULES["note-canceled"].problem("", message)
    if code is None:
        yield unauthorised.problem("", _NO_PROTOCOL)
    elif code not in AUTHORISED:
        told = code if _CODE.fullmatch(code) else "something else"
        message = (
            f"SEFAZ did not authorise this note, or no longer: cStat is {told}, not 100 or 150"
        )
        yield unauthorised.problem("", message)
    elif content.protocol("chNFe") != content.key:
        yield unauthorised.problem("", "the protocol is that of another note: its chNFe is another")


def _doubtful(content: Content) -> Iterator[Problem]:
    """Say what of an authorised note is worth a look."""
    if TEST in {content.text("ide/tpAmb"), content.protocol("tpAmb")}:
        message = "this note was made in SEFAZ's test environment: it has no value"
        yield RULES["note-of-test"].problem("", message)
    purpose, is_sale = content.text("ide/finNFe"), content.text("ide/tpNF") == "1"
    if purpose in {COMPLEMENT, ADJUSTMENT} or (purpose == RETURN and is_sale):
        message = f"finNFe is {purpose}, which is no sale; is it an invoice of this order?"
        yield RULES["note-purpose"].problem("type", message)
