"""What few orders have, and the example of VTEX's OMS page nevertheless shows."""

from __future__ import annotations

from datetime import timedelta

from vtex_invoice_async.sandbox.documents.facts import SHOP, Facts

__all__ = ["changes_of_document", "extras"]


def extras(facts: Facts) -> dict[str, object]:
    """Return a subscription, an app's fields, a change, an operator and a list of gifts."""
    return {
        "subscriptionData": _subscription(facts),
        "customData": _custom_data(facts),
        "changesAttachment": _changes(facts, [_finished_change(facts)]),
        "callCenterOperatorData": {
            "id": "callCenterOperatorData",
            "email": "operador@sandbox.example",
            "userName": "operador",
        },
        "giftRegistryData": {
            "giftRegistryId": "154",
            "giftRegistryType": "9",
            "giftRegistryTypeName": "Lista de casamento",
            "addressId": facts.code("gift registry").lower(),
            "description": "Lista da caixa de areia",
        },
    }


def _subscription(facts: Facts) -> dict[str, object] | None:
    if not facts.order.items:
        return None
    plan = {
        "type": "RECURRING_PAYMENT",
        "frequency": {"periodicity": "MONTH", "interval": 1},
        "validity": {"begin": facts.text(facts.created_at), "end": None},
    }
    subscription = {
        "ExecutionCount": 1,
        "PriceAtSubscriptionDate": (facts.order.items[0].price or 0) / 100,
        "ItemIndex": 0,
        "Plan": plan,
    }
    return {"SubscriptionGroupId": facts.code("subscription"), "Subscriptions": [subscription]}


def _custom_data(facts: Facts) -> dict[str, object]:
    app = {
        "id": f"{SHOP}-marketplace",
        "major": 1,
        "fields": {
            "marketplacePaymentCnpjAcquirers": "00.000.000/0001-91",
            "marketplacePaymentAuthorizationCodes": facts.code("tid")[:6],
            "marketplacePaymentCreditCardBrands": "Visa",
            "marketplacePaymentMethods": "CreditCard",
        },
    }
    fields = [
        {
            "linkedEntity": {"type": "item", "id": line.unique_id},
            "fields": [{"name": "Centro de custo", "value": "CC3"}],
        }
        for line in facts.order.items
        if line.unique_id is not None
    ]
    return {"customApps": [app], "customFields": fields}


def changes_of_document(facts: Facts) -> dict[str, object] | None:
    """Return what the PII page shows of changes."""
    return _changes(facts, []) if facts.order.is_changing else None


def _changes(facts: Facts, finished: list[dict[str, object]]) -> dict[str, object]:
    # Known issue 1348894 has a flag for it, and no page shows where: both of its names are told.
    under_way = {
        "reason": "Pedido do cliente",
        "discountValue": 0,
        "incrementValue": 0,
        "itemsAdded": [],
        "itemsRemoved": [],
        "receipt": None,
        "inProgress": True,
        "finished": False,
    }
    found = [*finished, *([under_way] if facts.order.is_changing else [])]
    return {"id": "changeAttachment", "changesData": found}


def _finished_change(facts: Facts) -> dict[str, object]:
    """Tell of a piece that was taken out before: the order's sums are those of after."""
    removed = {
        "id": "1000000",
        "name": "Produto 1000000",
        "quantity": 1,
        "price": 3290,
        "unitMultiplier": None,
    }
    receipt = {
        "date": facts.text(facts.created_at + timedelta(minutes=3)),
        "orderId": facts.order.order_id,
        "receipt": facts.guid("change"),
    }
    return {
        "reason": "Pedido do cliente",
        "discountValue": 3290,
        "incrementValue": 0,
        "itemsAdded": [],
        "itemsRemoved": [removed],
        "receipt": receipt,
    }
