"""The description of a model, `<name>.json`, read strictly: what is unknown, of another type or absurd is refused."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from rapidfuzz import process

from vision.errors import WeightsError
from vision.models.kinds import KINDS, UNIVERSAL, are_texts, is_list, is_number, structures_of
from vision.structures import STRUCTURES

REQUIRED = ("kind", "network", "sha256", "network_sha256")
KEYS = (
    *REQUIRED,
    "left_out",
    "recipe",
    "trained_steps",
    "trained_seconds",
    "calibration",
    "trained_on",
    "lesion_sizes",
)
MOST_BYTES = 1 << 20
LARGEST_LESION_MM = 500.0
SOURCES = ("real", "synthetic", "real and synthetic")
"""What `trained_on` may say of a structure."""

_HASH = re.compile(r"[0-9a-f]{64}")
_NAMES = frozenset(structure.name for structure in STRUCTURES)
_LESIONS = frozenset(structure.name for structure in STRUCTURES if structure.lesion_of)


def parse_description(content: bytes, name: str) -> dict[str, Any]:
    """The values of a description called `name`, its network checked by `check_network` and by its hash.

    `left_out` are the structures of a universal network that it does not answer, and of any other one those that no
    mask is made of. Raises WeightsError E_WEIGHTS_DESCRIPTION; an unknown key comes with the nearest known one.
    """
    values = _json(content, name)
    _require_keys(values, KEYS, REQUIRED, name)
    for key in ("sha256", "network_sha256"):
        if not (isinstance(values[key], str) and _HASH.fullmatch(values[key])):
            _refuse(name, f"{key} is not 64 hexadecimal digits")
    for key in ("trained_steps", "trained_seconds"):
        if key in values and not (is_number(values[key]) and values[key] >= 0):
            _refuse(name, f"{key} is not a number from 0")
    if not isinstance(values.get("recipe", {}), dict):
        _refuse(name, "recipe is not an object")
    kind = values["kind"]
    network = check_network(values["network"], name, kind=kind)
    if network_hash(network) != values["network_sha256"]:
        _refuse(name, "network does not have the hash network_sha256, so it may belong to other weights")
    known = structures_of(kind, network)
    calibration = _calibration(values.get("calibration", {}), known, name)
    trained_on = _trained_on(values.get("trained_on", {}), name)
    return {
        **values,
        "network": network,
        "left_out": _left_out(values.get("left_out", ()), kind, known, name),
        "calibration": calibration,
        "trained_on": trained_on,
        "lesion_sizes": _lesion_sizes(values.get("lesion_sizes", {}), known, name),
    }


def check_network(values: object, name: str = "The description", *, kind: str) -> dict[str, Any]:
    """The network of a description in its exact types, ready for the configuration of its kind.

    Raises WeightsError E_WEIGHTS_DESCRIPTION for an unknown kind, a key too many or too few, another type or a size
    out of bounds.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        _refuse(name, f"kind is none of {', '.join(KINDS)}")
    if not isinstance(values, Mapping):
        _refuse(name, "network is not an object")
    checks = KINDS[kind]
    _require_keys(values, tuple(checks), tuple(checks), name)
    network = {}
    for key, check in checks.items():
        try:
            network[key] = check(values[key])
        except ValueError as wrong:
            _refuse(name, f"network.{key} {wrong}")
    return network


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


def _left_out(values: object, kind: str, known: Sequence[str], name: str) -> tuple[str, ...]:
    """Names that the model does not answer; a universal network has words for them, another makes no masks of them."""
    if not are_texts(values):
        _refuse(name, "left_out is not a list of names")
    for each in values:
        if kind == UNIVERSAL and each not in known:
            _refuse(name, f"left_out names {each[:40]!r}, which the network has no words for")
        if kind != UNIVERSAL and each in known:
            _refuse(name, f"left_out names {each[:40]!r}, which the network segments")
    if kind == UNIVERSAL and set(values) == set(known):
        _refuse(name, "left_out leaves no structure")
    return tuple(values)


def _calibration(values: object, known: Sequence[str], name: str) -> dict[str, tuple[float, float]]:
    """Structure -> (slope, intercept) of the line that makes its logit a calibrated one."""
    if not isinstance(values, Mapping):
        _refuse(name, "calibration is not an object")
    for structure, line in values.items():
        if structure not in known:
            _refuse(name, f"calibration names {str(structure)[:40]!r}, which the network does not segment")
        if not is_list(line) or len(line) != 2 or not all(map(is_number, line)):
            _refuse(name, f"calibration of {structure} is not a slope and an intercept")
    return {structure: (float(line[0]), float(line[1])) for structure, line in values.items()}


def _trained_on(values: object, name: str) -> dict[str, str]:
    """Structure -> which CTs taught it."""
    if not isinstance(values, Mapping):
        _refuse(name, "trained_on is not an object")
    for structure, source in values.items():
        if structure not in _NAMES:
            _refuse(name, f"trained_on names {str(structure)[:40]!r}, which is no structure")
        if source not in SOURCES:
            _refuse(name, f"trained_on of {structure} is none of {', '.join(SOURCES)}")
    return dict(values)


def _lesion_sizes(values: object, known: Sequence[str], name: str) -> dict[str, float]:
    """Lesion -> the smallest long axis in mm that the model finds reliably, infinite for null: none of any size."""
    if not isinstance(values, Mapping):
        _refuse(name, "lesion_sizes is not an object")
    for structure, size in values.items():
        if structure not in known or structure not in _LESIONS:
            _refuse(name, f"lesion_sizes names {str(structure)[:40]!r}, which is no lesion that the network segments")
        if size is not None and not (is_number(size) and 0 < size <= LARGEST_LESION_MM):
            _refuse(name, f"lesion_sizes of {structure} is not a length in mm")
    return {structure: math.inf if size is None else float(size) for structure, size in values.items()}


def _refuse(name: str, what: str) -> NoReturn:
    raise WeightsError(
        "E_WEIGHTS_DESCRIPTION",
        f"{name} does not describe a model: {what}.",
        "Install the package again, or make the model again: 'bodymaps train export' or 'bodymaps weights convert'.",
    )
