"""What the values of this package have in common: how they are printed, and when they are equal."""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = ["Value"]


class Value:
    """Prints, compares and hashes an attrs class by its fields, as attrs would by default.

    attrs writes and compiles functions for each class, which is half of what making one costs, and
    a program that imports this package makes sixty.
    """

    __slots__ = ()
    __attrs_attrs__: ClassVar[Any]

    def __repr__(self) -> str:
        shown = (field.name for field in self.__attrs_attrs__ if field.repr)
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__qualname__}({fields})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = (field.name for field in self.__attrs_attrs__)
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, field.name) for field in self.__attrs_attrs__))
