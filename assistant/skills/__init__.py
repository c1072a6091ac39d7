"""What a person can ask for: one typed function a file, listed here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from assistant.skills.bench import Bench, Look, Reply
from assistant.skills.classify import classify
from assistant.skills.compare import compare
from assistant.skills.count import count
from assistant.skills.describe import describe
from assistant.skills.detect import detect
from assistant.skills.locate import locate
from assistant.skills.measure import measure
from assistant.skills.report import report
from assistant.skills.segment import segment
from assistant.skills.talk import explain_export, refuse, show_help, unsupported

Skill = Callable[[Bench], Reply]

SKILLS: Mapping[str, Skill] = MappingProxyType(
    {
        "segment": segment,
        "measure": measure,
        "detect": detect,
        "classify": classify,
        "locate": locate,
        "count": count,
        "compare": compare,
        "describe": describe,
        "report": report,
        "answer": locate,
        "export": explain_export,
        "help": show_help,
        "refuse": refuse,
        "correct": unsupported,
    }
)
"""Skill by the name that a plan uses. Those that map to `unsupported` are understood and honestly declined."""

__all__ = ["SKILLS", "Bench", "Look", "Reply", "Skill"]
