"""Whatever answers, a call ends with a result or with an error of ours, and only proof is believed."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final, NoReturn

from attrs import frozen
from hypothesis import strategies as st
from multidict import CIMultiDict

from tests.answers import ALL, NOTIFY, PAGE, READ, ROUTER, SINCE, START, details, oms
from tests.fuzzing import IDS, documents, encoded, fuzzed, golden_documents, harmed
from vtex_invoice_async.errors import (
    BadRequest,
    CallError,
    Conflict,
    NotAuthorized,
    OrderNotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
)
from vtex_invoice_async.messages import Reply
from vtex_invoice_async.models import Order, Receipt
from vtex_invoice_async.operations import Operation
from vtex_invoice_async.protocol import decode
from vtex_invoice_async.vocabulary import OrdersApi

SECRET: Final = "vtexappkey-acme-SECRET"
EMAIL: Final = "maria.silva@example.com"
CANARY: Final = "Maria-da-Silva"
SHOPPER: Final = {"clientProfileData": {"firstName": CANARY, "email": EMAIL}}

RECEIPTS: Final = [{**found, "shopper": CANARY} for found in golden_documents("receipt")]
ORDERS: Final = [{**found, **SHOPPER} for found in golden_documents("get_order")]
WORDS: Final = f"No {SECRET}\r\n\x1b[2J of {EMAIL}, CPF 123.456.789-09"
ERRORS: Final = [
    oms("OMS007", WORDS),
    details(400, "One or more", errors={"invoiceValue": [WORDS, "x"], "": WORDS}),
    details(404, "Not Found", detail=WORDS),
    {**ROUTER, "message": WORDS},
    {"message": WORDS, "code": 7},
    {"Message": WORDS},
    {"error": WORDS},
    WORDS,
]
PLAIN: Final = [b"", b" \n", b"No authorized", PAGE, b"\xef\xbb\xbf<p>", b"x" * 201, b"\xff\xfe"]

bodies = (
    encoded(documents([*RECEIPTS, *ORDERS], most=1))
    | encoded(documents(ERRORS, most=1))
    | harmed(encoded(documents([*RECEIPTS, *ORDERS, *ERRORS])), most=1)
    | st.sampled_from(PLAIN)
    | st.binary(max_size=40)
)
statuses = (
    st.sampled_from([200, 201, 204, 400, 401, 403, 404, 405, 409, 410, 422, 429, 431, 500, 503])
    | st.integers(100, 599)
    | st.sampled_from([0, -1, 99, 600, 999, 10**9])
)
texts = st.sampled_from(
    ["", "0", "1", "60", "\x1b[2J", "a\r\nb", "\udcff", "x" * 9000, "\uff11\uff12", *IDS]
)
headers = st.dictionaries(
    st.sampled_from(
        ["Age", "Date", "Retry-After", "X-Request-Id", "X-VTEX-Operation-Id", "x-vtex-request-id"]
    ),
    texts,
    max_size=3,
)
kinds = st.sampled_from(
    [None, "", "application/json", "text/html", "TEXT/HTML;charset=x", "text/plain"]
)

# What proves that VTEX did not act, and what each means: written down a second time, on purpose.
REFUSALS: Final[Mapping[int, type[Rejected]]] = {
    **dict.fromkeys([400, 405, 406, 413, 414, 415, 422, 431], BadRequest),
    **dict.fromkeys([401, 403], NotAuthorized),
    **dict.fromkeys([404, 410], OrderNotFound),
}


def strictly(text: str) -> Any:
    """Read JSON with the standard library, as strictly as RFC 8259 has it."""

    def refuse(_: str) -> NoReturn:
        raise ValueError

    def number(digits: str) -> float:
        if math.isinf(float(digits)):
            raise ValueError
        return float(digits)

    found = json.loads(text, parse_constant=refuse, parse_int=number, parse_float=number)
    json.dumps(found, ensure_ascii=False).encode()
    return found


def words_of(reply: Reply) -> Any:
    """Return what an answer says if it can be VTEX's own word, or else None."""
    text = reply.body.decode(errors="replace").lstrip("\ufeff").strip()
    if not text:
        return ""
    if text.startswith("<") or "html" in reply.headers.get("Content-Type", "").lower():
        return None
    try:
        found = strictly(text)
    except (ValueError, RecursionError):
        return text if len(text) <= 200 and text[0] not in "{[" and "\ufffd" not in text else None
    if isinstance(found, str):
        return found if len(found) <= 200 else None
    if not isinstance(found, dict):
        return None
    has_words = isinstance(found.get("error"), str | dict) or isinstance(found.get("title"), str)
    is_router = found.get("source") == "Vtex.Kube.Router"
    return (
        found if has_words or is_router or found.keys() & {"message", "Message", "code"} else None
    )


def expected(operation: Operation[object], reply: Reply, *, doubted: bool) -> type[CallError]:
    """Return the error that an answer which is no success comes to."""
    unknown = CallError if operation is READ else OutcomeUnknown
    if doubted:
        return unknown
    if reply.status == 429:
        return RateLimited
    words = words_of(reply)
    if words is None:
        return unknown
    if reply.status == 409 and operation is not NOTIFY:
        return Conflict
    refusal = REFUSALS.get(reply.status)
    if refusal is OrderNotFound and isinstance(words, dict):
        has_envelope = isinstance(words.get("error"), str | dict) or "title" in words
        if words.get("source") == "Vtex.Kube.Router" and not has_envelope:
            return Rejected
    return refusal or unknown


@frozen
class Ended:
    """How a call ended."""

    result: object = None
    error: CallError | None = None


def ended(
    operation: Operation[object], dialect: OrdersApi, reply: Reply, *, doubted: bool
) -> Ended:
    def blot(text: str) -> str:
        return text.replace(SECRET, "[removed]")

    try:
        return Ended(result=decode(operation, dialect, reply, lambda: SINCE, blot, doubted=doubted))
    except CallError as error:
        return Ended(error=error)


@fuzzed(
    300,
    operation=st.sampled_from(ALL),
    dialect=st.sampled_from(OrdersApi),
    status=statuses,
    kind=kinds,
    more=headers,
    body=bodies,
    doubted=st.sampled_from([False, False, True]),
)
def test_an_answer_is_a_result_or_an_error_of_ours(
    *,
    operation: Operation[object],
    dialect: OrdersApi,
    status: int,
    kind: str | None,
    more: dict[str, str],
    body: bytes,
    doubted: bool,
) -> None:
    named = {} if kind is None else {"Content-Type": kind}
    reply = Reply(status=status, headers=CIMultiDict({**more, **named}), body=body)

    found = ended(operation, dialect, reply, doubted=doubted)

    if found.error is None:
        check_result(operation, reply, found.result)
    else:
        assert type(found.error) is expected(operation, reply, doubted=doubted)
        check_error(operation, reply, found.error)
    if 200 <= status < 300 and body in SOUND:
        assert (found.error is None) == (SOUND[body] is operation.returns())


SOUND: Final[Mapping[bytes, type]] = {
    **{json.dumps(found, separators=(",", ":")).encode(): Receipt for found in RECEIPTS},
}


def check_result(operation: Operation[object], reply: Reply, result: object) -> None:
    """Only a success that says all of it is one."""
    assert 200 <= reply.status < 300
    assert isinstance(result, operation.returns())
    if operation is START:
        assert (reply.status, reply.body) == (204, b"")
        return
    found = strictly(reply.body.decode())
    if isinstance(result, Receipt):
        assert found["receipt"] == result.receipt
        assert found["receipt"].strip()
        assert result.confirmed_by == "response"
    if isinstance(result, Order):
        assert (found["orderId"], found["value"]) == (result.order_id, result.value)


def check_error(operation: Operation[object], reply: Reply, error: CallError) -> None:
    """It travels, prints in one line, and says no more than VTEX's own words, without a secret."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.facts) == (type(error), str(error), error.facts)
    assert again.args == error.args
    assert (error.status, error.operation) == (reply.status, operation.name)
    if isinstance(error, OutcomeUnknown):
        assert again.doubt == error.doubt
        assert (error.doubt is None) == (operation is not NOTIFY)
    shown = f"{error}{error!r}{error.code}{error.message}"
    assert shown.isprintable()
    assert shown.encode()
    assert len(str(error)) < 2_000
    held = pickle.dumps(error)
    assert SECRET not in shown
    assert SECRET.encode() not in held
    if CANARY.encode() in reply.body and reply.body.lstrip(b"\xef\xbb\xbf \n").startswith(b"{"):
        # An order: its shopper is nobody's business, whatever else it holds.
        assert CANARY.encode() not in held
        assert EMAIL.encode() not in held


MOMENTS: Final = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001  its zone is given beside it
    datetime(9999, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))


def imf(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def rfc_850(moment: datetime) -> str:
    return moment.strftime("%A, %d-%b-%y %H:%M:%S GMT")


def asctime(moment: datetime) -> str:
    return moment.strftime("%a %b %e %H:%M:%S %Y")


forms = st.sampled_from([imf, rfc_850, asctime])
DATES: Final = [
    *("Sun, 06 Nov 0000 08:49:37 GMT", "Sun, 99 Nov 2026 08:49:37 GMT"),
    *("Xxx, 06 Xxx 2026 08:49:37 GMT", "Sun, 06 Nov 2026 24:60:61 GMT"),
    *("Sun, 31 Feb 2026 08:49:60 GMT", "Sun, 06 Nov 0068 08:49:37 GMT"),
    *("Sun, 06 Nov 2026 08:49:37 +9999", "Sun, 06 Nov 2026 08:49:37", "Sun"),
]
UNCLEAR: Final = [
    *("-1", "+1", "1.5", "1e9", "inf", "Infinity", "nan", "0x10", "1_0", "1 2", "1;2", "1, 2", "soon"),
    *("\uff11\uff12", "\u0661", "²", "½", "9" * 10, "9" * 5000, "\x00", "\x1b[2J", "\ud800", "1\n2", "", " "),
]  # fmt: skip
waits = (
    st.sampled_from([*UNCLEAR, *DATES])
    | st.integers(-10, 10**12).map(str)
    | st.text(max_size=12)
    | st.builds(lambda form, moment: form(moment), forms, MOMENTS)
)


@fuzzed(
    100,
    wait=waits,
    date=waits,
    reset=waits,
    name=st.sampled_from(["RateLimit-Reset", "X-RateLimit-Reset", "X-VTEX-RateLimit-Reset"]),
)
def test_a_wait_is_a_number_of_seconds_or_nothing(
    wait: str, date: str, reset: str, name: str
) -> None:
    given = CIMultiDict({"Retry-After": wait, "Date": date, name: reset})
    reply = Reply(status=429, headers=given, body=b"")

    for seconds in (reply.retry_after, reply.rate_resets_in):
        assert seconds is None or (math.isfinite(seconds) and seconds >= 0)
    assert reply.rate_resets_in is None or reply.rate_resets_in <= 3600
    plain = wait.strip()
    if plain.isascii() and plain.isdigit():
        assert reply.retry_after == (float(plain) if len(plain) <= 9 else None)
    if wait in UNCLEAR:
        assert reply.retry_after is None


@fuzzed(40, then=MOMENTS, now=MOMENTS, form=forms)
def test_a_wait_until_a_date_is_measured_by_the_answers_own_clock(
    then: datetime, now: datetime, form: Any
) -> None:
    reply = Reply(
        status=503, headers=CIMultiDict({"retry-after": form(then), "date": imf(now)}), body=b""
    )

    clear = form is imf and then >= now
    assert reply.retry_after == ((then - now) / timedelta(seconds=1) if clear else None)


def test_the_model_knows_each_kind_of_answer() -> None:
    bodies_: Sequence[tuple[int, object]] = [
        (404, oms("1", "x")),
        (404, ROUTER),
        (409, {"code": 1}),
    ]

    found = [
        expected(START, Reply(status=s, headers={}, body=json.dumps(b).encode()), doubted=False)
        for s, b in bodies_
    ]

    assert found == [OrderNotFound, Rejected, Conflict]
