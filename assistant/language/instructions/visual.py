"""Visual questions: asked of a CT in many words, answered by one closed sentence, every answer equally often."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random

from assistant.language.instructions.cases import VisualCase
from assistant.language.instructions.grammar import all_expanded, hash_of, words_of
from assistant.language.instructions.measured import facts_beside
from assistant.language.instructions.noise import cased, marked, with_slips
from assistant.language.instructions.rows import HELD_OUT_SHARE, Row
from assistant.language.instructions.templates import Split, split_of
from prompts import load_words
from vision.errors import UsageError

AS_IN_USE_SHARE = 0.3
"""Of the questions, put in the very words in which the assistant asks itself."""

FACTS_SHARE = 0.6
"""Of the other questions, put with facts beside them where the case has records; the recipe drops some of these."""


@cache
def questions_of(topic: str) -> tuple[tuple[str, str, Split], ...]:
    """(id, text, split) of every way to ask about a topic."""
    texts = all_expanded(words_of("visual")[topic]["questions"])
    ids = [f"visual.{topic}.{hash_of(text)}" for text in texts]
    return tuple((template_id, text, split_of(template_id)) for template_id, text in zip(ids, texts, strict=True))


def sentence_of(topic: str, word: str) -> str:
    """The closed answer: the sentence of a topic with its word."""
    looks = load_words("wording")["looks"]
    table = looks[topic] if topic in looks else words_of("visual")[topic]
    return str(table["sentence"]).replace("{word}", word)


def visual_maker(seed: int, cases: Sequence[VisualCase]) -> Callable[[int], Row]:
    """Visual rows by number over some cases.

    A topic is drawn first, then one of the answers that the cases have, then a case: so who does not look is right as
    often as a guess. Raises UsageError E_CASES when no topic has two answers among the cases.
    """
    by_answer = _by_answer(cases)
    open_topics = tuple(topic for topic, answers in by_answer.items() if len(answers) > 1)
    if not open_topics:
        raise UsageError(
            "E_CASES", "The cases answer every topic alike.", "Give cases that differ; bodymaps data cases makes some."
        )
    return lambda number: _row(number, seed, by_answer, open_topics)


def _by_answer(cases: Sequence[VisualCase]) -> dict[str, dict[str, list[VisualCase]]]:
    found: dict[str, dict[str, list[VisualCase]]] = {}
    for case in cases:
        for topic, word in case.truth.items():
            found.setdefault(topic, {}).setdefault(word, []).append(case)
    return found


def _row(
    number: int, seed: int, by_answer: Mapping[str, Mapping[str, Sequence[VisualCase]]], open_topics: Sequence[str]
) -> Row:
    rng = Random(f"visual {seed} {number}")  # noqa: S311  -- draws phrasings, keeps no secret
    topic = rng.choice(open_topics)
    word = rng.choice(tuple(by_answer[topic]))
    case = rng.choice(by_answer[topic][word])
    template_id, question, split = _question(rng, topic)
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": sentence_of(topic, word)}]
    # The assistant asks itself without facts.
    if rng.random() < FACTS_SHARE and not template_id.endswith("in_use"):
        facts = facts_beside(rng, topic, case.truth, case.records)
        messages[1:1] = [{"role": "tool", "content": facts}] if facts else []
    return {
        "messages": messages,
        "ct": case.ct,
        "skill": topic,
        "template": template_id,
        "split": split,
        "kind": "visual",
    }


def _question(rng: Random, topic: str) -> tuple[str, str, Split]:
    wanted: Split = "held_out" if rng.random() < HELD_OUT_SHARE else "train"
    looks = load_words("wording")["looks"]
    if wanted == "train" and topic in looks and rng.random() < AS_IN_USE_SHARE:
        return f"visual.{topic}.in_use", str(looks[topic]["question"]), "train"
    fitting = [question for question in questions_of(topic) if question[2] == wanted] or list(questions_of(topic))
    template_id, text, split = rng.choice(fitting)
    return template_id, cased(marked(with_slips(text, rng), rng, mood="ask"), rng), split
