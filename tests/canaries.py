"""Canaries: secrets and made-up personal data that must turn up nowhere, and the net that looks.

A secret of an in-process sandbox carries a mark, so that one search finds them all. A credential
that a test makes up itself is looked for until that test ends.
"""

from __future__ import annotations

import base64
import html
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from attrs import define, field, frozen

from vtex_invoice_async.sandbox.documents import customers
from vtex_invoice_async.shapes import check_digit

KEY_MARK: Final = "qZc4nKy7"
TOKEN_MARK: Final = "xWc4nTk9"
SHORTEST: Final = 6
"""Characters; what is shorter, as the `K` and `T` of some tests, occurs by chance."""

PREFIX: Final = 12
"""Characters of a credential that are looked for: what is written whole begins with them."""

PUBLIC_PREFIX: Final = "vtexappkey-"
"""With which the name of a key begins: of such a one, nothing but the whole is a secret."""

MOST: Final = 64
"""Credentials of one test that are looked for, the last ones: a property may make up thousands."""

NAME: Final = "Zuleica Canarinha"
CPF: Final = "987.654.321-00"
EMAIL: Final = "zuleica.canarinha@pessoa.example"
DESCRIPTION: Final = "Gravura para Zelia Canarinha"
KEY_PREFIX: Final = "3526019876543200019855001"
"""With which the key of each invoice of a test begins; then its number, and how it is checked."""

INVOICE_KEY: Final = f"{KEY_PREFIX}0000098761987654320"
INVOICE_URL: Final = f"https://nfe.example/ver?p={INVOICE_KEY}&de=Z.Canarinha"
EMBEDDED: Final = (
    f"<NFe><dest><CPF>{CPF}</CPF><xNome>{NAME}</xNome><email>{EMAIL}</email></dest></NFe>"
)
"""The XML of an invoice, in short."""

CUSTOMER: Final[Mapping[str, object]] = {
    "clientProfileData": {
        "firstName": "Maria",
        "lastName": customers.LAST_NAME,
        "email": f"maria@{customers.EMAIL_DOMAIN.lstrip('@')}",
        "phone": f"{customers.PHONE_PREFIX}000001",
        "document": "98765432100",
        "documentType": "cpf",
    },
    "shippingData": {"address": {"receiverName": customers.LAST_NAME, "street": customers.STREET}},
}
"""What VTEX tells of a shopper, whoever only asked for the order."""


def key_for(number: str | int) -> str:
    """The key of an invoice's number, which tells nobody but this shopper's."""
    digits = f"{KEY_PREFIX}{int(re.sub('[^0-9]', '', str(number)) or 0) % 10**9:09}198765432"
    return f"{digits}{check_digit(digits)}"


@frozen(kw_only=True)
class Canary:
    """A text that must not turn up; *kind* is what may be said of it."""

    kind: str
    text: str = field(repr=False)
    is_secret: bool = False


SECRETS: Final = (
    Canary(kind="a sandbox's app key", text=KEY_MARK, is_secret=True),
    Canary(kind="a sandbox's token", text=TOKEN_MARK, is_secret=True),
)
PERSONAL: Final = (
    Canary(kind="the name in an embedded invoice", text=NAME),
    Canary(kind="the CPF in an embedded invoice", text=CPF),
    Canary(kind="the CPF of a customer, bare", text="98765432100"),
    Canary(kind="the e-mail in an embedded invoice", text=EMAIL),
    Canary(kind="the description of an item", text=DESCRIPTION),
    Canary(kind="the key of an invoice", text=KEY_PREFIX),
    Canary(kind="the URL of an invoice", text="nfe.example/ver?p="),
    Canary(kind="the name of a customer", text=customers.LAST_NAME),
    Canary(kind="the e-mail of a customer", text=customers.EMAIL_DOMAIN),
    Canary(kind="the street of a customer", text=customers.STREET),
    Canary(kind="the phone of a customer", text=customers.PHONE_PREFIX),
)


def forms_of(text: str) -> set[str]:
    """Return how *text* may be written, in lower case, as everything is compared."""
    written = {
        text,
        quote(text, safe=""),
        html.escape(text),
        json.dumps(text)[1:-1],
        json.dumps(json.dumps(text)[1:-1])[1:-1],
        repr(text)[1:-1],
        # As `repr` writes what holds both kinds of quotes.
        repr(text + "'\"")[1:-4],
        text.encode().hex(),
        *_base64_of(text.encode()),
    }
    return {form.lower() for form in written}


def _base64_of(raw: bytes) -> Iterator[str]:
    """Yield what of *raw* is the same in Base64 whatever stands before and after it."""
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
        found = whole[(0, 2, 3)[shift] : len(whole) - ((shift + len(raw)) % 3 > 0)]
        # What is shorter occurs by chance in what is random.
        if len(found) >= 8:
            yield from {found, found.replace("+", "-").replace("/", "_")}


@define
class Needles:
    """What is searched for, in text and in bytes."""

    texts: dict[str, Canary] = field(factory=dict)
    raw: dict[bytes, Canary] = field(factory=dict)

    def add(self, canary: Canary) -> None:
        for form in forms_of(canary.text):
            self.texts[form] = canary
            self.raw[form.encode()] = canary
        # Without its last byte, it is found in either order of bytes.
        self.raw[canary.text.lower().encode("utf-16-le").removesuffix(b"\0")] = canary

    def found_in(self, low: str | bytes) -> Iterator[Canary]:
        """Yield what is in a text that is in lower case."""
        # Searching for one after the other is faster than a regular expression of all.
        if isinstance(low, str):
            yield from (canary for form, canary in self.texts.items() if form in low)
        else:
            yield from (canary for form, canary in self.raw.items() if form in low)


def _needles(*canaries: Canary) -> Needles:
    found = Needles()
    for canary in canaries:
        found.add(canary)
    return found


@define
class Net:
    """Looks for every canary in what it is shown, and keeps what it found until a test's end."""

    found: dict[str, None] = field(factory=dict)
    """Which canary in which place, in words that hold no value; a dict keeps their order."""
    _secrets: Needles = field(factory=lambda: _needles(*SECRETS))
    _personal: Needles = field(factory=lambda: _needles(*PERSONAL))
    _own: dict[str, Needles] = field(factory=dict)
    """Those of the test that runs, by their text."""

    def hide(self, kind: str, text: object) -> None:
        """Look for a credential until the test ends."""
        if not isinstance(text, str) or text in self._own or not _is_telling(text):
            return
        self._own[text] = _needles(Canary(kind=kind, text=_telling_part(text), is_secret=True))
        if len(self._own) > MOST:
            del self._own[next(iter(self._own))]

    def look(self, text: str | bytes, place: str, *, for_people: bool = True) -> None:
        """Look into *text*, which stands in *place*: for secrets, and for what is personal."""
        low = text.lower()
        sought = [self._secrets, *self._own.values(), *([self._personal] if for_people else [])]
        for needles in sought:
            for canary in needles.found_in(low):
                self.found[f"{canary.kind} in {place}"] = None

    def ends(self) -> list[str]:
        """Return what was found since the last test, and forget that test's credentials."""
        found = list(self.found)
        self.found.clear()
        self._own.clear()
        return found


def _is_telling(text: str) -> bool:
    """Whether *text* is not likely to occur by chance; the marked ones are looked for anyway."""
    is_marked = KEY_MARK.lower() in text.lower() or TOKEN_MARK in text
    is_word = text.isdigit() or len(set(text)) < 3
    return len(text) >= SHORTEST and not is_word and not is_marked


def _telling_part(text: str) -> str:
    """Return what gives *text* away already."""
    begin = text[:PREFIX]
    return begin if _is_telling(begin) and not text.startswith(PUBLIC_PREFIX) else text


class MarkedSecrets:
    """Stands in for `secrets` where a sandbox draws its own: as long and as unique, and marked."""

    compare_digest = staticmethod(secrets.compare_digest)

    @staticmethod
    def token_hex(size: int) -> str:
        return KEY_MARK + secrets.token_hex(size)

    @staticmethod
    def token_urlsafe(size: int) -> str:
        return TOKEN_MARK + secrets.token_urlsafe(size)


NET: Final = Net()
"""That of the session: all hooks show it what they see."""
