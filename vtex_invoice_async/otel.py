"""Traces and metrics by OpenTelemetry's API, made of what a client tells its observers.

    async with VtexInvoiceClient(config, observe=Telemetry()) as client: ...

It needs the extra `vtex-invoice-async[otel]`, and an SDK that is set up by the program.

**Spans.** A call is one span, a child of the span that is current where the call was made. Its kind
is CLIENT, and its name that of the client's method (`notify_invoice`, `get_order`). It begins with
the call and ends when the caller is told, with the time in which the order was read for what was in
doubt. A read for a doubt is a `get_order` of its own beside it. `resolve` is INTERNAL: all that it
sends are such reads. The attempts are span events. OpenTelemetry has a CLIENT span for each HTTP
request, named by its method, with its URL and host: these are no facts of a call, the URL holds what
names a person's order, and who wants them has `opentelemetry-instrumentation-aiohttp-client`, whose
spans would then be there twice. What is its in the conventions is called so here.

| of a span | what |
|---|---|
| `vtex_invoice.order_id` | the order |
| `vtex_invoice.outcome` | `confirmed`, `rejected`, `not_sent`, `rate_limited`, `in_doubt`, `conflict`, `absent`, `failed`, `cancelled` |
| `vtex_invoice.attempts` | how often it was sent |
| `vtex_invoice.wait.turn` | seconds until its turn came: a free slot, the pace, or VTEX's return |
| `vtex_invoice.wait.retry` | seconds before other attempts |
| `vtex_invoice.doubt.finding`, `.looks` | what its order showed, after how many reads, where it was in doubt |
| `http.response.status_code` | of the last answer |
| `error.type` | the class of the error; then its status is ERROR, but for `cancelled` |
| event `attempt` | ended, with `vtex_invoice.attempt`, `.seconds`, `.bytes_left`, and `http.response.status_code` |
| event `retry` | decided, with `vtex_invoice.wait` in seconds, and `error.type` |
| event `look` | an order was read, with `vtex_invoice.doubt.finding` and `.looks` |

**Metrics.** None of their attributes names an order, an invoice or a person. Who has several
accounts gives each client an observer of its own, with attributes that tell them apart:

    observe=Telemetry(attributes={"account": config.account})

| metric | kind, unit | attributes |
|---|---|---|
| `vtex_invoice.calls` | counter, `{call}` | `vtex_invoice.operation`, `vtex_invoice.outcome` |
| `vtex_invoice.call.duration` | histogram, `s` | the same |
| `vtex_invoice.attempts` | counter, `{attempt}` | `vtex_invoice.operation`, `http.response.status_code`; without an answer, `error.type`: `no_answer` or `not_sent` |
| `vtex_invoice.wait.duration` | histogram, `s` | `vtex_invoice.wait.reason`: `turn` or `retry` |
| `vtex_invoice.doubts` | counter, `{doubt}` | `vtex_invoice.doubt.finding`: `present`, `absent`, `conflict`, `no evidence` |
| `vtex_invoice.pace` | gauge, `{request}/s` | `vtex_invoice.pace.of`: `send` or `read` |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Final, TypeAlias

from attrs import define, field

from vtex_invoice_async.events import (
    Event,
    Resolved,
    Resolving,
    Retrying,
    Sent,
    Settled,
    Throttled,
)

try:
    from opentelemetry import metrics, trace
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    needed = "traces and metrics need an extra: pip install 'vtex-invoice-async[otel]'"
    raise ImportError(needed, name="opentelemetry") from None

__all__ = ["Telemetry"]

SCOPE: Final = "vtex_invoice_async"

Attributes: TypeAlias = dict[str, str | int | float | bool]

_OUTCOMES: Final = {
    None: "confirmed",
    "BadRequest": "rejected",
    "NotAuthorized": "rejected",
    "OrderNotFound": "rejected",
    "Conflict": "rejected",
    "Rejected": "rejected",
    "NotSent": "not_sent",
    # The client was closed.
    "ConfigError": "not_sent",
    "RateLimited": "rate_limited",
    "OutcomeUnknown": "in_doubt",
    "InvoiceConflict": "conflict",
    "InvoiceAbsent": "absent",
    "CancelledError": "cancelled",
}
"""By the name of the error's class; anything else has failed."""

_ERRORS: Final = {
    "present": None,
    "absent": "InvoiceAbsent",
    "conflict": "InvoiceConflict",
    "no evidence": "OutcomeUnknown",
}
"""The class of the error that a caller is told, by what was found."""


@define(eq=False)
class _Story:
    """What was heard of one call until it has ended."""

    events: list[tuple[str, Attributes, int]] = field(factory=list)
    settled: Settled | None = None
    """How its attempts ended, though the order may be read yet for what they left in doubt."""


class Telemetry:
    """An observer that makes a span of each call, and counts.

    Providers are those that were set for the program, unless others are given. One observer may
    serve several clients, whose paces are then one gauge. All its spans and metrics have its
    *attributes*: no more values than there are accounts. What it is told of a call it keeps until
    the call ends. *clock* tells the nanoseconds since 1970.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        *,
        attributes: Mapping[str, str] | None = None,
        clock: Callable[[], int] = time_ns,
    ) -> None:
        self._own: Attributes = {**(attributes or {})}
        self._clock = clock
        self._tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
        meter = metrics.get_meter(SCOPE, meter_provider=meter_provider)
        self._calls = meter.create_counter("vtex_invoice.calls", "{call}", "Calls that ended")
        self._durations = meter.create_histogram(
            "vtex_invoice.call.duration", "s", "From a call to what its caller is told"
        )
        self._attempts = meter.create_counter(
            "vtex_invoice.attempts", "{attempt}", "Requests that ended, with an answer or none"
        )
        self._waits = meter.create_histogram(
            "vtex_invoice.wait.duration", "s", "What a call waits, while nothing of it is under way"
        )
        self._doubts = meter.create_counter(
            "vtex_invoice.doubts", "{doubt}", "What the orders showed of what was in doubt"
        )
        self._pace = meter.create_gauge(
            "vtex_invoice.pace", "{request}/s", "The pace that the client keeps"
        )
        self._stories: dict[int, _Story] = {}

    def __call__(self, event: Event) -> None:
        """Take in what a client tells."""
        match event:
            case Sent():
                self._see_attempt(event)
            case Retrying():
                told: Attributes = {"vtex_invoice.wait": event.wait, "error.type": event.error}
                self._note(event.call, "retry", told)
            case Settled():
                self._see_settled(event)
            case Resolving():
                self._note(event.call, "look", _doubt(event))
            case Resolved():
                self._see_resolved(event)
            case Throttled():
                self._see_pace(event)
            case _:
                pass

    def _note(self, call: int, name: str, attributes: Attributes) -> None:
        story = self._stories.setdefault(call, _Story())
        story.events.append((name, attributes, self._clock()))

    def _see_attempt(self, event: Sent) -> None:
        self._see_pace(event)
        told: Attributes = {
            "vtex_invoice.attempt": event.attempt,
            "vtex_invoice.seconds": event.seconds,
            "vtex_invoice.bytes_left": event.bytes_left,
        }
        answer: Attributes = {"error.type": "no_answer" if event.bytes_left else "not_sent"}
        if event.status is not None:
            answer = {"http.response.status_code": event.status}
        self._note(event.call, "attempt", told | answer)
        self._attempts.add(1, {**self._own, "vtex_invoice.operation": event.operation, **answer})

    def _see_pace(self, event: Sent | Throttled) -> None:
        kind = "send" if event.acts else "read"
        self._pace.set(event.rate, {**self._own, "vtex_invoice.pace.of": kind})

    def _see_settled(self, event: Settled) -> None:
        story = self._stories.setdefault(event.call, _Story())
        story.settled = event
        if not event.is_looked_for:
            self._end(event, event.error, event.seconds)

    def _see_resolved(self, event: Resolved) -> None:
        self._doubts.add(1, {**self._own, "vtex_invoice.doubt.finding": event.finding})
        if event.is_repeated:
            return  # it goes on
        settled = self._stories.setdefault(event.call, _Story()).settled
        seconds = event.seconds + (0.0 if settled is None else settled.seconds)
        self._end(event, _ERRORS.get(event.finding, "OutcomeUnknown"), seconds)

    def _end(self, event: Settled | Resolved, error: str | None, seconds: float) -> None:
        """Make the span of a call that ended just now, after so many *seconds*, and count it."""
        story = self._stories.pop(event.call)
        outcome = _OUTCOMES.get(error, "failed")
        attributes: Attributes = {
            **self._own,
            "vtex_invoice.order_id": event.order_id,
            "vtex_invoice.outcome": outcome,
            **(_doubt(event) if isinstance(event, Resolved) else {}),
            **({} if story.settled is None else _sent(story.settled)),
            **({} if error is None else {"error.type": error}),
        }
        self._make_span(event.operation, story, attributes, seconds)
        named = {"vtex_invoice.operation": event.operation, "vtex_invoice.outcome": outcome}
        labels: Attributes = {**self._own, **named}
        self._calls.add(1, labels)
        self._durations.record(seconds, labels)
        if story.settled is not None:
            self._see_waits(story.settled)

    def _make_span(
        self, operation: str, story: _Story, attributes: Attributes, seconds: float
    ) -> None:
        now = self._clock()
        span = self._tracer.start_span(
            operation,
            kind=trace.SpanKind.INTERNAL if operation == "resolve" else trace.SpanKind.CLIENT,
            attributes=attributes,
            start_time=now - round(seconds * 1e9),
        )
        for name, told, at in story.events:
            span.add_event(name, told, at)
        error = attributes.get("error.type")
        if error is not None and attributes["vtex_invoice.outcome"] != "cancelled":
            span.set_status(trace.StatusCode.ERROR, str(error))
        span.end(now)

    def _see_waits(self, settled: Settled) -> None:
        for reason, seconds in (("turn", settled.queued), ("retry", settled.paused)):
            if seconds > 0:
                self._waits.record(seconds, {**self._own, "vtex_invoice.wait.reason": reason})


def _sent(settled: Settled) -> Attributes:
    told: Attributes = {
        "vtex_invoice.attempts": settled.attempts,
        "vtex_invoice.wait.turn": settled.queued,
        "vtex_invoice.wait.retry": settled.paused,
    }
    if settled.status is not None:
        told["http.response.status_code"] = settled.status
    return told


def _doubt(event: Resolving | Resolved) -> Attributes:
    return {"vtex_invoice.doubt.finding": event.finding, "vtex_invoice.doubt.looks": event.looks}
