"""Backbones: one dict of builders. A backbone turns a CT into decoder features and a bottleneck; heads are put on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

from vision.models.backbones.compact import CompactBackbone
from vision.models.backbones.features import Backbone, Features

Builder = Callable[[Sequence[int]], Backbone]

BACKBONES: MappingProxyType[str, Builder] = MappingProxyType({"compact": CompactBackbone})
"""Name -> builder of an untrained backbone from its feature widths, fine to coarse."""
