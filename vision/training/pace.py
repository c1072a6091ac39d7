"""The pace of a run: warm-up, then a cosine to zero over its steps or its time, whichever is over first."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Pace:
    """`minutes` is a wall-clock budget over all resumes."""

    steps: int
    minutes: float
    warm_up_steps: int

    def done(self, step: int, seconds: float) -> float:
        """Share of the run that is over: of its steps or of its time, whichever is more."""
        return max(step / self.steps, seconds / (60 * self.minutes))

    def rate_share(self, step: int, seconds: float) -> float:
        """Share of the full learning rate, in [0, 1]."""
        warm = min(1.0, (step + 1) / max(1, self.warm_up_steps))
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, self.done(step, seconds))))


def note_curve(folder: Path, values: Mapping[str, Any]) -> None:
    """Add a line to the curve of a run, `folder/curve.jsonl`."""
    with (folder / "curve.jsonl").open("a", encoding="utf-8") as curve:
        curve.write(json.dumps(values) + "\n")
