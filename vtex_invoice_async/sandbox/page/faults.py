"""The plan of what goes wrong, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vtex_invoice_async.sandbox.faults import Do, Fault, Standing
from vtex_invoice_async.sandbox.page.markup import Html, element, shortened
from vtex_invoice_async.sandbox.page.requests import first_of, then_of
from vtex_invoice_async.sandbox.page.sight import Sight
from vtex_invoice_async.sandbox.page.words import counted, table_of

__all__ = ["faults_section"]

MOST: Final = 50
_BODY: Final = 80
_UNASKED: Final = frozenset({Do.LATE, Do.CUT, Do.CUT_REQUEST, Do.LAG, Do.STALE, Do.PARTIAL})
"""Those whose words say already whether VTEX acts, or that it acts as ever."""


def faults_section(sight: Sight) -> Html:
    """Return the table of the plan."""
    standings = sight.plan.standings
    heads = {"What happens": "c42", "When": "c40", "Happened": "n c18"}
    caption = "The plan: a request meets the first of them that is due."
    shown = standings[:MOST]
    left = len(standings) - len(shown)
    return element(
        "section",
        element("h2", "Faults"),
        table_of(caption, heads, [element("tbody", map(_row, shown))])
        if shown
        else element("p", "Nothing is planned to go wrong.", class_="none"),
        element("p", f"{counted(left, 'more fault')} not listed.", class_="none") if left else None,
        id="faults",
    )


def _row(standing: Standing) -> Html:
    fault = standing.fault
    details = [shortened(text, _BODY) for text in _details(fault)]
    return element(
        "tr",
        element(
            "th",
            _what(fault),
            [element("span", text, class_="sub") for text in details],
            scope="row",
        ),
        element(
            "td",
            "any request" if fault.on == "*" else element("code", fault.on),
            element("span", _when(fault), class_="sub"),
        ),
        element(
            "td",
            element("strong", standing.happened),
            element("span", f"of {standing.seen:,}", class_="sub"),
            class_="n",
        ),
    )


def _what(fault: Fault) -> str:
    if fault.do in {Do.LIMIT, Do.REVOKE, Do.RESTORE}:
        return first_of(fault)
    if fault.do is Do.DELAY and not fault.acted:
        return f"acted and answered {fault.seconds:g} s late"
    if fault.do is Do.LATE:
        return f"never answered, acts {fault.seconds:g} s later"
    if fault.do in _UNASKED:
        return then_of(fault)
    return f"{'acted' if fault.acted else 'not acted'}, then {then_of(fault)}"


def _details(fault: Fault) -> Iterator[str]:
    if fault.do is Do.LIMIT and fault.burst is not None:
        yield f"{fault.burst:g} at once"
    if fault.do in {Do.ANSWER, Do.RAW} and fault.body:
        yield f"body: {fault.body[:_BODY]}"
    if fault.do in {Do.ANSWER, Do.STALE, Do.PARTIAL} and fault.headers:
        # Their names alone: a value may be anything.
        yield f"headers: {', '.join(fault.headers)}"


def _when(fault: Fault) -> str:
    turns = ", ".join(f"{turn:,}" for turn in fault.nth[:8]) + (" …" if len(fault.nth) > 8 else "")
    told = [
        f"number {turns}" if fault.nth else "",
        f"{fault.rate * 100:.4g}% of them" if fault.rate else "",
        f"of order {shortened(fault.order_id, 60)}" if fault.order_id is not None else "",
    ]
    return ", ".join(part for part in told if part)
