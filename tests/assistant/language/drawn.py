"""The skills over records that were drawn: what they say of a words row, and what they add to its answer."""

from __future__ import annotations

import numpy as np

from assistant.language.instructions.words import Telling
from assistant.language.taught import MASK
from assistant.language.wording.grammar import sentences_in
from assistant.notebook import Notebook
from assistant.records import Finding, Status
from assistant.skills import SKILLS, Bench
from assistant.speech import Spoken, Turn, speak
from tests.assistant.language.speaking import ScriptedSpeaker
from tests.fakes import BoxSegmenter
from vision.geometry import CTVolume, Grid
from vision.scene import Scene
from vision.segmenter import no_progress
from vision.structures import names


class DrawnNotebook(Notebook):
    """Hands out drawn findings instead of measuring a CT."""

    def __init__(self, telling: Telling) -> None:
        number = {one.quantity: one.value for one in telling.extra}
        plane = number.get("pixel_spacing", 1.0)
        spacing = (plane, plane, number.get("slice_spacing", 1.0))
        grid = Grid.from_spacing((2, 2, int(number.get("slices", 2))), spacing, (0.0, 0.0, 0.0))
        ct = CTVolume(np.zeros(grid.shape, dtype=np.float32), grid)
        super().__init__(Scene(ct, BoxSegmenter(tuple(names()))))
        # What the answer was written over has the gaps between things, which were drawn with it.
        self._findings = {finding.id: finding for finding in (*telling.drawn, *telling.findings)}

    def structure(self, name: str) -> Finding:
        return self.lesions(name)[0]

    def lesions(self, name: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.structure == name)

    def lesion_count(self, name: str) -> int:
        return sum(finding.status is Status.SEEN for finding in self.lesions(name))

    def measured(self, finding: Finding, *quantities: str) -> Finding:
        return self.get(finding.id)

    def contacts(self, lesion: Finding) -> tuple[Finding, tuple[str, ...]]:
        return self.get(lesion.id), ()

    def distance(self, first: Finding, second: Finding) -> Finding:
        assert self.get(first.id).measurement(f"distance_{second.id}") is not None
        return self.get(first.id)


def heard(telling: Telling) -> tuple[Spoken, Turn]:
    """What is said when a speaker says the answer of a words row, after the real skills have worked on its records."""
    notebook = DrawnNotebook(telling)
    calls = telling.request.calls
    replies = tuple(SKILLS[call.name](Bench(call, notebook, calls)) for call in calls)
    ids = dict.fromkeys(finding.id for reply in replies for finding in reply.findings)
    turn = Turn(telling.request.text, calls, replies, tuple(notebook.get(finding_id) for finding_id in ids))
    speaker = ScriptedSpeaker(*sentences_in(telling.answer.replace(MASK, "")))
    return speak(speaker, turn, say=lambda sentence: None, progress=no_progress), turn
