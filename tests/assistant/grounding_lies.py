"""Lies made of true sentences, by kind. Seeded; used by test_grounding.py."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from assistant.grounding.numbers import readings
from assistant.records import Status
from tests.assistant.grounding_scenes import LESIONS, ORGANS, Told
from vision.structures import by_name

Lie = Callable[[Told, random.Random], str | None]
"""Makes a false sentence of a true one, or None where that kind of lie does not fit it."""

_MEASURED = re.compile(r"(?<![\w.,])(-?[\d,]*\d(?:\.\d+)?)( mL| mm²| mm| HU|%)")
_SITE_WORDS = {"head": ("body", "tail"), "body": ("tail", "head"), "tail": ("head", "body")}
_COUNT = re.compile(r"\b(One|one|\d+)(?= suspected)")


def wrong_number(told: Told, random_source: random.Random) -> str | None:
    """Another number of the same unit: a few units off, a digit changed, or tenfold."""
    match = _pick(_MEASURED, told.text, random_source)
    if match is None:
        return None
    value = float(match[1].replace(",", ""))
    decimals = len(match[1].partition(".")[2])
    other = random_source.choice((value + 10**-decimals, value * 10 + 10**-decimals, value * 1.2 + 1, -value - 1))
    return _swap(told.text, match, f"{other:,.{decimals}f}", 1)


def number_of_another(told: Told, random_source: random.Random) -> str | None:
    """The true number of another structure of the scene, which is in the records but not of this one."""
    match = _pick(_MEASURED, told.text, random_source)
    if match is None:
        return None
    unit = {"mm²": "mm2"}.get(match[2].strip(), match[2].strip())
    own = {pair for finding in told.about for m in finding.measurements for pair in readings(m)}
    others = sorted({p for f in told.scene for m in f.measurements for p in readings(m) if p[1] == unit} - own)
    return _swap(told.text, match, random_source.choice(others)[0], 1) if others else None


def wrong_unit(told: Told, random_source: random.Random) -> str | None:
    """The same number with another unit."""
    match = _pick(_MEASURED, told.text, random_source)
    if match is None or float(match[1].replace(",", "")) == 0:
        return None
    others = [
        unit
        for unit in (" mL", " mm", " cm", " HU", "%", " L", " kg", "", " mm²")
        if unit != match[2] and (unit or told.text[match.end() :][:3] not in (" x ", " to"))
    ]
    return _swap(told.text, match, random_source.choice(others), 2)


def wrong_side(told: Told, random_source: random.Random) -> str | None:
    """Left for right."""
    match = _pick(re.compile(r"\b(left|right|Left|Right)\b"), told.text, random_source)
    other = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    if match is None:
        return None
    lie = _swap(told.text, match, other[match[1]], 1)
    named = {by_name(finding.structure).spoken for finding in told.scene}
    return None if any(name in lie.lower() and name not in told.text.lower() for name in named) else lie


def wrong_structure(told: Told, random_source: random.Random) -> str | None:
    """Another structure in its place, which the scene may hold too."""
    names = {by_name(finding.structure).spoken for finding in told.about}
    lower = told.text.lower()
    here = [name for name in sorted(names) if name in lower]
    if not here:
        return None
    name = random_source.choice(here)
    kind = LESIONS if any(name == row.spoken for row in LESIONS) else ORGANS
    numbered = bool(_MEASURED.search(told.text))
    known = {by_name(finding.structure).spoken for finding in told.scene}
    others = [row.spoken for row in kind if row.spoken not in names and (numbered or row.spoken not in known)]
    at = lower.index(name)
    return told.text[:at] + random_source.choice(others) + told.text[at + len(name) :]


def wrong_count(told: Told, random_source: random.Random) -> str | None:
    """One more or one fewer."""
    match = _COUNT.search(told.text)
    if match is None:
        return None
    count = 1 if match[1].lower() == "one" else int(match[1])
    others = [number for number in range(2, 13) if number != count]
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    number = random_source.choice(others)
    return _swap(told.text, match, random_source.choice((str(number), words[number])), 1)


def false_absence(told: Told, random_source: random.Random) -> str | None:
    """'Not seen', 'no', 'without', 'normal' for what is seen or could not be assessed."""
    finding = random_source.choice(told.about)
    if finding.status is Status.NOT_SEEN:
        return None
    spoken = by_name(finding.structure).spoken
    templates = (
        "The {} was not seen.", "No {} was detected.", "There is no {}.", "The {} is absent.", "The CT is without {}.",
        "The {} is unremarkable.", "The {} is normal.", "No suspected {} was detected by the model.", "{}: none.",
        "The {} was searched for and not seen.", "There is no evidence of a {}.", "Neither {} nor spleen was found.",
    )  # fmt: skip
    return random_source.choice(templates).format(spoken)


def false_presence(told: Told, random_source: random.Random) -> str | None:
    """A statement of presence for what was not seen or not assessable."""
    finding = random_source.choice(told.about)
    if finding.status is Status.SEEN:
        return None
    spoken = by_name(finding.structure).spoken
    templates = ("The {} was segmented.", "One suspected {} was detected.", "There is a {}.", "The {} is shown.")
    return random_source.choice(templates).format(spoken)


def invented_prior(told: Told, random_source: random.Random) -> str | None:
    """A comparison over time where no prior CT is open."""
    spoken = by_name(random_source.choice(told.about).structure).spoken
    endings = (
        "is unchanged", "has grown", "is larger than before", "is new since the last CT", "is stable", "has shrunk",
        "increased in size", "shows partial response", "was previously smaller", "has progressed", "is a new finding",
    )  # fmt: skip
    return f"{told.text} The {spoken} {random_source.choice(endings)}."


def forbidden_claim(told: Told, random_source: random.Random) -> str | None:
    """Proof, diagnosis, stage or advice."""
    spoken = by_name(random_source.choice(told.about).structure).spoken
    endings = (
        "is malignant", "is benign", "is a T3 tumour", "is biopsy-proven", "is a metastasis", "should be resected",
        "is a hepatocellular carcinoma", "needs chemotherapy", "is stage II", "was diagnosed", "is cirrhotic",
        "is enlarged", "shows enhancement", "is calcified", "looks healthy", "invades the vessel", "is LI-RADS 5",
    )  # fmt: skip
    return f"The {spoken} {random_source.choice(endings)}."


def wrong_place(told: Told, random_source: random.Random) -> str | None:
    """Another segment, part of the pancreas, slice or end of the scan."""
    segment = re.search(r"\bsegments? (\d)", told.text)
    if segment and any(finding.site.segments for finding in told.about):
        used = {number for finding in told.about for number in finding.site.segments}
        others = [number for number in range(1, 13) if number not in used]
        return _swap(told.text, segment, str(random_source.choice(others)), 1)
    part = re.search(r"\b(head|body|tail)\b", told.text)
    if part:
        lie = _swap(told.text, part, random_source.choice(_SITE_WORDS[part[1]]), 1)
        named = {by_name(finding.structure).spoken for finding in told.scene}
        return None if any(name in lie.lower() and name not in told.text.lower() for name in named) else lie
    slices = re.search(r"\bslices? (\d+)", told.text)
    if slices:
        return _swap(told.text, slices, str(int(slices[1]) + random_source.choice((1, -1, 30)) or 999), 1)
    cut = re.search(r"\bcut by the (superior|inferior|anterior)\b", told.text)
    return _swap(told.text, cut, random_source.choice(("left", "right", "posterior")), 1) if cut else None


def wrong_comparison(told: Told, random_source: random.Random) -> str | None:
    """'Smaller' for 'larger', and another place in the normal range."""
    match = re.search(r"\b(larger|smaller|above|below|within)\b", told.text)
    if match is None:
        return None
    other = {"larger": ("smaller",), "smaller": ("larger",)}.get(match[1])
    choices = other or tuple(word for word in ("above", "below", "within") if word != match[1])
    return _swap(told.text, match, random_source.choice(choices), 1)


def wrong_attenuation(told: Told, random_source: random.Random) -> str | None:
    """Darker for brighter."""
    match = _pick(re.compile(r"\b(hypo|iso|hyper)attenuating"), told.text, random_source)
    if match is None:
        return None
    return _swap(told.text, match, random_source.choice([w for w in ("hypo", "iso", "hyper") if w != match[1]]), 1)


def wrong_contact(told: Told, random_source: random.Random) -> str | None:
    """Other degrees, another vessel, or contact without degrees."""
    match = _pick(re.compile(r"(\d+) degrees of the (aorta|inferior vena cava|celiac trunk)"), told.text, random_source)
    if match is None:
        return None
    vessels = ("aorta", "inferior vena cava", "celiac trunk", "liver", "hepatic vessels")
    lies = (
        _swap(told.text, match, str(int(match[1]) + random_source.choice((1, -1, 20))), 1),
        _swap(told.text, match, random_source.choice([name for name in vessels if name not in told.text]), 2),
        _swap(told.text, match, f"the {match[2]}", 0),
    )
    return random_source.choice(lies)


def wrong_number_of_lesions_in_one(told: Told, random_source: random.Random) -> str | None:
    """One that is several, or two that are one, where nothing says so."""
    alone = [finding for finding in told.about if finding.lobes == 1 and finding.structure.endswith(("lesion", "cyst"))]
    if not alone or alone[0].status is not Status.SEEN:
        return None
    spoken = by_name(alone[0].structure).spoken
    said = f"Suspected {spoken} {alone[0].id} may be several that touch; it is measured as one."
    others = [other for other in told.scene if other.structure.endswith("lesion") and other.id not in alone[0].touches]
    others = [other for other in others if other.id != alone[0].id and other.status is Status.SEEN]
    if not others or random_source.random() < 0.5:
        return said
    other = f"{by_name(others[0].structure).spoken} {others[0].id}"
    return f"Suspected {spoken} {alone[0].id} and suspected {other} touch or nearly touch and may be one."


LIES: tuple[Lie, ...] = (
    wrong_attenuation,
    wrong_contact,
    wrong_number_of_lesions_in_one,
    wrong_number,
    number_of_another,
    wrong_unit,
    wrong_side,
    wrong_structure,
    wrong_count,
    false_absence,
    false_presence,
    invented_prior,
    forbidden_claim,
    wrong_place,
    wrong_comparison,
)


def _pick(pattern: re.Pattern[str], text: str, random_source: random.Random) -> re.Match[str] | None:
    matches = list(pattern.finditer(text))
    return random_source.choice(matches) if matches else None


def _swap(text: str, match: re.Match[str], new: str, group: int) -> str:
    return text[: match.start(group)] + new + text[match.end(group) :]
