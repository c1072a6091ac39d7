"""Faithfulness: what becomes of the sentences that a language model writes about records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from assistant.conversation import Conversation
from assistant.grounding import split_sentences
from assistant.language.evaluation.shares import Share, share_of
from assistant.plan import Planner
from assistant.speech import Speaker, Turn
from vision.geometry import CTVolume
from vision.segmenter import Progress, Segmenter, no_progress

_SLOT = re.compile(r"\{([^{}]*)\}")
OUTCOMES = ("said", "refused or nothing new", "a digit of its own", "a slot not on record")


@dataclass(frozen=True)
class Faithfulness:
    """How many `turns` had records to word, in how many the model alone said everything, and what became of its
    `sentences`, one count for each of `OUTCOMES`."""

    speaker: str
    turns: int
    alone: Share
    sentences: dict[str, int]

    @property
    def said(self) -> Share:
        """The share of its sentences that a person was told."""
        total = sum(self.sentences.values())
        return share_of([True] * self.sentences["said"] + [False] * (total - self.sentences["said"]))


class Listening:
    """A speaker whose sentences are kept as it wrote them."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker, self.name = speaker, speaker.name
        self.heard: list[tuple[str, Mapping[str, str]]] = []

    def speak(self, turn: Turn, progress: Progress) -> Iterator[str]:
        """As the speaker itself; each sentence is noted with the slots that there were."""
        for sentence in self.speaker.speak(turn, progress):
            self.heard.append((sentence, turn.slots))
            yield sentence


def count_faithfulness(
    cts: Sequence[tuple[CTVolume, Segmenter]],
    questions: Sequence[str],
    *,
    planner: Planner,
    speaker: Speaker,
    progress: Progress = no_progress,
) -> Faithfulness:
    """Ask the questions, each of the next CT in turn, in a conversation of its own."""
    counts = dict.fromkeys(OUTCOMES, 0)
    alone: list[bool] = []
    for number, question in enumerate(questions):
        progress("faithfulness", number / len(questions))
        ct, segmenter = cts[number % len(cts)]
        listening = Listening(speaker)
        answer = Conversation(ct, segmenter, planner, speaker=listening).ask(question)
        if not listening.heard:
            continue
        alone.append(answer.record.speaker == speaker.name)
        dropped = frozenset(answer.record.dropped)
        for sentence, slots in listening.heard:
            counts[_outcome(sentence, slots, dropped)] += 1
    return Faithfulness(speaker.name, len(alone), share_of(alone), counts)


def _outcome(sentence: str, slots: Mapping[str, str], dropped: frozenset[str]) -> str:
    if re.search(r"\d", _SLOT.sub("", sentence)):
        return "a digit of its own"
    if not slots.keys() >= set(_SLOT.findall(sentence)):
        return "a slot not on record"
    # As `assistant.speech` fills it; what was dropped is kept so.
    filled = _SLOT.sub(lambda match: slots[match[1]], sentence).strip()
    finished = split_sentences(filled[:1].upper() + filled[1:])
    return "refused or nothing new" if dropped.intersection((sentence, *finished)) else "said"
