"""Visual questions: does a model answer from the CT? With it, with its tokens zeroed, and with facts withheld."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from assistant.language.evaluation.shares import Difference, Share, difference_of, share_of
from assistant.language.training.ct_tokens import without_sight
from assistant.language.training.rows import ChatRow
from assistant.language.training.samples import Sample, encoder, samples_of
from assistant.language.wording.speaker import beliefs
from vision.models.coarse_to_fine.tokens import CTTokens
from vision.segmenter import Progress, no_progress

if TYPE_CHECKING:
    from assistant.language.taught import TaughtLLM
    from assistant.language.training.encoded import EncodedSample
    from assistant.language.wording import Eyes

    Encode = Callable[[Sample], tuple[EncodedSample, EncodedSample | None]]

Condition = Literal["as asked", "CT zeroed", "facts withheld", "CT zeroed, facts withheld"]
CONDITIONS: tuple[Condition, ...] = ("as asked", "CT zeroed", "facts withheld", "CT zeroed, facts withheld")


@dataclass(frozen=True)
class VisualTask:
    """One question about a CT, its answer, and the answers that questions of its kind have."""

    sample: Sample
    kind: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class VisualScore:
    """Of each condition the share of right answers, of all and by kind; what it would be for one who always gives the
    commonest answer; and how much the CT adds, with and without facts, questions of one CT drawn together."""

    overall: Mapping[Condition, Share]
    by_kind: Mapping[str, Mapping[Condition, Share]]
    commonest: Mapping[str, Share]
    gain: Difference
    gain_without_facts: Difference


def visual_tasks(rows: Sequence[ChatRow], taught: TaughtLLM) -> list[VisualTask]:
    """The visual questions of some rows, those of one CT together. A kind is a skill; its choices are all answers that
    the rows give to it."""
    found = [
        (row.skill, sample)
        for row in rows
        if row.kind == "visual" and row.ct is not None
        for sample in samples_of(row, taught.llm)
        if sample.ct is not None
    ]
    choices: dict[str, dict[str, None]] = {}
    for kind, sample in found:
        choices.setdefault(kind, {})[sample.target] = None
    found.sort(key=lambda pair: str(pair[1].ct))
    return [VisualTask(sample, kind, tuple(choices[kind])) for kind, sample in found]


def score_visual(
    tasks: Sequence[VisualTask],
    taught: TaughtLLM,
    tokens: Mapping[str, CTTokens],
    *,
    progress: Progress = no_progress,
) -> VisualScore:
    """Let the model choose the likeliest of the answers of a kind, under each condition.

    Raises ValueError for a model without a sight.
    """
    if taught.sighted is None:
        raise ValueError("this language model was taught no sight")
    from assistant.language.wording import Eyes

    right: dict[Condition, list[bool]] = {condition: [] for condition in CONDITIONS}
    # A pair of eyes remembers the CT that it looked at last.
    encode, eyes = encoder(taught.llm), {zeroed: Eyes(taught.sighted) for zeroed in (False, True)}
    answers = {
        kind: [encode(Sample(task.sample.messages, None, choice, None))[0].target for choice in task.choices]
        for kind, task in {task.kind: task for task in tasks}.items()
    }
    seen = {ct: {False: own, True: without_sight(own)} for ct, own in tokens.items()}
    for number, task in enumerate(tasks):
        progress("visual questions", number / len(tasks))
        for condition, hit in _answered(task, encode, answers[task.kind], eyes, seen[str(task.sample.ct)]).items():
            right[condition].append(hit)
    kinds = list(dict.fromkeys(task.kind for task in tasks))
    groups = [task.sample.ct for task in tasks]
    return VisualScore(
        overall={condition: share_of(hits) for condition, hits in right.items()},
        by_kind={
            kind: {
                condition: share_of([hit for hit, task in zip(hits, tasks, strict=True) if task.kind == kind])
                for condition, hits in right.items()
            }
            for kind in kinds
        },
        commonest={kind: _commonest([task.sample.target for task in tasks if task.kind == kind]) for kind in kinds},
        gain=difference_of(right["as asked"], right["CT zeroed"], groups=groups),
        gain_without_facts=difference_of(right["facts withheld"], right["CT zeroed, facts withheld"], groups=groups),
    )


def _answered(
    task: VisualTask,
    encode: Encode,
    answers: Sequence[Sequence[int]],
    eyes: Mapping[bool, Eyes],
    tokens: Mapping[bool, CTTokens],
) -> dict[Condition, bool]:
    wanted = task.choices.index(task.sample.target)
    told, blind = encode(task.sample)
    hits: dict[Condition, bool] = {}
    for zeroed in (False, True):
        for withheld, sample in ((False, told), (True, blind)):
            condition = CONDITIONS[zeroed + 2 * withheld]
            if sample is None:
                # Nothing was told that could be withheld.
                hits[condition] = hits[CONDITIONS[zeroed]]
                continue
            shares = beliefs(eyes[zeroed], sample.prompt, answers, tokens=tokens[zeroed])
            hits[condition] = shares.index(max(shares)) == wanted
    return hits


def _commonest(answers: Sequence[str]) -> Share:
    most = max(dict.fromkeys(answers), key=answers.count)
    return share_of([answer == most for answer in answers])
