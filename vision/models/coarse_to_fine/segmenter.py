"""UniversalSegmenter: the whole scan once, then each structure that is asked for in its own region of interest."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from vision.errors import UsageError
from vision.geometry import CTVolume, Mask
from vision.measure import centroid_mm
from vision.models.calibration import IDENTITY, Line, calibrate
from vision.models.coarse_to_fine.clean import LESION, ORGAN, Cleaning, clean, cleaning_of
from vision.models.coarse_to_fine.find import STAY_COARSE, Found, Wanted, find
from vision.models.coarse_to_fine.fine import coarse_logits, multiple_of
from vision.models.coarse_to_fine.look import Look, computing, look_at
from vision.models.coarse_to_fine.sides import MIDLINE, OrderFact, check_order, find_midline
from vision.models.coarse_to_fine.tokens import CTTokens, make_tokens
from vision.models.coarse_to_fine.views import PLAIN, View
from vision.models.registry import ModelEntry
from vision.models.runtime import Runtime, pick_runtime
from vision.models.tensors import read_tensors, shapes_of
from vision.models.universal.network import UniversalConfig, UniversalNetwork
from vision.models.universal.phrases import Phrase, parse_phrase, phrase_of
from vision.segmenter import Encoding, Progress, no_progress
from vision.structures import STRUCTURES, by_name

LEAST_SURE = 0.25
"""Calibrated confidence below which a piece is no suspected lesion: of such three in four are none. Without a line of
calibration no piece is below one half."""
NOT_CALIBRATED: Mapping[str, Line] = MappingProxyType({})
NO_SIZES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class CTState:
    """What is kept of one CT: the look, and what was answered from it so far, by structure or phrase."""

    look: Look
    logits: dict[str, Tensor] = field(default_factory=dict)
    coarse: dict[str, Mask] = field(default_factory=dict)
    found: dict[str, Found | None] = field(default_factory=dict)
    masks: dict[str | Phrase, Mask] = field(default_factory=dict)


class UniversalSegmenter:
    """The `Segmenter` of the universal network; with several `views`, their logits are averaged.

    `answered` are the structures that it gives masks of, by default all that the network has words for.
    Every mask is made from the look and one query alone, so it is the same whatever else is asked, before or after.
    """

    def __init__(
        self,
        network: UniversalNetwork,
        *,
        name: str,
        runtime: Runtime | None = None,
        answered: Collection[str] | None = None,
        calibration: Mapping[str, Line] = NOT_CALIBRATED,
        views: Sequence[View] = (PLAIN,),
        lesion_sizes: Mapping[str, float] = NO_SIZES,
    ) -> None:
        self.runtime = runtime or pick_runtime()
        self.config = network.config
        self.network = network.eval().to(self.runtime.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.name = f"{name} on {self.runtime}"
        self.structures = frozenset(self.config.structures if answered is None else answered)
        self._answered = tuple(each for each in self.config.structures if each in self.structures)
        self.calibration = dict(calibration)
        self.views = tuple(views)
        self.lesion_sizes = dict(lesion_sizes)

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        """Look at the whole scan once."""
        multiple = math.lcm(self.network.backbone.multiple, multiple_of(self.network))
        look = look_at(ct, self.network, views=self.views, multiple=multiple, runtime=self.runtime, progress=progress)
        return Encoding(ct=ct, state=CTState(look))

    def segment(self, encoding: Encoding, structure: str, progress: Progress = no_progress) -> Mask:
        """The mask of one structure on the CT's own grid, its score the calibrated mean probability inside."""
        if structure not in self.structures:
            raise KeyError(structure)
        state: CTState = encoding.state
        if structure not in state.masks:
            found = self._found(encoding, structure, progress)
            state.masks[structure] = self._mask(encoding, found, structure)
        return state.masks[structure]

    def segment_phrase(self, encoding: Encoding, text: str, progress: Progress = no_progress) -> Mask:
        """The mask of what free words name; words that mean a structure of the table give that structure's own mask.

        A pair without a side is both. Raises UsageError E_STRUCTURE for words that this model does not have.
        """
        phrase = parse_phrase(text)
        rows = {phrase_of(name): name for name in self._answered}
        if phrase in rows:
            return self.segment(encoding, rows[phrase], progress)
        state: CTState = encoding.state
        if phrase not in state.masks:
            sides = [Phrase(phrase.structure, side, phrase.part, phrase.finding) for side in ("right", "left")]
            if not phrase.side and all(side in rows for side in sides):
                masks = [self.segment(encoding, rows[side], progress) for side in sides]
                state.masks[phrase] = _union(masks, phrase.structure)
            else:
                self._require_words(phrase)
                with computing(self.runtime):
                    query = self.network.phrases([phrase])[0]
                rules = LESION if phrase.finding else ORGAN
                made = self.segment_query(encoding, query, name=_row_of(phrase), rules=rules, progress=progress)
                state.masks[phrase] = made
        return state.masks[phrase]

    def segment_query(
        self,
        encoding: Encoding,
        query: Tensor,
        *,
        name: str,
        rules: Cleaning = ORGAN,
        progress: Progress = no_progress,
    ) -> Mask:
        """The mask of a query vector (query_width,), as the language model writes them; `name` is what it is called."""
        state: CTState = encoding.state
        wanted = Wanted(query[None].to(self.runtime.device), rules)
        logits = coarse_logits(self.network, state.look, wanted.query, runtime=self.runtime)
        return self._mask(encoding, self._find(encoding, wanted, logits, progress), name)

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        """Calibrated mean probability over one piece of a structure's mask."""
        if part.structure not in self.structures:
            return None
        found = self._found(encoding, part.structure, no_progress)
        mean = None if found is None else found.mean_under(part)
        return None if mean is None else self._calibrated(mean, part.structure)

    def tokens(self, encoding: Encoding) -> CTTokens:
        """The CT as the language model reads it."""
        logits = {name: self._logits(encoding, name) for name in self._answered}
        return make_tokens(encoding.state.look, logits, stride=self.network.backbone.stride)

    def order(self, encoding: Encoding) -> tuple[OrderFact, ...]:
        """How the organs that the coarse look shows lie to each other."""
        centres = {name: centroid_mm(self._coarse(encoding, name)) for name in self._answered}
        return check_order({name: centre for name, centre in centres.items() if centre is not None})

    def _mask(self, encoding: Encoding, found: Found | None, name: str) -> Mask:
        grid = encoding.ct.grid
        if found is None:
            return Mask(np.zeros(grid.shape, dtype=bool), grid, name)
        return found.mask(grid, name, self._calibrated(found.score(), name))

    def _calibrated(self, score: float, structure: str) -> float:
        return round(calibrate(score, self.calibration.get(structure, IDENTITY)), 3)

    def _found(self, encoding: Encoding, structure: str, progress: Progress) -> Found | None:
        state: CTState = encoding.state
        if structure not in state.found:
            row = by_name(structure)
            with computing(self.runtime):
                query = self.network.queries((structure,))
            wanted = Wanted(
                query,
                cleaning_of(structure),
                refined=structure not in STAY_COARSE,
                side=row.side or "",
                midline_mm=self._midline_mm(encoding) if row.side else None,
                host=self._host(encoding, row.lesion_of) if row.lesion_of else None,
            )
            found = self._find(encoding, wanted, self._logits(encoding, structure), progress)
            if found is not None and row.lesion_of:
                found = found.only(lambda mean: self._calibrated(mean, structure) >= LEAST_SURE)
            state.found[structure] = found
        return state.found[structure]

    def _find(self, encoding: Encoding, wanted: Wanted, logits: Tensor, progress: Progress) -> Found | None:
        return find(
            encoding.ct,
            self.network,
            encoding.state.look,
            wanted=wanted,
            coarse=logits,
            runtime=self.runtime,
            progress=progress,
        )

    def _logits(self, encoding: Encoding, structure: str) -> Tensor:
        """(I, J, K) float16 on the padded coarse grid."""
        state: CTState = encoding.state
        if structure not in state.logits:
            with computing(self.runtime):
                query = self.network.queries((structure,))
            state.logits[structure] = coarse_logits(self.network, state.look, query, runtime=self.runtime)
        return state.logits[structure]

    def _coarse(self, encoding: Encoding, structure: str) -> Mask:
        """One structure on the coarse grid, cleaned."""
        state: CTState = encoding.state
        if structure not in state.coarse:
            grid = state.look.grid
            i, j, k = grid.shape
            seen = (self._logits(encoding, structure)[:i, :j, :k] >= 0).numpy()
            voxels = clean(seen, cleaning_of(structure), spacing_mm=grid.spacing_mm)
            state.coarse[structure] = Mask(voxels, grid, structure)
        return state.coarse[structure]

    def _midline_mm(self, encoding: Encoding) -> float | None:
        """Where the midline lies, mm along the coarse grid's first axis from its first voxel."""
        grid = encoding.state.look.grid
        places = {}
        for name in (name for group in MIDLINE for name in group if name in self.structures):
            centre = centroid_mm(self._coarse(encoding, name))
            if centre is not None:
                places[name] = float(grid.to_ijk(np.asarray(centre))[0]) * grid.spacing_mm[0]
        return find_midline(places)

    def _host(self, encoding: Encoding, organs: tuple[str, ...]) -> np.ndarray:
        """(I, J, K) bool on the coarse grid: the organs that a lesion can lie in."""
        host = np.zeros(encoding.state.look.grid.shape, dtype=bool)
        for organ in organs:
            if organ in self.structures:
                host |= self._coarse(encoding, organ).voxels
        return host

    def _require_words(self, phrase: Phrase) -> None:
        """Refuse a structure or an aspect that nothing answered has: its vector was not trained, or not enough."""
        known = [phrase_of(name) for name in self._answered]
        left_out = {phrase_of(name): name for name in self.config.structures if name not in self.structures}
        if phrase in left_out:
            raise UsageError(
                "E_STRUCTURE",
                f"This model has not learned {left_out[phrase]!r}.",
                "'bodymaps info' lists what it knows.",
            )
        for word, words in (
            (phrase.structure, {other.structure for other in known}),
            (phrase.side, {other.side for other in known}),
            (phrase.part, {other.part for other in known}),
            (phrase.finding, {other.finding for other in known}),
        ):
            if word and word not in words:
                raise UsageError(
                    "E_STRUCTURE", f"This model has no words for {word!r}.", "'bodymaps info' lists what it knows."
                )


def load_universal(entry: ModelEntry, device: str | None = None) -> UniversalSegmenter:
    """The segmenter of an installed model of kind 'universal', which answers `entry.channels`.

    Raises WeightsError as `read_tensors` does.
    """
    config = UniversalConfig(**entry.config)
    with torch.device("meta"):
        wanted = shapes_of(UniversalNetwork(config))
    tensors = read_tensors(entry, wanted)
    network = UniversalNetwork(config)
    network.load_state_dict(tensors)
    return UniversalSegmenter(
        network,
        name=entry.title,
        runtime=pick_runtime(device),
        answered=entry.channels,
        calibration=entry.calibration,
        lesion_sizes=entry.lesion_sizes,
    )


def _union(masks: list[Mask], name: str) -> Mask:
    """Both masks of a pair as one, its score the lower one of those seen."""
    first, second = masks
    scores = [mask.score for mask in masks if mask.score is not None]
    return Mask(first.voxels | second.voxels, first.grid, name, score=min(scores, default=None))


def _row_of(phrase: Phrase) -> str:
    """The name of the table's row that a phrase is of, else its words."""
    rows = [row.name for row in STRUCTURES if phrase_of(row.name) == phrase]
    words = (phrase.finding, phrase.part, phrase.structure, phrase.side)
    return rows[0] if rows else "_".join(word for word in words if word)
