"""What OpenTelemetry is told of a call: one span with its attempts, waits, doubt and end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import pytest
from attrs import evolve
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from tests.factories import job_for, make_tracking
from tests.failures import POSTED
from tests.telemetry import Kept, kept, virtual_ns
from tests.virtual_time import run_virtual
from vtex_invoice_async import RetryPolicy, VtexInvoiceClient
from vtex_invoice_async.errors import CallError, InvoiceAbsent, OutcomeUnknown
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

SECOND: Final = 10**9
THROTTLED: Final = Fault(
    do=Do.ANSWER, on=POSTED, nth=(1,), status=429, headers={"Retry-After": "2"}
)
LATENCY: Final = 0.25


def traced(use: Any, faults: Sequence[Fault] = (), orders: int = 10, **settings: Any) -> Kept:
    """Have a client and its sandbox used in virtual time, and return what was exported."""

    async def main() -> None:
        sandbox = Sandbox(orders=orders, faults=faults, latency=LATENCY)
        async with sandbox:
            config = evolve(sandbox.config, **settings)
            async with VtexInvoiceClient(config, observe=found.telemetry) as client:
                await use(client, sandbox)

    with kept(virtual_ns) as found:
        run_virtual(main())
        list(found.metrics())  # while it lasts
        return found


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / SECOND


def events(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, dict(event.attributes or {})) for event in span.events]


async def notify(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    job = job_for(sandbox.orders[0])
    await client.notify_invoice(job.order_id, job.invoice)


async def fail_to_notify(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    with pytest.raises(CallError):
        await notify(client, sandbox)


def test_a_call_is_a_client_span_of_its_length() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        await asyncio.sleep(7)
        began.append(virtual_ns())
        await notify(client, sandbox)
        began.append(virtual_ns())

    began: list[int] = []

    span = traced(use).span("notify_invoice")

    assert span.kind is SpanKind.CLIENT
    assert [span.start_time, span.end_time] == pytest.approx(began, abs=1e3)
    assert seconds(span) == pytest.approx(LATENCY, abs=0.01)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "vtex_invoice.order_id": Sandbox(orders=10).orders[0].order_id,
        "vtex_invoice.outcome": "confirmed",
        "vtex_invoice.attempts": 1,
        "vtex_invoice.wait.turn": 0,
        "vtex_invoice.wait.retry": 0,
        "http.response.status_code": 200,
    }
    ((name, attempt),) = events(span)
    assert name == "attempt"
    assert attempt.pop("vtex_invoice.seconds") == pytest.approx(LATENCY, abs=0.01)
    assert attempt == {
        "vtex_invoice.attempt": 1,
        "vtex_invoice.bytes_left": True,
        "http.response.status_code": 200,
    }
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "vtex_invoice_async"


def test_attempts_and_the_waits_between_them_are_within_the_span() -> None:
    found = traced(notify, [THROTTLED])

    span = found.span("notify_invoice")
    attributes = dict(span.attributes or {})
    assert [name for name, _ in events(span)] == ["attempt", "retry", "attempt"]
    first, again, second = (told for _, told in events(span))
    assert (first["http.response.status_code"], second["http.response.status_code"]) == (429, 200)
    assert (first["vtex_invoice.attempt"], second["vtex_invoice.attempt"]) == (1, 2)
    assert again["error.type"] == "RateLimited"
    at = [event.timestamp for event in span.events]
    assert span.start_time is not None
    assert (at[0] - span.start_time) / SECOND == pytest.approx(LATENCY, abs=0.01)
    assert at[2] == span.end_time
    # Who is throttled waits for a turn, as everybody does then.
    waited = attributes["vtex_invoice.wait.turn"]
    assert isinstance(waited, float)
    assert 2 <= waited <= 2.2
    assert attributes["vtex_invoice.wait.retry"] == 0
    assert attributes["vtex_invoice.attempts"] == 2
    assert seconds(span) == pytest.approx(2 * LATENCY + waited, abs=0.01)


def test_a_call_that_was_not_sent_has_failed_and_says_how_long_it_waited_to_try_again() -> None:
    retry = RetryPolicy(max_attempts=3)

    found = traced(fail_to_notify, base_url="http://127.0.0.1:9", retry=retry)

    span = found.span("notify_invoice")
    attributes = dict(span.attributes or {})
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "NotSent")
    assert attributes["error.type"] == "NotSent"
    assert attributes["vtex_invoice.outcome"] == "not_sent"
    assert "http.response.status_code" not in attributes
    told = [attributes for name, attributes in events(span) if name == "attempt"]
    assert [each["error.type"] for each in told] == ["not_sent"] * 3
    paused = attributes["vtex_invoice.wait.retry"]
    assert 0 < paused <= 1.5  # type: ignore[operator]
    assert found.metric("vtex_invoice.wait.duration")["retry",] == (1, pytest.approx(paused))
    assert found.metric("vtex_invoice.attempts") == {("not_sent", "notify_invoice"): 3}


def test_a_doubt_that_resolves_is_within_the_span_of_its_call_which_has_not_failed() -> None:
    found = traced(notify, [Fault(do=Do.CLOSE, on=POSTED, nth=(1,), acted=True)])

    span, read = found.span("notify_invoice"), found.span("get_order")
    attributes = dict(span.attributes or {})
    assert span.status.status_code is StatusCode.UNSET
    assert attributes["vtex_invoice.outcome"] == "confirmed"
    assert "error.type" not in attributes
    assert attributes["vtex_invoice.doubt.finding"] == "present"
    assert attributes["vtex_invoice.doubt.looks"] == 1
    assert [name for name, _ in events(span)] == ["attempt", "look"]
    assert events(span)[0][1]["error.type"] == "no_answer"
    assert seconds(span) == pytest.approx(1 + 2 * LATENCY, abs=0.12)
    assert span.start_time < read.start_time <= read.end_time <= span.end_time  # type: ignore[operator]
    assert read.kind is SpanKind.CLIENT
    assert found.metric("vtex_invoice.doubts") == {("present",): 1}
    assert found.metric("vtex_invoice.calls") == {
        ("notify_invoice", "confirmed"): 1,
        ("get_order", "confirmed"): 1,
    }


def test_what_stays_in_doubt_has_failed_and_to_resolve_it_later_is_a_span_of_its_own() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        job = job_for(sandbox.orders[0])
        with pytest.raises(OutcomeUnknown) as caught:
            await client.notify_invoice(job.order_id, job.invoice, retry=RetryPolicy(resolve_for=2))
        assert caught.value.doubt is not None
        with pytest.raises(InvoiceAbsent):
            await client.resolve(caught.value.doubt)

    found = traced(use, [Fault(do=Do.CLOSE, on=POSTED, nth=(1,))])

    sent, looked = found.span("notify_invoice"), found.span("resolve")
    assert sent.attributes is not None
    assert sent.attributes["vtex_invoice.outcome"] == "in_doubt"
    assert sent.attributes["vtex_invoice.doubt.finding"] == "no evidence"
    assert (sent.status.status_code, sent.status.description) == (
        StatusCode.ERROR,
        "OutcomeUnknown",
    )
    assert looked.attributes is not None
    assert looked.kind is SpanKind.INTERNAL
    assert looked.attributes["vtex_invoice.outcome"] == "absent"
    assert looked.attributes["error.type"] == "InvoiceAbsent"
    assert seconds(looked) == pytest.approx(300, abs=40)
    looks = [told["vtex_invoice.doubt.finding"] for name, told in events(looked) if name == "look"]
    assert set(looks) == {"absent"}
    assert found.metric("vtex_invoice.doubts") == {("no evidence",): 1, ("absent",): 1}
    assert found.telemetry._stories == {}


def test_tracking_that_is_sent_once_more_is_one_span() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        await notify(client, sandbox)
        job = job_for(sandbox.orders[0])
        number = job.invoice.invoice_number
        await client.send_tracking(job.order_id, number, make_tracking())

    found = traced(use, [Fault(do=Do.CLOSE, on="send_tracking", nth=(1,))])

    span = found.span("send_tracking")
    assert span.attributes is not None
    assert span.attributes["vtex_invoice.outcome"] == "confirmed"
    assert span.attributes["vtex_invoice.attempts"] == 2
    assert [name for name, _ in events(span)] == ["attempt", "attempt"]
    assert found.metric("vtex_invoice.doubts") == {("absent",): 1}
    assert found.metric("vtex_invoice.calls")["send_tracking", "confirmed"] == 1
    assert seconds(span) > 3


def test_a_call_that_is_cancelled_ends_its_span_without_an_error() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await notify(client, sandbox)

    hung = Fault(do=Do.HANG, on=POSTED, nth=(1,))
    lost = Fault(do=Do.CLOSE, on=POSTED, nth=(1,))
    for fault in (hung, lost):
        found = traced(use, [fault])

        span = found.span("notify_invoice")
        assert span.attributes is not None
        assert seconds(span) == pytest.approx(1, abs=0.01)
        assert found.telemetry._stories == {}
    assert found.metric("vtex_invoice.doubts") == {("no evidence",): 1}
