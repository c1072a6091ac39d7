"""Answers worded by a language model: sentences with slots from the records, impressions from the CT. Light."""

from __future__ import annotations

from assistant.language.wording.facts import facts_json

__all__ = ["facts_json"]
