"""Where an order's document says the parcel goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vtex_invoice_async.models import OrderItem
from vtex_invoice_async.sandbox.documents.facts import SHOP, SITE, Facts

__all__ = ["address_of", "shipping_data"]

_STORE_ADDRESS: Final[Mapping[str, object]] = {
    "addressType": "pickup",
    "receiverName": None,
    "addressId": "SANDBOX-RJ",
    "versionId": None,
    "entityId": None,
    "postalCode": "22250040",
    "city": "Rio de Janeiro",
    "state": "RJ",
    "country": "BRA",
    "street": "Avenida da Loja",
    "number": "300",
    "neighborhood": "Botafogo",
    "complement": "Loja 4",
    "reference": None,
    "geoCoordinates": [-43.18259, -22.94436],
}
_NO_STORE: Final[Mapping[str, object]] = {
    "additionalInfo": None,
    "address": None,
    "dockId": None,
    "friendlyName": None,
    "isPickupStore": False,
}
_PICKUP_POINT: Final = "1_SANDBOX-RJ"
_CARRIER: Final = "Transportadora Sandbox"


def shipping_data(facts: Facts) -> dict[str, object]:
    """Return the address, and for each line the freight and how it travels."""
    address = _destination(facts)
    shown: dict[str, object] = {
        "address": address,
        "logisticsInfo": [
            _logistics(facts, index, line) for index, line in enumerate(facts.order.items)
        ],
        "trackingHints": _tracking_hints(facts),
        "selectedAddresses": [address],
    }
    if facts.document:
        return shown | {"availableAddresses": [address], "contactInformation": []}
    return shown | {"id": "shippingData", "contactInformation": [_contact(facts)]}


def address_of(facts: Facts) -> dict[str, object]:
    """Return where the shopper lives."""
    customer = facts.customer
    return _in_family(
        facts,
        {
            "addressType": "residential",
            "receiverName": customer.name,
            "addressId": facts.code("address").lower(),
            "versionId": None,
            "entityId": None,
            "postalCode": customer.postal_code,
            "city": customer.city,
            "state": customer.state,
            "country": "BRA",
            "street": customer.street,
            "number": customer.number,
            "neighborhood": customer.neighborhood,
            "complement": customer.complement,
            "reference": None,
            "geoCoordinates": list(customer.coordinates),
        },
    )


def _in_family(facts: Facts, address: Mapping[str, object]) -> dict[str, object]:
    return {**address, "contactId": None} if facts.document else {**address}


def _destination(facts: Facts) -> dict[str, object]:
    if facts.is_picked_up:
        return _in_family(facts, {**_STORE_ADDRESS, "receiverName": facts.customer.name})
    return address_of(facts)


def _store(facts: Facts) -> dict[str, object]:
    return {
        "additionalInfo": None,
        "address": _in_family(facts, _STORE_ADDRESS),
        "dockId": None,
        "friendlyName": "Loja Sandbox",
        "isPickupStore": True,
    }


def _logistics(facts: Facts, index: int, line: OrderItem) -> dict[str, object]:
    freight, picked_up = facts.freights[index], facts.is_picked_up
    delivery, pickup = _slas(facts, line, freight)
    chosen = pickup if picked_up else delivery
    # The OMS page knows of no address here, though of one in each of the `slas`.
    store = _store(facts) if facts.document else _store(facts) | {"address": None}
    channel = {"selectedDeliveryChannel": chosen["deliveryChannel"], "itemId": line.id}
    return {
        "itemIndex": index,
        "selectedSla": chosen["id"],
        "lockTTL": chosen["lockTTL"],
        "price": freight,
        "listPrice": freight,
        "sellingPrice": freight,
        "deliveryWindow": None,
        "deliveryCompany": _CARRIER,
        "shippingEstimate": chosen["shippingEstimate"],
        "shippingEstimateDate": facts.text(facts.estimated_at),
        "slas": [delivery, pickup],
        "shipsTo": ["BRA"],
        "deliveryIds": [_delivery_id(facts, line)],
        "deliveryChannels": [
            {"id": "delivery", "stockBalance": 0},
            {"id": "pickup-in-point", "stockBalance": 0},
        ],
        "deliveryChannel": chosen["deliveryChannel"],
        "pickupStoreInfo": store if picked_up else {**_NO_STORE},
        "addressId": _destination(facts)["addressId"],
        "versionId": None,
        "entityId": None,
        "polygonName": "",
        "pickupPointId": _PICKUP_POINT if picked_up else None,
        "transitTime": chosen["transitTime"],
        **(channel if facts.document else {}),
    }


def _slas(
    facts: Facts, line: OrderItem, freight: int
) -> tuple[dict[str, object], dict[str, object]]:
    shown: dict[str, object] = {
        "deliveryWindow": None,
        "price": freight,
        "polygonName": "",
        "lockTTL": "10d",
    }
    if facts.document:
        shown |= {
            "tax": 0,
            "listPrice": freight,
            "availableDeliveryWindows": [],
            "shippingEstimateDate": facts.text(facts.estimated_at),
            "deliveryIds": [_delivery_id(facts, line)],
        }
    delivery = {
        "id": "Normal",
        "name": "Normal",
        "shippingEstimate": "4bd",
        "deliveryChannel": "delivery",
        "pickupStoreInfo": {**_NO_STORE},
        # The OMS page does not say that it may be null.
        "pickupPointId": None if facts.document else "",
        "transitTime": "3d",
        "pickupDistance": 0.0,
    }
    pickup = {
        "id": "Retirada",
        "name": "Retirada",
        "shippingEstimate": "1bd",
        "deliveryChannel": "pickup-in-point",
        "pickupStoreInfo": _store(facts),
        "pickupPointId": _PICKUP_POINT,
        "transitTime": "0d",
        "pickupDistance": 17.5,
    }
    return shown | delivery, shown | pickup


def _delivery_id(facts: Facts, line: OrderItem) -> dict[str, object]:
    shown: dict[str, object] = {
        "courierId": "1",
        "courierName": _CARRIER,
        "dockId": "1",
        "quantity": line.quantity,
        "warehouseId": "1_1",
        "accountCarrierName": SHOP,
        "kitItemDetails": [],
    }
    return shown | {"totalListPrice": None} if facts.document else shown


def _tracking_hints(facts: Facts) -> list[dict[str, object]]:
    return [
        {
            "trackingId": facts.code("hint"),
            "courierName": _CARRIER,
            "trackingUrl": f"{SITE}/labels?orderId={facts.order.order_id}",
            "trackingLabel": _CARRIER,
        }
    ]


def _contact(facts: Facts) -> dict[str, object]:
    customer = facts.customer
    return {
        "id": "0",
        "email": customer.email,
        "firstName": customer.first_name,
        "lastName": customer.last_name,
        "phone": customer.phone,
        "document": customer.document,
        "documentType": "cpf",
        "entityId": facts.guid("contact"),
        "versionId": facts.guid("contact version"),
    }
