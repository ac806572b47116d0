"""What the fuzz tests throw at readers: sound documents, taken apart and put together wrongly.

A mutation is a value (what is done, and where), so that Hypothesis can make a failing example small.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, Signature, signature
from typing import Any, Final, TypeAlias

import pytest
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.golden_files import golden, golden_names

TIMES: Final = 100
"""How many times the examples of the suite's short pass a campaign takes."""


def fuzzed(short: int, **drawn: st.SearchStrategy[Any]) -> Callable[..., Callable[..., None]]:
    """Check *short* examples in the suite, always the same; many more, and new ones, in a campaign.

    What a test takes and is not *drawn* is a fixture. A failing example is printed as a call of the
    test; `--hypothesis-seed` repeats a campaign.
    """

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        def test(examples: int, **fixtures: Any) -> None:
            def example(**values: Any) -> None:
                check(**fixtures, **values)

            example.__name__ = check.__name__
            is_short = examples == short
            chosen = settings(
                max_examples=examples,
                derandomize=is_short,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            chosen(given(**drawn)(example))()

        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(test, name, getattr(check, name))
        taken = [name for name in signature(check).parameters if name not in drawn]
        kind = Parameter.POSITIONAL_OR_KEYWORD
        names = [Parameter(name, kind) for name in ("examples", *taken)]
        test.__signature__ = Signature(names)  # type: ignore[attr-defined]
        sizes = [
            pytest.param(short, id="short"),
            pytest.param(short * TIMES, id="long", marks=[pytest.mark.campaign]),
        ]
        marked: Callable[..., None] = pytest.mark.parametrize("examples", sizes)(test)
        return marked

    return decorate


# JSON as it is written, so that it can be written wrongly: a token is put down as it stands.


@frozen
class Token:
    """A value in JSON's own text."""

    text: str


@frozen
class Array:
    """A list."""

    values: tuple[Node, ...]


@frozen
class Object:
    """An object, whose keys may come twice."""

    pairs: tuple[tuple[str, Node], ...]


Node: TypeAlias = "Token | Array | Object"
Path: TypeAlias = tuple[int, ...]


def node(value: object) -> Node:
    """Return a document as it would be written."""
    if isinstance(value, dict):
        return Object(tuple((key, node(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return Array(tuple(map(node, value)))
    return Token(json.dumps(value))


def written(value: Node) -> str:
    match value:
        case Object(pairs):
            return "{" + ",".join(f"{json.dumps(k)}:{written(v)}" for k, v in pairs) + "}"
        case Array(values):
            return "[" + ",".join(map(written, values)) + "]"
        case Token(text):
            return text


def quoted(*texts: str) -> list[str]:
    return [json.dumps(text) for text in texts]


LONG: Final = "x" * 3_000
NUMBERS: Final = [
    *("0", "-0", "-0.0", "1.0", "24.99", "1e2", "1e400", "-1e400", "1e-400", "-1", "01", "+1"),
    *("1_000", "0x10", ".5", "1.", "9007199254740991", "9007199254740992"),
    *("9223372036854775808", "18446744073709551616", "9" * 5000, "-" + "9" * 5000),
    *("NaN", "Infinity", "-Infinity", "nan"),
]
TEXTS: Final = [
    *quoted("", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "😀", "\x1b[2J", "\r\nINFO x"),
    *quoted("\u202eabc", "\u2028", "\ufeff", "１２", "1_000", "1.234,56", "0012", "9" * 30, LONG),  # noqa: RUF001
    *quoted("true", "null", "NaN", "<html>", "Output", "output", "Input", "\x7f\x9b", "é" * 300),
    *('"\x00"', '"\x1b[31m"', '"\t"', '"\\x41"', '"\\u12"', '"open', "'one'", '"\\ud83d"'),
]
DATES: Final = quoted(
    *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0001-01-01", "0999-06-01 10:00"),
    *("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:60Z", "9999-12-31", "2026-02-30"),
    *("2026-01-31T18:25:43+99:99", "2026-01-31T18:25:43-24:00", "2026-01-31T24:00:00Z"),
    *(f"2026-01-31T18:25:43.{'1234567890123'[:digits]}Z" for digits in range(6, 14)),
    *("2026-01-31T18:25:43", "2026-01-31 18:25", "2026-01-31T18:25:43z", "2026-W05-6"),
    *("20260131", "2026-01-31T18:25:43+0300", "２０２６-01-31", " 2026-01-31", "31/01/2026"),  # noqa: RUF001
)
IDS: Final = [
    *(
        "1-01",
        "v5lux-01",
        "..",
        ".",
        "a/b",
        "a%2Fb",
        "%2e%2e",
        "../../x?y#z",
        "1-01?x",
        "1#",
        "1;x",
    ),
    *(
        "seq501456",
        "SEQ1",
        "seq",
        "seq\u0661",
        "a b",
        "a\\b",
        "é",
        "\x00",
        "1\r\n2",
        "1\n",
        "A" * 128,
    ),
    *(
        "A" * 129,
        "",
        "~1",
        "-1",
        "1~",
        "a@b:c+d=e,f",
        "\uff11",
        "\ud800",
        "\u202e1",
        "http://x/1",
        "//x",
    ),
]
STRUCTURES: Final = [
    *("null", "true", "false", "[]", "{}", "[[]]", '{"a":{}}', "[null]", '[{"id":1}]', '{"":""}'),
    *("[" * depth + "]" * depth for depth in (100, 900, 1100, 5000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (100, 900, 1100, 5000)),
    *("[" * 5000, '{"a":' * 5000, "[1,]", '{"a":1,}', "{1:2}", "", ",", "]", "}", "//x", "[1 2]"),
]
HOSTILE: Final = [*NUMBERS, *TEXTS, *DATES, *quoted(*IDS), *STRUCTURES]
KEYS: Final = [
    *(
        "",
        " ",
        "orderID",
        "invoicenumber",
        "items.7",
        "items[7]",
        "[0]",
        ".",
        "0",
        "job",
        "__class__",
    ),
    *("a\x1b[2Jb", "a\nb", "\ud800", "\u202eb", "a\x00", '"', "\\", "$ref", "k" * 60, "é"),
    *(
        "orderId",
        "invoiceNumber",
        "items",
        "id",
        "itemIndex",
        "price",
        "type",
        "receipt",
        "packages",
    ),
    *("courier", "isDelivered", "events", "issuedDate", "issuanceDate", "seed", "faults", "do"),
]

DONE: Final = ("replace", "drop", "repeat", "rename", "wrap", "add")


@frozen
class Mutation:
    """What is done to the value at a place in a document; *at* counts its values, and goes round."""

    what: str
    at: int
    text: str
    key: str

    def __call__(self, document: Node) -> Node:
        paths = list(_paths(document))
        return _changed(document, paths[self.at % len(paths)], self)


mutations = st.builds(
    Mutation,
    what=st.sampled_from(DONE),
    at=st.integers(0, 60),
    text=st.sampled_from(HOSTILE),
    key=st.sampled_from(KEYS),
)


def _paths(value: Node, path: Path = ()) -> Iterator[Path]:
    yield path
    inner: Sequence[Node] = ()
    if isinstance(value, Object):
        inner = [found for _, found in value.pairs]
    if isinstance(value, Array):
        inner = value.values
    for index, found in enumerate(inner):
        yield from _paths(found, (*path, index))


def _changed(value: Node, path: Path, mutation: Mutation) -> Node:
    if not path:
        match mutation.what, value:
            case "wrap", _:
                return Array((value,))
            case "add", Object(pairs):
                return Object((*pairs, (mutation.key, Token(mutation.text))))
            case "add", Array(values):
                return Array((*values, Token(mutation.text)))
            case _:
                return Token(mutation.text)
    index, *rest = path
    match value:
        case Object(pairs):
            key, inner = pairs[index]
            return Object(
                (*pairs[:index], *_pairs(key, inner, rest, mutation), *pairs[index + 1 :])
            )
        case Array(values):
            kept = [found for _, found in _pairs("", values[index], rest, mutation)]
            return Array((*values[:index], *kept, *values[index + 1 :]))
        case Token():
            return value


def _pairs(
    key: str, inner: Node, rest: Sequence[int], mutation: Mutation
) -> tuple[tuple[str, Node], ...]:
    """Return what stands for a value of an object or a list, and its key."""
    if rest:
        return ((key, _changed(inner, tuple(rest), mutation)),)
    match mutation.what:
        case "drop":
            return ()
        case "repeat":
            return ((key, inner), (key, inner))
        case "rename":
            return ((mutation.key, inner),)
        case _:
            return ((key, _changed(inner, (), mutation)),)


def documents(sound: Sequence[object], most: int = 3) -> st.SearchStrategy[str]:
    """Return the text of *sound* documents with up to so many mutations."""
    nodes = [node(document) for document in sound]

    def mutated(document: Node, done: Sequence[Mutation]) -> str:
        for mutation in done:
            document = mutation(document)
        return written(document)

    return st.builds(mutated, st.sampled_from(nodes), st.lists(mutations, max_size=most))


# Bytes: what a cable, an editor or a proxy makes of a text.

JUNK: Final = [
    *(b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1b[2J", b"\n", b"\r", b"\r\n", b"\x0b\x0c"),
    *(b" ", b"\t", b",", b"{", b"}", b"[", b'"', b"\\", b"<html>", b"\xc3", b"\xed\xa0\x80", b"\xe2\x80\xa8"),
    *(b"0" * 64, b"x" * 500, b"null", b"SQLite format 3\x00", bytes(512)),
]  # fmt: skip


@frozen
class Harm:
    """What is done to bytes; *at* and *length* are parts of their length, in thousandths."""

    what: str
    at: int
    length: int
    junk: bytes

    def __call__(self, content: bytes) -> bytes:
        at, end = (len(content) * part // 1000 for part in (self.at, self.at + self.length))
        if self.what in {"utf-16", "latin-1"}:
            text = content.decode(errors="ignore")
            return text.encode(self.what, "replace")
        before, part, after = content[:at], content[at:end], content[end:]
        if self.what == "flip":
            bit = 1 << self.length % 8
            return before + bytes(byte ^ bit for byte in content[at : at + 1]) + content[at + 1 :]
        changed = {
            "cut": before,
            "behead": content[at:],
            "insert": before + self.junk + part + after,
            "overwrite": before + self.junk + content[at + len(self.junk) :],
            "remove": before + after,
            "repeat": before + part + part + after,
            "append": content + self.junk,
            "swap": after + part + before,
            "blank": before + bytes(len(part)) + after,
        }
        return changed[self.what]


HARMS: Final = (
    *(
        "flip",
        "cut",
        "insert",
        "overwrite",
        "remove",
        "repeat",
        "append",
        "swap",
        "blank",
        "behead",
    ),
)
harms = st.builds(
    Harm,
    what=st.sampled_from((*HARMS, "utf-16", "latin-1")),
    at=st.integers(0, 1000),
    length=st.integers(0, 300),
    junk=st.sampled_from(JUNK),
)


def harmed(
    contents: st.SearchStrategy[bytes], done: st.SearchStrategy[Harm] = harms, most: int = 2
) -> st.SearchStrategy[bytes]:
    """Return *contents* with up to so many harms."""

    def apply(content: bytes, harms_: Sequence[Harm]) -> bytes:
        for harm in harms_:
            content = harm(content)
        return content

    return st.builds(apply, contents, st.lists(done, max_size=most))


def encoded(texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """Return texts as UTF-8, half of a surrogate pair as the three bytes that it must not be."""
    return texts.map(lambda text: text.encode(errors="surrogatepass"))


def golden_documents(name: str) -> list[Any]:
    """Return VTEX's own documents whose files begin with *name*."""
    found = [golden(stem).vtex for stem in sorted(golden_names()) if stem.startswith(name)]
    assert found
    return found
