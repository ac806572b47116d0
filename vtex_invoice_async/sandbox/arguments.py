"""What a `Sandbox` is given: each check names the argument and says what it takes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final

from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.models import Order
from vtex_invoice_async.sandbox.desk import Role
from vtex_invoice_async.sandbox.faults import MOST, Fault, FaultPlan
from vtex_invoice_async.sandbox.generated import generate_orders
from vtex_invoice_async.sandbox.limit import Limit

__all__ = ["latency_of", "limit_of", "orders_of", "plan_of", "roles_of"]

_ORDERS: Final = "orders must be how many to generate, or the orders themselves"
_ROLES: Final = f"roles must be a collection of Role: {', '.join(Role)}"
_FAULTS: Final = "faults must be a FaultPlan, or a list of Fault"


def orders_of(orders: int | Iterable[Order], chance: random.Random) -> Iterable[Order]:
    """Return the orders, or generate as many."""
    if type(orders) is int and orders >= 0:
        return generate_orders(orders, chance)
    # A bool is an int, and no number of orders.
    if isinstance(orders, int | str | bytes) or not isinstance(orders, Iterable):
        raise ConfigError(_ORDERS)
    found: dict[str, Order] = {}
    for order in orders:
        if not isinstance(order, Order):
            raise ConfigError(f"{_ORDERS}: one is of type {type(order).__name__}")
        if order.order_id in found:
            raise ConfigError(f"{_ORDERS}: two have the id {order.order_id!r}")
        found[order.order_id] = order
    return found.values()


def plan_of(faults: FaultPlan | Iterable[Fault], seed: int) -> FaultPlan:
    """Return the plan, or make one that *seed* makes repeatable."""
    if isinstance(faults, FaultPlan):
        return faults
    if not isinstance(faults, Iterable):
        raise ConfigError(_FAULTS)
    found = tuple(faults)
    if not all(isinstance(fault, Fault) for fault in found):
        raise ConfigError(_FAULTS)
    return FaultPlan(found, seed)


def roles_of(roles: Iterable[Role]) -> frozenset[Role]:
    """Return the roles; each may be given by its words."""
    if isinstance(roles, str) or not isinstance(roles, Iterable):
        raise ConfigError(_ROLES)
    try:
        return frozenset(map(Role, roles))
    except ValueError:
        raise ConfigError(_ROLES) from None


def limit_of(limit: Limit | None) -> Limit | None:
    """Return the limit."""
    if limit is not None and not isinstance(limit, Limit):
        raise ConfigError("limit must be a Limit, such as Limit(per_second=50), or None")
    return limit


def latency_of(latency: float) -> float:
    """Return the seconds."""
    # Written so that NaN is refused as well.
    if type(latency) not in {int, float} or not 0 <= latency <= MOST:
        raise ConfigError(f"latency must be seconds, from 0 to {MOST:.0e}")
    return latency
