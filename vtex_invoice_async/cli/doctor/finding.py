"""What a check found, and what the checks together come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, TypeAlias

from attrs import frozen

from vtex_invoice_async.jobs.summary import Exit

__all__ = ["Finding", "Status", "Tell", "failed", "ok", "skipped", "warning", "worst"]


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@frozen(kw_only=True)
class Finding:
    """What one check found."""

    name: str
    """Stable, for programs."""

    status: Status
    found: str
    advice: str | None = None
    """What to do; None where there is nothing to be done."""

    code: Exit = Exit.CONFIRMED
    """What the command ends with, were this all that is wrong."""


Tell: TypeAlias = Callable[[Finding], None]

# Who must act comes before who may wait, as where a run ends.
_ORDER: Final = (
    *(Exit.INTERNAL, Exit.DISK, Exit.UNAUTHORIZED),
    *(Exit.USAGE, Exit.BAD_INPUT, Exit.UNANSWERED, Exit.NOT_SENT),
)


def ok(name: str, found: str, advice: str | None = None) -> Finding:
    """Return that all is well."""
    return Finding(name=name, status=Status.OK, found=found, advice=advice)


def warning(name: str, found: str, advice: str) -> Finding:
    """Return what is worth a look."""
    return Finding(name=name, status=Status.WARNING, found=found, advice=advice)


def failed(name: str, found: str, advice: str, code: Exit) -> Finding:
    """Return what has to be mended."""
    return Finding(name=name, status=Status.FAILED, found=found, advice=advice, code=code)


def skipped(name: str, because: str) -> Finding:
    """Return why a check was not made."""
    return Finding(name=name, status=Status.SKIPPED, found=because)


def worst(findings: Iterable[Finding]) -> Exit:
    """Return the exit code that says the most."""
    codes = {finding.code for finding in findings}
    return next((code for code in _ORDER if code in codes), Exit.CONFIRMED)
