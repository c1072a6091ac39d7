"""What a language model reads of the records before it words an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence

from assistant.grounding import fillings
from assistant.records import Finding, Measurement

_NOT_TOLD = frozenset({"id", "structures", "cut_at"})
"""Slots that exist, and say nothing that another key does not."""


def facts_json(findings: Sequence[Finding], *, extra: Sequence[Measurement] = ()) -> str:
    """The records as one line of compact JSON: what the content of a 'tool' message is, in training as in use.

    By finding id, in the order given: 'structure' (spoken), 'status', then what else is on record, each under the name
    of its slot and as it would be written: {"F1":{"structure":"left kidney","status":"seen","side":"left",
    "volume":"160 mL"}}. So the slot of a value is its finding, a dot and its key. Measurements of the CT itself
    ('CT.extent') stand under "CT". Nothing on record gives "{}".
    """
    facts: dict[str, dict[str, str]] = {}
    statuses = {finding.id: finding.status.value for finding in findings}
    for slot, text in fillings(findings, extra).items():
        subject, _, key = slot.partition(".")
        if key not in _NOT_TOLD:
            facts.setdefault(subject, {})[key] = text
            if key == "structure":
                facts[subject]["status"] = statuses[subject]
    return json.dumps(facts, separators=(",", ":"), ensure_ascii=False)
