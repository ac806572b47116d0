"""`vtex-invoice send` with NF-e: files, folders and zips of them, checked whole and sent once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.canaries import key_for
from tests.command_line import Ended, ending, run, started
from tests.notes import Line, make_event, make_note, written_to, zipped

NOTES: Final = 30
RETURNS: Final = (7, 23)
CANCELED: Final = 11


def order_of(number: int) -> str:
    return f"1172452{number:06}-01"


def note(number: int) -> str:
    """The sale of an order, or the return of one that was sold before."""
    lines = [Line(f"{number}A", "2.0000", "20.00", "0.01"), Line(f"{number}B", "1", "5.00")]
    return make_note(
        number,
        *lines,
        value="29.99",
        order=order_of(number),
        kind="0" if number in RETURNS else "1",
        purpose="4" if number in RETURNS else "1",
        remarks={"pedido": order_of(number)},
    )


def notes(*, but: int = 0) -> dict[str, str]:
    return {f"{order_of(n)}.xml": note(n) for n in range(1, NOTES + 1) if n != but}


@asynccontextmanager
async def served(*arguments: object) -> AsyncIterator[Mapping[str, str]]:
    """A sandbox in a process of its own, as the variables that point a client at it."""
    async with started("sandbox", *arguments, "--json") as server:
        assert server.stdout is not None
        said = json.loads(await server.stdout.readline())
        environ = {f"VTEX_{name.upper()}": value for name, value in said.items()}
        environ["VTEX_BASE_URL"] = environ.pop("VTEX_URL")
        yield environ
        server.terminate()
        await ending(server)


def counted(ended: Ended, **expected: int) -> None:
    found = ended.summary
    assert {name: found[name] for name in expected} == expected, ended.stderr


async def test_notes_are_sent_to_orders_made_for_them(tmp_path: Path) -> None:
    folder = written_to(tmp_path / "notas", notes())

    async with served("--orders-for", folder, "--order-id-from", "xPed") as environ:
        files = sorted(folder.iterdir())
        ended = await run("send", *files, "--order-id-from", "xPed", "--json", environ=environ)
        journal = ended.summary["journal"]

    assert ended.code == 0, ended.stderr
    counted(ended, planned=NOTES, confirmed=NOTES, invalid=0)
    assert journal.endswith("-oms.db")
    assert "warning" not in ended.stderr


async def test_a_canceled_note_stops_the_run_and_is_left_out_of_it(tmp_path: Path) -> None:
    event = {"canceled.xml": make_event(key_for(CANCELED))}
    folder = written_to(tmp_path / "notas", {**notes(), **event})
    arguments = ("send", f"{folder}/", "--order-id-from", "xPed", "--sandbox", "--json")

    refused = await run(*arguments)
    left_out = await run(*arguments, "--skip-invalid")

    where = f"{folder}/{order_of(CANCELED)}.xml:2:72: this note was canceled"
    assert (refused.code, left_out.code) == (65, 3)
    assert where in refused.stderr
    counted(refused, planned=NOTES - 1, not_sent=NOTES - 1, invalid=1)
    assert where in left_out.stderr
    counted(left_out, planned=NOTES - 1, confirmed=NOTES - 1, invalid=1)


async def test_a_zip_is_sent_by_the_names_of_its_files(tmp_path: Path) -> None:
    archive = written_to(tmp_path, {"notas.zip": zipped(notes())}) / "notas.zip"

    async with served("--orders-for", archive, "--order-id-from", "filename") as environ:
        ended = await run("send", archive, "--order-id-from", "filename", "--json", environ=environ)

    assert ended.code == 0, ended.stderr
    counted(ended, planned=NOTES, confirmed=NOTES)


@pytest.mark.parametrize("choice", ["obsCont", "obsCont:pedido", "map.csv"])
async def test_orders_are_found_as_it_is_said(tmp_path: Path, choice: str) -> None:
    folder = written_to(tmp_path / "notas", notes())
    rows = "".join(f"{order_of(n)};{key_for(n)}\n" for n in range(1, NOTES + 1))
    written_to(tmp_path, {"map.csv": f"orderId;invoiceKey\n{rows}"})
    said = tmp_path / choice if choice == "map.csv" else choice

    ended = await run("send", folder, "--order-id-from", said, "--sandbox", "--json")

    assert ended.code == 0, ended.stderr
    counted(ended, planned=NOTES, confirmed=NOTES)


async def test_pii_2022_takes_notes_with_items(tmp_path: Path) -> None:
    folder = written_to(tmp_path / "notas", notes())

    ended = await run(
        *("send", folder, "--order-id-from", "xPed", "--sandbox", "--json"),
        *("--orders-api", "pii-2022"),
    )

    assert ended.code == 0, ended.stderr
    counted(ended, planned=NOTES, confirmed=NOTES)


async def test_problems_are_told_by_the_file_that_they_are_in(tmp_path: Path) -> None:
    archive = zipped({"a.xml": note(1), "b.xml": make_note(2, Line("9", "0.5"))})
    folder = written_to(
        tmp_path / "notas", {"1.xml": note(1).replace("29.99", "30.00"), "2.zip": archive}
    )

    ended = await run("send", folder, "--order-id-from", "xPed", "--sandbox", "--json")

    assert ended.code == 65
    told = ended.stderr.splitlines()
    assert told[0].startswith(
        f"{folder}/2.zip/a.xml:4:1: invoiceNumber: stands in {folder}/1.xml with"
    )
    assert told[1].startswith(f"{folder}/2.zip/b.xml:14:1: items[0].quantity: must be whole")
    counted(ended, planned=0, invalid=3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["send", "{notes}", "--sandbox"],
            "say with --order-id-from where the order id of an NF-e is: xPed",
        ),
        (
            ["send", "{notes}", "--sandbox", "--order-id-from", "pedido"],
            "obsCont, obsCont:NAME, filename",
        ),
        (["send", "{notes}", "--sandbox", "--format", "jsonl"], "is a folder"),
        (["send", "{lines}", "--sandbox", "--order-id-from", "xPed"], "is for NF-e"),
        (["send", "-", "--sandbox", "--format", "nfe", "--order-id-from", "xPed"], "not -"),
        (["sandbox", "--orders-for", "{notes}"], "say with --order-id-from where"),
        (["sandbox", "--order-id-from", "xPed"], "goes with --orders-for"),
    ],
)
async def test_what_makes_no_sense_is_a_matter_of_usage(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    written_to(tmp_path / "notas", {"1.xml": note(1)})
    written_to(tmp_path, {"rows.jsonl": ""})
    known = {"{notes}": str(tmp_path / "notas"), "{lines}": str(tmp_path / "rows.jsonl")}

    ended = await run(*(known.get(word, word) for word in arguments))

    assert ended.code == 2
    assert says in ended.stderr


async def test_a_folder_without_notes_is_told(tmp_path: Path) -> None:
    written_to(tmp_path / "01", {"1.xml": note(1)})

    ended = await run("send", tmp_path, "--order-id-from", "xPed", "--sandbox", "--json")

    assert ended.code == 65
    assert f"{tmp_path}:1:1: the file holds no .xml and no .zip; folders within" in ended.stderr


async def test_a_warning_counts_where_it_is_asked_to(tmp_path: Path) -> None:
    folder = written_to(tmp_path, {"1.xml": make_note(environment="2")})
    arguments = ("send", folder, "--order-id-from", "xPed", "--sandbox", "--json")

    warned, refused = await run(*arguments), await run(*arguments, "--strict")

    assert (warned.code, refused.code) == (0, 65)
    assert f"{folder}/1.xml:7:1: warning: this note was made in SEFAZ's test" in warned.stderr
