"""An order as VTEX's GET shows it: every key of the pages' examples, whoever may care for it.

What the sandbox knows of the order is told as it is; the rest is made up by the order's id, the
same each time, and goes with it: sums, dates, the shopper.

https://developers.vtex.com/docs/api-reference/orders-api#get-/api/oms/pvt/orders/-orderId-
https://developers.vtex.com/docs/api-reference/orders-api-pii-version#get-/api/orders/pvt/document/-orderId-
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from vtex_invoice_async.sandbox.documents.delivery import shipping_data
from vtex_invoice_async.sandbox.documents.extras import changes_of_document, extras
from vtex_invoice_async.sandbox.documents.facts import SHOP, SITE, Facts
from vtex_invoice_async.sandbox.documents.items import item_metadata, items
from vtex_invoice_async.sandbox.documents.packages import package_attachment
from vtex_invoice_async.sandbox.documents.payment import (
    client_profile_data,
    invoice_data,
    payment_data,
    tax_data,
)
from vtex_invoice_async.sandbox.documents.workflow import (
    STATUS_DESCRIPTIONS,
    receipt_data,
    workflow_data,
)
from vtex_invoice_async.sandbox.filed import CancelRequest, Shown

__all__ = ["order_document"]

_STORE_PREFERENCES: Final[Mapping[str, object]] = {
    "countryCode": "BRA",
    "currencyCode": "BRL",
    "currencyFormatInfo": {
        "CurrencyDecimalDigits": 2,
        "CurrencyDecimalSeparator": ",",
        "CurrencyGroupSeparator": ".",
        "CurrencyGroupSize": 3,
        "StartsWithCurrencySymbol": True,
    },
    "currencyLocale": 1046,
    "currencySymbol": "R$",
    "timeZone": "E. South America Standard Time",
}
_SALES_CHANNEL: Final[Mapping[str, object]] = {
    "countryCode": None,
    "currencyCode": None,
    "currencyFormatInfo": None,
    "currencyLocale": 0,
    "cultureInfo": None,
    "currencySymbol": None,
    "timeZone": None,
    "id": "1",
    "name": "Loja principal",
    "isActive": True,
}
_MARKETING: Final[Mapping[str, object]] = {
    "utmSource": "sandbox",
    "utmPartner": "",
    "utmMedium": "ppc",
    "utmCampaign": "",
    "coupon": "",
    "utmiCampaign": "",
    "utmipage": "",
    "utmiPart": "",
    "marketingTags": ["sandbox"],
}


def order_document(shown: Shown, *, document: bool, masked: bool) -> dict[str, object]:
    """Return what is answered on the OMS paths, or on the *document* paths (PII), as JSON.

    Where *masked*, the shopper's data is not in it.
    """
    facts = Facts.of(shown, document=document, masked=masked)
    return _common(facts) | _parts(facts) | (_of_document(facts) if document else _of_oms(facts))


def _common(facts: Facts) -> dict[str, object]:
    order = facts.order
    return {
        "orderId": order.order_id,
        "sequence": order.sequence,
        "marketplaceOrderId": order.marketplace_order_id,
        "marketplaceServicesEndpoint": f"{SITE}/api/oms?an={SHOP}",
        "sellerOrderId": order.seller_order_id,
        "origin": order.origin,
        "affiliateId": _affiliate(order.order_id),
        "salesChannel": "1",
        "merchantName": SHOP,
        "status": order.status,
        "workflowIsInError": order.workflow_is_in_error,
        "value": order.value,
        "creationDate": facts.text(facts.created_at),
        "lastChange": facts.text(facts.changed_at),
        "authorizedDate": facts.optional_text(facts.authorized_at),
        "invoicedDate": facts.optional_text(facts.invoiced_at),
        "orderGroup": re.sub(r"-\d{2}$", "", order.order_id),
        "followUpEmail": facts.customer.alias,
        "lastMessage": None,
        "hostname": SHOP,
        "isCompleted": order.is_completed,
        "roundingError": 0,
        "orderFormId": facts.code("order form").lower(),
        "allowCancellation": facts.is_to_be_canceled,
        "allowEdition": False,
        "isCheckedIn": False,
        "checkedInPickupPointId": None,
        "cancelReason": _cancel_reason(facts),
    }


def _parts(facts: Facts) -> dict[str, object]:
    return {
        "totals": [
            {"id": total.id, "name": total.name, "value": total.value}
            | ({"alternativeTotals": None} if facts.document else {})
            for total in facts.order.totals
        ],
        "items": items(facts),
        "itemMetadata": item_metadata(facts),
        "sellers": _sellers(facts),
        "clientProfileData": client_profile_data(facts),
        "clientPreferencesData": {"locale": "pt-BR", "optinNewsLetter": False},
        "shippingData": shipping_data(facts),
        "paymentData": payment_data(facts),
        "invoiceData": invoice_data(facts),
        "packageAttachment": package_attachment(facts),
        "taxData": tax_data(facts),
        "storePreferencesData": {**_STORE_PREFERENCES},
        "ratesAndBenefitsData": _rates_and_benefits(facts),
        "commercialConditionData": None,
        "openTextField": None,
        "marketplaceItems": [],
    }


def _of_oms(facts: Facts) -> dict[str, object]:
    status = facts.order.status or ""
    return {
        "statusDescription": STATUS_DESCRIPTIONS.get(status, status),
        "marketplace": {"baseURL": f"{SITE}/api/oms?an={SHOP}", "isCertified": True, "name": SHOP},
        "marketingData": {"id": "marketingData", **_MARKETING},
        "cancellationData": _upper(_cancellation(facts)),
        **extras(facts),
    }


def _of_document(facts: Facts) -> dict[str, object]:
    canceled_at = facts.canceled_at
    canceled_by = None if canceled_at is None else "loja@sandbox.example"
    local = timedelta(hours=-3)
    return {
        "id": facts.order.order_id,
        "emailTracked": facts.customer.alias,
        "approvedBy": None,
        "canceledBy": canceled_by,
        "cancelledBy": canceled_by,
        "salesChannelData": {**_SALES_CHANNEL},
        "marketingData": {**_MARKETING},
        "contextData": {
            "loggedIn": True,
            "hasAccessToOrderFormEnabledByLicenseManager": False,
            "userAgent": "Mozilla/5.0",
            "userId": facts.guid("profile"),
        },
        "handlingData": None,
        "documentVersion": "2.1.5",
        "appVersion": "1.130.7-api",
        "workflowData": workflow_data(facts),
        "workflowInstanceId": None,
        "receiptData": receipt_data(facts),
        "fingerPrint": facts.guid("finger print"),
        "piiHidden": facts.masked,
        "callCenterOperator": "",
        "state": facts.order.status,
        # The page writes the local time with the `Z` of UTC, and so does this.
        "timeZoneCreationDate": facts.text(facts.created_at + local),
        "timeZoneLastChange": facts.text(facts.changed_at + local),
        "userType": "",
        "creationEnvironment": "STABLE",
        "cancellationData": _cancellation(facts),
        "cancellationRequests": _cancellation_requests(facts),
        **dict.fromkeys(("subscriptionData", "giftRegistryData", "callCenterOperatorData")),
        **dict.fromkeys(("customData", "marketplace")),
        "changesAttachment": changes_of_document(facts),
    }


def _affiliate(order_id: str) -> str:
    found = re.match(r"[A-Z]{3}(?=-)", order_id)
    return found.group() if found else ""


def _cancel_reason(facts: Facts) -> str | None:
    return None if facts.canceled_at is None else facts.cancellations[-1].request.reason


def _sellers(facts: Facts) -> list[dict[str, object]]:
    found = dict.fromkeys(line.seller or "1" for line in facts.order.items)
    sub_seller = {"subSellerId": "1"} if facts.document else {}
    return [
        {
            "id": seller,
            "name": f"Loja {seller}",
            "logo": "",
            "fulfillmentEndpoint": f"{SITE}/api/fulfillment?an={SHOP}",
            **sub_seller,
        }
        for seller in found
    ]


def _rates_and_benefits(facts: Facts) -> dict[str, object]:
    promotion = {
        "id": facts.guid("promotion"),
        "name": "Desconto da caixa de areia",
        "featured": False,
        "description": None,
        "matchedParameters": {},
        "additionalInfo": None,
    }
    shown: dict[str, object] = {"rateAndBenefitsIdentifiers": [promotion]}
    return shown | ({"teaser": None} if facts.document else {"id": "ratesAndBenefitsData"})


def _cancellation(facts: Facts) -> dict[str, object] | None:
    if facts.canceled_at is None:
        return None
    last = facts.cancellations[-1].request
    shown: dict[str, object] = {
        "requestedByUser": last.requested_by_user,
        "requestedBySystem": False,
        "requestedBySellerNotification": False,
        "requestedByPaymentNotification": False,
        "reason": _reason(facts, last),
        "cancellationDate": facts.text(facts.canceled_at),
    }
    if facts.document:
        shown["cancellationRequestId"] = _request_id(facts, len(facts.cancellations) - 1)
    return shown


def _upper(document: Mapping[str, object] | None) -> dict[str, object] | None:
    if document is None:
        return None
    return {key[0].upper() + key[1:]: value for key, value in document.items()}


def _cancellation_requests(facts: Facts) -> list[dict[str, object]] | None:
    denied_at = facts.times.denied_at
    return [
        {
            "id": _request_id(facts, place),
            "reason": _reason(facts, asked.request),
            "cancellationRequestDate": facts.text(asked.at),
            "requestedByUser": asked.request.requested_by_user,
            "deniedBySeller": place == 0 and denied_at is not None,
            "deniedBySellerReason": None,
            "cancellationRequestDenyDate": facts.optional_text(denied_at if place == 0 else None),
        }
        for place, asked in enumerate(facts.cancellations)
    ] or None


def _request_id(facts: Facts, place: int) -> str:
    return facts.code(f"cancellation {place}").lower()


def _reason(facts: Facts, request: CancelRequest) -> str | None:
    # Of the two pages only that of OMS allows for null.
    return request.reason or "" if facts.document else request.reason
