"""The sight and the segmenter together: its tokens are read, and a mask token's query vector makes a mask."""

from __future__ import annotations

import numpy as np
import torch

from tests.assistant.language.sighted import MASK, open_gates, sighted, text
from tests.vision.test_coarse_to_fine import BALL, GRIDS, tiny_network
from tests.vision.threshold_network import CPU, ball_ct
from vision.models.coarse_to_fine import UniversalSegmenter


def test_a_mask_token_that_says_the_liver_gives_the_livers_mask() -> None:
    segmenter = UniversalSegmenter(tiny_network("liver", "spleen"), name="tiny", runtime=CPU)
    encoding = segmenter.encode(ball_ct(GRIDS["coarse"], BALL))
    model = open_gates(sighted(token_width=16, pooled_width=8, query_width=8))
    ids, attention_mask = text(1)
    ids[0, 5] = MASK
    with torch.no_grad():
        last = model.sight.mask_token.project[-1]
        last.weight.zero_()
        last.bias.copy_(3 * segmenter.network.queries(("liver",))[0])
        output = model(ids, attention_mask, looked=model.look([segmenter.tokens(encoding)]))
        query = model.mask_queries(output, ids)[0]
    mask = segmenter.segment_query(encoding, query, name="liver")
    table = segmenter.segment(encoding, "liver")
    assert mask.grid is encoding.ct.grid
    assert table.count > 0
    # Made of unit length again, the query may differ in its last bit.
    assert np.mean(mask.voxels != table.voxels) < 1e-4
