"""Skill: suspected lesions as boxes, with size, place and confidence, and what was searched without one."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.grounding import say
from assistant.records import Finding, Status
from assistant.skills.bench import Bench, Reply, say_status
from vision.scene import lesion_names


def detect(bench: Bench) -> Reply:
    """Search for lesions of the kinds asked for, or of every kind that the model knows.

    `limit` ('frame two potential tumours') keeps the surest ones over all kinds.
    """
    wanted = bench.structures or lesion_names(bench.notebook.scene.segmenter)
    found = [finding for name in wanted for finding in bench.findings(name)]
    seen = sorted((f for f in found if f.status is Status.SEEN), key=lambda f: -(f.confidence or 0.0))
    limit = bench.call.arguments.get("limit")
    kept = seen[: int(limit)] if limit else seen
    sentences: list[str] = []
    for name in wanted:
        sentences += describe_lesions([finding for finding in kept if finding.structure == name], measured=False)
    rest = [finding for finding in found if finding.status is not Status.SEEN]
    sentences += [say_status(finding) for finding in rest]
    if not found:
        sentences.append(say("not_within", {}))
    return Reply(tuple(sentences), (*kept, *rest))


def describe_lesions(found: Sequence[Finding], *, measured: bool) -> list[str]:
    """Sentences on the lesions of one kind, or on why there is none."""
    seen = [finding for finding in found if finding.status is Status.SEEN]
    sentences = [say_status(finding) for finding in found if finding.status is not Status.SEEN]
    if len(seen) == 1:
        sentences.append(say("detected_one", {"F": seen[0]}))
    return sentences + [_lesion(finding, measured=measured) for finding in seen]


def _lesion(finding: Finding, *, measured: bool) -> str:
    """One lesion with its place; with its size too, unless a later call measures it."""
    if finding.measurement("long_axis") is None:
        return say("detected_cut", {"F": finding})
    site = finding.site
    place = "in_part" if site.part else "in_segments" if site.segments else "in_organ" if site.organ else "anywhere"
    return say(f"detected_{place}_plain" if measured else f"detected_{place}", {"F": finding})
