"""Skill: suspected lesions as boxes, with size, place and confidence, and what was searched without one."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.grounding import say, say_lesion, say_scope, structure_list
from assistant.notebook import MOST_LESIONS
from assistant.records import Finding, Status
from assistant.skills.bench import Bench, Reply, counted, say_nothing_found, say_nothing_of
from assistant.skills.vessels import say_vessels
from vision.structures import names

MOST_DOUBTS = 3
"""Pairs of lesions that are said to touch; all are on record."""


def detect(bench: Bench) -> Reply:
    """Search for lesions of the kinds asked for, or of every kind that the model knows.

    `limit` ('frame two potential tumours') keeps the surest ones over all kinds.
    """
    kinds = bench.lesion_kinds
    found = [finding for name in kinds for finding in bench.findings(name)]
    seen = sorted((f for f in found if f.status is Status.SEEN), key=lambda f: -(f.confidence or 0.0))
    limit = bench.call.arguments.get("limit")
    kept = seen[: int(limit)] if limit else seen
    sentences: list[str] = []
    for name in kinds:
        sentences += describe_lesions(bench, [finding for finding in kept if finding.structure == name], measured=False)
    sentences += [*say_doubts(kept), *say_vessels(bench, kept)]
    rest = [finding for finding in found if finding.status is not Status.SEEN]
    scope = say_scope([*kept, *rest])
    sentences += say_nothing_of([f for f in rest if f.status is Status.NOT_SEEN or not scope])
    sentences += [scope] if scope else []
    if not found:
        sentences.append(say_nothing_found(bench))
    elif not bench.structures:
        sentences += _say_unsearched(kinds)
    return Reply(tuple(sentences), (*kept, *rest))


def _say_unsearched(searched: Sequence[str]) -> list[str]:
    """The kinds of lesions that this model does not search for."""
    others = [name for name in names("lesion") if name not in searched]
    return [say("refuse_lesion_unsupported", {}, {"structures": structure_list(others)})] if others else []


def describe_lesions(bench: Bench, found: Sequence[Finding], *, measured: bool) -> list[str]:
    """Sentences on lesions of one kind, or on why there is none; sizes are left to a later call that measures them."""
    seen = [finding for finding in found if finding.status is Status.SEEN]
    sentences = say_nothing_of([finding for finding in found if finding.status is not Status.SEEN])
    number = bench.notebook.lesion_count(seen[0].structure) if seen else 0
    if number == 1:
        sentences.append(say("detected_one", {"F": seen[0]}))
    elif number > MOST_LESIONS:
        sentences.append(say("detected_many", {"F": counted(bench, seen[0], number)}))
    sizes = () if measured else ("axes",)
    return sentences + [describe_lesion(finding, sizes=sizes) for finding in seen]


def describe_lesion(finding: Finding, *, sizes: Sequence[str]) -> str:
    """One lesion with its place, sizes ('axes', 'volume'), attenuation and confidence, as far as they are on record."""
    if finding.measurement("long_axis") is None:
        return say("detected_cut", {"F": finding})
    site = finding.site
    place = "in_part" if site.part else "in_segments" if site.segments else "in_organ" if site.organ else "anywhere"
    attenuation = ("attenuation",) if finding.attenuation else ()
    confidence = () if finding.confidence is None else ("confidence",)
    return say_lesion((place, *sizes, *attenuation, *confidence), finding)


def say_doubts(shown: Sequence[Finding]) -> list[str]:
    """Which of the lesions shown may be several, and which several may be one."""
    seen = [finding for finding in shown if finding.status is Status.SEEN]
    said = [say("lesion_lobes", {"F": finding}) for finding in seen if finding.lobes > 1]
    # The one written later names the other; which of the two that is, confidence has shuffled.
    pairs = [
        (one, other)
        for at, other in enumerate(seen)
        for one in seen[:at]
        if other.id in one.touches or one.id in other.touches
    ]
    return said + [say("lesions_touching", {"A": a, "B": b}) for a, b in pairs[:MOST_DOUBTS]]
