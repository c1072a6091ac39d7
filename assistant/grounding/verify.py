"""The verifier: a sentence stays only when records cover all that it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.grounding.coverage import counts, covers, organs_of, states
from assistant.grounding.fixed import is_fixed_sentence
from assistant.grounding.impressions import told_impressions
from assistant.grounding.lexicon import GENERIC, Mention, is_lesion, table_lexicon
from assistant.grounding.page import Claim, names_lesion
from assistant.grounding.reading import Reading, read
from assistant.grounding.sentences import split_sentences
from assistant.grounding.statements import Statement, statements
from assistant.grounding.told import told_records
from assistant.grounding.words import FALL, RISE
from assistant.records import Finding, Impression, Measurement, Status


@dataclass(frozen=True)
class Problem:
    """Why a sentence is refused."""

    sentence: str
    detail: str


@dataclass(frozen=True)
class Checked:
    """A sentence that was read: what is wrong with it and, when nothing is, what it states."""

    sentence: str
    problems: tuple[Problem, ...]
    states: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class _Facts:
    """What a text may rest on."""

    findings: tuple[Finding, ...]
    extra: tuple[Measurement, ...]
    impressions: tuple[Impression, ...]
    prior: bool


class Verifier:
    """Reads a text sentence by sentence. What 'it' means is carried from each sentence to the next.

    `extra` are measurements of the CT itself, usable in sentences that name no structure. `impressions` are told in
    their own fixed sentences only, as is what a lesion may be and what a search covered. `prior` says that a prior CT
    is open, without which no word may compare over time. Sentences that are fixed in `prompts.replies` state nothing
    about the CT and pass.
    """

    def __init__(
        self,
        findings: Sequence[Finding],
        *,
        extra: Sequence[Measurement] = (),
        impressions: Sequence[Impression] = (),
        prior: bool = False,
    ) -> None:
        self._facts = _Facts(tuple(findings), tuple(extra), tuple(impressions), prior)
        self._carried: tuple[Finding, ...] = self._facts.findings
        """What 'it' is: the findings of the sentence before, all of them before the first, none after a refusal."""

    def check(self, sentence: str) -> Checked:
        """Read the next sentence of the text."""
        if is_fixed_sentence(sentence):
            return Checked(sentence, (), (frozenset({sentence}),))
        topics = told_impressions(sentence, self._facts.impressions)
        if topics:
            return Checked(sentence, (), tuple(frozenset({f"looks {topic}"}) for topic in topics))
        told = told_records(sentence, self._facts.findings)
        if told:
            return Checked(sentence, (), tuple(frozenset({each}) for each in told))
        details, states, self._carried = _judge(sentence, self._facts, carried=self._carried)
        return Checked(sentence, tuple(Problem(sentence, detail) for detail in details), states)

    def forget(self) -> None:
        """The sentence that was read last is left out: 'it' means nothing after it."""
        self._carried = ()


def verify(
    text: str,
    findings: Sequence[Finding],
    *,
    extra: Sequence[Measurement] = (),
    impressions: Sequence[Impression] = (),
    prior: bool = False,
) -> list[Problem]:
    """All that a finished text says without a record, sentence by sentence; empty for a true text.

    Arguments as of `Verifier`.
    """
    verifier = Verifier(findings, extra=extra, impressions=impressions, prior=prior)
    return [problem for sentence in split_sentences(text) for problem in verifier.check(sentence).problems]


def check_sentences(
    sentences: Sequence[str],
    findings: Sequence[Finding],
    *,
    extra: Sequence[Measurement] = (),
    impressions: Sequence[Impression] = (),
    prior: bool = False,
) -> tuple[list[str], list[str]]:
    """(kept, dropped): the sentences that records cover, and the others, each in order. Arguments as of `Verifier`.

    A sentence that points back ('It measures ...') to a dropped one is dropped with it.
    """
    verifier = Verifier(findings, extra=extra, impressions=impressions, prior=prior)
    checked = [verifier.check(sentence) for sentence in split_sentences("\n".join(sentences))]
    kept = [one.sentence for one in checked if not one.problems]
    return kept, [one.sentence for one in checked if one.problems]


def _judge(
    sentence: str, facts: _Facts, *, carried: tuple[Finding, ...]
) -> tuple[list[str], tuple[Statement, ...], tuple[Finding, ...]]:
    """What is wrong with one sentence, what it states if nothing is, and what 'it' means after it."""
    without_reasons, explained = _without_reasons(sentence, facts.findings)
    reading = read(without_reasons, lexicon=table_lexicon())
    about = [_candidates(at, reading, facts.findings) for at in range(len(reading.subjects))]
    related = tuple(finding for group in about for finding in group) if about else carried
    details = [*reading.uncovered, *_over_time(reading, related, prior=facts.prior)]
    for at, candidates in enumerate(about):
        details += _subject_problems(at, reading, candidates, related=related)
    details += _carried_problems(reading, carried, facts)
    details += _comparison_problems(reading, about)
    if explained and about and not any(finding in explained for group in about for finding in group):
        details.append("the reason belongs to another finding")
    if details:
        return details, (), ()
    told = explained if not about else tuple(finding for finding in explained if finding in related)
    states = statements(reading, about, related=related, explained=told, extra=facts.extra)
    return [], states, related


def _without_reasons(sentence: str, findings: Sequence[Finding]) -> tuple[str, tuple[Finding, ...]]:
    """The sentence without the `why` of any finding, which is a record itself, and the findings so explained."""
    explained = []
    for finding in sorted(findings, key=lambda finding: -len(finding.why)):
        why = finding.why.strip().rstrip(".")
        at = sentence.lower().find(why.lower()) if len(why.split()) > 2 else -1
        if at >= 0 and finding.status is not Status.SEEN:
            explained += [other for other in findings if other.why == finding.why]
            sentence = f"{sentence[:at]}{sentence[at + len(why) :]}"
    return sentence, tuple(explained)


def _candidates(at: int, reading: Reading, findings: Sequence[Finding]) -> list[Finding]:
    """The findings that a subject can mean."""
    subject = reading.subjects[at]
    if subject.finding:
        named = [finding for finding in findings if finding.id == subject.finding]
        return [finding for finding in named if not subject.names or _named(finding, subject)]
    found = [finding for finding in findings if _named(finding, subject)]
    places = _places(at, reading)
    if GENERIC in subject.names and places:
        found = [finding for finding in found if organs_of(finding) & places]
    return found


def _named(finding: Finding, subject: Mention) -> bool:
    return finding.structure in subject.names or (GENERIC in subject.names and is_lesion(finding.structure))


def _places(at: int, reading: Reading) -> frozenset[str]:
    """The organs in which the sentence places a lesion subject."""
    said = [name for claim in reading.claims if claim.kind == "organ" and claim.about == at for name in claim.value]
    if said:
        return frozenset(said)
    before = [subject for subject in reading.subjects[:at] if not names_lesion(subject)]
    return before[-1].names if before else frozenset()


def _subject_problems(
    at: int, reading: Reading, candidates: Sequence[Finding], *, related: Sequence[Finding]
) -> list[str]:
    subject, standing = reading.subjects[at], reading.standing[at]
    what = subject.finding or " or ".join(sorted(subject.names)).replace(GENERIC, "lesion")
    claims = [claim for claim in reading.claims if claim.about == at]
    if not candidates:
        return [] if _is_place_of(subject, related) and not claims else [f"no record of {what}"]
    if standing in ("absent", "not assessable") and _says_too_much(at, reading, candidates):
        return [f"not every {what} is on record as {standing}"]
    if standing == "absent" and any(finding.status is not Status.NOT_SEEN for finding in candidates):
        return [f"{what} is not on record as searched and not seen"]
    if standing == "not assessable" and any(finding.status is not Status.NOT_ASSESSABLE for finding in candidates):
        return [f"{what} is not on record as not assessable"]
    fitting = list(candidates)
    if standing == "present":
        fitting = [finding for finding in candidates if finding.status is Status.SEEN]
        if not fitting or (subject.plural and _fewer_than_said(subject, fitting)):
            return [f"{what} is not on record as seen"]
    counted = [claim for claim in claims if claim.kind == "count" or claim.quantity == ("count",)]
    details = [
        f"the count {claim.value[0]} of {what} is not on record" for claim in counted if not counts(claim, fitting)
    ]
    return details + _uncovered([c for c in claims if c not in counted], fitting, related=related, each=subject.plural)


def _says_too_much(at: int, reading: Reading, candidates: Sequence[Finding]) -> bool:
    """Whether a name for several structures, with no place to narrow it, stands for one that was not searched."""
    subject = reading.subjects[at]
    if subject.finding or _places(at, reading):
        return False
    return GENERIC in subject.names or bool(subject.names - {finding.structure for finding in candidates})


def _fewer_than_said(subject: Mention, seen: Sequence[Finding]) -> bool:
    """Whether a plural says more than was seen: one lesion only, or one side of a pair."""
    if names_lesion(subject):
        return len(seen) < 2
    return len(subject.names) > 1 and bool(subject.names - {finding.structure for finding in seen})


def _is_place_of(subject: Mention, related: Sequence[Finding]) -> bool:
    """Whether an organ is only named as the place of a lesion on record ('The liver shows no suspected lesion')."""
    return any(is_lesion(finding.structure) and organs_of(finding) & subject.names for finding in related)


def _uncovered(
    claims: Sequence[Claim], findings: Sequence[Finding], *, related: Sequence[Finding], each: bool
) -> list[str]:
    """Claims that no single finding covers together; of several named at once (`each`), any may cover each claim."""
    failed = [[claim for claim in claims if not covers(claim, finding, related=related)] for finding in findings]
    if each:
        open_claims = [claim for claim in claims if all(claim in missing for missing in failed)]
    else:
        open_claims = min(failed, key=len, default=list(claims))
    return [f"{claim.kind} {' '.join(claim.value)} is not on record".replace("  ", " ") for claim in open_claims]


def _carried_problems(reading: Reading, carried: tuple[Finding, ...], facts: _Facts) -> list[str]:
    """Claims of a sentence without a subject, judged against what 'it' is or against facts of the CT."""
    claims = [claim for claim in reading.claims if claim.about is None]
    all_seen = [claim for claim in claims if claim.quantity == ("structures",)]
    details = [f"the count {c.value[0]} is not on record" for c in all_seen if not counts(c, facts.findings)]
    if reading.subjects:
        return details + [
            f"{c.kind} {' '.join(c.value)} is about nothing on record" for c in claims if c not in all_seen
        ]
    if reading.carried == "absent" and not (carried and all(f.status is Status.NOT_SEEN for f in carried)):
        return [*details, "what is denied is not on record as searched and not seen"]
    if reading.carried == "not assessable" and not (
        carried and all(f.status is Status.NOT_ASSESSABLE for f in carried)
    ):
        return [*details, "it is not on record as not assessable"]
    rest = [c for c in claims if c not in all_seen and not (c.kind == "number" and states(c, facts.extra))]
    return details + (_uncovered(rest, carried, related=carried, each=False) if rest else [])


def _comparison_problems(reading: Reading, about: Sequence[Sequence[Finding]]) -> list[str]:
    details = []
    for comparison in reading.comparisons:
        pairs = [
            (first.measurement(quantity), second.measurement(quantity))
            for first in about[comparison.first]
            for second in about[comparison.second]
            for quantity in ("volume", "long_axis")
        ]
        sizes = [(first.value, second.value) for first, second in pairs if first and second][:1]
        smaller = comparison.word in ("smaller", "shorter")
        if not sizes or not (sizes[0][0] < sizes[0][1] if smaller else sizes[0][0] > sizes[0][1]):
            details.append(f"'{comparison.word} than' is not what the records say")
    return details


def _over_time(reading: Reading, related: Sequence[Finding], *, prior: bool) -> list[str]:
    """Words that compare over time need a prior CT and a measured change; its sign must fit."""
    if not reading.over_time:
        return []
    if not prior:
        return [f"'{word}' compares with a prior CT, and none is open" for word in reading.over_time]
    changes = [m.value for finding in related for m in finding.measurements if "change" in m.quantity]
    details = [] if changes else ["no change over time is on record"]
    for word in reading.over_time:
        if (RISE.fullmatch(word) and max(changes, default=0.0) <= 0) or (
            FALL.fullmatch(word) and min(changes, default=0.0) >= 0
        ):
            details.append(f"'{word}' is not the change on record")
    return details
