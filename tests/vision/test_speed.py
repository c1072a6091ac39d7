"""The speed benchmark: what is measured is put together truly, and what cannot be measured is said."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from vision.benchmark import apart as apart_module
from vision.benchmark.apart import peak_mib, run_apart, run_here
from vision.benchmark.nnunet import count_windows, time_nnunet
from vision.benchmark.speed import SliceSpeed, SpeedPlan, SpeedReport, benchmark_speed, fit_line
from vision.benchmark.speed_ct import make_speed_ct, read_ct, store_ct, with_slices
from vision.benchmark.speed_report import speed_tables, write_speed
from vision.errors import ResourceError, UsageError, WeightsError
from vision.geometry import CTVolume

needs_monai = pytest.mark.skipif(importlib.util.find_spec("monai") is None, reason="MONAI is not installed")


@pytest.fixture(scope="module")
def ct() -> CTVolume:
    return make_speed_ct((48, 40, 32), spacing_mm=8.0)


class Stand:
    """A stand-in for processes: seconds grow with the slices, and every next run of one kind takes a second longer."""

    def __init__(self, *, without: str = "") -> None:
        self.without = without
        self.asked: list[tuple[str, list[str]]] = []

    def __call__(self, task: str, values: dict[str, Any]) -> dict[str, Any]:
        wanted = values.get("structures", [])
        self.asked.append((task, wanted))
        if task == self.without:
            raise ResourceError("E_EXTRA", f"No {task} here.", "Run: pip install it.")
        if task == "nnunet":
            return {
                "grid": [4, 4, 4],
                "windows": 75,
                "timed_windows": values["windows"],
                "resample": 1.0,
                "export": 2.0,
                "window": {"fp32": 3.0, "bf16": 1.0},
                "total": {"fp32": 228.0, "bf16": 78.0},
                "peak_mib": 1.0,
            }
        if task == "engines":
            row = dict.fromkeys(("build", "coarse_first", "coarse", "fine_first", "fine", "coarse_differ"), 0.5)
            agreement = {"coarse_dice": 1.0, "fine_dice": None, "fine_differ": 0.0}
            skipped = {**dict.fromkeys((*row, *agreement)), "engine": "other", "skipped": "Run: pip install other."}
            return {"rows": [{"engine": "torch", **row, **agreement, "skipped": ""}, skipped], "peak_mib": 1.0}
        number = self.asked.count((task, wanted))
        slices = read_ct(values["ct"]).grid.shape[2]
        return {
            "segmenter": "stand-in",
            "load": 9.0,
            "encode": float(number),
            "structures": dict.fromkeys(wanted or ("aorta", "liver", "spleen"), slices / 100),
            "found": 2,
            "peak_mib": 100.0 * number,
            "gpu_mib": None,
        }


def measured(ct: CTVolume, *, without: str = "") -> SpeedReport:
    plan = SpeedPlan("universal", runs=3, slices=(10, 20, 40), windows=2)
    return benchmark_speed(plan, ct, apart=Stand(without=without))


def test_medians_of_seconds_and_largest_peaks_are_taken(ct: CTVolume) -> None:
    model = measured(ct).model
    assert model is not None
    assert (model.structures, model.found, model.load) == (3, 2, 9.0)
    assert model.encode == 2.0
    assert model.everything == pytest.approx(2.0 + 3 * 0.32)
    assert model.one == pytest.approx(2.32)
    assert model.follow_up == pytest.approx(0.32)
    assert (model.everything_peak_mib, model.one_peak_mib, model.gpu_mib) == (300.0, 300.0, None)


def test_ratio_is_of_the_total_times(ct: CTVolume) -> None:
    report = measured(ct)
    assert report.model is not None
    assert report.ratio == {"fp32": round(228 / report.model.everything, 2), "bf16": round(78 / 2.96, 2)}


def test_line_through_the_slices_finds_what_a_slice_costs() -> None:
    rows = [SliceSpeed(n, 0.0, 0.0, 1.5 + 0.01 * n, None) for n in (50, 100, 400)]
    line = fit_line(rows)
    assert line is not None
    assert (line.seconds_per_slice, line.seconds_at_none) == (pytest.approx(0.01), pytest.approx(1.5))
    assert line.r2 == pytest.approx(1.0)
    bent = fit_line([SliceSpeed(n, 0.0, 0.0, float(n**2), None) for n in (1, 2, 3, 4, 5)])
    assert bent is not None
    assert bent.r2 < 0.97
    assert fit_line(rows[:2]) is None


def test_only_the_parts_that_are_wanted_are_measured(ct: CTVolume) -> None:
    stand = Stand()
    report = benchmark_speed(SpeedPlan("universal", parts=("nnunet",)), ct, apart=stand)
    assert [task for task, _ in stand.asked] == ["nnunet"]
    assert (report.model, report.slices, report.engines, report.ratio) == (None, (), (), None)


def test_part_that_cannot_be_measured_says_what_to_install_and_stops_no_other(ct: CTVolume) -> None:
    report = measured(ct, without="engines")
    assert report.missing == {"engines": "No engines here. Run: pip install it."}
    assert report.nnunet is not None
    with pytest.raises(ResourceError, match="E_EXTRA: No segment here"):
        measured(ct, without="segment")


def test_report_is_written_as_json_csv_and_picture(ct: CTVolume, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    report = measured(ct)
    out = write_speed(report, tmp_path / "speed")
    assert json.loads((out / "speed.json").read_text(encoding="utf-8"))["model"]["segmenter"] == "stand-in"
    with (out / "slices.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [int(row["slices"]) for row in rows] == [10, 20, 40]
    assert [float(row["total"]) for row in rows] == [row.total for row in report.slices]
    assert (out / "slices.png").read_bytes().startswith(b"\x89PNG")
    assert "pip install other" in (out / "engines.csv").read_text(encoding="utf-8")


def test_tables_tell_every_figure(ct: CTVolume) -> None:
    console = Console(width=160, record=True, file=open_nowhere())
    for table in speed_tables(measured(ct)):
        console.print(table)
    text = console.export_text()
    for words in ("48 x 40 x 32", "all 3 structures, 2 found", "75 windows", "228.0", "pip install other", "no masks"):
        assert words in text


def open_nowhere() -> Any:
    import io

    return io.StringIO()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"parts": ("model", "speed")}, "E_BENCHMARK_PART: No part of the benchmark is called 'speed'"),
        ({"parts": ()}, "E_BENCHMARK_PART"),
        ({"runs": 0}, "E_RUNS"),
        ({"windows": 0}, "E_RUNS"),
        ({"slices": (0, 10)}, "E_RUNS"),
    ],
)
def test_plan_of_nothing_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SpeedPlan("universal", **changes)


def test_model_that_is_not_installed_is_refused_before_anything_is_made(ct: CTVolume) -> None:
    stand = Stand()
    with pytest.raises(WeightsError, match="E_MODEL"):
        benchmark_speed(SpeedPlan("nonesuch"), ct, apart=stand)
    assert stand.asked == []


def test_ct_is_an_abdomen_in_air_laid_out_as_nifti_is_read() -> None:
    ct = make_speed_ct((64, 64, 40), spacing_mm=6.0)
    assert ct.grid.shape == (64, 64, 40)
    assert ct.grid.spacing_mm == (6.0, 6.0, 6.0)
    assert ct.hu.dtype == np.int16
    assert ct.hu.flags.f_contiguous
    assert abs(float(np.median(ct.hu[:3])) + 1000) < 30
    assert 0.2 < float((ct.hu > -200).mean()) < 0.6
    with pytest.raises(UsageError, match="E_SHAPE"):
        make_speed_ct((64, 64, 4))


def test_slices_are_cut_or_mirrored(ct: CTVolume, tmp_path: Path) -> None:
    few, many = with_slices(ct, 10), with_slices(ct, 70)
    assert np.array_equal(few.hu, ct.hu[:, :, :10])
    assert np.array_equal(many.hu[:, :, 32:64], ct.hu[:, :, ::-1])
    assert np.array_equal(many.hu[:, :, 64:], ct.hu[:, :, :6])
    again = read_ct(store_ct(many, tmp_path))
    assert np.array_equal(again.hu, many.hu)
    assert again.hu.flags.f_contiguous
    assert again.grid.matches(many.grid)


@pytest.mark.parametrize(
    ("shape", "windows"),
    [((342, 342, 200), 5 * 5 * 3), ((128, 128, 128), 1), ((129, 128, 64), 2), ((192, 193, 128), 2 * 3)],
)
def test_windows_are_counted_as_nnunet_slides_them(shape: tuple[int, int, int], windows: int) -> None:
    assert count_windows(shape) == windows


@needs_monai
def test_nnunet_total_is_its_windows_and_what_is_around_them(ct: CTVolume, tmp_path: Path) -> None:
    few = with_slices(make_speed_ct((64, 64, 16)), 16)
    values = {"ct": store_ct(few, tmp_path), "device": "cpu", "windows": 1, "filters": [2, 4, 4], "window": 16}
    timed = time_nnunet(values)
    assert timed["grid"] == [43, 43, 11]
    assert timed["windows"] == 5 * 5 * 1
    for name, each in timed["window"].items():
        assert timed["total"][name] == pytest.approx(timed["resample"] + 25 * each + timed["export"])
    with pytest.raises(UsageError, match="E_RUNS"):
        time_nnunet({**values, "windows": 0})


def test_nnunet_without_monai_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(UsageError, match=r"E_EXTRA: .*pip install 'bodymaps-assistant\[train\]'"):
        run_here("nnunet", {"windows": 1, "device": "cpu"})


def test_segmenter_is_timed_structure_by_structure(ct: CTVolume, tmp_path: Path) -> None:
    values = {"model": "universal", "device": "cpu", "ct": store_ct(ct, tmp_path), "structures": ["liver", "spleen"]}
    timed = run_here("segment", values)
    assert list(timed["structures"]) == ["liver", "spleen"]
    assert min(timed["load"], timed["encode"]) > 0
    assert timed["segmenter"].startswith("universal")
    with pytest.raises(UsageError, match=r"E_STRUCTURE: .* does not segment kidney_cyst"):
        run_here("segment", {**values, "structures": ["kidney_cyst"]})
    with pytest.raises(ValueError, match="'sing' is none of segment, nnunet, engines"):
        run_here("sing", values)


def ends(monkeypatch: pytest.MonkeyPatch, code: int, stdout: str = "", stderr: str = "") -> None:
    """Let every process end so."""
    done = subprocess.CompletedProcess([], code, stdout, stderr)
    monkeypatch.setattr(apart_module.subprocess, "run", lambda *command, **options: done)


def test_process_apart_gives_its_result_or_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, 0, 'a library says hello\n{"seconds": 1}\n')
    assert run_apart("segment", {}) == {"seconds": 1}
    ends(monkeypatch, UsageError.exit_code, '["E_EXTRA", "No MONAI.", "Run: pip install it."]\n')
    with pytest.raises(UsageError, match=r"E_EXTRA: No MONAI\. Run: pip install it\."):
        run_apart("nnunet", {})
    ends(monkeypatch, -9)
    with pytest.raises(ResourceError, match="E_KILLED: The measurement 'segment' was ended by signal 9"):
        run_apart("segment", {})
    ends(monkeypatch, 1, "", "Traceback\nRuntimeError: /home/anna/ct.nii.gz is odd\n")
    with pytest.raises(ResourceError, match=r"E_BENCHMARK: .*without a result \(RuntimeError\)") as caught:
        run_apart("segment", {})
    assert "anna" not in str(caught.value)


def test_real_process_apart_refuses_in_its_own_words() -> None:
    values = {"windows": 0}
    with pytest.raises(UsageError, match="E_RUNS: Nothing can be timed in 0 windows"):
        run_apart("nnunet", values)


def test_peak_holds_what_this_process_held() -> None:
    kept = np.ones(48 << 20, dtype=np.uint8)
    peak = peak_mib()
    assert peak is None or peak > kept.nbytes >> 20
