"""Telemetry whose spans and metrics are kept in memory, to be looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import time_ns
from typing import Any

from attrs import define
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from vtex_invoice_async.otel import Telemetry

Labels = Mapping[str, Any]


def virtual_ns() -> int:
    """The loop's clock, from an hour after the epoch: times before it can be told."""
    return round((3_600 + asyncio.get_running_loop().time()) * 1e9)


@define
class Kept:
    """What was exported."""

    telemetry: Telemetry
    tracer: Tracer
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def spans(self, name: str | None = None) -> Sequence[ReadableSpan]:
        found = self.exporter.get_finished_spans()
        return [span for span in found if name is None or span.name == name]

    def span(self, name: str) -> ReadableSpan:
        (found,) = self.spans(name)
        return found

    def metrics(self) -> Iterator[tuple[str, str, Labels, Any]]:
        """Yield name, unit, attributes and value of every point: of a histogram, count and sum."""
        data = self.reader.get_metrics_data()
        for resource in () if data is None else data.resource_metrics:
            for metric in (m for scope in resource.scope_metrics for m in scope.metrics):
                for point in metric.data.data_points:
                    value = getattr(point, "value", None)
                    if value is None:
                        value = (point.count, point.sum)  # type: ignore[union-attr]
                    yield metric.name, metric.unit or "", dict(point.attributes or {}), value

    def metric(self, name: str) -> dict[tuple[Any, ...], Any]:
        """Return the values of a metric by those of its attributes, in the order of their names."""
        return {
            tuple(value for _, value in sorted(labels.items())): value
            for found, _, labels, value in self.metrics()
            if found == name
        }


@contextmanager
def kept(
    clock: Callable[[], int] = time_ns, attributes: Mapping[str, str] | None = None
) -> Iterator[Kept]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    try:
        telemetry = Telemetry(traces, meters, attributes=attributes, clock=clock)
        yield Kept(telemetry, traces.get_tracer("tests"), exporter, reader)
    finally:
        meters.shutdown()
        traces.shutdown()
