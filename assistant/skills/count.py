"""Skill: how many lesions, or which of the structures asked for are there."""

from __future__ import annotations

from assistant.grounding import say
from assistant.notebook import measurement
from assistant.records import Finding, Status
from assistant.skills.bench import Bench, Reply, is_lesion, say_status
from vision.scene import lesion_names


def count(bench: Bench) -> Reply:
    """Count the lesions of each kind; a structure that is no lesion is said to be there or not."""
    sentences: list[str] = []
    findings: list[Finding] = []
    for name in bench.structures or lesion_names(bench.notebook.scene.segmenter):
        found = bench.findings(name)
        seen = [finding for finding in found if finding.status is Status.SEEN]
        if not seen:
            sentences += [say_status(finding) for finding in found]
        elif is_lesion(seen[0]):
            number = measurement(seen[0].id, "count", len(seen), unit="1", method="separate pieces of the mask")
            seen[0] = bench.notebook.add(seen[0], number)
            sentences.append(say("count_one" if len(seen) == 1 else "count_many", {"F": seen[0]}))
        else:
            sentences.append(say("slices", {"F": seen[0]}))
        findings += seen or found
    return Reply(tuple(sentences), tuple(findings))
