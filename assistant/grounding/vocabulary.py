"""Words that may stand in a reply without stating anything of the body. Any other word is refused: it has no record."""

from __future__ import annotations

import re
from functools import cache

from assistant.grounding.lexicon import plain
from prompts.replies import FIXED, LESION_PARTS, REPLIES

_FUNCTION = """
a about across additionally after all along also although am among an and another any approximately are around as at
be because been being between but by can come comes contains did do does done due during each else etc every finally
find first for found from further furthermore gave get give given gives had has have having here how however i if in
including inside into is it its itself just lie lies like made make makes may me means meanwhile might more moreover
much my namely of on once one only onto or other others our out over own per please rather respectively second several
shall she so some such than that the their them then there therefore these they third this those through thus to
together too total toward under until up upon us very via was we well were what when where whereas which while who
whose will with within would yes you your
"""
_WORK = """
abdomen abdominal accurate action add added algorithm amount analysis answer answered area asked asking assistant
attenuation automatic automatically average axial based bottom boundaries boundary box boxes calculated candidates
cannot case centroid chart click coarse color colored combined compare compared comparison complete completed
component components computed confidence contact contour contours contrast coordinates coronal count counted cover
covered covers ct data deep delineated detect detected detection deviation diameter diameters differ difference
dimension dimensions display displayed distance download drawn end ends estimate estimated evaluated examination
example expected export exported extends extent extract extracted file files finding findings folder follow following
follows format framed frames full further grid height highest highlight highlighted hounsfield hu identified image
images indicated intended label labels length level limits list listed listing locate located location long lowest
made map mark marked marks mask masks maximum mean measure measured measurement measurements measures median method
millimeter minimum model name named nearest need number numbered open opened orientation outline outlined overlay p5
p95 page part parts patient percent percentile percentiles phase pixel plane position possible potential preview
product published quality quantities quantity question range ranges ratio recist record recorded records region
regions report reported request requested respectively result results sagittal save saved scan scanned score sd search
searched see seen segment segmentation segmentations segmented segments series shape shortest show showed shown shows
side sides site size sizes slice slices spacing spans standard step steps structure structures study sum summary
suspected table taken target tell text thickness together top try type unit units use used using value values view
visible visualized volume volumes voxel voxels who whole widest width work written
"""
_QUANTITIES = "axis axes short long shortest longest apart mean median"
_WORD = re.compile(r"[a-z]+[0-9]*")
_SIGNS = re.compile(r"[^a-z0-9\s.,;:!?()'\"/%&\u2018\u2019\u201c\u201d\u2014\u2026\u00b2\u00b3\u00b0-]+")
"""Anything but Latin letters and the marks of plain prose: other scripts, pictures, signs that compare or calculate."""


@cache
def _allowed() -> frozenset[str]:
    said = [*(REPLIES[name] for name in REPLIES.keys() - set(FIXED)), *LESION_PARTS.values()]
    templates = " ".join(re.sub(r"\{[^}]*\}", " ", plain(sentence)) for sentence in said)
    known = {*plain(_FUNCTION).split(), *plain(_WORK).split(), *_QUANTITIES.split(), *_WORD.findall(templates)}
    return frozenset(known)


def strange_words(text: str) -> list[str]:
    """Words of a `lexicon.plain` text that no vocabulary holds, in order, and what is written in other signs."""
    return [word for word in _WORD.findall(text) if word not in _allowed()] + _SIGNS.findall(text)
