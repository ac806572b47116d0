"""Every error travels whole, prints in one line, and tells nothing that it must not."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from datetime import UTC, datetime
from types import ModuleType
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vtex_invoice_async
from vtex_invoice_async import errors
from vtex_invoice_async.errors import (
    BadRequest,
    CallError,
    ConfigError,
    Conflict,
    Doubt,
    InvalidInvoice,
    InvoiceAbsent,
    InvoiceConflict,
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalFailed,
    JournalMismatch,
    JournalTooNew,
    NotAuthorized,
    NotSent,
    OrderNotFound,
    OutcomeUnknown,
    Problem,
    RateLimited,
    Rejected,
    VtexInvoiceError,
)
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

DOUBT = Doubt(
    order_id="v5lux-01",
    invoice_number="NFe1",
    type=InvoiceType.OUTPUT,
    value=2499,
    orders_api=OrdersApi.PII,
    since=datetime(2026, 1, 31, 18, 26, tzinfo=UTC),
)
PROBLEMS = [
    Problem(code="range", field="items[0].price", message="must be from 0", source="https://vtex"),
    Problem(code="conflict", field="", message="stands there twice"),
]
PLAIN: list[type[CallError]] = [
    CallError,
    NotSent,
    Rejected,
    BadRequest,
    NotAuthorized,
    OrderNotFound,
    Conflict,
    InvoiceConflict,
    InvoiceAbsent,
]
JOURNAL: list[type[JournalError]] = [
    JournalError,
    JournalFailed,
    JournalBusy,
    JournalDamaged,
    JournalTooNew,
    JournalMismatch,
]


def make_call_error(kind: type[CallError] = CallError, text: str = "Order Not Found") -> CallError:
    return kind(
        "VTEX refused it",
        operation="notify_invoice",
        order_id="v5lux-01",
        attempts=3,
        status=404,
        code="OMS007",
        message=text,
        request_id="f198",
    )


EVERY: list[VtexInvoiceError] = [
    VtexInvoiceError("it did not end well"),
    ConfigError("account must be lower-case"),
    *(kind("the journal cannot be used") for kind in JOURNAL),
    InvalidInvoice(PROBLEMS),
    InvalidInvoice([]),
    *map(make_call_error, PLAIN),
    RateLimited("slow down", retry_after=7.5, operation="get_order", order_id="1", status=429),
    RateLimited("slow down"),
    OutcomeUnknown("it may have acted", doubt=DOUBT, operation="notify_invoice", order_id="1"),
    OutcomeUnknown("it may have acted"),
]


def tree(root: type[VtexInvoiceError]) -> set[type[VtexInvoiceError]]:
    return {root}.union(*map(tree, root.__subclasses__()))


def modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(vtex_invoice_async.__path__, "vtex_invoice_async.")
    return [vtex_invoice_async, *(importlib.import_module(module.name) for module in found)]


def test_every_class_of_the_tree_is_tested_and_public() -> None:
    classes = tree(VtexInvoiceError)

    assert {type(error) for error in EVERY} == classes
    assert {kind.__name__ for kind in classes} <= set(errors.__all__)


# What one module tells another, and nobody else.
WITHIN: Final = {"SentBeforeError", "BrokenError", "NoOrderIdError", "Interrupted"}


def test_every_public_exception_of_the_package_is_in_the_tree() -> None:
    found = {
        value
        for module in modules()
        for name, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, BaseException)
        and value.__module__.startswith("vtex_invoice_async")
        and not name.startswith("_")
        and name not in WITHIN
    }

    assert found == tree(VtexInvoiceError)


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_and_copying(error: VtexInvoiceError) -> None:
    copies = [
        *(
            pickle.loads(pickle.dumps(error, protocol))
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
        ),
        copy.copy(error),
        copy.deepcopy(error),
    ]

    for other in copies:
        assert type(other) is type(error)
        assert vars(other) == vars(error)
        assert (str(other), other.args) == (str(error), error.args)


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_an_error_prints_in_one_line(error: VtexInvoiceError) -> None:
    assert str(error).isprintable()
    assert repr(error).isprintable()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("cannot read <NFe><xNome>Maria</xNome></NFe>", "cannot read [removed]"),
        ("cannot read &lt;xNome&gt;Maria", "cannot read [removed]"),
        ("cannot read %3CxNome%3EMaria", "cannot read [removed]"),
        ("cannot read \\u003CxNome\\u003EMaria", "cannot read [removed]"),
        ("near xNome>Maria</xNome>", "near xNome[removed]"),
        ("get https://nfe.example/ver?p=1&de=Maria", "get https://nfe.example/ver?[removed]"),
        ("no maria%40cliente.example here", "no [removed] here"),
        ("call +5511999998888 first", "call [removed] first"),
        ("the value 5 must be > 0 and < 7", "the value 5 must be > 0 and < 7"),
        ("see https://help.vtex.com/errors", "see https://help.vtex.com/errors"),
    ],
)
def test_what_vtex_echoes_of_a_shopper_is_taken_out(said: str, told: str) -> None:
    assert CallError("no", message=said).message == told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no customer maria@cliente.example", "no customer [removed]"),
        # Its digits are no CPF.
        ("00-12345678901-01", "00-12345678901-01"),
        ("8000a2b8-0000-f400-b63f-84710c7967bb", "8000a2b8-0000-f400-b63f-84710c7967bb"),
    ],
)
def test_a_request_id_stays_as_it_is_if_it_can_be_one(said: str, told: str) -> None:
    assert CallError("no", request_id=said).request_id == told


def test_an_error_says_what_is_known_of_its_call() -> None:
    told = str(make_call_error(OrderNotFound))

    assert told == (
        "notify_invoice for order v5lux-01: VTEX refused it "
        "(status 404, code OMS007, VTEX says Order Not Found, request id f198)"
    )
    assert str(CallError("no answer came")) == "no answer came"


def test_an_invalid_invoice_tells_every_problem_with_its_field() -> None:
    error = InvalidInvoice(iter(PROBLEMS))

    assert error.problems == tuple(PROBLEMS)
    assert str(error) == "items[0].price: must be from 0; stands there twice"


def test_what_is_wrong_with_settings_or_values_is_a_value_error() -> None:
    assert issubclass(ConfigError, ValueError)
    assert issubclass(InvalidInvoice, ValueError)


@pytest.mark.parametrize(
    "personal",
    [
        "maria.silva+vtex@loja.com.br",
        "MARIA_SILVA@loja.com",
        "jos\u00e9@exemplo.com.br",
        "7bf3a59bbc56402c810bda9521ba449e@ct.vtex.com.br",
        "a" * 64 + "@loja.com",
        "110.478.677-02",
        "11047867702",
        "11.222.333/0001-44",
        "11222333000181",
        "33240945242914001845550010004817221546274961",
    ],
)
@pytest.mark.parametrize("frame", ["{}", "client {} refused", "<{}>", "({});", "CPF:{}.", "{}\n{}"])
def test_personal_data_is_cleared_from_what_vtex_says(frame: str, personal: str) -> None:
    error = make_call_error(text=frame.replace("{}", personal))

    assert error.message == frame.replace("{}", "[removed]").replace("\n", " ")
    assert personal not in f"{error} {error!r} {vars(error)} {error.args}"


def test_the_key_of_an_invoice_is_cleared_whatever_stands_before_it() -> None:
    error = make_call_error(text="CFe35201100063960001504590006629690333214542150 exists")

    assert error.message == "CFe[removed] exists"


@pytest.mark.parametrize(
    "text",
    [
        "Order 1172452900788-01 not found",
        "Unable to use the restitution Refund more than 0.0",
        "value 2499, invoice 000059579, sku 5658771",
        "f19875630eac47a588b2e32250292f4a",
        "2026-01-31T18:25:43Z",
        "a@b",
    ],
)
def test_what_is_not_personal_is_kept(text: str) -> None:
    assert make_call_error(text=text).message == text


@pytest.mark.parametrize(
    "order_id", ["12345678901", "MGZ-12345678901", "12345678901234", "SHP-12345678901234"]
)
def test_an_order_can_be_told_by_its_id_whatever_the_id_looks_like(order_id: str) -> None:
    error = CallError("no answer came", operation="get_order", order_id=order_id)

    assert error.order_id == order_id
    assert order_id in str(error)


@pytest.mark.parametrize(
    "request_id",
    [
        "ab12345678901cd0f19875630eac47a5",
        "00-05464ee431d13f81b4fc065592acf694-d46d12345678901a-00",
        "0f8fad5b-d9cb-469f-a165-a12345678901",
    ],
)
def test_a_request_id_reaches_vtex_support_whole(request_id: str) -> None:
    assert CallError("no answer came", request_id=request_id).request_id == request_id


@pytest.mark.parametrize("nasty", ["a\nb", "a\r\nb", "a\x00b", "a\x1b[2Jb", "a\u2028b", "a\u202eb"])
def test_what_others_wrote_is_told_without_control_characters(nasty: str) -> None:
    error = CallError(
        "no", operation="x", order_id=nasty, code=nasty, message=nasty, request_id=nasty
    )

    told = (error.order_id, error.code, error.message, error.request_id, str(error))
    assert all(text is not None and text.isprintable() for text in told)
    assert all(text.startswith("a ") for text in told[:4] if text)


def test_what_others_wrote_is_shortened() -> None:
    long = "x" * 10_000

    error = CallError("no", order_id=long, code=long, message=long, request_id=long)

    told = (error.order_id, error.code, error.message, error.request_id)
    assert [len(text or "") for text in told] == [500, 100, 500, 200]
    assert all(text is not None and text.endswith("\u2026") for text in told)
    assert len(str(error)) < 1400


def test_what_is_just_short_enough_is_kept_whole() -> None:
    error = CallError("no", code="x" * 100, message="x" * 500, request_id="x" * 200)

    assert (error.code, error.message, error.request_id) == ("x" * 100, "x" * 500, "x" * 200)


@pytest.mark.parametrize(
    "code", ["a@b.co " * 50, "x" * 90 + " 110.478.677-02", "\n" * 399 + "11047867702"]
)
def test_a_code_is_cleared_and_short_wherever_it_is_cut(code: str) -> None:
    told = CallError("no", code=code).code

    assert told is not None
    assert len(told) <= 100
    assert "@" not in told
    assert "110" not in told


@settings(max_examples=100, deadline=None)
@given(st.text() | st.text("0123456789.-/@a \n", max_size=600))
def test_whatever_vtex_says_is_one_short_line(text: str) -> None:
    message = make_call_error(text=text).message

    assert message is not None
    assert message.isprintable()
    assert len(message) <= 500


def test_what_vtex_did_not_say_is_not_told() -> None:
    error = CallError("no answer came", operation="get_order", order_id="1")

    assert (error.status, error.code, error.message, error.request_id) == (None,) * 4
    assert error.attempts == 1
    assert str(error) == "get_order for order 1: no answer came"
