"""Values print, compare and hash as attrs would have them do."""

from __future__ import annotations

import inspect
from typing import Any

import attrs
import pytest
from attrs import field, frozen

from tests.test_errors import modules
from vtex_invoice_async.value import Value


@frozen(kw_only=True, eq=False, repr=False)
class Ours(Value):
    name: str
    secret: str = field(default="s", repr=False)
    items: tuple[int, ...] = ()


@frozen(kw_only=True)
class Theirs:
    name: str
    secret: str = field(default="s", repr=False)
    items: tuple[int, ...] = ()


GIVEN: list[dict[str, Any]] = [
    {"name": "a"},
    {"name": "b"},
    {"name": "a", "secret": "t"},
    {"name": "a", "items": (1, 2)},
]


@pytest.mark.parametrize("given", GIVEN)
def test_a_value_is_printed_as_attrs_would(given: dict[str, Any]) -> None:
    assert repr(Ours(**given)) == repr(Theirs(**given)).replace("Theirs", "Ours")


@pytest.mark.parametrize("one", GIVEN)
@pytest.mark.parametrize("other", GIVEN)
def test_values_are_equal_where_they_would_be_to_attrs(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    equal = Theirs(**one) == Theirs(**other)

    assert (Ours(**one) == Ours(**other)) is equal
    assert (len({Ours(**one), Ours(**other)}) == 1) is equal
    assert Ours(**one) != Theirs(**one)


def test_what_is_not_hashable_makes_no_hashable_value() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours(name="a", items=[1]))  # type: ignore[arg-type]


def test_no_field_asks_for_more_than_a_value_does() -> None:
    kinds = {
        kind
        for module in modules()
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Value) and kind is not Value
    }
    assert len(kinds) > 30
    for kind in kinds:
        for attribute in attrs.fields(kind):
            assert attribute.eq is True, (kind, attribute.name)
            assert attribute.hash is None, (kind, attribute.name)
            assert attribute.repr in {True, False}, (kind, attribute.name)
