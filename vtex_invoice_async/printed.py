"""How the values of this package are printed: by their fields, but for those that lead to people."""

from __future__ import annotations

from typing import Any

__all__ = ["Printed"]


class Printed:
    """Prints an attrs class as attrs would.

    attrs writes and compiles a function for each class, a third of what making one costs, and a
    program that imports this package makes sixty.
    """

    __slots__ = ()
    __attrs_attrs__: Any

    def __repr__(self) -> str:
        shown = (field.name for field in self.__attrs_attrs__ if field.repr)
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__qualname__}({fields})"
