"""Talk to an abdominal CT: `ask(ct, question)`, `open_ct(path)`, `plan_question(text)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assistant.api import ask, open_ct, plan_question

__all__ = ["ask", "open_ct", "plan_question"]


def __getattr__(name: str) -> object:
    """Load the way in on first use, so that importing a record or the command line stays light."""
    if name in __all__:
        from assistant import api

        return vars(api)[name]
    raise AttributeError(f"module 'assistant' has no attribute {name!r}")
