"""Values for property tests: for each dialect, what it can say, and so what it must bring back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from vtex_invoice_async.checks import MOST
from vtex_invoice_async.models import (
    CourierEvent,
    CourierStatus,
    Invoice,
    InvoiceItem,
    Order,
    OrderItem,
    OrderTotal,
    Package,
    PackageItem,
    PriceDefinition,
    TrackingEvent,
    TrackingInfo,
    TrackingStatus,
)
from vtex_invoice_async.shapes import is_exponent, is_nothing
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
invoice_numbers = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/#"), min_size=1, max_size=12
).filter(lambda number: not (is_nothing(number) or is_exponent(number)))
numbers = st.integers(0, MOST)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=offsets)  # noqa: DTZ001
midnights = st.dates().map(lambda day: datetime(day.year, day.month, day.day, tzinfo=UTC))
minutes = st.datetimes(datetime(1000, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(second=0, microsecond=0)
)


def items(dialect: OrdersApi) -> st.SearchStrategy[InvoiceItem]:
    nothing = st.none()
    return st.builds(
        InvoiceItem,
        id=nothing if dialect is OrdersApi.PII else names,
        item_index=numbers if dialect is OrdersApi.PII else nothing,
        price=numbers,
        quantity=st.integers(1, MOST),
        description=st.none() | texts if dialect is OrdersApi.OMS else nothing,
    )


def invoices(dialect: OrdersApi) -> st.SearchStrategy[Invoice]:
    nothing = st.none()
    text = nothing | texts
    pii = dialect is OrdersApi.PII
    return st.builds(
        Invoice,
        type=st.sampled_from(InvoiceType),
        invoice_number=invoice_numbers,
        invoice_value=st.integers(1, MOST),
        issuance_date=moments if dialect is OrdersApi.OMS else midnights,
        # A return that names a line twice is refused.
        items=st.lists(
            items(dialect), max_size=3, unique_by=lambda item: (item.id, item.item_index)
        ),
        invoice_key=text,
        invoice_url=text,
        embedded_invoice=nothing if pii else text,
        courier=text,
        tracking_number=text,
        tracking_url=text,
        dispatched_date=nothing if pii else nothing | moments,
        extra_value=nothing | numbers if pii else nothing,
        cfop=text if pii else nothing,
        volumes=nothing | numbers if pii else nothing,
    )


trackings = st.builds(
    TrackingInfo,
    courier=texts,
    tracking_number=names,
    tracking_url=st.none() | texts,
    dispatched_date=st.none() | moments,
)
events = st.builds(TrackingEvent, city=texts, state=texts, description=texts, date=st.dates())
statuses = st.builds(
    TrackingStatus,
    is_delivered=st.booleans(),
    delivered_date=st.none() | minutes,
    events=st.lists(events, max_size=3),
)

_packages = st.builds(
    Package,
    invoice_number=st.none() | texts,
    invoice_value=st.none() | numbers,
    type=st.none() | st.sampled_from(InvoiceType) | texts,
    items=st.lists(
        st.builds(PackageItem, item_index=st.none() | numbers, description=st.none() | texts),
        max_size=2,
    ).map(tuple),
    items_inferred=st.none() | st.booleans(),
    courier_status=st.none()
    | st.builds(
        CourierStatus,
        status=st.none() | texts,
        finished=st.none() | st.booleans(),
        data=st.lists(st.builds(CourierEvent, city=texts), max_size=2).map(tuple),
    ),
    tracking_number=st.none() | texts,
    volumes=st.none() | numbers,
)
_dated_packages = st.builds(
    lambda package, moment: Package(
        invoice_number=package.invoice_number,
        items=package.items,
        issuance_date=moment,
        raw_issuance_date=moment.isoformat(),
    ),
    _packages,
    moments,
)
orders = st.builds(
    Order,
    order_id=texts,
    status=st.none() | texts,
    value=st.integers(-MOST, MOST),
    totals=st.lists(st.builds(OrderTotal, id=st.none() | texts, value=numbers), max_size=2).map(
        tuple
    ),
    items=st.lists(
        st.builds(
            OrderItem,
            id=texts,
            quantity=numbers,
            price_definition=st.none() | st.builds(PriceDefinition, total=st.none() | numbers),
        ),
        max_size=2,
    ).map(tuple),
    packages=st.none() | st.lists(_packages | _dated_packages, max_size=2).map(tuple),
    workflow_is_in_error=st.none() | st.booleans(),
    is_changing=st.booleans(),
)
