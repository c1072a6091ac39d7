"""What a CT looks like: fixed sentences with a word of a closed vocabulary, said only as the record has it."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.records import Impression
from prompts import load_words


def say_impression(impression: Impression) -> str:
    """The sentence that tells an impression, and that the record holds where it says otherwise."""
    topic = load_words("wording")["looks"][impression.topic]
    sentence: str = topic["against" if impression.contradicts else "sentence"]
    return sentence.replace("{word}", impression.word)


def told_impressions(sentence: str, impressions: Sequence[Impression]) -> tuple[str, ...]:
    """The topics of the impressions on record that a sentence tells, word for word; none for any other sentence."""
    return tuple(impression.topic for impression in impressions if say_impression(impression) == sentence)
