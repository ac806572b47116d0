"""Bulk jobs that survive whatever happens to them: a journal, and runs over it."""

from __future__ import annotations

from vtex_invoice_async.jobs.api import resolve, resume, run
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.summary import Summary

__all__ = ["Journal", "Summary", "resolve", "resume", "run"]
