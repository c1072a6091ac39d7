"""The structure table: every structure the project has a name for, one row each, read from three CSV files.

`structures.csv` holds the structures, `groups.csv` the words for several at once, `normal_ranges.csv` published sizes.
Codes (SNOMED CT, RadLex) agree with TotalSegmentator's mapping, pydicom's dictionary and openimagingdata/findingmodel.
No torch, no numpy: importing this is cheap.
"""

from __future__ import annotations

from vision.structures.table import (
    ABDOMENATLAS,
    GROUP_WORDS,
    GROUPS,
    LATERALITY,
    STRUCTURES,
    UNIVERSAL32,
    NormalRange,
    Structure,
    by_name,
    find_near,
    names,
    plain_words,
)

__all__ = [
    "ABDOMENATLAS",
    "GROUPS",
    "GROUP_WORDS",
    "LATERALITY",
    "STRUCTURES",
    "UNIVERSAL32",
    "NormalRange",
    "Structure",
    "by_name",
    "find_near",
    "names",
    "plain_words",
]
