"""Questions that are refused before anything is planned: too long, not words, or no work of this assistant."""

from __future__ import annotations

from assistant.language.words import LONGEST_QUESTION, clean, find_phrase, tokens_of
from prompts import load_words


def refusal_of(question: str) -> str | None:
    """The reason to refuse a whole question: too_long, not_understood, instructions, system, privacy; else None."""
    if len(question) > LONGEST_QUESTION:
        return "too_long"
    if clean(question) and not any(token.is_word for token in tokens_of(clean(question))):
        return "not_understood"
    text = spoken(question)
    screens = load_words("screens")
    return next(
        (name for name in ("instructions", "system", "privacy") if find_phrase(screens[name]["phrases"], text)), None
    )


def asks_advice(text: str) -> bool:
    """Whether a clause asks for a diagnosis, a prognosis or a treatment."""
    return find_phrase(load_words("screens")["advice"]["phrases"], text) is not None


def mentions_care(text: str) -> bool:
    """Whether a text speaks of diagnosis or treatment at all; a reason to refuse only when nothing else is asked."""
    return find_phrase(load_words("screens")["advice"]["context"], text) is not None


def spoken(question: str) -> str:
    """The words of a question, blank-separated."""
    return " ".join(token.raw for token in tokens_of(clean(question)) if token.is_word)
