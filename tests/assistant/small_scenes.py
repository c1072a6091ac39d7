"""Small CTs of known truth to talk about, and planners and segmenters that do as they are told."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from assistant.answer import Answer
from assistant.conversation import Conversation
from assistant.grounding import verify
from assistant.language.rules import RulePlanner
from assistant.plan import Memory, SkillCall
from assistant.skills.describe import ct_facts
from tests.fakes import LabelMapSegmenter
from vision.geometry import CTVolume, Grid, Mask, cropped_grid
from vision.phantom import Phantom, make_phantom

GRID = Grid.from_spacing((60, 50, 40), (4.0, 4.0, 5.0), (-120.0, -100.0, -100.0))
BOXES = {
    "liver": ((34, 12, 10), (54, 38, 34)),
    "spleen": ((8, 12, 20), (16, 22, 32)),
    "kidney_right": ((36, 6, 5), (42, 11, 20)),
    "kidney_left": ((18, 6, 5), (24, 11, 24)),
    "aorta": ((28, 10, 0), (31, 13, 40)),
    "gall_bladder": ((40, 39, 12), (44, 43, 17)),
}
LESIONS = (((37, 15, 13), (42, 20, 17)), ((46, 15, 22), (49, 18, 25)), ((46, 30, 28), (48, 32, 30)))
"""Three boxes in the liver with a long axis of about 28, 17 and 11 mm (corner to corner of the slice)."""


class PlanOf:
    """A `Planner` that answers every question with the same calls."""

    name = "fixed"

    def __init__(self, *calls: SkillCall) -> None:
        self.calls = list(calls)

    def plan(self, question: str, memory: Memory) -> list[SkillCall]:
        return self.calls


class UnsureSegmenter(LabelMapSegmenter):
    """Estimates no confidence."""

    def confidence(self, encoding: object, part: Mask) -> float | None:
        return None


def boxed(name: str, *boxes: tuple[tuple[int, int, int], tuple[int, int, int]], grid: Grid = GRID) -> Mask:
    """The mask of a structure that fills some boxes of voxels."""
    voxels = np.zeros(grid.shape, dtype=bool)
    for start, stop in boxes:
        voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return Mask(voxels, grid, name)


def box_masks(lesions: int = 3) -> dict[str, Mask]:
    """Six organs as boxes, and the liver lesions asked for."""
    masks = {name: boxed(name, box) for name, box in BOXES.items()}
    return {**masks, "liver_lesion": boxed("liver_lesion", *LESIONS[:lesions])}


def box_ct(masks: Mapping[str, Mask]) -> CTVolume:
    """Fat with organs of 100 HU and lesions of 50 HU."""
    hu = np.full(GRID.shape, -100, dtype=np.int16)
    for name, mask in masks.items():
        hu[mask.voxels] = 50 if name.endswith("lesion") else 100
    return CTVolume(hu, GRID)


def about_boxes(*calls: SkillCall, lesions: int = 3, searches: frozenset[str] = frozenset()) -> Conversation:
    """A conversation about the boxes; with calls, every question is planned as those."""
    masks = box_masks(lesions)
    planner = PlanOf(*calls) if calls else RulePlanner()
    return Conversation(box_ct(masks), LabelMapSegmenter(masks, searches=searches), planner)


@functools.cache
def phantom() -> Phantom:
    """The demo person, coarse: a tumour of 25 mm in the tail of the pancreas."""
    return make_phantom(spacing_mm=(3.0, 3.0, 4.0))


def about_phantom(*calls: SkillCall, searches: frozenset[str] = frozenset()) -> Conversation:
    """A conversation about the phantom with its true masks."""
    made = phantom()
    planner = PlanOf(*calls) if calls else RulePlanner()
    return Conversation(made.ct, LabelMapSegmenter(made.masks, searches=searches), planner)


def about_part(slices: slice, *calls: SkillCall) -> Conversation:
    """A conversation about some slices of the phantom only."""
    made = phantom()
    grid = cropped_grid(made.ct.grid, (0, 0, slices.start), (made.ct.grid.shape[0], made.ct.grid.shape[1], slices.stop))
    masks = {
        name: Mask(np.ascontiguousarray(mask.voxels[:, :, slices]), grid, name) for name, mask in made.masks.items()
    }
    ct = CTVolume(np.ascontiguousarray(made.ct.hu[:, :, slices]), grid, dict(made.ct.facts))
    return Conversation(ct, LabelMapSegmenter(masks), PlanOf(*calls) if calls else RulePlanner())


def call(name: str, *structures: str, **arguments: object) -> SkillCall:
    """A skill call about some structures."""
    return SkillCall(name=name, arguments={**({"structures": list(structures)} if structures else {}), **arguments})


def assert_grounded(answer: Answer) -> None:
    """Every sentence said is covered by the answer's records, and none had to be left out."""
    extra = ct_facts(answer.ct)
    assert answer.record.dropped == ()
    assert verify(answer.text, answer.findings, extra=extra) == []
    assert "left out" not in answer.text
    for _, sentences in answer.report.sections if answer.report else ():
        assert verify("\n".join(sentences), answer.findings, extra=extra) == []
