"""A report as one page that needs nothing else: no script, no font, no file beside it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import resources
from typing import Final

from attrs import frozen
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from vtex_invoice_async.jobs.report import words
from vtex_invoice_async.jobs.report.charts import Chart, charts
from vtex_invoice_async.jobs.report.facts import Report
from vtex_invoice_async.outcome import State

__all__ = ["page"]

BAR: Final = 1_000
"""Of which units the bar of outcomes is as wide."""

LEAST: Final = 4
"""As wide is what would not be seen otherwise."""


@frozen
class _Part:
    """A part of the bar."""

    state: State
    at: float
    width: float


def page(report: Report) -> str:
    """Return *report* as HTML."""
    style = _read("page.css")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "money": words.money,
        "title": words.title,
        "when": words.when,
        "share": words.share,
        "data": _data,
        "prose": _prose,
    }
    template = environment.from_string(_read("page.html"))
    return template.render(
        report=report,
        style=Markup(style),  # noqa: S704  ours, and hashed as it is
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'",
        charts=_charts(report),
        bar=_bar(report.counts),
        words=words,
    )


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _charts(report: Report) -> Sequence[Chart]:
    return charts(report.series)


def _data(drawing: str) -> str:
    """Return an SVG as an address that holds all of it."""
    return f"data:image/svg+xml;base64,{b64encode(drawing.encode()).decode()}"


def _shown(value: object) -> object:
    """Return what is written, its text without what does not print: it may turn others' words around."""
    if not isinstance(value, str):
        return value
    plain = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in value)
    return Markup(plain) if isinstance(value, Markup) else plain  # noqa: S704  it was escaped


def _prose(text: str) -> Markup:
    """Return a text of ours, with what stands between backticks as code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped


def _bar(counts: Mapping[State, int]) -> Sequence[_Part]:
    total = sum(counts.values())
    shown = [state for state in words.SHOWN if counts.get(state)]
    widths = [max(LEAST, BAR * counts[state] / total) for state in shown]
    scale = BAR / sum(widths, 0.0) if widths else 0.0
    parts: list[_Part] = []
    at = 0.0
    for state, width in zip(shown, widths, strict=True):
        parts.append(_Part(state, round(at, 2), round(width * scale, 2)))
        at += width * scale
    return parts
