"""Whatever is wrong with files, each output tells all of it, once, and by its kind."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_check import TIME, sound, with_key
from vtex_invoice_async.cli.check import CheckOptions, run_check
from vtex_invoice_async.cli.spreadsheet import harmless
from vtex_invoice_async.errors import Problem
from vtex_invoice_async.jobs.findings import Findings
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import RowProblem
from vtex_invoice_async.jobs.sources import read
from vtex_invoice_async.vocabulary import OrdersApi

KEYS = [
    "sku",
    "=1+1",
    "-a;@b",
    " +x",
    "items[7]",
    "items[7].price",
    "ção",
    "\uff1d1",
    "a\nb",
    '"=1',
]
orders, numbers = st.sampled_from(["1-01", "2-01"]), st.sampled_from(["NFe1", "=2", "N F", "a/b#c"])
rows = st.one_of(
    st.builds(sound, orders, numbers),
    st.builds(lambda *at: sound(*at, issuanceDate=TIME), orders, numbers),
    st.builds(lambda *at: sound(*at, type="Input"), orders, numbers),
    st.builds(lambda key: sound() | {key: 1}, st.sampled_from(KEYS)),
    st.builds(with_key, st.sampled_from(KEYS), st.integers(0, 1), st.integers(0, 1)),
)
lines = rows.map(lambda row: json.dumps(row).encode()) | st.sampled_from(
    [b"", b"{", b"\xff", b"[]"]
)
files = st.lists(st.lists(lines, max_size=6).map(b"\n".join), min_size=1, max_size=3)


Kind = tuple[str, str, str, str]


def kind_of(told: RowProblem) -> Kind:
    problem = told.problem
    return kind(problem.severity, problem.code, problem.field, problem.message, problem.source)


def kind(
    severity: str, code: str, field: str, message: str, source: str | None, *_: object
) -> Kind:
    """What is wrong with a line as a whole is of one kind where it is said in the same words."""
    words = "" if field or source else re.sub("[0-9]+|'[^']*'", "", message)
    return severity, code, re.sub(r"\[[0-9]+\]", "[]", field), words


def columns_of(told: RowProblem, only: str) -> tuple[Any, ...]:
    problem = told.problem
    return (
        *(problem.severity, problem.code, problem.field, problem.message, problem.source),
        *(told.file or only, told.line, told.column),
    )


def in_plan(paths: list[str], *, strict: bool) -> tuple[list[RowProblem], bool]:
    """What a plan yields, and whether it can be sent as it is."""
    with Plan(OrdersApi.OMS, strict=strict) as plan:
        told = list(plan.take(read(paths, OrdersApi.OMS)))
        return told, bool(plan.planned and not plan.invalid)


def checked(paths: list[str], output: str, *, strict: bool) -> tuple[int, bytes]:
    """The exit code and the output of the command, in this process."""
    options = CheckOptions(
        account=None, orders_api="oms", base_url=None, env_file=None,
        files=tuple(paths), format_=None, order_id_from=None, strict=strict, verify=False,
        output=output, quiet=True,
    )  # fmt: skip
    raw = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(raw)), redirect_stderr(io.StringIO()):
        code = run_check(options)
        sys.stdout.flush()
        return code, raw.getvalue()


def each(kinds: Iterable[Any]) -> list[Any]:
    """Each run of equals once."""
    return [kind for kind, _ in groupby(kinds)]


def on_disk(check: Callable[..., None]) -> Callable[..., None]:
    def with_paths(contents: list[bytes], strict: bool) -> None:
        with TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{n}.jsonl" for n in range(len(contents))]
            for path, content in zip(paths, contents, strict=True):
                path.write_bytes(content)
            check([str(path) for path in paths], strict)

    with_paths.__name__ = check.__name__
    return settings(max_examples=60, deadline=None)(given(files, st.booleans())(with_paths))


@on_disk
def test_the_kinds_add_up_to_what_a_plan_yields(paths: list[str], strict: bool) -> None:
    told, _ = in_plan(paths, strict=strict)

    with Findings() as findings:
        findings.keep(told)
        groups = [*findings.groups("refuse", 2), *findings.groups("warn", 2)]
        counts = Counter({kind_of(group.first[0]): group.count for group in groups})
        totals = [findings.counts("refuse"), findings.counts("warn")]

    assert counts == Counter(map(kind_of, told))
    assert len(counts) == len(groups) == sum(kinds for kinds, _ in totals)
    assert sum(count for _, count in totals) == len(told)
    for group in groups:
        (one,) = set(map(kind_of, group.first))
        assert group.field == one[2]
        assert len(group.first) == min(2, group.count)


@on_disk
def test_json_lines_hold_each_problem_once_and_in_order(paths: list[str], strict: bool) -> None:
    told, is_sound = in_plan(paths, strict=strict)

    code, raw = checked(paths, "jsonl", strict=strict)

    found = [tuple(json.loads(line).values()) for line in raw.splitlines()]
    assert Counter(found) == Counter(columns_of(one, paths[0]) for one in told)
    kinds = [kind(*row) for row in found]
    counts = Counter(kinds)
    order = sorted(counts, key=lambda one: (one[0] == "warn", -counts[one], *one[1:]))
    assert each(kinds) == order
    for one in counts:
        places = [
            (paths.index(row[5]), row[6], row[7])
            for row, its in zip(found, kinds, strict=True)
            if its == one
        ]
        assert places == sorted(places)
    assert code == (0 if is_sound else 65)


@on_disk
def test_csv_holds_the_same_and_no_formula(paths: list[str], strict: bool) -> None:
    _, as_json = checked(paths, "jsonl", strict=strict)

    code, raw = checked(paths, "csv", strict=strict)

    _, *found = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    assert found == [
        ["" if cell is None else harmless(str(cell)) for cell in json.loads(line).values()]
        for line in as_json.splitlines()
    ]
    assert not any(cell.lstrip("\"' ").startswith(("=", "+", "-", "@", "\uff1d"))
                   for row in found for cell in row if not cell.startswith("'"))  # fmt: skip
    assert code == checked(paths, "table", strict=strict)[0]


def many(count: int) -> Iterator[RowProblem]:
    for n in range(count):
        problem = Problem(code="range", field=f"items[{n}].price", message=f"must be {n}")
        other = Problem(code="url", field="invoiceUrl", message="?", severity="warn", source="page")
        yield RowProblem(file=f"{n // 1_000}", line=n + 1, column=7, problem=problem)
        yield RowProblem(file=f"{n // 1_000}", line=n + 1, column=1, problem=other)


def test_of_many_all_are_kept_in_the_order_of_reading() -> None:
    count = 3_000

    with Findings() as findings:
        findings.keep(many(count))
        (refused,) = findings.groups("refuse", 3)
        told = list(findings)

    assert refused.first == tuple(list(many(3))[::2])
    assert (refused.count, refused.field) == (count, "items[].price")
    everything = list(many(count))
    assert told == everything[::2] + everything[1::2]


def test_of_lines_that_are_bad_in_two_ways_both_are_told() -> None:
    messages = ["line 3 may be a part of it", "the row has 1 cell", "line 8 may be a part of it"]
    found = [
        RowProblem(line=n, column=1, problem=Problem(code="line", field="", message=message))
        for n, message in enumerate(messages, 1)
    ]

    with Findings() as findings:
        findings.keep(found)
        groups = list(findings.groups("refuse", 9))

    assert [[told.line for told in group.first] for group in groups] == [[1, 3], [2]]
