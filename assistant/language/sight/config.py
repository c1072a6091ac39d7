"""The sizes of a sight: what it reads of a CT, how it is joined to a language model, what it knows by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from vision.errors import UsageError
from vision.structures import names


@dataclass(frozen=True)
class SightConfig:
    """`token_width` and `pooled_width` are those of the CT tokens, `query_width` is the segmenter's, `hidden_width`
    the language model's; `latents`, `width`, `heads` and `depth` are the resampler's, and every `every`-th decoder
    layer sees. `mask_token_id` is the token that stands for a mask, None where there is none. `structures` have an
    embedding each: a structure added to the table later has no token until a sight is trained that knows it.

    Raises UsageError E_SIGHT_CONFIG for sizes that no sight can have.
    """

    token_width: int
    query_width: int
    pooled_width: int
    hidden_width: int
    latents: int = 64
    width: int = 256
    heads: int = 4
    depth: int = 2
    every: int = 2
    mask_token_id: int | None = None
    structures: tuple[str, ...] = field(default_factory=names)

    def __post_init__(self) -> None:
        sizes = ("token_width", "query_width", "pooled_width", "hidden_width", "latents", "width", "heads", "depth")
        values = asdict(self)
        for name in (*sizes, "every"):
            size = values[name]
            if type(size) is not int or size < 1:
                _refuse(f"{name} is not a whole number from 1")
        if self.width % self.heads:
            _refuse(f"the width {self.width} does not split into {self.heads} heads")
        token = self.mask_token_id
        if token is not None and (type(token) is not int or token < 0):
            _refuse("mask_token_id is not a whole number from 0")
        if len(set(self.structures)) != len(self.structures):
            _refuse("structures names one twice")


def _refuse(what: str) -> None:
    raise UsageError("E_SIGHT_CONFIG", f"No sight can be built: {what}.", "Change the configuration of the sight.")
