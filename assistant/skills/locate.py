"""Skill: where a structure or lesion lies, and whether it is there at all."""

from __future__ import annotations

from assistant.grounding import say
from assistant.records import Finding, Status
from assistant.skills.bench import Bench, Reply, is_lesion, say_status


def locate(bench: Bench) -> Reply:
    """Slices, side, part and segment of each thing asked for."""
    found = [finding for name in bench.structures for finding in bench.findings(name)]
    sentences = [sentence for finding in found for sentence in _sentences(finding)]
    if bench.call.arguments.get("asked") == "presence":
        seen = [finding for finding in found if finding.status is Status.SEEN and not is_lesion(finding)]
        sentences = [*(say("present", {"F": finding}) for finding in seen), *sentences]
    return Reply(tuple(sentences) or (say("not_within", {}),), tuple(found))


def _sentences(finding: Finding) -> list[str]:
    if finding.status is not Status.SEEN:
        return [say_status(finding)]
    site = finding.site
    if is_lesion(finding):
        place = "lesion_part" if site.part else "lesion_segments" if site.segments else "lesion_organ"
        names = [*([place] if site.organ else []), "lesion_slices"]
        names += ["lesion_side"] if site.side else []
    else:
        names = ["slices", *(["side"] if site.side else []), *(["cut"] if finding.cut_at else [])]
    return [say(name, {"F": finding}) for name in names]
