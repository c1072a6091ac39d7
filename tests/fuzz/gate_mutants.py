"""How the gate takes damaged headers: python -m tests.fuzz.gate_mutants --nifti 10000 --dicom 10000 --seed 0 [--json]

Every mutant is read by the gate and, in the same run, as most programs read it: by nibabel or pydicom alone. "Changed"
geometry means that a corner of the volume lies more than 1e-3 mm elsewhere, or that the shape differs.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.mutants import dicom_mutants, dicom_series, nifti_bases, nifti_mutants
from vision.errors import UserError
from vision.geometry import CTVolume
from vision.io.load import read_ct

ROOT = Path(__file__).resolve().parents[2]
ADDRESS_SPACE = 3 << 30
HANGS_AFTER_S, TOO_SLOW_S = 120, 5.0
SAME_MM = 1e-3
UNCHANGED, WARNED = "loaded unchanged", "loaded with a warning of its own"
SILENT_GEOMETRY, SILENT_VALUES = "silently changed affine or shape", "silently changed values"

Tally = dict[str, Any]
Judge = Callable[[], str]


def measured(mutants: Iterator[tuple[str, Judge]]) -> Tally:
    """Call each mutant's judge, which reads it and names what came of it; count by outcome and by group, take times."""
    outcomes: Counter[str] = Counter()
    by_group: dict[str, Counter[str]] = {}
    slowest, too_slow = 0.0, 0
    for group, judge in mutants:
        faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
        started = time.perf_counter()
        outcome = judge()
        seconds = time.perf_counter() - started
        slowest, too_slow = max(slowest, seconds), too_slow + (seconds > TOO_SLOW_S)
        outcomes[outcome] += 1
        by_group.setdefault(group, Counter())[outcome] += 1
    faulthandler.cancel_dump_traceback_later()
    return {
        "mutants": sum(outcomes.values()),
        "outcomes": dict(outcomes.most_common()),
        "groups": {name: dict(counts.most_common()) for name, counts in by_group.items()},
        "slowest_s": round(slowest, 3),
        "over_5_s": too_slow,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def by_gate(path: Path, good: CTVolume) -> str:
    """What the gate makes of a mutant of a file that opens as `good`."""
    try:
        ct = read_ct(path)
    except UserError as refusal:
        return f"refused {refusal.code}"
    except Exception as error:
        return f"UNTYPED {type(error).__name__}"
    if {notice.code for notice in ct.warnings} - {notice.code for notice in good.warnings}:
        return WARNED
    if is_moved(ct.grid.shape, ct.grid.affine, good.grid.shape, good.grid.affine):
        return SILENT_GEOMETRY
    return UNCHANGED if np.array_equal(ct.hu, good.hu) else SILENT_VALUES


def by_nibabel(path: Path, good: tuple[tuple[int, ...], np.ndarray, np.ndarray]) -> str:
    """What nibabel alone makes of it."""
    import nibabel

    try:
        image = nibabel.load(path)
        shape, affine, values = image.shape, image.affine, np.asarray(image.dataobj)
    except Exception as error:
        return f"{type(error).__module__.split('.')[0]} {type(error).__name__}"
    if is_moved(shape, affine, good[0], good[1]):
        return SILENT_GEOMETRY
    return UNCHANGED if np.array_equal(values, good[2]) else SILENT_VALUES


def by_pydicom(path: Path, good: tuple[list[Any], np.ndarray]) -> str:
    """What pydicom alone makes of one slice."""
    import pydicom

    try:
        dataset = pydicom.dcmread(path)
        geometry, values = placed(dataset), dataset.pixel_array
    except Exception as error:
        return type(error).__name__
    if geometry != good[0]:
        return SILENT_GEOMETRY
    return UNCHANGED if np.array_equal(values, good[1]) else SILENT_VALUES


def placed(dataset: Any) -> list[Any]:
    """The tags that place and scale a slice, as a program reads them."""
    keywords = ("Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient")
    return [dataset.get(keyword) for keyword in (*keywords, "RescaleSlope", "RescaleIntercept")]


def is_moved(shape: tuple[int, ...], affine: np.ndarray, good_shape: tuple[int, ...], good_affine: np.ndarray) -> bool:
    """Whether a corner of a volume lies elsewhere, or the shape is another."""
    if tuple(shape) != tuple(good_shape):
        return True
    corners = np.array([(*corner, 1) for corner in itertools.product(*[(0, n - 1) for n in good_shape[:3]])])
    with np.errstate(all="ignore"):
        return not np.abs(corners @ (affine - good_affine).T).max() <= SAME_MM


def run_nifti(count: int, seed: int, folder: Path) -> dict[str, Tally]:
    """`count` NIfTI mutants through the gate, then the same through nibabel."""
    import nibabel

    path = folder / "ct"
    named = folder / "ct.nii"
    goods, plain = {}, {}
    for base in nifti_bases():
        key = (base.content, base.zipped)
        path.write_bytes(base.packed(base.content))
        named.write_bytes(base.content)
        goods[key] = read_ct(path)
        image = nibabel.load(named)
        plain[key] = (image.shape, image.affine, np.array(image.dataobj))

    def gate() -> Iterator[tuple[str, Judge]]:
        for base, mutant in nifti_mutants(count, seed):
            path.write_bytes(mutant)
            yield base.name, lambda good=goods[base.content, base.zipped]: by_gate(path, good)

    def alone() -> Iterator[tuple[str, Judge]]:
        for base, mutant in nifti_mutants(count, seed):
            # nibabel goes by the name.
            target = folder / ("ct.nii.gz" if base.zipped else "ct.nii")
            target.write_bytes(mutant)
            yield base.name, lambda t=target, good=plain[base.content, base.zipped]: by_nibabel(t, good)

    return {"gate": measured(gate()), "nibabel": measured(alone())}


def run_dicom(count: int, seed: int, folder: Path) -> dict[str, Tally]:
    """`count` mutants of a slice of a series through the gate, then the same slices through pydicom."""
    import pydicom

    series = dicom_series()
    for number, content in enumerate(series):
        (folder / str(number)).write_bytes(content)
    good = read_ct(folder)
    plain = []
    for number in range(len(series)):
        dataset = pydicom.dcmread(folder / str(number))
        plain.append((placed(dataset), dataset.pixel_array))

    def gate() -> Iterator[tuple[str, Judge]]:
        for victim, mutant in dicom_mutants(count, seed):
            (folder / str(victim)).write_bytes(mutant)
            yield "one slice of a series", lambda: by_gate(folder, good)
            (folder / str(victim)).write_bytes(series[victim])

    def alone() -> Iterator[tuple[str, Judge]]:
        for victim, mutant in dicom_mutants(count, seed):
            (folder / str(victim)).write_bytes(mutant)
            yield "one slice", lambda victim=victim: by_pydicom(folder / str(victim), plain[victim])

    return {"gate": measured(gate()), "pydicom": measured(alone())}


def fuzz(kind: str, count: int, seed: int) -> dict[str, Tally]:
    """Run in a process of its own, with limited memory; raises CalledProcessError when it dies."""
    command = [sys.executable, "-m", "tests.fuzz.gate_mutants", "--inside", kind, f"--{kind}", str(count)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--seed", str(seed)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _inside(kind: str, count: int, seed: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        run = run_nifti if kind == "nifti" else run_dicom
        print(json.dumps(run(count, seed, Path(folder))))


def _show(kind: str, tallies: dict[str, Tally]) -> None:
    for reader, tally in tallies.items():
        print(f"\n{kind} headers through {reader}: {tally['mutants']} mutants")
        for outcome, count in tally["outcomes"].items():
            print(f"  {count:6d}  {count / tally['mutants']:6.2%}  {outcome}")
        for group, counts in tally["groups"].items():
            silent, total = counts.get(SILENT_GEOMETRY, 0), sum(counts.values())
            print(f"  {group}: {silent} of {total} ({silent / total:.2%}) {SILENT_GEOMETRY}")
        print(f"  slowest {tally['slowest_s']} s, over 5 s {tally['over_5_s']}, peak RSS {tally['peak_rss_mib']} MiB")


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description="Fuzz the gate with mutants of headers.")
    parser.add_argument("--nifti", type=int, default=0, metavar="N")
    parser.add_argument("--dicom", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", choices=("nifti", "dicom"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    counts = {"nifti": asked.nifti, "dicom": asked.dicom}
    if asked.inside:
        _inside(asked.inside, counts[asked.inside], asked.seed)
        return
    found = {kind: fuzz(kind, count, asked.seed) for kind, count in counts.items() if count}
    if asked.json:
        print(json.dumps({"seed": asked.seed, **found}, indent=2))
    else:
        for kind, tallies in found.items():
            _show(kind, tallies)


if __name__ == "__main__":
    main()
