"""What goes wrong, as data: a plan that a seed makes repeatable.

    {"seed": 7, "faults": [
      {"on": "notify_invoice", "nth": [3], "acted": true, "do": "close"},
      {"on": "get_order", "rate": 0.05, "do": "answer", "status": 503, "body": "<html>"},
      {"nth": [100], "do": "limit", "per_second": 50}]}

Each request is matched against the faults in their order; the first that is due happens to it,
unless its credentials, its role or the rate limit already refuse it. Another that is due at the
same request has had its turn.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from threading import Lock
from types import UnionType
from typing import Final

from attrs import define, field, frozen
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError
from cattrs.v import format_exception

from vtex_invoice_async import encodings
from vtex_invoice_async.checks import LONE_SURROGATE
from vtex_invoice_async.errors import ConfigError, printable

__all__ = ["Do", "Fault", "FaultPlan", "Standing", "read_plan"]

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
    """What happens to a request, and which fields of its `Fault` say more.

    `close`, `reset`, `hang`: no answer. `cut` (*at*), `cut_request` (*at*): an end amid the answer,
    or amid the request. `answer` (*status*, *body*, *headers*), `raw` (*body*): something else.
    `delay` (*seconds*), `late` (*seconds*): the answer, or VTEX itself, takes its time.
    `limit` (*per_second*, *burst*), `revoke`, `restore`: from now on, whatever becomes of the plan.
    `lag` (*seconds*) of `notify_invoice`, `stale` and `partial` (*headers*) of `get_order`: what an
    order shows.
    """

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

    RESTORE = "restore"
    """From now on they are accepted again, by this request already."""

    LAG = "lag"
    """The invoice shows on the order only *seconds* later."""

    STALE = "stale"
    """The order as it was before anything was invoiced (reads only)."""

    PARTIAL = "partial"
    """The order without its newest package (reads only)."""


@frozen(kw_only=True)
class Fault:
    """One thing that goes wrong: at the *nth* matching requests, or at a *rate* of them.

    *on* is `notify_invoice`, `send_tracking`, `update_tracking_status`, `get_order`,
    `start_handling`, `cancel_order`, or `*` for all of them; *order_id* is one order of which they
    are. *acted* is whether VTEX has acted before it happens. `Do` says which of the other fields
    are read. What makes no sense, or could never happen, is a `ValueError`.
    """

    do: Do
    on: str = "*"
    order_id: str | None = None
    nth: Sequence[int] = ()
    """Counted from 1, among the requests that match."""

    rate: float = 0
    """From 0 to 1."""

    acted: bool = False
    """Before a `cut` it always has, before a `late` it never has."""

    at: int = 0
    seconds: float = 0
    status: int = 500
    body: str = ""
    headers: Mapping[str, str] = field(factory=dict)
    per_second: float = 0
    """Of a `limit`; 0 lifts it."""

    burst: float | None = None
    """Of a `limit`: how many may be sent at once. None leaves it as it was, at first 20."""

    def __attrs_post_init__(self) -> None:
        # What is of another kind cannot be looked at more closely.
        found = [*self._wrong_kinds()] or [*self._wrong_values(), *self._wrong_together()]
        if found:
            raise ValueError("; ".join(found))

    def _wrong_kinds(self) -> Iterator[str]:
        for name, (kinds, words) in _KINDS.items():
            value = getattr(self, name)
            # A bool is an int, and no number.
            if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
                yield f"{name} must be {words}"
        if isinstance(self.nth, str | bytes) or not (
            isinstance(self.nth, Sequence) and all(type(n) is int for n in self.nth)
        ):
            yield "nth must be whole numbers, such as (1,)"
        if not isinstance(self.headers, Mapping) or not all(
            isinstance(text, str) for pair in self.headers.items() for text in pair
        ):
            yield 'headers must be text by name, such as {"Retry-After": "1"}'

    def _wrong_values(self) -> Iterator[str]:
        if self.on not in OPERATIONS:
            yield f"on must be one of {', '.join(OPERATIONS)}"
        if not 0 <= self.rate <= 1:
            yield "rate is from 0 to 1"
        if not all(n >= 1 for n in self.nth):
            yield "nth counts from 1"
        if self.at < 0:
            yield "at is not below 0"
        for name in ("seconds", "per_second"):
            if not 0 <= getattr(self, name) <= MOST:
                yield f"{name} is not below 0, nor above {MOST:.0e}"
        if self.burst is not None and not 1 <= self.burst <= MOST:
            yield f"burst is from 1 to {MOST:.0e}"
        yield from self._wrong_answer()

    def _wrong_answer(self) -> Iterator[str]:
        if not 100 <= self.status <= 999:
            yield "status has three digits"
        if LONE_SURROGATE.search(self.body):
            yield "body holds half of a surrogate pair"
        if not all(_NAME.fullmatch(k) and _VALUE.fullmatch(v) for k, v in self.headers.items()):
            yield "headers hold what no header can carry"
        if self.do is Do.RAW and not all(ord(character) < 256 for character in self.body):
            yield "the body of raw holds bytes: characters up to \\u00ff"

    def _wrong_together(self) -> Iterator[str]:
        if not self.nth and self.rate == 0:
            yield "give nth, or a rate above 0"
        able = _ABLE.get(self.do)
        if able is not None and self.on not in {"*", able}:
            yield f"{self.do} happens to {able} alone: on must be that, or *"
        if self.do in {Do.DELAY, Do.LATE, Do.LAG} and self.seconds == 0:
            yield f"{self.do} needs seconds above 0"
        if self.do in {Do.CUT_REQUEST, Do.REVOKE} and self.acted:
            yield f"acted must be false: VTEX does not act on what meets {self.do}"
        if self.do is Do.LIMIT and self.burst is not None and self.per_second == 0:
            yield "burst needs per_second above 0, for 0 lifts the limit"

    def concerns(self, operation: str, order_id: str) -> bool:
        """Whether a request is one of those that this may happen to."""
        able = _ABLE.get(self.do, operation)
        return (
            self.on in {"*", operation} and operation == able and self.order_id in {None, order_id}
        )


_KINDS: Final[Mapping[str, tuple[type | UnionType, str]]] = {
    "do": (Do, f"a Do: {', '.join(Do)}"),
    "on": (str, "text"),
    "order_id": (str | None, "text, or None"),
    "rate": (int | float, "a number"),
    "acted": (bool, "true or false"),
    "at": (int, "a whole number"),
    "seconds": (int | float, "a number"),
    "status": (int, "a whole number"),
    "body": (str, "text"),
    "per_second": (int | float, "a number"),
    "burst": (int | float | None, "a number, or None"),
}

# What only one operation can suffer.
_ABLE: Final = {Do.STALE: "get_order", Do.PARTIAL: "get_order", Do.LAG: "notify_invoice"}


@define(eq=False)
class Standing:
    """A fault in its plan: how many requests it might have met, and how many it has."""

    fault: Fault
    chance: random.Random = field(repr=False)
    seen: int = 0
    happened: int = 0


@define
class FaultPlan:
    """The faults of one run; *seed* decides those that come at a rate.

    What happens to a request, and what changes the plan, may come from different threads.
    """

    faults: tuple[Fault, ...] = ()
    seed: int = 0
    _standings: list[Standing] = field(init=False)
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
            chance = random.Random(seed)  # noqa: S311  made-up trouble, no secret
            self._standings.append(Standing(fault, chance))
            self.faults = (*self.faults, fault)

    def clear(self) -> None:
        """Let nothing go wrong from now on; a limit or a revocation that has begun stays."""
        with self._changing:
            self.faults, self._standings = (), []

    def next(self, operation: str, order_id: str) -> Fault | None:
        """Return what happens to this request, if anything does."""
        due = self.due(operation, order_id)
        return None if due is None else due.fault

    def due(self, operation: str, order_id: str) -> Standing | None:
        """Return the same with its counts; whoever does it adds to what has happened."""
        due: Standing | None = None
        with self._changing:
            for standing in self._standings:
                fault = standing.fault
                if not fault.concerns(operation, order_id):
                    continue
                standing.seen += 1
                drawn = standing.chance.random() < fault.rate
                if due is None and (drawn or standing.seen in fault.nth):
                    due = standing
        return due

    @property
    def standings(self) -> Sequence[Standing]:
        """How it stands with each of the faults, in their order."""
        with self._changing:
            return tuple(self._standings)


def _told(error: BaseException, kind: type[object] | None) -> str:
    # Our own checks say what is wrong themselves.
    return str(error) if type(error) is ValueError else format_exception(error, kind)


def read_plan(document: object, seed: int | None = None) -> FaultPlan:
    """Return the plan that a JSON *document* describes; *seed* goes before its own."""
    form = 'a plan of faults is {"seed": ..., "faults": [...]}'
    if not isinstance(document, dict):
        raise ConfigError(f"write the plan anew: {form}")
    unknown = ", ".join(repr(key) for key in document if key not in {"seed", "faults"})
    if unknown:
        raise ConfigError(f"{form}: take out {printable(unknown, 200)}")
    own, rows = document.get("seed", 0), document.get("faults", [])
    if type(own) is not int:
        raise ConfigError("a plan of faults: seed must be a whole number")
    if not isinstance(rows, list):
        raise ConfigError("a plan of faults: faults must be a list")
    try:
        faults = _CONVERTER.structure(rows, tuple[Fault, ...])
    except BaseValidationError as error:
        told = "; ".join(
            line.replace("$", "faults", 1)
            for line in transform_error(error, format_exception=_told)
        )
        raise ConfigError(f"correct the plan of faults: {printable(told, 1000)}") from None
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
_CONVERTER.register_structure_hook_func(lambda kind: kind == Sequence[int], _numbers)
