"""One row of the catalogue: an input that is wrong or unusual, and the wanted behaviour as a check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from vision.errors import InputRefused
from vision.geometry import CTVolume
from vision.io import Choices
from vision.io.load import read_ct

Maker = Callable[[Path], Path]
"""Makes an input inside an empty folder and returns its path."""

Check = Callable[[Path], None]
"""Fails with AssertionError when the behaviour in an empty folder is not the wanted one."""


@dataclass(frozen=True)
class Row:
    """`number` is the catalogue's (several rows may be variants of one), `wanted` is printed in docs/bad_inputs.md.

    `why` argues where the behaviour is another than the catalogue proposed.
    """

    number: int
    name: str
    wanted: str
    check: Check
    why: str = ""


def refused(number: int, name: str, code: str, make: Maker, *, choices: Choices | None = None, why: str = "") -> Row:
    """A row whose input is refused with a code, exit code 3, and something to do."""

    def check(folder: Path) -> None:
        with pytest.raises(InputRefused, match=f"^{code}:") as refusal:
            read_ct(make(folder), choices=choices or Choices())
        assert refusal.value.what
        assert refusal.value.remedy
        assert refusal.value.exit_code == 3
        assert not any(word in str(refusal.value) for word in ("CANARY", "MRN4711", "instructions", str(folder)))

    return Row(number, name, f"refused, {code}", check, why)


def warned(
    number: int,
    name: str,
    code: str,
    make: Maker,
    *,
    choices: Choices | None = None,
    hu: Callable[[], np.ndarray] | None = None,
    why: str = "",
) -> Row:
    """A row whose input opens with a warning of that code; with `hu` the voxels must be exactly these."""

    def check(folder: Path) -> None:
        ct = read_ct(make(folder), choices=choices or Choices())
        assert code in {notice.code for notice in ct.warnings}
        if hu is not None:
            assert np.array_equal(ct.hu, hu())

    return Row(number, name, f"opened, {code}", check, why)


def accepted(
    number: int,
    name: str,
    make: Maker,
    is_right: Callable[[CTVolume], bool],
    *,
    choices: Choices | None = None,
    why: str = "",
) -> Row:
    """A row whose input opens exactly: `is_right` judges what was read."""

    def check(folder: Path) -> None:
        assert is_right(read_ct(make(folder), choices=choices or Choices()))

    return Row(number, name, "opened exactly", check, why)
