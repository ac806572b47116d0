"""What may be about a person, taken out of words that others wrote.

VTEX's errors quote what they refuse, and an embedded invoice names whom it is for. A name in plain
words stays, for nothing tells it from other words; so do the numbers of orders, which may have the
eleven digits of a CPF or the fourteen of a CNPJ, but seldom their check digits.

Every search takes time in proportion to the text. `re` compiles a pattern when it is first searched
for, and keeps it: a program that sees no error does not pay for them when it starts.
"""

from __future__ import annotations

import re
from operator import mul
from typing import Final

__all__ = ["impersonal"]

REMOVED: Final = "[removed]"

# Markup as it is, in HTML, in a URL or in JSON, be it escaped more than once.
LT: Final = r"(?:<|&(?:amp;)*+lt;|%(?:25)*+3C|\\{1,4}u003C)"
GT: Final = r"(?:>|&(?:amp;)*+gt;|%(?:25)*+3E|\\{1,4}u003E)"
SLASH: Final = r"(?:\\*+/|%(?:25)*+2F)"
SPACE: Final = r"(?:\s|%(?:25)*+(?:20|0[9AD])|\\{1,4}[nrt])"
QUOTE: Final = r"""(?:["']|&(?:amp;)*+(?:quot|apos|\#39|\#x27);|%(?:25)*+2[27]|\\{1,4}u002[27])"""
NAME: Final = r"[^\W\d](?:[\w.:-]|%(?:25)*+3A)*+"

_CLOSING_TAG: Final = f"(?i){LT}{SLASH}"
_TAG: Final = rf"""(?ix)
    {LT} (?: {NAME} | [?!] )
    | (?<![\s=-]) {GT}  # the end of one that was cut
    """
"""Where markup begins, in a text that holds a closing tag."""

_CONTENT: Final = rf"""(?ix)
    (?: {LT} {NAME} (?: {SPACE} | {SLASH} )*+ {GT} | {QUOTE} {GT} )
        (?: \w | {LT}  # a space follows where a message only names a field or a type
          | &(?: \#(?:19|2[0-5])\d | \#x[C-F][\dA-F] | \w{{5,6}} );  # an accented letter
          | %(?:25)*+C3 | \\{{1,4}}u00[C-F]
        )
    | {LT} {NAME} {SPACE}++ {NAME} {SPACE}*+ (?: = | %(?:25)*+3D | \\{{1,4}}u003D )  # an attribute
    | {LT} (?: [?!] | %(?:25)*+(?:3F|21) ) (?: \w | - | \[ | %(?:25)*+5B )  # <?xml, <!--, <![CDATA[
    """
"""Where markup with content begins, in a text without a closing tag: it may have been cut."""

_ADDRESS: Final = r"(?i)(https?://[^\s?]*+)(\?\S++)?"
"""The query of an address may open a document, or name a person."""

_CERTAIN: Final = r"""(?ix)
    (?<! [\w.+-] ) [\w.+-]++ (?: @ | %40 ) [\w-]++ (?: \. [\w-]++ )++  # an e-mail address
    | (?: \+ | %2B ) \d{10,15} (?!\d)  # a phone
    | (?: (?: \+ | %2B ) 55 [ -]? \(?\d{2}\)? | \([1-9]{2}\) ) [ -]? \d{4,5} [ -]? \d{4} (?!\d)
    | \d{3} \. \d{3} \. \d{3} - \d{2}  # a CPF
    | [\dA-Z]{2} \. [\dA-Z]{3} \. [\dA-Z]{3} / [\dA-Z]{4} - \d{2}  # a CNPJ
    | (?<!\d) \d{4} (?: [ ]? \d{4} ){10} (?!\d)  # the key of an NF-e
    """
_DOCUMENT: Final = r"""(?ax)
    (?<!\d)
    (?: \d{3} [. ]? \d{3} [. ]? \d{3} [- ]? \d{2}  # like a CPF
      | \d{2} [. ]? \d{3} [. ]? \d{3} [/ ]? \d{4} [- ]? \d{2}  # like a CNPJ
    )
    (?!\d)
    """
_CPF_LENGTH: Final = 11
_CPF_WEIGHTS: Final = (11, 10, 9, 8, 7, 6, 5, 4, 3, 2)
_CNPJ_WEIGHTS: Final = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)


def impersonal(text: str) -> str:
    """Return *text* without what may be about a person."""
    text = re.sub(_ADDRESS, _without_query, _without_markup(text))
    return re.sub(_DOCUMENT, _unless_document, re.sub(_CERTAIN, REMOVED, text))


def _without_markup(text: str) -> str:
    """Cut *text* where markup begins: what follows it can hardly be told from its content."""
    closing = re.search(_CLOSING_TAG, text)
    found = (closing, re.search(_TAG if closing else _CONTENT, text))
    starts = [match.start() for match in found if match]
    return text[: min(starts)] + REMOVED if starts else text


def _without_query(address: re.Match[str]) -> str:
    return f"{address[1]}?{REMOVED}" if address[2] else address[1]


def _unless_document(found: re.Match[str]) -> str:
    digits = [byte - ord("0") for byte in found[0].encode() if byte >= ord("0")]
    return REMOVED if _is_document(digits) else found[0]


def _is_document(digits: list[int]) -> bool:
    """Whether the last two digits are those that a CPF or a CNPJ of the others has."""
    weights = _CPF_WEIGHTS if len(digits) == _CPF_LENGTH else _CNPJ_WEIGHTS
    if _check_digit(digits, weights[1:]) != digits[-2] or len(set(digits)) == 1:
        return False
    return _check_digit(digits, weights) == digits[-1]


def _check_digit(digits: list[int], weights: tuple[int, ...]) -> int:
    """Return the digit that follows as many of *digits* as there are *weights*."""
    weighted: int = sum(map(mul, digits, weights))
    return weighted * 10 % 11 % 10
