"""What models of other families read. The templates here are short ones that write in the form of each family."""

from __future__ import annotations

import pytest

from assistant.language.llms import row_for
from assistant.language.llms.chat import chat_text, conversation_text, tool_format_of, written_format
from assistant.language.llms.embedded import CHAT_TEMPLATE
from assistant.language.llms.table import FENCED, HERMES, LLAMA3, MISTRAL, ToolFormat
from assistant.language.llms.tiny import tiny_tokenizer
from vision.errors import WeightsError

ROLE = "{{ '<|' + message.role + '|>' }}"
REST = ROLE + "{{ message.content + '<|end|>' }}"
NEXT = "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"


def _template(calls: str, *, head: str = "", rest: str = REST) -> str:
    """A template that writes `calls` where the assistant calls, and `rest` otherwise."""
    choice = "{% if message.tool_calls %}" + calls + "{% else %}" + rest + "{% endif %}"
    return head + "{% for message in messages %}" + choice + "{% endfor %}" + NEXT


HERMES_LIKE = _template(
    ROLE + "{% for call in message.tool_calls %}{{ '\\n' if not loop.first }}{{ '<tool_call>\\n{\"name\": \"' }}"
    "{{ call.function.name + '\", \"arguments\": ' + (call.function.arguments | tojson) + '}\\n</tool_call>' }}"
    "{% endfor %}{{ '<|end|>' }}",
    head="{% if tools %}{{ tools | tojson }}{% endif %}",
)
LLAMA_LIKE = _template(
    "{% if message.tool_calls | length > 1 %}{{ raise_exception('single tool-calls only') }}{% endif %}"
    + ROLE
    + '{% set call = message.tool_calls[0].function %}{{ \'{"name": "\' + call.name + \'", "parameters": \' }}'
    "{{ (call.arguments | tojson) + '}<|end|>' }}",
    head="{% if tools %}{{ tools | tojson }}{% endif %}",
)
MISTRAL_LIKE = _template(
    ROLE + "{{ '[TOOL_CALLS] [' }}{% for call in message.tool_calls %}"
    "{% if call.id | length != 9 %}{{ raise_exception('nine letters') }}{% endif %}"
    "{{ (call.function | tojson)[:-1] + ', \"id\": \"' + call.id + '\"}' }}{{ ', ' if not loop.last }}{% endfor %}"
    "{{ ']<|end|>' }}",
    head="{% if tools %}{{ tools | tojson }}{% endif %}",
)
DROPPING = _template(
    REST, head="{% if xml_tools %}{{ xml_tools | tojson }}{% endif %}{% if enable_thinking %}{{ 'think' }}{% endif %}"
)
GEMMA_LIKE = (
    "{% if messages[0].role == 'system' %}{% set first = messages[0].content %}{% set messages = messages[1:] %}"
    "{% endif %}{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{{ '<|' + message.role + '|>' }}"
    "{{ (first + '\\n\\n' if loop.first and first else '') + message.content + '<|end|>' }}{% endfor %}" + NEXT
)
TOOLS = [{"type": "function", "function": {"name": "measure", "description": "Measure.", "parameters": {}}}]
CALLS = [{"name": "measure", "arguments": {"limit": 2}}, {"name": "help", "arguments": {}}]
TALK = [
    {"role": "system", "content": "Plan."},
    {"role": "user", "content": "How large?"},
    {"role": "assistant", "tool_calls": CALLS},
    {"role": "tool", "content": "{}"},
    {"role": "assistant", "content": "5 cm."},
    {"role": "user", "content": "Sure?"},
]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def _with(tokenizer, template: str):
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize(
    ("template", "architecture", "expected"),
    [
        (HERMES_LIKE, "Qwen3ForCausalLM", HERMES),
        (LLAMA_LIKE, "LlamaForCausalLM", LLAMA3),
        (MISTRAL_LIKE, "MistralForCausalLM", MISTRAL),
        (DROPPING, "SmolLM3ForCausalLM", HERMES),
        (GEMMA_LIKE, "Gemma3ForCausalLM", FENCED),
        (HERMES_LIKE, "LlamaForCausalLM", HERMES),
        (
            MISTRAL_LIKE.replace("[TOOL_CALLS] [", "[TOOL_CALLS]["),
            "MistralForCausalLM",
            ToolFormat("[TOOL_CALLS][", ", ", "]"),
        ),
        (CHAT_TEMPLATE, "Qwen3ForCausalLM", ToolFormat("<tool_call>[", ",", "]</tool_call>", separators=(",", ":"))),
    ],
)
def test_form_of_calls_is_read_off_the_template_else_taken_from_the_row(
    tokenizer, template, architecture, expected
) -> None:
    assert tool_format_of(_with(tokenizer, template), row_for(architecture)) == expected


def test_template_that_drops_calls_tells_no_form(tokenizer) -> None:
    assert written_format(_with(tokenizer, DROPPING), row_for("SmolLM3ForCausalLM")) is None


@pytest.mark.parametrize(
    ("template", "architecture", "calls"),
    [
        (
            HERMES_LIKE,
            "Qwen3ForCausalLM",
            '<tool_call>\n{"name": "measure", "arguments": {"limit": 2}}\n</tool_call>\n'
            '<tool_call>\n{"name": "help", "arguments": {}}\n</tool_call>',
        ),
        (
            LLAMA_LIKE,
            "LlamaForCausalLM",
            '{"name": "measure", "parameters": {"limit": 2}}; {"name": "help", "parameters": {}}',
        ),
        (
            MISTRAL_LIKE,
            "MistralForCausalLM",
            '[TOOL_CALLS] [{"name": "measure", "arguments": {"limit": 2}, "id": "call00001"}, '
            '{"name": "help", "arguments": {}, "id": "call00002"}]',
        ),
        (
            GEMMA_LIKE,
            "Gemma3ForCausalLM",
            '```json\n[{"name": "measure", "arguments": {"limit": 2}}, {"name": "help", "arguments": {}}]\n```',
        ),
    ],
)
def test_every_family_reads_old_calls_in_its_own_form(tokenizer, template, architecture, calls) -> None:
    text = chat_text(_with(tokenizer, template), row_for(architecture), TALK)
    assert f"<|assistant|>{calls}<|end|>" in text
    assert text.endswith("Sure?<|end|><|assistant|>")


def test_every_answer_of_a_tool_names_its_own_call(tokenizer) -> None:
    template = MISTRAL_LIKE.replace("message.content +", "message.content + (message.tool_call_id or '') +")
    talk = [*TALK[:3], *({"role": "tool", "content": name} for name in ("first ", "second ")), *TALK[2:4]]
    text = chat_text(_with(tokenizer, template), row_for("MistralForCausalLM"), talk)
    assert "<|tool|>first call00001<|end|><|tool|>second call00002<|end|>" in text
    assert "<|tool|>{}call00003<|end|>" in text


def test_answer_of_a_tool_comes_from_the_user_where_roles_must_alternate(tokenizer) -> None:
    text = chat_text(_with(tokenizer, GEMMA_LIKE), row_for("Gemma3ForCausalLM"), TALK)
    assert "<|user|>{}<|end|>" in text
    assert "<|user|>Plan.\n\nHow large?<|end|>" in text


@pytest.mark.parametrize("template", [HERMES_LIKE, DROPPING])
def test_tools_reach_the_template_under_either_name(tokenizer, template) -> None:
    text = chat_text(_with(tokenizer, template), row_for("Qwen3ForCausalLM"), TALK, tools=TOOLS)
    assert text.startswith('[{"type": "function", "function": {"name": "measure"')
    assert text.count('"name": "measure", "description"') == 1


def test_tools_stand_in_the_system_message_where_the_template_knows_none(tokenizer) -> None:
    text = chat_text(_with(tokenizer, GEMMA_LIKE), row_for("Gemma3ForCausalLM"), TALK[1:2], tools=TOOLS)
    assert '{"name": "measure", "description": "Measure.", "parameters": {}}' in text
    assert '```json\n[{"name": "NAME_OF_A_FUNCTION", "arguments": {"ARGUMENT": "VALUE"}}]\n```' in text
    assert text.startswith("<|user|>These functions")


def test_conversation_ends_with_its_last_message(tokenizer) -> None:
    text = conversation_text(_with(tokenizer, HERMES_LIKE), row_for("Qwen3ForCausalLM"), TALK)
    assert text.endswith("<|user|>Sure?<|end|>")


def test_conversation_begins_as_the_text_before_the_answer_does(tokenizer) -> None:
    row = row_for("Qwen3ForCausalLM")
    asked = chat_text(_with(tokenizer, CHAT_TEMPLATE), row, TALK[:2])
    assert conversation_text(tokenizer, row, TALK[:3]).startswith(asked)


def test_template_that_refuses_every_form_is_an_error(tokenizer) -> None:
    with pytest.raises(WeightsError, match="chat template of this language model refuses the conversation"):
        chat_text(_with(tokenizer, "{{ raise_exception('no') }}"), row_for("LlamaForCausalLM"), TALK)
