"""The report as a page: it needs nothing else, runs nothing, and shows words as words."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve

from tests.canaries import DESCRIPTION
from tests.journals import NOW, make_entry, only_record, opened
from tests.reports import (
    HOSTILE,
    Seen,
    made_by_version_1,
    make_journal,
    report_of,
    samples,
    seen_in,
)
from vtex_invoice_async.jobs.report.charts import DARK, charts
from vtex_invoice_async.jobs.report.facts import Report
from vtex_invoice_async.jobs.report.gather import MOST_ROWS
from vtex_invoice_async.jobs.report.page import page
from vtex_invoice_async.outcome import State

TAGS: Final = {
    *("html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section"),
    *("footer", "p", "b", "h1", "h2", "code", "pre", "ol", "ul", "li", "span", "a", "div", "dl"),
    *("dt", "dd", "figure", "figcaption", "picture", "source", "img", "svg", "rect"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES: Final = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "scope"),
    *("viewbox", "preserveaspectratio", "role", "aria-label", "tabindex", "x", "y", "width"),
    *("height", "media", "srcset", "src", "alt"),
}
DRAWN: Final = {
    *("svg", "defs", "style", "g", "path", "use", "text", "clipPath", "rect", "title"),
}


async def page_of(folder: Path, **changes: object) -> tuple[str, Seen]:
    report = await report_of(await make_journal(folder / "journal.db", **changes))  # type: ignore[arg-type]
    told = page(report)
    return told, seen_in(told)


def check_own(seen: Seen) -> None:
    """Assert that nothing is in a page but what we put there."""
    assert seen.tags <= TAGS
    assert set(seen.attributes) <= ATTRIBUTES
    for name in ("src", "srcset"):
        for address in seen.attributes.get(name, ()):
            assert re.fullmatch(r"data:image/svg\+xml;base64,[\w+/=]+", address, re.ASCII)
    assert all(re.fullmatch(r"#[a-z_]+", link) for link in seen.attributes.get("href", ()))


async def test_a_page_is_made_of_our_own_tags(tmp_path: Path) -> None:
    _, seen = await page_of(tmp_path)

    check_own(seen)
    assert {"table", "caption", "img", "picture", "rect"} <= seen.tags
    assert seen.attributes["scope"] == {"col", "row"}
    assert all(len(told) > 20 for told in seen.attributes["alt"])


async def test_hostile_words_stay_words(tmp_path: Path) -> None:
    told, seen = await page_of(tmp_path, code=HOSTILE, message=HOSTILE)

    check_own(seen)
    assert "<script" not in told
    assert any("<script>alert(1)</script>" in text for text in seen.texts)
    assert any("{{ 7*7 }}" in text for text in seen.texts)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", told)


def hostile(report: Report) -> Report:
    """The same where all that is text anywhere in it is hostile."""
    needy = [
        evolve(
            needy,
            export=HOSTILE,
            rows=tuple(evolve(r, order_id=HOSTILE, invoice_number=HOSTILE) for r in needy.rows),
        )
        for needy in report.needy
    ]
    return evolve(
        report,
        journal=HOSTILE,
        header=evolve(report.header, account=HOSTILE, origin=HOSTILE, family=HOSTILE),
        holder=HOSTILE,
        needy=tuple(needy),
        steps=tuple(evolve(step, why=HOSTILE, command=HOSTILE) for step in report.steps),
        reasons=tuple(evolve(r, advice=HOSTILE) for r in report.reasons),
        runs=tuple(
            evolve(
                run,
                command=HOSTILE,
                began=HOSTILE,
                ended=HOSTILE,
                options={HOSTILE: HOSTILE},
            )
            for run in report.runs
        ),
    )


async def test_so_do_those_that_no_journal_should_hold(tmp_path: Path) -> None:
    report = await report_of(await make_journal(tmp_path / "journal.db"))

    told = page(hostile(report))

    check_own(seen_in(told))
    assert "<script" not in told
    assert told.count("&lt;script&gt;") > 20
    # A mark of direction in a file's name would turn our own words around.
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", told)


async def test_a_browser_is_told_to_run_and_load_nothing(tmp_path: Path) -> None:
    told, seen = await page_of(tmp_path)

    (style,) = re.findall("<style>(.*?)</style>", told, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    assert policy in seen.attributes["content"]
    # Before anything that it is about.
    assert told.index("Content-Security-Policy") < told.index("<style>")
    assert "url(" not in style
    assert "@import" not in style
    assert "style" not in seen.attributes


async def test_the_same_journal_makes_the_same_bytes(tmp_path: Path) -> None:
    path = await make_journal(tmp_path / "journal.db")

    assert page(await report_of(path)) == page(await report_of(path))


async def test_nobody_is_named(tmp_path: Path) -> None:
    told, _ = await page_of(tmp_path)

    assert DESCRIPTION not in told
    assert "10-01" in told


def test_a_chart_is_sound_svg_without_anything_active() -> None:
    for chart in charts(samples(700)):
        for svg in (chart.wide.light, chart.wide.dark, chart.narrow.light, chart.narrow.dark):
            root = ET.fromstring(svg)
            names = {element.tag.rpartition("}")[2] for element in root.iter()}
            assert names <= DRAWN
            found = [name for element in root.iter() for name in element.attrib]
            assert not [name for name in found if name.startswith("on")]
            links = [v for e in root.iter() for n, v in e.attrib.items() if n.endswith("href")]
            assert all(link.startswith("#") for link in links)
        assert not any(colour in chart.wide.dark for colour in DARK)
        assert any(colour in chart.wide.light for colour in DARK)


def test_a_chart_is_drawn_of_what_happened_alone() -> None:
    calm = [evolve(s, throttled=0, retried=0, doubts_opened=0) for s in samples(20)]

    assert [chart.title for chart in charts(samples(20))] == [
        *("Confirmed a second", "Time until an answer", "Setbacks a second"),
        "In flight and in doubt",
    ]
    assert "Setbacks a second" not in {chart.title for chart in charts(calm)}
    assert not charts(samples(3))
    assert not charts([])


async def test_charts_say_in_words_what_they_show(tmp_path: Path) -> None:
    _, seen = await page_of(tmp_path, told=samples(40))

    assert "Over time: 6 answers 429, 8 attempts retried, 4 doubts." in seen.attributes["alt"]


async def test_a_page_of_a_journal_of_version_1_has_no_charts(tmp_path: Path) -> None:
    path = await make_journal(tmp_path / "journal.db")
    made_by_version_1(path)

    seen = seen_in(page(await report_of(path)))

    check_own(seen)
    assert "img" not in seen.tags
    assert any("There are no samples of these runs" in text for text in seen.texts)


@pytest.mark.parametrize("begins", [True, False])
async def test_a_page_of_nothing_is_a_page(begins: bool, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        if begins:
            await journal.begin("send", {}, NOW)

    seen = seen_in(page(await report_of(path)))

    check_own(seen)
    assert any("No invoices yet." in text for text in seen.texts)


async def test_a_page_of_many_is_no_longer(tmp_path: Path) -> None:
    rejected = {"states": [State.REJECTED], "message": "m" * 90}
    few, _ = await page_of(tmp_path / "few", count=MOST_ROWS, told=samples(400), **rejected)
    many, _ = await page_of(tmp_path / "many", count=4 * MOST_ROWS, told=samples(900), **rejected)

    assert len(many) < 1.1 * len(few)
    assert len(many) < 1_500_000


async def test_a_row_is_told_in_full(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        entry = make_entry("1178650000464-01", "NFe-7", line=12, invoice_value=123_456)
        await journal.enter([entry], 1)
        record = await only_record(journal)
        intent = await journal.intend(record, NOW)
        told = {"status": 504, "code": "OMS9", "message": "too late"}
        await journal.settle(intent, State.IN_DOUBT, since=NOW, **told)  # type: ignore[arg-type]

    text = page(await report_of(path))

    (row,) = re.findall(r'<tr><th scope="row">1178650000464-01</th>.*?</tr>', text)
    cells = [re.sub("<.*?>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", row)]
    assert cells == [
        *("NFe-7", "Output", "1,234.56", "12", "1", "2026-02-01 12:00:00", "504 OMS9", "too late"),
    ]
