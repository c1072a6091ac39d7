"""The language models that can be used, one row an architecture. Light: no torch, no transformers."""

from __future__ import annotations

from dataclasses import dataclass

from vision.errors import WeightsError

DECODER_LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linears of one decoder layer; all five architectures call them so (modeling files of transformers 5)."""


@dataclass(frozen=True)
class ToolFormat:
    """How a model writes its tool calls: begin call between call ... end, each call one JSON object of two keys."""

    begin: str
    between: str
    end: str
    name_key: str = "name"
    arguments_key: str = "arguments"
    separators: tuple[str, str] = (", ", ": ")
    """Between items and after keys, as json.dumps takes them: what `tojson` of the chat templates writes."""


@dataclass(frozen=True)
class LLMRow:
    """One architecture of the table.

    `architecture` is the class of transformers that runs it; `also` are names in a config.json that the same class
    reads. `layers_path` is the path of the ModuleList of decoder layers below that class, `lora_targets` the linears
    inside one of them. `tool_format` is how the family writes tool calls, unless the chat template of the loaded
    model itself writes them otherwise (`chat.py`). `hub_names` were in mind when the row was written.
    """

    name: str
    architecture: str
    tool_format: ToolFormat
    hub_names: tuple[str, ...]
    also: tuple[str, ...] = ()
    layers_path: str = "model.layers"
    lora_targets: tuple[str, ...] = DECODER_LINEARS


HERMES = ToolFormat("<tool_call>\n", "\n</tool_call>\n<tool_call>\n", "\n</tool_call>")
"""Chat templates of Qwen/Qwen3-*, after NousResearch's Hermes. HuggingFaceTB/SmolLM3-3B is told the same form by the
system text of its template; its model card says: JSON within <tool_call> tags, tools under `xml_tools`."""

LLAMA3 = ToolFormat("", "; ", "", arguments_key="parameters")
"""Chat template of meta-llama/Llama-3.1-8B-Instruct and -3.2: the bare JSON of one call.

It refuses several at once; '; ' between them is what vLLM's llama3_json parser reads (llama_tool_parser.py).
"""

MISTRAL = ToolFormat("[TOOL_CALLS] [", ", ", "]")
"""Chat template of mistralai/Mistral-7B-Instruct-v0.3. It adds an `id` of nine characters when it writes old calls
back. Ministral-8B-2410 and Nemo-2407 write no blank after [TOOL_CALLS]; `chat.py` reads that off them."""

FENCED = ToolFormat("```json\n[", ", ", "]\n```")
"""Ours, for families without one: Gemma 3 has no tool tokens and writes whatever form the prompt asks for
(ai.google.dev/gemma/docs/capabilities/function-calling)."""

LLMS: tuple[LLMRow, ...] = (
    LLMRow(
        name="Qwen3",
        architecture="Qwen3ForCausalLM",
        tool_format=HERMES,
        hub_names=(
            "Qwen/Qwen3-4B-Instruct-2507",
            "Qwen/Qwen3-0.6B",
            "Qwen/Qwen3-1.7B",
            "Qwen/Qwen3-4B",
            "Qwen/Qwen3-8B",
        ),
    ),
    LLMRow(
        name="Llama 3",
        architecture="LlamaForCausalLM",
        tool_format=LLAMA3,
        hub_names=(
            "meta-llama/Llama-3.2-1B-Instruct",
            "meta-llama/Llama-3.2-3B-Instruct",
            "meta-llama/Llama-3.1-8B-Instruct",
            "HuggingFaceTB/SmolLM2-1.7B-Instruct",
        ),
    ),
    LLMRow(
        name="Gemma 3",
        architecture="Gemma3ForCausalLM",
        also=("Gemma3ForConditionalGeneration",),
        tool_format=FENCED,
        hub_names=(
            "google/gemma-3-1b-it",
            "google/gemma-3-4b-it",
            "google/medgemma-4b-it",
            "google/medgemma-27b-text-it",
        ),
    ),
    LLMRow(
        name="Mistral",
        architecture="MistralForCausalLM",
        tool_format=MISTRAL,
        hub_names=(
            "mistralai/Mistral-7B-Instruct-v0.3",
            "mistralai/Ministral-8B-Instruct-2410",
            "mistralai/Mistral-Nemo-Instruct-2407",
        ),
    ),
    LLMRow(
        name="SmolLM3",
        architecture="SmolLM3ForCausalLM",
        tool_format=HERMES,
        hub_names=("HuggingFaceTB/SmolLM3-3B",),
    ),
)


def row_for(architecture: str) -> LLMRow:
    """The row that runs a name from `architectures` of a config.json. Raises WeightsError E_LLM."""
    for row in LLMS:
        if architecture == row.architecture or architecture in row.also:
            return row
    known = ", ".join(architectures())
    raise WeightsError(
        "E_LLM",
        f"Language models of the architecture {_shown(architecture)} are not known.",
        f"Known are: {known}.",
    )


def architectures() -> tuple[str, ...]:
    """All names in a config.json that can be loaded."""
    return tuple(name for row in LLMS for name in (row.architecture, *row.also))


def _shown(architecture: str) -> str:
    """A name out of a file, fit for a message: a class name is short and of letters and digits."""
    return architecture if architecture.isidentifier() and len(architecture) <= 60 else "in its config.json"
