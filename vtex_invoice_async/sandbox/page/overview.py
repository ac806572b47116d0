"""What one wants to know first: the count, whether it is as it should be, and the account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vtex_invoice_async.sandbox.limit import Limit
from vtex_invoice_async.sandbox.page.markup import Html, element
from vtex_invoice_async.sandbox.page.sight import Sight
from vtex_invoice_async.sandbox.page.words import counted, order_link, table_of
from vtex_invoice_async.sandbox.rules import Rules

__all__ = ["overview", "remarks_section", "taken_again"]

MOST: Final = 50


def overview(sight: Sight) -> Html:
    """Return the figures, each of which leads to what it is of."""
    oracle, log = sight.book.oracle, sight.log
    happened = sum(standing.happened for standing in sight.plan.standings)
    remarks = sum(sight.book.remarked.values())
    again = oracle.taken_again
    tiles = [
        _tile("Invoices taken", f"{oracle.taken:,}", "each counted once", "#orders"),
        _tile(
            "Taken more than once",
            f"{again:,}",
            "see below" if again else "as it should be",
            "#again" if again else "#orders",
            style="loud" if again else "calm" if oracle.taken else None,
        ),
        _tile("Orders", f"{len(sight.book):,}", f"{sight.book.changed:,} changed", "#orders"),
        _tile("Requests", f"{log.total:,}", f"{log.odd_total:,} odd", "#requests"),
        _tile("Faults", f"{happened:,}", "happened", "#faults"),
        _tile("Remarks", f"{remarks:,}", "on odd invoices", "#remarks"),
    ]
    return element(
        "section",
        element("h2", "At a glance", class_="unseen"),
        element("dl", tiles, class_="tiles"),
        element("p", list(_account(sight)), class_="account"),
        id="glance",
    )


def _tile(name: str, figure: str, told: str, leads_to: str, *, style: str | None = None) -> Html:
    return element(
        "div",
        element("dt", element("a", name, href=leads_to)),
        element("dd", element("strong", figure), element("span", told, class_="sub")),
        class_=style,
    )


def _account(sight: Sight) -> Iterator[Html | str]:
    if sight.revoked:
        yield element("span", "Credentials revoked", class_="pill bad")
    else:
        yield element("span", "Credentials accepted", class_="pill good")
    yield element("span", _limited(sight.limit), class_="pill plain")
    for role in sight.roles_missing:
        yield element("span", f"Without the role {role}", class_="pill warn")
    for rule in _rules(sight.rules):
        yield element("span", rule, class_="pill plain")


def _limited(limit: Limit | None) -> str:
    if limit is None:
        return "No rate limit"
    return f"{limit.per_second:g} requests a second, {limit.burst:g} at once"


def _rules(rules: Rules) -> Iterator[str]:
    """Yield the settings that are not those of a sandbox of which nothing is said."""
    usual = Rules()
    for name in ("duplicates", "early", "above_value", "settle_delay", "read_lag"):
        value = getattr(rules, name)
        if value != getattr(usual, name):
            yield f"{name} {value if isinstance(value, str) else f'{value:g} s'}"


def taken_again(sight: Sight) -> Html | None:
    """Return what must not be: the invoices that were taken more than once; None if there are none."""
    oracle = sight.book.oracle
    total = oracle.taken_again
    if not total:
        return None
    rows = [
        element(
            "tr",
            element("th", element("code", number), scope="row"),
            element("td", order_link(order_id)),
            element("td", element("strong", f"{times:,} times"), class_="n"),
        )
        for order_id, number, times in oracle.latest_again(MOST)
    ]
    left = total - len(rows)
    heads = {"Invoice": None, "Order": None, "Taken": "n"}
    return element(
        "section",
        element("h2", f"{counted(total, 'invoice was', 'invoices were')} taken more than once"),
        element(
            "p",
            "The client sent what VTEX had taken, and VTEX took it again, "
            "whatever it answered to either.",
        ),
        table_of("The latest first.", heads, [element("tbody", rows)]),
        element("p", f"{left:,} more not listed.", class_="note") if left else None,
        id="again",
        class_="loud",
    )


def remarks_section(sight: Sight) -> Html:
    """Return what was taken, and a good client would not send."""
    remarked = sight.book.remarked
    if not remarked:
        none = "Nothing odd about any invoice that was taken."
        told = [element("p", none, class_="none")]
    else:
        rules = [
            element("li", element("code", rule), f" {times:,}")
            for rule, times in remarked.most_common()
        ]
        told = [
            element("p", "VTEX took these without a word; they are odd all the same."),
            element("ul", rules, class_="rules"),
            element(
                "details", element("summary", "Which invoices"), _remarks(sight), id="remarked"
            ),
        ]
    return element("section", element("h2", "Remarks"), told, id="remarks")


def _remarks(sight: Sight) -> Html:
    rows = [
        element(
            "tr",
            element("th", element("code", remark.rule), scope="row"),
            element(
                "td",
                order_link(remark.order_id),
                " ",
                element("code", remark.invoice_number),
                element("span", remark.message, class_="sub"),
            ),
        )
        for remark in sight.book.latest_remarks(MOST)
    ]
    caption = f"The latest first, {MOST} at most."
    heads = {"Rule": "c34", "Order and invoice": None}
    return table_of(caption, heads, [element("tbody", rows)])
