"""The packages of an order's document: one for each invoice."""

from __future__ import annotations

from vtex_invoice_async.models import CourierStatus, OrderItem, PackageItem
from vtex_invoice_async.sandbox.documents.facts import Facts, product_name
from vtex_invoice_async.sandbox.filed import Filed, Refund

__all__ = ["package_attachment"]


def package_attachment(facts: Facts) -> dict[str, object]:
    """Return every invoice as VTEX shows it; what the invoice did not say is null."""
    return {"packages": [_package(facts, filed) for filed in facts.filed]}


def _package(facts: Facts, filed: Filed) -> dict[str, object]:
    package = filed.package
    # Known issue 1330069: reckoned anew each time, by what the order is worth by then.
    renamed = (package.invoice_value or 0) >= facts.order.value
    shown: dict[str, object] = {
        "items": [_item(facts, item, renamed=renamed) for item in package.items],
        "courier": package.courier,
        "invoiceNumber": package.invoice_number,
        "invoiceValue": package.invoice_value,
        "invoiceUrl": package.invoice_url,
        "issuanceDate": package.raw_issuance_date or facts.optional_text(package.issuance_date),
        "trackingNumber": package.tracking_number,
        "invoiceKey": package.invoice_key,
        "trackingUrl": package.tracking_url,
        "embeddedInvoice": filed.embedded_invoice or "",
        "type": package.type,
        "courierStatus": _courier_status(package.courier_status),
        "cfop": package.cfop,
        "restitutions": _restitutions(facts, filed.refund),
        "volumes": package.volumes,
    }
    if facts.document:
        changed_at = filed.changed_at or package.issuance_date or facts.created_at
        shown["description"] = None
        shown["lastChange"] = facts.text(changed_at)
    else:
        shown["EnableInferItems"] = filed.items_inferred
    return shown


def _item(facts: Facts, item: PackageItem, *, renamed: bool) -> dict[str, object]:
    line = _line(facts, item.item_index) if renamed else None
    description = item.description if line is None else product_name(line)
    shown: dict[str, object] = {
        "itemIndex": item.item_index,
        "quantity": item.quantity,
        "price": item.price,
        "description": description,
        "unitMultiplier": 1.0,
    }
    # Only the PII page shows which SKU it is, and it does not allow for null.
    if facts.document:
        shown["id"] = item.id if item.id is not None else _sku(facts, item.item_index)
        shown["description"] = description or ""
    return shown


def _courier_status(status: CourierStatus | None) -> dict[str, object] | None:
    if status is None:
        return None
    return {
        "status": status.status,
        "finished": status.finished,
        "deliveredDate": status.delivered_date,
        "data": [
            {
                "lastChange": event.last_change,
                "city": event.city,
                "state": event.state,
                "description": event.description,
                "createDate": event.create_date,
            }
            for event in status.data
        ],
    }


def _restitutions(facts: Facts, refund: Refund | None) -> dict[str, object] | None:
    if refund is None:
        # Of the two pages only that of PII allows for null.
        return None if facts.document else {}
    items = [
        {
            "useFreight": False,
            "isCompensation": False,
            "compensationValue": 0,
            "id": item.id if item.id is not None else _sku(facts, item.item_index),
            "quantity": item.quantity,
            "price": item.price,
            "description": item.description or "",
        }
        for item in refund.items
    ]
    told = {"value": refund.value, "giftCardData": None, "items": items}
    return {"refund" if facts.document else "Refund": told}


def _sku(facts: Facts, index: int | None) -> str | None:
    line = _line(facts, index)
    return None if line is None else line.id


def _line(facts: Facts, index: int | None) -> OrderItem | None:
    lines = facts.order.items
    return lines[index] if index is not None and index < len(lines) else None
