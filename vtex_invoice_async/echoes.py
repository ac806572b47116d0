"""The credentials in what a server answers, which may echo them in many ways, and how they go."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

import orjson

__all__ = ["Echoes"]

SHORTEST_ECHO: Final = 6
"""Characters; what is shorter occurs in words that have nothing to do with a credential."""

# What .NET and others escape in JSON beside what must be, more or less of it.
JSON_ESCAPES: Final = ("", "<>&", "<>&'", "<>&'\"", "<>&'\"+", "<>&'\"+`")
_IN_HTML: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
)


class Echoes:
    """All forms in which an answer may hold what was *given*: the secrets of each request."""

    def __init__(self, given: Sequence[Sequence[str]]) -> None:
        plain = [secret for secrets in given for secret in secrets]
        # As HTTP's own way to authenticate has them.
        pairs = [":".join(secrets) for secrets in given]
        found = {form.lower() for secret in plain for form in _echoes(secret)}
        found |= {form.lower() for pair in pairs for form in _in_base64(pair)}
        found = {form for form in found if len(form) >= SHORTEST_ECHO}
        # Longest first, for one may begin another.
        self._secrets = sorted(found, key=len, reverse=True)

    def blot(self, text: str) -> str:
        """Return *text* without them."""
        # Few answers echo anything, and to look for it so takes a hundredth of the time.
        lower = text.lower()
        if not any(secret in lower for secret in self._secrets):
            return text
        pattern = "|".join(map(re.escape, self._secrets))
        return re.sub(pattern, "[removed]", text, flags=re.IGNORECASE)


def _echoes(secret: str) -> Iterator[str]:
    """Yield how an answer may echo a credential, in whatever case."""
    yield secret
    yield quote(secret, safe="")
    yield quote(secret, safe="/")
    yield secret.translate(_IN_HTML)
    yield secret.translate({**_IN_HTML, ord("'"): "&#39;"})
    yield from _in_json(secret)
    yield from _in_base64(secret)


def _in_json(text: str) -> Iterator[str]:
    plain = orjson.dumps(text).decode()[1:-1]
    for escaped in JSON_ESCAPES:
        written = plain.replace('\\"', "\\u0022") if '"' in escaped else plain
        for character in escaped.replace('"', ""):
            written = written.replace(character, f"\\u{ord(character):04x}")
        yield written
        yield written.replace("/", "\\/")


def _in_base64(text: str) -> Iterator[str]:
    yield b64encode(text.encode()).decode().rstrip("=")
    yield urlsafe_b64encode(text.encode()).decode().rstrip("=")
