"""What is wrong with an invoice before it is sent, by VTEX's own rules and known issues.

Each rule has a code that stays, and names where VTEX says so. What a rule refuses would be lost,
or break the order; what it warns of is taken by VTEX and is likely not what was meant. Known issues
are VTEX's: https://help.vtex.com/en/known-issues
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final, Literal

from attrs import frozen

from vtex_invoice_async.errors import Problem
from vtex_invoice_async.models import Invoice
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["RULES", "Rule", "check", "refusals", "warnings"]

Severity = Literal["refuse", "warn"]
Found = Iterator[tuple[str, str, str]]
"""Of each finding: the rule's code, the field in VTEX's names, and what is wrong and what to do."""


@frozen(kw_only=True)
class Rule:
    """A trap of VTEX's."""

    code: str
    """Stays what it is, for programs."""

    severity: Severity
    says: str
    """What it finds, in one line."""

    source: str
    """Where VTEX says so: a page, or a known issue."""

    def problem(self, field: str, message: str) -> Problem:
        """Return what it found in a *field*."""
        return Problem(
            code=self.code,
            field=field,
            message=message,
            severity=self.severity,
            source=self.source,
        )


def refusals(invoice: Invoice) -> Iterator[Problem]:
    """Yield what would be lost, or break the order, if VTEX were sent it."""
    for code, field, message in _of_number(invoice):
        yield RULES[code].problem(field, message)


def warnings(
    order_id: str, invoice: Invoice, orders_api: OrdersApi, now: datetime | None
) -> Iterator[Problem]:
    """Yield what VTEX would take, and is likely not what was meant.

    Without *now*, no date is taken to lie in the future.
    """
    yield from ()


def check(
    order_id: str, invoice: Invoice, orders_api: OrdersApi, now: datetime | None = None
) -> tuple[Problem, ...]:
    """Return all that is wrong with an invoice, or worth a look."""
    return (
        *refusals(invoice),
        *warnings(order_id, invoice, orders_api, now),
    )


def _of_number(invoice: Invoice) -> Found:
    number = invoice.invoice_number
    for mark, code in ((" ", "number-space"), ("/", "number-slash"), ("#", "number-hash")):
        if mark in number:
            yield code, "invoiceNumber", f"holds {mark!r}: leave it out, here and in your own books"


def _by_code(rules: Iterable[Rule]) -> Mapping[str, Rule]:
    return {rule.code: rule for rule in rules}


RULES: Final = _by_code(
    (
        Rule(
            code="number-space",
            severity="refuse",
            says="a space in an invoice's number",
            source="known issues 409225, 631970",
        ),
        Rule(
            code="number-slash",
            severity="refuse",
            says="a slash in an invoice's number",
            source="known issues 1302085, 953285",
        ),
        Rule(
            code="number-hash",
            severity="refuse",
            says="a hash in an invoice's number",
            source="known issue 953285",
        ),
        Rule(
            code="no-offset",
            severity="warn",
            says="a time without an offset",
            source="https://developers.vtex.com/docs/guides/formatting-order-invoicing-time",
        ),
        Rule(
            code="number-twice",
            severity="warn",
            says="one invoice number on two orders of a file",
            source="https://help.vtex.com/en/docs/tracks/invoicing-an-order",
        ),
        Rule(
            code="number-of-sale",
            severity="refuse",
            says="a return with the number of a sale of its order",
            source="https://help.vtex.com/en/docs/tutorials/how-to-return-order-items",
        ),
    )
)
"""By code: every rule, those that need a whole file and those that need the order included."""
