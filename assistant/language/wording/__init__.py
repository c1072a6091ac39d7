"""Answers worded by a language model: sentences with slots from the records, impressions from the CT.

Light: torch and transformers are loaded where a model is used.
"""

from __future__ import annotations

from assistant.language.wording.facts import facts_json
from assistant.language.wording.messages import told_words_messages, words_messages
from assistant.language.wording.speaker import LLMLooker, LLMSpeaker
from assistant.language.wording.writer import Eyes

__all__ = ["Eyes", "LLMLooker", "LLMSpeaker", "facts_json", "told_words_messages", "words_messages"]
