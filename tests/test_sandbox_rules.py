"""What VTEX's pages dispute, as switches of the sandbox: each choice, at the book."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, Final, get_args

import pytest

from tests.books import AT, ID, INPUT, OUTPUT, make_book, notify, shown
from tests.factories import make_invoice, make_tracking
from vtex_invoice_async import Receipt
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.sandbox import Refusal, Rules, Sandbox
from vtex_invoice_async.sandbox.rules import Duplicates, Early


def status_of(answer: Receipt | Refusal) -> int:
    return answer.status if isinstance(answer, Refusal) else 200


AGAIN: Final[dict[Duplicates, tuple[int, int]]] = {
    "documented": (200, 400),
    "refresh": (200, 200),
    "reject": (400, 400),
    "conflict": (409, 409),
    "apply_again": (200, 200),
}
"""What each choice answers on the OMS paths, and on those of documents (PII)."""


def test_each_choice_for_duplicates_is_tried_here() -> None:
    assert set(AGAIN) == set(get_args(Duplicates))


@pytest.mark.parametrize("document", [False, True])
@pytest.mark.parametrize("choice", AGAIN)
def test_a_number_sent_again_is_answered_as_chosen(choice: Duplicates, *, document: bool) -> None:
    book = make_book(Rules(duplicates=choice))
    notify(book, 4_000, document=document)

    again = notify(book, 4_000, document=document)

    expected = AGAIN[choice][document]
    assert status_of(again) == expected
    assert book.applied == {(ID, "NFe1"): 2 if expected == 200 else 1}
    assert len(shown(book).packages or ()) == (2 if choice == "apply_again" else 1)


@pytest.mark.parametrize("document", [False, True])
@pytest.mark.parametrize("choice", AGAIN)
def test_a_return_never_has_the_number_of_a_sale(choice: Duplicates, *, document: bool) -> None:
    book = make_book(Rules(duplicates=choice))
    notify(book, 4_000)

    refused = notify(book, 1_000, "NFe1", INPUT, document=document)

    assert status_of(refused) == (409 if choice == "conflict" else 400)
    assert book.applied == {(ID, "NFe1"): 1}


def test_an_invoice_that_is_applied_again_is_one_more_even_above_the_value() -> None:
    book = make_book(Rules(duplicates="apply_again"))
    notify(book, 10_000)

    again = notify(book, 10_000)

    assert isinstance(again, Receipt)
    packages = shown(book).packages or ()
    assert [(p.invoice_number, p.invoice_value, p.type) for p in packages] == [
        ("NFe1", 10_000, OUTPUT)
    ] * 2


def test_an_order_that_is_invoiced_stays_so_when_its_sale_is_applied_again() -> None:
    book = make_book(Rules(duplicates="apply_again", settle_delay=10))
    notify(book, 10_000)
    later = AT + timedelta(seconds=20)

    notify(book, 10_000, now=later)

    seen = [book.shown(ID, later + timedelta(seconds=s)) for s in (0, 10)]
    assert [s.order.status for s in seen if s] == [OrderStatus.INVOICED] * 2
    assert [[filed.refund for filed in s.filed] for s in seen if s] == [[None, None]] * 2


def test_a_parcel_belongs_to_the_first_of_two_invoices_of_one_number() -> None:
    book = make_book(Rules(duplicates="apply_again"))
    for _ in range(2):
        notify(book, 4_000)

    book.send_tracking(ID, "NFe1", make_tracking(), AT)

    assert [p.tracking_number for p in shown(book).packages or ()] == ["87658", None]


def test_an_invoice_can_be_verified_for_ever() -> None:
    book = make_book(Rules(settle_delay=math.inf))

    notify(book, 10_000)

    assert shown(book, AT + timedelta(days=36_500)).status is OrderStatus.INVOICE


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"duplicates": "twice"}, "documented, refresh, reject, conflict, apply_again"),
        ({"duplicates": None}, "duplicates must be one of"),
        ({"early": "maybe"}, "take, refuse"),
        ({"above_value": True}, "refuse, take"),
        ({"settle_delay": -1}, "settle_delay must be seconds"),
        ({"read_lag": math.nan}, "read_lag must be seconds"),
        ({"read_lag": "5"}, "read_lag must be seconds"),
    ],
)
def test_a_rule_that_is_no_choice_is_refused_with_the_choices(
    wrong: dict[str, Any], told: str
) -> None:
    for make in (Rules, lambda **given: Sandbox(1, **given)):
        with pytest.raises(ConfigError) as caught:
            make(**wrong)

        assert told in str(caught.value)


EARLY: Final = (
    "order-creation-error",
    "order-create-error",
    "replaced",
    "payment-pending",
    "waiting-for-manual-authorization",
    "payment-approved",
    "window-to-cancel",
    "ready-for-handling",
)
AT_WORK: Final = ("handling", "ready-for-invoicing", "waiting-for-fulfillment", "something-new")


@pytest.mark.parametrize("status", EARLY + AT_WORK)
def test_a_sale_on_an_order_that_nobody_handles_yet_is_taken(status: str) -> None:
    book = make_book(status=status)

    taken = notify(book, 10_000)

    assert isinstance(taken, Receipt)
    assert shown(book).status is OrderStatus.INVOICED


@pytest.mark.parametrize("status", EARLY)
@pytest.mark.parametrize("document", [False, True])
def test_a_sale_on_an_order_that_nobody_handles_yet_may_be_a_conflict(
    status: str, *, document: bool
) -> None:
    book = make_book(Rules(early="refuse"), status=status)

    refused = notify(book, 10_000, document=document)

    assert status_of(refused) == 409
    assert not book.applied
    assert shown(book).status == status


@pytest.mark.parametrize("status", AT_WORK)
def test_an_order_that_is_handled_is_not_early(status: str) -> None:
    book = make_book(Rules(early="refuse"), status=status)

    assert isinstance(notify(book, 10_000), Receipt)


def test_an_order_that_waits_for_its_second_part_is_not_early() -> None:
    book = make_book(Rules(early="refuse"))
    notify(book, 4_000)

    second = notify(book, 6_000, "NFe2")

    assert isinstance(second, Receipt)
    assert shown(book).status is OrderStatus.INVOICED


@pytest.mark.parametrize("early", get_args(Early))
@pytest.mark.parametrize("status", ["canceled", "cancel"])
def test_a_canceled_order_takes_no_invoice_under_any_rule(early: Early, status: str) -> None:
    rules = Rules(early=early, above_value="take", duplicates="apply_again")
    book = make_book(rules, status=status)

    refused = notify(book, 1)

    assert status_of(refused) == 400
    assert not book.applied


def test_a_sale_above_the_value_may_be_taken_and_its_order_waits_for_ever() -> None:
    book = make_book(Rules(above_value="take"))

    taken = notify(book, 10_001)

    assert isinstance(taken, Receipt)
    assert book.applied == {(ID, "NFe1"): 1}
    assert shown(book).status is OrderStatus.PAYMENT_APPROVED


def test_a_return_above_what_was_sold_is_refused_even_where_sales_are_not_checked() -> None:
    book = make_book(Rules(above_value="take"))
    notify(book, 10_001)

    assert status_of(notify(book, 10_002, "DEV1", INPUT)) == 400
    assert status_of(notify(book, 10_001, "DEV1", INPUT)) == 200


def test_an_order_shows_an_invoice_and_what_it_did_only_after_the_lag() -> None:
    book = make_book(Rules(read_lag=30))
    notify(book, 10_000)

    seen = [shown(book, AT + timedelta(seconds=s)) for s in (0, 29, 30)]

    assert [len(order.packages or ()) for order in seen] == [0, 0, 1]
    assert [order.status for order in seen] == ["handling", "handling", "invoiced"]


def test_what_is_not_shown_yet_counts_all_the_same() -> None:
    book = make_book(Rules(read_lag=30))
    notify(book, 10_000)

    assert status_of(notify(book, 1, "NFe2")) == 400
    assert status_of(notify(book, 10_000, document=True)) == 400
    assert isinstance(book.send_tracking(ID, "NFe1", make_tracking(), AT), Receipt)
    assert shown(book).packages == ()
    (package,) = shown(book, AT + timedelta(seconds=30)).packages or ()
    assert package.tracking_number == "87658"


def test_the_lag_of_one_invoice_comes_on_top_and_hides_no_other() -> None:
    book = make_book(Rules(read_lag=30))
    first = make_invoice(invoice_number="NFe1", invoice_value=1_000)
    book.invoice(ID, first, AT, document=False, lag=60)
    notify(book, 2_000, "NFe2")

    seen = [shown(book, AT + timedelta(seconds=s)).packages or () for s in (30, 89, 90)]

    assert [[p.invoice_number for p in packages] for packages in seen] == [
        ["NFe2"],
        ["NFe2"],
        ["NFe1", "NFe2"],
    ]


def test_an_invoice_that_is_not_shown_does_not_keep_the_others_from_being_verified() -> None:
    book = make_book(Rules(settle_delay=60))
    notify(book, 4_000)
    second = make_invoice(invoice_number="NFe2", invoice_value=6_000)
    book.invoice(ID, second, AT + timedelta(seconds=30), document=False, lag=600)

    seen = [shown(book, AT + timedelta(seconds=s)).status for s in (59, 60, 629, 630)]

    assert seen == ["invoice", "payment-approved", "payment-approved", "invoiced"]


def test_an_invoice_may_never_be_shown() -> None:
    book = make_book(Rules(read_lag=math.inf))
    notify(book, 10_000)

    assert shown(book, AT + timedelta(days=36_500)).packages == ()
    assert book.applied == {(ID, "NFe1"): 1}
