"""Rows 95 to 103, and 59 and 60: files in order whose content is not the abdomen of an adult as scanners show it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from assistant.answer import Answer
from assistant.conversation import Conversation
from assistant.language.rules import RulePlanner
from assistant.records import Status
from tests.catalogue.make_bodies import chest, head, legs, noisy, trunk, written
from tests.catalogue.row import Maker, Row, refused, warned
from tests.fakes import BoxSegmenter, LabelMapSegmenter
from tests.vision.small_files import dicom_slices, label_values, mr_values, nifti_gz, write_series
from vision.geometry import Mask
from vision.io import write_ct
from vision.io.load import read_ct
from vision.phantom import Phantom, make_phantom
from vision.segmenter import Segmenter

NEVER_EXISTED = ("not seen", "absent", "no liver", "was not found in")


def made(hu: Callable[[], np.ndarray]) -> Maker:
    """A maker that writes a volume on the upright 4 x 4 x 5 mm grid."""
    return lambda folder: written(hu(), folder)


@cache
def phantom() -> Phantom:
    """A whole abdomen of known truth, coarse."""
    return make_phantom(seed=3, spacing_mm=(3.0, 3.0, 5.0))


def turned(axis: int) -> Maker:
    """A maker of the phantom with voxels reversed along an axis and the header left as it was."""

    def make(folder: Path) -> Path:
        ct = phantom().ct
        path = folder / "ct.nii.gz"
        path.write_bytes(nifti_gz(np.ascontiguousarray(np.flip(ct.hu, axis)), ct.grid.affine))
        return path

    return make


def asked(path: Path, question: str, segmenter: Segmenter) -> Answer:
    """One question about a file, by the rule planner."""
    return Conversation(read_ct(path), segmenter, RulePlanner()).ask(question)


def codes(answer: Answer) -> set[str]:
    return {warning.code for warning in answer.warnings}


def out_of_region(number: int, name: str, hu: Callable[[], np.ndarray]) -> Row:
    """The gate warns, and of an abdominal organ nothing is said, though the segmenter draws one."""

    def check(folder: Path) -> None:
        answer = asked(written(hu(), folder), "Segment the liver and tell me its volume", BoxSegmenter(("liver",)))
        assert "W_REGION" in codes(answer)
        (finding,) = answer.findings
        assert finding.status is Status.NOT_ASSESSABLE
        assert finding.measurements == ()
        assert not any(words in answer.text.lower() for words in NEVER_EXISTED)

    why = "Refusing would also refuse what a scan of another region does show; nothing is said of the rest."
    return Row(number, name, "opened, W_REGION; its organs are not assessable", check, why)


def chest_alone(folder: Path) -> None:
    path = written(chest(), folder)
    empty = LabelMapSegmenter({}, searches=frozenset({"liver", "lung_left"}))
    answer = asked(path, "Segment the liver", empty)
    assert "W_REGION" in codes(answer)
    assert answer.findings[0].status is Status.NOT_ASSESSABLE
    lung = BoxSegmenter(("lung_left",))
    assert asked(path, "Segment the left lung", lung).findings[0].status is Status.SEEN


def mirrored(folder: Path) -> None:
    """Liver and spleen on the wrong sides: the warning, and no word on a left or right kidney."""
    truth = phantom()
    grid = truth.ct.grid
    masks = {
        name: Mask(np.ascontiguousarray(np.flip(truth.masks[name].voxels, 0)), grid, name)
        for name in ("liver", "spleen", "kidney_left", "kidney_right")
    }
    answer = asked(turned(0)(folder), "Segment the liver and the left kidney", LabelMapSegmenter(masks))
    liver, kidney = answer.findings
    assert "W_POSSIBLE_FLIP" in codes(answer)
    assert liver.status is Status.SEEN
    assert kidney.status is Status.NOT_ASSESSABLE
    assert kidney.site.side is None


def unenhanced(folder: Path) -> None:
    """Without a word in the file: the aorta tells, and no lesion is not 'none'."""
    truth = make_phantom(seed=3, spacing_mm=(4.0, 4.0, 6.0), phase="non_contrast", lesions=())
    segmenter = LabelMapSegmenter(
        {name: truth.masks[name] for name in ("liver", "aorta", "spleen")}, searches=frozenset({"liver_lesion"})
    )
    path = write_ct(truth.ct, folder / "ct.nii.gz")
    conversation = Conversation(read_ct(path), segmenter, RulePlanner())
    answer = conversation.ask("Are there lesions in the liver?")
    assert "W_NON_CONTRAST" in codes(answer)
    assert [finding.status for finding in answer.findings] == [Status.NOT_ASSESSABLE]


def unenhanced_by_its_tags(folder: Path) -> None:
    ct = read_ct(write_series(folder / "series", dicom_slices(ContrastBolusAgentPhase="PRE_CONTRAST")))
    assert ct.facts["phase"] == "non_contrast"
    assert "W_NON_CONTRAST" in {notice.code for notice in ct.warnings}


def after_nephrectomy(folder: Path) -> None:
    """One kidney is gone: it is not seen, which is no failure, and the other keeps its side."""
    truth = phantom()
    masks = {name: truth.masks[name] for name in ("liver", "spleen", "kidney_right")}
    segmenter = LabelMapSegmenter(masks, searches=frozenset({"kidney_left"}))
    answer = asked(write_ct(truth.ct, folder / "ct.nii.gz"), "Segment both kidneys", segmenter)
    found = {finding.structure: finding for finding in answer.findings}
    assert found["kidney_left"].status is Status.NOT_SEEN
    assert found["kidney_left"].measurements == ()
    assert found["kidney_right"].status is Status.SEEN
    assert found["kidney_right"].site.side == "right"


def cut_at_the_border(folder: Path) -> None:
    truth = make_phantom(seed=3, spacing_mm=(4.0, 4.0, 5.0), shape=(96, 72, 20))
    cut = next(
        name
        for name in ("liver", "kidney_right", "kidney_left", "spleen")
        if truth.masks[name] and truth.masks[name].voxels[:, :, [0, -1]].any()
    )
    segmenter = LabelMapSegmenter({cut: truth.masks[cut]})
    answer = asked(write_ct(truth.ct, folder / "ct.nii.gz"), f"What is the volume of the {cut}?", segmenter)
    (finding,) = answer.findings
    assert not finding.complete
    assert finding.cut_at
    assert finding.measurement("volume") is None
    assert "mL" not in answer.text


def nothing_found(folder: Path) -> None:
    """An empty mask of lesions has no size; what was searched is named."""
    truth = phantom()
    masks = {name: truth.masks[name] for name in ("liver", "spleen", "aorta")}
    segmenter = LabelMapSegmenter(masks, searches=frozenset({"liver_lesion"}))
    answer = asked(write_ct(truth.ct, folder / "ct.nii.gz"), "How big is the liver lesion?", segmenter)
    (finding,) = answer.findings
    assert finding.status is Status.NOT_SEEN
    assert finding.measurements == ()
    assert "mm" not in answer.text
    assert "No suspected liver lesion was detected by the model." in answer.text


ROWS: tuple[Row, ...] = (
    Row(59, "left and right of the voxels reversed", "opened, W_POSSIBLE_FLIP; sides are withheld", mirrored),
    warned(60, "front and back of the voxels reversed", "W_TURNED_OVER", turned(1)),
    warned(60, "top and bottom of the voxels reversed", "W_TURNED_OVER", turned(2)),
    out_of_region(95, "a head", head),
    out_of_region(95, "legs", legs),
    Row(95, "a chest", "opened, W_REGION; its lungs are answered, organs below are not assessable", chest_alone),
    refused(96, "an MR saved as NIfTI", "E_MODALITY_GUESS", lambda f: _bytes(f, mr_values())),
    refused(96, "an MR with ringing below zero", "E_MODALITY_GUESS", lambda f: _bytes(f, mr_values() - np.int16(40))),
    refused(96, "an MR with an offset", "E_MODALITY_GUESS", lambda f: _bytes(f, mr_values() - np.int16(300))),
    warned(97, "a noisy CT", "W_NOISY", made(lambda: noisy(trunk().astype(float), 60.0))),
    Row(98, "no contrast medium, by the aorta", "opened, W_NON_CONTRAST; lesions are not assessable", unenhanced),
    Row(98, "no contrast medium, by the tags", "opened, W_NON_CONTRAST", unenhanced_by_its_tags),
    warned(
        99,
        "a child or an animal",
        "W_SMALL_BODY",
        made(lambda: trunk(0.55)),
        why="A pregnancy is not recognised: nothing in the gate could tell it.",
    ),
    warned(99, "a phantom without bone", "W_NO_BONE", made(lambda: trunk(spine=False))),
    Row(100, "a patient with one kidney", "answered: not seen, and the other keeps its side", after_nephrectomy),
    Row(101, "an organ that the scan cuts", "answered: incomplete, no volume", cut_at_the_border),
    Row(102, "a search that finds no lesion", "answered: none detected, no size", nothing_found),
    refused(103, "a label map", "E_LOOKS_LIKE_MASK", lambda f: _bytes(f, label_values())),
    refused(103, "a label map in float", "E_LOOKS_LIKE_MASK", lambda f: _bytes(f, label_values().astype(np.float32))),
)


def _bytes(folder: Path, voxels: np.ndarray) -> Path:
    path = folder / "ct.nii.gz"
    path.write_bytes(nifti_gz(voxels))
    return path
