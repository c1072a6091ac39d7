"""A sight on disk: its tensors, and beside them its configuration, checksum and the kind of language model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save

from assistant.language.sight.config import SightConfig
from assistant.language.sight.model import SightedLM
from vision.errors import UsageError, WeightsError
from vision.io.files.atomic import write_bytes, write_text
from vision.models.tensors import read_file, shapes_of

TENSORS, DESCRIPTION = "sight.safetensors", "sight.json"
_KEYS = {"config", "llm", "sha256"}


def save_sight(model: SightedLM, folder: str | Path) -> None:
    """Write what was added to the language model, and nothing of the language model. Raises as `write_atomically`."""
    content = save({name: tensor.contiguous() for name, tensor in model.sight.state_dict().items()})
    description = {
        "config": asdict(model.config),
        "llm": model.lm.config.model_type,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    # The description last: with an older one beside them, new tensors fail its checksum.
    write_bytes(Path(folder) / TENSORS, content)
    write_text(Path(folder) / DESCRIPTION, json.dumps(description, indent=1) + "\n")


def read_sight_config(folder: str | Path) -> SightConfig:
    """What to build a SightedLM with before `load_sight`. Raises WeightsError E_SIGHT_MISSING, E_SIGHT_DESCRIPTION."""
    return _config(_description(folder))


def load_sight(model: SightedLM, folder: str | Path) -> None:
    """Fill a model's sight with what `save_sight` wrote.

    Raises WeightsError as `read_sight_config`, E_SIGHT_FIT for another configuration or kind of language model, and
    as `read_file` for tensors that are damaged or do not fit.
    """
    description = _description(folder)
    stored = _config(description)
    differs = next((key for key, value in asdict(stored).items() if asdict(model.config)[key] != value), None)
    if differs is not None:
        raise _no_fit(f"it was made with another {differs}")
    if description["llm"] != model.lm.config.model_type:
        raise _no_fit(f"its language model is of the kind {str(description['llm'])[:40]!r}")
    tensors = read_file(
        Path(folder) / TENSORS, shapes_of(model.sight), sha256=str(description["sha256"]), title=TENSORS
    )
    model.sight.load_state_dict(tensors)


def _description(folder: str | Path) -> dict[str, Any]:
    file = Path(folder) / DESCRIPTION
    if not file.is_file():
        raise WeightsError(
            "E_SIGHT_MISSING", "The folder holds no sight.json.", "Give the folder that a training wrote."
        )
    try:
        description = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise _damaged("it is not JSON") from None
    if not isinstance(description, dict) or set(description) != _KEYS:
        raise _damaged(f"its keys are not {', '.join(sorted(_KEYS))}")
    return description


def _config(description: dict[str, Any]) -> SightConfig:
    values = description["config"]
    known = set(SightConfig.__dataclass_fields__)
    if not isinstance(values, dict) or set(values) != known or not isinstance(values["structures"], list):
        raise _damaged("its configuration is not that of a sight")
    if not all(isinstance(name, str) for name in values["structures"]):
        raise _damaged("its structures are not names")
    try:
        return SightConfig(**{**values, "structures": tuple(values["structures"])})
    except UsageError as error:
        raise _damaged(error.what) from None


def _damaged(what: str) -> WeightsError:
    return WeightsError(
        "E_SIGHT_DESCRIPTION",
        f"The file sight.json does not describe a sight: {what}.",
        "Copy the folder again, or train again.",
    )


def _no_fit(why: str) -> WeightsError:
    return WeightsError(
        "E_SIGHT_FIT", f"The sight is not for this model: {why}.", "Build the model with the sight's own configuration."
    )
