"""What goes wrong, as data: a plan that a seed makes repeatable.

    {"seed": 7, "faults": [
      {"on": "notify_invoice", "nth": [3], "acted": true, "do": "close"},
      {"on": "get_order", "rate": 0.05, "do": "answer", "status": 503, "body": "<html>"},
      {"nth": [100], "do": "limit", "per_second": 50}]}

Each request is matched against the faults in their order; the first that is due happens to it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from enum import StrEnum

from attrs import define, field, frozen
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError
from cattrs.v import format_exception

from vtex_invoice_async.errors import ConfigError

__all__ = ["Do", "Fault", "FaultPlan", "read_plan"]


class Do(StrEnum):
    """What happens to a request."""

    CLOSE = "close"
    """The connection ends without an answer."""

    RESET = "reset"
    """The same, torn off."""

    HANG = "hang"
    """No answer comes, ever."""

    DELAY = "delay"
    """The answer comes *seconds* later."""

    LATE = "late"
    """VTEX acts *seconds* later, and nobody hears of it."""

    CUT_REQUEST = "cut_request"
    """The connection ends after *at* bytes of the request's body were read."""

    CUT = "cut"
    """The connection ends after *at* bytes of the answer."""

    ANSWER = "answer"
    """This *status*, *body* and *headers* instead of VTEX's."""

    RAW = "raw"
    """The *body*, byte by byte, instead of an answer, and the end of the connection."""

    LIMIT = "limit"
    """From now on the account may send *per_second* requests; 0 lifts the limit."""

    REVOKE = "revoke"
    """From now on the credentials are refused."""

    LAG = "lag"
    """The invoice shows on the order only *seconds* later."""

    STALE = "stale"
    """The order as it was before anything was invoiced (reads only)."""

    PARTIAL = "partial"
    """The order without its newest package (reads only)."""


@frozen(kw_only=True)
class Fault:
    """One thing that goes wrong: at the *nth* matching requests, or at a *rate* of them."""

    do: Do
    on: str = "*"
    """An operation by its name, such as `notify_invoice`; `*` for every one."""

    order_id: str | None = None
    nth: tuple[int, ...] = ()
    """Counted from 1, among the requests that match."""

    rate: float = 0
    acted: bool = False
    """Whether VTEX has acted before it happens."""

    at: int = 0
    seconds: float = 0
    status: int = 500
    body: str = ""
    headers: Mapping[str, str] = field(factory=dict)
    per_second: float = 0

    def __attrs_post_init__(self) -> None:
        if not self.nth and not 0 < self.rate <= 1:
            raise ValueError("give nth, or a rate above 0 and up to 1")

    def concerns(self, operation: str, order_id: str) -> bool:
        """Whether a request is one of those that this may happen to."""
        return self.on in {"*", operation} and self.order_id in {None, order_id}


@define
class FaultPlan:
    """The faults of one run; *seed* decides those that come at a rate."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0
    _seen: list[int] = field(init=False)
    _chance: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._seen = [0] * len(self.faults)
        self._chance = random.Random(self.seed)  # noqa: S311  made-up trouble, no secret

    def next(self, operation: str, order_id: str) -> Fault | None:
        """Return what happens to this request, if anything does."""
        due: Fault | None = None
        for index, fault in enumerate(self.faults):
            if not fault.concerns(operation, order_id):
                continue
            # Every fault counts and draws at every request, so that one does not move another.
            self._seen[index] += 1
            hit = self._seen[index] in fault.nth or self._chance.random() < fault.rate
            due = due or (fault if hit else None)
        return due


def _told(error: BaseException, kind: type[object] | None) -> str:
    # The checks of a fault say what is wrong themselves.
    return (
        str(error) if type(error) is ValueError and kind is None else format_exception(error, kind)
    )


def read_plan(document: object, seed: int | None = None) -> FaultPlan:
    """Return the plan that a JSON *document* describes; *seed* goes before its own."""
    converter = Converter(forbid_extra_keys=True)
    if not isinstance(document, dict) or not set(document) <= {"seed", "faults"}:
        raise ConfigError('a plan of faults is {"seed": ..., "faults": [...]}')
    try:
        faults = converter.structure(document.get("faults", []), tuple[Fault, ...])
    except BaseValidationError as error:
        told = "; ".join(
            line.replace("$", "faults", 1)
            for line in transform_error(error, format_exception=_told)
        )
        raise ConfigError(f"a plan of faults: {told}") from None
    own = document.get("seed", 0)
    return FaultPlan(faults, own if seed is None and isinstance(own, int) else seed or 0)
