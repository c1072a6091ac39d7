"""Speakers and lookers that do as they are told, for tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from assistant.records import Finding, Impression
from assistant.skills import Reply
from assistant.speech import Spoken, Turn, speak
from vision.segmenter import Encoding, Progress, no_progress

SCRIPTED = "scripted"


class ScriptedSpeaker:
    """Says the same whatever the turn is about."""

    def __init__(self, *sentences: str) -> None:
        self.name = SCRIPTED
        self.sentences = sentences
        self.turns: list[Turn] = []

    def speak(self, turn: Turn, progress: Progress) -> Iterator[str]:
        self.turns.append(turn)
        yield from self.sentences


class FailingSpeaker:
    """Says one sentence, then raises."""

    def __init__(self, sentence: str, error: Exception) -> None:
        self.name = SCRIPTED
        self.sentence = sentence
        self.error = error

    def speak(self, turn: Turn, progress: Progress) -> Iterator[str]:
        yield self.sentence
        raise self.error


class ScriptedLooker:
    """Sees the same words whatever the CT is."""

    def __init__(self, **words: str) -> None:
        self.name = SCRIPTED
        self.words = words
        self.tokens: list[object] = []

    def look(self, topic: str, tokens: object) -> Impression:
        self.tokens.append(tokens)
        known = {"phase": "delayed", "region": "upper abdomen", "oral_contrast": "absent", "noise": "usual"}
        word: Mapping[str, str] = {**known, "steatosis": "not fatty", **self.words}
        return Impression(topic=topic, word=word[topic], confidence=0.5, reader=self.name)


class Tokens:
    """A segmenter's `tokens`, to be mixed into one."""

    def tokens(self, encoding: Encoding) -> object:
        return TOKENS


TOKENS = object()


def spoken_of(sentences: Sequence[str], own: Sequence[str], findings: Sequence[Finding]) -> Spoken:
    """What is said when a speaker says `sentences` and the skill's `own` ones are these."""
    turn = Turn("?", (), (Reply(tuple(own), tuple(findings)),), tuple(findings))
    return speak(ScriptedSpeaker(*sentences), turn, say=lambda sentence: None, progress=no_progress)
