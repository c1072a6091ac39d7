"""A whole message around a filled template: greeting, history, politeness, ending, noise."""

from __future__ import annotations

from random import Random

from assistant.language.instructions.grammar import phrases, pick, tidy
from assistant.language.instructions.noise import cased, marked, released, spelled, with_slips

_QUESTIONS = ("could", "can", "would", "will", "is ", "do ", "may", "how", "cud", "pls can")
_TO_ME = (
    "tell ",
    "give ",
    "show me",
    "let ",
    "hand ",
    "send ",
    "point me",
    "bring me",
    "take me",
    "find out",
    "I want",
)
_FILLED = frozenset(("on_ct", "purpose", "because", "because_any"))


def sentence(core: str, rng: Random, *, mood: str, slots: frozenset[str], context: str) -> tuple[str, str]:
    """A core with what people put before and after it in one sentence, and the mood of the whole."""
    if mood == "bare" or context == "none":
        return _short(core, rng, mood=mood), mood
    tail = ""
    if context != "plain" and not slots & _FILLED and rng.random() < 0.16:
        names = ("on_ct", "on_ct", "purpose", "because") if mood in ("do", "say") else ("on_ct",)
        tail = " " + pick(rng, phrases(rng.choice(names)))
    if mood == "do" and rng.random() < 0.52 and not core.startswith(_TO_ME):
        ask = pick(rng, phrases("ask"))
        whole = f"{ask} {core}{tail}"
        asks = ask.lower().startswith(_QUESTIONS)
        if asks and rng.random() < 0.15:
            whole += rng.choice((", please", " please"))
        return whole, "ask" if asks else "do"
    if core.startswith(_TO_ME) and rng.random() < 0.4:
        return f"{pick(rng, phrases('ask_you'))} {core}{tail}", "ask"
    if mood == "do" and rng.random() < 0.1:
        return f"{core}{tail}{rng.choice((', please', ' please', ' pls', ' for me'))}", mood
    if mood == "ask" and rng.random() < 0.1:
        return f"{pick(rng, phrases('before_question'))} {core}{tail}", mood
    return f"{core}{tail}", mood


def _short(core: str, rng: Random, *, mood: str) -> str:
    if mood in ("do", "fragment") and rng.random() < 0.2:
        return rng.choice((f"please {core}", f"{core} please", f"{core}, please"))
    return core


def message(core: str, rng: Random, *, mood: str, slots: frozenset[str], context: str, neutral: bool) -> str:
    """The message that a person types, before noise: greeting, history, the sentence, thanks."""
    text, ends_as = sentence(core, rng, mood=mood, slots=slots, context=context)
    text = marked(text, rng, mood=ends_as)
    if mood == "bare" or context == "none":
        return text
    if rng.random() < 0.09:
        greeting = pick(rng, phrases("greeting"))
        text = f"{greeting}{rng.choice((', ', ', ', ' ', '! ', ' - ', '. '))}{text}"
    if rng.random() < 0.13:
        text = _with_story(text, rng, neutral=neutral or context == "neutral")
    if rng.random() < 0.06:
        mark = "" if text.endswith((".", "?", "!")) else rng.choice((",", ".", ""))
        text = f"{text}{mark} {pick(rng, phrases('thanks'))}"
    return text


def _with_story(text: str, rng: Random, *, neutral: bool) -> str:
    """The message with what somebody tells about the patient before or, rarely, after it."""
    kinds = ("story",) if neutral else ("story", "story_organs", "story_organs", "story_cancer")
    count = 1 if rng.random() < 0.8 else 2
    story = " ".join(_sentence_case(pick(rng, phrases(rng.choice(kinds)))) for _ in range(count))
    if rng.random() < 0.12:
        return f"{text if text.endswith(('.', '?', '!')) else text + '.'} {story}"
    return f"{story}{rng.choice((' ', ' ', ' ', chr(10), ' Please: ', ' So: ', ' Question: '))}{_sentence_case(text)}"


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def noisy(text: str, rng: Random) -> str:
    """The message as typed."""
    return released(cased(with_slips(spelled(tidy(text), rng), rng), rng))
