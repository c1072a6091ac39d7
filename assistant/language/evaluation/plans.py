"""Plan exactness: how often a planner plans exactly what was meant, on phrasings that nothing was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mode

from assistant.language.evaluation.shares import Share, share_of
from assistant.language.training.rows import ChatRow
from assistant.plan import Memory, Planner, SkillCall, memory_after
from vision.segmenter import Progress, no_progress

FREE_WORDS = "words"
"""An argument that quotes the question; no plan is wrong for quoting it otherwise."""


@dataclass(frozen=True)
class PlanTask:
    """One turn: what was asked, what could be pointed back to, and the calls that were meant."""

    question: str
    memory: Memory
    wanted: tuple[SkillCall, ...]
    skill: str


@dataclass(frozen=True)
class PlanScore:
    """How many plans of one planner are exact: of all, and by the skill that was meant."""

    planner: str
    overall: Share
    by_skill: dict[str, Share]


def plan_tasks(rows: Sequence[ChatRow]) -> list[PlanTask]:
    """Every turn of the conversations that has a plan; later turns remember the calls that were meant before."""
    return [task for row in rows for task in _turns(row)]


def score_plans(tasks: Sequence[PlanTask], planner: Planner, *, progress: Progress = no_progress) -> PlanScore:
    """Plan each task by itself. Exact means: the same calls in the same order with the same arguments.

    `planner` is who made most of the plans: a language model leaves some to the rules, and says so in its name.
    """
    exact, makers = [], []
    for number, task in enumerate(tasks):
        progress("plans", number / len(tasks))
        exact.append(is_exact(planner.plan(task.question, task.memory), task.wanted))
        makers.append(planner.name)
    skills = dict.fromkeys(task.skill for task in tasks)
    by_skill = {
        skill: share_of([hit for hit, task in zip(exact, tasks, strict=True) if task.skill == skill])
        for skill in skills
    }
    return PlanScore(mode(makers), share_of(exact), by_skill)


def is_exact(found: Sequence[SkillCall], wanted: Sequence[SkillCall]) -> bool:
    """Whether two plans call the same skills with the same arguments in the same order."""
    return [_plain(call) for call in found] == [_plain(call) for call in wanted]


def _plain(call: SkillCall) -> SkillCall:
    """Without what is free, and without lists that hold nothing."""
    kept = {key: value for key, value in call.arguments.items() if key != FREE_WORDS and value != []}
    return SkillCall(name=call.name, arguments=kept)


def _turns(row: ChatRow) -> list[PlanTask]:
    tasks: list[PlanTask] = []
    memory, question = Memory(), ""
    for message in row.messages:
        if message.role == "user":
            question = message.content
        elif message.calls:
            tasks.append(PlanTask(question, memory, message.calls, row.skill))
            memory = memory_after(message.calls, memory)
    return tasks
