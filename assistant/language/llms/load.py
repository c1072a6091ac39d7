"""Loading a language model: its weights in the number format that was asked for, its tokenizer, its row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.language.llms.chat import tool_format_of
from assistant.language.llms.folder import LANGUAGE_EXTRA, ROUNDED_FILE, LLMFolder, open_folder
from assistant.language.llms.memory import Quantisation, stored_bytes
from assistant.language.llms.table import LLMRow, ToolFormat
from vision.errors import ResourceError, UsageError, WeightsError
from vision.extras import missing_packages, require_packages

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

    from vision.models.runtime import Runtime

GIB = 2**30
ROOM = 1.1
"""Memory that must be free, as a multiple of the weights: the largest tensor is there twice while it is converted."""

# A Gemma 3 that also sees pictures keeps its text part under these names, the hub's and those of transformers 5.
TEXT_KEYS = {r"^language_model\.": "", r"^model\.language_model\.": "model."}


@dataclass(frozen=True)
class LoadedLLM:
    """A causal language model in eval mode, its tokenizer, and its row of the table."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    row: LLMRow
    name: str = "language model"
    """Fit for being shown: never a path."""
    quantisation: Quantisation = "none"

    @property
    def tool_format(self) -> ToolFormat:
        """How this very model writes tool calls."""
        return tool_format_of(self.tokenizer, self.row)

    @property
    def window(self) -> int:
        """The most tokens that the model reads and writes at once."""
        return min(int(self.tokenizer.model_max_length), int(self.model.config.max_position_embeddings))

    @property
    def ends(self) -> list[int]:
        """The tokens that end a turn: the tokenizer's own and those of the model's settings."""
        of_model = self.model.generation_config.eos_token_id
        listed = of_model if isinstance(of_model, list) else [of_model]
        return list(dict.fromkeys(int(end) for end in (self.tokenizer.eos_token_id, *listed) if end is not None))

    def ids(self, text: str) -> list[int]:
        """The tokens of a text that `chat_text` wrote, or of a part of one; how many are too many is for the caller."""
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def load_llm(
    name_or_folder: str | Path, *, quantisation: Quantisation = "none", device: str | None = None
) -> LoadedLLM:
    """Load 'embedded', a local folder, or a name whose files `hf download` has fetched; never from the network.

    `quantisation` is what the linears of the decoder layers become: '4bit' is nf4 with double quantisation (QLoRA,
    arXiv 2305.14314, section 3), '8bit' is LLM.int8 (arXiv 2208.07339); embeddings and head stay as they are. Weights
    that were stored quantised load as they are. Device and number format are those of `pick_runtime`. Only
    safetensors are read, and no code that comes with a model is run.

    Raises WeightsError E_LLM (not there, another architecture, incomplete, damaged, no chat template), ResourceError
    E_MEMORY, UsageError E_EXTRA (a package is missing) or E_QUANTISATION (stored in another one than asked for).
    """
    require_packages("A language model", "transformers", "accelerate", install=LANGUAGE_EXTRA)
    from vision.models.runtime import pick_runtime

    folder = open_folder(name_or_folder)
    kept = _quantisation(folder, quantisation)
    runtime = pick_runtime(device)
    tokenizer = _load_tokenizer(folder)
    _require_memory(folder, kept, runtime)
    model = _load_model(folder, kept, runtime)
    return LoadedLLM(model=model, tokenizer=tokenizer, row=folder.row, name=folder.shown_name, quantisation=kept)


def bits_config(quantisation: Quantisation, runtime: Runtime) -> BitsAndBytesConfig | None:
    """What transformers is told; None for plain weights."""
    from transformers import BitsAndBytesConfig

    if quantisation == "4bit":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=runtime.dtype,
        )
    return BitsAndBytesConfig(load_in_8bit=True) if quantisation == "8bit" else None


def _quantisation(folder: LLMFolder, asked: Quantisation) -> Quantisation:
    """The one that the weights will have."""
    stored = folder.stored_quantisation
    if stored is None and folder.config.get("quantization_config"):
        raise UsageError(
            "E_QUANTISATION",
            "The language model is stored in a quantisation that is not read here.",
            "Take the model without quantisation and add --load-in-4bit.",
        )
    if stored is not None and asked not in ("none", stored):
        raise UsageError(
            "E_QUANTISATION",
            f"The language model is stored in {stored} and cannot be made {asked}.",
            "Leave the flag out, or take the model without quantisation.",
        )
    if asked != "none" and folder.weights[0].name == ROUNDED_FILE:
        raise UsageError("E_QUANTISATION", "This language model is small already.", "Leave the flag out.")
    kept = asked if stored is None else "4bit" if stored == "4bit" else "8bit"
    if kept != "none":
        _require_bitsandbytes(kept)
    return kept


def _require_bitsandbytes(quantisation: Quantisation) -> None:
    require_packages(f"A language model in {quantisation}", "bitsandbytes", install=LANGUAGE_EXTRA)
    # bitsandbytes 0.50 asks the hub for compiled code when it is imported and finds this package.
    if not missing_packages("kernels") and os.environ.get("HF_HUB_OFFLINE", "0") in ("", "0"):
        raise UsageError(
            "E_EXTRA",
            "The installed package kernels would have bitsandbytes fetch code from the network.",
            "Set HF_HUB_OFFLINE=1, or run: pip uninstall kernels.",
        )
    # It warns that this package is missing, and at every call in int8 that bfloat16 becomes float16 on the way.
    getLogger("bitsandbytes").setLevel("ERROR")


def _load_tokenizer(folder: LLMFolder) -> PreTrainedTokenizerBase:
    from transformers import PreTrainedTokenizerFast

    with _quiet():
        try:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder.path, local_files_only=True)
        except Exception:  # the tokenizers library raises nothing narrower
            raise WeightsError(
                "E_LLM", "The language model's tokenizer cannot be read.", "Fetch or copy the model again."
            ) from None
    if not tokenizer.chat_template:
        raise WeightsError(
            "E_LLM",
            "The language model has no chat template, so it was not taught to hold a conversation.",
            "Choose an instruct model.",
        )
    return tokenizer


def _require_memory(folder: LLMFolder, quantisation: Quantisation, runtime: Runtime) -> None:
    """Raise ResourceError E_MEMORY before anything large is read, where it cannot fit."""
    import torch

    from assistant.serve.workers.memory import available_bytes

    needed = ROOM * stored_bytes(folder.weights, quantisation=quantisation, item_bytes=runtime.dtype.itemsize)
    free = torch.cuda.mem_get_info(runtime.device)[0] if runtime.device.type == "cuda" else available_bytes()
    if needed > free:
        raise _no_memory(f"needs {needed / GIB:.1f} GiB and {free / GIB:.1f} GiB are free")


def _no_memory(what: str) -> ResourceError:
    return ResourceError(
        "E_MEMORY", f"The language model {what}.", "Choose a smaller one, or add --load-in-4bit, or --load-in-8bit."
    )


def _load_model(folder: LLMFolder, quantisation: Quantisation, runtime: Runtime) -> PreTrainedModel:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    if folder.weights[0].name == ROUNDED_FILE:
        from assistant.language.embedded import load_rounded

        rounded: Any = load_rounded(folder.path)
        return rounded.to(runtime.device, runtime.dtype)
    stored = folder.stored_quantisation is not None
    options: dict[str, Any] = {} if stored else {"quantization_config": bits_config(quantisation, runtime)}
    if folder.architecture in folder.row.also:
        options["key_mapping"] = TEXT_KEYS
    try:
        with _quiet():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder.path,
                config=_config(folder),
                dtype=runtime.dtype,
                device_map={"": runtime.device},
                attn_implementation="sdpa",
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
    except (torch.OutOfMemoryError, MemoryError):
        raise _no_memory("does not fit into the memory") from None
    except (OSError, ValueError, ArithmeticError, RuntimeError, KeyError, TypeError, SafetensorError):
        raise _damaged() from None
    model, report = loaded
    if report["missing_keys"] or report["mismatched_keys"] or report["error_msgs"]:
        raise _damaged()
    if quantisation == "4bit" and runtime.device.type == "cpu":
        _keep_exact(model)
    return model.eval()


def _keep_exact(model: PreTrainedModel) -> None:
    """Stop bitsandbytes (0.50) from packing nf4 weights anew for AVX512-BF16 when they first run in eval mode.

    What is packed so has lost digits of its constants, and lets no gradient through to what comes before it, without
    a word: a LoRA that is trained after an evaluation would learn the wrong thing (Linear4bit.forward, gemv_4bit).
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _damaged() -> WeightsError:
    return WeightsError(
        "E_LLM", "The weights of the language model do not fit its config.json.", "Fetch or copy the model again."
    )


def _config(folder: LLMFolder) -> Any:
    """The configuration of the text part. Raises WeightsError E_LLM."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)
    except Exception:  # what transformers checks a value with raises nothing narrower
        raise _damaged() from None
    return config.get_text_config() if folder.architecture in folder.row.also else config


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no advice from transformers, whose words hold paths; as it was afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
