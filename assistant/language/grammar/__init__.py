"""The grammar of plans: what a plan may hold, how it is written, and decoding that cannot leave it. Light: no torch."""

from __future__ import annotations

from assistant.language.grammar.arguments import ARGUMENTS, MOST_CALLS, REQUIRED, TAKES
from assistant.language.grammar.constraint import Constraint, PlanLogits, PlanMatcher
from assistant.language.grammar.schema import plan_schema, tools
from assistant.language.grammar.text import call_texts, can_write, parse_calls, parse_plan, plan_text

__all__ = [
    "ARGUMENTS",
    "MOST_CALLS",
    "REQUIRED",
    "TAKES",
    "Constraint",
    "PlanLogits",
    "PlanMatcher",
    "call_texts",
    "can_write",
    "parse_calls",
    "parse_plan",
    "plan_schema",
    "plan_text",
    "tools",
]
