"""Skill: how many lesions, or which of the structures asked for are there."""

from __future__ import annotations

from assistant.grounding import say
from assistant.records import Finding, Status
from assistant.skills.bench import Bench, Reply, counted, is_lesion, say_nothing_found, say_status
from assistant.skills.detect import describe_lesion


def count(bench: Bench) -> Reply:
    """Count the lesions of each kind; a structure that is no lesion is said to be there or not."""
    sentences: list[str] = []
    findings: list[Finding] = []
    for name in bench.structures or bench.lesion_kinds:
        found = bench.findings(name)
        seen = [finding for finding in found if finding.status is Status.SEEN]
        if not seen:
            sentences += [say_status(finding) for finding in found]
        elif is_lesion(seen[0]):
            sentences += _count(bench, seen)
        else:
            sentences.append(say("slices", {"F": seen[0]}))
        findings += seen or found
    return Reply(tuple(sentences) or (say_nothing_found(bench),), tuple(findings))


def _count(bench: Bench, seen: list[Finding]) -> list[str]:
    """The number of lesions of one kind; where only some of them were asked for, which ones are meant."""
    everything = bench.notebook.lesions(seen[0].structure)
    chosen = len(seen) < len(everything)
    number = len(seen) if chosen else bench.notebook.lesion_count(seen[0].structure)
    first = counted(bench, seen[0], number)
    sentences = [say("count_one" if number == 1 else "count_many", {"F": first})]
    return sentences + [describe_lesion(finding, sizes=("axes",)) for finding in seen if chosen]
