"""What VTEX makes of an invoice that it takes."""

from __future__ import annotations

from datetime import datetime

from vtex_invoice_async.models import Invoice, Order, Package, PackageItem
from vtex_invoice_async.sandbox.dates import dotnet
from vtex_invoice_async.sandbox.filed import Filed, Refund

__all__ = ["filed_as"]


def filed_as(invoice: Invoice, order: Order, now: datetime, refund: Refund | None) -> Filed:
    """Return what VTEX keeps of an invoice of *order* that it takes now."""
    package = Package(
        invoice_number=invoice.invoice_number,
        invoice_value=invoice.invoice_value,
        type=invoice.type,
        items=_lines(invoice, order) if invoice.items else _all_lines(order),
        issuance_date=invoice.issuance_date,
        raw_issuance_date=dotnet(invoice.issuance_date),
        invoice_key=invoice.invoice_key,
        invoice_url=invoice.invoice_url,
        courier=invoice.courier,
        tracking_number=invoice.tracking_number,
        tracking_url=invoice.tracking_url,
        cfop=invoice.cfop,
        volumes=invoice.volumes,
    )
    return Filed(
        package=package,
        embedded_invoice=invoice.embedded_invoice,
        items_inferred=not invoice.items,
        refund=refund,
        changed_at=now,
    )


def _lines(invoice: Invoice, order: Order) -> tuple[PackageItem, ...]:
    # Of two lines with one SKU the first is named, whichever was meant (known issue 1008459).
    skus = [line.id for line in order.items]
    return tuple(
        PackageItem(
            item_index=skus.index(item.id) if item.id in skus else item.item_index,
            id=item.id,
            quantity=item.quantity,
            price=item.price,
            description=item.description,
        )
        for item in invoice.items
    )


def _all_lines(order: Order) -> tuple[PackageItem, ...]:
    """Return every line, as VTEX infers them for an invoice without any (known issue 1163668)."""
    return tuple(
        PackageItem(
            item_index=index,
            id=line.id,
            quantity=line.quantity,
            price=line.price if line.selling_price is None else line.selling_price,
        )
        for index, line in enumerate(order.items)
    )
