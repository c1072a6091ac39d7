"""The description of a model, `<name>.json`, read strictly: what is unknown, of another type or absurd is refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from rapidfuzz import process

from vision.errors import WeightsError
from vision.structures import STRUCTURES, find_near

KEYS = ("network", "sha256", "network_sha256", "left_out", "recipe", "trained_steps", "trained_seconds")
REQUIRED = ("network", "sha256", "network_sha256")
NETWORK_KEYS = ("channels", "widths", "spacing_mm", "window_hu")
MOST_BYTES = 1 << 20
MOST_LEVELS = 8
MOST_WIDTH = 1024
LARGEST_NUMBER = 1e12
SPACING_MM = (0.5, 10.0)
WINDOW_HU = (-2000.0, 10_000.0)

_HASH = re.compile(r"[0-9a-f]{64}")
_NAMES = frozenset(structure.name for structure in STRUCTURES)


def parse_description(content: bytes, name: str) -> dict[str, Any]:
    """The values of a description called `name`, its network checked by `check_network` and by its hash.

    Raises WeightsError E_WEIGHTS_DESCRIPTION; an unknown key comes with the nearest known one.
    """
    values = _json(content, name)
    _require_keys(values, KEYS, REQUIRED, name)
    for key in ("sha256", "network_sha256"):
        if not (isinstance(values[key], str) and _HASH.fullmatch(values[key])):
            _refuse(name, f"{key} is not 64 hexadecimal digits")
    for key in ("trained_steps", "trained_seconds"):
        if key in values and not (_is_number(values[key]) and values[key] >= 0):
            _refuse(name, f"{key} is not a number from 0")
    if "left_out" in values and not _are_texts(values["left_out"]):
        _refuse(name, "left_out is not a list of names")
    if not isinstance(values.get("recipe", {}), dict):
        _refuse(name, "recipe is not an object")
    network = check_network(values["network"], name)
    if network_hash(network) != values["network_sha256"]:
        _refuse(name, "network does not have the hash network_sha256, so it may belong to other weights")
    return {**values, "network": network}


def check_network(values: object, name: str = "The description") -> dict[str, Any]:
    """The network of a description in its exact types, ready for `CompactConfig`.

    Raises WeightsError E_WEIGHTS_DESCRIPTION for a key too many or too few, another type or a size out of bounds.
    """
    if not isinstance(values, Mapping):
        _refuse(name, "network is not an object")
    _require_keys(values, NETWORK_KEYS, NETWORK_KEYS, name)
    channels, widths, window = (values[key] for key in ("channels", "widths", "window_hu"))
    if not _are_texts(channels) or not 1 <= len(set(channels)) == len(channels):
        _refuse(name, "network.channels is not a list of different structures")
    unknown = next((channel for channel in channels if channel not in _NAMES), None)
    if unknown is not None:
        near = ", ".join(find_near(unknown)) or "none"
        _refuse(name, f"network.channels names {unknown[:40]!r}, which is no structure (nearest: {near})")
    if not _is_list(widths) or not 1 <= len(widths) <= MOST_LEVELS or not all(map(_is_width, widths)):
        _refuse(name, f"network.widths is not a list of 1 to {MOST_LEVELS} integers from 1 to {MOST_WIDTH}")
    spacing_mm = values["spacing_mm"]
    if not _is_number(spacing_mm) or not SPACING_MM[0] <= spacing_mm <= SPACING_MM[1]:
        _refuse(name, f"network.spacing_mm is not a number from {SPACING_MM[0]:g} to {SPACING_MM[1]:g}")
    if not _is_list(window) or len(window) != 2 or not all(map(_is_number, window)):
        _refuse(name, "network.window_hu is not a pair of numbers")
    if not WINDOW_HU[0] <= window[0] < window[1] <= WINDOW_HU[1]:
        _refuse(name, f"network.window_hu does not rise within {WINDOW_HU[0]:g} to {WINDOW_HU[1]:g} HU")
    return {
        "channels": tuple(channels),
        "widths": tuple(widths),
        "spacing_mm": float(spacing_mm),
        "window_hu": (float(window[0]), float(window[1])),
    }


def network_hash(network: Mapping[str, Any]) -> str:
    """SHA-256 of a network as `check_network` returns it: the same for the same network, however it is spelled."""
    return hashlib.sha256(json.dumps(network, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _json(content: bytes, name: str) -> dict[str, Any]:
    if len(content) > MOST_BYTES:
        _refuse(name, f"it is larger than {MOST_BYTES >> 20} MiB")
    try:
        values = json.loads(content, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        _refuse(name, "it is not a JSON object")
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are different; of two equal ones JSON would silently keep the last."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError
    return values


def _no_constant(name: str) -> NoReturn:
    """NaN and Infinity are no JSON."""
    raise ValueError(name)


def _require_keys(values: Mapping[str, Any], known: Sequence[str], required: Sequence[str], name: str) -> None:
    for key in values:
        if key not in known:
            near = process.extractOne(str(key)[:60], known)
            _refuse(name, f"it has the unknown key {str(key)[:40]!r}; the nearest known one is {near[0]!r}")
    for key in required:
        if key not in values:
            _refuse(name, f"it lacks the key {key!r}")


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _are_texts(value: Any) -> bool:
    return _is_list(value) and all(isinstance(each, str) for each in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def _is_width(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_WIDTH


def _refuse(name: str, what: str) -> NoReturn:
    raise WeightsError(
        "E_WEIGHTS_DESCRIPTION",
        f"{name} does not describe a model: {what}.",
        "Install the package again, or export the model again with 'bodymaps train export'.",
    )
