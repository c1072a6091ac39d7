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

_PIECES = (
    r"""\{"name":"\w+","arguments":\{"""  # the head of a call
    r"""|"[A-Za-z_]\w*":[\[{]?|"[A-Za-z_]\w*"|[\]}]+"""  # keys and values of JSON, and what closes it
    r"""|\{F(?=\d)|\.[a-z_]+\}"""  # a slot but for its number
    r"""|'(?:[sdmt]|ll|ve|re)\b| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}"{}\[\]]+| ?["{\[]|\s+"""  # words and marks
)
"""What a token never reaches beyond: `"structures":[` and `"kidney_left"` can be one each, so that a plan has 12 tokens
and not 22. A digit is alone, so that no number is a word."""

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
    hold too few).
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
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
