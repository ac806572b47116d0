"""Settings are refused when they are made, and nothing secret is ever printed."""

from __future__ import annotations

import math
import ssl
import traceback
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from vtex_invoice_async.config import ClientConfig, Credentials, Timeouts
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.vocabulary import OrdersApi

KEY, TOKEN, USER_TOKEN = "vtexappkey-acme-KEYKEY", "TOKENTOKEN", "eyJhbGciOi.USER.TOKEN"


def make_config(**changes: Any) -> ClientConfig:
    return ClientConfig(**{"account": "acme", "app_key": KEY, "app_token": TOKEN, **changes})


def refusal(**changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make_config(**changes)
    return str(caught.value)


def test_the_defaults_are_those_of_the_design() -> None:
    config = make_config()

    assert config.url == "https://acme.vtexcommercestable.com.br"
    assert config.orders_api is OrdersApi.OMS
    assert config.max_concurrency == 64
    assert config.timeouts == Timeouts(connect=5, read=20, total=30)
    assert (config.base_url, config.ssl_context, config.proxy) == (None, None, None)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        *(({"account": account}, "account") for account in [
            "", "Acme", "acme store", "acme.evil.example/", "acme/", "-acme", "acme-", "acme\n",
            "a" * 64, "caf\u00e9", "\uff41cme", None, 5, b"acme",
        ]),
        *(({"environment": environment}, "environment") for environment in [
            "", "stable", "VTEXCOMMERCESTABLE", "evil.example/", None, 5, ["vtexcommercestable"],
        ]),
        *(({"orders_api": orders_api}, "orders_api") for orders_api in ["oms", "OMS", "", None]),
        *(({"max_concurrency": number}, "max_concurrency") for number in [
            0, -1, True, 64.0, "64", None, math.inf,
        ]),
        *(({"timeouts": timeouts}, "timeouts") for timeouts in [30, (5, 20, 30), {"total": 30}]),
        *(({"ssl_context": context}, "ssl_context") for context in [False, True, "ca.pem"]),
        *(({"proxy": proxy}, "proxy") for proxy in [
            "", "proxy:3128", "socks5://proxy:1080", "http://", "http://pro xy:3128", 5,
            "http://proxy:99999", "http://proxy\n:3128", r"http://proxy\@evil.example:3128",
            "http://%40[::1]:3128", "http://[::1]x:3128",
        ]),
    ],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused_by_name(
    settings: dict[str, Any], name: str
) -> None:
    assert name in refusal(**settings)


@pytest.mark.parametrize("account", ["a", "acme", "acme-store", "4acme", "a" * 63])
@pytest.mark.parametrize("environment", ["vtexcommercestable", "vtexcommercebeta"])
def test_requests_go_to_the_host_of_account_and_environment(account: str, environment: str) -> None:
    config = make_config(account=account, environment=environment)

    assert config.url == f"https://{account}.{environment}.com.br"


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://acme.myvtex.com", "https://acme.myvtex.com"),
        ("https://acme.myvtex.com/", "https://acme.myvtex.com"),
        ("https://gateway.example:8443/vtex/acme/", "https://gateway.example:8443/vtex/acme"),
        # The case of a scheme or a host says nothing, that of a path may.
        ("HTTPS://Gateway.Example/Vtex", "https://gateway.example/Vtex"),
        ("http://LOCALHOST:8080", "http://localhost:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_base_url_takes_the_place_of_the_host(base_url: str, url: str) -> None:
    assert make_config(base_url=base_url).url == url


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "acme.example",
        "//acme.example",
        "https://",
        "https:///path",
        "ftp://acme.example",
        "file:///etc/passwd",
        "http://acme.example",
        "http://localhost.acme.example",
        "http://127.0.0.1.acme.example",
        "http://127.0.0.1@acme.example",
        "http://acme.example/@127.0.0.1",
        "http://0.0.0.0:8080",
        "http://10.0.0.1",
        "http://[::2]",
        "http://127.1",
        "https://user@acme.example",
        "https://user:hunter2@acme.example",
        "https://@acme.example",
        "https://:@acme.example",
        "https://acme.example?an=acme",
        "https://acme.example/?",
        "https://acme.example/?#",
        "https://acme.example#",
        "https://acme.example/#top",
        "https://acme.example:0",
        "https://acme.example:65536",
        "https://acme.example:99999",
        "https://acme.example:https",
        "https://acme.example/..",
        "https://acme.example/../x",
        "https://acme.example/.",
        "https://acme.example/./x",
        "https://acme.example/%2e%2e/x",
        "https://acme.example/a b",
        "https://acme.example\n",
        "https://acme.\texample",
        "https://[::1",
        "https://acme.example\\evil.example",
        b"https://acme.example",
        ["https://acme.example"],
        5,
    ],
)
def test_a_base_url_that_might_lead_elsewhere_is_refused(base_url: Any) -> None:
    told = refusal(base_url=base_url)

    assert told.startswith("base_url must ")
    assert "hunter2" not in told


NO_CREDENTIALS = [
    " ",
    "hunter2 x",
    " hunter2",
    "hunter2\n",
    "hunter2\r\nX-Evil: 1",
    "hunter2\x00",
    "hunter2\t",
    "hunter2\x7f",
    "hunter2\u00e9",
    "hunter2\u200b",
    "hunter2" * 600,
    5,
    b"hunter2",
    ["hunter2"],
]


@pytest.mark.parametrize("secret", NO_CREDENTIALS)
@pytest.mark.parametrize("name", ["app_key", "app_token", "user_token"])
def test_a_credential_that_no_header_can_carry_is_refused_without_being_told(
    name: str, secret: Any
) -> None:
    pair = {"app_key": None, "app_token": None} if name == "user_token" else {}

    with pytest.raises(ConfigError) as caught:
        make_config(**{**pair, name: secret})

    told = "".join(traceback.format_exception_only(caught.value))
    assert name in told
    assert "hunter2" not in told
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("app_key", "app_token", "user_token"),
    [
        (None, None, None),
        (KEY, None, None),
        (None, TOKEN, None),
        (KEY, TOKEN, USER_TOKEN),
        (KEY, None, USER_TOKEN),
        (None, TOKEN, USER_TOKEN),
        ("", "", None),
        (KEY, "", None),
        ("", TOKEN, None),
        (None, None, ""),
    ],
)
def test_credentials_are_a_whole_pair_or_one_user_token(
    app_key: str | None, app_token: str | None, user_token: str | None
) -> None:
    told = refusal(app_key=app_key, app_token=app_token, user_token=user_token)

    assert "app_key" in told or "app_token" in told or "user_token" in told
    assert not any(secret in told for secret in (KEY, TOKEN, USER_TOKEN))


def test_no_secret_is_printed() -> None:
    proxy = "http://user:hunter2@proxy:3128"
    context = ssl.create_default_context()
    pair = make_config(proxy=proxy, ssl_context=context)
    token = make_config(app_key=None, app_token=None, user_token=USER_TOKEN)

    printed = f"{pair} {pair!r} {token} {token!r}"

    assert not any(secret in printed for secret in (KEY, TOKEN, USER_TOKEN, "hunter2"))
    assert "account='acme'" in printed


@pytest.mark.parametrize(
    "wrong",
    [
        {"account": "Acme"},
        {"environment": "stable"},
        {"base_url": "http://acme.example"},
        {"proxy": "socks5://user:hunter2@proxy:1080"},
        {"proxy": "http://user:hunter2@proxy:99999"},
        {"max_concurrency": 0},
        {"user_token": USER_TOKEN},
    ],
)
def test_no_secret_stands_in_what_a_refusal_tells(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(**wrong)

    told = "".join(traceback.format_exception_only(caught.value)) + str(vars(caught.value))
    assert not any(secret in told for secret in (KEY, TOKEN, USER_TOKEN, "hunter2"))


@pytest.mark.parametrize(
    "edge", [{"max_concurrency": 1}, {"base_url": "https://acme.example:65535"}]
)
def test_what_is_just_sound_is_taken(edge: dict[str, Any]) -> None:
    config = make_config(**edge)

    assert {name: getattr(config, name) for name in edge} == edge


def test_settings_cannot_be_changed_and_copies_are_checked() -> None:
    config: Any = make_config()

    with pytest.raises(FrozenInstanceError):
        config.account = "other"
    with pytest.raises(ConfigError):
        evolve(config, max_concurrency=0)


@pytest.mark.parametrize("name", ["connect", "read", "total"])
@pytest.mark.parametrize(
    "seconds", [0, -1, -0.0, math.inf, -math.inf, math.nan, True, False, "5", None, 5j]
)
def test_a_timeout_is_a_number_of_seconds_above_zero(name: str, seconds: Any) -> None:
    with pytest.raises(ConfigError, match=f"timeouts.{name}"):
        Timeouts(**{name: seconds})


def test_a_timeout_is_kept_as_it_is_given() -> None:
    timeouts = Timeouts(connect=0.25, read=1, total=1e-3)

    assert (timeouts.connect, timeouts.read, timeouts.total) == (0.25, 1, 0.001)


@pytest.mark.parametrize(
    ("seconds", "cut"),
    [
        (60, Timeouts(connect=5, read=20, total=60)),
        (10, Timeouts(connect=5, read=10, total=10)),
        (0.5, Timeouts(connect=0.5, read=0.5, total=0.5)),
    ],
)
def test_none_is_longer_than_what_an_attempt_may_take_in_all(seconds: float, cut: Timeouts) -> None:
    assert Timeouts().within(seconds) == cut


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan, True, "5", None, Timeouts()])
def test_what_an_attempt_may_take_is_a_number_of_seconds(seconds: Any) -> None:
    with pytest.raises(ConfigError, match="timeout must be a number of seconds above 0"):
        Timeouts().within(seconds)


ENVIRON = {
    "VTEX_ACCOUNT": "acme",
    "VTEX_APP_KEY": KEY,
    "VTEX_APP_TOKEN": TOKEN,
    "VTEX_ENVIRONMENT": "vtexcommercebeta",
    "VTEX_BASE_URL": "https://gateway.example",
    "VTEX_ORDERS_API": "pii-2022",
    "VTEX_MAX_CONCURRENCY": "1",
    "HTTPS_PROXY": "http://proxy:3128",
}


def test_the_environment_is_read_by_its_seven_names_and_no_other() -> None:
    config = ClientConfig.from_env(ENVIRON)

    assert config == make_config(
        environment="vtexcommercebeta",
        base_url="https://gateway.example",
        orders_api=OrdersApi.PII_2022,
    )


def test_credentials_that_are_asked_for_need_none_of_the_environment() -> None:
    async def ask() -> Credentials:
        return Credentials(user_token=USER_TOKEN)

    for environ in ({"VTEX_ACCOUNT": "acme"}, ENVIRON):
        config = ClientConfig.from_env(environ, credentials=ask)

        assert (config.account, config.credentials, config.app_key) == ("acme", ask, None)
    with pytest.raises(ConfigError, match="not set: VTEX_ACCOUNT"):
        ClientConfig.from_env({}, credentials=ask)


def test_what_the_environment_does_not_say_is_given() -> None:
    config = ClientConfig.from_env(ENVIRON, max_concurrency=3, timeouts=Timeouts(total=7))

    assert (config.max_concurrency, config.timeouts.total, config.account) == (3, 7, "acme")


def test_a_user_token_is_read_from_the_environment() -> None:
    config = ClientConfig.from_env({"VTEX_ACCOUNT": "acme", "VTEX_USER_TOKEN": USER_TOKEN})

    assert (config.user_token, config.app_key, config.app_token) == (USER_TOKEN, None, None)


def test_a_variable_that_is_empty_counts_as_absent() -> None:
    names = ("VTEX_USER_TOKEN", "VTEX_ENVIRONMENT", "VTEX_BASE_URL", "VTEX_ORDERS_API")

    config = ClientConfig.from_env({**ENVIRON, **dict.fromkeys(names, "")})

    assert config == make_config()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"VTEX_ACCOUNT": ""}, "VTEX_ACCOUNT"),
        ({"VTEX_APP_KEY": ""}, "not set: VTEX_APP_KEY"),
        ({"VTEX_APP_TOKEN": ""}, "not set: VTEX_APP_TOKEN"),
        ({"VTEX_APP_KEY": "", "VTEX_APP_TOKEN": ""}, "VTEX_APP_KEY"),
        ({"VTEX_APP_TOKEN": f"{TOKEN}\n"}, "app_token"),
        ({"VTEX_USER_TOKEN": USER_TOKEN}, "VTEX_USER_TOKEN"),
        ({"VTEX_ORDERS_API": "PII"}, "VTEX_ORDERS_API"),
        ({"VTEX_BASE_URL": "http://gateway.example"}, "base_url"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused_without_its_secrets(
    changes: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        ClientConfig.from_env({**ENVIRON, **changes})

    assert not any(secret in str(caught.value) for secret in (KEY, TOKEN, USER_TOKEN))


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VTEX_USER_TOKEN", "VTEX_ENVIRONMENT", "VTEX_BASE_URL", "VTEX_ORDERS_API"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VTEX_ACCOUNT", "acme")
    monkeypatch.setenv("VTEX_APP_KEY", KEY)
    monkeypatch.setenv("VTEX_APP_TOKEN", TOKEN)

    assert ClientConfig.from_env() == make_config()
