"""Folders and zips: what is read of them, what is passed over, and what is refused by its name."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.canaries import key_for
from tests.notes import Line, make_event, make_note, rows_at, told_at, written_to, zipped
from vtex_invoice_async import OrdersApi
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.markup import LARGEST
from vtex_invoice_async.jobs.nfe_folders import files_in
from vtex_invoice_async.jobs.rows import BadRow, Row
from vtex_invoice_async.jobs.sources import read


def zip_at(folder: Path, content: bytes, name: str = "notas.zip") -> Path:
    return written_to(folder, {name: content}) / name


def told_of(path: Path) -> tuple[str, str]:
    """The file and the text of the one thing that is told."""
    (found,) = told_at(path)
    assert (found.line, found.column, found.problem.code) == (1, 1, "file")
    return str(found.file), found.problem.message


def test_a_folder_is_its_notes_and_zips_by_name(tmp_path: Path) -> None:
    folder = written_to(
        tmp_path / "notas",
        {
            "b.xml": make_note(2),
            "a.XML": make_note(1),
            "c.zip": zipped({"z.xml": make_note(4), "d/y.xml": make_note(3), "x.pdf": b"%PDF"}),
            ".hidden.xml": "<",
            "danfe.pdf": b"%PDF",
            "rows.jsonl": "{",
        },
    )
    written_to(folder / "inner", {"9.xml": "<"})

    rows = rows_at(folder)

    assert [row.file for row in rows] == [
        f"{folder}/{name}" for name in ("a.XML", "b.xml", "c.zip/d/y.xml", "c.zip/z.xml")
    ]
    assert [row.job.invoice.invoice_number for row in rows if isinstance(row, Row)] == list("1234")


def test_an_event_in_a_zip_cancels_a_note_in_a_folder(tmp_path: Path) -> None:
    folder = written_to(tmp_path / "notas", {"1.xml": make_note(1), "2.xml": make_note(2)})
    archive = zip_at(tmp_path, zipped({"e.xml": make_event(key_for(1))}))

    assert [type(row) for row in rows_at(folder, archive)] == [BadRow, Row]


def test_names_in_a_zip_are_only_names(tmp_path: Path) -> None:
    names = ["../../up.xml", "/etc/abs.xml", "a\\b.xml", "__MACOSX/._a.xml", "d/.x.xml", "e/"]
    archive = zip_at(tmp_path, zipped({name: make_note() for name in names}))
    before = sorted(path.name for path in tmp_path.rglob("*"))

    rows = rows_at(archive)

    assert [row.file for row in rows] == [
        f"{archive}/{name}" for name in ("../../up.xml", "/etc/abs.xml", "a\\b.xml")
    ]
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_name_that_does_not_print_is_told_on_one_line(tmp_path: Path) -> None:
    archive = zip_at(tmp_path, zipped({"a\n\x1b[2Jb.xml": "<"}))

    (found,) = told_at(archive)

    assert found.file == rf"{archive}/a\n\x1b[2Jb.xml"


def test_two_names_are_told_apart(tmp_path: Path) -> None:
    names = ["a  b.xml", "a b.xml", "a\nb.xml", os.fsdecode(b"\xfe.xml"), os.fsdecode(b"\xff.xml")]
    folder = written_to(tmp_path, dict.fromkeys(names, "<"))

    found = [row.file for row in rows_at(folder)]

    assert len(found) == len({*found}) == len(names)
    assert f"{folder}/a  b.xml" in found


SOUND: Final = zipped({"a.xml": make_note(1), "b.xml": make_note(2)})


@pytest.mark.parametrize("size", [0, 1, 22, 100, len(SOUND) // 2, len(SOUND) - 1])
def test_a_zip_that_is_cut_off_is_told(tmp_path: Path, size: int) -> None:
    archive = zip_at(tmp_path, SOUND[:size])

    assert told_of(archive) == (str(archive), "the file is no zip, or not all of one")


def patched(content: bytes, at_local: int, at_central: int, value: bytes) -> bytes:
    """A zip of one file with other bytes in both of its headers."""
    central = content.index(b"PK\1\2")
    changed = bytearray(content)
    changed[at_local : at_local + len(value)] = value
    changed[central + at_central : central + at_central + len(value)] = value
    return bytes(changed)


ONE: Final = zipped({"a.xml": make_note()})
BOMB: Final = zipped({"a.xml": b" " * LARGEST})
LESS: Final = struct.pack("<I", 100)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (zipped({"b.zip": SOUND}), "is a zip in a zip"),
        (patched(ONE, 6, 8, b"\1\0"), "is encrypted"),
        (zipped({"a.xml": make_note()}, zipfile.ZIP_LZMA), "compressed in a way"),
        (zipped({"a.xml": make_note()}, zipfile.ZIP_BZIP2), "compressed in a way"),
        (patched(ONE, 8, 10, b"\x63\0"), "compressed in a way"),
        (zipped({"a.xml": os.urandom(LARGEST + 1)}), "is larger than 1,048,576 bytes"),
        (zipped({"a.xml": b" " * LARGEST, "b.txt": os.urandom(20_000)}), "is 100 times larger"),
        (patched(ONE, 22, 24, LESS), "cannot be unpacked"),
        (patched(ONE, 14, 16, b"\0\0\0\0"), "cannot be unpacked"),
        (ONE[:60] + bytes(40) + ONE[100:], "cannot be unpacked"),
    ],
)
def test_what_is_wrong_in_a_zip_is_told_by_its_name(
    tmp_path: Path, content: bytes, says: str
) -> None:
    archive = zip_at(tmp_path, content)

    file, message = told_of(archive)

    assert file.startswith(f"{archive}/")
    assert says in message


def test_a_bomb_is_not_opened(tmp_path: Path) -> None:
    archive = zip_at(tmp_path, BOMB)

    assert told_of(archive)[0] == str(archive)
    assert "1,048,576 bytes, which no zip of NF-e does" in told_of(archive)[1]


def test_a_bomb_that_says_that_it_is_none_is_cut_short(tmp_path: Path) -> None:
    archive = zip_at(tmp_path, patched(BOMB, 22, 24, LESS))

    assert "cannot be unpacked" in told_of(archive)[1]


def overlapping(count: int) -> bytes:
    """A zip whose names are all of one and the same content."""
    content = os.urandom(1_000) + b" " * 90_000
    whole = zipped({"0.xml": content})
    central = whole.index(b"PK\1\2")
    header = bytearray(whole[central : whole.index(b"PK\5\6")])
    headers = b""
    for number in range(count):
        header[46:47] = str(number % 10).encode()
        headers += bytes(header)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(headers), central, 0)
    return whole[:central] + headers + end


def test_a_bomb_of_names_for_one_content_is_refused(tmp_path: Path) -> None:
    archive = zip_at(tmp_path, overlapping(500))

    assert len(zipfile.ZipFile(archive).namelist()) == 500
    rows = rows_at(archive)

    assert all(isinstance(row, BadRow) for row in rows)
    assert len(rows) == 1


def test_what_shrinks_as_notes_do_is_fine(tmp_path: Path) -> None:
    """The most items that a note may have, and all alike but for their SKU."""
    text = make_note(1, *(Line(str(number)) for number in range(990)))
    archive = zipped({"a.xml": text})
    assert len(text) > 20 * len(archive)

    (row,) = rows_at(zip_at(tmp_path, archive))

    assert isinstance(row, Row)
    assert len(row.job.invoice.items) == 990


def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.xml")
    (tmp_path / "folder.xml").mkdir()
    (tmp_path / "gone.xml").symlink_to(tmp_path / "nowhere")

    rows = rows_at(tmp_path)

    told = [row.problems[0].problem.message for row in rows if isinstance(row, BadRow)]
    assert told == [
        "the file is no file that can be read twice, as NF-e are",
        "the file cannot be read: No such file or directory",
        "the file is no file that can be read twice, as NF-e are",
    ]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    file, message = told_of(tmp_path / "none.xml")

    assert (file, "cannot be read" in message) == (str(tmp_path / "none.xml"), True)


def test_the_format_may_be_said(tmp_path: Path) -> None:
    path = written_to(tmp_path, {"note.txt": make_note()}) / "note.txt"

    assert isinstance(rows_at(path, format_="nfe")[0], Row)
    with pytest.raises(ConfigError, match="is a folder"):
        list(read([str(tmp_path)], OrdersApi.OMS, format_="jsonl"))
    with pytest.raises(ConfigError, match="not -"):
        list(read(["-"], OrdersApi.OMS, format_="nfe", order_id_from="xPed"))


def test_what_holds_no_notes_is_told(tmp_path: Path) -> None:
    deep = written_to(tmp_path / "deep", {"note.pdf": "%PDF"})
    written_to(deep / "2026", {"note.xml": make_note(1)})
    pictures = zip_at(tmp_path, zipped({"note.pdf": "%PDF"}))

    for path in (deep, pictures):
        file, message = told_of(path)
        assert (file, "holds no .xml" in message) == (str(path), True)


def test_one_file_is_open_at_a_time(tmp_path: Path) -> None:
    written_to(tmp_path, {f"{n:03}.xml": make_note(n + 1) for n in range(300)})

    files = files_in(str(tmp_path))
    next(files)
    (tmp_path / "200.xml").write_bytes(b"later")

    assert [found.raw for found in files].count(b"later") == 1


def test_zips_of_another_maker_are_read(tmp_path: Path) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open("á/b.xml", "w", force_zip64=True) as file:
            file.write(make_note().encode())
        archive.comment = b"x" * 1_000

    (row,) = rows_at(zip_at(tmp_path, b"#!/bin/sh\n" + written.getvalue()))

    assert isinstance(row, Row)
