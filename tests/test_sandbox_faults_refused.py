"""Faults that make no sense, or could never happen: each is refused by the name of its field."""

from __future__ import annotations

import math
from typing import Any, Final

import pytest

from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.sandbox import Do, Fault, read_plan


def each(name: str, told: str, *values: object) -> list[tuple[str, object, str]]:
    return [(name, value, f"{name} {told}") for value in values]


WRONG: Final = [
    *each("do", "must be a Do: close, ", "close", None),
    *each("on", "must be text", None, 1),
    *each("on", "must be one of *, notify_invoice, ", "notify_invoce", ""),
    *each("order_id", "must be text, or None", 1, b"v1lux-01"),
    *each("nth", "must be whole numbers, ", 1, "1", "", b"\x01", None, (1.0,), (True,)),
    *each("nth", "counts from 1", (0,), (1, -1)),
    *each("rate", "must be a number", "1", None, True),
    *each("rate", "is from 0 to 1", -0.1, 1.1, math.nan, 10**400),
    *each("acted", "must be true or false", 1, None, "yes"),
    *each("at", "must be a whole number", 1.5, "1", None, True),
    *each("at", "is not below 0", -1),
    *each("seconds", "must be a number", "1", None, True),
    *each("seconds", "is not below 0", -1, math.nan, math.inf, 10**400),
    *each("status", "must be a whole number", "503", 503.0, None),
    *each("body", "must be text", b"", None, {}),
    *each("headers", "must be text by name", {"Retry-After": 1}, {1: "1"}, [("A", "b")], None),
    *each("per_second", "must be a number", "1", None, True),
    *each("per_second", "is not below 0", -1, math.nan, math.inf),
    *each("burst", "must be a number, or None", "1", True),
    *each("burst", "is from 1 to ", 0, 0.5, -1, math.nan, math.inf),
]

NEVER: Final[list[tuple[dict[str, Any], str]]] = [
    ({"do": Do.STALE, "on": "notify_invoice"}, "stale happens to get_order alone"),
    ({"do": Do.PARTIAL, "on": "send_tracking"}, "partial happens to get_order alone"),
    ({"do": Do.LAG, "on": "get_order", "seconds": 1}, "lag happens to notify_invoice alone"),
    *(({"do": do}, f"{do} needs seconds above 0") for do in (Do.LAG, Do.DELAY, Do.LATE)),
    *(
        ({"do": do, "acted": True}, f"VTEX does not act on what meets {do}")
        for do in (Do.CUT_REQUEST, Do.REVOKE)
    ),
    ({"do": Do.LIMIT, "burst": 1}, "0 lifts the limit"),
]


@pytest.mark.parametrize(("name", "wrong", "told"), WRONG)
def test_a_field_that_makes_no_sense_is_told_by_its_name(
    name: str, wrong: object, told: str
) -> None:
    given: dict[str, Any] = {"do": Do.CLOSE, "nth": (1,), name: wrong}

    with pytest.raises(ValueError, match=f"^{name} ") as caught:
        Fault(**given)

    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(("given", "told"), NEVER)
def test_a_fault_that_could_never_happen_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Fault(nth=(1,), **given)


@pytest.mark.parametrize(
    "given",
    [
        {"do": Do.STALE, "on": "get_order"},
        {"do": Do.PARTIAL},
        {"do": Do.LAG, "on": "notify_invoice", "seconds": 1},
        {"do": Do.DELAY, "seconds": 0.01, "acted": True},
        {"do": Do.LIMIT, "per_second": 1, "burst": 1},
        {"do": Do.CUT, "acted": True},
        {"do": Do.RESTORE, "nth": [1]},
    ],
)
def test_a_fault_that_can_happen_is_taken(given: dict[str, Any]) -> None:
    fault = Fault(**{"nth": (1,), **given})

    assert fault.do is given["do"]


def test_each_rule_that_is_broken_is_told_and_no_other() -> None:
    with pytest.raises(ValueError, match="rate") as caught:
        Fault(do=Do.DELAY, rate=2, nth=(0,))

    told = "rate is from 0 to 1; nth counts from 1; delay needs seconds above 0"
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"fault": [], "seed": 1}, 'a plan of faults is {"seed": ..., "faults": [...]}: take out '),
        ({"faults": None}, "a plan of faults: faults must be a list"),
        ({"faults": [], "seed": "7"}, "a plan of faults: seed must be a whole number"),
    ],
)
def test_a_plan_says_only_what_is_wrong_with_it(document: object, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan(document)

    assert str(caught.value).startswith(told)


def test_a_key_that_a_plan_does_not_have_is_named() -> None:
    with pytest.raises(ConfigError, match="take out 'a'"):
        read_plan({"a": [], "seed": 1})
