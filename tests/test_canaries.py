"""The net that watches every test: that it catches what is planted, and says where."""

from __future__ import annotations

import ast
import base64
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import pytest

from tests.canaries import (
    EMAIL,
    EMBEDDED,
    INVOICE_KEY,
    NAME,
    PERSONAL,
    SECRETS,
    TOKEN_MARK,
    Net,
    forms_of,
)
from tests.command_line import ROOT

PLANTED: Final = ROOT / "tests" / "planted_leaks.py"
"""A file of tests that leak, each in one place; only the net makes them fail."""

PLACES: Final = {
    "in_a_log": "a sandbox's token in the log of aiohttp.client",
    "in_the_error_of_a_log": "a sandbox's token in the log of asyncio",
    "in_a_field_of_a_log": "a sandbox's token in the log of backoff",
    "in_a_warning": "a sandbox's app key in a warning",
    "on_stdout": "the name in an embedded invoice in captured stdout call",
    "on_stderr": "the name in an embedded invoice in captured stderr call",
    "in_captured_output": "the phone of a customer in the output of the test",
    "in_a_credential_of_its_own": "the app_token of a config in captured stdout call",
    "in_the_beginning_of_a_credential": "the app_token of a config in captured stdout call",
    "on_a_childs_stdout": "a sandbox's token in stdout of the child `-m tests.planted_leaks out`",
    "on_a_childs_stderr": "a sandbox's token in stderr of the child `-m tests.planted_leaks err`",
    "in_what_is_read_of_a_child": "a sandbox's token in stdout of the child `-m tests.planted_leaks out`",
    **{
        f"in_a_pipe_of_a_child[{way}-{kind}]": "a sandbox's token in stderr of the child `-m tests.pl"
        for way in ("read", "in_pieces", "line", "lines", "through")
        for kind in ("text", "bytes")
    },
    "in_the_arguments_of_a_child": "a sandbox's token in the arguments of the child `-c`",
    "on_the_stderr_of_a_sandbox": "a sandbox's token in stderr of the child `-m tests.planted_leaks sandbox",
    "of_a_secret_in_an_export": "a sandbox's token in stdout of the child `-m tests.planted_leaks export",
    "of_what_a_sandbox_said": "what a sandbox said to open it in captured stdout call",
    "in_the_text_of_an_error": "a sandbox's token in the text of ConfigError",
    "in_an_error_that_no_test_expects": "a sandbox's token in the text of LookupError",
    "in_the_pickle_of_an_error": "a sandbox's token in the pickle of ConfigError",
    "in_the_cause_of_an_error": "a sandbox's token in the text of FileNotFoundError behind ConfigError",
    "in_a_request_behind_an_error": "a sandbox's token in an attribute of ClientResponseError behind",
    "in_the_context_of_an_error": "a sandbox's token in the text of ValueError behind ConfigError",
    "in_a_note_on_an_error": "a sandbox's token in an attribute of ConfigError",
    "in_an_event": "the e-mail of a customer in the repr of Sent",
    "in_an_outcome": "the e-mail of a customer in the repr of Outcome",
    "in_a_column_of_a_journal": "the name of a customer in a row of the journal's table invoice",
    "of_a_secret_in_a_body": "a sandbox's token in the bytes of a journal",
    "in_a_body_that_was_confirmed": "the body of an invoice in the row of a confirmed one",
    "in_what_a_journal_erased": "the name in an embedded invoice in the bytes of a journal whose rows",
    "in_a_lock": "the name in an embedded invoice in the file *.lock",
    "in_a_report": "the name in an embedded invoice in the file *.html",
    "in_a_temporary_folder": "the name in an embedded invoice in the file *.tmp",
    "in_a_folder_that_is_left_behind": "the name in an embedded invoice in the file *.tmp",
    "in_a_folder_that_is_removed": "a sandbox's token in the file *.tmp",
    "in_a_file_of_the_tests_own_that_was_overwritten": "the name in an embedded invoice in the file *.html",
    "in_what_was_added_to_a_file_of_the_tests_own": "a sandbox's token in the file *.jsonl",
}
"""What each planted test leaks, and what the net is to say of it."""


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """What a run of the planted tests says of each."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--show-capture=no"),
            *("-p", "no:cacheprovider", "-n", "0", "--color=no", "--tb=short"),
            *("-c", ROOT / "pyproject.toml", "--rootdir", ROOT, PLANTED),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    found = re.findall(
        r"^tests/planted_leaks\.py::test_(\S+)\n((?:leaked: .*\n)+)", ended.stdout, re.MULTILINE
    )
    return dict(found) | {"the end": ended.stdout.splitlines()[-1]}


@pytest.mark.parametrize("leak", PLACES)
def test_a_planted_leak_fails_its_test_and_is_told_with_its_place(
    told: dict[str, str], leak: str
) -> None:
    assert f"leaked: {PLACES[leak]}" in told[leak]


def test_what_is_allowed_fails_no_test(told: dict[str, str]) -> None:
    allowed = {name for name in told if name.startswith("allowed")}

    assert allowed == set()
    assert re.fullmatch(rf"(\d+) passed, 1 xfailed, {len(PLACES)} errors in .*", told["the end"])


def in_base64(before: int) -> Callable[[str], str]:
    """Write a text in the midst of what is encoded, after so many bytes."""
    return lambda text: base64.b64encode(b"#" * before + text.encode() + b"::").decode()


WRITTEN: Final[dict[str, Callable[[str], str]]] = {
    "plain": str,
    "in lower case": str.lower,
    "in upper case": str.upper,
    "in reversed case": str.swapcase,
    "in a URL": lambda text: quote(text, safe=""),
    "in HTML": html.escape,
    "in JSON": json.dumps,
    "in JSON in JSON": lambda text: json.dumps(json.dumps({"message": text})),
    "in a repr": repr,
    "in hexadecimal digits": lambda text: text.encode().hex(),
    "in Base64": in_base64(0),
    "in Base64 after a byte": in_base64(1),
    "in Base64 after two bytes": in_base64(2),
    "in Base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}


@pytest.mark.parametrize(
    "text",
    [f"{TOKEN_MARK}rest", "C4n\"ry'/\\+%&<k>Token~", "C4n'ry-token-\"", NAME, EMAIL, INVOICE_KEY],
)
@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("kind", [str, bytes], ids=["text", "bytes"])
def test_a_canary_is_found_however_it_is_written(kind: type, form: str, text: str) -> None:
    net = Net()
    net.hide("a token", text)
    written = f"before {WRITTEN[form](text)} after"

    net.look(written if kind is str else written.encode(), "a place")

    assert net.ends()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [f"{TOKEN_MARK}rest", "C4n\"ry'/\\+%&<k>Token~", NAME])
def test_a_canary_is_found_in_bytes_of_two_a_character(text: str, encoding: str) -> None:
    net = Net()
    net.hide("a token", text)

    net.look(f"before {text} after".encode(encoding), "a place")

    assert net.ends()


@pytest.mark.parametrize("form", WRITTEN)
def test_the_first_twelve_characters_of_a_token_are_as_good_as_the_token(form: str) -> None:
    net = Net()
    net.hide("a token", "C4n\"ry'/\\+%&<k>Token~")
    net.hide("a key", "vtexappkey-acme-KEYKEY")

    net.look(WRITTEN[form]("C4n\"ry'/\\+%&"), "a place")
    net.look("vtexappkey-acme-", "another place")

    assert net.ends() == ["a token in a place"]


def test_what_is_found_is_told_by_its_kind_and_never_by_its_value() -> None:
    net = Net()
    net.hide("a token", "hunter2hunter2")

    net.look(f"hunter2hunter2 {EMBEDDED}", "a place")

    assert net.ends() == [
        "a token in a place",
        "the name in an embedded invoice in a place",
        "the CPF in an embedded invoice in a place",
        "the e-mail in an embedded invoice in a place",
    ]


def test_a_place_for_people_may_hold_what_is_personal_and_no_secret() -> None:
    net = Net()

    net.look(f"{EMBEDDED} {TOKEN_MARK}", "an export", for_people=False)

    assert net.ends() == ["a sandbox's token in an export"]


def test_credentials_are_forgotten_with_their_test_and_the_marked_ones_never() -> None:
    net = Net()
    net.hide("a token", "hunter2hunter2")
    net.ends()

    net.look(f"hunter2hunter2 {TOKEN_MARK}", "a place")

    assert net.ends() == ["a sandbox's token in a place"]


def test_of_many_credentials_the_last_ones_are_looked_for() -> None:
    net = Net()
    for n in range(5_000):
        net.hide("a token", f"hunter{n}hunter")

    net.look("hunter10hunter hunter4990hunter", "a place")
    net.look("hunter11hunter", "another place")

    assert net.ends() == ["a token in a place"]


@pytest.mark.parametrize("text", ["K", "TOKEN", "12345678", "aaaaaaaa", None])
def test_what_occurs_by_chance_is_not_looked_for(text: str | None) -> None:
    net = Net()
    net.hide("a token", text)

    net.look(f"a {text} a", "a place")

    assert net.ends() == []


def test_the_package_writes_no_file_in_the_way_that_marks_a_file_as_a_tests_own() -> None:
    sources = (ROOT / "vtex_invoice_async").rglob("*.py")

    found = [path for path in sources if re.search(r"\bwrite_(text|bytes)\b", path.read_text())]

    assert found == []


def test_no_canary_is_a_literal_of_the_package() -> None:
    # Hypothesis draws texts from them, and a property test would be told of a leak that is none.
    literals = {
        node.value.lower()
        for path in (ROOT / "vtex_invoice_async").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    needles = [form for canary in (*SECRETS, *PERSONAL) for form in forms_of(canary.text)]
    assert not [needle for needle in needles if any(needle in text for text in literals)]
