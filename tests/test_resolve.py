"""What a read of an order proves, and when to look again: the rules alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from vtex_invoice_async import Doubt, InvoiceType, Order, OrdersApi, Package
from vtex_invoice_async.resolve import Finding, Search, judge

SINCE: Final = datetime(2026, 1, 31, 18, 26, tzinfo=UTC)
DOUBT: Final = Doubt(
    order_id="v5lux-01",
    invoice_number="NFe1",
    type=InvoiceType.OUTPUT,
    value=2499,
    orders_api=OrdersApi.OMS,
    since=SINCE,
)
SAME: Final = Package(invoice_number="NFe1", invoice_value=2499, type=InvoiceType.OUTPUT)
OTHER: Final = evolve(SAME, invoice_number="NFe2")


def order(*packages: Package, **changes: Any) -> Order:
    return Order(**{"order_id": "v5lux-01", "value": 2499, "packages": packages, **changes})


@pytest.mark.parametrize(
    ("shown", "finding"),
    [
        (order(SAME), Finding.PRESENT),
        (order(OTHER, SAME), Finding.PRESENT),
        (order(SAME, SAME), Finding.PRESENT),
        (order(), Finding.ABSENT),
        (order(OTHER), Finding.ABSENT),
        (order(evolve(SAME, invoice_value=2498)), Finding.CONFLICT),
        (order(evolve(SAME, invoice_value=None)), Finding.CONFLICT),
        (order(evolve(SAME, type=InvoiceType.INPUT)), Finding.CONFLICT),
        (order(evolve(SAME, type="Exchange")), Finding.CONFLICT),
        (order(evolve(SAME, type=None)), Finding.CONFLICT),
        (order(SAME, evolve(SAME, invoice_value=1)), Finding.CONFLICT),
        (order(evolve(SAME, invoice_number="nfe1")), Finding.CONFLICT),
        (order(evolve(SAME, invoice_number=" NFe1 ")), Finding.CONFLICT),
        (order(evolve(SAME, invoice_number="0NFe1")), Finding.CONFLICT),
        (order(SAME, evolve(SAME, invoice_number=None)), Finding.NO_EVIDENCE),
        (order(SAME, evolve(SAME, invoice_number="")), Finding.NO_EVIDENCE),
        (order(packages=None), Finding.NO_EVIDENCE),
        (order(SAME, order_id="v6lux-01"), Finding.NO_EVIDENCE),
    ],
)
def test_a_read_shows(shown: Order, finding: Finding) -> None:
    assert judge(shown, [DOUBT]) == {DOUBT: finding}


def test_one_read_judges_all_doubts_of_an_order() -> None:
    second, third = evolve(DOUBT, invoice_number="NFe2"), evolve(DOUBT, invoice_number="X")

    found = judge(order(SAME, evolve(OTHER, invoice_value=1)), [DOUBT, second, third])

    assert found == {DOUBT: "present", second: "conflict", third: "absent"}


words = st.sampled_from(["NFe1", "nfe1", "NFe1 ", "00NFe1", "NFe2", "", "1"])
packages = st.builds(
    Package,
    invoice_number=st.none() | words | st.text(max_size=3),
    invoice_value=st.none() | st.sampled_from([2499, 2498, 0]),
    type=st.none() | st.sampled_from(["Output", "Input", "output"]),
)


@given(st.none() | st.lists(packages, max_size=5), st.sampled_from(["v5lux-01", "V5LUX-01", "v6"]))
def test_nothing_but_the_same_is_ever_called_present(
    found: list[Package] | None, order_id: str
) -> None:
    shown = order(packages=None if found is None else tuple(found), order_id=order_id)

    finding = judge(shown, [DOUBT])[DOUBT]

    there = [
        (p.invoice_number, p.type, p.invoice_value) == ("NFe1", "Output", 2499) for p in found or ()
    ]
    if finding is Finding.PRESENT:
        assert any(there)
        assert order_id == DOUBT.order_id
    if any(there):
        assert finding is not Finding.ABSENT


def looked(search: Search, *, until: float, shown: Order | None) -> list[float]:
    """Look whenever it is due; None is a look that failed. Return when that was."""
    times = []
    while not search.is_over and search.due <= until:
        at = search.due
        times.append(at)
        if shown is None:
            search.miss(at, at, "no")
        else:
            search.see(shown, judge(shown, [DOUBT])[DOUBT], at, at)
    return times


def test_looks_are_close_at_first_and_end_with_the_window() -> None:
    search = Search(since=SINCE, window=300)

    times = looked(search, until=1_000, shown=order())

    assert times == [1, 3, 8, 20, 45, 90, 180, 300]
    assert search.finding is Finding.ABSENT


def test_chance_stretches_the_plan_by_a_tenth_at_most_and_never_the_window() -> None:
    search = Search(since=SINCE, window=300, chance=0.999)

    times = looked(search, until=1_000, shown=order())

    assert times == pytest.approx([1.1, 3.3, 8.8, 22, 49.5, 99, 198, 300], rel=0.001)


@pytest.mark.parametrize("window", [0.2, 1, 2, 60])
def test_three_clean_looks_are_needed_however_short_the_window(window: float) -> None:
    search = Search(since=SINCE, window=window)

    times = looked(search, until=1_000, shown=order())

    assert search.finding is Finding.ABSENT
    assert len(times) >= 3
    assert window <= times[-1] <= 2 * window


def test_an_old_doubt_is_looked_at_at_once_and_settled_soon() -> None:
    search = Search(since=SINCE, window=300, began=86_400)

    times = looked(search, until=90_000, shown=order())

    assert times == [86_400, 86_401, 86_403]
    assert search.finding is Finding.ABSENT


@pytest.mark.parametrize("began", [0, 86_400])
def test_looks_that_fail_prove_nothing_and_end_after_another_window(began: float) -> None:
    search = Search(since=SINCE, window=300, began=began)

    times = looked(search, until=1e6, shown=None)

    assert search.is_over
    assert search.finding is Finding.NO_EVIDENCE
    assert max(600, began + 300) <= times[-1] < max(600, began + 300) + 50


def test_invoices_that_go_away_again_are_no_evidence() -> None:
    search = Search(since=SINCE, window=300, began=400)
    search.see(order(OTHER), Finding.ABSENT, 400, 400)

    worth = [search.see(order(), Finding.ABSENT, at, at) for at in (401, 403, 407)]

    assert worth == [Finding.NO_EVIDENCE] * 3
    assert not search.is_over


def test_a_read_that_was_asked_for_before_the_window_proves_no_absence_however_late_it_ends() -> (
    None
):
    search = Search(since=SINCE, window=300)
    for at in (1, 3, 8):
        search.see(order(), Finding.ABSENT, at, at)

    search.see(order(), Finding.ABSENT, 299, 301)

    assert (search.finding, search.due) == ("no evidence", 301)
    search.see(order(), Finding.ABSENT, 301, 302)
    assert search.finding == "absent"


def test_looks_that_show_nothing_do_not_count_as_clean() -> None:
    search = Search(since=SINCE, window=300, began=400)
    search.miss(400, 400, "no")
    search.see(order(packages=None), Finding.NO_EVIDENCE, 401, 401)

    found = []
    for at in (403, 407, 415):
        search.see(order(), Finding.ABSENT, at, at)
        found.append(search.finding)

    assert found == [Finding.NO_EVIDENCE, Finding.NO_EVIDENCE, Finding.ABSENT]


def test_what_a_read_without_evidence_shows_does_not_count_as_invoices_of_the_order() -> None:
    search = Search(since=SINCE, window=300, began=400)
    search.see(order(OTHER, OTHER, order_id="v6"), Finding.NO_EVIDENCE, 400, 400)

    worth = [search.see(order(), Finding.ABSENT, at, at) for at in (401, 403, 407)]

    assert worth == [Finding.ABSENT] * 3


def test_a_slow_look_is_followed_by_the_next_that_is_not_past() -> None:
    search = Search(since=SINCE, window=300)

    search.miss(1, 10, "no")

    assert (search.due, search.last_look) == (20, 1)


def test_looks_for_other_doubts_do_no_harm_however_many_they_are() -> None:
    search = Search(since=SINCE, window=300)

    for number in range(5_000):
        at = 300 + number / 20
        search.miss(at, at, "no")

    assert at < search.due <= at + 300 / 8


@pytest.mark.parametrize(
    ("shown", "finding"),
    [(order(SAME), "present"), (order(evolve(SAME, invoice_value=1)), "conflict")],
)
def test_what_settles_it_is_kept_and_ends_the_search(shown: Order, finding: str) -> None:
    search = Search(since=SINCE, window=300)

    search.see(shown, judge(shown, [DOUBT])[DOUBT], 1, 2)

    assert (search.finding, search.is_over, search.order) == (finding, True, shown)


findings = st.sampled_from([None, *Finding])


@given(
    st.floats(0.1, 1_000),
    st.floats(0, 10_000),
    st.floats(0, 1, exclude_max=True),
    st.lists(st.tuples(findings, st.integers(0, 3), st.floats(0, 30))),
)
def test_absence_is_never_proven_too_early(
    window: float, began: float, chance: float, steps: list[tuple[Finding | None, int, float]]
) -> None:
    search = Search(since=SINCE, window=window, began=began, chance=chance)
    clean = 0

    for finding, count, took in steps:
        if search.is_over:
            break
        asked = max(search.due, began)
        before = search.due
        if finding is None:
            search.miss(asked, asked + took, "no")
        else:
            worth = search.see(order(*[OTHER] * count), finding, asked, asked + took)
            clean += worth is Finding.ABSENT
        assert search.is_over or search.due >= before
        if search.finding is Finding.ABSENT:
            assert asked >= window
            assert clean >= 3


@pytest.mark.parametrize("finding", [Finding.PRESENT, Finding.CONFLICT])
def test_what_is_proven_stays_proven(finding: Finding) -> None:
    search = Search(since=SINCE, window=300)
    search.see(order(SAME), finding, 1, 1)

    search.miss(3, 3, "no")
    for at in (301, 302, 303, 304):
        search.see(order(SAME), Finding.ABSENT, at, at)

    assert search.is_over
    assert search.finding is finding
    assert search.order == order(SAME)
