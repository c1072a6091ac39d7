"""Values of DICOM tags from the bytes that pydicom read, for numbers to calculate with and words to compare.

Converting an element with pydicom costs more than reading it, and its text conversions follow the file's character set;
what is needed here is plain ASCII by the standard, so the raw bytes are taken. Nothing from here is ever shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

_BINARY_BYTES = {"US": 2, "SS": 2, "UL": 4, "SL": 4}


def numbers(places: Sequence[Dataset], keyword: str) -> tuple[float, ...]:
    """The finite numbers of a tag in the first of the datasets that has it; () when it is absent or anything else."""
    found = _element(places, keyword)
    if found is None:
        return ()
    if isinstance(found.value, bytes):
        kind = _tag(keyword)[1] if found.VR in (None, "UN") else str(found.VR)
        return _parsed(found.value, kind, bool(found.is_little_endian))
    return _finite([found.value] if isinstance(found.value, int | float | str) else found.value)


def whole(places: Sequence[Dataset], keyword: str) -> int | None:
    """The one whole number of a tag; None when it is absent or anything else."""
    values = numbers(places, keyword)
    return int(values[0]) if len(values) == 1 and values[0] == int(values[0]) else None


def word(places: Sequence[Dataset], keyword: str) -> str:
    """The bytes of a tag as text, "" when it is absent; several values stay joined by a backslash."""
    found = _element(places, keyword)
    if found is None or found.value is None:
        return ""
    if isinstance(found.value, bytes):
        return found.value.decode("latin-1").strip(" \0")
    return "\\".join(map(str, [found.value] if isinstance(found.value, str | int | float) else found.value)).strip()


def words(places: Sequence[Dataset], keyword: str) -> tuple[str, ...]:
    """The values of a code string in capitals."""
    text = word(places, keyword)
    return tuple(part.strip().upper() for part in text.split("\\")) if text else ()


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence, [] when it is absent."""
    tag = _tag(keyword)[0]
    return list(dataset[tag].value or []) if tag in dataset else []


def _element(places: Sequence[Dataset], keyword: str) -> Any:
    """The element as pydicom holds it, raw where nobody converted it before."""
    tag = _tag(keyword)[0]
    return next((found for place in places if (found := place.get_item(tag)) is not None), None)


@cache
def _tag(keyword: str) -> tuple[BaseTag, str]:
    """The number and the value representation of a tag by PS3.6."""
    from pydicom.datadict import dictionary_VR
    from pydicom.tag import Tag

    return Tag(keyword), dictionary_VR(keyword)


@lru_cache(maxsize=4096)
def _parsed(value: bytes, kind: str, little_endian: bool) -> tuple[float, ...]:
    if kind in _BINARY_BYTES:
        if len(value) != _BINARY_BYTES[kind]:
            return ()
        number = int.from_bytes(value, "little" if little_endian else "big", signed=kind in ("SS", "SL"))
        return (float(number),)
    # Python reads 1_000 as a number, DICOM does not.
    if kind not in ("DS", "IS") or b"_" in value:
        return ()
    return _finite(value.decode("latin-1").strip("\0").split("\\"))


def _finite(values: Sequence[Any]) -> tuple[float, ...]:
    try:
        found = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        return ()
    return found if all(map(math.isfinite, found)) else ()
