"""The flags about language models that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vision.errors import UsageError

if TYPE_CHECKING:
    from assistant.language.llms.memory import Quantisation
    from assistant.plan import Planner

LLMName = Annotated[
    str | None,
    typer.Option(
        "--llm",
        metavar="NAME",
        help="Language model that plans: 'embedded', 'rules', a folder, or a name of the model hub that was fetched.",
    ),
]
LoadIn4Bit = Annotated[bool, typer.Option("--load-in-4bit", help="Hold the language model in 4 bits (nf4).")]
LoadIn8Bit = Annotated[bool, typer.Option("--load-in-8bit", help="Hold the language model in 8 bits.")]
ConversationCTs = Annotated[
    list[Path] | None, typer.Option("--cts", help="Folder of the CTs that conversations name; else beside --data.")
]


def chosen_quantisation(llm: str | None, *, in_4bit: bool, in_8bit: bool) -> Quantisation:
    """What the flags say. Raises UsageError E_LLM_FLAGS for both at once, or for one without a language model."""
    if in_4bit and in_8bit:
        raise UsageError("E_LLM_FLAGS", "A language model is held in 4 or in 8 bits, not both.", "Leave one flag out.")
    if (in_4bit or in_8bit) and llm in (None, "rules"):
        raise UsageError("E_LLM_FLAGS", "No language model was chosen to be held in fewer bits.", "Add --llm NAME.")
    return "4bit" if in_4bit else "8bit" if in_8bit else "none"


def chosen_planner(llm: str | None, *, in_4bit: bool, in_8bit: bool) -> Planner | None:
    """The planner that the flags name, None where they name none. Raises as `assistant.api.named_planner` does."""
    quantisation = chosen_quantisation(llm, in_4bit=in_4bit, in_8bit=in_8bit)
    if llm is None:
        return None
    from assistant.api import named_planner

    return named_planner(llm, quantisation=quantisation)
