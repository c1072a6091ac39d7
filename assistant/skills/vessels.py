"""What lesions of the pancreas touch of the vessels beside it."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.grounding import say, structure_list
from assistant.records import Finding, Status
from assistant.skills.bench import Bench


def say_vessels(bench: Bench, lesions: Sequence[Finding]) -> list[str]:
    """Degrees of each vessel that each pancreatic lesion touches, and the vessels of which there is no mask."""
    sentences: list[str] = []
    unknown: tuple[str, ...] = ()
    for lesion in lesions:
        if lesion.status is Status.SEEN and lesion.site.organ == "pancreas":
            measured, unknown = bench.notebook.contacts(lesion)
            known = any(m.unit == "degrees" for m in measured.measurements)
            sentences += [say("lesion_vessels", {"F": measured})] if known else []
    return sentences + ([say("vessels_unknown", {}, {"structures": structure_list(unknown)})] if unknown else [])
