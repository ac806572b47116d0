"""Telemetry of many calls at once: whose child each is, what is counted, and what is not told."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Final

import pytest
from attrs import evolve
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from tests.canaries import KEY_MARK, TOKEN_MARK
from tests.command_line import ROOT, TIMEOUT
from tests.factories import ONCE, job_for
from tests.failures import POSTED
from tests.telemetry import Kept, kept, virtual_ns
from tests.virtual_time import run_virtual
from vtex_invoice_async import RetryPolicy, State, ThrottleLimits, VtexInvoiceClient
from vtex_invoice_async.errors import CallError, InvoiceConflict
from vtex_invoice_async.otel import Telemetry
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

AT_ONCE: Final = 64


async def test_sixty_four_calls_at_once_have_a_span_each_and_none_has_anothers_parent() -> None:
    faults = [
        Fault(do=Do.ANSWER, on=POSTED, nth=(3, 9, 20), status=429),
        Fault(do=Do.DELAY, on=POSTED, rate=0.3, seconds=0.05),
    ]
    with kept() as found:

        async def handle(number: int) -> tuple[str, int]:
            """One of a web server's requests."""
            job = job_for(sandbox.orders[number])
            with found.tracer.start_as_current_span(f"request {number}") as parent:
                await client.get_order(job.order_id)
                await client.notify_invoice(job.order_id, job.invoice)
                return job.order_id, parent.get_span_context().span_id

        async with (
            Sandbox(orders=AT_ONCE, faults=faults) as sandbox,
            VtexInvoiceClient(sandbox.config, observe=found.telemetry) as client,
        ):
            parents = dict(await asyncio.gather(*map(handle, range(AT_ONCE))))

        spans = [*found.spans("notify_invoice"), *found.spans("get_order")]
        assert len(spans) == 2 * AT_ONCE
        for span in spans:
            assert span.attributes is not None
            assert span.parent is not None
            assert span.parent.span_id == parents[str(span.attributes["vtex_invoice.order_id"])]
            attempts = [event for event in span.events if event.name == "attempt"]
            assert len(attempts) == span.attributes["vtex_invoice.attempts"]
            assert [(event.attributes or {})["vtex_invoice.attempt"] for event in attempts] == [
                *range(1, len(attempts) + 1)
            ]
            # As long as it took, within what it is a child of.
            (outer,) = (o for o in found.spans() if o.context.span_id == span.parent.span_id)
            slack = 5_000_000
            assert outer.start_time - slack <= span.start_time  # type: ignore[operator]
            assert span.start_time <= span.end_time <= outer.end_time + slack  # type: ignore[operator]
        sent = sum(attempts_of(span) for span in found.spans("notify_invoice"))
        assert sent > AT_ONCE
        assert sum(found.metric("vtex_invoice.attempts").values()) == AT_ONCE + sent
        assert found.telemetry._stories == {}


def attempts_of(span: ReadableSpan) -> int:
    return sum(event.name == "attempt" for event in span.events)


def test_bulk_and_its_doubts_are_children_of_what_reads_the_outcomes() -> None:
    async def main() -> None:
        lost = Fault(do=Do.CLOSE, on=POSTED, nth=(2,), acted=True)
        async with (
            Sandbox(orders=5, faults=[lost]) as sandbox,
            VtexInvoiceClient(sandbox.config, observe=found.telemetry) as client,
        ):
            jobs = [job_for(order) for order in sandbox.orders]
            with found.tracer.start_as_current_span("nightly"):
                outcomes = [outcome async for outcome in client.notify_many(jobs)]
            assert {outcome.state for outcome in outcomes} == {State.CONFIRMED}

    with kept(virtual_ns) as found:
        run_virtual(main())

    (nightly,) = found.spans("nightly")
    children = [*found.spans("notify_invoice"), *found.spans("get_order")]
    assert len(children) == 6
    assert {span.parent.span_id for span in children if span.parent} == {nightly.context.span_id}


def everything(found: Kept) -> None:
    """Have a client go through most of what there is to be counted."""

    async def main() -> None:
        faults = [
            Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=429, headers={"Retry-After": "2"}),
            Fault(do=Do.CLOSE, on=POSTED, nth=(3,), acted=True),
            Fault(do=Do.ANSWER, on=POSTED, nth=(4,), status=400, body='{"error":"NFe3"}'),
        ]
        async with Sandbox(orders=9, faults=faults, latency=0.1) as sandbox:
            config = evolve(sandbox.config, throttle=ThrottleLimits(max_rate=40))
            async with VtexInvoiceClient(config, observe=found.telemetry) as client:
                secrets.extend([sandbox.app_key, sandbox.app_token, sandbox.account])
                for order in sandbox.orders[:3]:
                    job = job_for(order)
                    secrets.extend([job.order_id, job.invoice.invoice_number])
                    try:
                        await client.notify_invoice(job.order_id, job.invoice)
                    except CallError:
                        refused.append(job.order_id)
                first = job_for(sandbox.orders[0], invoice_value=1, items=())
                lost = Fault(do=Do.CLOSE, on=POSTED, rate=1)
                sandbox.faults.add(lost)
                with pytest.raises(InvoiceConflict):
                    await client.notify_invoice(first.order_id, first.invoice)
                sandbox.faults.clear()
                await client.get_order(first.order_id, retry=ONCE)

    secrets: list[str] = []
    refused: list[str] = []
    run_virtual(main())
    assert len(refused) == 1
    told = [(name, str(labels)) for name, _, labels, _ in found.metrics()]
    assert len(told) > 12
    for name, labels in told:
        assert not [secret for secret in secrets if secret in labels + name]
    assert not [n for n, labels in told if TOKEN_MARK in labels or KEY_MARK.upper() in labels]
    # Nor is a secret in a span, whose attributes may name the order.
    spans = "".join(span.to_json() for span in found.spans())
    assert secrets[3] in spans
    assert not [secret for secret in secrets[:2] if secret in spans]
    assert not [number for number in secrets[4::2] if number in spans]


def test_what_is_counted_is_what_the_table_says_and_names_no_order_invoice_or_secret() -> None:
    with kept(virtual_ns) as found:
        everything(found)

        units = {name: unit for name, unit, _, _ in found.metrics()}
        labels = {name: set(labels) for name, _, labels, _ in found.metrics()}
        calls = found.metric("vtex_invoice.calls")
        durations = found.metric("vtex_invoice.call.duration")
        attempts = found.metric("vtex_invoice.attempts")
        waits = found.metric("vtex_invoice.wait.duration")
        doubts = found.metric("vtex_invoice.doubts")
        pace = found.metric("vtex_invoice.pace")

    assert units == {
        "vtex_invoice.calls": "{call}",
        "vtex_invoice.call.duration": "s",
        "vtex_invoice.attempts": "{attempt}",
        "vtex_invoice.wait.duration": "s",
        "vtex_invoice.doubts": "{doubt}",
        "vtex_invoice.pace": "{request}/s",
    }
    assert labels["vtex_invoice.calls"] == {"vtex_invoice.operation", "vtex_invoice.outcome"}
    assert labels["vtex_invoice.pace"] == {"vtex_invoice.pace.of"}
    assert calls == {
        ("notify_invoice", "confirmed"): 2,
        ("notify_invoice", "rejected"): 1,
        ("notify_invoice", "conflict"): 1,
        ("get_order", "confirmed"): 3,
    }
    assert {key: count for key, (count, _) in durations.items()} == calls
    assert attempts == {
        (429, "notify_invoice"): 1,
        (200, "notify_invoice"): 1,
        (400, "notify_invoice"): 1,
        ("no_answer", "notify_invoice"): 2,
        (200, "get_order"): 3,
    }
    assert doubts == {("present",): 1, ("conflict",): 1}
    assert waits["turn",][1] >= 2
    assert pace["read",] == 40
    assert 0 < pace["send",] <= 40


def test_one_observer_may_serve_several_clients_or_single_calls() -> None:
    async def main() -> None:
        async with (
            Sandbox(orders=1) as first,
            Sandbox(orders=1, seed=1) as second,
            VtexInvoiceClient(first.config, observe=found.telemetry) as one,
            VtexInvoiceClient(second.config) as other,
        ):
            jobs = job_for(first.orders[0]), job_for(second.orders[0])
            await asyncio.gather(
                one.notify_invoice(jobs[0].order_id, jobs[0].invoice),
                other.notify_invoice(jobs[1].order_id, jobs[1].invoice, observe=found.telemetry),
                other.get_order(jobs[1].order_id),
            )

    with kept(virtual_ns) as found:
        run_virtual(main())

    ids = {(span.attributes or {})["vtex_invoice.order_id"] for span in found.spans()}
    assert len(ids) == len(found.spans()) == 2
    assert {span.kind for span in found.spans()} == {SpanKind.CLIENT}


def test_what_tells_accounts_apart_is_on_every_span_and_every_metric() -> None:
    with kept(virtual_ns, {"account": "acme"}) as found:
        everything(found)

        assert len({name for name, _, _, _ in found.metrics()}) == 6
        assert {labels["account"] for _, _, labels, _ in found.metrics()} == {"acme"}
        assert {(span.attributes or {})["account"] for span in found.spans()} == {"acme"}


async def test_without_an_sdk_nothing_is_made_of_it_and_nothing_breaks(sandbox: Sandbox) -> None:
    assert not trace.get_current_span().is_recording()
    async with VtexInvoiceClient(sandbox.config, observe=Telemetry()) as client:
        order = await client.get_order(sandbox.orders[0].order_id, retry=RetryPolicy())

    assert order.order_id == sandbox.orders[0].order_id


def test_a_missing_extra_is_told_in_a_line_that_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "try:\n    import vtex_invoice_async.otel\n"
        "except ImportError as error:\n    print(error)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )

    needed = "traces and metrics need an extra: pip install 'vtex-invoice-async[otel]'"
    assert ended.stdout.splitlines() == [needed]
