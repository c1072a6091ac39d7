"""What is said of lesions alone: attenuation, contact with vessels, and that one may be several or several one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from assistant.grounding.lexicon import plain
from assistant.grounding.numbers import readings
from assistant.grounding.page import Claim, Page
from assistant.grounding.slots import TOUCH
from assistant.records import Finding
from vision.structures import STRUCTURES

_VESSELS = {plain(row.spoken): row.name for row in STRUCTURES if row.kind == "vessel"}
_ORGANS = {plain(row.spoken): row.name for row in STRUCTURES if row.kind == "organ"}


def _one_of(names: Mapping[str, str]) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


_NUMBER = r"(?<![\w.,])-?\d+(?:,\d{3})*"
_ATTENUATION = re.compile(rf"\b(hypo|iso|hyper)-?(?:attenuating|dense)\b(?: to the ({_one_of(_ORGANS)})\b)?")
_AGAINST = re.compile(rf"\b(?:core )?({_NUMBER}) hu against ({_NUMBER}) hu\b")
_DEGREES = rf"{_NUMBER} degrees of the (?:{_one_of(_VESSELS)})\b"
_TOUCH = re.compile(rf"\btouch(?:es)? {_DEGREES}(?:(?:, and |, | and ){_DEGREES})*")
_EACH = re.compile(rf"({_NUMBER}) degrees of the ({_one_of(_VESSELS)})\b")
_LOBES = re.compile(r"\bmay be several that touch\b")
_TOUCHING = re.compile(r"\btouch or nearly touch and may be one\b")
_BARE = re.compile(r"\b(?:touch\w*|nearly|against)\b")


def take_lesion_claims(page: Page) -> None:
    """Turn such words into claims; a touch without degrees and an 'against' without two numbers are not covered."""
    for match in page.take(_ATTENUATION):
        page.claims.append(Claim("attenuation", (match[1], _ORGANS.get(match[2] or "", "")), *match.span()))
    for match in page.take(_TOUCH):
        for each in _EACH.finditer(match.group()):
            start = match.start() + each.start()
            page.claims.append(Claim("touch", (each[1], _VESSELS[each[2]]), start, match.start() + each.end()))
    page.claims += [Claim("against", match.groups(), *match.span()) for match in page.take(_AGAINST)]
    page.claims += [Claim("lobes", (), *match.span()) for match in page.take(_LOBES)]
    page.claims += [Claim("touching", (), *match.span()) for match in page.take(_TOUCHING)]
    page.refuse(_BARE, "is said without its measurement")


def _attenuation(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    said = finding.attenuation
    word, organ = claim.value
    return said is not None and said.word == word and organ in ("", said.organ)


def _against(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    return all(
        _reads(finding, quantity, value, "HU")
        for quantity, value in zip(("core_hu", "organ_hu"), claim.value, strict=True)
    )


def _touch(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    return _reads(finding, f"{TOUCH}{claim.value[1]}", claim.value[0], "degrees")


def _reads(finding: Finding, quantity: str, number: str, unit: str) -> bool:
    measurement = finding.measurement(quantity)
    return measurement is not None and (number.replace(",", ""), unit) in readings(measurement)


def _lobes(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    return finding.lobes > 1


def _touching(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    """Whether all lesions that are named together touch this one."""
    others = [other for other in related if other.id != finding.id]
    return bool(others) and all(other.id in finding.touches for other in others)


LESION_RULES: Mapping[str, Callable[[Claim, Finding, Sequence[Finding]], bool]] = MappingProxyType(
    {"attenuation": _attenuation, "against": _against, "touch": _touch, "lobes": _lobes, "touching": _touching}
)
"""Whether a finding's record says the same as such a claim; these are said of lesions only."""
