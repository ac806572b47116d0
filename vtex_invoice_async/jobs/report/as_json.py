"""A report as one JSON object, for programs.

Its keys stay as they are: `schema` (1), `journal`, `account`, `origin`, `family`, `run`, `running`,
`planned`, `states` (a count for each), `runs`, `earlier_runs`, `totals`, `series`, `reasons`,
`more_reasons`, `needy`, `next`. Times are ISO 8601 in UTC, durations seconds, values cents.
`totals` is null where there are no samples. A point of `series` lasted for `seconds` up to `at`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from attrs import asdict

from vtex_invoice_async.jobs.report.facts import Needy, Report, RunFacts
from vtex_invoice_async.jobs.report.words import SHOWN, how_it_ended
from vtex_invoice_async.jobs.samples import HAPPENED, Latency, Sample

__all__ = ["as_json"]

SCHEMA: Final = 1


def as_json(report: Report) -> str:
    """Return *report* as JSON."""
    said = {
        "schema": SCHEMA,
        "journal": report.journal,
        **asdict(report.header),
        "run": report.run,
        "running": report.holder,
        "planned": report.planned,
        "states": {str(state): report.counts.get(state, 0) for state in SHOWN},
        "runs": [_run(run) for run in report.runs],
        "earlier_runs": report.earlier_runs,
        "totals": _totals(report),
        "series": [_point(sample) for sample in report.series],
        "reasons": [asdict(reason) for reason in report.reasons],
        "more_reasons": report.more_reasons,
        "needy": [_needy(needy) for needy in report.needy],
        "next": [asdict(step) for step in report.steps],
    }
    return orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _run(run: RunFacts) -> Mapping[str, Any]:
    return {**asdict(run), "told": how_it_ended(run)}


def _totals(report: Report) -> Mapping[str, Any] | None:
    if report.total is None:
        return None
    return {
        "seconds": report.worked,
        **{name: getattr(report.total, name) for name in HAPPENED},
        **_latency(report.total.latency),
    }


def _point(sample: Sample) -> Mapping[str, Any]:
    return {
        "run": sample.run,
        "at": sample.at.isoformat(),
        "seconds": sample.seconds,
        **{name: getattr(sample, name) for name in HAPPENED},
        "in_flight": sample.in_flight,
        "in_doubt": sample.in_doubt,
        "rate": sample.rate,
        "limit": sample.limit,
        **_latency(sample.latency),
    }


def _latency(latency: Latency) -> Mapping[str, float | None]:
    return {f"p{n}": latency.percentile(n / 100) for n in (50, 95, 99)}


def _needy(needy: Needy) -> Mapping[str, Any]:
    rows = [asdict(row) for row in needy.rows]
    return {
        "state": needy.state,
        "count": needy.count,
        "rows": rows,
        "more": needy.more,
        "export": needy.export,
    }
