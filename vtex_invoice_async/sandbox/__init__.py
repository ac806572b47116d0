"""A VTEX to test against: on loopback, with its own orders, credentials, faults and record."""

from __future__ import annotations

from vtex_invoice_async.sandbox.desk import Role
from vtex_invoice_async.sandbox.faults import Do, Fault, FaultPlan, read_plan
from vtex_invoice_async.sandbox.limit import Limit
from vtex_invoice_async.sandbox.refusals import Refusal
from vtex_invoice_async.sandbox.remarks import Remark
from vtex_invoice_async.sandbox.rules import Rules
from vtex_invoice_async.sandbox.server import Sandbox

__all__ = [
    "Do",
    "Fault",
    "FaultPlan",
    "Limit",
    "Refusal",
    "Remark",
    "Role",
    "Rules",
    "Sandbox",
    "read_plan",
]
