"""Ids and addresses from outside: refused before anything is sent, or they go where they should."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from hypothesis import strategies as st
from yarl import URL

from tests.factories import make_invoice, make_tracking
from tests.fuzzing import IDS, fuzzed
from vtex_invoice_async import ClientConfig, OrdersApi, TrackingStatus
from vtex_invoice_async.errors import ConfigError, InvalidInvoice
from vtex_invoice_async.jobs.header import header_for
from vtex_invoice_async.messages import Request
from vtex_invoice_async.operations import (
    GetOrder,
    NotifyInvoice,
    Operation,
    SendTracking,
    StartHandling,
    UpdateTrackingStatus,
)
from vtex_invoice_async.protocol import encode

ORIGIN: Final = "https://acme.vtexcommercestable.com.br"
BITS: Final = [
    *("", "1", "a", "-", "_", ".", "..", "~", ":", "@", "+", "=", ",", "/", "\\", "?", "#", "%", "%2F"),
    *("%2e", "%00", "seq", "SEQ1", "0", " ", "\t", "\r\n", "\x00", "é", "\uff11", "\u202e", "\ud800"),
    *("\u017f", "\u212a", "x" * 60),
]  # fmt: skip
ids = (
    st.sampled_from(IDS)
    | st.text(max_size=8)
    | st.lists(st.sampled_from(BITS), max_size=5).map("".join)
    | st.from_regex(r"\A[A-Za-z0-9._~:@+=,-]{1,129}\Z")
)
KINDS: Final = ("get", "notify", "start", "track", "news")


def operation_of(kind: str, order_id: str, number: str) -> Operation[object]:
    made: dict[str, Any] = {
        "get": lambda: GetOrder(order_id=order_id),
        "notify": lambda: NotifyInvoice(
            order_id=order_id, invoice=make_invoice(invoice_number=number)
        ),
        "start": lambda: StartHandling(order_id=order_id),
        "track": lambda: SendTracking(
            order_id=order_id, invoice_number=number, tracking=make_tracking()
        ),
        "news": lambda: UpdateTrackingStatus(
            order_id=order_id, invoice_number=number, tracking=TrackingStatus(is_delivered=True)
        ),
    }
    operation: Operation[object] = made[kind]()
    return operation


def request_of(
    kind: str, order_id: str, number: str, dialect: OrdersApi
) -> Request | InvalidInvoice:
    """Return what would be sent, or why nothing is."""
    try:
        return encode(operation_of(kind, order_id, number), dialect)
    except InvalidInvoice as refused:
        return refused


@fuzzed(
    80, kind=st.sampled_from(KINDS), order_id=ids, number=ids, dialect=st.sampled_from(OrdersApi)
)
def test_an_id_is_one_segment_of_the_path_or_is_refused(
    kind: str, order_id: str, number: str, dialect: OrdersApi
) -> None:
    request = request_of(kind, order_id, number, dialect)

    if isinstance(request, InvalidInvoice):
        assert request.problems
        assert str(request).isprintable()
    else:
        operation = operation_of(kind, order_id, number)
        template = operation.path if dialect is OrdersApi.OMS else operation.document_path
        check_path(request.path, template, {"{order_id}": order_id, "{invoice_number}": number})


def check_path(path: str, template: str, given: dict[str, str]) -> None:
    url = URL(ORIGIN + path, encoded=True)
    assert url.raw_path == urlsplit(ORIGIN + path).path == path
    assert (str(url.origin()), url.raw_query_string, url.raw_fragment) == (ORIGIN, "", "")
    # Whoever normalizes it on the way changes nothing.
    assert URL(ORIGIN + path).path == unquote(path)
    assert path.isascii()
    assert path.isprintable()
    assert " " not in path
    segments = path.split("/")
    assert len(segments) == len(template.split("/"))
    assert not {"", ".", "..", "%2e", "%2E"} & set(segments[1:])
    for segment, named in zip(segments, template.split("/"), strict=True):
        assert unquote(segment) == given.get(named, named)


@fuzzed(40, kind=st.sampled_from(KINDS), order_id=ids)
def test_an_id_of_plain_letters_and_digits_is_never_refused(kind: str, order_id: str) -> None:
    plain = "v" + "".join(c for c in order_id if c.isascii() and c.isalnum())[:100] + "-01"

    assert isinstance(request_of(kind, plain, plain, OrdersApi.OMS), Request)


SCHEMES: Final = (
    "https://",
    "http://",
    "HTTPS://",
    "Http://",
    "ftp://",
    "//",
    "https:/",
    "https:",
    "",
)
USERS: Final = ("", "", "", "", "user@", "user:pass@", "evil.example@", "%40")
HOSTS: Final = (
    *("vtex.example", "VTEX.Example", "localhost", "LOCALHOST", "127.0.0.1", "127.1", "[::1]", "[::]"),
    *("0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "[::1%25eth0]", "[v1.x]", "::1", "localhost."),
    *("evil.example", "a..b", ".a", "a.", "-a", "a-", "a_b", "é.example", "xn--9ca.example", "xn--"),
    *("x" * 64, "x" * 63, "a b", "a\tb", "a\nb", "a\x00", "", "[]", "[", "127.0.0.1.evil.example", "%31"),
    *("\uff41.example", "a\u3002example", "vtex.example\\@evil.example", "*.example", "1.2.3.999"),
)  # fmt: skip
PORTS: Final = (
    "",
    "",
    ":443",
    ":80",
    ":8080",
    ":0",
    ":65535",
    ":65536",
    ":99999",
    ":-1",
    ":",
    ":a",
)
PATHS: Final = (
    *("", "/", "//", "/a", "/a/", "/a/..", "/../a", "/.", "/./a", "/a//b", "//evil.example/", "/%2e%2e"),
    *("/a?b", "?b", "/#c", "#c", "/a b", "/é", "/a\\b", "/a;b", "/a\r\nX: y", "/...", "/a/.../b", "/~"),
)  # fmt: skip
bases = (
    st.tuples(*map(st.sampled_from, (SCHEMES, USERS, HOSTS, PORTS, PATHS))).map("".join)
    | st.tuples(*map(st.sampled_from, (SCHEMES[:2], HOSTS[:8], PORTS[:5], PATHS[:8]))).map("".join)
    | st.text(max_size=12)
)
accounts = st.sampled_from(["acme", "a", "a-1", "A", "", "-a", "a.b", "a/b", "a@b", "x" * 64]) | ids


def config_of(**changes: Any) -> ClientConfig | ConfigError:
    """Return settings, or why they are refused."""
    sound = {"account": "acme", "app_key": "KEY", "app_token": "TOKEN"}
    try:
        return ClientConfig(**{**sound, **changes})
    except ConfigError as refused:
        return refused


@fuzzed(80, base_url=bases, order_id=st.sampled_from(["1-01", "a@b", "v5lux-01"]))
def test_requests_go_to_the_host_that_was_given_or_to_none(base_url: str, order_id: str) -> None:
    config = config_of(base_url=base_url)

    if isinstance(config, ConfigError):
        assert str(config).isprintable()
    else:
        given, url = urlsplit(base_url), URL(config.url)
        assert url.scheme == given.scheme
        assert address(url.raw_host) == address(given.hostname)
        assert url.port == (given.port or (443 if given.scheme == "https" else 80))
        assert url.scheme == "https" or is_loopback(url.raw_host or "")
        assert (url.user, url.raw_query_string, url.raw_fragment) == (None, "", "")
        check_below(config, order_id)


def check_below(config: ClientConfig, order_id: str) -> None:
    """Every path that is asked for lies below the given one, whoever normalizes it on the way."""
    path = encode(GetOrder(order_id=order_id), OrdersApi.OMS).path
    url = URL(config.url + path, encoded=True)
    assert url.origin() == URL(config.url, encoded=True).origin()
    assert url.raw_path.endswith(path)
    assert URL(config.url + path).path == unquote(url.raw_path)
    assert not {".", ".."} & set(url.raw_path.split("/"))
    origin = URL(header_for(config).origin)
    assert (origin.scheme, origin.port) == (url.scheme, url.port)
    assert address(origin.raw_host) == address(url.raw_host)


def address(host: str | None) -> object:
    """Return a host in a form of which there is just one."""
    try:
        return ip_address(host or "")
    except ValueError:
        return host


def is_loopback(host: str) -> bool:
    return host == "localhost" or ip_address(host).is_loopback


@fuzzed(40, account=accounts)
def test_an_account_is_the_first_label_of_its_host_or_is_refused(account: str) -> None:
    config = config_of(account=account)

    if isinstance(config, ConfigError):
        assert str(config).isprintable()
    else:
        assert URL(config.url).raw_host == f"{account}.vtexcommercestable.com.br"
        assert account.replace("-", "").isalnum()
        assert str(URL(config.url).origin()) == config.url == header_for(config).origin[:-4]


@fuzzed(40, proxy=bases)
def test_a_proxy_is_a_url_with_a_host_or_is_refused(proxy: str) -> None:
    config = config_of(proxy=proxy)

    if isinstance(config, ConfigError):
        assert str(config).isprintable()
    else:
        url = URL(proxy)
        assert url.scheme in {"http", "https"}
        assert url.raw_host
        assert url.port


def test_what_is_given_and_sound_is_taken() -> None:
    taken = [config_of(base_url=url) for url in ("https://vtex.example/a", "http://[::1]:8080/")]

    assert [type(found) for found in taken] == [ClientConfig] * 2
    assert isinstance(config_of(base_url="http://vtex.example"), ConfigError)
    assert isinstance(request_of("get", "..", "1", OrdersApi.OMS), InvalidInvoice)
