"""The paths of a JSON document with their types, and what VTEX's pages say of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import frozen

from tests.golden_files import FOLDER

# Maps whose keys are data; VTEX documents nothing of what is in them.
FREE: Final = frozenset(
    {
        "itemMetadata.Items[].AssemblyOptions[].InputValues",
        "itemMetadata.items[].assemblyOptions[].inputValues",
        "items[].attachmentOfferings[].schema",
        "items[].productCategories",
        "ratesAndBenefitsData.rateAndBenefitsIdentifiers[].matchedParameters",
    }
)
# .NET's seven digits, with an offset or the `Z` of UTC.
DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}(Z|[+-]\d\d:\d\d)")
MOMENT: Final = re.compile("(Date|Change|Until|^date|^begin|^end)$")


@frozen
class Documented:
    """What a page says: *example* has every path that is shown, *allowed* those of its schema too."""

    example: frozenset[str]
    allowed: Mapping[str, frozenset[str]]

    def wrong(self, document: object) -> dict[str, set[str]]:
        """The paths of *document* that VTEX does not document, or not with such a type."""
        return {
            path: types
            for path, types in paths_of(document).items()
            if not fitting(types) <= fitting(self.allowed.get(path, ()))
        }

    def absent(self, documents: Iterable[object]) -> set[str]:
        """The paths of the page's example that none of *documents* has."""
        return set(self.example).difference(*map(paths_of, documents))

    def left_out(self, document: object) -> set[str]:
        """The paths that *document* lacks, though what they are in is there."""
        found = paths_of(document)
        inside = {path for path, types in found.items() if "object" in types}
        return {
            path
            for path in self.example - found.keys()
            if not path.endswith("[]") and path.rpartition(".")[0] in inside
        }


def documented(dialect: str) -> Documented:
    shown = json.loads((FOLDER / f"order_paths.{dialect}.json").read_bytes())["vtex"]
    both = {**shown["example"], **shown["schema"]}
    return Documented(
        frozenset(shown["example"]), {path: frozenset(types) for path, types in both.items()}
    )


def fitting(types: Iterable[str]) -> set[str]:
    """A whole number is a number."""
    found = set(types)
    return found | {"integer"} if "number" in found else found


def paths_of(document: object) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    _walk(document, "", found)
    del found[""]
    return found


def dates_of(document: object) -> Iterator[str]:
    """Every text of *document* whose key says that it is a moment."""
    if isinstance(document, list):
        for inner in document:
            yield from dates_of(inner)
    if isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, str) and MOMENT.search(key):
                yield value
            else:
                yield from dates_of(value)


def _walk(value: object, path: str, found: dict[str, set[str]]) -> None:
    found.setdefault(path, set()).add(_type_of(value))
    if isinstance(value, dict) and path not in FREE:
        for key, inner in value.items():
            _walk(inner, f"{path}.{key}".lstrip("."), found)
    if isinstance(value, list):
        for inner in value:
            _walk(inner, f"{path}[]", found)


def _type_of(value: object) -> str:
    # bool before int: True is an int to isinstance.
    names: list[tuple[type, str]] = [
        (dict, "object"),
        (list, "array"),
        (str, "string"),
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), "null")
