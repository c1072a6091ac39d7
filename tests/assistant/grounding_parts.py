"""The sentences of replies, those that are put together of pieces too."""

from __future__ import annotations

from prompts import replies

PARTS = {
    " ".join(parts): f"{', '.join(replies.LESION_PARTS[part] for part in parts)}."
    for place in ("in_part", "in_segments", "in_organ", "anywhere")
    for parts in (
        (place, "axes", "confidence"),
        (place, "axes", "volume", "attenuation", "confidence"),
        (place, "axes", "attenuation"),
        (place, "confidence"),
    )
}
"""Sentences on one lesion that are put together of pieces, by the names of these."""
TEMPLATES = {**replies.REPLIES, **PARTS}
