"""What a command that failed says, and what it ends with."""

from __future__ import annotations

import errno
import traceback
from typing import Final

import click

from vtex_invoice_async.errors import ConfigError, JournalError, VtexInvoiceError, printable

__all__ = ["tell_failure"]

USAGE: Final = 2
INTERNAL: Final = 70
DISK: Final = 74

FULL: Final = {errno.ENOSPC, errno.EDQUOT}
"""What no command is to blame for."""


def tell_failure(error: Exception) -> int:
    """Say on stderr what went wrong; return the exit code."""
    if isinstance(error, VtexInvoiceError):
        click.echo(f"vtex-invoice: {error}", err=True)
        return _exit_of(error)
    if isinstance(error, OSError) and error.errno in FULL:
        where = printable(str(error.filename or "stdout"), 200)
        told = f"{where}: {error.strerror}; it is not whole: make room, and try again"
        click.echo(f"vtex-invoice: {told}", err=True)
        return DISK
    traceback.print_exception(error)
    click.echo(
        "vtex-invoice: this is a bug: report the lines above; `status` knows what was sent",
        err=True,
    )
    return INTERNAL


def _exit_of(error: VtexInvoiceError) -> int:
    if isinstance(error, JournalError):
        # It costs more to import than most failures need.
        from vtex_invoice_async.jobs.summary import exit_of

        return exit_of(error)
    return USAGE if isinstance(error, ConfigError) else INTERNAL
