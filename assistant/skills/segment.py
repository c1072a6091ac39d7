"""Skill: the masks of structures, and what is cut or missing."""

from __future__ import annotations

from assistant.grounding import say
from assistant.records import Finding, Status
from assistant.skills.bench import Bench, Reply, able, is_lesion, say_status, say_unable
from assistant.skills.detect import describe_lesions, say_doubts


def segment(bench: Bench) -> Reply:
    """Find each structure asked for; lesions come one by one with their place."""
    sentences: list[str] = []
    findings: list[Finding] = []
    measured = any(call.name == "measure" for call in bench.plan)
    for name in able(bench):
        found = bench.findings(name)
        findings += found
        if found and is_lesion(found[0]):
            sentences += [*describe_lesions(bench, found, measured=measured), *say_doubts(found)]
        else:
            sentences += [line for finding in found for line in _sentences(finding, measured=measured)]
        if not found:
            sentences.append(say("not_within", {}))
    return Reply((*sentences, *say_unable(bench)), tuple(findings))


def _sentences(finding: Finding, *, measured: bool) -> list[str]:
    if finding.status is not Status.SEEN:
        return [say_status(finding)]
    if finding.cut_at:
        return [
            say(name, {"F": finding}) for name in (["segmented_part"] if measured else ["segmented_part", "cut_off"])
        ]
    return [say("segmented" if measured else "segmented_volume", {"F": finding})]
