"""What a true sentence says of the records, so that two sentences can be compared: does one say what the other does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from assistant.grounding.coverage import covers, states
from assistant.grounding.page import Claim
from assistant.grounding.reading import Reading
from assistant.grounding.words import RELATIONAL
from assistant.records import Finding, Measurement, Status

Statement = frozenset[str]
"""One statement: every record that it can be about, such as 'F1.volume', 'F2 absent' or 'F3 side left'."""

_SAYS_LITTLE = frozenset({"no_size", "organ", "suspected"})
"""Claims that follow from others: a size not given, the organ that a lesion's name holds, that it is suspected."""


def statements(
    reading: Reading,
    about: Sequence[Sequence[Finding]],
    *,
    related: Sequence[Finding],
    explained: Sequence[Finding],
    extra: Sequence[Measurement],
) -> tuple[Statement, ...]:
    """The statements of a sentence that `Verifier` found true.

    `about` are the findings that each subject can mean, `related` those of the whole sentence, `explained` those whose
    reason is told, `extra` measurements of the CT itself.
    """
    said: list[Statement] = []
    for at, candidates in enumerate(about):
        said += _standing(at, reading, candidates)
    for claim in reading.claims:
        if claim.kind not in _SAYS_LITTLE:
            findings = related if claim.about is None else about[claim.about]
            said += _claimed(claim, findings, related=related, extra=extra)
    for comparison in reading.comparisons:
        pairs = (about[comparison.first], about[comparison.second])
        both = sorted(finding.id for finding in chain(*pairs))
        said.append(frozenset({f"larger of {' '.join(both)}"}))
    said += [frozenset({f"{finding.id} why"}) for finding in explained]
    return tuple(dict.fromkeys(statement for statement in said if statement))


def _standing(at: int, reading: Reading, candidates: Sequence[Finding]) -> list[Statement]:
    """What is said of a subject as a whole: of each finding where it is said of all of them, else of one."""
    standing = reading.standing[at]
    if standing == "cut":
        return [frozenset(f"{finding.id} present" for finding in candidates)]
    if standing == "present":
        seen = [f"{finding.id} present" for finding in candidates if finding.status is Status.SEEN]
        return [frozenset({one}) for one in seen] if reading.subjects[at].plural else [frozenset(seen)]
    return [frozenset({f"{finding.id} {standing}"}) for finding in candidates]


def _claimed(
    claim: Claim, findings: Sequence[Finding], *, related: Sequence[Finding], extra: Sequence[Measurement]
) -> Iterator[Statement]:
    if claim.kind == "pair":
        fitting = [finding for finding in findings if covers(claim, finding, related=related)]
        yield from (frozenset(f"{f.id}.{axis}" for f in fitting) for axis in ("long_axis", "short_axis"))
    elif claim.kind == "number":
        own = [m for finding in findings for m in finding.measurements]
        between = [m for finding in related for m in finding.measurements if m.quantity.startswith(RELATIONAL)]
        free = extra if claim.about is None else ()
        yield frozenset(m.id for m in (*own, *between, *free) if states(claim, (m,)))
    elif claim.kind == "count" or claim.quantity == ("count",):
        yield frozenset(f"{finding.id} count" for finding in findings)
    else:
        value = " ".join(sorted(claim.value))
        yield frozenset(f"{f.id} {claim.kind} {value}" for f in findings if covers(claim, f, related=related))
