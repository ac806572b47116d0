"""The sandbox's page is of one size, however many orders there are and however long it runs."""

from __future__ import annotations

import random
from copy import copy
from datetime import UTC, datetime
from typing import Final

import pytest
from attrs import evolve

from tests.factories import invoice_for, make_tracking
from tests.pages import browsing
from tests.plain_caller import calling
from vtex_invoice_async import Order, TrackingEvent, TrackingStatus
from vtex_invoice_async.sandbox import Do, Fault, FaultPlan, Rules, Sandbox
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.log import KEPT, Log
from vtex_invoice_async.sandbox.page import Sight, page_of
from vtex_invoice_async.sandbox.page.orders import PER_PAGE
from vtex_invoice_async.sandbox.page.words import amount

ONE: Final = Sandbox(1).orders[0]
NOW: Final = datetime(2026, 2, 1, 12, tzinfo=UTC)
MOST: Final = 400_000
"""Bytes of a page in a run without hostile text."""


def copied(order_id: str) -> Order:
    """As `evolve` makes it, in a tenth of the time: what makes an order is watched."""
    order = copy(ONE)
    object.__setattr__(order, "order_id", order_id)
    return order


def book_of(*orders: Order, **rules: str) -> OrderBook:
    chosen = Rules(**rules)  # type: ignore[arg-type]
    return OrderBook(orders, chance=random.Random(0), rules=chosen)


def sight_of(book: OrderBook, plan: FaultPlan | None = None, log: Log | None = None) -> Sight:
    return Sight(
        now=NOW,
        account="sandbox-1",
        book=book,
        plan=plan or FaultPlan(),
        log=log or Log(),
        limit=None,
        revoked=False,
        roles_missing=(),
        rules=Rules(),
        secrets=(),
    )


def size_of(sight: Sight, *query: tuple[str, str]) -> int:
    return len(page_of(sight, query).body)


def test_100000_orders_fill_no_more_than_one_page() -> None:
    orders = [copied(f"{number:06}-01") for number in range(100_000)]
    book = book_of(*orders)
    one_page = size_of(sight_of(book_of(*orders[:PER_PAGE])))
    for order in orders[::1_000]:
        book.invoice(order.order_id, invoice_for(order), NOW, document=False)

    for query in ([], [("page", "1000")], [("page", "2000")], [("order", "099999-01")]):
        assert size_of(sight_of(book), *query) < MOST
    assert one_page < 60_000


async def test_every_order_is_on_one_page_and_no_more() -> None:
    orders = [evolve(ONE, order_id=f"{number:06}-01") for number in range(2 * PER_PAGE + 1)]
    async with Sandbox(orders) as sandbox, browsing(sandbox) as browser, calling(sandbox) as caller:
        await caller.route("cancel", orders[-1].order_id, {})
        found: list[str] = []
        query = ""
        pages = 0
        while True:
            page = await browser.look(query)
            pages += 1
            found += [element.text for element in page.all("th", scope="rowgroup")]
            older = [e.attributes["href"] for e in page.all("a") if e.text == "Older"]
            if not older:
                break
            query = older[0].removeprefix("/")
        beyond = await browser.look("?page=4")

    assert pages == 3
    assert found == [order.order_id for order in (orders[-1], *orders[:-1])]
    assert beyond.status == 404
    assert beyond.part("told") == "There is no page 4: the last one is 3."


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?page=0", "page must be a whole number, from 1."),
        ("?page=-1", "page must be a whole number, from 1."),
        ("?page=1e3", "page must be a whole number, from 1."),
        ("?page=%D9%A1", "page must be a whole number, from 1."),
        ("?page=9999999999", "page must be a whole number, from 1."),
        ("?page=1&page=2", "Give page once."),
        ("?order=", "order must be the id of an order, of 500 characters at most."),
        (f"?order={'x' * 501}", "order must be the id of an order, of 500 characters at most."),
        ("?requests=none", "requests must be all or odd."),
        ("?sort=value", "There is no parameter 'sort': use order, page, requests."),
    ],
)
async def test_what_makes_no_sense_in_an_address_is_told(
    sandbox: Sandbox, query: str, told: str
) -> None:
    async with browsing(sandbox) as browser:
        page = await browser.look(query)

    assert (page.status, page.part("told")) == (400, told)
    assert sandbox.orders[0].order_id in page.part("orders")


def test_a_long_run_is_kept_in_a_ring_and_told_in_whole() -> None:
    log = Log()
    long, body = "9" * 100_000, b"no" * 100_000
    for number in range(4 * KEPT):
        arrival = log.begin("get_order" * 100, "x" * 10_000, NOW)
        arrival.names(long)
        arrival.heard(404 if number % 2 else 200, body)
        log.end(arrival, NOW)

    kept = [*log.latest(), *log.latest(odd=True)]
    assert len(kept) == 2 * KEPT
    assert (log.total, log.odd_total) == (4 * KEPT, 2 * KEPT)
    texts = [(a.operation, a.order_id, a.invoice_number or "", a.said or "") for a in kept]
    assert max(len(text) for row in texts for text in row) <= 200
    # The odd ones outlive what is not.
    assert next(log.latest(odd=True)).index == 4 * KEPT
    assert min(arrival.index for arrival in log.latest(odd=True)) == 2 * KEPT + 2
    assert size_of(sight_of(book_of(ONE), log=log)) < MOST


def test_an_order_of_many_invoices_and_much_news_is_cut_short_and_says_so() -> None:
    order = evolve(ONE, value=10**9)
    book = book_of(order, duplicates="apply_again")
    event = TrackingEvent(city="x" * 900, state="RJ", description="y" * 5_000, date=NOW.date())
    news = TrackingStatus(is_delivered=False, delivered_date=None, events=[event] * 300)
    for number in range(300):
        invoice = invoice_for(order, invoice_number=f"N{number}", invoice_value=1)
        book.invoice(order.order_id, invoice, NOW, document=False)
        book.send_tracking(order.order_id, f"N{number}", make_tracking(), NOW)
    book.update_tracking_status(order.order_id, "N299", news, NOW)

    alone = page_of(sight_of(book), [("order", order.order_id)]).body.decode()
    among = page_of(sight_of(book), []).body.decode()

    assert len(among) < len(alone) < MOST
    assert "100 earlier invoices left out" in alone
    assert "200 earlier left out" in alone
    assert "292 earlier invoices left out" in among
    assert "294 earlier left out" in among
    assert "N299" in among
    assert "N0<" not in alone


def test_what_was_taken_again_a_thousand_times_is_listed_in_part_and_counted_in_whole() -> None:
    orders = [evolve(ONE, order_id=f"{number:06}-01") for number in range(1_000)]
    book = book_of(*orders)
    for order in orders * 2:
        book.invoice(order.order_id, invoice_for(order, invoice_value=1), NOW, document=False)

    page = page_of(sight_of(book), []).body.decode()

    assert "1,000 invoices were taken more than once" in page
    assert "950 more not listed." in page
    assert len(page) < MOST
    assert (book.oracle.taken, book.oracle.taken_again) == (1_000, 1_000)
    assert book.oracle.latest_again(1) == [("000999-01", "NFe1", 2)]
    assert sum(book.remarked.values()) == len(book.remarks)
    assert book.latest_remarks(2) == [*book.remarks[:-3:-1]]


def test_a_plan_of_a_thousand_faults_is_listed_in_part() -> None:
    fault = Fault(do=Do.ANSWER, nth=range(1, 1_000), body="x" * 100_000)
    plan = FaultPlan((fault,) * 1_000)
    for _ in range(3):
        due = plan.due("get_order", "x")
        assert due is not None
        due.happened += 1

    page = page_of(sight_of(book_of(ONE), plan), []).body.decode()

    assert "950 more faults not listed." in page
    assert len(page) < MOST
    # Two that are alike are told apart.
    assert [each.happened for each in plan.standings[:2]] == [3, 0]


@pytest.mark.parametrize(
    ("cents", "told"),
    [
        (0, "0.00"),
        (5, "0.05"),
        (123_456, "1,234.56"),
        (-1, "-0.01"),
        (None, "\N{EN DASH}"),
        (10**5_000, "beyond all measure"),
    ],
    ids=("nothing", "cents", "thousands", "negative", "unknown", "too long for str"),
)
def test_money_is_written_to_the_cent(cents: int | None, told: str) -> None:
    assert amount(cents) == told
