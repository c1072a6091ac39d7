"""The grammar of words: free text with slots of one turn; digits, signs and special tokens are impossible."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

MOST_SENTENCES = 24
MOST_SLOTS = 12
"""Of one sentence."""
LONGEST_TEXT = 240
"""Characters between two slots."""

_SENTENCE = re.compile(r"(?:[^.{}]|\{[^{}]*\})*\.")


def words_lark(slots: Sequence[str], *, mask_token_id: int | None) -> str:
    """The grammar of an answer in llguidance's Lark dialect: sentences of Latin letters and plain marks, with slots.

    `slots` are those of the turn, without braces, at least one. A tokenizer's mask token, which follows the name of a
    structure whose mask is shown, is the only special token that may stand in a sentence.
    """
    mask = "" if mask_token_id is None else f" | <[{mask_token_id}]>"
    return "\n".join(
        (
            '%llguidance {"no_forcing": true}',  # else the mask would split what the tokenizer writes as one
            f"start: sentence{{1,{MOST_SENTENCES}}}",
            f'sentence: TEXT? (filling TEXT?){{0,{MOST_SLOTS}}} "."',
            f"filling: SLOT{mask}",
            f"TEXT: /[A-Za-z ,;:()'\\/%-]{{1,{LONGEST_TEXT}}}/",
            rf"SLOT: /\{{({'|'.join(map(re.escape, slots))})\}}/",
        )
    )


def sentences_in(text: str) -> Iterator[str]:
    """The whole sentences at the beginning of a text of this grammar, stripped; what is not ended yet is left out."""
    place = 0
    while (match := _SENTENCE.match(text, place)) is not None:
        yield match.group().strip()
        place = match.end()
