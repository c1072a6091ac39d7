"""LoRA by peft on the linears of a language model's decoder layers: added in place, saved, loaded again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.language.llms.folder import LANGUAGE_EXTRA
from assistant.language.llms.table import LLMRow
from vision.errors import UsageError, WeightsError
from vision.extras import require_packages
from vision.io.files.atomic import write_bytes, write_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "default"
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."
"""What peft itself puts before every key of an adapter's file."""


def add_lora(model: PreTrainedModel, row: LLMRow, *, rank: int, alpha: int, dropout: float = 0.0) -> PreTrainedModel:
    """Put a LoRA (arXiv 2106.09685) of `rank` on all linears of the decoder layers, and return the same model.

    The model stays of its class and `row.layers_path` stays true; nothing but the LoRA has gradients afterwards. It is
    float32 whatever the base is, and adds exactly nothing until it is trained. Works on plain and on quantised
    linears. Raises UsageError E_LORA where there is one already.
    """
    _require_peft()
    from peft import LoraConfig

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=_targets(row),
        bias="none",
        task_type="CAUSAL_LM",
    )
    return _inject(model, config)


def save_adapter(model: PreTrainedModel, folder: str | Path) -> Path:
    """Write the LoRA as peft does (adapter_model.safetensors, adapter_config.json), each whole or not at all.

    Raises UsageError E_LORA for a model without one, ResourceError E_DISK or E_OUTPUT.
    """
    _require_peft()
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    if not has_lora(model):
        raise UsageError("E_LORA", "The language model has no LoRA to save.", "Add one first.")
    state = get_peft_model_state_dict(model, adapter_name=NAME, save_embedding_layers=False)
    tensors = {PREFIX + key: value.detach().cpu().contiguous() for key, value in state.items()}
    target = Path(folder)
    write_bytes(target / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    write_text(target / CONFIG, json.dumps(_plain(_config_of(model)), indent=2, sort_keys=True) + "\n")
    return target


def load_adapter(model: PreTrainedModel, folder: str | Path) -> PreTrainedModel:
    """Put the saved LoRA on the model it was trained on, and return the same model; nothing of it has gradients.

    Raises WeightsError E_LORA: not there, damaged, no LoRA, or trained on another model; UsageError E_LORA where the
    model has one already.
    """
    _require_peft()
    from peft import LoraConfig, set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load

    source = Path(folder)
    if not (source / WEIGHTS).is_file() or not (source / CONFIG).is_file():
        raise WeightsError("E_LORA", "There is no LoRA in that folder.", f"It needs {WEIGHTS} and {CONFIG}.")
    try:
        config = LoraConfig.from_pretrained(str(source))
        if not isinstance(config, LoraConfig):
            raise TypeError
        tensors = load((source / WEIGHTS).read_bytes())
    except (OSError, ValueError, TypeError, KeyError, SafetensorError):
        raise WeightsError("E_LORA", "The LoRA cannot be read.", "Copy or train it again.") from None
    try:
        _inject(model, config)
        report: Any = set_peft_model_state_dict(
            model, {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items()}, adapter_name=NAME
        )
    except (RuntimeError, ValueError):
        raise _other_model() from None
    if report.unexpected_keys or any("lora_" in key for key in report.missing_keys):
        raise _other_model()
    return model.requires_grad_(False)


def has_lora(model: PreTrainedModel) -> bool:
    """Whether `add_lora` or `load_adapter` has been here."""
    from peft.tuners.lora import LoraLayer

    return any(isinstance(module, LoraLayer) for module in model.modules())


def _inject(model: PreTrainedModel, config: Any) -> PreTrainedModel:
    from peft import inject_adapter_in_model
    from peft.tuners.tuners_utils import cast_adapter_dtype

    if has_lora(model):
        raise UsageError("E_LORA", "The language model has a LoRA already.", "Load the language model again first.")
    inject_adapter_in_model(config, model, adapter_name=NAME)
    # In float32 whatever the base is: steps of a training are too small for bfloat16.
    cast_adapter_dtype(model, adapter_name=NAME, autocast_adapter_dtype=True)
    return model


def _targets(row: LLMRow) -> str:
    """A regular expression that names the linears of the decoder layers and nothing beside them, for peft."""
    return rf"{re.escape(row.layers_path)}\.\d+\.(?:\w+\.)*(?:{'|'.join(map(re.escape, row.lora_targets))})"


def _config_of(model: Any) -> Any:
    return model.peft_config[NAME]


def _plain(config: Any) -> dict[str, Any]:
    """The configuration as JSON, without a place on somebody's disk."""
    told = {key: sorted(value) if isinstance(value, set) else value for key, value in config.to_dict().items()}
    return told | {"base_model_name_or_path": None, "inference_mode": True}


def _require_peft() -> None:
    require_packages("A LoRA", "peft", install=LANGUAGE_EXTRA)


def _other_model() -> WeightsError:
    return WeightsError("E_LORA", "The LoRA was trained on another language model.", "Load it together with that one.")
