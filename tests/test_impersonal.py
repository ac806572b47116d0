"""What is taken out of VTEX's words, and what must stay in them for a person to act on."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtex_invoice_async.errors import CallError
from vtex_invoice_async.impersonal import impersonal

ORDINARY: Final = (
    "Field <invoiceNumber> is required. Order value > 100",
    "'<invoiceNumber>' is required",
    "invoiceValue<orderValue",
    "value a>b is not allowed, see docs",
    "a <b value",
    "Could not cast Nullable<Int32> for field itemIndex, line 3",
    "List<Nullable<Int32>> is no List<Int32>.",
    "Unexpected token < in JSON at position 0",
    "the value 5 must be > 0 and < 7",
    "see https://help.vtex.com/errors",
    # Eleven and fourteen digits that no CPF and no CNPJ has.
    "Order 12345678901 not found",
    "Pedido 12345678901-01",
    "item id 12345678901",
    "AMZ-70212345678",
    "20000123456789",
    "20260131182543",
    "00000000000",
    # Ids of orders, also of those that have nine digits before the hyphen.
    "1172452900788-01",
    "v5195004lux-01",
    "SLR-v527103anml-01",
    "MLB-2000012345678901",
    "117245290-01",
)


def as_dotnet(text: str) -> str:
    """Write *text* as .NET does in JSON."""
    written = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', "\\u0022")
    for character in "<>&'+":
        written = written.replace(character, f"\\u{ord(character):04X}")
    return written


FORMS: Final[dict[str, Callable[[str], str]]] = {
    "plain": str,
    "in HTML": html.escape,
    "in HTML twice": lambda text: html.escape(html.escape(text)),
    "in a URL": lambda text: quote(text, safe=""),
    "in a path": quote,
    "in a URL twice": lambda text: quote(quote(text, safe=""), safe=""),
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in JSON of .NET": as_dotnet,
    "in JSON in JSON": lambda text: json.dumps(as_dotnet(text))[1:-1],
}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@each_form
@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_message_stays_as_it_is(text: str, form: Callable[[str], str]) -> None:
    assert impersonal(form(text)) == form(text)


@each_form
@pytest.mark.parametrize(
    "markup",
    [
        "<xNome>Zuleica",
        "<xNome>Zuleica</xN",
        "<xNome>\u00c9 Zuleica",
        "<xNome> Zuleica </xNome>",
        "<ns2:xNome>Zuleica",
        "<dest><xNome> Zuleica",
        "<br/>Zuleica",
        "me>Zuleica</xNome>",
        'versao="4.00">Zuleica',
        '<NFe xmlns="http://www.portalfiscal.inf.br/nfe"> Zuleica',
        "<NFe\n  versao = '4.00'> Zuleica",
        '<?xml version="1.0"?> Zuleica',
        "<!DOCTYPE Zuleica",
        "<!-- Zuleica",
        "<![CDATA[Zuleica",
    ],
)
def test_markup_is_cut_to_the_end(markup: str, form: Callable[[str], str]) -> None:
    told = impersonal(f"near {form(markup)} of 7")

    assert told.startswith("near ")
    assert told.endswith("[removed]")
    assert "Zuleica" not in told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("near me>Zuleica</xNome>", "near me[removed]"),
        ("near &lt;xNome&gt;&#xC9;rica", "near [removed]"),
        ("near &lt;xNome&gt;&#201;rica", "near [removed]"),
        ("near &lt;xNome&gt;&Eacute;rica", "near [removed]"),
        ("5 > 3, near <xNome>Zuleica", "5 > 3, near [removed]"),
        ("see https://developers.vtex.com/x?a=b now", "see https://developers.vtex.com/x?[removed] now"),
        ("is it https://developers.vtex.com/x ?", "is it https://developers.vtex.com/x ?"),
        ("no https://a.example/z@b.example/?q", "no https://a.example/[removed]/?[removed]"),
    ],
)  # fmt: skip
def test_what_stands_before_is_kept(said: str, told: str) -> None:
    assert impersonal(said) == told


@pytest.mark.parametrize("frame", ["{}", "not {} here", "<{}>", "CPF:{}.", "({});", '"{}"'])
@pytest.mark.parametrize(
    "personal",
    [
        "zuleica.canarinha@pessoa.example",
        "zuleica%40pessoa.example",
        "987.654.321-00",
        "987654321-00",
        "987 654 321 00",
        "98765432100",
        "11047867702",
        # With its points it is meant as one, even where a digit is mistyped.
        "987.654.321-99",
        "11.222.333/0001-81",
        "11.222.333/0001-44",
        "12.ABC.345/01DE-35",
        "11222333/0001-81",
        "112223330001-81",
        "11222333000181",
        "35260198765432000198550010000098761987654329",
        "3526 0198 7654 3200 0198 5500 1000 0098 7619 8765 4329",
        "+5511999998888",
        "+55 11 99999-8888",
        "+55 (11) 99999-8888",
        "%2B5511999998888",
        "(11) 99999-8888",
        "(11) 3333-8888",
    ],
)
def test_what_leads_to_a_person_is_taken_out(personal: str, frame: str) -> None:
    assert impersonal(frame.replace("{}", personal)) == frame.replace("{}", "[removed]")


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text("<>/&%?\\u003CEaltg;!= \"'@.:1-", max_size=200))
def test_what_was_cleared_stays_as_it_is_when_it_is_cleared_again(text: str) -> None:
    told = CallError("no", message=text).message

    assert CallError("no", message=told).message == told


@pytest.mark.parametrize(
    "repeated",
    [
        *("a", "1", " ", "<", "&", "%", "\\", ">", "@", "+", "-", "\u00e9", "<a", "<a ", "<a/", "<!"),
        *("&amp;", "&lt;a", "%25", "%3A", "<a%20", "<a\\n", "\\u003Ca ", "\\\\/", '">', "x="),
        *("http://", "https://a?", "a@", "a@b.", "a.b", "1.", "1111 ", "(11) 9999", "11.222.333/"),
        *("12345678901 ", "98765432100 ", "987.654.321-", "11222333000182 "),
    ],
)  # fmt: skip
def test_no_text_takes_more_time_than_its_length_asks_for(repeated: str) -> None:
    text = (repeated * 100_000)[:100_000]

    began = time.process_time()
    impersonal(text)
    seconds = time.process_time() - began

    # It takes 0.04 s at most; to begin anew at every character would take many seconds.
    assert seconds < 0.5
