"""The sandbox's page as a browser reads it: elements with their attributes, and text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Final

import aiohttp
from attrs import define, field, frozen

from vtex_invoice_async.sandbox import Sandbox

VOID: Final = {"meta", "link", "input"}


@frozen(kw_only=True)
class Element:
    """An element of a page, and all text in it."""

    name: str
    attributes: Mapping[str, str]
    parts: list[str] = field(factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())


@define(kw_only=True)
class Read:
    """A page, read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elements: list[Element]

    def all(self, name: str, **attributes: str) -> Iterator[Element]:
        for element in self.elements:
            if element.name == name and attributes.items() <= element.attributes.items():
                yield element

    def part(self, key: str) -> str:
        """The text of what has this id; nothing where there is no such."""
        return next((e.text for e in self.elements if e.attributes.get("id") == key), "")

    def rows(self, key: str) -> list[str]:
        """The text of each row of the section of this id, with its head."""
        sections = list(self.all("section"))
        inside, found = False, []
        for element in self.elements:
            if element in sections:
                inside = element.attributes.get("id") == key
            if inside and element.name == "tr":
                found.append(element.text)
        return found


class Reader(HTMLParser):
    """Fails where an element is not closed, or another is."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        element = Element(name=tag, attributes={name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)
        for each in self.open:
            each.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for each in self.open:
            each.parts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")


def read_page(status: int, headers: Mapping[str, str], body: bytes) -> Read:
    reader = Reader()
    reader.feed(body.decode("utf-8"))
    reader.close()
    assert reader.open == []
    return Read(status=status, headers=headers, body=body, elements=reader.elements)


@frozen(kw_only=True)
class Browser:
    """Asks a sandbox for its page, and sends nothing else."""

    session: aiohttp.ClientSession
    sandbox: Sandbox

    async def look(self, query: str = "", **headers: str) -> Read:
        async with self.session.get(f"{self.sandbox.url}/{query}", headers=headers) as answer:
            return read_page(answer.status, answer.headers, await answer.read())


@asynccontextmanager
async def browsing(sandbox: Sandbox) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as session:
        yield Browser(session=session, sandbox=sandbox)
