"""What is installed: what it is read by, what it lacks, and what is older than it may be."""

from __future__ import annotations

import re
import sqlite3
import ssl
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from vtex_invoice_async.cli.doctor.finding import Finding, ok, warning

__all__ = ["look_at_versions"]

OURS: Final = "vtex-invoice-async"
TOLD: Final = ("aiohttp", "attrs", "cattrs", "orjson", "backoff", "click", "rich")

EXTRAS: Final = {
    "parquet": "Parquet files",
    "nfe": "NF-e: files, folders and zips",
    "report": "`vtex-invoice report`",
    "otel": "spans and metrics of OpenTelemetry",
}
"""What each is for."""

_NAME: Final = r"(?P<name>[\w.-]+)"
_FLOOR: Final = r"[^;]*?>=\s*(?P<floor>\d+(?:\.\d+)*)"
_EXTRA: Final = r"""extra\s*==\s*['"](?P<extra>[\w-]+)['"]"""


def look_at_versions() -> list[Finding]:
    """Return what is installed, of ours and of others."""
    python = ".".join(map(str, sys.version_info[:3]))
    found = [f"{OURS} {_version(OURS)}", f"Python {python} ({sys.platform})"]
    found += [f"{name} {_version(name)}" for name in TOLD]
    found += [" ".join(ssl.OPENSSL_VERSION.split()[:2]), f"SQLite {sqlite3.sqlite_version}"]
    told = ", ".join(found)
    if old := list(_outdated()):
        advice = f"pip install --upgrade '{OURS}[cli]'"
        return [warning("versions", f"{', '.join(old)}; {told}", advice), _extras()]
    return [ok("versions", told), _extras()]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _outdated() -> Iterator[str]:
    """Yield what is older than this version needs, as pip allows where others ask for it."""
    for line in requires(OURS) or ():
        match = re.match(_NAME + _FLOOR, line)
        is_ours = match is not None and (there := _version(match["name"])) is not None
        if match is None or not is_ours or there is None:
            continue
        if _numbers(there) < _numbers(match["floor"]):
            yield f"{match['name']} {there} is older than {match['floor']}"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("+")[0])[:3])


def _extras() -> Finding:
    """Say which of the extras are installed; none has to be."""
    needed: dict[str, list[str]] = {extra: [] for extra in EXTRAS}
    for line in requires(OURS) or ():
        name, extra = re.match(_NAME, line), re.search(_EXTRA, line)
        if name is not None and extra is not None and extra["extra"] in needed:
            needed[extra["extra"]].append(name["name"])
    there = {extra: all(map(_version, names)) for extra, names in needed.items() if names}
    installed = [extra for extra, is_there in there.items() if is_there]
    missing = [
        f"{extra} (for {EXTRAS[extra]})" for extra, is_there in there.items() if not is_there
    ]
    told = f"installed: {', '.join(installed) or 'none'}"
    if not missing:
        return ok("extras", told)
    advice = f"where you need one: pip install '{OURS}[NAME]'"
    return ok("extras", f"{told}; not installed: {', '.join(missing)}", advice)
