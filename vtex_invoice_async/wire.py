"""VTEX's names and encodings: one cattrs converter a dialect, built when it is first asked for.

Reading is strict where money is: 24.99 never becomes 24, None never "None", True never 1. It is
open where VTEX may grow: keys that are not known here are ignored, except by `row_converter`,
which reads what people write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any, Final, TypeVar, get_origin

import orjson
from attrs import AttrsInstance, evolve, fields
from cattrs import AttributeValidationNote, Converter, IterableValidationNote
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError
from cattrs.fns import identity
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from vtex_invoice_async import encodings, order_shapes
from vtex_invoice_async.errors import InvalidInvoice, Problem, printable
from vtex_invoice_async.models import (
    CourierEvent,
    CourierStatus,
    Invoice,
    InvoiceItem,
    Order,
    OrderItem,
    OrderStatus,
    OrderTotal,
    Package,
    PackageItem,
    PriceDefinition,
    Receipt,
    TrackingEvent,
    TrackingInfo,
    TrackingStatus,
)
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

__all__ = [
    "INVOICE_NAMES",
    "ITEM_NAMES",
    "converter",
    "encode_body",
    "inexpressible",
    "problems_of",
    "read",
    "row_converter",
]

T = TypeVar("T")

_EVERYWHERE: Final = {
    "type": "type",
    "invoice_number": "invoiceNumber",
    "invoice_value": "invoiceValue",
    "items": "items",
    "invoice_key": "invoiceKey",
    "invoice_url": "invoiceUrl",
    "courier": "courier",
    "tracking_number": "trackingNumber",
    "tracking_url": "trackingUrl",
}
_BY_SKU: Final = _EVERYWHERE | {
    "issuance_date": "issuanceDate",
    "embedded_invoice": "embeddedInvoice",
    "dispatched_date": "dispatchedDate",
}

# What each dialect calls the fields of an invoice; a field without a row does not exist there.
# https://developers.vtex.com/docs/api-reference/orders-api#post-/api/oms/pvt/orders/-orderId-/invoice
# https://developers.vtex.com/docs/api-reference/orders-api-pii-version#post-/api/orders/pvt/document/-orderId-/invoices
INVOICE_NAMES: Final[Mapping[OrdersApi, Mapping[str, str]]] = {
    OrdersApi.OMS: _BY_SKU,
    OrdersApi.PII: _EVERYWHERE
    | {
        "issuance_date": "issuedDate",
        "extra_value": "extraValue",
        "cfop": "cfop",
        "volumes": "volumes",
    },
    OrdersApi.PII_2022: _BY_SKU,
}
_PRICE_AND_QUANTITY: Final = {"price": "price", "quantity": "quantity"}
ITEM_NAMES: Final[Mapping[OrdersApi, Mapping[str, str]]] = {
    OrdersApi.OMS: _PRICE_AND_QUANTITY | {"id": "id", "description": "description"},
    OrdersApi.PII: _PRICE_AND_QUANTITY | {"item_index": "itemIndex"},
    OrdersApi.PII_2022: _PRICE_AND_QUANTITY | {"id": "id"},
}


@cache
def converter(orders_api: OrdersApi) -> Converter:
    """Return the shared converter of a dialect, for both directions."""
    return _make(orders_api, forbid_extra_keys=False)


@cache
def row_converter(orders_api: OrdersApi) -> Converter:
    """Return the shared converter for what people write: a key that is not known is an error."""
    return _make(orders_api, forbid_extra_keys=True)


def encode_body(value: object, orders_api: OrdersApi) -> bytes:
    """Return *value* as the JSON that VTEX takes."""
    return orjson.dumps(converter(orders_api).unstructure(value))


def read(body: bytes, kind: type[T], orders_api: OrdersApi) -> T:
    """Return the *kind* that an answer's *body* holds; raise `ValueError` where it holds none.

    The type of None is what an empty body holds.
    """
    document = orjson.loads(body) if body else None
    if not isinstance(document, type(None) if kind is type(None) else dict):
        raise ValueError("not empty" if kind is type(None) else "not a JSON object")
    try:
        return converter(orders_api).structure(document, kind)
    except BaseValidationError as error:
        raise ValueError("; ".join(map(str, problems_of(error, orders_api)))) from None


def inexpressible(invoice: Invoice, orders_api: OrdersApi) -> Iterator[Problem]:
    """Say what keeps *invoice* from being written in a dialect: a field that it lacks, or demands."""
    yield from _foreign(invoice, _INVOICE_LACKS[orders_api], "", orders_api)
    line = "item_index" if orders_api is OrdersApi.PII else "id"
    lacking = _ITEM_LACKS[orders_api]
    for index, item in enumerate(invoice.items):
        if lacking:
            yield from _foreign(item, lacking, f"items[{index}].", orders_api)
        if getattr(item, line) is None:
            yield Problem(
                code="missing",
                field=f"items[{index}].{_camel(line)}",
                message=f"is missing: the {orders_api} dialect names an order's line by it",
            )


def _lacks(kind: type[AttrsInstance], names: Mapping[str, str], *allowed: str) -> tuple[str, ...]:
    known = {*names, *allowed}
    return tuple(field.name for field in fields(kind) if field.name not in known)


_INVOICE_LACKS: Final = {api: _lacks(Invoice, names) for api, names in INVOICE_NAMES.items()}
# An item may carry both of its names, so that one invoice fits every dialect.
_ITEM_LACKS: Final = {
    api: _lacks(InvoiceItem, names, "id", "item_index") for api, names in ITEM_NAMES.items()
}


def _foreign(
    value: Invoice | InvoiceItem, lacking: tuple[str, ...], where: str, orders_api: OrdersApi
) -> Iterator[Problem]:
    for name in lacking:
        if getattr(value, name) is not None:
            yield Problem(
                code="not-in-dialect",
                field=where + _camel(name),
                message=f"does not exist in the {orders_api} dialect; leave it out",
            )


def problems_of(error: BaseException, orders_api: OrdersApi) -> tuple[Problem, ...]:
    """Return what cattrs found, each with its place in VTEX's names."""
    return tuple(_problems(error, "", orders_api))


def _problems(error: BaseException, where: str, orders_api: OrdersApi) -> Iterator[Problem]:
    match error:
        case BaseValidationError():
            for inner in error.exceptions:
                yield from _problems(inner, where + _step(error, inner, orders_api), orders_api)
        case InvalidInvoice():
            for problem in error.problems:
                yield evolve(problem, field=f"{where}.{problem.field}".strip("."))
        case ForbiddenExtraKeysError():
            for key in sorted(map(str, error.extra_fields)):
                place = f"{where}.{printable(key, 40)}".lstrip(".")
                yield Problem(
                    code="unknown-key",
                    field=place,
                    message=f"is not a key of the {orders_api} dialect",
                )
        case KeyError():
            yield Problem(code="required", field=where.lstrip("."), message="is missing")
        case _:
            yield Problem(code="value", field=where.lstrip("."), message=str(error))


def _step(group: BaseValidationError, inner: BaseException, orders_api: OrdersApi) -> str:
    for note in getattr(inner, "__notes__", ()):
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]"
        if isinstance(note, AttributeValidationNote):
            names = {Invoice: INVOICE_NAMES, InvoiceItem: ITEM_NAMES}.get(group.cl, {})
            return "." + names.get(orders_api, {}).get(note.name, _camel(note.name))
    return ""


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(map(str.capitalize, tail))


# Hooks. The values that cattrs hands in come from JSON, so their type is Any.


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _receipt(value: Any, _: Any) -> Receipt:
    """Read the receipt strictly, for it is the proof, and what stands beside it as it comes."""
    receipt, raw_date, order_id = value.get("receipt"), value.get("date"), value.get("orderId")
    if not isinstance(receipt, str) or not receipt.strip():
        raise ValueError("receipt: must be text that is not empty")
    return Receipt(
        date=encodings.readable_date_time(raw_date),
        raw_date=raw_date if isinstance(raw_date, str) else None,
        order_id=order_id if isinstance(order_id, str) else None,
        receipt=receipt,
    )


def _receipt_document(receipt: Receipt) -> dict[str, object]:
    return {"date": receipt.raw_date, "orderId": receipt.order_id, "receipt": receipt.receipt}


def _make(orders_api: OrdersApi, *, forbid_extra_keys: bool) -> Converter:
    made = Converter(forbid_extra_keys=forbid_extra_keys)
    _register_plain(made)
    # What people write may name a line by its SKU, whatever the dialect then makes of it.
    _register_invoice(made, orders_api, {"id": "id"} if forbid_extra_keys else {})
    _register_tracking(made)
    _register_order(made)
    return made


def _register_plain(made: Converter) -> None:
    made.register_structure_hook(int, encodings.whole)
    made.register_structure_hook(str, encodings.exactly(str, "text"))
    made.register_structure_hook(bool, encodings.exactly(bool, "true or false"))
    made.register_structure_hook(datetime, encodings.read_date_time)
    made.register_structure_hook(date, encodings.read_date)
    made.register_structure_hook(InvoiceType, encodings.read_invoice_type)
    made.register_structure_hook(Receipt, _receipt)
    made.register_structure_hook(type(None), lambda *_: None)
    made.register_structure_hook_factory(_is_tuple, encodings.list_only)
    made.register_unstructure_hook_factory(_is_tuple, encodings.written_list)
    made.register_unstructure_hook(Receipt, _receipt_document)
    made.register_unstructure_hook(datetime, datetime.isoformat)
    made.register_unstructure_hook(date, date.isoformat)
    # JSON takes them as they are: cattrs would ask each of them what it is.
    made.register_unstructure_hook(str | None, identity)
    made.register_unstructure_hook(int | None, identity)


def _register_invoice(made: Converter, orders_api: OrdersApi, more: Mapping[str, str]) -> None:
    pii = orders_api is OrdersApi.PII
    _register(
        made,
        InvoiceItem,
        {**ITEM_NAMES[orders_api], **more},
        item_index=override(struct_hook=encodings.whole_or_digits),
        price=override(struct_hook=encodings.money),
    )
    _register(
        made,
        Invoice,
        INVOICE_NAMES[orders_api],
        invoice_value=override(
            struct_hook=encodings.money_or_digits, unstruct_hook=None if pii else str
        ),
        extra_value=override(struct_hook=encodings.optional_money),
        issuance_date=override()
        if orders_api is OrdersApi.OMS
        else override(unstruct_hook=encodings.write_date),
        items=override(omit_if_default=False),
    )


def _register_tracking(made: Converter) -> None:
    always = override(omit_if_default=False)
    _register(made, TrackingInfo, tracking_url=always, dispatched_date=always)
    _register(made, TrackingEvent)
    _register(
        made,
        TrackingStatus,
        delivered_date=override(omit_if_default=False, unstruct_hook=encodings.write_minute),
        events=always,
    )


def _register_order(made: Converter) -> None:
    for plain in (OrderTotal, PriceDefinition):
        _register(made, plain)
    words = override(struct_hook=encodings.readable_text)
    lenient_words: dict[str, Any] = dict.fromkeys([f.name for f in fields(CourierEvent)], words)
    _register(made, CourierEvent, **lenient_words)
    _register(made, CourierStatus, before=order_shapes.events_only)
    lenient = override(struct_hook=encodings.readable_whole)
    _register(made, PackageItem, item_index=lenient, quantity=lenient, price=lenient)
    _register(made, OrderItem, before=order_shapes.one_price_definition)
    _register(
        made,
        Package,
        before=order_shapes.read_package,
        after=order_shapes.written_package,
        type=override(struct_hook=encodings.open_word(InvoiceType)),
        issuance_date=override(struct_hook=encodings.readable_date_time),
        invoice_value=override(struct_hook=encodings.optional_whole),
    )
    _register(
        made,
        Order,
        before=order_shapes.flat_order,
        after=order_shapes.nested_order,
        status=override(struct_hook=encodings.open_word(OrderStatus)),
    )


def _register(
    made: Converter,
    kind: type[AttrsInstance],
    names: Mapping[str, str] | None = None,
    before: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    after: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    **special: Any,
) -> None:
    """Teach *made* one class: camelCase, or *names*, in which a field without a name is left out.

    cattrs writes a function for each class and direction, which takes longer than many calls of it:
    it is asked for them when the first value of the class comes.
    """

    def reader(_: Any) -> Callable[[Any, Any], Any]:
        structure = make_dict_structure_fn(kind, made, **_rules(kind, names, special))

        def from_document(value: Any, _: Any) -> Any:
            if not isinstance(value, dict):
                raise ValueError("must be a JSON object")
            return structure(before(value) if before is not dict else value, kind)

        return from_document

    def writer(_: Any) -> Callable[[Any], dict[str, Any]]:
        rules = _rules(kind, names, special)
        unstructure = make_dict_unstructure_fn(kind, made, _cattrs_omit_if_default=True, **rules)

        def to_document(value: Any) -> dict[str, Any]:
            return after(unstructure(value))

        return unstructure if after is dict else to_document

    def is_kind(other: Any) -> bool:
        return isinstance(other, type) and issubclass(other, kind)

    made.register_structure_hook_factory(is_kind, reader)
    made.register_unstructure_hook_factory(is_kind, writer)


def _rules(
    kind: type[AttrsInstance], names: Mapping[str, str] | None, special: Mapping[str, Any]
) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    for attribute in fields(kind):
        name = attribute.name
        wire_name = names.get(name) if names else _camel(name)
        rule = special.get(name, override())
        rules[name] = evolve(rule, rename=wire_name) if wire_name else override(omit=True)
    return rules
