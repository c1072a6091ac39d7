"""Train a segmenter from a person's own list of cases."""

from __future__ import annotations

import json
from pathlib import Path

from vision.errors import InputRefused, UsageError
from vision.structures import by_name, names

SHIPPED_CHANNELS = (
    "aorta",
    "gall_bladder",
    "kidney_left",
    "kidney_right",
    "liver",
    "pancreas",
    "spleen",
    "stomach",
    "liver_lesion",
    "pancreas_lesion",
    "kidney_lesion",
)
"""What the first shipped network was trained on; the model card says which of these it learned."""


def train_vision(cases: Path, out: Path, *, minutes: float, steps: int) -> Path:
    """Prepare the cases and train, or resume what `out` holds; returns the checkpoint.

    The network gets one channel for every structure that any case annotates, in the order of the structure table.
    Raises InputRefused for a missing list, UsageError for a malformed one or a budget that is not positive.
    """
    if minutes <= 0 or steps <= 0:
        raise UsageError("E_BUDGET", f"Nothing can be trained in {minutes} minutes and {steps} steps.", "Give more.")
    channels = annotated_structures(cases)
    from vision.models.compact import CompactConfig
    from vision.training.cases import prepare_list, read_shares
    from vision.training.recipe import RecipeConfig, train

    network = CompactConfig(channels=channels)
    prepared = prepare_list(
        cases, out / "cases", channels=channels, spacing_mm=network.spacing_mm, window_hu=network.window_hu
    )
    shares = read_shares(cases)
    return train(prepared, RecipeConfig(network=network, minutes=minutes, steps=steps, weights_by_case=shares), out)


def annotated_structures(cases: Path) -> tuple[str, ...]:
    """Every structure that a case list annotates, in table order. Raises as `train_vision`."""
    if not cases.is_file():
        raise InputRefused("E_NOT_FOUND", "The case list does not exist.", "Check the path of the case list.")
    try:
        found = {by_name(name).name for row in json.loads(cases.read_text("utf-8")) for name in row["annotated"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "E_CASE_LIST",
            "The case list is not a list of training cases.",
            "Each entry of the JSON list needs ct, labels, order and annotated.",
        ) from error
    if not found:
        raise UsageError("E_CASE_LIST", "The case list annotates nothing.", "List what is annotated in each case.")
    return tuple(name for name in names() if name in found)
