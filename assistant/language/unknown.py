"""Words in the place of a structure that the table does not know."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.language.actions import Action
from assistant.language.clauses import SLOT, Clause
from assistant.language.lexicon import is_ordinary

_NAMING = frozenset({"segment", "measure", "locate", "count", "compare", "answer", "detect"})
_LISTED = re.compile(
    rf"(?:{SLOT} (?:and |or )?)(?:the |a |my |his |her )?(?:left |right |both )?((?:[a-z]{{3,}} ?){{1,2}})$"
)


def unknown_names(clause: Clause, actions: Sequence[Action]) -> list[str]:
    """What a clause seems to name as a structure without the table knowing it; empty when there is none."""
    if not any(action.skill in _NAMING and "implied" not in action.arguments for action in actions):
        return []
    if clause.mentions:
        listed = _LISTED.search(clause.text)
        words = listed[1].split() if listed else []
        return [" ".join(words)] if words and not any(map(is_ordinary, words)) and f"{SLOT} and" in clause.text else []
    strange = [word for word in clause.text.split() if len(word) > 2 and word.isalpha() and not is_ordinary(word)]
    return [" ".join(strange[:4])] if strange else []
