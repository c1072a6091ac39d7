"""Engines for workers in tests: the boxes segmenter, well-behaved, slow, stuck or deadly."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from assistant.language.rules import RulePlanner
from assistant.plan import Memory, Planner
from assistant.serve.workers.engine import Engine
from tests.fakes import BoxSegmenter
from vision.errors import WeightsError
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_ct
from vision.phantom import make_phantom
from vision.segmenter import Encoding, Progress, Segmenter, no_progress

HERE = "tests.assistant.serve_engine"
SLOW_SECONDS = 2.0
STRUCTURES = ("liver", "pancreas")


def engine(name: str) -> Engine:
    """The engine of one of the functions below."""
    return Engine(f"{HERE}:{name}", f"{HERE}:warm_up")


def warm_up() -> None:
    RulePlanner().plan("Segment the liver.", Memory())


def boxes() -> tuple[Segmenter, Planner]:
    return BoxSegmenter(STRUCTURES), RulePlanner()


def slow() -> tuple[Segmenter, Planner]:
    return SlowSegmenter(STRUCTURES), RulePlanner()


def stuck() -> tuple[Segmenter, Planner]:
    return StuckSegmenter(STRUCTURES), RulePlanner()


def deadly() -> tuple[Segmenter, Planner]:
    return DeadlySegmenter(STRUCTURES), RulePlanner()


def failing() -> tuple[Segmenter, Planner]:
    return FailingSegmenter(STRUCTURES), RulePlanner()


def without_weights() -> tuple[Segmenter, Planner]:
    raise WeightsError("E_WEIGHTS_MISSING", "The weights are not there.", "Install the package again.")


def hanging() -> tuple[Segmenter, Planner]:
    time.sleep(600)
    return boxes()


class SlowSegmenter(BoxSegmenter):
    """Looks at a CT for two seconds, telling its progress often."""

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        for step in range(round(SLOW_SECONDS / 0.05)):
            progress("looking at the CT", 0.05 * step / SLOW_SECONDS)
            time.sleep(0.05)
        return super().encode(ct, progress)


class StuckSegmenter(BoxSegmenter):
    """Computes for a minute without a word, as one pass of a large network does."""

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        progress("looking at the CT", 0.5)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            np.linalg.svd(np.random.default_rng(0).normal(size=(120, 120)))
        return super().encode(ct, progress)


class DeadlySegmenter(BoxSegmenter):
    """Ends its process at the pancreas, as the kernel does when memory runs out."""

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        if structure == "pancreas":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().segment(encoding, structure)


class FailingSegmenter(BoxSegmenter):
    """Raises what nobody expects, with a name in its words."""

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        raise ValueError("/home/jane doe/ct.nii.gz")


def tall_ct() -> CTVolume:
    """A small CT in which the boxes lie complete and large enough to be measured."""
    hu = np.full((40, 36, 32), -1000, dtype=np.int16)
    hu[4:36, 4:32] = 40
    return CTVolume(hu, Grid.from_spacing((40, 36, 32), (8.0, 8.0, 8.0)))


def good_file(folder: Path, seed: int = 0) -> Path:
    """A file that the gate opens: a coarse phantom."""
    return write_ct(make_phantom(seed=seed, spacing_mm=(6.0, 6.0, 6.0)).ct, folder / f"ct{seed}.nii.gz")
