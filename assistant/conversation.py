"""Conversation: plan, run the skills, word, check, answer. One open CT, and what was found in it so far."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from assistant.answer import Answer
from assistant.grounding import say as say_reply
from assistant.looker import Looker
from assistant.notebook import Notebook
from assistant.plan import Memory, Planner, SkillCall, memory_after
from assistant.records import AnswerRecord, Finding, Impression, Step, WarningRecord
from assistant.skills import SKILLS, Bench, Look, Reply
from assistant.skills.bench import unseen
from assistant.speech import TEMPLATES, Mind, Say, Speaker, Turn, speak, unheard
from vision.geometry import CTVolume, Mask
from vision.scene import Scene
from vision.segmenter import Progress, Segmenter, no_progress

SILENT = frozenset({"refuse", "help", "export", "describe", "correct"})
"""Skills that never look at the voxels, but for `describe` where something looks at the CT."""


class Conversation:
    """Questions about one CT, each answered on top of the ones before. Not for use from several threads at once.

    A planner that is a `Mind` also speaks and looks, unless others are given for that.
    """

    def __init__(
        self,
        ct: CTVolume,
        segmenter: Segmenter,
        planner: Planner,
        *,
        speaker: Speaker | None = None,
        looker: Looker | None = None,
        open_seconds: float = 0.0,
    ) -> None:
        self.ct = ct
        self.planner = planner
        mind = planner if isinstance(planner, Mind) else None
        self.speaker = speaker or (TEMPLATES if mind is None else mind.speaker)
        self.looker = looker or (None if mind is None else mind.looker)
        self.notebook = Notebook(Scene(ct, segmenter))
        self._memory = Memory()
        self._open_seconds = open_seconds

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything found so far."""
        return self.notebook.findings

    def masks(self) -> Mapping[str, Mask]:
        """Every mask so far, by finding id."""
        return dict(self.notebook.masks)

    def ask(self, question: str, *, progress: Progress = no_progress, say: Say = unheard) -> Answer:
        """Answer one question, telling `say` each sentence as soon as it is checked; they are the answer's text.

        `progress` and `say` may raise `vision.errors.Cancelled`: then nothing of the turn is kept.
        """
        started = time.perf_counter()
        progress("planning", 0.0)
        notebook = self.notebook.copy()
        plan = tuple(self.planner.plan(question, self._memory))
        planned = time.perf_counter()
        encode_seconds = self._encode(plan, progress)
        replies, steps = _run(plan, notebook, self._look(notebook), progress)
        worded = time.perf_counter()
        tokens = notebook.scene.tokens() if self.looker is not None and self._looks(plan) else None
        turn = Turn(question, plan, tuple(replies), _latest(replies, notebook), tokens)
        spoken = speak(self.speaker, turn, say=say, progress=progress)
        done = time.perf_counter()
        seconds = {
            "open": self._open_seconds,
            "plan": planned - started,
            "encode": encode_seconds,
            "skills": worded - planned - encode_seconds,
            "word": done - worded,
            "total": done - started + self._open_seconds,
        }
        record = AnswerRecord(
            question=question,
            text=" ".join(spoken.sentences) or say_reply("refuse_dropped", {}),
            findings=turn.findings,
            impressions=turn.impressions,
            report=next((reply.report for reply in replies if reply.report), None),
            warnings=_warnings(notebook.scene),
            plan=plan,
            planner=self.planner.name,
            speaker=spoken.speaker,
            segmenter=notebook.scene.segmenter.name,
            trace=tuple(steps),
            dropped=spoken.dropped,
            seconds={name: round(value, 3) for name, value in seconds.items()},
            ct=_ct_record(self.ct),
        )
        masks = {finding.id: notebook.masks[finding.id] for finding in turn.findings if finding.id in notebook.masks}
        progress("done", 1.0)
        self.notebook = notebook
        self._open_seconds = 0.0
        self._memory = memory_after(plan, self._memory)
        return Answer(record, masks, self.ct)

    def _look(self, notebook: Notebook) -> Look:
        """What the CT looks like: None of everything where nothing can look or there are no tokens to look at."""
        looker = self.looker
        if looker is None:
            return unseen

        def look(topic: str) -> Impression | None:
            tokens = notebook.scene.tokens()
            return None if tokens is None else looker.look(topic, tokens)

        return look

    def _encode(self, plan: tuple[SkillCall, ...], progress: Progress) -> float:
        started = time.perf_counter()
        if self._looks(plan):
            self.notebook.scene.encode(lambda step, share: progress(step, 0.05 + 0.6 * share))
        return time.perf_counter() - started

    def _looks(self, plan: tuple[SkillCall, ...]) -> bool:
        """Whether a plan needs the voxels."""
        silent = SILENT if self.looker is None else SILENT - {"describe"}
        return any(call.name not in silent for call in plan)


def _run(
    plan: tuple[SkillCall, ...], notebook: Notebook, look: Look, progress: Progress
) -> tuple[list[Reply], list[Step]]:
    """Run the calls of a plan in order; their findings are written into the notebook."""
    replies, steps = [], []
    for number, call in enumerate(plan):
        progress(call.name, 0.65 + 0.3 * number / len(plan))
        started = time.perf_counter()
        replies.append(SKILLS[call.name](Bench(call, notebook, plan, look)))
        detail = ", ".join(str(name) for name in call.arguments.get("structures", ()))
        steps.append(Step(skill=call.name, detail=detail, seconds=round(time.perf_counter() - started, 3)))
    return replies, steps


def _latest(replies: list[Reply], notebook: Notebook) -> tuple[Finding, ...]:
    """The latest record of every finding of this turn, each once."""
    ids = dict.fromkeys(finding.id for reply in replies for finding in reply.findings)
    return tuple(notebook.get(finding_id) for finding_id in ids)


def _warnings(scene: Scene) -> tuple[WarningRecord, ...]:
    """What the file gave cause for, and what the structures seen so far do."""
    return tuple(WarningRecord(code=notice.code, text=notice.text) for notice in (*scene.ct.warnings, *scene.notices()))


def _ct_record(ct: CTVolume) -> dict[str, Any]:
    """Geometry and facts of the CT; no name, no path."""
    return {
        "shape": list(ct.grid.shape),
        "spacing_mm": [round(value, 4) for value in ct.grid.spacing_mm],
        "axcodes": ct.grid.axcodes,
        "facts": dict(ct.facts),
    }
