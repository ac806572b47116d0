"""How far an order's document says it came: the workflow that the PII page shows, and receipts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.sandbox.documents.facts import Facts

__all__ = ["STATUS_DESCRIPTIONS", "receipt_data", "workflow_data"]

# VTEX's page shows that of `handling`; its Admin shows these names of the others.
STATUS_DESCRIPTIONS: Final[Mapping[str, str]] = {
    OrderStatus.PAYMENT_APPROVED: "Pagamento Aprovado",
    OrderStatus.READY_FOR_HANDLING: "Pronto para o Manuseio",
    OrderStatus.HANDLING: "Preparando Entrega",
    OrderStatus.INVOICE: "Verificando Fatura",
    OrderStatus.INVOICED: "Faturado",
    OrderStatus.CANCELED: "Cancelado",
}
# https://help.vtex.com/en/docs/tutorials/order-flow-and-status
_STEPS: Final = (
    ("order-created", "creating"),
    ("payment-pending", "approving-transaction"),
    ("payment-approved", "approving-transaction"),
    ("ready-for-handling", "handling"),
    ("handling", "handling"),
    ("invoice", "invoice"),
    ("invoiced", "invoiced"),
)
_CANCELED: Final = (*_STEPS[:3], ("cancel", "canceling"), ("canceled", "canceled"))
# Each logical step, where it goes by itself as expected, and whether it may be canceled.
_FLOW: Final = (
    ("creating", "approving-transaction", True),
    ("approving-transaction", "handling", True),
    ("handling", "invoice", True),
    ("invoice", "invoiced", False),
    ("canceling", "canceled", False),
)


def workflow_data(facts: Facts) -> dict[str, object]:
    """Return the order's one workflow."""
    status, order = facts.order.status or "", facts.order
    steps = _passed(status)
    began = facts.created_at
    dates = [facts.text(began + timedelta(minutes=index)) for index in range(len(steps))]
    # The step that the order is at began when it changed last.
    dates[-1] = facts.text(facts.changed_at)
    logical = {parent: date for (_, parent), date in reversed(list(zip(steps, dates, strict=True)))}
    instance = {
        "id": facts.guid("workflow"),
        "name": order.origin,
        "currentStepName": status,
        "currentStepDescription": STATUS_DESCRIPTIONS.get(status, status),
        "lastChange": dates[-1],
        "isInError": bool(order.workflow_is_in_error),
        "isInAutomaticRetry": False,
        "creationDate": dates[0],
        "owner": facts.code("owner"),
        "version": "1.12",
        "timeLine": [
            {"stepName": name, "date": date, "parentStepName": parent}
            for (name, parent), date in zip(steps, dates, strict=True)
        ],
        "logicTimeLine": [
            {"stepName": parent, "date": date} for parent, date in reversed(logical.items())
        ],
        "steps": [_step(*step) for step in _FLOW],
        "currentLogicalStep": steps[-1][1],
    }
    return {"instances": [instance], "mainFlowIndex": 0}


def _passed(status: str) -> tuple[tuple[str, str], ...]:
    flow = _CANCELED if status == OrderStatus.CANCELED else _STEPS
    names = [name for name, _ in flow]
    if status not in names:
        return (*_STEPS[:1], (status, "creating"))
    return flow[: names.index(status) + 1]


def _step(name: str, following: str, may_be_canceled: bool) -> dict[str, object]:
    next_steps: list[dict[str, object]] = [
        {
            "name": following,
            "next": None,
            "systemWillMove": True,
            "actionsAllowed": None,
            "expectFlow": True,
            "isAnEnd": following in {"invoiced", "canceled"},
        }
    ]
    if may_be_canceled:
        next_steps.append(
            {
                "name": "canceling",
                "next": None,
                "systemWillMove": True,
                "actionsAllowed": {"type": "cancel"},
            }
        )
    shown: dict[str, object] = {
        "name": name,
        "next": next_steps,
        "systemWillMove": False,
        "actionsAllowed": None,
    }
    return shown | {"start": True} if name == "creating" else shown


def receipt_data(facts: Facts) -> dict[str, object]:
    """Return what was acknowledged of the payment; the receipts of invoices are never shown."""
    told = (("authorizePayment", facts.authorized_at), ("cancelPayment", facts.canceled_at))
    return {
        "receiptCollection": [
            {"receiptType": kind, "date": facts.text(moment)}
            for kind, moment in told
            if moment is not None
        ]
    }
