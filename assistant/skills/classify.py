"""Skill: what a lesion may be, ranked by signs in what was measured, with the evidence and what stays open."""

from __future__ import annotations

from assistant.grounding import say, say_types
from assistant.records import Finding, Status
from assistant.skills.bench import Bench, Reply, say_nothing_found, say_nothing_of
from assistant.skills.detect import describe_lesion


def classify(bench: Bench) -> Reply:
    """The types that each lesion asked for may be of, what fits best first; never a diagnosis, a stage or a chance."""
    found = _asked_for(bench)
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


def _asked_for(bench: Bench) -> list[Finding]:
    """The one finding that is named by its id, else the lesions of the kinds asked for."""
    named = [f for f in bench.notebook.findings if f.id == bench.call.arguments.get("finding")]
    if named and named[0].box is not None and named[0].id in bench.notebook.lesion_ids:
        return named
    return [finding for kind in bench.lesion_kinds for finding in bench.findings(kind)]
