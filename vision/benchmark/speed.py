"""How fast a model is and how much memory it takes: on one CT, over numbers of slices, beside nnU-Net, by engine."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vision.benchmark.apart import run_apart
from vision.benchmark.speed_ct import store_ct, with_slices
from vision.errors import ResourceError, UsageError
from vision.geometry import CTVolume
from vision.models.registry import find_model
from vision.segmenter import Progress, no_progress

PARTS = ("model", "slices", "nnunet", "engines")
ONE, FOLLOW_UP = "liver", "spleen"
SLICES = (50, 100, 200, 300, 500, 700, 1000)
Apart = Callable[[str, dict[str, Any]], dict[str, Any]]
"""`run_apart`, or a stand-in for it."""


@dataclass(frozen=True)
class SpeedPlan:
    """What is measured. `runs` fresh processes each for the model, one for each number of `slices`."""

    model: str
    device: str | None = None
    parts: tuple[str, ...] = PARTS
    runs: int = 3
    slices: tuple[int, ...] = SLICES
    windows: int = 3
    """Windows of nnU-Net that are timed; all others cost the same."""

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or not self.parts:
            what = f"No part of the benchmark is called {', '.join(unknown)[:60]!r}."
            raise UsageError("E_BENCHMARK_PART", what, f"Parts: {', '.join(PARTS)}.")
        if min(self.runs, self.windows) < 1 or any(count < 1 for count in self.slices):
            raise UsageError("E_RUNS", "Nothing can be timed in no runs, windows or slices.", "Give 1 or more of each.")


@dataclass(frozen=True)
class ModelSpeed:
    """Medians of seconds, largest peaks. Loading is not part of `everything`, `one` and `follow_up`.

    `everything`: look at the CT and make the masks of all structures on its grid, all of them kept. `one`: look at
    it and make the mask of `ONE`, in a process that did nothing before. `follow_up`: then that of `FOLLOW_UP`.
    """

    segmenter: str
    structures: int
    found: int
    load: float
    encode: float
    everything: float
    one: float
    follow_up: float
    everything_peak_mib: float | None
    one_peak_mib: float | None
    gpu_mib: float | None


@dataclass(frozen=True)
class SliceSpeed:
    """Everything, as in `ModelSpeed`, on a CT of so many slices, once."""

    slices: int
    encode: float
    masks: float
    total: float
    peak_mib: float | None


@dataclass(frozen=True)
class Line:
    """Least squares of total seconds over slices; `r2` is the share of their variance that it explains."""

    seconds_per_slice: float
    seconds_at_none: float
    r2: float


@dataclass(frozen=True)
class SpeedReport:
    """All figures of one benchmark, with what they were measured on. `missing` says for each part why it is not there.

    `ratio`: how many times as long as the model's `everything` nnU-Net takes, in fp32 and in bf16.
    """

    machine: str
    cores: int
    torch: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    runs: int
    model: ModelSpeed | None
    slices: tuple[SliceSpeed, ...]
    line: Line | None
    nnunet: dict[str, Any] | None
    ratio: dict[str, float] | None
    engines: tuple[dict[str, Any], ...]
    missing: dict[str, str]


def benchmark_speed(
    plan: SpeedPlan, ct: CTVolume, *, apart: Apart = run_apart, progress: Progress = no_progress
) -> SpeedReport:
    """Measure the parts of a plan on a CT.

    Raises WeightsError E_MODEL for a model that is not installed, and what its part ends with.
    """
    find_model(plan.model)
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="bodymaps-speed-") as name:
        folder = Path(name)
        task = {"model": plan.model, "device": plan.device, "ct": store_ct(ct, folder)}
        model = _model_speed(plan, task, apart, progress) if "model" in plan.parts else None
        nnunet = engines = None
        if "nnunet" in plan.parts:
            progress("nnU-Net's setting", 0.4)
            nnunet = _or_missing("nnunet", {**task, "windows": plan.windows}, apart, missing)
        if "engines" in plan.parts:
            progress("engines", 0.5)
            engines = _or_missing("engines", {**task, "runs": plan.runs}, apart, missing)
        rows = _slice_speeds(plan, task, ct, folder, apart, progress) if "slices" in plan.parts else ()
    progress("done", 1.0)
    return SpeedReport(
        machine=f"{sys.platform} {platform.machine()}",
        cores=os.cpu_count() or 1,
        torch=_torch_version(),
        shape=ct.grid.shape,
        spacing_mm=tuple(round(step, 3) for step in ct.grid.spacing_mm),
        runs=plan.runs,
        model=model,
        slices=rows,
        line=fit_line(rows),
        nnunet=nnunet,
        ratio=_ratio(model, nnunet),
        engines=tuple(engines["rows"]) if engines else (),
        missing=missing,
    )


def fit_line(rows: Iterable[SliceSpeed]) -> Line | None:
    """The line through total seconds over slices; None for fewer than three numbers of slices."""
    points = np.array([(row.slices, row.total) for row in rows], dtype=np.float64)
    if len(points) < 3:
        return None
    slope, start = np.polyfit(points[:, 0], points[:, 1], 1)
    left = points[:, 1] - (slope * points[:, 0] + start)
    spread = float(((points[:, 1] - points[:, 1].mean()) ** 2).sum())
    return Line(float(slope), float(start), 1.0 - float((left**2).sum()) / spread if spread else 1.0)


def _model_speed(plan: SpeedPlan, task: dict[str, Any], apart: Apart, progress: Progress) -> ModelSpeed:
    whole, single = [], []
    for number in range(plan.runs):
        progress(f"all structures, run {number + 1} of {plan.runs}", 0.02 + 0.38 * number / plan.runs)
        whole.append(apart("segment", {**task, "structures": []}))
        progress(f"one structure, run {number + 1} of {plan.runs}", 0.02 + 0.38 * (number + 0.7) / plan.runs)
        single.append(apart("segment", {**task, "structures": [ONE, FOLLOW_UP]}))
    return ModelSpeed(
        segmenter=whole[0]["segmenter"],
        structures=len(whole[0]["structures"]),
        found=whole[0]["found"],
        load=_median(run["load"] for run in (*whole, *single)),
        encode=_median(run["encode"] for run in (*whole, *single)),
        everything=_median(run["encode"] + sum(run["structures"].values()) for run in whole),
        one=_median(run["encode"] + run["structures"][ONE] for run in single),
        follow_up=_median(run["structures"][FOLLOW_UP] for run in single),
        everything_peak_mib=_largest(run["peak_mib"] for run in whole),
        one_peak_mib=_largest(run["peak_mib"] for run in single),
        gpu_mib=_largest(run["gpu_mib"] for run in (*whole, *single)),
    )


def _slice_speeds(
    plan: SpeedPlan, task: dict[str, Any], ct: CTVolume, folder: Path, apart: Apart, progress: Progress
) -> tuple[SliceSpeed, ...]:
    rows = []
    for number, count in enumerate(plan.slices):
        progress(f"{count} slices", 0.6 + 0.4 * number / len(plan.slices))
        stored = store_ct(with_slices(ct, count), folder)
        run = apart("segment", {**task, "ct": stored, "structures": []})
        Path(str(stored["hu"])).unlink()
        masks = sum(run["structures"].values())
        rows.append(SliceSpeed(count, run["encode"], masks, run["encode"] + masks, run["peak_mib"]))
    return tuple(rows)


def _or_missing(part: str, values: dict[str, Any], apart: Apart, missing: dict[str, str]) -> dict[str, Any] | None:
    """The result of a part, or None and in `missing` what it needs."""
    try:
        return apart(part, values)
    except (UsageError, ResourceError) as error:
        missing[part] = f"{error.what} {error.remedy}"
        return None


def _ratio(model: ModelSpeed | None, nnunet: dict[str, Any] | None) -> dict[str, float] | None:
    if model is None or nnunet is None:
        return None
    return {name: round(total / model.everything, 2) for name, total in nnunet["total"].items()}


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _torch_version() -> str:
    from importlib.metadata import version

    return version("torch")
