"""How VTEX writes an order, and how the model has it: what is nested is lifted, and back again."""

from __future__ import annotations

from typing import Any

__all__ = [
    "events_only",
    "flat_order",
    "nested_order",
    "one_price_definition",
    "read_package",
    "written_package",
]


def _without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    """In what VTEX shows, null is as good as absent, for lists too."""
    return {key: value for key, value in document.items() if value is not None}


def one_price_definition(item: dict[str, Any]) -> dict[str, Any]:
    """VTEX's schema says `priceDefinitions`, its example `priceDefinition`: either is read."""
    found = item.get("priceDefinition")
    if found is None:
        found = item.get("priceDefinitions")
    return item | {"priceDefinition": found if isinstance(found, dict) else None}


def events_only(status: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is no event: no word of a courier's may keep an order from being read."""
    found = status.get("data")
    listed = found if isinstance(found, list) else []
    return status | {"data": [event for event in listed if isinstance(event, dict)]}


def read_package(package: dict[str, Any]) -> dict[str, Any]:
    """Keep the date's own text, and what is said of the lines, which need not be said."""
    raw, inferred = package.get("issuanceDate"), package.get("EnableInferItems")
    return _without_nulls(package) | {
        "rawIssuanceDate": raw if isinstance(raw, str) else None,
        "itemsInferred": inferred if isinstance(inferred, bool) else None,
    }


def written_package(package: dict[str, Any]) -> dict[str, Any]:
    """Return a package as `read_package` reads it."""
    raw = package.pop("rawIssuanceDate", None)
    inferred = package.pop("itemsInferred", None)
    named = {} if inferred is None else {"EnableInferItems": inferred}
    return package | named | ({"issuanceDate": raw} if raw else {})


def flat_order(order: dict[str, Any]) -> dict[str, Any]:
    """Lift the packages; null is an order without any, a missing key says nothing."""
    flat = {key: value for key, value in _without_nulls(order).items() if key != "packages"}
    attachment = order.get("packageAttachment", {})
    if attachment is None:
        attachment = {"packages": None}
    if not isinstance(attachment, dict):
        raise ValueError("packageAttachment: must be a JSON object")
    if "packages" in attachment:
        packages = attachment["packages"]
        flat["packages"] = [] if packages is None else packages
    return flat | {"isChanging": _has_open_change(order.get("changesAttachment"))}


def _has_open_change(attachment: Any) -> bool:
    """Whether one of the changes is under way; no word of a change's may keep an order unread.

    By the pages each has a receipt, and known issue 1348894 speaks of a flag `finished`.
    """
    found = attachment.get("changesData") if isinstance(attachment, dict) else None
    changes = found if isinstance(found, list) else []
    return any(_is_open(change) for change in changes if isinstance(change, dict))


def _is_open(change: dict[str, Any]) -> bool:
    if change.get("inProgress") is True or change.get("finished") is False:
        return True
    is_told = change.get("inProgress") is False or change.get("finished") is True
    return not is_told and change.get("receipt") is None


def nested_order(order: dict[str, Any]) -> dict[str, Any]:
    """Return an order as `flat_order` reads it."""
    packages = order.pop("packages", None)
    if order.pop("isChanging", False):
        order["changesAttachment"] = {"changesData": [{"inProgress": True}]}
    return order if packages is None else order | {"packageAttachment": {"packages": packages}}
