"""The closed word lists and patterns with which a sentence is read. All match the output of `lexicon.plain`."""

from __future__ import annotations

import re

NUMBER_WORDS = {
    "one": 1, "single": 1, "solitary": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
SPELLED = (
    r"dozens?|pairs?|couple|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|hundreds?|thousands?|million|thirds?|quarters?|zero"
)
"""Other spelled numbers: nothing is written so."""
SEVERAL = ("several", "multiple", "many", "numerous", "few", "various")
ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8}


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b")


FORBIDDEN = _any(
    r"biops\w+", r"histolog\w+", r"patholog\w+", r"proven", r"confirmed", r"diagnos\w+", r"malignan\w+", r"benign\w*",
    r"cancer\w*", r"\w*carcinoma\w*", r"sarcoma\w*", r"lymphoma\w*", r"metasta\w+", r"hcc", r"pdac", r"rcc", r"pnet",
    r"ipmn", r"stage[ds]?(?: (?:[0-4]|i{1,3}v?|iv)[a-c]?)?", r"staging", r"[cp]?t[0-4][a-d]?(?:n[0-3x])?(?:m[01x])?",
    r"n[0-3x]m[01x]", r"[ptcy]?tnm", r"(?:li|bi|pi)-?rads(?: \w+)?", r"recommend\w*", r"should", r"must", r"advis\w+",
    r"treat\w*", r"therap\w+", r"surg\w+", r"resect\w+", r"resection", r"chemo\w*", r"radiotherap\w*", r"operab\w+",
    r"follow-?up", r"prognos\w+", r"curative", r"urgent\w*", r"emergency", r"prescri\w+", r"drugs?", r"medication",
    r"symptom\w*", r"patient (?:has|suffers)", r"certainly", r"definite\w*", r"undoubtedly", r"guarantee\w*",
    r"clinically",
)  # fmt: skip
"""Diagnosis, stage, proof and advice: no measurement of a mask covers them."""

DESCRIPTION = _any(
    r"(?:hypo|hyper|iso)-?(?:dense|attenuating|vascular|enhancing)\w*", r"enhanc\w+", r"calcif\w+", r"necro\w+",
    r"cirrho\w+", r"steato\w+", r"fatty", r"fibro\w+", r"hemorrhag\w+", r"bleed\w*", r"fractur\w+", r"dilat\w+",
    r"enlarge\w*", r"hepatomegaly", r"splenomegaly", r"\w+megaly", r"atroph\w+", r"inflam\w+", r"\w+itis", r"thromb\w+",
    r"obstruct\w+", r"perforat\w+", r"invad\w+", r"invasi\w+", r"infiltrat\w+", r"encas\w+", r"homogeneous\w*",
    r"heterogeneous\w*", r"thicken\w+", r"edema\w*", r"swollen", r"swelling", r"displac\w+", r"irregular\w*", r"smooth",
    r"well-defined", r"ill-defined", r"spiculat\w+", r"healthy", r"clear", r"abnormal\w*", r"suspicious", r"normal\w*",
    r"large", r"small", r"big", r"huge", r"tiny", r"massive", r"mild\w*", r"moderate\w*", r"severe\w*", r"marked\w*",
    r"slight\w*", r"significant\w*", r"dense", r"solid", r"unremarkable", r"physiologic\w*", r"within normal limits",
)  # fmt: skip
"""Appearance and judgement words for which a record has no field."""

OVER_TIME = _any(
    r"unchanged", r"stable", r"stability", r"grown", r"grew", r"grow(?:s|ing)", r"increas\w+", r"decreas\w+", r"shrunk",
    r"shrank", r"shrink\w*", r"progress\w+", r"regress\w+", r"interval", r"previous\w*", r"prior", r"before", r"since",
    r"earlier", r"compared with the last", r"last (?:ct|scan|exam\w*|time|study)", r"new", r"newly", r"no longer",
    r"no change", r"change[ds]?", r"respon\w+", r"recur\w+", r"resolved", r"disappeared", r"follow-?up", r"still",
    r"again", r"already", r"doubl\w+", r"faster", r"worse\w*", r"improv\w+", r"better", r"over time",
)  # fmt: skip
RISE = _any(r"grown", r"grew", r"increas\w+", r"progress\w*")
FALL = _any(r"decreas\w+", r"shrunk", r"shrank", r"regress\w*")

NEUTRAL = _any(
    r"(?:slices are )?counted from 0", r"slice numbers count from 0", r"(?:portal )?venous phase", r"arterial phase",
    r"normal range", r"(?:with )?no prior ct is open", r"not for clinical use",
)  # fmt: skip
"""Fixed phrases that state nothing about a finding."""

NO_SIZE = _any(r"(?:so )?no (?:volume|size|measurement|diameter)s? (?:is|are|was|were) given")
NOT_ASSESSABLE = _any(
    r"(?:is|are|was|were) not (?:assessable|assessed|searched(?: for)?)", r"(?:can|could)(?:not| not) be assessed",
    r"not assessable", r"(?:can|could)(?:not| not) be judged",
)  # fmt: skip
CUT = re.compile(
    r"\bcut (?:off )?(?:by|at) the ((?:superior|inferior|left|right|anterior|posterior|upper|lower)"
    r"(?:(?:, | and |, and )(?:superior|inferior|left|right|anterior|posterior))*) (?:ends?|edges?|sides?|borders?) of "
    r"the (?:scan|ct)(?: range)?"
)
RANGE = re.compile(r"\b(above|below|within) the (?:published )?normal range\b")
COMPARED = re.compile(r"\b(larger|bigger|greater|smaller|longer|shorter) than\b")
COMPARATIVE = _any(
    r"larger", r"bigger", r"greater", r"smaller", r"longer", r"shorter", r"largest", r"smallest", r"biggest", r"same",
    r"equal\w*", r"symmetric\w*", r"asymmetric\w*", r"twice", r"half", r"most",
)  # fmt: skip
NO_BEFORE = _any(r"no", r"without", r"neither", r"nor", r"absence of", r"free of", r"lacks?", r"free from")
NO_AFTER = _any(
    r"not", r"absent", r"invisible", r"missing", r"none", r"never", r"cannot", r"nothing", r"nowhere", r"\w+n't",
    r"n't", r"unseen", r"hardly", r"barely", r"lack",
    r"excluded", r"ruled out", r"negative", r"fail\w*", r"removed", r"undetect\w+", r"undetected",
)  # fmt: skip

_SEGMENT = r"(?:[1-9](?!\d|[.,]\d| ?(?:mm|cm|ml|hu|x|%))|vi{0,3}|i[iv]{0,2})\b"
SEGMENTS = re.compile(
    rf"\b(?:couinaud |liver |hepatic )?segments? ({_SEGMENT}(?:(?:, and |, | and |/|-| to ){_SEGMENT})*)"
)
SLICES = re.compile(r"\b(?:between )?slices? (?:number )?(\d+)(?:(?: ?- ?| to | and | through )(\d+))?\b")
NO_PLACE = re.compile(
    r"\b(?:is|are|was|were|of|to|measures?|x|by|volume|attenuation|confidence|deviation|axis|product|length):? ?$"
)
"""Before slices or segments that stand where a value belongs ('the volume is slice 3')."""
IN_PLACE = re.compile(r"\b(?:in|on|inside) (?:the |a )?$")
"""Before a value that stands where a place belongs ('lies in 3 mL')."""
TIMES_BEFORE, TIMES_AFTER = re.compile(r"\bx ?$"), re.compile(r" ?x\b")
CONFIDENCE = re.compile(r"\bconfidence(?: of| is| score|:)? (\d+(?:\.\d+)?%?)")
PART = _any(
    r"(?:upper|lower) pole", r"interpolar region", r"uncinate process", r"(?:left|right|caudate|quadrate) lobe",
    r"head", r"neck", r"tail", r"dome", r"fundus", r"antrum", r"hilum", r"body",
)  # fmt: skip
DIRECTION = _any(
    r"superior\w*", r"inferior\w*", r"anterior\w*", r"posterior\w*", r"lateral\w*", r"medial\w*", r"upper", r"lower",
    r"subcapsular", r"central\w*", r"peripheral\w*", r"bilateral\w*", r"unilateral\w*", r"near",
)  # fmt: skip
SIDE = re.compile(r"\b(left|right)(?:-sided)?\b")
BOTH = _any(r"both", r"each", r"either")

QUANTITIES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (_any(r"volumes?"), ("volume",)),
    (_any(r"short(?:est)? (?:axis|axes|diameter)"), ("short_axis",)),
    (_any(r"long(?:est)? (?:axis|axes|diameter)", r"(?<!short )(?<!shortest )diameter"), ("long_axis",)),
    (_any(r"length"), ("extent",)),
    (_any(r"confidence"), ("confidence",)),
    (_any(r"count", r"number of"), ("count",)),
    (_any(r"who", r"product"), ("who",)),
    (_any(r"standard deviation", r"sd"), ("hu_sd",)),
    (_any(r"p5"), ("hu_p5",)),
    (_any(r"p95"), ("hu_p95",)),
    (_any(r"median"), ("hu_p50", "median")),
    (_any(r"mean(?: attenuation)?", r"average"), ("hu_mean", "mean")),
    (_any(r"distance", r"apart"), ("distance",)),
    (_any(r"contact"), ("contact",)),
    (_any(r"ratio"), ("ratio",)),
    (_any(r"differ\w*", r"difference"), ("difference",)),
)
NORMAL = ("normal_low", "normal_high")
UNNAMED = {
    "mL": ("volume",),
    "mm": ("long_axis", "short_axis", "extent"),
    "mm2": ("who",),
    "HU": ("hu_mean", "hu_p50"),
    "degrees": (),
}
"""The quantities that a number with this unit can be when no word says which; of other units any."""
RELATIONAL = ("distance", "contact", "ratio", "difference")
"""Quantities between two structures: recorded with one, true of both."""
