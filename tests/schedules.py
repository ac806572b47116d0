"""What happens in a simulation: invoices, orders, trouble and deaths, all of it from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from tests.factories import make_invoice
from tests.failures import POSTED
from tests.verdicts import Expected, Key, key_of
from tests.virtual_network import Cut
from tests.worlds import Life
from vtex_invoice_async import InvoiceJob, InvoiceType, Order, OrdersApi, Package
from vtex_invoice_async.sandbox import Do, Fault, Limit
from vtex_invoice_async.sandbox.generated import fitting_order

READ: Final = "get_order"
ELSEWHERE: Final = 9_999
"""The port of somebody who must never hear from us."""

LATEST: Final = 60.0
"""Seconds after which nothing of what was sent is still to be applied, or to be shown."""

PAGE: Final = "<html><title>Sign in</title></html>"
HTML: Final = {"Content-Type": "text/html"}
RECEIPT: Final = '{"date": "2026-02-01T12:00:00Z", "orderId": "1", "receipt": "'
VALUE: Final = 1_000
"""Cents, about: what floats make of the next few is less."""


@frozen(kw_only=True)
class Schedule:
    """A simulation, before it is played."""

    seed: int
    jobs: tuple[InvoiceJob, ...]
    orders: tuple[Order, ...]
    expected: Expected
    orders_api: OrdersApi
    read_lag: float
    settle_delay: float
    faults: tuple[Fault, ...]
    cuts: tuple[Cut, ...]
    lives: tuple[Life, ...]
    latency: float
    limit: Limit | None


def make_schedule(seed: int, invoices: int = 200) -> Schedule:
    """Draw everything that happens."""
    chance = random.Random(f"schedule {seed}")
    jobs: list[InvoiceJob] = []
    orders: list[Order] = []
    keys: dict[str, set[Key]] = {kind: set() for kind in SHARES}
    while len(jobs) < invoices:
        order_id = f"{1_000_000 + len(orders)}-01"
        (kind,) = chance.choices(tuple(SHARES), tuple(SHARES.values()))
        found = list(_invoices(order_id, kind))[: invoices - len(jobs)]
        jobs += found
        keys[kind] |= set(map(key_of, found))
        orders.append(_order(order_id, kind, found))
    chance.shuffle(jobs)
    limits = (
        None,
        None,
        Limit(per_second=40, retry_after=2),
        Limit(per_second=80, retry_after=None),
    )
    return Schedule(
        seed=seed,
        jobs=tuple(jobs),
        orders=tuple(orders),
        expected=Expected(
            versions={key_of(job): [job.invoice] for job in jobs},
            refused=keys["poor"],
            unknown=keys["unknown"],
            contested=keys["other type"],
            near=keys["near"] | keys["other value"],
            resend_input=chance.random() < 0.5,
        ),
        orders_api=chance.choice((OrdersApi.OMS, OrdersApi.OMS, OrdersApi.PII, OrdersApi.PII_2022)),
        read_lag=chance.choice((0, 0, 8)),
        settle_delay=chance.choice((0, 30)),
        faults=(*_blind(chance, orders), *_faults(chance)),
        cuts=tuple(_cut(chance) for _ in range(chance.choice((0, 150)))),
        lives=tuple(_lives(chance)),
        latency=chance.choice((0.002, 0.02, 0.05)),
        limit=chance.choice(limits),
    )


SHARES: Final = {
    "one": 55,
    "parts": 16,
    "return": 16,
    "poor": 3,
    "unknown": 2,
    "other value": 3,
    "other type": 2,
    "near": 3,
}
"""Kinds of orders, and their shares."""


def _invoices(order_id: str, kind: str) -> Iterator[InvoiceJob]:
    numbers = {"parts": ("NFe1", "NFe2", "NFe3"), "return": ("NFe1", "NFe2", "DEV3")}
    for number in numbers.get(kind, ("NFe1",)):
        type_ = InvoiceType.INPUT if number.startswith("DEV") else InvoiceType.OUTPUT
        value = VALUE + int(number[-1])
        invoice = make_invoice(type=type_, invoice_number=number, invoice_value=value)
        yield InvoiceJob(order_id=order_id, invoice=invoice)


def _order(order_id: str, kind: str, jobs: list[InvoiceJob]) -> Order:
    """Return an order that its invoices fit on, unless it is of a kind that they do not fit on."""
    order = fitting_order(order_id, [job.invoice for job in jobs])
    match kind:
        case "poor":
            return evolve(order, value=1)
        case "unknown":
            return evolve(order, order_id=f"another-{order_id}")
        case "other value":
            # Somebody has used this number by hand.
            known = Package(invoice_number="NFe1", invoice_value=7, type=InvoiceType.OUTPUT)
        case "other type":
            value = jobs[0].invoice.invoice_value
            known = Package(invoice_number="NFe1", invoice_value=value, type=InvoiceType.INPUT)
        case "near":
            # To VTEX this is another number, to people it is the same.
            value = jobs[0].invoice.invoice_value
            known = Package(invoice_number="nfe1", invoice_value=value, type=InvoiceType.OUTPUT)
        case _:
            return order
    return evolve(order, value=order.value + (known.invoice_value or 0), packages=(known,))


def _blind(chance: random.Random, orders: list[Order]) -> Iterator[Fault]:
    """Yield orders of which no read shows the truth before everything is calm."""
    for order in chance.sample(orders, k=len(orders) // 12):
        yield evolve(chance.choice(VEILS), order_id=order.order_id, rate=1)


def _faults(chance: random.Random) -> Iterator[Fault]:
    """Yield what goes wrong, each at a rate that this seed makes higher or lower."""
    if chance.random() < 0.15:
        yield Fault(do=Do.REVOKE, nth=(chance.randrange(20, 300),))
    if chance.random() < 0.15:
        first = chance.randrange(20, 200)
        outage = tuple(range(first, first + chance.randrange(10, 60)))
        yield Fault(do=Do.ANSWER, nth=outage, status=503, acted=chance.random() < 0.5)
    for fault in (*POSTS, *READS):
        yield evolve(fault, rate=fault.rate * chance.choice((0.3, 1, 1, 2)))


def _lives(chance: random.Random) -> Iterator[Life]:
    """Yield processes: most are killed while they send, some while they wait doubts out."""
    for number in range(chance.randrange(2, 5)):
        sending, waiting = chance.uniform(0.02, 3), chance.uniform(1, 200)
        yield Life(
            command=chance.choice(("send", "resume")) if number else "send",
            killed_after=chance.choice((None, sending, sending, waiting)),
            fails_at_sync=chance.choice((0, 0, 0, chance.randrange(3, 300))),
            boot=chance.choice(("a-boot 0", "another-boot 0")),
        )


def _cut(chance: random.Random) -> Cut:
    if chance.random() < 0.5:
        return Cut()
    if chance.random() < 0.5:
        return Cut(to_server=chance.randrange(6_000))
    return Cut(to_client=chance.randrange(4_000))


def _post(do: Do, rate: float, **how: object) -> Fault:
    return Fault(do=do, on=POSTED, rate=rate, **how)  # type: ignore[arg-type]  # as Fault names them


def _read(do: Do, rate: float, **how: object) -> Fault:
    return Fault(do=do, on=READ, rate=rate, **how)  # type: ignore[arg-type]  # as Fault names them


POSTS: Final = (
    _post(Do.CLOSE, 0.02, acted=True),
    _post(Do.CLOSE, 0.02),
    _post(Do.RESET, 0.01, acted=True),
    _post(Do.HANG, 0.005, acted=True),
    _post(Do.HANG, 0.005),
    _post(Do.LATE, 0.01, seconds=LATEST - 5),
    _post(Do.DELAY, 0.02, seconds=2, acted=True),
    _post(Do.DELAY, 0.005, seconds=35),
    _post(Do.CUT_REQUEST, 0.01, at=40),
    _post(Do.CUT, 0.01, at=60),
    _post(Do.LAG, 0.05, seconds=LATEST - 5),
    _post(Do.ANSWER, 0.01, acted=True, status=503),
    _post(Do.ANSWER, 0.01, status=503),
    _post(Do.ANSWER, 0.005, acted=True, status=500, body='{"error": {"code": "1"}}'),
    _post(Do.ANSWER, 0.005, acted=True, status=502, body=PAGE, headers=HTML),
    _post(Do.ANSWER, 0.01, status=200, body=PAGE, headers=HTML),
    _post(Do.ANSWER, 0.005, acted=True, status=200, body=PAGE, headers=HTML),
    _post(Do.ANSWER, 0.005, status=200, body=""),
    _post(Do.ANSWER, 0.005, status=200, body=RECEIPT),
    _post(Do.ANSWER, 0.005, status=200, body=f'{RECEIPT}"}}'),
    _post(Do.ANSWER, 0.005, status=204),
    _post(Do.ANSWER, 0.005, acted=True, status=404, body=PAGE, headers=HTML),
    _post(Do.ANSWER, 0.005, acted=True, status=408),
    _post(Do.ANSWER, 0.005, acted=True, status=409, body='{"error": {"code": "OMS003"}}'),
    _post(Do.ANSWER, 0.005, acted=True, status=400, body="<h1>Bad Request</h1>", headers=HTML),
    _post(Do.RAW, 0.01, acted=True, body="HTTP/1.1 2OO OK\r\n\r\n"),
    _post(
        Do.ANSWER,
        0.01,
        status=307,
        headers={"Location": f"http://127.0.0.1:{ELSEWHERE}/api/oms/pvt/orders"},
    ),
    _post(Do.ANSWER, 0.01, status=429, headers={"Retry-After": "3"}),
    _post(Do.ANSWER, 0.005, status=429),
)

VEILS: Final = (
    _read(Do.ANSWER, 1, status=404, body='{"error": {"code": "OMS007"}}'),
    _read(Do.ANSWER, 1, status=200, body=PAGE, headers=HTML),
    _read(
        Do.ANSWER, 1, status=200, body='{"orderId": "1-01", "value": 1, "packageAttachment": null}'
    ),
    _read(Do.STALE, 1, headers={"Age": "77"}),
)

READS: Final = (
    _read(Do.CLOSE, 0.02),
    _read(Do.HANG, 0.005),
    _read(Do.DELAY, 0.02, seconds=6),
    _read(Do.CUT, 0.02, at=200),
    _read(Do.ANSWER, 0.03, status=500),
    _read(Do.ANSWER, 0.03, status=404, body='{"error": {"code": "OMS007"}}'),
    _read(Do.ANSWER, 0.02, status=404, body=PAGE, headers=HTML),
    _read(Do.ANSWER, 0.03, status=200, body=PAGE, headers=HTML),
    _read(Do.ANSWER, 0.01, status=200, body="{}"),
    _read(Do.ANSWER, 0.01, status=429, headers={"Retry-After": "2"}),
    _read(Do.STALE, 0.1, headers={"Age": "77"}),
)
