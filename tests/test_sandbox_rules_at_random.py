"""Whatever happens to an order, and whenever it is read: reads change nothing, and money adds up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from tests.books import AT, ID, INPUT, OUTPUT, make_book, notify, shown
from tests.factories import make_tracking
from vtex_invoice_async import Order, Receipt
from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.sandbox import Refusal, Rules
from vtex_invoice_async.sandbox.book import OrderBook

Act = Callable[[OrderBook, datetime], Receipt | Refusal | None]

SECONDS: Final = st.integers(0, 200)
VALUES: Final = st.one_of(st.integers(1, 6_000), st.just(10_000))


def invoices() -> st.SearchStrategy[Act]:
    return st.builds(
        lambda value, number, kind, document: (
            lambda book, now: notify(book, value, number, kind, now=now, document=document)
        ),
        VALUES,
        st.sampled_from("ABC"),
        st.sampled_from((OUTPUT, OUTPUT, INPUT)),
        st.booleans(),
    )


def others() -> st.SearchStrategy[Act]:
    return st.one_of(
        st.builds(lambda v: lambda book, now: book.change_value(ID, v, now), VALUES),
        st.just(lambda book, now: book.cancel(ID, now, document=False)),
        st.just(lambda book, now: book.start_handling(ID, now, document=False)),
        st.builds(
            lambda number: lambda book, now: book.send_tracking(ID, number, make_tracking(), now),
            st.sampled_from("ABC"),
        ),
    )


ACTS: Final = st.lists(st.tuples(SECONDS, st.one_of(invoices(), others())), max_size=12)
RULES: Final = st.builds(
    Rules,
    duplicates=st.sampled_from(("documented", "refresh", "reject", "conflict")),
    settle_delay=st.sampled_from((0, 10, 60)),
    read_lag=st.sampled_from((0, 0, 15)),
)
STATUSES: Final = st.sampled_from(
    ("handling", "ready-for-handling", "cancellation-requested", "payment-pending")
)


def play(
    rules: Rules, status: str, acts: list[tuple[int, Act]], *, read: bool = False
) -> tuple[OrderBook, list[Receipt | Refusal | None], datetime]:
    """Do the acts, each so many seconds after the one before; *read* all the time between."""
    book, now = make_book(rules, status=status), AT
    answers: list[Receipt | Refusal | None] = []
    for seconds, act in acts:
        if read:
            for second in range(0, seconds + 300, 7):
                shown(book, now + timedelta(seconds=second))
        now += timedelta(seconds=seconds)
        answers.append(act(book, now))
    return book, answers, now


def sums(order: Order) -> tuple[int, int]:
    """What was sold, and what was returned."""
    packages = order.packages or ()
    sold, returned = (
        sum(p.invoice_value or 0 for p in packages if p.type is kind) for kind in (OUTPUT, INPUT)
    )
    return sold, returned


@given(RULES, STATUSES, ACTS, st.lists(SECONDS, max_size=5))
def test_reads_change_nothing(
    rules: Rules, status: str, acts: list[tuple[int, Act]], moments: list[int]
) -> None:
    unread, answers, end = play(rules, status, acts)
    read, answers_read, _ = play(rules, status, acts, read=True)

    assert answers == answers_read
    for seconds in moments:
        now = end + timedelta(seconds=seconds - 100)
        assert shown(unread, now) == shown(read, now) == shown(unread, now)
    assert unread.applied == read.applied
    assert unread.remarks == read.remarks


@given(RULES, STATUSES, ACTS)
def test_what_happens_later_does_not_change_what_was_to_be_read(
    rules: Rules, status: str, acts: list[tuple[int, Act]]
) -> None:
    earlier, _, end = play(rules, status, acts[:-1])
    whole, _, _ = play(rules, status, [*acts[:-1], *((s + 1, act) for s, act in acts[-1:])])

    assert shown(whole, end) == shown(earlier, end)


@given(RULES, STATUSES, ACTS, SECONDS)
def test_no_more_is_sold_than_the_value_nor_returned_than_sold(
    rules: Rules, status: str, acts: list[tuple[int, Act]], seconds: int
) -> None:
    book, answers, now = play(rules, status, acts)
    at_last = now + timedelta(days=1)

    for moment in (now, now + timedelta(seconds=seconds), at_last):
        order = shown(book, moment)
        sold, returned = sums(order)
        assert returned <= sold <= order.value

    order = shown(book, at_last)
    numbers = [package.invoice_number for package in order.packages or ()]
    assert len(numbers) == len(set(numbers))
    assert {(ID, number) for number in numbers} == set(book.applied)
    receipts = sum(isinstance(answer, Receipt) for answer in answers)
    assert book.applied.total() + book.tracked.total() <= receipts
    if order.status != "canceled":
        sold, _ = sums(order)
        assert (order.status is OrderStatus.INVOICED) is (0 < sold == order.value)


@given(STATUSES, ACTS)
def test_applying_again_files_as_many_as_it_counts(
    status: str, acts: list[tuple[int, Act]]
) -> None:
    book, _, now = play(Rules(duplicates="apply_again"), status, acts)

    numbers = [(ID, package.invoice_number) for package in shown(book, now).packages or ()]

    assert len(numbers) == book.applied.total()
    assert {key: numbers.count(key) for key in numbers} == dict(book.applied)
