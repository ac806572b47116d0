"""How much of an account's rate limit is used, and how much is rejected, by who is not told it.

    .venv/bin/python -m benchmarks.pace [--seconds 120] [--seeds 10] [--only bucket ...] [--json]
    .venv/bin/python -m benchmarks.pace --wire [--only ...] [--json]

In virtual time, event by event: 64 workers (128 and 256 where the limit needs more), trips of 30 to
80 ms, 1 % of the answers a 503. Played against the same limits are the client's throttle and what a
user would write instead (benchmarks/paces.py):

    backoff   a semaphore, and exponential backoff with full jitter after a 429 or a 503
    obeying   the same; a Retry-After is waited out
    aimd      a rate that grows by 10/s each second and is cut by a fifth for a burst of 429s
    told      requests evenly spaced at the true rate, told it at the start and never again

    bucket    a token bucket of 20
    halved, doubled
              the same; its rate changes half way
    retry     a bucket whose 429s ask to wait a second
    window    so many in each second of the clock
    noise     a bucket; besides, 1.5 % of all requests are refused whatever the rate is

The figures are the share of what the limit would have let pass, the share of the requests that were
answered 429, and how long the unluckiest invoice took from when it was first sent until it passed:
medians over the seeds, and ranges. There is always more to send, so that who asks often enough uses
all of any limit; what that costs are the other two figures.

With --wire the real client (`notify_many`, 64 at a time) sends for so many real seconds to the sandbox
in another process, over loopback; both figures are the sandbox's, to be held against the played ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

from attrs import frozen

from benchmarks.pace_on_wire import WIRED, wired
from benchmarks.paces import AdditiveIncrease, Backoff, Told
from benchmarks.rounds import Figure, table
from benchmarks.simulated_pace import (
    TURNED_AWAY,
    WAIT_A_SECOND,
    Bucket,
    Limiter,
    Ours,
    Pace,
    Run,
    Score,
    Unrelated,
    Window,
    jittered,
)

RATES: Final = (20, 50, 100, 200, 500)

LIMITS: Final[Mapping[str, Callable[[int, float, int], Limiter]]] = {
    "bucket": lambda rate, seconds, seed: Bucket(rate),
    "halved": lambda rate, seconds, seed: Bucket(rate, then=rate / 2, at=seconds / 2),
    "doubled": lambda rate, seconds, seed: Bucket(rate, then=2 * rate, at=seconds / 2),
    "retry": lambda rate, seconds, seed: Bucket(rate),
    "window": lambda rate, seconds, seed: Window(rate),
    "noise": lambda rate, seconds, seed: Unrelated(Bucket(rate), 0.015, seed),
}
"""By name: makes the limit of a rate, in a run of so many seconds."""

PACES: Final[Mapping[str, Callable[[int, int], Pace]]] = {
    "ours": lambda rate, seed: Ours(),
    "backoff": lambda rate, seed: Backoff(seed=seed),
    "obeying": lambda rate, seed: Backoff(obeys=True, seed=seed),
    "aimd": lambda rate, seed: AdditiveIncrease(),
    "told": lambda rate, seed: Told(rate),
}
"""By name: makes who sends, under a limit of a rate that only one of them is told."""


ROWS: Final = (
    ("% of the ideal", "of_ideal", 100),
    ("% rejected", "rejected", 100),
    ("longest, in s", "longest", 1),
)


@frozen
class Case:
    limit: str
    rate: int
    pace: str
    seconds: float


def workers(case: Case) -> int:
    """Return as many as the limit needs: in flight, and some that wait."""
    most = case.rate * (2 if case.limit == "doubled" else 1)
    return 64 if most < 1_000 else 128 if most < 2_000 else 256


def played(case: Case, seed: int) -> Score:
    return Run(
        LIMITS[case.limit](case.rate, case.seconds, seed),
        seed=seed,
        workers=workers(case),
        trip=jittered,
        refusal=WAIT_A_SECOND if case.limit == "retry" else TURNED_AWAY,
        pace=PACES[case.pace](case.rate, seed),
    ).play(case.seconds)


def all_played(cases: Sequence[Case], seeds: int) -> Iterable[tuple[Case, Sequence[Score]]]:
    """Play all of it, on each core."""
    with ProcessPoolExecutor() as processes:
        waiting = [
            (case, [processes.submit(played, case, seed) for seed in range(1, seeds + 1)])
            for case in cases
        ]
        for case, futures in waiting:
            yield case, [future.result() for future in futures]


def measured(
    limits: Sequence[str], rates: Sequence[int], seconds: float, seeds: int
) -> Mapping[str, Any]:
    cases = [
        Case(limit, rate, pace, seconds) for limit in limits for rate in rates for pace in PACES
    ]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for case, scores in all_played(cases, seeds):
        of_rate = found.setdefault(case.limit, {}).setdefault(str(case.rate), {})
        of_rate[case.pace] = {
            "of_ideal": Figure.of(score.of_ideal for score in scores).as_json(),
            "rejected": Figure.of(score.rejected for score in scores).as_json(),
            "longest": Figure.of(score.longest for score in scores).as_json(),
        }
    return {"seconds": seconds, "seeds": seeds, "limits": found}


def written(figure: Mapping[str, float], times: float) -> str:
    return Figure(**{name: times * value for name, value in figure.items()}).written(1)


def told(found: Mapping[str, Any]) -> str:
    """Return a table of each limit: a rate to a line, and a pace to a column."""
    parts = []
    for limit, rates in found["limits"].items():
        rows = [
            [f"{rate}/s {what}", *(written(figures[pace][key], times) for pace in PACES)]
            for rate, figures in rates.items()
            for what, key, times in ROWS
        ]
        parts.append(table([limit, *PACES], rows))
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.pace", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seconds", type=float, default=None, help="of each run: 120; 30 on the wire"
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rates", nargs="+", type=int, default=[*RATES])
    parser.add_argument("--only", nargs="+", choices=LIMITS, default=[*LIMITS])
    parser.add_argument("--wire", action="store_true", help="the real client against the sandbox")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if min(options.seeds, *options.rates) < 1 or (options.seconds or 120) <= 0:
        parser.error("--seeds, --rates and --seconds must be above 0")
    if options.wire:
        names = [name for name in options.only if name in WIRED]
        found = wired(
            names, options.rates, options.seconds or 30, lambda told: print(told, file=sys.stderr)
        )
    else:
        found = measured(options.only, options.rates, options.seconds or 120, options.seeds)
    print(
        json.dumps(found) if options.json else told_of_wire(found) if options.wire else told(found)
    )


def told_of_wire(found: Mapping[str, Any]) -> str:
    rows = [
        [f"{one['limit']} {one['rate']}/s", f"{one['seconds']:.0f}"]
        + [f"{100 * one[key]:.1f}" for key in ("of_ideal", "rejected")]
        for one in found["wire"]
    ]
    return table(["on the wire, in %", "seconds", "of the ideal", "rejected"], rows)


if __name__ == "__main__":
    main()
