"""Skill: suspected lesions as boxes, with size, place and confidence, and what was searched without one."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.grounding import say
from assistant.notebook import MOST_LESIONS
from assistant.records import Finding, Status
from assistant.skills.bench import Bench, Reply, counted, say_nothing_found, say_status


def detect(bench: Bench) -> Reply:
    """Search for lesions of the kinds asked for, or of every kind that the model knows.

    `limit` ('frame two potential tumours') keeps the surest ones over all kinds.
    """
    found = [finding for name in bench.lesion_kinds for finding in bench.findings(name)]
    seen = sorted((f for f in found if f.status is Status.SEEN), key=lambda f: -(f.confidence or 0.0))
    limit = bench.call.arguments.get("limit")
    kept = seen[: int(limit)] if limit else seen
    sentences: list[str] = []
    for name in bench.lesion_kinds:
        sentences += describe_lesions(bench, [finding for finding in kept if finding.structure == name], measured=False)
    rest = [finding for finding in found if finding.status is not Status.SEEN]
    sentences += [say_status(finding) for finding in rest]
    if not found:
        sentences.append(say_nothing_found(bench))
    return Reply(tuple(sentences), (*kept, *rest))


def describe_lesions(bench: Bench, found: Sequence[Finding], *, measured: bool) -> list[str]:
    """Sentences on lesions of one kind, or on why there is none; sizes are left to a later call that measures them."""
    seen = [finding for finding in found if finding.status is Status.SEEN]
    sentences = [say_status(finding) for finding in found if finding.status is not Status.SEEN]
    number = bench.notebook.lesion_count(seen[0].structure) if seen else 0
    if number == 1:
        sentences.append(say("detected_one", {"F": seen[0]}))
    elif number > MOST_LESIONS:
        sentences.append(say("detected_many", {"F": counted(bench, seen[0], number)}))
    return sentences + [line for finding in seen for line in describe_lesion(finding, measured=measured)]


def describe_lesion(finding: Finding, *, measured: bool) -> list[str]:
    """One lesion with its place, its confidence if one was estimated, and its size unless a later call measures it."""
    site, subject = finding.site, {"F": finding}
    if finding.measurement("long_axis") is None:
        return [say("detected_cut", subject)]
    if finding.confidence is None:
        place = "part" if site.part else "segments" if site.segments else "organ" if site.organ else "slices"
        return [say(name, subject) for name in (f"lesion_{place}", *([] if measured else ["lesion_axes"]))]
    place = "in_part" if site.part else "in_segments" if site.segments else "in_organ" if site.organ else "anywhere"
    return [say(f"detected_{place}_plain" if measured else f"detected_{place}", subject)]
