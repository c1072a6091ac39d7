"""Kinds of networks: what the description of each must say about it, key by key. Light: no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeGuard

from vision.models.backbone_names import BACKBONE_NAMES
from vision.models.checkpoints.classes import ORDERS, channels_of
from vision.structures import STRUCTURES, find_near

Check = Callable[[Any], Any]
"""The value of a key in its exact type. Raises ValueError with what is wrong, as in 'is not a number'."""

MOST_LEVELS = 8
MOST_WIDTH = 1024
LARGEST_NUMBER = 1e12
SPACING_MM = (0.5, 10.0)
WINDOW_HU = (-2000.0, 10_000.0)
MOST_BASE_WIDTH = 64
WINDOW_VOXELS = (64, 256)
WINDOW_MULTIPLE = 32
UNIVERSAL = "universal"
"""The kind that this project trains; all others are converted from public checkpoints."""
FUSIONS = ("concat", "cross_attention")

_NAMES = frozenset(structure.name for structure in STRUCTURES)


def is_number(value: Any) -> bool:
    """Whether it is a finite number of a bearable size; true and false are none."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < LARGEST_NUMBER
        and math.isfinite(value)
    )


def is_list(value: object) -> bool:
    """Whether it is a list, as JSON or as Python writes it."""
    return isinstance(value, list | tuple)


def are_texts(value: Any) -> TypeGuard[Sequence[str]]:
    """Whether it is a list of texts."""
    return is_list(value) and all(isinstance(each, str) for each in value)


def structures(value: Any) -> tuple[str, ...]:
    """Names of the structure table, each once."""
    if not are_texts(value) or not 1 <= len(set(value)) == len(value):
        raise ValueError("is not a list of different structures")
    unknown = next((name for name in value if name not in _NAMES), None)
    if unknown is not None:
        near = ", ".join(find_near(unknown)) or "none"
        raise ValueError(f"names {unknown[:40]!r}, which is no structure (nearest: {near})")
    return tuple(value)


def width(value: Any) -> int:
    """A number of features."""
    if not _is_width(value):
        raise ValueError(f"is not an integer from 1 to {MOST_WIDTH}")
    return int(value)


def widths(value: Any) -> tuple[int, ...]:
    """Numbers of features, fine to coarse."""
    if not is_list(value) or not 1 <= len(value) <= MOST_LEVELS or not all(map(_is_width, value)):
        raise ValueError(f"is not a list of 1 to {MOST_LEVELS} integers from 1 to {MOST_WIDTH}")
    return tuple(value)


def spacing_mm(value: Any) -> float:
    """A voxel size."""
    if not is_number(value) or not SPACING_MM[0] <= value <= SPACING_MM[1]:
        raise ValueError(f"is not a number from {SPACING_MM[0]:g} to {SPACING_MM[1]:g}")
    return float(value)


def window_hu(value: Any) -> tuple[float, float]:
    """The HU that are told apart, low and high."""
    if not is_list(value) or len(value) != 2 or not all(map(is_number, value)):
        raise ValueError("is not a pair of numbers")
    if not WINDOW_HU[0] <= value[0] < value[1] <= WINDOW_HU[1]:
        raise ValueError(f"does not rise within {WINDOW_HU[0]:g} to {WINDOW_HU[1]:g} HU")
    return float(value[0]), float(value[1])


def window_voxels(value: Any) -> int:
    """The edge of a sliding window."""
    low, high = WINDOW_VOXELS
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not low <= value <= high or value % WINDOW_MULTIPLE:
        raise ValueError(f"is not a multiple of {WINDOW_MULTIPLE} from {low} to {high}")
    return int(value)


def base_width(multiple: int) -> Check:
    """A check for the width of a public network's finest level."""

    def check(value: Any) -> int:
        if not _is_width(value) or value > MOST_BASE_WIDTH or value % multiple:
            raise ValueError(f"is not a multiple of {multiple} from {multiple} to {MOST_BASE_WIDTH}")
        return int(value)

    return check


def one_of(*known: str) -> Check:
    """A check for one of a few names."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"is none of {', '.join(known)}")
        return value

    return check


def _is_width(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_WIDTH


def _windowed(width_multiple: int) -> dict[str, Check]:
    return {
        "order": one_of(*ORDERS),
        "base_width": base_width(width_multiple),
        "spacing_mm": spacing_mm,
        "window_hu": window_hu,
        "window_voxels": window_voxels,
    }


def _text_driven(width_multiple: int) -> dict[str, Check]:
    return {**_windowed(width_multiple), "vision_width": width, "text_width": width}


KINDS: Mapping[str, Mapping[str, Check]] = MappingProxyType(
    {
        UNIVERSAL: {
            "structures": structures,
            "backbone": one_of(*BACKBONE_NAMES),
            "widths": widths,
            "fine_widths": widths,
            "query_width": width,
            "hidden": width,
            "fusion": one_of(*FUSIONS),
            "spacing_mm": spacing_mm,
            "window_hu": window_hu,
        },
        "suprem_swinunetr": _text_driven(12),
        "suprem_unet": _text_driven(1),
        "suprem_segresnet": _windowed(8),
        "universal_swinunetr": _text_driven(12),
        "universal_unet": _text_driven(1),
        "vista3d": _windowed(1),
    }
)
"""Kind -> the keys of its `network`, all of them needed, with the check of each."""


def structures_of(kind: str, network: Mapping[str, Any]) -> tuple[str, ...]:
    """The structures that a checked network can segment."""
    if kind == UNIVERSAL:
        return tuple(network["structures"])
    return tuple(channels_of(network["order"]))
