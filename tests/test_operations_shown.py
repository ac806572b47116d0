"""What an order shows of a call: that it acted, that it did not, or nothing that can be told."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.answers import ALL, FOR_A_RECEIPT, NOTIFY, READ, START
from tests.factories import ISSUED, make_tracking
from vtex_invoice_async import Order, Package, Receipt, TrackingEvent, TrackingStatus
from vtex_invoice_async.models import CourierEvent, CourierStatus, OrderStatus
from vtex_invoice_async.operations import (
    Operation,
    SendTracking,
    UpdateTrackingStatus,
    receipt_from,
)

TRACKED: Final = Package(
    invoice_number="NFe1",
    courier="carrierOne",
    tracking_number="87658",
    tracking_url="https://www.tracking.com/url",
)


def make_order(*packages: Package, **changes: Any) -> Order:
    return Order(**{"order_id": "v5lux-01", "value": 2499, "packages": packages, **changes})


def tracked(**changes: Any) -> Order:
    return make_order(evolve(TRACKED, **changes))


def send_tracking(**changes: Any) -> SendTracking:
    tracking = make_tracking(**changes)
    return SendTracking(order_id="v5lux-01", invoice_number="NFe1", tracking=tracking)


# Where the parcel is -------------------------------------------------------------------------


def test_tracking_is_shown_by_the_package_of_its_invoice() -> None:
    assert send_tracking().shown_by(tracked()) is True


@pytest.mark.parametrize(
    "shown",
    [
        {"courier": "carrierTwo"},
        {"courier": "CarrierOne"},
        {"courier": None},
        {"tracking_number": "87659"},
        {"tracking_number": "87658 "},
        {"tracking_number": None},
        {"tracking_url": "https://www.tracking.com/other"},
        {"tracking_url": ""},
        {"tracking_url": None},
    ],
)
def test_tracking_with_a_difference_is_not_what_was_sent(shown: dict[str, str | None]) -> None:
    assert send_tracking().shown_by(tracked(**shown)) is False


@pytest.mark.parametrize(("url", "is_shown"), [(None, True), ("", False), ("https://a", False)])
def test_an_address_that_was_taken_away_has_to_be_gone(url: str | None, is_shown: bool) -> None:
    assert send_tracking(tracking_url=None).shown_by(tracked(tracking_url=url)) is is_shown


@pytest.mark.parametrize("moment", [None, ISSUED, ISSUED + timedelta(days=9)])
def test_the_date_of_dispatch_is_not_compared_for_vtex_does_not_show_it(moment: Any) -> None:
    assert send_tracking(dispatched_date=moment).shown_by(tracked()) is True


def test_only_the_package_of_the_invoice_counts() -> None:
    first = evolve(TRACKED, invoice_number="NFe0", tracking_number="1")

    assert send_tracking().shown_by(make_order(first, TRACKED)) is True
    assert send_tracking(tracking_number="1").shown_by(make_order(first, TRACKED)) is False


# How far it came -----------------------------------------------------------------------------

LEFT: Final = ("São Paulo", "SP", "left the depot")
SEEN: Final = ("Rio de Janeiro", "RJ", "seen by the door")


def update(*told: tuple[str, str, str], **changes: Any) -> UpdateTrackingStatus:
    events = [
        TrackingEvent(city=city, state=state, description=text, date=date(2026, 2, 1))
        for city, state, text in told
    ]
    status = TrackingStatus(**{"is_delivered": False, "events": events, **changes})
    return UpdateTrackingStatus(order_id="v5lux-01", invoice_number="NFe1", tracking=status)


def shows(*told: tuple[str | None, str | None, str | None], finished: bool | None) -> Order:
    noon = "2026-02-01T12:00:00.5322681+00:00"
    events = tuple(
        CourierEvent(city=c, state=s, description=text, create_date=noon) for c, s, text in told
    )
    return tracked(courier_status=CourierStatus(finished=finished, data=events))


@pytest.mark.parametrize(
    "order",
    [
        shows(LEFT, finished=False),
        shows(LEFT, finished=None),
        shows(SEEN, LEFT, finished=False),
        shows(LEFT, LEFT, finished=False),
    ],
)
def test_a_status_is_shown_where_its_events_are_among_those_told(order: Order) -> None:
    assert update(LEFT).shown_by(order) is True
    assert update(LEFT, LEFT).shown_by(order) is True


@pytest.mark.parametrize(
    "order",
    [
        tracked(),
        shows(finished=False),
        shows(SEEN, finished=False),
        shows(("São Paulo", "SP", None), finished=False),
        shows(("São Paulo", None, "left the depot"), finished=False),
        shows((None, "SP", "left the depot"), finished=False),
        shows(("Santos", "SP", "left the depot"), finished=False),
        shows(LEFT, finished=True),
    ],
)
def test_a_status_of_which_an_event_is_missing_is_not_shown(order: Order) -> None:
    assert update(LEFT).shown_by(order) is False


def test_one_event_of_two_is_not_enough() -> None:
    assert update(LEFT, SEEN).shown_by(shows(LEFT, finished=False)) is False
    assert update(LEFT, SEEN).shown_by(shows(SEEN, LEFT, finished=False)) is True


@pytest.mark.parametrize(
    ("order", "is_shown"),
    [
        (shows(LEFT, finished=True), True),
        (shows(LEFT, finished=False), False),
        (shows(LEFT, finished=None), False),
        (shows(finished=True), False),
        (tracked(), False),
    ],
)
def test_a_delivery_is_shown_by_its_end_and_its_events(order: Order, is_shown: bool) -> None:
    assert update(LEFT, is_delivered=True).shown_by(order) is is_shown


def test_a_delivery_without_events_is_shown_by_its_end() -> None:
    assert update(is_delivered=True).shown_by(shows(finished=True)) is True
    assert update(is_delivered=True).shown_by(shows(LEFT, finished=False)) is False


@pytest.mark.parametrize(
    ("order", "is_shown"),
    [(tracked(), None), (shows(finished=False), None), (shows(finished=True), False)],
)
def test_a_status_without_events_cannot_be_told_from_none_at_all(
    order: Order, is_shown: bool | None
) -> None:
    assert update().shown_by(order) is is_shown


def left_on(*days: str | None, finished: bool = False, delivered: str | None = None) -> Order:
    city, state, text = LEFT
    events = tuple(
        CourierEvent(city=city, state=state, description=text, create_date=day) for day in days
    )
    status = CourierStatus(finished=finished, delivered_date=delivered, data=events)
    return tracked(courier_status=status)


@pytest.mark.parametrize("day", ["2026-02-02T12:00:00Z", "2025-02-01", "01/02/2026", "", None])
def test_the_words_of_an_event_on_another_day_tell_nothing(day: str | None) -> None:
    assert update(LEFT).shown_by(left_on(day)) is None


@pytest.mark.parametrize(
    "days", [("2026-02-01", "2026-02-05"), ("2026-02-05", "2026-02-01"), ("2026-02-01", None)]
)
def test_an_event_is_found_on_its_day_though_another_has_its_words(
    days: tuple[str | None, ...],
) -> None:
    assert update(LEFT).shown_by(left_on(*days)) is True


def test_every_event_has_to_be_of_its_day() -> None:
    seen = TrackingEvent(city=SEEN[0], state=SEEN[1], description=SEEN[2], date=date(2026, 2, 2))
    sent = update(LEFT)
    both = evolve(sent, tracking=evolve(sent.tracking, events=[*sent.tracking.events, seen]))

    assert both.shown_by(shows(LEFT, SEEN, finished=False)) is None


def test_the_day_of_an_event_may_stand_in_its_last_change() -> None:
    city, state, text = LEFT
    event = CourierEvent(city=city, state=state, description=text, last_change="2026-02-01T12:00")

    assert update(LEFT).shown_by(tracked(courier_status=CourierStatus(data=(event,)))) is True


LATE: Final = datetime(2026, 2, 1, 23, 30, tzinfo=timezone(timedelta(hours=-3)))


@pytest.mark.parametrize(
    ("delivered", "is_shown"),
    [
        ("2026-02-01T23:30:00", True),
        ("2026-02-01 23:30", True),
        (None, None),
        ("", None),
        ("2026-02-05T23:30:00", False),
    ],
)
def test_a_delivery_is_shown_on_its_day(delivered: str | None, is_shown: bool | None) -> None:
    order = left_on("2026-02-01", finished=True, delivered=delivered)

    assert update(LEFT, is_delivered=True, delivered_date=LATE).shown_by(order) is is_shown


@pytest.mark.parametrize("moment", ["2026-02-02T02:30:00+00:00", "2026-01-31T16:30:00-10:00"])
def test_the_moment_of_a_delivery_in_another_zone_does_not_prove_that_it_is_lacking(
    moment: str,
) -> None:
    order = left_on("2026-02-01", finished=True, delivered=moment)

    shown = update(LEFT, is_delivered=True, delivered_date=LATE).shown_by(order)

    assert shown is not False


@pytest.mark.parametrize(
    "order",
    [
        make_order(packages=None),
        make_order(),
        make_order(evolve(TRACKED, invoice_number=None)),
        make_order(evolve(TRACKED, invoice_number="NFe2")),
        make_order(evolve(TRACKED, invoice_number="nfe1")),
        make_order(evolve(TRACKED, invoice_number=" NFe1")),
        make_order(evolve(TRACKED, invoice_number="0NFe1")),
    ],
)
@pytest.mark.parametrize("operation", [send_tracking(), update(LEFT), update()])
def test_without_the_package_of_the_invoice_nothing_can_be_told(
    operation: Operation[object], order: Order
) -> None:
    assert operation.shown_by(order) is None


# Whether handling started --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "is_shown"),
    [
        (OrderStatus.READY_FOR_HANDLING, False),
        ("ready-for-handling", False),
        (OrderStatus.HANDLING, True),
        ("handling", True),
        (OrderStatus.PAYMENT_APPROVED, None),
        (OrderStatus.INVOICE, None),
        (OrderStatus.INVOICED, None),
        (OrderStatus.CANCELED, None),
        ("start-handling", None),
        ("Handling", None),
        ("", None),
        (None, None),
    ],
)
def test_that_handling_started_is_told_by_the_status(
    status: str | None, is_shown: bool | None
) -> None:
    assert START.shown_by(make_order(status=status)) is is_shown


# What stands for an answer -------------------------------------------------------------------


@given(strategies.orders)
def test_no_order_tells_of_an_invoice_or_of_a_read_in_this_way(order: Order) -> None:
    assert NOTIFY.shown_by(order) is None
    assert READ.shown_by(order) is None


@given(strategies.orders, st.sampled_from(ALL))
def test_any_order_is_compared_with_any_call(order: Order, operation: Operation[object]) -> None:
    assert operation.shown_by(order) in {True, False, None}


@pytest.mark.parametrize("operation", FOR_A_RECEIPT)
def test_what_vtex_answers_with_a_receipt_is_confirmed_by_one_without_its_code(
    operation: Operation[object],
) -> None:
    confirmed = operation.confirmed_by(make_order())

    assert confirmed == Receipt(
        date=None, raw_date=None, order_id="v5lux-01", receipt=None, confirmed_by="order"
    )


def test_a_read_is_confirmed_by_what_it_read() -> None:
    order = make_order()

    assert READ.confirmed_by(order) is order


def test_the_start_of_handling_is_confirmed_by_nothing_as_vtex_does() -> None:
    starts: Operation[object] = START

    assert starts.confirmed_by(make_order()) is None


@pytest.mark.parametrize(
    ("sellers", "told"), [("00-v5-01", "00-v5-01"), (None, "v5lux-01"), ("", "v5lux-01")]
)
def test_a_receipt_names_the_order_as_its_seller_does(sellers: str | None, told: str) -> None:
    assert receipt_from(make_order(seller_order_id=sellers)).order_id == told


@given(strategies.orders)
def test_a_receipt_from_an_order_never_passes_for_the_one_that_vtex_sent(order: Order) -> None:
    receipt = receipt_from(order)

    assert receipt.confirmed_by == "order"
    assert (receipt.receipt, receipt.date, receipt.raw_date) == (None, None, None)
