"""What goes on, drawn on stderr: two live lines on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    RenderHook,
    RenderResult,
)
from rich.control import Control
from rich.segment import ControlType, Segment
from rich.text import Text

from vtex_invoice_async.cli.display import has_unicode
from vtex_invoice_async.cli.facts import Facts, in_a_line, in_two_lines

__all__ = ["PLAIN_EVERY", "Screen", "screen"]

PLAIN_EVERY: Final = 5.0
"""Seconds between lines where there is no terminal."""

LIVE_EVERY: Final = 0.2
"""Seconds between pictures where there is one."""

Source: TypeAlias = Callable[[float], Facts]
"""How it stands, so many seconds after it began."""


class Screen:
    """Shows nothing."""

    every = PLAIN_EVERY

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._source: Source | None = None
        self._began = 0.0
        self._due = 0.0

    @contextmanager
    def showing(self, source: Source) -> Iterator[None]:
        """Show what *source* says as often as `tick` is called, and no more when the block is over."""
        self._source = source
        self._began = self._clock()
        self._due = self._began + self._first_after()
        try:
            self._open()
            yield
        finally:
            self._source = None
            self._close()

    @contextmanager
    def ticking(self, source: Source) -> Iterator[None]:
        """Show what *source* says as time goes by in the running loop."""

        async def tick() -> None:
            while True:
                self.tick()
                await asyncio.sleep(self.every)

        with self.showing(source):
            task = asyncio.create_task(tick())
            try:
                yield
            finally:
                task.cancel()

    def tick(self) -> None:
        """Show how it stands, if it is time for that."""
        if self._source is None or (now := self._clock()) < self._due:
            return
        self._due = now + self.every
        self._show(self._source(now - self._began))

    def _first_after(self) -> float:
        return self.every

    def _open(self) -> None:
        pass

    def _show(self, facts: Facts) -> None:
        pass

    def _close(self) -> None:
        pass


class _Plain(Screen):
    """Says it in a line."""

    every = PLAIN_EVERY

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._console = console

    def _show(self, facts: Facts) -> None:
        self._console.print(in_a_line(facts), soft_wrap=True)


class _Live(Screen, RenderHook):
    """Keeps two lines below all that is printed.

    Between two pictures the cursor stays at the beginning of the last line: what a terminal echoes, as
    ^C, is painted over.
    """

    every = LIVE_EVERY

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._console = console
        self._unicode = has_unicode(console, os.environ)
        self._lines: Sequence[Text] = ()
        self._drawn: Sequence[int] = ()
        """How wide the lines are that are to be seen."""

    def _first_after(self) -> float:
        return 0.0

    def _open(self) -> None:
        self._console.push_render_hook(self)

    def _show(self, facts: Facts) -> None:
        lines = in_two_lines(facts, self._console.width, unicode=self._unicode)
        if lines != self._lines or [line.cell_len for line in lines] != self._drawn:
            self._lines = lines
            self._console.print(Control())

    def _close(self) -> None:
        self._lines = ()
        self._console.print(Control())
        self._console.pop_render_hook()

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Print above the lines."""
        return [self._back(), *renderables, _Drawn(self)]

    def _back(self) -> Control:
        """Return what goes back to where the lines begin, and clears what is there."""
        width = max(self._console.width, 1)
        # A terminal that was made narrower has wrapped what was there.
        up = sum(-(-max(drawn, 1) // width) for drawn in self._drawn[:-1])
        codes: list[tuple[ControlType, int] | ControlType] = [ControlType.CARRIAGE_RETURN]
        if up:
            codes.append((ControlType.CURSOR_UP, up))
        return _Erasing(*codes) if self._drawn else Control()

    def draw(self) -> Iterator[Segment]:
        """Yield the lines, and remember them as they are."""
        self._drawn = [line.cell_len for line in self._lines]
        for at, line in enumerate(self._lines):
            if at:
                yield Segment.line()
            yield from line.render(self._console)
        if self._lines:
            yield Control(ControlType.CARRIAGE_RETURN).segment


class _Erasing(Control):
    """Moves, and clears from there to the end of the screen."""

    def __init__(self, *codes: tuple[ControlType, int] | ControlType) -> None:
        super().__init__(*codes)
        text, _, control = self.segment
        self.segment = Segment(f"{text}\x1b[J", None, control)


class _Drawn:
    """The lines of a screen as they are when it comes to them."""

    def __init__(self, live: _Live) -> None:
        self._live = live

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._live.draw()


def screen(
    console: Console, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Screen:
    """Return what shows how it goes to who reads *console*; *clock* says how time goes by."""
    if quiet or console.quiet:
        return Screen()
    # Colours may be wanted in a file; a cursor cannot be moved there.
    is_live = console.file.isatty() and console.is_terminal and not console.is_dumb_terminal
    return _Live(console, clock) if is_live else _Plain(console, clock)
