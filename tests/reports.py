"""Journals that a report is made of, and what a page consists of."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from tests.journals import NOW, brought_to, make_entry, opened
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.report.facts import Report
from vtex_invoice_async.jobs.report.gather import gather
from vtex_invoice_async.jobs.samples import Latency, Sample
from vtex_invoice_async.outcome import State

HOSTILE: Final = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> | `x` *b* \" onload=alert(1) '\n"
    "| a | b |\r\n# h\x1b[31m\u202e {{ 7*7 }} {% x %} [a](javascript:alert(1)) https://evil.example @you"
)

MANY: Final = (
    *(State.CONFIRMED, State.IN_DOUBT, State.REJECTED, State.ABSENT, State.CONFLICT),
    *(State.HELD, State.NOT_SENT, State.PLANNED),
)


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def made_by_version_1(path: Path) -> None:
    changed(path, "DROP TABLE sample", "PRAGMA user_version = 1")


def samples(count: int, *, run: int = 1) -> list[Sample]:
    """What a run may have done in so many seconds."""
    return [
        Sample(
            run=run,
            at=NOW + timedelta(seconds=n + 1),
            seconds=1.0,
            attempts=50,
            confirmed=40 + round(9 * math.sin(n / 9)),
            throttled=n % 7 == 0,
            retried=n % 5 == 0,
            doubts_opened=n % 11 == 0,
            in_flight=n % 4,
            in_doubt=n // 11,
            rate=55.0,
            limit=52.0 if n > 9 else None,
            latency=Latency({20: 30, 24: 8, 30 + n % 3: 2}),
        )
        for n in range(count)
    ]


async def make_journal(
    path: Path,
    count: int = 16,
    *,
    states: Sequence[State] = MANY,
    told: Iterable[Sample] | None = None,
    ends: bool = True,
    **facts: Any,
) -> Path:
    """Make a journal of so many invoices, brought to *states* in turn, of which VTEX said *facts*."""
    async with opened(path) as journal:
        options = {"concurrency": 8, "rate": None, "settle_window": 300.0, "resend_input": False}
        run = await journal.begin("send", options, NOW)
        entries = (make_entry(f"{n}-01", f"NFe{n}", line=n) for n in range(1, count + 1))
        await journal.enter(entries, run)
        records = [record async for record in journal.records({State.PLANNED})]
        some = [records[n::64] for n in range(64)]
        await asyncio.gather(*[_bring(journal, found, states, facts) for found in some])
        for sample in samples(40, run=run) if told is None else told:
            journal.note(sample)
        confirmed = (await journal.counts())[State.CONFIRMED]
        counts = {"planned": count, "confirmed": confirmed, "exit_code": 4}
        await journal.end(counts if ends else None, NOW + timedelta(minutes=1))
    return path


async def _bring(
    journal: Journal, records: Iterable[Any], states: Sequence[State], facts: dict[str, Any]
) -> None:
    for record in records:
        state = states[(record.seq - 1) % len(states)]
        if not facts or state in {State.CONFIRMED, State.PLANNED, State.HELD}:
            await brought_to(journal, record, state)
        else:
            intent = await journal.intend(record, NOW)
            await journal.settle(intent, state, since=NOW, **facts)


async def report_of(path: Path, run: int | None = None, holder: str | None = None) -> Report:
    async with Journal.read(path) as journal:
        return await gather(journal, run=run, holder=holder)


@define
class Seen(HTMLParser):
    """The tags, attributes and texts of a page."""

    tags: set[str] = field(factory=set)
    attributes: dict[str, set[str]] = field(factory=dict)
    texts: list[str] = field(factory=list)
    open: list[str] = field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")
        if tag not in {"meta", "img", "source", "rect"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"nothing is open where {tag} ends"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def seen_in(page: str) -> Seen:
    seen = Seen()
    seen.feed(page)
    seen.close()
    assert not seen.open
    return seen
