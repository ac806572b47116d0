"""VTEX's closed words: those that a caller chooses from, so that a new one is a new release."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["InvoiceType", "OrdersApi"]


class InvoiceType(StrEnum):
    """What an invoice does to the order."""

    OUTPUT = "Output"
    """A sale: it settles money."""

    INPUT = "Input"
    """A return: on a fully invoiced order VTEX refunds the shopper by itself."""


class OrdersApi(StrEnum):
    """Which of VTEX's dialects an account speaks."""

    OMS = "oms"
    """`/api/oms/pvt/orders/...`, the default."""

    PII = "pii"
    """`/api/orders/pvt/document/...`, for accounts with protected personal data."""

    PII_2022 = "pii-2022"
    """The PII paths with the names that their first clients sent: `issuanceDate`, `items[].id`."""
