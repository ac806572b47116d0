"""A terminal for tests: a real pty, and a screen that shows what a person would see on it."""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import os
import re
import signal
import struct
import termios
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from rich.cells import cell_len, chop_cells

from tests.command_line import TIMEOUT, started

_SEQUENCE: Final = re.compile(r"\x1b\[([\d;]*)([A-Za-z])")

Place = tuple[int, int]


class Glass:
    """What is to be seen, with all that has scrolled away.

    It wraps what is too long, and wraps it anew when it is made narrower, as most terminals do.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.longest = 0
        """The most rows that one line took when it was written."""
        self._lines = [""]
        self._at = 0
        self._column = 0

    @property
    def rows(self) -> list[str]:
        """The rows, without the empty ones at the end."""
        found = [row for line in self._lines for row in self._rows(line)]
        while found and not found[-1].strip():
            found.pop()
        return found

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._lines)

    def feed(self, text: str) -> None:
        """Show what a program writes."""
        at = 0
        while at < len(text):
            if found := _SEQUENCE.match(text, at):
                self._move(found[2], int(found[1].partition(";")[0] or 1))
                at = found.end()
                continue
            self._put(text[at])
            at += 1

    def _put(self, char: str) -> None:
        if char == "\r":
            # The beginning of the row, which need not be that of the line.
            self._column -= self._column % self.width
        elif char == "\n":
            self._at += 1
            self._column = 0
            if self._at == len(self._lines):
                self._lines.append("")
        elif char == "\x07":
            pass
        else:
            assert char.isprintable(), repr(char)
            line = self._lines[self._at].ljust(self._column)
            self._lines[self._at] = line[: self._column] + char + line[self._column + 1 :]
            self._column += 1
            self.longest = max(self.longest, len(self._rows(self._lines[self._at])))

    def _move(self, what: str, count: int) -> None:
        match what:
            case "A":
                for _ in range(count):
                    self._up()
            case "J":
                del self._lines[self._at + 1 :]
                self._lines[self._at] = self._lines[self._at][: self._column]
            case "m":
                pass  # a colour
            case _:
                raise AssertionError(what)

    def _up(self) -> None:
        if self._column >= self.width:
            self._column -= self.width
        elif self._at:
            self._at -= 1
            self._column = (len(self._rows(self._lines[self._at])) - 1) * self.width

    def _rows(self, line: str) -> list[str]:
        return chop_cells(line, self.width) or [""] if cell_len(line) > self.width else [line]


class Terminal:
    """A program on a terminal."""

    def __init__(self, process: Process, fd: int, width: int) -> None:
        self.process = process
        self.glass = Glass(width)
        self.written = ""
        self._fd = fd
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._news = asyncio.Event()
        self._is_over = False
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            piece = os.read(self._fd, 65_536)
        except OSError:
            piece = b""  # so Linux says that nobody writes any more
        if not piece:
            self._is_over = True
            asyncio.get_running_loop().remove_reader(self._fd)
        text = self._decoder.decode(piece)
        self.written += text
        self.glass.feed(text)
        self._news.set()

    def resize(self, width: int) -> None:
        """Make it as wide as that."""
        self.glass.width = width
        _set_width(self._fd, width)

    def type(self, keys: bytes) -> None:
        """Type on it."""
        os.write(self._fd, keys)

    async def shows(self, condition: str | Callable[[Glass], bool]) -> None:
        """Wait until words are to be seen, or something else is so."""
        if isinstance(condition, str):
            words = condition
            condition = lambda glass: words in glass.text  # noqa: E731
        try:
            async with asyncio.timeout(TIMEOUT):
                while not condition(self.glass) and not self._is_over:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass
        assert condition(self.glass), self.glass.text

    async def pictures(self, count: int) -> None:
        """Wait until it was painted anew so many times."""
        at = len(self.written)
        await self.shows(lambda _: self.written.count("\x1b[J", at) >= count)

    async def ends(self) -> int:
        """Wait until the program has ended; return its exit code."""
        async with asyncio.timeout(TIMEOUT):
            while not self._is_over:
                self._news.clear()
                await self._news.wait()
            return await self.process.wait()


@asynccontextmanager
async def terminal(
    *arguments: object, width: int = 80, environ: dict[str, str] | None = None
) -> AsyncIterator[Terminal]:
    """Run `vtex-invoice` on a terminal of its own, that Ctrl-C is typed on."""
    ours, theirs = os.openpty()
    _set_width(theirs, width)
    around = {"TERM": "xterm", "COLUMNS": "", "LC_ALL": "C.UTF-8"} | (environ or {})
    try:
        async with started(
            *arguments, environ=around, stderr=theirs, module="tests.on_a_terminal"
        ) as process:
            os.close(theirs)
            shown = Terminal(process, ours, width)
            yield shown
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


def _set_width(fd: int, width: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
