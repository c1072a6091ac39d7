"""Words to query vectors: a phrase is finding x structure x part x side, and its vector is composed of theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vision.errors import UsageError
from vision.structures import GROUP_WORDS, STRUCTURES, by_name, plain_words

SIDES = ("left", "right")
PARTS = ("head", "body", "tail", *(f"segment {number}" for number in range(1, 9)))
FINDINGS = ("lesion", "cyst")

_FINDING_WORDS = {
    **dict.fromkeys(("lesion", "tumor", "tumors", "mass", "cancer", "metastasis", "metastases", "neoplasm"), "lesion"),
    **dict.fromkeys(("cyst", "cysts"), "cyst"),
}
_PAIRS = {row.pair for row in STRUCTURES if row.pair}


@dataclass(frozen=True)
class Phrase:
    """What is asked for. `structure` is a stem: a table name without side ('kidneys'), lesion or part."""

    structure: str
    side: str = ""
    part: str = ""
    finding: str = ""


def stem_of(structure: str) -> str:
    """The table name that remains when side, part and finding are taken away: kidney_left -> kidneys."""
    row = by_name(structure)
    if row.pair:
        return row.pair
    return row.parent if row.kind in ("lesion", "part") and row.parent else row.name


def phrase_of(structure: str) -> Phrase:
    """The phrase of a row of the structure table. Raises UsageError E_STRUCTURE for a name that is not in it."""
    row = by_name(structure)
    part, finding = "", ""
    if row.kind == "part":
        words = row.name.split("_")
        part = words[-1] if row.parent == "pancreas" else f"segment {words[-1]}"
    elif row.kind == "lesion":
        finding = "cyst" if row.name.endswith("cyst") else "lesion"
    return Phrase(stem_of(row.name), row.side or "", part, finding)


def parse_phrase(text: str) -> Phrase:
    """The phrase of free words: 'IVC', 'right kidney', 'tumour in the tail of the pancreas'.

    A name or synonym of the table means its row; else side, part and finding are read off and the longest run of the
    other words that is a name says the structure. Raises UsageError E_STRUCTURE when none is.
    """
    words = plain_words(re.sub(r"[^\w\s-]+", " ", text)).split()
    row = _find(words)
    if row is not None:
        return row
    side = next((word for word in words if word in SIDES), "")
    finding = next((_FINDING_WORDS[word] for word in words if word in _FINDING_WORDS), "")
    joined = " ".join(words)
    part = next((part for part in PARTS if re.search(rf"\b{part}\b", joined)), "")
    rest = [word for word in words if word not in SIDES and word not in _FINDING_WORDS]
    for length in range(len(rest), 0, -1):
        for first in range(len(rest) - length + 1):
            found = _find(rest[first : first + length])
            if found is not None:
                return Phrase(found.structure, side or found.side, part or found.part, finding or found.finding)
    raise UsageError(
        "E_STRUCTURE", f"No structure is named in {text[:60]!r}.", "Name one of those that 'bodymaps info' lists."
    )


def _find(words: Sequence[str]) -> Phrase | None:
    joined = " ".join(words)
    for pair in _PAIRS:
        if joined == pair or joined in (plain_words(form) for form in GROUP_WORDS[pair]):
            return Phrase(pair)
    try:
        return phrase_of(joined)
    except UsageError:
        return None


class PhraseEncoder(nn.Module):
    """Phrases -> (Q, query_width) vectors of length 1.

    The vectors of the four aspects are added and pass one small network, so that words never seen together still
    compose. Structures known are those of `structures`, in their order: one more appends a row and changes no other.
    """

    def __init__(self, structures: Sequence[str], query_width: int) -> None:
        super().__init__()
        self.stems = tuple(dict.fromkeys(stem_of(name) for name in structures))
        self.structure = nn.Parameter(torch.randn(len(self.stems), query_width))
        self.side = nn.Parameter(torch.randn(len(SIDES), query_width))
        self.part = nn.Parameter(torch.randn(len(PARTS), query_width))
        self.finding = nn.Parameter(torch.randn(len(FINDINGS), query_width))
        self.inner = nn.Linear(query_width, 2 * query_width)
        self.outer = nn.Linear(2 * query_width, query_width)

    def forward(self, phrases: Sequence[Phrase]) -> Tensor:
        """Raises UsageError E_STRUCTURE for a structure that this encoder was not built with."""
        composed = torch.stack([self._compose(phrase) for phrase in phrases])
        # One product per phrase: the vector of a phrase must not depend, to the last bit, on which others are asked.
        inner = nn.functional.gelu(_each(composed, self.inner))
        return nn.functional.normalize(composed + _each(inner, self.outer), dim=-1)

    def _compose(self, phrase: Phrase) -> Tensor:
        if phrase.structure not in self.stems:
            raise UsageError(
                "E_STRUCTURE",
                f"This model has no words for {phrase.structure[:60]!r}.",
                "'bodymaps info' lists what it knows.",
            )
        vector = self.structure[self.stems.index(phrase.structure)]
        for name, known, table in (
            (phrase.side, SIDES, self.side),
            (phrase.part, PARTS, self.part),
            (phrase.finding, FINDINGS, self.finding),
        ):
            if name:
                vector = vector + table[known.index(name)]
        return vector


def _each(rows: Tensor, linear: nn.Linear) -> Tensor:
    """`linear` of every row of (Q, D), each as a product of its own."""
    weight = linear.weight.t().expand(len(rows), -1, -1)
    return torch.bmm(rows[:, None], weight)[:, 0] + linear.bias
