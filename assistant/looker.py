"""The seam to whatever looks at a CT for what no measurement covers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from assistant.records import Impression

if TYPE_CHECKING:
    from vision.models.coarse_to_fine.tokens import CTTokens


class Looker(Protocol):
    """CT tokens to an impression. The language model fulfils it where it has a sight."""

    name: str

    def look(self, topic: str, tokens: CTTokens) -> Impression:
        """The likeliest word of a topic of `prompts/wording.toml`, with its share of the belief."""
        ...
