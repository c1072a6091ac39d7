"""How a language model sees a CT: tokens resampled, read by gated cross-attention; mask tokens to query vectors."""

from __future__ import annotations

from assistant.language.sight.attention import GatedCrossAttention
from assistant.language.sight.config import SightConfig
from assistant.language.sight.files import load_sight, read_sight_config, save_sight
from assistant.language.sight.model import Looked, Sight, SightedLM, SightedOutput, Stage
from assistant.language.sight.resampler import Resampler, Seen

__all__ = [
    "GatedCrossAttention",
    "Looked",
    "Resampler",
    "Seen",
    "Sight",
    "SightConfig",
    "SightedLM",
    "SightedOutput",
    "Stage",
    "load_sight",
    "read_sight_config",
    "save_sight",
]
