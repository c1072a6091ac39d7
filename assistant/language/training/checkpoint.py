"""Where a run stands: what trains, its optimiser and counters in one file of safetensors, replaced whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from vision.errors import WeightsError
from vision.io.files.atomic import write_bytes

CHECKPOINT_FILE = "checkpoint.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class Progress:
    """How far a run has come. `seconds` are those of all its parts, `left_out` the steps whose gradient was not
    finite."""

    step: int = 0
    seconds: float = 0.0
    left_out: int = 0
    tokens: int = 0


def write_checkpoint(
    folder: Path, trained: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer, progress: Progress
) -> Path:
    """Replace `folder/checkpoint.safetensors`. Raises as `write_atomically`."""
    from safetensors.torch import save

    tensors = {f"trained.{name}": parameter.detach() for name, parameter in trained.items()}
    for name, parameter in trained.items():
        state = optimiser.state.get(parameter, {})
        tensors |= {f"{moment}.{name}": torch.as_tensor(state[moment]) for moment in _MOMENTS if moment in state}
    plain = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    return write_bytes(folder / CHECKPOINT_FILE, save(plain, metadata={"progress": json.dumps(asdict(progress))}))


def read_checkpoint(
    folder: Path, trained: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer
) -> Progress | None:
    """Bring what trains and its optimiser to where the run stood; None when the folder holds no checkpoint.

    Raises WeightsError E_CHECKPOINT for a file that is damaged or of another run.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / CHECKPOINT_FILE
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            progress = Progress(**json.loads((stored.metadata() or {})["progress"]))
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _unfit(f"it cannot be read ({type(error).__name__})") from None
    kept = {name: tensor for name, tensor in tensors.items() if name.startswith("trained.")}
    if {name.removeprefix("trained.") for name in kept} != trained.keys():
        raise _unfit("it trains other tensors")
    for name, parameter in trained.items():
        if kept[f"trained.{name}"].shape != parameter.shape:
            raise _unfit(f"its tensor {name!r} has another shape")
        with torch.no_grad():
            parameter.copy_(kept[f"trained.{name}"])
        moments = {moment: tensors[f"{moment}.{name}"] for moment in _MOMENTS if f"{moment}.{name}" in tensors}
        if moments:
            optimiser.state[parameter] = {
                key: value if key == "step" else value.to(parameter.device) for key, value in moments.items()
            }
    return progress


def trained_of(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that train, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _unfit(what: str) -> WeightsError:
    return WeightsError(
        "E_CHECKPOINT", f"The run cannot go on from its checkpoint: {what}.", "Train into another folder."
    )
