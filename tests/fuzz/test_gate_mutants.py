"""Damaged headers open unchanged, open with a warning, or are refused; hardly any opens wrongly and says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fuzz.gate_mutants import SILENT_GEOMETRY, fuzz

MOST_SILENT = 0.02
MOST_MIB = 1024


def faults(tally: dict[str, Any]) -> dict[str, int]:
    """What must never come of a mutant."""
    untyped = {name: count for name, count in tally["outcomes"].items() if name.startswith("UNTYPED")}
    return untyped | ({"over 5 s": tally["over_5_s"]} if tally["over_5_s"] else {})


@pytest.mark.parametrize(("kind", "count"), [("nifti", 200), ("dicom", 100)])
def test_a_few_mutants_raise_nothing_untyped_and_end_soon(kind: str, count: int) -> None:
    gate = fuzz(kind, count, seed=41)["gate"]
    assert gate["mutants"] == count
    assert faults(gate) == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_twenty_thousand_mutants_keep_every_promise(seed: int) -> None:
    found = {kind: fuzz(kind, 10_000, seed) for kind in ("nifti", "dicom")}
    print(found)
    for readers in found.values():
        gate = readers["gate"]
        assert gate["mutants"] == 10_000
        assert faults(gate) == {}
        assert gate["peak_rss_mib"] < MOST_MIB
        assert gate["outcomes"].get(SILENT_GEOMETRY, 0) <= MOST_SILENT * gate["mutants"]
    gate, alone = (found["nifti"][reader]["outcomes"].get(SILENT_GEOMETRY, 0) for reader in ("gate", "nibabel"))
    assert gate < alone / 5
