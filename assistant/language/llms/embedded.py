"""The chat of the embedded language model: its special tokens, its template, its kind of tokenizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD = "<|pad|>"
END = "<|end|>"
MASK = "<|mask|>"
SPECIAL_TOKENS = (
    PAD,
    END,
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|tool|>",
    MASK,
    "<tool_call>",
    "</tool_call>",
)
"""In the order of their ids, from 0."""

LONGEST = 2048
"""Tokens of a conversation."""

CHAT_TEMPLATE = """\
{%- if tools %}
{%- set tool_text = tools | tojson(separators=(',', ':')) %}
{%- if messages[0].role != 'system' %}
{{- '<|system|>' + tool_text + '<|end|>' }}
{%- endif %}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{{- '<|assistant|>' }}
{%- generation %}
{%- if message.tool_calls %}
{{- '<tool_call>[' }}
{%- for tool_call in message.tool_calls %}
{%- set call = tool_call.function or tool_call %}
{{- '{"name":"' + call.name + '","arguments":' + (call.arguments | tojson(separators=(',', ':'))) + '}' }}
{{- '' if loop.last else ',' }}
{%- endfor %}
{{- ']</tool_call>' }}
{%- endif %}
{{- (message.content or '') + '<|end|>' }}
{%- endgeneration %}
{%- else %}
{{- '<|' + message.role + '|>' + message.content }}
{%- if tools and loop.first and message.role == 'system' %}
{{- '\\n' + tool_text }}
{%- endif %}
{{- '<|end|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|assistant|>' }}
{%- endif %}
"""
"""What the assistant writes stands in `generation`, so that apply_chat_template can tell a trainer which tokens."""


def train_tokenizer(texts: Iterable[str], *, vocab: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with the special tokens and the chat template: no text is unknown to it.

    `vocab` is the number of tokens: 256 bytes, the special ones and merges learned from `texts` (fewer where the texts
    hold too few). Digits are never merged, so that no number is a word.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
        model_max_length=LONGEST,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
