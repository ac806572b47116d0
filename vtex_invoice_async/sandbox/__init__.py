"""A VTEX to test against: on loopback, with its own orders, credentials and count of what it did."""

from __future__ import annotations

from vtex_invoice_async.sandbox.refusals import Refusal
from vtex_invoice_async.sandbox.server import Role, Sandbox

__all__ = ["Refusal", "Role", "Sandbox"]
