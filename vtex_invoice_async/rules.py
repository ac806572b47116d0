"""The known traps of VTEX's, by code: what each finds, how bad that is, and where VTEX says so.

`preflight`, `checks`, `encodings` and the plan of a file find them; whoever finds one tells it by
its code, so that a trap has the same code wherever an invoice comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from attrs import frozen

from vtex_invoice_async.errors import Problem
from vtex_invoice_async.printed import Printed

__all__ = ["OF_A_NOTE", "OF_THE_ORDER", "RULES", "Rule", "Severity"]

Severity = Literal["refuse", "warn"]


@frozen(kw_only=True, repr=False)
class Rule(Printed):
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


def _refuse(code: str, says: str, source: str) -> Rule:
    return Rule(code=code, severity="refuse", says=says, source=source)


def _warn(code: str, says: str, source: str) -> Rule:
    return Rule(code=code, severity="warn", says=says, source=source)


_API: Final = "https://developers.vtex.com/docs/api-reference"
_NOTIFY: Final = f"{_API}/orders-api#post-/api/oms/pvt/orders/-orderId-/invoice"
_NOTIFY_PII: Final = (
    f"{_API}/orders-api-pii-version#post-/api/orders/pvt/document/-orderId-/invoices"
)
_TIME: Final = "https://developers.vtex.com/docs/guides/formatting-order-invoicing-time"
_HELP: Final = "https://help.vtex.com/en/docs"
_INVOICING: Final = f"{_HELP}/tracks/invoicing-an-order"
_RETURNING: Final = f"{_HELP}/tutorials/how-to-return-order-items"
_STATUSES: Final = f"{_HELP}/tutorials/order-flow-and-status"
_READING: Final = f"{_API}/orders-api#get-/api/oms/pvt/orders/-orderId-"
_NUMBERING: Final = f"{_HELP}/tutorials/precautions-when-setting-the-order-numbering"
_MANUAL: Final = "NF-e, Manual de Orientação do Contribuinte"
_SELLER: Final = "https://developers.vtex.com/docs/guides/external-seller-integration-connector"
# What VTEX tells those who have an invoicer written by a machine.
_SKILL: Final = "https://github.com/vtexdocs/ai-skills/blob/main/tracks/marketplace/skills/marketplace-fulfillment/skill.md"

# What is refused would be lost, or break the order.
_OF_WHAT_IS_REFUSED: Final = (
    _refuse("number-space", "a space in an invoice's number", "known issues 409225, 631970"),
    _refuse("number-slash", "a slash in an invoice's number", "known issues 1302085, 953285"),
    _refuse("number-hash", "a hash in an invoice's number", "known issue 953285"),
    _refuse(
        "control-character",
        "a character that does not print, as a tab, NBSP or a mark of direction, in a number or an id",
        "known issues 409225, 953285",
    ),
    _refuse(
        "number-word", "a program's word for nothing, as `None` or `nan`, as a number", _NOTIFY
    ),
    _refuse(
        "number-exponent", "a number as a spreadsheet shortens it: `1.17E+12`, `1,17E+12`", _NOTIFY
    ),
    _refuse("not-positive", "a value that is not above 0, or an amount below 0", _NOTIFY),
    _refuse("decimals", "an amount with decimals: VTEX's are whole cents", _SKILL),
    _refuse("quantity", "a quantity below 1", _NOTIFY),
    _refuse(
        "order-id",
        "what is no order's id: characters that no path carries, a sequence, a word for nothing, `1.17E+12`",
        _NUMBERING,
    ),
    _refuse("return-line-twice", "one line twice on a return: no refund", "known issue 1198829"),
)

# What is warned of is taken by VTEX, and is likely not what was meant.
_OF_AN_INVOICE: Final = (
    _warn(
        "number-characters",
        "anything but ASCII letters, digits and hyphens in an invoice's number",
        "known issues 953285, 1302085",
    ),
    _warn("number-length", "an invoice's number of more than 40 characters", _NOTIFY),
    _warn(
        "number-nfc", "an accent written apart from its letter in a number", "known issue 953285"
    ),
    _warn(
        "line-twice",
        "one line twice on a sale: its return will not be refunded",
        "known issue 1198829",
    ),
    _warn("no-items", "an invoice without items", "known issue 1163668"),
    _warn("lines-above-value", "lines that come to more than the value", _INVOICING),
    _warn("value-above-lines", "a value of more than ten times its lines", _SKILL),
    _warn(
        "lines-and-extra", "lines and `extraValue` that come to less than the value", _NOTIFY_PII
    ),
    _warn(
        "price-reading",
        "lines that fit the value if `price` is read as the other API reads it",
        _NOTIFY,
    ),
    _warn("small-value", "a value under 100 cents", _SKILL),
    _warn("date-range", "a date before 2000, or more than a day ahead", _TIME),
    _warn("date-without-time", "a date at midnight to the second (OMS)", _TIME),
    _warn("url", "a URL that is not http or https, or has no host", _NOTIFY),
    _warn("key-digits", "a key that is not the 44 digits of an NF-e", _NOTIFY),
    _warn("key-check-digit", "a key with a wrong check digit", _NOTIFY),
    _warn("key-of-another", "a key of another number than the invoice's", _NOTIFY),
    _warn("reservation-id", "a seller's reservation, by its shape, as the order's id", _SELLER),
)

# What shows only where it is written, or beside the other invoices of a file.
_OF_A_FILE: Final = (
    _warn("no-offset", "a time without an offset", _TIME),
    _warn("number-twice", "one invoice number on two orders of a file", _INVOICING),
    _refuse(
        "number-of-sale",
        "a return with the number of a sale of its order",
        _RETURNING,
    ),
)

# What only a note of SEFAZ's shows.
OF_A_NOTE: Final = (
    _refuse(
        "note-not-authorized",
        "an NF-e without SEFAZ's authorisation (cStat 100 or 150) for just this note",
        f"{_MANUAL}: protNFe",
    ),
    _refuse(
        "note-canceled",
        "an NF-e with an event of cancellation (110111, 110112) among the same files",
        f"{_MANUAL}: procEventoNFe",
    ),
    _warn("note-of-test", "an NF-e of SEFAZ's test environment (tpAmb 2)", f"{_MANUAL}: tpAmb"),
    _warn(
        "note-purpose",
        "an NF-e that is a complement, an adjustment or a return to a supplier (finNFe)",
        f"{_MANUAL}: finNFe",
    ),
)

# What shows only beside the order.
OF_THE_ORDER: Final = (
    _refuse("order-not-found", "an order that VTEX does not find", _READING),
    _refuse("order-unreadable", "an order that cannot be read as one", _READING),
    _refuse("order-canceled", "an order that is canceled, or replaced by another", _STATUSES),
    _refuse("order-early", "a sale on an order that nobody handles yet", _STATUSES),
    _warn("order-status", "an order in a status that is not known here", _STATUSES),
    _warn(
        "order-to-be-canceled",
        "a sale that denies the order's cancellation",
        f"{_HELP}/tutorials/canceling-orders",
    ),
    _warn("order-in-error", "an order whose workflow is in error", "known issue 1400005"),
    _refuse("order-incomplete", "a marketplace order that is not whole", "known issue 345526"),
    _refuse("order-changing", "an order with a change under way", "known issue 1348894"),
    _refuse("number-again", "an invoice that its order shows already", _INVOICING),
    _refuse("number-taken", "a number that its order shows with other contents", _INVOICING),
    _refuse("item-unknown", "an item that its order does not have", "known issue 547053"),
    _refuse("item-contrary", "an item whose id and itemIndex differ", "known issue 1008459"),
    _refuse("sale-above-order", "a sale of more than its order leaves", "known issue 930491"),
    _refuse("quantity-above-order", "more pieces than its order leaves", "known issue 547053"),
    _warn("quantity-unknown", "pieces that cannot be counted", "known issue 1163668"),
    _warn("items-left", "a last sale that leaves pieces over", "known issue 646253"),
    _refuse("return-without-sale", "a return on an order without a sale", _RETURNING),
    _refuse(
        "return-above-sales",
        "a return of more than was sold and not returned",
        "known issues 376077, 1380918",
    ),
    _refuse("quantity-above-sales", "more pieces than were sold and not returned", _RETURNING),
    _warn("return-too-early", "a return on an order that is not all invoiced", _RETURNING),
)


def _by_code(*rules: Iterable[Rule]) -> Mapping[str, Rule]:
    return {rule.code: rule for group in rules for rule in group}


RULES: Final = _by_code(_OF_WHAT_IS_REFUSED, _OF_AN_INVOICE, _OF_A_FILE, OF_A_NOTE, OF_THE_ORDER)
"""By code: every rule, those that need a whole file and those that need the order included."""
