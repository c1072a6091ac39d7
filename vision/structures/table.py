"""Rows of the structure table, and finding one by any of its names."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from rapidfuzz import process
from rapidfuzz.distance import Indel

from vision.errors import UsageError

Side = Literal["left", "right"]
Kind = Literal["organ", "vessel", "lesion", "part", "extra"]

LATERALITY: MappingProxyType[str, tuple[str, str]] = MappingProxyType(
    {"left": ("7771000", "Left"), "right": ("24028007", "Right")}
)
"""SNOMED CT code and meaning of a side."""

_FOLDER = Path(__file__).parent
_BRITISH = (
    ("tumour", "tumor"),
    ("oesoph", "esoph"),
    ("coeliac", "celiac"),
    ("caec", "cec"),
    ("haem", "hem"),
    ("oedema", "edema"),
    ("centre", "center"),
)


@dataclass(frozen=True)
class NormalRange:
    """What is usual in adults: `low` to `high` of `quantity`, for one `sex` or (None) both, and who says so."""

    quantity: str
    """volume, length, thickness."""
    low: float
    high: float
    unit: str
    source: str
    sex: Literal["female", "male"] | None = None


@dataclass(frozen=True)
class Structure:
    """One row of the table.

    `name` is AbdomenAtlas's spelling, `spoken` plain English without article, `label` the integer in label maps: 1 to
    25 are AbdomenAtlas 1.1; 101 and up are this project's own (101 liver_lesion, 102 liver_cyst, 103 pancreas_lesion,
    104 kidney_lesion, 105 colon_lesion, 106 kidney_cyst, 111-113 pancreas head/body/tail, 121-128 liver segments 1-8);
    None for what people ask for but nothing here segments (`kind` 'extra'). `snomed` is (code, meaning) or None and
    carries no side: that is `LATERALITY[side]`. `colour` is RGB, 0 to 255. `pair` names the group of a left and a right
    one. `parent` is a structure or group that it is part of, `lesion_of` the structures a lesion can lie in.
    """

    name: str
    spoken: str
    kind: Kind
    colour: tuple[int, int, int]
    synonyms: tuple[str, ...] = ()
    label: int | None = None
    universal_label: int | None = None
    side: Side | None = None
    pair: str | None = None
    parent: str | None = None
    lesion_of: tuple[str, ...] = ()
    snomed: tuple[str, str] | None = None
    radlex: str | None = None
    normal: tuple[NormalRange, ...] = ()

    def normal_range(self, quantity: str, *, sex: str | None = None) -> NormalRange | None:
        """The range of one quantity for a sex, else the one for both; None when nothing is published here."""
        fitting = [row for row in self.normal if row.quantity == quantity and row.sex in (sex, None)]
        return next((row for row in fitting if row.sex == sex), fitting[0] if fitting else None)


def plain_words(text: str) -> str:
    """Lower case, American spelling, underscores and hyphens as single blanks: the form in which names are compared."""
    words = re.sub(r"[\s_\-]+", " ", text.lower()).strip()
    for british, american in _BRITISH:
        words = words.replace(british, american)
    return words


def _rows(file: str) -> list[dict[str, str]]:
    with (_FOLDER / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(cell.split("|")) if cell else ()


def _read_ranges() -> dict[str, list[NormalRange]]:
    ranges: dict[str, list[NormalRange]] = {}
    for row in _rows("normal_ranges.csv"):
        ranges.setdefault(row["structure"], []).append(
            NormalRange(
                quantity=row["quantity"],
                low=float(row["low"]),
                high=float(row["high"]),
                unit=row["unit"],
                source=row["source"],
                sex=row["sex"] or None,  # type: ignore[arg-type]
            )
        )
    return ranges


def _synonyms(row: dict[str, str], pairs: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A row's own synonyms; a left or right one also gets every sideless word of its pair with the side put to it."""
    own = _listed(row["synonyms"])
    side = row["side"]
    if not side:
        return own
    sided = [form for word in pairs[row["pair"]] for form in (f"{side} {word}", f"{word} {side}", f"{side[0]} {word}")]
    spoken = plain_words(row["spoken"])
    return (*own, *(form for form in dict.fromkeys(sided) if form not in (spoken, plain_words(row["name"]))))


def _read_structures(pairs: dict[str, tuple[str, ...]]) -> tuple[Structure, ...]:
    ranges = _read_ranges()
    return tuple(
        Structure(
            name=row["name"],
            spoken=row["spoken"],
            kind=row["kind"],  # type: ignore[arg-type]
            colour=(int(row["colour"][:2], 16), int(row["colour"][2:4], 16), int(row["colour"][4:], 16)),
            synonyms=_synonyms(row, pairs),
            label=int(row["label"]) if row["label"] else None,
            universal_label=int(row["universal"]) if row["universal"] else None,
            side=row["side"] or None,  # type: ignore[arg-type]
            pair=row["pair"] or None,
            parent=row["parent"] or None,
            lesion_of=_listed(row["lesion_of"]),
            snomed=(row["snomed"], row["meaning"]) if row["snomed"] else None,
            radlex=row["radlex"] or None,
            normal=tuple(ranges.get(row["name"], ())),
        )
        for row in _rows("structures.csv")
    )


_GROUP_ROWS = _rows("groups.csv")

GROUPS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {row["name"]: _listed(row["members"]) for row in _GROUP_ROWS}
)
"""Words for several structures at once -> their names, in table order: kidneys, lungs, organs, lesions, ..."""

GROUP_WORDS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {row["name"]: tuple(dict.fromkeys((row["spoken"], *_listed(row["synonyms"])))) for row in _GROUP_ROWS}
)
"""Group name -> what people call it: the spoken name first; a pair's words fit one side too ('kidney')."""

STRUCTURES: tuple[Structure, ...] = _read_structures(dict(GROUP_WORDS))
"""THE table, in the order of its file: AbdomenAtlas 1 to 25, lesions, parts, extras."""

_BY_NAME = {structure.name: structure for structure in STRUCTURES}
_BY_WORDS = {
    plain_words(form): structure
    for structure in reversed(STRUCTURES)
    for form in (*structure.synonyms, structure.spoken, structure.name)
}

ABDOMENATLAS: MappingProxyType[int, str] = MappingProxyType(
    {
        structure.label: structure.name
        for structure in STRUCTURES
        if structure.label is not None and structure.label <= 25
    }
)
"""AbdomenAtlas 1.1: integer of combined_labels.nii.gz -> name."""

UNIVERSAL32: MappingProxyType[int, str] = MappingProxyType(
    dict(sorted((row.universal_label, row.name) for row in STRUCTURES if row.universal_label is not None))
)
"""The other integer order in circulation (Universal Model: 25 organs, 6 tumours, cyst) -> this table's names."""


def by_name(name: str) -> Structure:
    """The structure of a name, spoken name, synonym or alias ('IVC', 'gallbladder', 'celiac_truck', 'kidney_tumor').

    Raises UsageError, listing the nearest, for a name that is not in the table.
    """
    found = _BY_NAME.get(name) or _BY_WORDS.get(plain_words(name))
    if found is None:
        near = ", ".join(find_near(name)) or "bodymaps info lists all"
        raise UsageError("E_STRUCTURE", f"No structure is called {name[:60]!r}.", f"Nearest: {near}.")
    return found


def find_near(text: str, n: int = 3) -> tuple[str, ...]:
    """Names of the structures whose name or synonym is spelled most like `text`, best first; empty when none is."""
    close = process.extract(
        plain_words(text)[:60], list(_BY_WORDS), scorer=Indel.normalized_similarity, score_cutoff=0.55, limit=4 * n
    )
    return tuple(dict.fromkeys(_BY_WORDS[words].name for words, _, _ in close))[:n]


def names(kind: Kind | None = None) -> tuple[str, ...]:
    """Names of all structures, or of one kind, in table order."""
    return tuple(structure.name for structure in STRUCTURES if kind in (None, structure.kind))
