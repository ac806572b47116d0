"""Who pays an order's document, and how: one card, for the whole value."""

from __future__ import annotations

from vtex_invoice_async.sandbox.documents.delivery import address_of
from vtex_invoice_async.sandbox.documents.facts import SHOP, Facts

__all__ = ["client_profile_data", "invoice_data", "payment_data", "tax_data"]


def client_profile_data(facts: Facts) -> dict[str, object]:
    """Return the shopper."""
    customer = facts.customer
    return {
        "id": "clientProfileData",
        "email": customer.email,
        "firstName": customer.first_name,
        "lastName": customer.last_name,
        "documentType": "cpf",
        "document": customer.document,
        "phone": customer.phone,
        "corporateName": None,
        "tradeName": None,
        "corporateDocument": None,
        "stateInscription": None,
        "corporatePhone": None,
        "isCorporate": False,
        "userProfileId": facts.guid("profile"),
        "userProfileVersion": None,
        "customerClass": None,
        "customerCode": None,
    }


def invoice_data(facts: Facts) -> dict[str, object]:
    """Return the address for the invoice: of the two pages only that of PII shows one."""
    shown: dict[str, object] = {"userPaymentInfo": None, "invoiceSubject": None}
    if facts.document:
        return shown | {"address": address_of(facts), "settleInvoices": None}
    return shown | {"address": None}


def payment_data(facts: Facts) -> dict[str, object]:
    """Return the payment."""
    transaction: dict[str, object] = {
        "isActive": True,
        "transactionId": facts.code("transaction"),
        "merchantName": SHOP,
        "payments": [_payment(facts)],
    }
    if facts.document:
        transaction |= {"sharedTransaction": False, "status": None}
    return {"transactions": [transaction], "giftCards": []}


def _payment(facts: Facts) -> dict[str, object]:
    # A card's number, its code and its holder are not shown, as on VTEX's pages but for a code.
    never = dict.fromkeys(
        (
            *("cardHolder", "cardNumber", "cvv2", "expireMonth", "expireYear"),
            *("url", "koinUrl", "redemptionCode", "dueDate", "paymentOrigin", "parentAccountId"),
            *("giftCardId", "giftCardName", "giftCardCaption", "giftCardProvider"),
            "giftCardAsDiscount" if not facts.document else "isGiftCardDiscount",
            "bankIssuedInvoiceIdentificationNumber",
            "bankIssuedInvoiceIdentificationNumberFormatted",
            "bankIssuedInvoiceBarCodeNumber",
            "bankIssuedInvoiceBarCodeType",
        )
    )
    return {
        **never,
        "id": facts.code("payment"),
        "paymentSystem": "2",
        "paymentSystemName": "Visa",
        "value": facts.order.value,
        "installments": 1,
        "referenceValue": facts.order.value,
        "firstDigits": "444433",
        "lastDigits": "1111",
        "group": "creditCard",
        "tid": _tid(facts),
        "accountId": facts.code("account"),
        "connectorResponses": _connector_responses(facts),
        "billingAddress": _billing_address(facts),
    }


def _tid(facts: Facts) -> str:
    return facts.code("tid")[:16]


def _connector_responses(facts: Facts) -> dict[str, object]:
    tid = _tid(facts)
    shown: dict[str, object] = {
        "authId": tid,
        "Tid": tid,
        "ReturnCode": "200",
        "Message": "Approved",
    }
    if facts.document:
        shown |= {
            "tid": tid,
            "authorizationId": tid,
            "status": "approved",
            "delayToAutoSettle": 604_800,
            "nsu": f"{int(facts.code('nsu'), 16) % 10**12:012}",
            "code": "200",
            "message": "Approved",
            "acquirer": SHOP,
            "paymentId": facts.code("payment"),
            "delayToAutoSettleAfterAntifraud": "12000",
        }
    return shown


def _billing_address(facts: Facts) -> dict[str, object]:
    shown = address_of(facts)
    if not facts.document:
        for key in ("addressType", "receiverName", "addressId", "versionId", "entityId"):
            del shown[key]
    return shown


def tax_data(facts: Facts) -> dict[str, object] | None:
    """Return the order's tax as the marketplace reckons it, on the first line; null if none."""
    cents = facts.total("Tax")
    if facts.document or not cents or not facts.order.items:
        return None
    tag = {
        "identifier": facts.guid("tax"),
        "isPercentual": False,
        "name": f"Taxes ({SHOP})",
        "value": cents,
        "rawValue": cents / 100,
    }
    line = {"itemIndex": 0, "sku": facts.order.items[0].id, "priceTags": [tag]}
    return {"areTaxesDesignatedByMarketplace": True, "taxInfoCollection": [line]}
