"""The XML of an NF-e as text: what is refused before anything reads it, and where its tags stand.

A tag's path is its names from the root down, the members of lists counted from 1:
`nfeProc/NFe/infNFe/det[2]/prod/qCom`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn, TypeAlias
from xml.parsers import expat

from attrs import field, frozen

__all__ = ["EVENT", "LARGEST", "NOTE", "PROCESSED", "BrokenError", "Markup"]

Place: TypeAlias = tuple[int, int]
"""A line and a column, both from 1."""

LARGEST: Final = 2**20
"""Bytes of a file; VTEX's bodies and a row's line are not larger, and SEFAZ takes half of it."""

DEEPEST: Final = 32
"""Tags inside each other; a note has some twelve."""

NAMESPACE: Final = "http://www.portalfiscal.inf.br/nfe"
# With these a reader of schemas takes a tag for empty, or for another one.
_INSTANCE: Final = frozenset(
    f"http://www.w3.org/2001/XMLSchema-instance {name}" for name in ("nil", "type")
)
PROCESSED: Final = "nfeProc"
EVENT: Final = "procEventoNFe"
NOTE: Final = f"{PROCESSED}/NFe/infNFe"

# Whatever else a note holds is neither read nor looked at. `[]` marks what may stand many times.
_LEAVES: Final = (
    *(f"{NOTE}/ide/{name}" for name in ("tpNF", "nNF", "dhEmi", "tpAmb", "finNFe")),
    *(
        f"{NOTE}/det[]/prod/{name}"
        for name in ("cProd", "CFOP", "qCom", "vProd", "vDesc", "indTot", "xPed")
    ),
    f"{NOTE}/total/ICMSTot/vNF",
    f"{NOTE}/transp/vol[]/qVol",
    f"{NOTE}/infAdic/obsCont[]/xTexto",
    f"{NOTE}/compra/xPed",
    *(f"{PROCESSED}/protNFe/infProt/{name}" for name in ("tpAmb", "chNFe", "cStat")),
    *(f"{EVENT}/evento/infEvento/{name}" for name in ("chNFe", "tpEvento")),
)


def _with_ancestors(paths: tuple[str, ...]) -> frozenset[str]:
    steps = [path.split("/") for path in paths]
    return frozenset("/".join(found[:end]) for found in steps for end in range(1, len(found) + 1))


_LEAF: Final = frozenset(_LEAVES)
_READ: Final = _with_ancestors(_LEAVES)


class BrokenError(Exception):
    """A file that is not what it should be, and where that shows."""

    def __init__(self, message: str, place: Place = (1, 1)) -> None:
        self.place = place
        super().__init__(message)


@frozen(kw_only=True)
class Markup:
    """A document that is safe to read."""

    root: str
    """The name of its root; empty where that is not of NF-e."""

    text: str = field(repr=False)
    """As it stands in the file, without a byte order mark."""

    places: Mapping[str, Place] = field(repr=False)
    """Where the tags begin that are read."""

    @classmethod
    def of(cls, raw: bytes) -> Markup:
        """Return the document in a file; raise `BrokenError` where it is none, or a dangerous one."""
        text = _decoded(raw)
        scan = _Scan(text)
        try:
            scan.parser.Parse(text.encode(), True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            place = (error.lineno, error.offset + 1)
            raise BrokenError(f"is not XML: {reason}", place) from None
        return cls(root=scan.root, text=text, places=scan.places)

    def place(self, path: str) -> Place:
        """Return where a tag begins, or where what should hold it does."""
        while path not in self.places and "/" in path:
            path = path.rpartition("/")[0]
        return self.places.get(path, (1, 1))

    def __contains__(self, path: str) -> bool:
        return path in self.places


def _decoded(raw: bytes) -> str:
    if len(raw) > LARGEST:
        raise BrokenError(f"is larger than {LARGEST:,} bytes")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        text = raw.decode()
        bad = raw.find(b"\0")
    except UnicodeDecodeError as error:
        bad = error.start
    if bad < 0:
        return text
    place = _place_after(raw[:bad].decode(errors="replace"))
    raise BrokenError("is not UTF-8, as every NF-e is; give the file as SEFAZ took it", place)


def _place_after(before: str) -> Place:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@frozen(kw_only=True)
class _Open:
    """A tag that is not closed yet, if it is read."""

    path: str
    told: str
    """The path with the numbers of members."""

    @property
    def is_leaf(self) -> bool:
        return self.path in _LEAF


_SKIPPED: Final = _Open(path="", told="")


class _Scan:
    """Goes through a document once, with a parser that knows neither entities nor other encodings."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.root = ""
        self.places: dict[str, Place] = {}
        self._open: list[_Open] = []
        self._counts: dict[str, int] = {}
        self.parser = expat.ParserCreate("utf-8", " ")
        self.parser.XmlDeclHandler = self._declaration
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CommentHandler = self._remark
        self.parser.ProcessingInstructionHandler = self._remark

    @property
    def _place(self) -> Place:
        return self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1

    def _refuse(self, message: str) -> NoReturn:
        raise BrokenError(message, self._place)

    def _declaration(self, _: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.lower() != "utf-8":
            self._refuse("declares another encoding than UTF-8, which every NF-e is in")

    def _doctype(self, *_: object) -> None:
        # The parser has read on to where its entities begin.
        before = self._text.encode()[: self.parser.CurrentByteIndex].decode(errors="replace")
        place = _place_after(before[: before.rfind("<!DOCTYPE")])
        raise BrokenError("has a DOCTYPE, which no NF-e has", place)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if not _INSTANCE.isdisjoint(attributes):
            self._refuse("has an xsi:nil or xsi:type, which no NF-e has")
        if len(self._open) == DEEPEST:
            self._refuse(f"has more than {DEEPEST} tags inside each other")
        parent = self._open[-1] if self._open else None
        if parent is not None and parent.is_leaf:
            self._refuse(f"has a tag inside {_last(parent.told)}")
        namespace, _, name = name.rpartition(" ")
        is_known = namespace == NAMESPACE and parent is not _SKIPPED
        self._open.append(self._known(parent, name) if is_known else _SKIPPED)

    def _known(self, parent: _Open | None, name: str) -> _Open:
        if parent is None:
            self.root = name
        path = name if parent is None else f"{parent.path}/{name}"
        told = name if parent is None else f"{parent.told}/{name}"
        if path in _READ:
            if told in self.places:
                self._refuse(f"has {name} twice")
        elif f"{path}[]" in _READ:
            number = self._counts[told] = self._counts.get(told, 0) + 1
            path, told = f"{path}[]", f"{told}[{number}]"
        else:
            return _SKIPPED
        self.places[told] = self._place
        return _Open(path=path, told=told)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _remark(self, *_: str) -> None:
        # Not every reader takes what stands around it for one text.
        if self._open and self._open[-1].is_leaf:
            self._refuse(f"has a comment inside {_last(self._open[-1].told)}")


def _last(path: str) -> str:
    return path.rpartition("/")[2]
