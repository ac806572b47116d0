"""Invoices from files."""

from __future__ import annotations
