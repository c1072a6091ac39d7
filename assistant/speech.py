"""Speech: the words of one turn, sentence by sentence, each checked before a person sees it. And the seam to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from assistant.grounding import Verifier, fillings, split_sentences
from assistant.looker import Looker
from assistant.plan import SkillCall
from assistant.records import Finding, Impression, Measurement
from vision.errors import ResourceError, WeightsError
from vision.segmenter import Progress

if TYPE_CHECKING:
    from assistant.skills import Reply
    from vision.models.coarse_to_fine.tokens import CTTokens

Say = Callable[[str], None]
"""Called with each finished sentence once it has been checked."""

_SLOT = re.compile(r"\{([^{}]*)\}")
_NOT_LATIN = re.compile(r"[^\W_a-zA-Z]")
"""A digit of any script, or a letter that English has not."""
MOST_LEFT_OUT = 3
"""Sentences of a speaker in a row that are left out, after which it is not heard any more in that turn."""


def unheard(sentence: str) -> None:
    """A `Say` that does nothing."""


@dataclass(frozen=True)
class Turn:
    """What there is to say: the question, its plan, the skills' replies and the latest record of each finding.

    `tokens` are those of the CT, None where nothing needs them or the segmenter makes none.
    """

    question: str
    plan: tuple[SkillCall, ...]
    replies: tuple[Reply, ...]
    findings: tuple[Finding, ...]
    tokens: CTTokens | None = None

    @property
    def extra(self) -> tuple[Measurement, ...]:
        """Measurements of the CT itself."""
        return tuple(fact for reply in self.replies for fact in reply.extra)

    @property
    def impressions(self) -> tuple[Impression, ...]:
        """What the CT looks like, each topic once."""
        return tuple({one.topic: one for reply in self.replies for one in reply.impressions}.values())

    @property
    def sentences(self) -> tuple[str, ...]:
        """The skills' own sentences, each once, in their order."""
        text = "\n".join(dict.fromkeys(sentence for reply in self.replies for sentence in reply.sentences))
        return tuple(split_sentences(text))

    @cached_property
    def slots(self) -> Mapping[str, str]:
        """Every slot that a sentence of this turn may hold, as 'F1.volume', with its filling."""
        return fillings(self.findings, self.extra)


class Speaker(Protocol):
    """Records to words. Templates and the language model share it."""

    name: str

    def speak(self, turn: Turn, progress: Progress) -> Iterator[str]:
        """Sentences with slots of the turn in braces, never a digit; none to leave every word to the skills.

        What it leaves out or gets wrong is said by the skills' own sentences. Calls `progress` between words, which
        may raise Cancelled. Raises ResourceError where it cannot go on.
        """
        ...


@runtime_checkable
class Mind(Protocol):
    """A planner that words and looks too: one language model for all."""

    speaker: Speaker
    looker: Looker | None


class TemplateSpeaker:
    """Leaves every word to the skills' own sentences."""

    name = "templates"

    def speak(self, turn: Turn, progress: Progress) -> Iterator[str]:
        """Nothing."""
        return iter(())


TEMPLATES = TemplateSpeaker()


@dataclass(frozen=True)
class Spoken:
    """What was said, what was left out, and who spoke."""

    sentences: tuple[str, ...]
    dropped: tuple[str, ...]
    speaker: str


def speak(speaker: Speaker, turn: Turn, *, say: Say, progress: Progress) -> Spoken:
    """Let the speaker word a turn, then the skills what it did not say.

    A sentence is said when it holds no digit and no slot but those of the turn, the records cover it and it says
    something that was not said before. A sentence of a skill follows unless everything that it states was said: so
    nothing that a skill tells (a number, an absence, a cut, a reason) is lost. A turn without records is the skills'.
    After `MOST_LEFT_OUT` sentences in a row that cannot be said the skills go on.
    """
    speech = _Speech(turn, say)
    failed = ""
    if turn.slots:
        try:
            for sentence in speaker.speak(turn, progress):
                speech.take(sentence)
                if speech.left_out >= MOST_LEFT_OUT:
                    break
        except (ResourceError, WeightsError) as error:
            failed = f" ({speaker.name} failed: {error.code})"
    worded = bool(speech.sentences)
    completed = speech.complete()
    names = [*([speaker.name] if worded else []), *([TEMPLATES.name] if completed or not worded else [])]
    return Spoken(tuple(speech.sentences), tuple(speech.dropped), " and ".join(names) + failed)


class _Speech:
    """A speech while it is made."""

    def __init__(self, turn: Turn, say: Say) -> None:
        self.sentences: list[str] = []
        self.dropped: list[str] = []
        self.left_out = 0
        """How many were dropped since the last that was said."""
        self._turn = turn
        self._say = say
        self._verifier = Verifier(turn.findings, extra=turn.extra, impressions=turn.impressions)
        self._said: frozenset[str] = frozenset()

    def take(self, sentence: str) -> None:
        """Check a speaker's sentence, and say it if it is true and says something new."""
        finished = _filled(sentence, self._turn.slots)
        if finished is None:
            self._drop(sentence)
            return
        for one in split_sentences(finished):
            checked = self._verifier.check(one)
            if checked.problems or all(states & self._said for states in checked.states):
                self._drop(one)
            else:
                self._said = self._said.union(*checked.states)
                self._tell(one)

    def complete(self) -> bool:
        """Say the skills' sentences that state what the speaker did not; returns whether there was one."""
        told = len(self.sentences)
        for sentence in self._turn.sentences:
            checked = self._verifier.check(sentence)
            if checked.problems:
                self._drop(sentence)
            elif not checked.states or not all(states & self._said for states in checked.states):
                self._tell(sentence)
        return len(self.sentences) > told

    def _tell(self, sentence: str) -> None:
        self._say(sentence)
        self.sentences.append(sentence)
        self.left_out = 0

    def _drop(self, sentence: str) -> None:
        self.dropped.append(sentence)
        self.left_out += 1
        # 'It' would be read as whatever was said last.
        self._verifier.forget()


def _filled(sentence: str, slots: Mapping[str, str]) -> str | None:
    """The sentence with its slots filled; None for a digit, a brace or a slot that is not of this turn."""
    words = _SLOT.sub("", sentence)
    if "{" in words or "}" in words or _NOT_LATIN.search(words):
        return None
    if not all(slot in slots for slot in _SLOT.findall(sentence)):
        return None
    filled = _SLOT.sub(lambda match: slots[match[1]], sentence).strip()
    return filled[:1].upper() + filled[1:]
