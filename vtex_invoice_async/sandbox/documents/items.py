"""The lines of an order's document, and what the catalog knows of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from vtex_invoice_async.models import OrderItem
from vtex_invoice_async.sandbox.documents.facts import SITE, Facts, product_name

__all__ = ["item_metadata", "items"]

_CATEGORY: Final = (9, "Caixa de areia")
_WEEKLY: Final = "sandbox.subscription.weekly"
_FREQUENCIES: Final = {
    "sandbox.subscription.key.frequency": {
        "MaximumNumberOfCharacters": 7,
        "Domain": ["1 week", "2 week"],
    }
}


def items(facts: Facts) -> list[dict[str, object]]:
    """Return the lines; the model's fields as they are, for an invoice is reckoned by them."""
    return [_item(facts, line) for line in facts.order.items]


def _item(facts: Facts, line: OrderItem) -> dict[str, object]:
    price = line.price or 0
    shown: dict[str, object] = {
        "uniqueId": line.unique_id,
        "id": line.id,
        **_product(line),
        "lockId": f"00-{facts.order.order_id}",
        "quantity": line.quantity,
        "seller": line.seller,
        "sellerSku": line.id,
        "price": line.price,
        "listPrice": price,
        "manualPrice": None,
        "sellingPrice": line.selling_price,
        "costPrice": price * 3 // 5,
        "shippingPrice": None,
        "rewardValue": 0,
        "commission": 0,
        "freightCommission": 0,
        "tax": line.tax,
        "taxCode": None,
        "priceDefinition": _price_definition(line),
        "priceValidUntil": facts.text(facts.created_at + timedelta(days=365)),
        "preSaleDate": None,
        "measurementUnit": "un",
        "unitMultiplier": 1.0,
        "isGift": False,
        "attachments": [],
        "assemblies": [],
        "components": [],
        "offerings": [],
        "parentItemIndex": None,
        "parentAssemblyBinding": None,
        "callCenterOperator": None,
    }
    return shown | (_of_document(facts, line) if facts.document else _of_oms(line))


def _of_oms(line: OrderItem) -> dict[str, object]:
    return {
        "itemAttachment": {"content": {}, "name": None},
        "attachmentOfferings": [{"name": _WEEKLY, "required": False, "schema": _FREQUENCIES}],
        "bundleItems": [{"id": 12, "quantity": line.quantity}],
        "params": [],
        "priceTags": [],
        "serialNumbers": None,
    }


def _of_document(facts: Facts, line: OrderItem) -> dict[str, object]:
    number, name = _CATEGORY
    return {
        "productCategories": {str(number): name},
        "attachmentOfferings": [],
        "bundleItems": [],
        "priceTags": _discount(facts, line),
        "marketingData": None,
    }


def _product(line: OrderItem) -> dict[str, object]:
    number, name = _CATEGORY
    return {
        "productId": f"P{line.id}",
        "ean": None,
        "refId": f"REF-{line.id}",
        "name": product_name(line),
        "imageUrl": f"{SITE}/ids/{line.id}.jpg",
        "detailUrl": f"/{line.id}/p",
        "additionalInfo": {
            "brandName": "Sandbox",
            "brandId": "2000000",
            "categoriesIds": f"/{number}/",
            "categories": [{"id": number, "name": name}],
            "productClusterId": "135",
            "commercialConditionId": "1",
            "dimension": {
                "cubicweight": 1.0,
                "height": 10.0,
                "length": 10.0,
                "weight": 10.0,
                "width": 10.0,
            },
            "offeringInfo": None,
            "offeringType": None,
            "offeringTypeId": None,
        },
    }


def _price_definition(line: OrderItem) -> dict[str, object] | None:
    definition = line.price_definition
    if definition is None:
        return None
    return {
        "calculatedSellingPrice": definition.calculated_selling_price,
        "total": definition.total,
        "sellingPrices": _selling_prices(line.quantity, definition.total or 0),
        "reason": None,
    }


def _selling_prices(quantity: int, total: int) -> list[dict[str, int]]:
    """Share a total that its quantity need not divide: some pieces cost a cent more."""
    if quantity < 1:
        return []
    price, rest = divmod(total, quantity)
    prices = [{"value": price, "quantity": quantity - rest}]
    return [*prices, {"value": price + 1, "quantity": rest}] if rest else prices


def _discount(facts: Facts, line: OrderItem) -> list[dict[str, object]]:
    if line.price is None or line.price_definition is None or line.price_definition.total is None:
        return []
    cents = line.price_definition.total - line.price * line.quantity
    if cents == 0:
        return []
    rule = facts.guid("promotion")
    return [
        {
            "name": f"discount@price-{rule}",
            "rawValue": cents / 100,
            "isPercentual": False,
            "identifier": rule,
            "rate": None,
            "jurisCode": None,
            "jurisType": None,
            "jurisName": None,
        }
    ]


def item_metadata(facts: Facts) -> dict[str, object]:
    """Return what the catalog knows of each SKU; the two pages differ in the case of the keys."""
    found = {line.id: line for line in facts.order.items}
    shown = [_metadata(line) for line in found.values()]
    if not facts.document:
        return {"Items": shown}
    options = [_lower(_assembly_option())]
    return {"items": [_lower(one) | {"assemblyOptions": options} for one in shown]}


def _metadata(line: OrderItem) -> dict[str, object]:
    return {
        "Id": line.id,
        "Seller": line.seller or "1",
        "Name": product_name(line),
        "SkuName": product_name(line),
        "ProductId": f"P{line.id}",
        "RefId": f"REF-{line.id}",
        "Ean": "",
        "ImageUrl": f"{SITE}/ids/{line.id}.jpg",
        "DetailUrl": f"/{line.id}/p",
        "AssemblyOptions": [_assembly_option()],
    }


def _assembly_option() -> dict[str, object]:
    return {
        "Id": _WEEKLY,
        "Name": _WEEKLY,
        "Required": False,
        "InputValues": _FREQUENCIES,
        "Composition": None,
    }


def _lower(document: Mapping[str, object]) -> dict[str, object]:
    return {key[0].lower() + key[1:]: value for key, value in document.items()}
