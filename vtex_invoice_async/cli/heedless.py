"""Standard error as a stream that ends no run: who read it may have left, and its disk may be full."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

__all__ = ["heedless_stderr"]


class _Heedless:
    """A stream for people, of which nobody learns that it cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write *text*, or nothing."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or not."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def heedless_stderr() -> Iterator[None]:
    """Have all that is written to stderr meanwhile, by whomever, be lost rather than fail."""
    there = sys.stderr
    # Where it is closed there is none.
    sys.stderr = cast(TextIO, _Heedless(there if there is not None else io.StringIO()))
    try:
        yield
    finally:
        sys.stderr = there
