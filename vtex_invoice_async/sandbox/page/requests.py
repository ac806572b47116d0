"""What arrived, what was done for it, and what the client heard of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from vtex_invoice_async.sandbox.faults import Do, Fault
from vtex_invoice_async.sandbox.log import Arrival
from vtex_invoice_async.sandbox.page.asked import Asked
from vtex_invoice_async.sandbox.page.markup import Html, element
from vtex_invoice_async.sandbox.page.sight import Sight
from vtex_invoice_async.sandbox.page.words import moment, order_link, table_of

__all__ = ["effect_of", "first_of", "requests_section", "then_of"]

MOST: Final = 100
_DONE: Final = {
    "notify_invoice": "invoice taken",
    "send_tracking": "tracking taken",
    "update_tracking_status": "news taken",
    "get_order": "order read",
    "start_handling": "handling started",
    "cancel_order": "cancel taken",
}


def requests_section(sight: Sight, asked: Asked) -> Html:
    """Return the table of the latest requests, or of those about one order."""
    log = sight.log
    alone = asked.order_id is not None
    found: Iterable[Arrival] = log.latest(odd=asked.odd)
    if asked.order_id is not None:
        order = sight.book.known(asked.order_id, sight.now)
        about = log.about(order.order.order_id if order else asked.order_id)
        found = (arrival for arrival in about if arrival.odd or not asked.odd)
    rows = [_row(arrival) for arrival in islice(found, MOST)]
    heads = {"Time, UTC": "c18", "Request": "c42", "Answer": "c40"}
    caption = f"The latest{' about it' if alone else ''}, {MOST} at most."
    table = table_of(caption, heads, [element("tbody", rows)])
    return element(
        "section",
        element("h2", "Requests"),
        _choice(asked, log.odd_total),
        table if rows else element("p", _none(asked), class_="none"),
        id="requests",
    )


def _none(asked: Asked) -> str:
    return "Nothing odd so far." if asked.odd else "Nothing has arrived so far."


def _choice(asked: Asked, odd: int) -> Html:
    # Of one order only the latest are known.
    count = f" ({odd:,})" if asked.order_id is None else ""
    choices = ((False, "All"), (True, f"Only faults and refusals{count}"))
    links = [
        element(
            "a",
            name,
            href=asked.address(odd=wanted),
            aria_current="true" if asked.odd is wanted else None,
        )
        for wanted, name in choices
    ]
    return element("nav", links, aria_label="Which requests")


def _row(arrival: Arrival) -> Html:
    number = arrival.invoice_number
    taken = None
    if arrival.ended_at is not None:
        took = (arrival.ended_at - arrival.at).total_seconds() * 1000
        taken = element("span", f"{took:,.{1 if took < 10 else 0}f} ms", class_="sub")
    return element(
        "tr",
        element("td", moment(arrival.at), taken),
        element(
            "td",
            element("strong", arrival.operation),
            element(
                "span",
                order_link(arrival.order_id) if arrival.order_id else None,
                [" ", element("code", number)] if number else None,
                class_="sub",
            ),
        ),
        element("td", _answer(arrival)),
        id=f"r{arrival.index}",
    )


def _answer(arrival: Arrival) -> list[Html | str | None]:
    fault = arrival.fault
    effect = element("span", effect_of(arrival), class_="small fault" if fault else "small")
    said = element("span", f"“{arrival.said}”", class_="sub") if arrival.said else None
    told, style = _pill(arrival)
    return [element("span", told, class_=f"pill {style}"), " ", effect, said]


def _pill(arrival: Arrival) -> tuple[str, str]:
    if arrival.status is not None:
        style = "good" if arrival.status < 300 else "warn" if arrival.status < 500 else "bad"
        return str(arrival.status), style
    return ("waiting", "plain") if arrival.ended_at is None else ("no answer", "bad")


def effect_of(arrival: Arrival) -> str:
    """Return what was done for a request, and what a fault made of it."""
    fault, done = arrival.fault, _DONE.get(arrival.operation, "done")
    if arrival.gone:
        return "the client hung up first"
    if fault is None:
        waiting = arrival.ended_at is None and not arrival.acted
        return done if arrival.acted else "" if waiting else "nothing done"
    if fault.do in _FIRST:
        return f"{first_of(fault)}, {done if arrival.acted else 'nothing done'}"
    if fault.do is Do.LATE:
        return f"never answered, {'acted' if arrival.acted else 'acts'} {fault.seconds:g} s later"
    return f"{'acted' if arrival.acted else 'not acted'}, then {then_of(fault)}"


def then_of(fault: Fault) -> str:
    """Return what becomes of the answer."""
    return _THEN[fault.do].format(fault=fault)


def first_of(fault: Fault) -> str:
    """Return what a fault changes before VTEX acts, and not the answer."""
    if fault.do is Do.LIMIT and not fault.per_second:
        return "limit lifted"
    return _FIRST[fault.do].format(fault=fault)


# What stands in braces are fields that hold numbers.
_THEN: Final[Mapping[Do, str]] = {
    Do.CLOSE: "closed",
    Do.RESET: "reset",
    Do.HANG: "never answered",
    Do.DELAY: "answered {fault.seconds:g} s late",
    Do.LATE: "never answered",
    Do.CUT_REQUEST: "reset after {fault.at:,} bytes of the request",
    Do.CUT: "closed after {fault.at:,} bytes of the answer",
    Do.ANSWER: "answered {fault.status} instead",
    Do.RAW: "sent bytes that are no answer",
    Do.STALE: "shown as it came in",
    Do.PARTIAL: "shown without its newest invoice",
    Do.LAG: "shown to readers {fault.seconds:g} s later",
}
_FIRST: Final[Mapping[Do, str]] = {
    Do.LIMIT: "limited to {fault.per_second:g} a second",
    Do.REVOKE: "credentials revoked",
    Do.RESTORE: "credentials accepted again",
}
