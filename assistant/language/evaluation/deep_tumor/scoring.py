"""How DeepTumorVQA scores answers: letters, numbers by relative accuracy, yes and no, words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant.language.evaluation.deep_tumor.questions import ANSWERS, TYPES, Form, Question
from vision.benchmark.metrics import Interval, bootstrap_interval

TOLERANCES = (0.05, 0.10, 0.20, 0.50)
"""Relative errors below which a number counts as right."""

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LETTER = re.compile(r"\b([A-D])\b")


@dataclass(frozen=True)
class SubtypeScore:
    """One subtype: the mean score with its interval, and what else the benchmark reports of its kind of answer:
    'within_5_percent' and so on; 'sensitivity' and 'specificity'; 'partial'; 'parsed'."""

    subtype: str
    question_type: str
    score: Interval
    others: Mapping[str, float | None]


@dataclass(frozen=True)
class DeepTumorScore:
    """`by_type` averages a type's questions, `overall` all of them, each question counting once."""

    form: Form
    subtypes: tuple[SubtypeScore, ...]
    by_type: Mapping[str, Interval]
    overall: Interval


def score_answers(questions: Sequence[Question], answers: Sequence[str], *, form: Form) -> DeepTumorScore:
    """Score one answer for each question.

    A letter must be the right one. Free numbers score max(0, 1 - |given - wanted| / |wanted|), yes and no by equality,
    words by equality after lower case and without punctuation. Unlike the benchmark's own script, a letter counts only
    where it stands alone: 'Both' is not B. Raises ValueError unless there is one answer for each question.
    """
    if len(questions) != len(answers):
        raise ValueError(f"{len(answers)} answers for {len(questions)} questions")
    given = [_THOUGHT.sub("", answer).strip() for answer in answers]
    values = [_score(question, answer, form) for question, answer in zip(questions, given, strict=True)]
    subtypes = []
    for subtype in dict.fromkeys(question.question_subtype for question in questions):
        own = [place for place, question in enumerate(questions) if question.question_subtype == subtype]
        asked, told = [questions[place] for place in own], [given[place] for place in own]
        others = _choice_others(told) if form == "choice" else _others(subtype, asked, told)
        interval = bootstrap_interval([values[place] for place in own])
        subtypes.append(SubtypeScore(subtype, asked[0].question_type, interval, others))
    types = [*TYPES, *sorted({question.question_type for question in questions} - set(TYPES))]
    by_type = {
        name: bootstrap_interval(
            [v for v, question in zip(values, questions, strict=True) if question.question_type == name]
        )
        for name in types
        if any(question.question_type == name for question in questions)
    }
    return DeepTumorScore(form, tuple(subtypes), by_type, bootstrap_interval(values))


def letter_of(answer: str) -> str | None:
    """The first letter from A to D that stands alone."""
    found = _LETTER.search(answer)
    return found.group(1) if found else None


def number_of(answer: str) -> float | None:
    """The first number."""
    found = _NUMBER.search(answer)
    return float(found.group()) if found else None


def yes_or_no(answer: str) -> str | None:
    """'yes' or 'no', whichever word comes first."""
    found = re.search(r"\b(yes|no)\b", answer.lower())
    return found.group(1) if found else None


def plain(answer: str) -> str:
    """Lower case, no punctuation but hyphens, single blanks."""
    return " ".join(re.sub(r"[^\w\s-]", "", answer.lower()).split())


def relative_accuracy(given: float | None, wanted: float) -> float:
    """In [0, 1]; of a wanted 0, only 0 is right."""
    if given is None:
        return 0.0
    if wanted == 0:
        return float(given == 0)
    return max(0.0, 1 - abs(given - wanted) / abs(wanted))


def _score(question: Question, answer: str, form: Form) -> float:
    if form == "choice":
        return float(letter_of(answer) == question.correct_option.strip().upper())
    kind = ANSWERS.get(question.question_subtype, "word")
    if kind == "number":
        wanted = number_of(question.answer)
        return float("nan") if wanted is None else relative_accuracy(number_of(answer), wanted)
    if kind == "yes_no":
        return float(yes_or_no(answer) is not None and yes_or_no(answer) == yes_or_no(question.answer))
    return float(plain(answer) == plain(question.answer))


def _choice_others(answers: Sequence[str]) -> dict[str, float | None]:
    return {"parsed": _mean([float(letter_of(answer) is not None) for answer in answers])}


def _others(subtype: str, questions: Sequence[Question], answers: Sequence[str]) -> dict[str, float | None]:
    kind = ANSWERS.get(subtype, "word")
    pairs = list(zip(questions, answers, strict=True))
    if kind == "number":
        wanted = [(number_of(question.answer), number_of(answer)) for question, answer in pairs]
        scored = [relative_accuracy(given, right) for right, given in wanted if right is not None]
        # Relative accuracy is 1 minus the relative error, so 0.95 is within 5 %; rounding must not decide.
        return {
            f"within_{100 * each:.0f}_percent": _mean([float(1 - value <= each + 1e-9) for value in scored])
            for each in TOLERANCES
        }
    if kind == "yes_no":
        said = [(yes_or_no(question.answer), yes_or_no(answer)) for question, answer in pairs]
        return {
            "sensitivity": _mean([float(given == "yes") for right, given in said if right == "yes"]),
            # An answer that is neither counts as no, as in the benchmark.
            "specificity": _mean([float(given != "yes") for right, given in said if right == "no"]),
        }
    texts = [(plain(question.answer), plain(answer)) for question, answer in pairs]
    return {"partial": _mean([float(bool(given) and (right in given or given in right)) for right, given in texts])}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
