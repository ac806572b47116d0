"""The latest requests and what became of them: for people to look at, and not for ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Final

import orjson
from attrs import define, field

from vtex_invoice_async.errors import printable
from vtex_invoice_async.sandbox.faults import Do, Fault, Standing

__all__ = ["Arrival", "Log"]

KEPT: Final = 1_000
"""Requests, and as many again of those that are odd."""

LONGEST: Final = 200
"""Characters that are kept of each text."""

MOST_READ: Final = 20_000
"""Bytes of an answer that is looked into for what it says."""

UNHEARD: Final = frozenset({Do.CLOSE, Do.RESET, Do.HANG, Do.LATE, Do.CUT_REQUEST, Do.CUT, Do.RAW})
"""What leaves the client without a whole answer."""


@define(eq=False)
class Arrival:
    """One request, as far as it has come."""

    index: int
    """From 1, in the order in which they began to arrive."""

    at: datetime
    operation: str
    order_id: str
    invoice_number: str | None = None
    fault: Fault | None = None
    """What happened to it; one that was due, and came too late for that, did not."""

    acted: bool = False
    """Whether VTEX did what was asked; a `late` may do so after the end."""

    gone: bool = False
    """Whether the client hung up before its request was here."""

    status: int | None = None
    """What it was answered, if it was."""

    said: str | None = field(default=None, repr=False)
    """The words of a refusal."""

    ended_at: datetime | None = None

    @property
    def odd(self) -> bool:
        """Whether something else happened than that VTEX did what was asked, and said so."""
        return self.fault is not None or self.gone or (self.status or 0) >= 400

    def names(self, number: str | None) -> None:
        """Note which invoice it is about."""
        self.invoice_number = None if number is None else printable(number, LONGEST)

    def meets(self, due: Standing | None) -> None:
        """Note, and count, a fault that happens to it."""
        if due is not None:
            due.happened += 1
            self.fault = due.fault

    def heard(self, status: int, body: object) -> None:
        """Note an answer, unless the connection does not carry it."""
        if self.gone or (self.fault is not None and self.fault.do in UNHEARD):
            return
        self.status = status
        if status >= 400 and isinstance(body, bytes):
            self.said = printable(_words_of(body[:MOST_READ]), LONGEST)


class Log:
    """The latest arrivals."""

    def __init__(self) -> None:
        self.total = 0
        self.odd_total = 0
        self._latest: deque[Arrival] = deque(maxlen=KEPT)
        self._odd: deque[Arrival] = deque(maxlen=KEPT)

    def begin(self, operation: str, order_id: str, now: datetime) -> Arrival:
        """Add a request that arrives."""
        self.total += 1
        name, order = printable(operation, LONGEST), printable(order_id, LONGEST)
        arrival = Arrival(index=self.total, at=now, operation=name, order_id=order)
        self._latest.append(arrival)
        return arrival

    def end(self, arrival: Arrival, now: datetime) -> None:
        """Note that nothing more becomes of it."""
        arrival.ended_at = now
        if arrival.odd:
            self.odd_total += 1
            self._odd.append(arrival)

    def latest(self, *, odd: bool = False) -> Iterator[Arrival]:
        """Yield those that are kept, or the *odd* of them, the latest first."""
        return reversed(self._odd if odd else self._latest)

    def about(self, order_id: str) -> list[Arrival]:
        """Return those that are kept and concern one order, the latest first."""
        order = printable(order_id, LONGEST)
        kept = chain(self._latest, self._odd)
        found = {arrival.index: arrival for arrival in kept if arrival.order_id == order}
        return [found[index] for index in sorted(found, reverse=True)]


def _words_of(body: bytes) -> str:
    """Return what an error body says, in whichever of VTEX's envelopes, or all of it."""
    try:
        found = orjson.loads(body)
    except ValueError:
        return body.decode(errors="replace")
    if not isinstance(found, dict):
        return body.decode(errors="replace")
    inner = found.get("error")
    words = inner.get("message") if isinstance(inner, dict) else None
    if words is None and isinstance(found.get("errors"), dict):
        words = "; ".join(_of_fields(found["errors"].items()))
    words = words or found.get("detail") or found.get("message") or found.get("title")
    return words if isinstance(words, str) else body.decode(errors="replace")


def _of_fields(errors: Iterable[tuple[str, object]]) -> Iterator[str]:
    for name, told in errors:
        texts = told if isinstance(told, list) else [told]
        yield f"{name}: {', '.join(map(str, texts))}"
