"""What an operation looks like on the wire, and what an answer to it proves.

The rule that money hangs on: VTEX did not act only where its own words prove it. Everything
else leaves an outcome that is unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from string import Formatter
from typing import Final, TypeVar
from urllib.parse import quote

import orjson
from attrs import evolve, frozen

from vtex_invoice_async import checks
from vtex_invoice_async.errors import (
    BadRequest,
    CallError,
    CallFacts,
    Conflict,
    Doubt,
    InvalidInvoice,
    NotAuthorized,
    NotSent,
    OrderNotFound,
    OutcomeUnknown,
    Problem,
    RateLimited,
    Rejected,
)
from vtex_invoice_async.messages import NoReply, Reply, Request
from vtex_invoice_async.operations import GetOrder, NotifyInvoice, NotifyReady, Operation
from vtex_invoice_async.preflight import of_order_id, refusals
from vtex_invoice_async.shapes import is_path_parameter, is_plain_id
from vtex_invoice_async.value import Value
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import encode_body, inexpressible, read

__all__ = ["decode", "doubt_of", "encode", "is_answer"]

R = TypeVar("R")

_ORDER_ID: Final = ("order_id",)

# A real answer with one of these, in VTEX's own words, means that VTEX did not act.
_REFUSALS: Final[dict[int, type[Rejected]]] = {
    400: BadRequest,
    401: NotAuthorized,
    403: NotAuthorized,
    404: OrderNotFound,
    405: BadRequest,
    406: BadRequest,
    410: OrderNotFound,
    413: BadRequest,
    414: BadRequest,
    415: BadRequest,
    422: BadRequest,
    431: BadRequest,
}
_ADVICE: Final[dict[type[Rejected], str]] = {
    BadRequest: "VTEX refused what was sent; correct it and send it again",
    NotAuthorized: "VTEX refused the credentials or their role; "
    "it needs Notify invoice (returns: Notify refund) and View order; `vtex-invoice doctor` "
    "tells more",
    OrderNotFound: "VTEX does not find the order or the invoice in this account; check both",
    Conflict: "the order's status does not allow it; read the order",
    Rejected: "VTEX's router does not know this route; check the account and the host with "
    "`vtex-invoice doctor`",
}
_UNKNOWN: Final = "it may have been applied; read the order before sending it again"


def encode(operation: Operation[R], orders_api: OrdersApi) -> Request:
    """Return the request that carries *operation*, or raise `InvalidInvoice`: nothing was sent."""
    if isinstance(operation, NotifyInvoice):
        invoice = operation.invoice
        problems = (*refusals(invoice, orders_api), *inexpressible(invoice, orders_api))
        if problems:
            raise InvalidInvoice(problems)
    return Request(
        method=operation.method,
        path=_path(operation, orders_api),
        body=_body(operation, orders_api),
        reply_limit=operation.reply_limit,
    )


def _body(operation: Operation[R], orders_api: OrdersApi) -> bytes | None:
    body = operation.body()
    if body is not None:
        return encode_body(body, orders_api)
    return operation.content if isinstance(operation, NotifyReady) else None


def _path(operation: Operation[R], orders_api: OrdersApi) -> str:
    template = operation.path if orders_api is OrdersApi.OMS else operation.document_path
    order_id = operation.order_id
    parameters = _parameters(template)
    if parameters == _ORDER_ID and type(order_id) is str and is_plain_id(order_id):
        return template.replace("{order_id}", order_id)
    path = template.format_map(
        {name: _path_parameter(name, getattr(operation, name), operation) for name in parameters}
    )
    # The last word: whatever was put in, the path has the segments of its template and no more.
    if path.count("/") != template.count("/") or "?" in path or "#" in path:
        problem = Problem(code="path", field="", message="the ids do not fit into a path")
        raise InvalidInvoice([problem])
    return path


@cache
def _parameters(template: str) -> tuple[str, ...]:
    return tuple(name for _, name, _, _ in Formatter().parse(template) if name)


def _path_parameter(name: str, value: object, operation: Operation[R]) -> str:
    if name == "order_id":
        checks.refuse(of_order_id(value, is_read=not operation.acts))
    elif not isinstance(value, str) or not is_path_parameter(value):
        advice = (
            "must be a str that starts with a letter or a digit and goes on with letters, digits or "
            "._~:@+=,- (128 at most): VTEX's routes cannot carry anything else"
        )
        raise InvalidInvoice([Problem(code="path", field="invoiceNumber", message=advice)])
    return quote(str(value), safe="")


def decode(
    operation: Operation[R],
    orders_api: OrdersApi,
    reply: Reply | NoReply,
    since: Callable[[], datetime],
    blot: Callable[[str], str] = str,
    *,
    doubted: bool = False,
) -> R:
    """Return what an answer to *operation* says, or raise the `CallError` that it proves.

    *since* tells when the last byte of the request may have left; *blot* takes the credentials out of
    VTEX's words, before anything is cut off them. Where an earlier attempt is *doubted*, nothing
    but a confirmation settles it: a refusal may well mean that VTEX has acted on that one.
    """
    if isinstance(reply, NoReply):
        call = CallFacts(operation=operation.name, order_id=operation.order_id, status=reply.status)
        if not reply.bytes_left and not doubted:
            raise NotSent(f"nothing was sent: {reply.reason}; it may be sent again", **call)
        raise _unknown(operation, orders_api, reply.reason, since(), call)
    reason = f"VTEX answered {reply.status}"
    if 200 <= reply.status < 300:
        try:
            return _read(operation, reply, orders_api)
        except ValueError as error:
            reason = f"the answer cannot be read: {error}"
        except Exception as error:  # noqa: BLE001  even a bug in reading it must not hide a doubt
            reason = f"the answer cannot be read ({type(error).__name__})"
    answer = _answer(reply).blotted(blot)
    call = CallFacts(
        operation=operation.name,
        order_id=operation.order_id,
        status=reply.status,
        code=answer.code,
        message=answer.message,
        request_id=answer.request_id,
    )
    proven = None if doubted else _proven(operation, reply, answer, call)
    raise proven or _unknown(operation, orders_api, reason, since(), call)


def is_answer(reply: Reply | NoReply) -> bool:
    """Whether a reply can be VTEX's own word, be it yes or no: what an outage does not give."""
    if isinstance(reply, NoReply) or reply.status >= 500 or 300 <= reply.status < 400:
        return False
    return not _is_html(reply)


def doubt_of(operation: Operation[R], orders_api: OrdersApi, since: datetime) -> Doubt | None:
    """Return what to look for on the order; None where the operation is no invoice."""
    named = operation.tells_of()
    if named is None:
        return None
    number, kind, value = named
    return Doubt(
        order_id=operation.order_id,
        invoice_number=number,
        type=kind,
        value=value,
        orders_api=orders_api,
        since=since,
    )


def _proven(
    operation: Operation[R], reply: Reply, answer: _Answer, call: CallFacts
) -> CallError | None:
    """Return the error that proves that VTEX did not act, if the answer is one."""
    if reply.status == 429:
        told = "VTEX is throttling this account, so it did not act; send it again later"
        return RateLimited(told, retry_after=reply.retry_after, **call)
    refusal = _refusal(operation, reply.status, answer)
    return None if refusal is None else refusal(_ADVICE[refusal], **call)


def _read(operation: Operation[R], reply: Reply, orders_api: OrdersApi) -> R:
    if not operation.acts and _must_be_fresh(operation) and _is_kept(reply):
        raise ValueError("a copy that a cache has kept")
    kind = operation.returns()
    if kind is type(None) and reply.status != 204:
        raise ValueError("not a 204")
    return read(reply.body, kind, orders_api)


def _must_be_fresh(operation: Operation[R]) -> bool:
    return isinstance(operation, GetOrder) and operation.must_be_fresh


def _refusal(operation: Operation[R], status: int, answer: _Answer) -> type[Rejected] | None:
    """Return the error that an answer proves, or None where it proves nothing."""
    if not answer.is_vtex:
        return None
    if status == 409 and operation.conflict_is_final:
        return Conflict
    refusal = _REFUSALS.get(status)
    return Rejected if refusal is OrderNotFound and answer.is_router else refusal


def _unknown(
    operation: Operation[R], orders_api: OrdersApi, reason: str, since: datetime, call: CallFacts
) -> CallError:
    if not operation.acts:
        return CallError(f"{reason}; read it again", **call)
    doubt = doubt_of(operation, orders_api, since)
    return OutcomeUnknown(f"{reason}; {_UNKNOWN}", doubt=doubt, **call)


@frozen(kw_only=True, eq=False, repr=False)
class _Answer(Value):
    """What the body of an error says."""

    is_vtex: bool
    """Whether the words can be VTEX's own; a gateway's page proves nothing."""

    is_router: bool = False
    code: str | None = None
    message: str | None = None
    request_id: str | None = None

    def blotted(self, blot: Callable[[str], str]) -> _Answer:
        """Return it without what *blot* takes out."""
        return evolve(
            self,
            code=self.code and blot(self.code),
            message=self.message and blot(self.message),
            request_id=self.request_id and blot(self.request_id),
        )


def _answer(reply: Reply) -> _Answer:
    answer = _words_of(reply)
    return evolve(answer, request_id=_request_id(reply) or answer.request_id)


def _is_html(reply: Reply) -> bool:
    kind = reply.headers.get("Content-Type", "")
    if kind.startswith("application/json") and reply.body.startswith(b"{"):
        return False
    body = reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    return bool(body) and (body.startswith(b"<") or "html" in kind.lower())


def _is_kept(reply: Reply) -> bool:
    # RFC 9111 §5.1: only a cache writes it.
    return reply.headers.get("Age", "0").strip() != "0"


def _words_of(reply: Reply) -> _Answer:
    text = reply.body.decode("utf-8", "replace").lstrip("\ufeff").strip()
    if not text:
        return _Answer(is_vtex=True)
    if _is_html(reply):
        return _Answer(is_vtex=False, message="a page of HTML")
    try:
        document = orjson.loads(text)
    except ValueError:
        # Some refusals are plain text, as `No authorized`; a broken document is none of them.
        # Nothing of a broken document is kept: it may have been an order, with its shopper.
        short = len(text) <= 200 and text[0] not in "{[" and "�" not in text
        return _Answer(is_vtex=short, message=text if short else None)
    if isinstance(document, str):
        short = len(document) <= 200
        return _Answer(is_vtex=short, message=document if short else None)
    return _envelope(document) if isinstance(document, dict) else _Answer(is_vtex=False)


def _envelope(document: dict[str, object]) -> _Answer:
    """Read the shapes in which VTEX's services write errors."""
    match document:
        case {"error": dict(error)}:  # OMS
            return _words(error)
        case {"error": str(text)}:
            return _Answer(is_vtex=True, message=text)
        case {"title": str(title), **rest}:  # ProblemDetails, RFC 9457
            fields = rest.get("errors")
            if isinstance(fields, dict):
                details = "; ".join(f"{name}: {_joined(words)}" for name, words in fields.items())
                title = f"{title} ({details})"
            detail = rest.get("detail")
            message = f"{title}: {detail}" if isinstance(detail, str) else title
            return _Answer(is_vtex=True, message=message, request_id=_text(rest.get("traceId")))
        case {"source": "Vtex.Kube.Router"}:
            return _words(document, is_router=True)
        case {"message": _} | {"Message": _} | {"code": _}:
            return _words(document)
        case _:
            return _Answer(is_vtex=False)


def _words(error: dict[str, object], *, is_router: bool = False) -> _Answer:
    return _Answer(
        is_vtex=True,
        is_router=is_router,
        code=_text(error.get("code")),
        message=_text(error.get("message") or error.get("Message")),
        request_id=_text(error.get("requestId")),
    )


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _joined(words: object) -> str:
    found = words if isinstance(words, list) else [words]
    return " ".join(word for word in found if isinstance(word, str))


def _request_id(reply: Reply) -> str | None:
    for name in ("X-VTEX-Operation-Id", "X-Request-Id", "X-VTEX-Request-Id"):
        if reply.headers.get(name):
            return reply.headers[name]
    return None
