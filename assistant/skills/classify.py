"""Skill: what a lesion may be, ranked by signs in what was measured, with the evidence and what stays open."""

from __future__ import annotations

from assistant.grounding import say, say_types
from assistant.records import Finding, Status
from assistant.skills.bench import Bench, Reply, say_nothing_found, say_nothing_of
from assistant.skills.detect import describe_lesion


def classify(bench: Bench) -> Reply:
    """The types that each lesion asked for may be of, what fits best first; never a diagnosis, a stage or a chance."""
    named = str(bench.call.arguments.get("finding", "previous"))
    if named not in ("previous", *bench.notebook.lesion_ids):
        return Reply((say("no_such_lesion", {}),))
    one = named in bench.notebook.lesion_ids
    kinds = () if one else bench.lesion_kinds
    found = [bench.notebook.get(named)] if one else [each for kind in kinds for each in bench.findings(kind)]
    seen = [finding for finding in found if finding.status is Status.SEEN]
    rest = [finding for finding in found if finding.status is not Status.SEEN]
    sentences: list[str] = []
    findings: list[Finding] = []
    for finding in seen:
        lesion = bench.notebook.classified(finding)
        findings.append(lesion)
        sentences += [describe_lesion(lesion, sizes=("axes",)), *(say_types(lesion) or [say("types_unknown", {})])]
    sentences += say_nothing_of(rest if not seen else [])
    if not found:
        sentences.append(say_nothing_found(bench))
    return Reply(tuple(sentences), (*findings, *rest))
