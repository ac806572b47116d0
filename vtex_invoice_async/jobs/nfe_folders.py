"""Where NF-e lie: files, folders of them and zips, one file in memory at a time.

Only names are kept whole, since they are sorted: of a folder its names, of a zip its directory.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from attrs import field, frozen

from vtex_invoice_async.jobs.markup import LARGEST
from vtex_invoice_async.jobs.rows import named

__all__ = ["SUFFIXES", "Found", "files_in"]

SUFFIXES: Final = (".xml", ".zip")
"""What is read of a folder, whatever else lies in it."""

MOST_SHRUNK: Final = 100
"""How much smaller than its content a zip may be; a thousand equal items come to a third of it."""

_ENCRYPTED: Final = 0x1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@frozen(kw_only=True)
class Found:
    """A file, or what is wrong with it."""

    name: str
    """How it is told: `notas.zip/1.xml`."""

    base: str
    """Its name without any folder."""

    raw: bytes = field(default=b"", repr=False)
    trouble: str | None = None


def files_in(path: str) -> Iterator[Found]:
    """Yield the file at a path, or those of a folder or a zip, by name.

    A folder's own folders are not looked into, nor is what is hidden, or neither XML nor zip.
    """
    files = _files(path)
    first = next(files, None)
    if first is None:
        yield _troubled(
            path, "holds no .xml and no .zip; folders within a folder are not looked into"
        )
        return
    yield first
    yield from files


def _files(path: str) -> Iterator[Found]:
    try:
        is_folder = Path(path).is_dir()
        names = sorted(entry.name for entry in os.scandir(path)) if is_folder else []
    except OSError as error:
        yield _troubled(path, _unreadable(error))
        return
    if not is_folder:
        yield from _file(Path(path))
    for name in names:
        if _is_read(name):
            yield from _file(Path(path) / name)


def _is_read(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def _file(path: Path) -> Iterator[Found]:
    try:
        # To open a pipe waits for who writes to it; and a note is read twice.
        if not stat.S_ISREG(path.stat().st_mode):
            yield _troubled(str(path), "is no file that can be read twice, as NF-e are")
        elif path.suffix.lower() == ".zip":
            yield from _unzipped(path)
        else:
            with path.open("rb") as file:
                yield _whole(str(path), path.name, file.read(LARGEST + 1))
    except OSError as error:
        yield _troubled(str(path), _unreadable(error))


def _unzipped(path: Path) -> Iterator[Found]:
    try:
        archive = zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception:  # noqa: BLE001  zipfile raises what the bytes make it
        yield _troubled(str(path), "is no zip, or not all of one")
        return
    with archive:
        inside = sorted(archive.infolist(), key=lambda info: info.filename)
        size = sum(info.file_size for info in inside)
        if size > MOST_SHRUNK * path.stat().st_size:
            yield _troubled(
                str(path), f"says that it holds {size:,} bytes, which no zip of NF-e does"
            )
            return
        for info in inside:
            # A name is only a name: nothing is unpacked to it.
            base = PurePosixPath(info.filename.replace("\\", "/")).name
            if _is_read(base) and not info.is_dir():
                yield _member(archive, info, f"{path}/{info.filename}", base)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, base: str) -> Found:
    if base.lower().endswith(".zip"):
        return _troubled(name, "is a zip in a zip; unpack it")
    if info.flag_bits & _ENCRYPTED:
        return _troubled(name, "is encrypted; give a zip without a password")
    if info.compress_type not in _METHODS:
        return _troubled(name, "is compressed in a way that is not read; deflate it")
    if info.file_size > LARGEST:
        return _troubled(name, f"is larger than {LARGEST:,} bytes")
    if info.file_size > MOST_SHRUNK * info.compress_size:
        return _troubled(name, f"is {MOST_SHRUNK} times larger than in its zip, which no NF-e is")
    try:
        with archive.open(info) as file:
            return _whole(name, base, file.read(LARGEST + 1))
    except Exception:  # noqa: BLE001  zipfile and zlib raise what the bytes make them
        return _troubled(name, "cannot be unpacked: its zip is damaged")


def _whole(name: str, base: str, raw: bytes) -> Found:
    return Found(name=named(name), base=base, raw=raw)


def _troubled(name: str, trouble: str) -> Found:
    return Found(name=named(name), base="", trouble=trouble)


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {error.strerror or type(error).__name__}"
