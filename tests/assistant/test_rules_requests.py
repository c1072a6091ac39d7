from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from assistant.language.evaluation.requests import read_requests, score_requests
from assistant.language.rules import RulePlanner

FOLDER = os.environ.get("BODYMAPS_DATA", "")
REQUESTS = Path(FOLDER) / "dev" / "requests.jsonl"


@pytest.mark.skipif(not REQUESTS.is_file(), reason="needs the requests of the data folder named in BODYMAPS_DATA")
def test_nine_of_ten_requests_by_others_name_exactly_the_structure_wanted() -> None:
    score = score_requests(read_requests(REQUESTS), RulePlanner())
    share = score.overall.right / score.overall.n
    missed = dict(Counter(miss.request.plain for miss in score.misses))
    print(f"structures exactly right: {share:.3f} of {score.overall.n}; missed by structure: {missed}")
    assert share >= 0.90, f"{share:.3f}: {missed}"
