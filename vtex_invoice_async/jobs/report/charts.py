"""How it went over time, drawn: each chart as SVG, for a wide page and for a narrow one.

The same samples make the same bytes. No text of a journal is in a chart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from io import StringIO
from itertools import pairwise
from operator import methodcaller
from typing import Any, Final

import matplotlib as mpl
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from vtex_invoice_async.jobs.report.series import Moment, moments
from vtex_invoice_async.jobs.report.words import duration
from vtex_invoice_async.jobs.samples import Sample

__all__ = ["Chart", "Drawing", "charts"]

INK, FAINT, GRID = "#51606f", "#8593a1", "#e3e8ed"
BLUE, GREEN, AMBER, RED = "#2f6fde", "#1d8a5f", "#c47f10", "#c9362f"
DARK: Final = {
    INK: "#aab6c2",
    FAINT: "#7d8a97",
    GRID: "#2a323b",
    BLUE: "#6ea2ff",
    GREEN: "#4fc493",
    AMBER: "#e3aa4a",
    RED: "#f0736c",
}
"""What the colours are where the page is dark."""

WIDE, NARROW = (14.4, 3.1), (4.9, 2.9)
"""Inches, of 72 pixels."""

SETTINGS: Final[dict[Any, Any]] = {  # matplotlib types each name
    "svg.hashsalt": "vtex-invoice",
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "path.simplify": True,
}

SETBACKS: Final = ("throttled", "retried", "doubts_opened")

UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))

STEPS: Final = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800),
    *(3_600 * hours for hours in (1, 2, 3, 6, 12, 24, 48, 120, 240, 720, 1_440)),
)
"""Seconds between two times that are written."""

MOST_RUNS: Final = 10
"""Whose beginnings are marked."""

FEWEST: Final = 4
"""Samples of which something is to be seen."""


@frozen(kw_only=True)
class Drawing:
    """One chart in one size."""

    light: str
    """SVG."""

    @property
    def dark(self) -> str:
        """The same for a dark page."""
        return re.sub("|".join(DARK), lambda found: DARK[found[0]], self.light)


@frozen(kw_only=True)
class Chart:
    """A chart, and what is said of it."""

    title: str
    told: str
    """What it shows, for who does not see it."""

    wide: Drawing
    narrow: Drawing


Draw = Callable[[Axes, Sequence[Moment]], None]


def charts(samples: Sequence[Sample]) -> Sequence[Chart]:
    """Return the charts of a time series, and none of what never happened or was over at once."""
    found = moments(samples)
    if len(samples) < FEWEST:
        return ()
    with mpl.rc_context(SETTINGS):
        return [
            Chart(
                title=title,
                told=told(found),
                wide=_drawing(draw, found, WIDE),
                narrow=_drawing(draw, found, NARROW),
            )
            for title, names, told, draw in CHARTS
            if any(getattr(sample, name) for sample in samples for name in names)
        ]


def _drawing(draw: Draw, found: Sequence[Moment], size: tuple[float, float]) -> Drawing:
    width, height = size
    figure = Figure(figsize=size)
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    # The same for each, so that one moment stands at one place in all of them.
    figure.subplots_adjust(
        left=0.78 / width, right=1 - 0.12 / width, bottom=0.34 / height, top=1 - 0.42 / height
    )
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.grid(visible=False, axis="x")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(which="both", length=0, pad=6)
    draw(axes, found)
    _draw_time(axes, found, is_narrow=size is NARROW)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0, 1),
        ncols=len(handles),
        handlelength=1.3,
        borderaxespad=0.2,
        borderpad=0,
        columnspacing=1.4,
    )
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return Drawing(light=_tidy(text.getvalue()))


def _tidy(svg: str) -> str:
    """Name the reader's own font, and leave out what is said to machines."""
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans', sans-serif")
    return svg[svg.index("<svg") :]


def _draw_time(axes: Axes, found: Sequence[Moment], *, is_narrow: bool) -> None:
    """Draw the axis of time, and where another run begins."""
    end = max(found[-1].ends, 1e-3)
    axes.set_xlim(0, end)
    least = end / (4 if is_narrow else 10)
    step = next((found for found in STEPS if found >= least), least)
    scale, unit = next((scale, unit) for scale, unit in UNITS if step >= scale or scale == 1)
    ticks = [step * n for n in range(int(end / step) + 1)]
    axes.set_xticks(ticks, [f"{tick / scale:,.4g} {unit}" for tick in ticks])
    starts = [m for before, m in pairwise(found) if before.run != m.run]
    if not 0 < len(starts) <= MOST_RUNS:
        return
    for start in starts:
        axes.axvline(start.begins, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
        if start.begins < 0.92 * end and len(starts) < 4:
            axes.annotate(
                f"run {start.run}",
                (start.begins, 1),
                xycoords=("data", "axes fraction"),
                xytext=(4, 2),
                textcoords="offset points",
                va="bottom",
                fontsize=9,
                color=FAINT,
            )


def _steps(found: Sequence[Moment], value: Callable[[Moment], float]) -> tuple[Any, Any]:
    """Return what `stairs` draws: a value for each moment, and its edges."""
    edges = [found[0].begins, *(moment.ends for moment in found)]
    return [value(moment) for moment in found], edges


def _line(axes: Axes, steps: tuple[Any, Any], colour: str, width: float, label: str) -> None:
    """Draw a line over what was drawn before it, or, where that is wider, under it."""
    axes.stairs(*steps, color=colour, linewidth=width, zorder=2 + width, baseline=None, label=label)


def _draw_pace(axes: Axes, found: Sequence[Moment]) -> None:
    confirmed = _steps(found, lambda moment: moment.per_second("confirmed"))
    axes.stairs(*confirmed, fill=True, color=BLUE, alpha=0.22)
    _line(axes, confirmed, BLUE, 1.4, "confirmed a second")
    attempts = [moment.per_second("attempts") for moment in found]
    top = max(*confirmed[0], *attempts, 1e-9)
    # One that is far above what was sent would make that a line on the floor.
    limits = _steps(found, lambda moment: _limit(moment, 3 * top))
    near = [limit for limit in limits[0] if not math.isnan(limit)]
    if near:
        top = max(top, *near)
        _line(axes, limits, GREEN, 1.4, "limit found, or given")
    axes.set_ylim(0, 1.15 * top)


def _limit(moment: Moment, most: float) -> float:
    """Return what a client let itself send in a second, unless that is far above what it sent."""
    sample = moment.sample
    rate = math.inf if sample is None else sample.limit or sample.rate
    return rate if rate <= most else math.nan


def _draw_latency(axes: Axes, found: Sequence[Moment]) -> None:
    seen: list[float] = []
    for share, colour, width in ((0.5, BLUE, 1.5), (0.95, AMBER, 1.1), (0.99, RED, 1.0)):
        steps = _steps(found, partial(_percentile, share=share))
        seen += [value for value in steps[0] if not math.isnan(value)]
        _line(axes, steps, colour, width, f"p{100 * share:.0f}")
    axes.set_yscale("log")
    axes.set_ylim(min(seen, default=0.01) / 1.5, max(seen, default=1) * 1.5)
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 3), numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _brief(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _brief(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 0.9995 else f"{1_000 * seconds:.3g} ms"


def _percentile(moment: Moment, share: float) -> float:
    found = None if moment.sample is None else moment.sample.latency.percentile(share)
    return math.nan if found is None else found


def _draw_setbacks(axes: Axes, found: Sequence[Moment]) -> None:
    top = 0.0
    kinds = zip(SETBACKS, ("429", "retried", "doubts"), (AMBER, BLUE, RED), strict=True)
    for name, label, colour in kinds:
        steps = _steps(found, methodcaller("per_second", name))
        top = max(top, *steps[0])
        axes.stairs(*steps, fill=True, color=colour, alpha=0.25)
        _line(axes, steps, colour, 1.2, label)
    axes.set_ylim(0, 1.15 * top or 1)


def _draw_open(axes: Axes, found: Sequence[Moment]) -> None:
    top = 0.0
    for name, label, colour in (("in_flight", "in flight", BLUE), ("in_doubt", "in doubt", RED)):
        values: list[float] = []
        for moment in found:
            # What nothing happened to stays as it was.
            kept = values[-1] if values else 0.0
            values.append(kept if moment.sample is None else getattr(moment.sample, name))
        top = max(top, *values)
        _, edges = _steps(found, lambda _: 0.0)
        _line(axes, (values, edges), colour, 1.4, label)
    axes.set_ylim(0, 1.15 * top or 1)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _tell_pace(found: Sequence[Moment]) -> str:
    most = max(moment.per_second("confirmed") for moment in found)
    return f"Confirmed invoices a second over {duration(found[-1].ends)}; at most {most:,.1f}."


def _tell_latency(found: Sequence[Moment]) -> str:
    middle = [_percentile(moment, 0.5) for moment in found]
    seen = [value for value in middle if not math.isnan(value)]
    if not seen:
        return "How long answers took; there were none."
    told = f"from {duration(min(seen))} to {duration(max(seen))}"
    return f"How long answers took: half of them in {told}, from moment to moment."


def _tell_setbacks(found: Sequence[Moment]) -> str:
    sums = {
        name: sum(getattr(m.sample, name) for m in found if m.sample is not None)
        for name in SETBACKS
    }
    return (
        f"Over time: {sums['throttled']:,} answers 429, {sums['retried']:,} attempts retried, "
        f"{sums['doubts_opened']:,} doubts."
    )


def _tell_open(found: Sequence[Moment]) -> str:
    samples = [moment.sample for moment in found if moment.sample is not None]
    most = max(sample.in_doubt for sample in samples)
    return f"Requests in flight, and invoices in doubt: at most {most:,}, in the end {samples[-1].in_doubt:,}."


CHARTS: Final = (
    ("Confirmed a second", ("confirmed", "attempts"), _tell_pace, _draw_pace),
    ("Time until an answer", ("attempts",), _tell_latency, _draw_latency),
    ("Setbacks a second", SETBACKS, _tell_setbacks, _draw_setbacks),
    ("In flight and in doubt", ("in_flight", "in_doubt"), _tell_open, _draw_open),
)
"""Of each: its title, what has to have happened for it, what is said of it, and how it is drawn."""
