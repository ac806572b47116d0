"""The streams of a command: stderr for people, stdout for data."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import orjson
from rich.console import Console

__all__ = ["has_unicode", "say_json", "shows_unicode", "stderr", "stdout", "width_of"]


def stderr() -> Console:
    """Return the console that people read; what it prints is never taken for markup."""
    return Console(
        file=sys.stderr,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not sys.stderr.isatty(),
    )


def has_unicode(console: Console, environ: Mapping[str, str]) -> bool:
    """Whether a terminal may be sent more than ASCII."""
    if not console.encoding.lower().startswith("utf"):
        return False
    # Where the locale is C, Python itself writes UTF-8, and sets LC_CTYPE to say so.
    coerced = environ.get("LC_CTYPE") == "C.UTF-8"
    names = ("LC_ALL", "LANG") if coerced else ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((environ[name] for name in names if environ.get(name)), "")
    return locale not in {"C", "POSIX"}


def width_of(console: Console) -> int | None:
    """Return how wide lines may be; None where there is no terminal."""
    return console.width if console.file.isatty() else None


def shows_unicode(console: Console) -> bool:
    """Whether words may be as they are: a terminal has to know them, and a log does not."""
    return width_of(console) is None or has_unicode(console, os.environ)


@contextmanager
def stdout() -> Iterator[BinaryIO]:
    """Give what data is written to, in UTF-8 whatever the locale says; raise `OSError` where it fails.

    After that there is no standard output any more.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError:
        if sys.stdout is not None:
            # Python flushes once more when it ends, and would fail there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.stdout = None
        raise


def say_json(document: object) -> bool:
    """Write one JSON object to stdout; what cannot be written is said on stderr. Say which it was."""
    line = orjson.dumps(document) + b"\n"
    try:
        with stdout() as file:
            file.write(line)
    except OSError as error:
        sys.stderr.write(
            f"stdout: {error.strerror}; what was meant for it is this:\n{line.decode()}"
        )
        return False
    return True
