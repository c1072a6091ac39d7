"""A language model with what a training gave it: a sight and a LoRA, kept in one folder beside or apart from it.

`<folder>/sight.safetensors`, `<folder>/sight.json` and `<folder>/adapter/`; for the model that ships the folder is its
own, else `<folder>/taught.json` says of which language model they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from assistant.language.llms.embedded import MASK
from assistant.language.llms.folder import (
    EMBEDDED,
    EMBEDDED_FOLDER,
    ROUNDED_FILE,
    open_folder,
    weights_digest,
)
from assistant.language.llms.load import LoadedLLM, Quantisation, load_llm
from vision.errors import WeightsError
from vision.io.files.atomic import write_text

if TYPE_CHECKING:
    from assistant.language.sight import SightedLM

ADAPTER_FOLDER = "adapter"
DESCRIPTION = "taught.json"


@dataclass(frozen=True)
class TaughtLLM:
    """A loaded language model, `sighted` by the very same model, or None where it was taught no sight.

    `taught` says whether the recipe taught it at all: then it reads what it was taught with.
    """

    llm: LoadedLLM
    sighted: SightedLM | None
    taught: bool = False

    @property
    def mask_token_id(self) -> int | None:
        """The token that stands for a mask, None where there is none."""
        return None if self.sighted is None else self.sighted.config.mask_token_id


def load_taught(
    name_or_folder: str | Path, *, quantisation: Quantisation = "none", device: str | None = None
) -> TaughtLLM:
    """Load 'embedded', a folder that `bodymaps train language` wrote, or any language model without teaching.

    Its name tells the weights apart, as a segmenter's does: a batch that is resumed with others begins anew.
    Raises as `load_llm`, `load_sight` and `load_adapter`; WeightsError E_LLM for a damaged taught.json.
    """
    folder = EMBEDDED_FOLDER if str(name_or_folder) == EMBEDDED else Path(name_or_folder)
    base = base_of(name_or_folder)
    llm = load_llm(base, quantisation=quantisation, device=device)
    digest = weights_digest(*dict.fromkeys((open_folder(base).path.resolve(), folder.resolve())))
    bits = "" if llm.quantisation == "none" else f", {llm.quantisation}"
    return add_teaching(replace(llm, name=f"{llm.name} ({digest}{bits})"), folder)


def add_teaching(llm: LoadedLLM, folder: Path) -> TaughtLLM:
    """Put on a language model, in place, what a folder holds for it; a folder without anything leaves it as it is."""
    from assistant.language.llms.adapter import load_adapter

    sighted = None
    if (folder / "sight.json").is_file():
        from assistant.language.sight import SightedLM, load_sight, read_sight_config

        config = read_sight_config(folder)
        if config.mask_token_id is not None:
            give_mask_token(llm)
        sighted = SightedLM(llm.model, llm.row.layers_path, config)
        load_sight(sighted, folder)
    if (folder / ADAPTER_FOLDER).is_dir():
        load_adapter(llm.model, folder / ADAPTER_FOLDER)
    if sighted is not None:
        sighted.requires_grad_(False).eval()
    taught = any((folder / name).exists() for name in ("sight.json", ADAPTER_FOLDER, DESCRIPTION, ROUNDED_FILE))
    return TaughtLLM(llm, sighted, taught=taught)


def give_mask_token(llm: LoadedLLM) -> int:
    """The id of the mask token, which the tokenizer gets as its last word where it does not have it."""
    llm.tokenizer.add_tokens([MASK], special_tokens=True)
    return cast(int, llm.tokenizer.convert_tokens_to_ids(MASK))


def describe_taught(folder: Path, llm: str) -> Path:
    """Write of which language model the teaching in a folder is. Raises as `write_text`."""
    return write_text(folder / DESCRIPTION, json.dumps({"llm": llm}) + "\n")


def base_of(name_or_folder: str | Path) -> str:
    """The language model that a teaching belongs to; what is no teaching is its own.

    Raises WeightsError E_LLM for a damaged taught.json.
    """
    described = Path(name_or_folder) / DESCRIPTION
    if str(name_or_folder) == EMBEDDED or not described.is_file():
        return str(name_or_folder)
    try:
        name = json.loads(described.read_text("utf-8"))["llm"]
    except (OSError, ValueError, KeyError, TypeError):
        name = None
    if not isinstance(name, str) or not name:
        raise WeightsError("E_LLM", "The file taught.json does not name a language model.", "Copy the folder again.")
    return name
