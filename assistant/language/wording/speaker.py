"""A language model as a `Speaker`: records and question to sentences with slots, and as a `Looker`: a CT to a word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from assistant.language.llms.chat import chat_text
from assistant.language.llms.folder import EMBEDDED
from assistant.language.planner import harmless, is_out_of_memory, marks_of
from assistant.language.wording.facts import facts_json
from assistant.language.wording.grammar import sentences_in
from assistant.language.wording.messages import Message, told_words_messages, words_messages
from assistant.language.wording.writer import LIMIT, Eyes, Writer
from assistant.language.words import clean
from assistant.records import Impression
from assistant.speech import Turn
from prompts import load_words
from vision.errors import ResourceError
from vision.segmenter import Progress

if TYPE_CHECKING:
    from assistant.language.llms.load import LoadedLLM
    from vision.models.coarse_to_fine.tokens import CTTokens

SHARE = 0.96
"""Of a turn's work that is done when the words begin."""


class LLMSpeaker:
    """Words a turn by a language model, greedily and under the grammar of words.

    It speaks of turns with records and without a report; where the records do not fit its window, it says nothing.
    A model that was `taught`, as the embedded one was, reads what it was taught with; another is told its work.
    """

    def __init__(self, llm: LoadedLLM, eyes: Eyes | None = None, *, taught: bool = False) -> None:
        self.name = llm.name
        self._llm = llm
        self._marks = marks_of(llm.tokenizer)
        self._taught = taught or llm.name == EMBEDDED
        self._writer = Writer(llm, eyes)

    def speak(self, turn: Turn, progress: Progress) -> Iterator[str]:
        """Sentences with slots, each when it is whole. Raises ResourceError E_MEMORY when memory runs out."""
        if any(reply.report is not None for reply in turn.replies):
            return
        prompt = self.prompt(turn)
        if len(prompt) + LIMIT > self._llm.window:
            return
        try:
            yield from self._sentences(prompt, turn, progress)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise ResourceError(
                "E_MEMORY", "The language model ran out of memory.", "Choose a smaller one, or add --load-in-4bit."
            ) from None

    def prompt(self, turn: Turn) -> list[int]:
        """The tokens that the model reads. The question's words are in the turn of the user and cannot end it."""
        return self._llm.ids(chat_text(self._llm.tokenizer, self._llm.row, self._messages(turn)))

    def _messages(self, turn: Turn) -> list[Message]:
        question = harmless(clean(turn.question), self._marks)
        facts = harmless(facts_json(turn.findings, extra=turn.extra), self._marks)
        if self._taught:
            return words_messages(question, turn.plan, facts)
        return told_words_messages(question, turn.plan, facts, slots=tuple(turn.slots))

    def _sentences(self, prompt: Sequence[int], turn: Turn, progress: Progress) -> Iterator[str]:
        told = 0
        progress("wording", SHARE)
        for text in self._writer.write(prompt, tuple(turn.slots), tokens=turn.tokens):
            progress("wording", SHARE)
            sentences = list(sentences_in(text))
            yield from sentences[told:]
            told = len(sentences)


class LLMLooker:
    """Looks at a CT by the sight of a language model: how likely is each word of a topic as its answer?"""

    def __init__(self, llm: LoadedLLM, eyes: Eyes) -> None:
        self.name = llm.name
        self._llm = llm
        self._eyes = eyes

    def look(self, topic: str, tokens: CTTokens) -> Impression:
        """The likeliest word of a topic of `prompts/wording.toml`, with its share of the belief."""
        words = load_words("wording")["looks"][topic]
        messages = words_messages(words["question"], (), None)
        prompt = self._llm.ids(chat_text(self._llm.tokenizer, self._llm.row, messages))
        answers = [self._llm.ids(words["sentence"].replace("{word}", word)) for word in words["words"]]
        shares = beliefs(self._eyes, prompt, answers, tokens=tokens)
        best = max(range(len(shares)), key=shares.__getitem__)
        return Impression(topic=topic, word=words["words"][best], confidence=round(shares[best], 4), reader=self.name)


def beliefs(
    eyes: Eyes, prompt: Sequence[int], answers: Sequence[Sequence[int]], *, tokens: CTTokens
) -> tuple[float, ...]:
    """The share of each answer in the probability of all of them after a prompt, the CT seen; the shares add to 1."""
    import torch

    lm = eyes.sighted.lm
    width = max(len(answer) for answer in answers)
    ids = torch.zeros(len(answers), len(prompt) + width, dtype=torch.long)
    known = torch.zeros_like(ids)
    for row, answer in enumerate(answers):
        ids[row, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer])
        known[row, : len(prompt) + len(answer)] = 1
    with torch.inference_mode():
        output = eyes.sighted(ids.to(lm.device), known.to(lm.device), looked=eyes.look(tokens))
        said = output.logits[:, len(prompt) - 1 : -1].float().log_softmax(-1).cpu()
        told = said.gather(2, ids[:, len(prompt) :, None])[..., 0] * known[:, len(prompt) :]
        return tuple(told.sum(1).double().softmax(0).tolist())
