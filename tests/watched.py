"""The places in which nothing secret or personal may turn up, watched while any test runs.

`begin` puts watchers into the process for good: on the root logger, around the classes whose values
are printed, around child processes and temporary folders. They change nothing that a test sees.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import IO, Any, Final, get_args
from weakref import WeakSet

import pytest

from tests.canaries import NET, MarkedSecrets
from tests.left_behind import OWN, look_into_folder, note_own
from vtex_invoice_async import events, messages, models, outcome
from vtex_invoice_async.cli.doctor.finding import Finding
from vtex_invoice_async.cli.doctor.settings import Known
from vtex_invoice_async.config import ClientConfig, Credentials
from vtex_invoice_async.errors import Doubt, Problem, VtexInvoiceError
from vtex_invoice_async.jobs import events as job_events
from vtex_invoice_async.jobs.findings import Group
from vtex_invoice_async.jobs.job import Entry, Record
from vtex_invoice_async.jobs.markup import Markup
from vtex_invoice_async.jobs.nfe import Note
from vtex_invoice_async.jobs.nfe_document import Content, Document
from vtex_invoice_async.jobs.nfe_folders import Found
from vtex_invoice_async.jobs.order_ids import Named
from vtex_invoice_async.jobs.plan import Asked
from vtex_invoice_async.jobs.reasons import Reason
from vtex_invoice_async.jobs.report.facts import Needy, Report, RunFacts, Step
from vtex_invoice_async.jobs.report.facts import Row as ReportRow
from vtex_invoice_async.jobs.rows import BadRow, Row, RowProblem
from vtex_invoice_async.jobs.summary import Summary
from vtex_invoice_async.operations import NotifyReady
from vtex_invoice_async.sandbox import server
from vtex_invoice_async.throttle import Pace

SECRET_NAMES: Final = ("VTEX_APP_KEY", "VTEX_APP_TOKEN", "VTEX_USER_TOKEN")
SAID: Final = re.compile(
    rb'(?:app_key|app_token|user_token|control_token)"?[=:]\s*"?([^"\s]+)', re.IGNORECASE
)
"""How a sandbox in a process of its own says its credentials."""

OVERLAP: Final = 512
"""Bytes of what a child wrote before, looked at again with what follows."""

TAILS: Final[dict[tuple[int, int], bytes]] = {}
"""The last of what each child wrote, by its process id and the number of the pipe."""

READS: Final = frozenset({"read", "read1", "readline", "readlines"})
"""How a test may read a pipe; to go through it line by line is to call `readline`."""

DEEPEST: Final = 6
"""Steps from an error to what hangs on it."""

PRINTED: Final[tuple[type, ...]] = (
    *get_args(events.Event),
    *get_args(job_events.Event),
    *(outcome.Outcome, outcome.InvoiceJob, Summary, Entry, Record, RowProblem, Doubt, Problem),
    *(Asked, Row, BadRow, Group, Note, Content, Document, Found, Markup, Named),
    *(NotifyReady, Pace, Reason, Finding, Known),
    *(Report, RunFacts, Needy, ReportRow, Step),
    *(messages.Request, messages.Reply, messages.NoReply, ClientConfig, Credentials),
    *(models.Invoice, models.InvoiceItem, models.Receipt, models.Order, models.Package),
)
"""Values that a program may well print or log."""

ERRORS: Final[WeakSet[VtexInvoiceError]] = WeakSet()
"""Those that live."""

UNSEEN: Final[set[int]] = set()
"""The ids of those that live and were made by the test that runs."""

FOLDERS: Final[list[Path]] = []
"""Temporary ones of the test that runs."""

CHILDREN: Final[dict[int, Sequence[bytes]]] = {}
"""The words of each child's command line, by its process id."""


class Listener(logging.Handler):
    """Hears every record of every logger."""

    def emit(self, record: logging.LogRecord) -> None:
        told = self.format(record)
        NET.look(f"{told}\n{vars(record)}", f"the log of {record.name}")


def begin() -> None:
    """Watch everything that one can from within the process, from now on."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    root.addHandler(Listener(logging.DEBUG))
    for name in root.manager.loggerDict:
        # That of backoff, for one, wants to say less.
        logging.getLogger(name).setLevel(logging.NOTSET)
    _put(server, "secrets", MarkedSecrets)
    _before(ClientConfig, "__init__", _hide_settings)
    _before(Credentials, "__init__", _hide_settings)
    for kind in dict.fromkeys(PRINTED):
        _after(kind, "__init__", lambda it, *_, **__: _look_at_value(it))
    _after(warnings.WarningMessage, "__init__", _look_at_warning)
    _watch_errors()
    _watch_children()
    _watch_files()


def _put(owner: Any, name: str, value: object) -> None:
    """Set what a class or module does not expect to be set."""
    setattr(owner, name, value)


def _before(owner: Any, name: str, see: Callable[..., object]) -> None:
    real = getattr(owner, name)

    @wraps(real)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        see(*args, **kwargs)
        return real(*args, **kwargs)

    _put(owner, name, wrapped)


def _after(owner: Any, name: str, see: Callable[..., object]) -> None:
    real = getattr(owner, name)

    @wraps(real)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        see(*args, **kwargs)
        return result

    _put(owner, name, wrapped)


def _hide_settings(_: object, /, **settings: object) -> None:
    for name in ("app_key", "app_token", "user_token"):
        NET.hide(f"the {name} of a config", settings.get(name))
    proxy = settings.get("proxy")
    if isinstance(proxy, str) and "@" in proxy:
        NET.hide("the password of a proxy", proxy.rpartition("@")[0].rpartition(":")[2])


def _look_at_value(value: object) -> None:
    NET.look(repr(value), f"the repr of {type(value).__name__}")


def _look_at_warning(warned: warnings.WarningMessage, *_: object, **__: object) -> None:
    NET.look(str(warned), "a warning")


def _watch_errors() -> None:
    def made(self: VtexInvoiceError, *args: object) -> None:
        super(VtexInvoiceError, self).__init__(*args)
        ERRORS.add(self)
        UNSEEN.add(id(self))

    def dying(self: VtexInvoiceError) -> None:
        # Then it is whole: with its cause, its notes and what was set on it. To keep them all until
        # the test's end would keep the frames of their tracebacks alive.
        if id(self) in UNSEEN:
            UNSEEN.discard(id(self))
            look_at_error(self)

    _put(VtexInvoiceError, "__init__", made)
    _put(VtexInvoiceError, "__del__", dying)


def look_at_failure(error: BaseException) -> None:
    """Look at what ended a test, unless the test says so itself: it may compare whatever it likes."""
    if isinstance(error, Exception) and not isinstance(error, AssertionError):
        look_at_error(error)


def look_at_error(error: BaseException) -> None:
    """Look at an error, at what hangs on it and at what caused it."""
    name = type(error).__name__
    with suppress(Exception):
        NET.look(pickle.dumps(error), f"the pickle of {name}")
    seen: set[int] = set()
    line: list[BaseException | None] = [error]
    while line:
        link = line.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        where = name if link is error else f"{type(link).__name__} behind {name}"
        NET.look(f"{link}\n{link!r}", f"the text of {where}")
        for text in _texts_on(link, {id(link)}, 0):
            NET.look(text, f"an attribute of {where}")
        line += [link.__cause__, link.__context__]


def _texts_on(value: object, seen: set[int], depth: int) -> Iterator[str | bytes]:
    """Yield each text that hangs on *value*; an error's traceback and causes are not followed."""
    if isinstance(value, str | bytes):
        yield value
    if isinstance(value, str | bytes | int | float | type | None) or depth > DEEPEST:
        return
    parts: list[object] = []
    if isinstance(value, Mapping):
        parts += [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | AbstractSet):
        parts += value
    elif isinstance(value, BaseException):
        parts += [value.args, vars(value)]
    else:
        yield repr(value)
        # What only hangs on it by a loop or a socket is no part of what it tells.
        if type(value).__module__.startswith(("aiohttp.client", "yarl", "vtex_invoice_async")):
            parts += getattr(value, "__dict__", {}).values()
    for part in parts:
        if id(part) not in seen:
            seen.add(id(part))
            yield from _texts_on(part, seen, depth + 1)


class Heard:
    """A pipe from a child, read by a test: what it reads is looked at."""

    def __init__(self, pipe: IO[Any], pid: int, fd: int) -> None:
        self._pipe = pipe
        self._child = pid, fd

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._pipe, name)
        return self._hearing(found) if name in READS else found

    def __iter__(self) -> Iterator[Any]:
        return iter(self.readline, type(self._pipe.read(0))())

    def _hearing(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def heard(*args: Any) -> Any:
            told = read(*args)
            _look_at_piece(*self._child, told)
            return told

        return heard


def _watch_children() -> None:
    _after(subprocess.Popen, "__init__", _look_at_child)
    real = subprocess.Popen.communicate

    @wraps(real)
    def communicate(self: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> Any:
        told = real(self, *args, **kwargs)
        for fd, output in enumerate(told, 1):
            _look_at_output(self.pid, fd, output or b"")
        return told

    def received(self: Any, fd: int, data: bytes) -> None:
        _look_at_piece(self._transport.get_pid(), fd, data)
        of_pipe(self, fd, data)

    of_pipe = asyncio.subprocess.SubprocessStreamProtocol.pipe_data_received
    _put(subprocess.Popen, "communicate", communicate)
    _put(asyncio.subprocess.SubprocessStreamProtocol, "pipe_data_received", received)


def _look_at_child(process: subprocess.Popen[Any], *_: object, **how: Any) -> None:
    environ = how.get("env") or os.environ
    for name in SECRET_NAMES:
        NET.hide(f"{name} of a child", environ.get(name))
    given: Any = process.args
    words = given if isinstance(given, list | tuple) else [given]
    CHILDREN[process.pid] = [os.fsencode(word) for word in words]
    NET.look(repr(words), f"the arguments of {_named(process.pid)}")
    for fd, name in enumerate(("stdout", "stderr"), 1):
        if (pipe := getattr(process, name, None)) is not None:
            setattr(process, name, Heard(pipe, process.pid, fd))
    with suppress(OSError):
        line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        NET.look(line, f"the arguments of {_named(process.pid)}")


def _look_at_piece(pid: int, fd: int, output: str | bytes | list[Any] | None) -> None:
    """Look at what a child wrote, together with the end of what it wrote before."""
    pieces = output if isinstance(output, list) else [output or b""]
    raw = b"".join(p.encode() if isinstance(p, str) else p for p in pieces)
    whole = TAILS.get((pid, fd), b"") + raw
    TAILS[pid, fd] = whole[-OVERLAP:]
    _look_at_output(pid, fd, whole)


def _look_at_output(pid: int, fd: int, output: str | bytes) -> None:
    words = CHILDREN.get(pid, ())
    if fd == 1 and b"sandbox" in words:
        raw = output.encode() if isinstance(output, str) else output
        for secret in SAID.findall(raw):
            NET.hide("what a sandbox said to open it", secret.decode())
        return
    # What it kept of an invoice is what an export is for.
    is_export = fd == 1 and b"export" in words
    stream = {1: "stdout", 2: "stderr"}.get(fd, str(fd))
    NET.look(output, f"{stream} of {_named(pid)}", for_people=not is_export)


def _named(pid: int) -> str:
    """Name a child by what it runs, and by none of the values that it was given."""
    words = [word.decode(errors="replace") for word in CHILDREN.get(pid, ())]
    told = words[1:4] if words[1:2] == ["-m"] else words[1:2]
    return f"the child `{' '.join(told)}`"


def _watch_files() -> None:
    _watch_folders_of(pytest.TempPathFactory, "mktemp")
    # `TemporaryDirectory` makes and removes its folder with these.
    _watch_folders_of(tempfile, "mkdtemp")
    _before(shutil, "rmtree", _look_at_removed)
    for name in ("write_text", "write_bytes"):
        _after(Path, name, _note_own)
    read = pytest.CaptureFixture.readouterr

    @wraps(read)
    def readouterr(self: pytest.CaptureFixture[Any]) -> Any:
        told = read(self)
        for text in told:
            NET.look(text, "the output of the test")
        return told

    _put(pytest.CaptureFixture, "readouterr", readouterr)


def _watch_folders_of(owner: Any, name: str) -> None:
    real = getattr(owner, name)

    @wraps(real)
    def made(*args: Any, **kwargs: Any) -> Any:
        folder = real(*args, **kwargs)
        FOLDERS.append(Path(os.fsdecode(folder)))
        return folder

    _put(owner, name, made)


def _look_at_removed(folder: str | bytes | Path, *_: object, **__: object) -> None:
    path = Path(os.fsdecode(folder))
    if any(path.is_relative_to(watched) for watched in FOLDERS):
        look_into_folder(path)


def _note_own(path: Path, content: str | bytes, *_: object, **__: object) -> None:
    note_own(path)
    if path.suffix == ".env" and isinstance(content, str):
        for secret in SAID.findall(content.encode()):
            NET.hide("a line of an env file", secret.decode())


def end(report: pytest.TestReport) -> list[str]:
    """Look at what the test left, and return all that was found in it."""
    for error in list(ERRORS):
        if id(error) in UNSEEN:
            look_at_error(error)
    ERRORS.clear()
    UNSEEN.clear()
    for folder in FOLDERS:
        look_into_folder(folder)
    FOLDERS.clear()
    OWN.clear()
    for title, text in report.sections:
        NET.look(text, title.lower())
    CHILDREN.clear()
    TAILS.clear()
    return NET.ends()
