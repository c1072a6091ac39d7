"""Score a planner on free-text requests whose wanted structure is known in plain words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mode
from types import MappingProxyType
from typing import Any

from assistant.language.evaluation.shares import Share, share_of
from assistant.plan import Memory, Planner
from vision.errors import InputRefused, UsageError
from vision.structures import GROUPS, names

WANTED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "gallbladder": frozenset({"gall_bladder"}),
        "inferior vena cava": frozenset({"postcava"}),
        "portal vein and splenic vein": frozenset({"portal_vein_and_splenic_vein"}),
        "right kidney": frozenset({"kidney_right"}),
        "left kidney": frozenset({"kidney_left"}),
        "right adrenal gland": frozenset({"adrenal_gland_right"}),
        "left adrenal gland": frozenset({"adrenal_gland_left"}),
        "seminal vesicles": frozenset({"seminal_vesicles"}),
        "left head of femur": frozenset({"femur_left"}),
        "right head of femur": frozenset({"femur_right"}),
        "kidney": frozenset(GROUPS["kidneys"]),
        "lung": frozenset(GROUPS["lungs"]),
        "organs": frozenset(GROUPS["organs"]),
        "everything": frozenset(GROUPS["everything"]),
        "cardiovascular": frozenset(GROUPS["cardiovascular"]),
        "gastrointestinal": frozenset(GROUPS["gastrointestinal"]),
        "muscles": frozenset({"muscle"}),
        "lung tumor": frozenset({"lung_lesion"}),
        "bone lesion": frozenset({"bone_lesion"}),
        "pancreatic tumor": frozenset({"pancreas_lesion"}),
        "hepatic tumor": frozenset({"liver_lesion"}),
    }
)
"""Plain words -> names of the structure table. Written out, because synonyms of the table are what is under test."""


@dataclass(frozen=True)
class Request:
    """One request and the structures that a plan for it should name, no more and no fewer."""

    text: str
    plain: str
    """The wanted structure as its author wrote it."""
    wanted: frozenset[str]


@dataclass(frozen=True)
class Miss:
    """A request for which a plan named other structures."""

    request: Request
    found: frozenset[str]


@dataclass(frozen=True)
class RequestScore:
    """How many requests were resolved exactly, and those that were not."""

    planner: str
    overall: Share
    misses: tuple[Miss, ...]


def wanted(plain: str) -> frozenset[str]:
    """Names of the structure table for the plain words of a request, which may be such a name themselves.

    Raises UsageError for anything else.
    """
    if plain in WANTED:
        return WANTED[plain]
    if plain not in names():
        raise UsageError("E_WANTED", f"{plain[:60]!r} names no structure.", "Use the names that bodymaps info lists.")
    return frozenset({plain})


def read_requests(path: Path) -> list[Request]:
    """Read a .jsonl whose lines hold at least `text` and `structure`.

    Raises InputRefused for a file that is missing, empty or not of that form, UsageError for an unknown structure.
    """
    if not path.is_file():
        raise InputRefused("E_NOT_FOUND", "The file of requests does not exist.", "Check the path of the requests.")
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        pairs = [(str(row["text"]), str(row["structure"])) for row in rows]
    except (ValueError, KeyError, TypeError):
        raise InputRefused(
            "E_REQUESTS", "The file is not a list of requests.", 'Each line needs {"text": ..., "structure": ...}.'
        ) from None
    if not pairs:
        raise InputRefused("E_REQUESTS", "The file holds no request.", "Give one request a line.")
    return [Request(text, plain, wanted(plain)) for text, plain in pairs]


def score_requests(requests: Iterable[Request], planner: Planner) -> RequestScore:
    """Plan each request by itself and compare the structures named with those wanted, as sets.

    `planner` is who made most of the plans. Raises ValueError without requests.
    """
    asked = list(requests)
    if not asked:
        raise ValueError("a share needs at least one request")
    misses, right, makers = [], [], []
    for request in asked:
        calls = planner.plan(request.text, Memory())
        makers.append(planner.name)
        found = frozenset(name for call in calls for name in call.arguments.get("structures", ()))
        right.append(found == request.wanted)
        if not right[-1]:
            misses.append(Miss(request, found))
    return RequestScore(mode(makers), share_of(right), tuple(misses))


def requests_json(score: RequestScore) -> dict[str, Any]:
    """A score as JSON values, with every request that was missed."""
    return {
        "planner": score.planner,
        "n": score.overall.n,
        "right": score.overall.right,
        "share": score.overall.share,
        "interval": [score.overall.low, score.overall.high],
        "misses": [
            {"text": miss.request.text, "wanted": sorted(miss.request.wanted), "found": sorted(miss.found)}
            for miss in score.misses
        ],
    }
