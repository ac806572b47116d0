"""What goes wrong, as data: a plan that a seed makes repeatable.

    {"seed": 7, "faults": [
      {"on": "notify_invoice", "nth": [3], "acted": true, "do": "close"},
      {"on": "get_order", "rate": 0.05, "do": "answer", "status": 503, "body": "<html>"},
      {"nth": [100], "do": "limit", "per_second": 50}]}

Each request is matched against the faults in their order; the first that is due happens to it,
unless its credentials, its role or the rate limit already refuse it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from enum import StrEnum
from threading import Lock
from typing import Final

from attrs import define, field, frozen
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError
from cattrs.v import format_exception

from vtex_invoice_async import encodings
from vtex_invoice_async.checks import LONE_SURROGATE
from vtex_invoice_async.errors import ConfigError, printable

__all__ = ["Do", "Fault", "FaultPlan", "read_plan"]

MOST: Final = 1e9
"""Seconds, and requests a second: a time so far off is still one that can be reckoned with."""

# RFC 9110, sections 5.1 and 5.5.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE = re.compile("[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")

OPERATIONS: Final = (
    "*",
    "notify_invoice",
    "send_tracking",
    "update_tracking_status",
    "get_order",
    "start_handling",
    "cancel_order",
)


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
        if self.on not in OPERATIONS:
            raise ValueError(f"on must be one of {', '.join(OPERATIONS)}")
        if not 0 <= self.rate <= 1 or not all(n >= 1 for n in self.nth):
            raise ValueError("rate is from 0 to 1, and nth counts from 1")
        if not self.nth and not self.rate:
            raise ValueError("give nth, or a rate above 0")
        if self.at < 0 or not all(0 <= n <= MOST for n in (self.seconds, self.per_second)):
            raise ValueError(f"at, seconds and per_second are not below 0, nor above {MOST:.0e}")
        self._check_answer()

    def _check_answer(self) -> None:
        if self.do is Do.RAW and not all(ord(character) < 256 for character in self.body):
            raise ValueError("the body of raw holds bytes: characters up to \\u00ff")
        if not 100 <= self.status <= 999:
            raise ValueError("status has three digits")
        if LONE_SURROGATE.search(self.body):
            raise ValueError("body holds half of a surrogate pair")
        if not all(_NAME.fullmatch(k) and _VALUE.fullmatch(v) for k, v in self.headers.items()):
            raise ValueError("headers hold what no header can carry")

    def concerns(self, operation: str, order_id: str) -> bool:
        """Whether a request is one of those that this may happen to."""
        able = _ABLE.get(self.do, operation)
        return (
            self.on in {"*", operation} and operation == able and self.order_id in {None, order_id}
        )


# What only one operation can suffer.
_ABLE: Final = {Do.STALE: "get_order", Do.PARTIAL: "get_order", Do.LAG: "notify_invoice"}


@define
class FaultPlan:
    """The faults of one run; *seed* decides those that come at a rate.

    What happens to a request, and what changes the plan, may come from different threads.
    """

    faults: tuple[Fault, ...] = ()
    seed: int = 0
    _seen: list[int] = field(init=False)
    _chances: list[random.Random] = field(init=False)
    _changing: Lock = field(init=False, factory=Lock, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        faults = self.faults
        self.clear()
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Put *fault* behind the others; its *nth* counts the requests from now on."""
        if not isinstance(fault, Fault):
            raise ConfigError(f"a plan holds values of Fault, not of {type(fault).__name__}")
        with self._changing:
            # To each its own: what another draws, and for whom, does not move it.
            seed = f"{self.seed}:{len(self.faults)}"
            self._chances.append(random.Random(seed))  # noqa: S311  made-up trouble, no secret
            self._seen.append(0)
            self.faults = (*self.faults, fault)

    def clear(self) -> None:
        """Let nothing go wrong from now on; a limit or a revocation that has begun stays."""
        with self._changing:
            self.faults, self._seen, self._chances = (), [], []

    def next(self, operation: str, order_id: str) -> Fault | None:
        """Return what happens to this request, if anything does."""
        due: Fault | None = None
        with self._changing:
            for index, fault in enumerate(self.faults):
                if not fault.concerns(operation, order_id):
                    continue
                self._seen[index] += 1
                drawn = self._chances[index].random() < fault.rate
                if due is None and (drawn or self._seen[index] in fault.nth):
                    due = fault
        return due


def _told(error: BaseException, kind: type[object] | None) -> str:
    # Our own checks say what is wrong themselves.
    return str(error) if type(error) is ValueError else format_exception(error, kind)


def read_plan(document: object, seed: int | None = None) -> FaultPlan:
    """Return the plan that a JSON *document* describes; *seed* goes before its own."""
    if not isinstance(document, dict) or not set(document) <= {"seed", "faults"}:
        raise ConfigError('a plan of faults is {"seed": ..., "faults": [...]}')
    own, rows = document.get("seed", 0), document.get("faults", [])
    if type(own) is not int or not isinstance(rows, list):
        raise ConfigError("a plan of faults: seed must be a whole number, faults a list")
    try:
        faults = _CONVERTER.structure(rows, tuple[Fault, ...])
    except BaseValidationError as error:
        told = "; ".join(
            line.replace("$", "faults", 1)
            for line in transform_error(error, format_exception=_told)
        )
        raise ConfigError(f"a plan of faults: {printable(told, 1000)}") from None
    return FaultPlan(faults, own if seed is None else seed)


def _do(value: object, _: object) -> Do:
    found = next((do for do in Do if do == value), None)
    if found is None:
        raise ValueError(f"must be one of {', '.join(Do)}")
    return found


def _number(value: object, _: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("must be a number")
    return float(value)


def _numbers(value: object, _: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(number) is int for number in value):
        raise ValueError("must be a list of whole numbers")
    return tuple(value)


_CONVERTER: Final = Converter(forbid_extra_keys=True)
_CONVERTER.register_structure_hook(int, encodings.exactly(int, "a whole number"))
_CONVERTER.register_structure_hook(str, encodings.exactly(str, "text"))
_CONVERTER.register_structure_hook(Do, _do)
_CONVERTER.register_structure_hook(bool, encodings.exactly(bool, "true or false"))
_CONVERTER.register_structure_hook(float, _number)
_CONVERTER.register_structure_hook_func(lambda kind: kind == tuple[int, ...], _numbers)
