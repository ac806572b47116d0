"""What a sandbox may be given: anything else is told by the argument's name, before it serves."""

from __future__ import annotations

import math
from typing import Any, Final

import aiohttp
import pytest
from attrs import evolve

from tests.books import make_order
from tests.factories import authentication
from tests.plain_caller import OMS
from vtex_invoice_async import Order
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.sandbox import Do, Fault, FaultPlan, Limit, Role, Sandbox

ORDER: Final = make_order()
ORDERS: Final = "orders must be how many to generate, or the orders themselves"
ROLES: Final = "roles must be a collection of Role: Notify invoice, View order, "
FAULTS: Final = "faults must be a FaultPlan, or a list of Fault"
LATENCY: Final = "latency must be seconds, from 0 to "

# With these no time can be reckoned.
NO_NUMBERS: Final = (math.nan, math.inf, 10**400)

WRONG: Final[list[tuple[str, object, str]]] = [
    *(("orders", wrong, ORDERS) for wrong in (-1, 2.5, True, None, "12", b"12")),
    ("orders", [1], "one is of type int"),
    ("orders", [ORDER, "v5lux-01"], "one is of type str"),
    ("orders", [ORDER, evolve(ORDER, value=1)], f"two have the id '{ORDER.order_id}'"),
    *(("latency", wrong, LATENCY) for wrong in (-1, -0.1, "1", None, True, *NO_NUMBERS)),
    *(("limit", wrong, "limit must be a Limit, such as") for wrong in (5, "5", True)),
    *(("roles", wrong, ROLES) for wrong in ("Notify invoice", "", None, 5, ["Admin"], [None])),
    *(("faults", wrong, FAULTS) for wrong in ([1], 5, None, "close", [{"do": "close"}])),
]


@pytest.mark.parametrize(("name", "wrong", "told"), WRONG)
def test_what_makes_no_sense_is_told_by_the_arguments_name(
    name: str, wrong: object, told: str
) -> None:
    given: dict[str, Any] = {"orders": [ORDER], name: wrong}

    with pytest.raises(ConfigError) as caught:
        Sandbox(**given)

    assert str(caught.value).startswith(f"{name} must be ")
    assert told in str(caught.value)


async def test_what_makes_sense_is_taken_in_each_of_its_forms() -> None:
    other = evolve(ORDER, order_id="v2lux-01")
    roles: Any = ["View order"]

    async with Sandbox(
        (order for order in (ORDER, other)), latency=0, roles=roles, faults=iter(())
    ) as sandbox:
        statuses = [await read(sandbox, order) for order in (ORDER, other)]

    assert statuses == [(200, None)] * 2
    assert sandbox.orders == [evolve(ORDER, packages=()), evolve(other, packages=())]


def test_what_is_added_to_a_plan_is_a_fault() -> None:
    wrong: Any = {"do": "close", "nth": [1]}
    plan = FaultPlan()

    for add in (plan.add, lambda fault: FaultPlan((fault,))):
        with pytest.raises(ConfigError, match="values of Fault, not of dict"):
            add(wrong)

    assert plan.faults == ()


WRONG_LIMITS: Final[list[tuple[str, object]]] = [
    *(("per_second", wrong) for wrong in (-1, "5", None, True, *NO_NUMBERS)),
    *(("burst", wrong) for wrong in (0, 0.5, -1, "5", None, True, *NO_NUMBERS)),
    *(("retry_after", wrong) for wrong in (-1, 1.5, "1", True)),
    *(("tells", wrong) for wrong in (None, 1, "yes")),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG_LIMITS)
def test_a_limit_that_makes_no_sense_is_told_by_its_fields_name(name: str, wrong: object) -> None:
    given: dict[str, Any] = {"per_second": 1, name: wrong}

    with pytest.raises(ConfigError, match=f"^limit: {name} must be "):
        Limit(**given)


@pytest.mark.parametrize(
    ("limit", "wait"),
    [
        (Limit(per_second=0, burst=1), "1"),
        (Limit(per_second=0, burst=1, retry_after=0), "0"),
        (Limit(per_second=0.001, burst=1.5, retry_after=60), "60"),
        (Limit(per_second=0, burst=1, retry_after=None), None),
    ],
)
async def test_a_429_says_how_long_to_wait_unless_the_limit_leaves_that_out(
    limit: Limit, wait: str | None
) -> None:
    async with Sandbox([ORDER], limit=limit) as sandbox:
        heard = [await read(sandbox, ORDER) for _ in range(2)]

    assert heard == [(200, None), (429, wait)]


async def test_a_limit_that_a_fault_sets_says_it_as_well() -> None:
    fault = Fault(do=Do.LIMIT, nth=(1,), per_second=0.001)

    async with Sandbox([ORDER], faults=[fault], roles=[Role.VIEW_ORDER]) as sandbox:
        heard = [await read(sandbox, ORDER) for _ in range(21)]

    # The bucket of twenty that every limit has, then nothing.
    assert heard == [*[(200, None)] * 20, (429, "1")]


async def read(sandbox: Sandbox, order: Order) -> tuple[int, str | None]:
    """The status of a read, and the wait that it asks for."""
    async with (
        aiohttp.ClientSession(headers=authentication(sandbox.config)) as session,
        session.get(f"{sandbox.url}{OMS}/{order.order_id}") as heard,
    ):
        return heard.status, heard.headers.get("Retry-After")
