"""What VTEX's pages dispute, as switches of the sandbox: each choice, at the book."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, Final, get_args

import pytest

from tests.books import AT, ID, INPUT, OUTPUT, make_book, notify, shown
from vtex_invoice_async import Receipt
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.sandbox import Refusal, Rules, Sandbox
from vtex_invoice_async.sandbox.rules import Duplicates


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
