from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest

from vision.errors import UsageError
from vision.structures import (
    ABDOMENATLAS,
    GROUP_WORDS,
    GROUPS,
    LATERALITY,
    STRUCTURES,
    UNIVERSAL32,
    Structure,
    by_name,
    find_near,
    names,
    plain_words,
)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: structure.name)
def test_every_row_is_sound(structure: Structure) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", structure.name)
    assert structure.spoken == structure.spoken.strip() != ""
    assert structure.kind in ("organ", "vessel", "lesion", "part", "extra")
    assert (structure.label is None) == (structure.kind == "extra")
    assert structure.label is None or 1 <= structure.label <= 255
    assert all(0 <= channel <= 255 for channel in structure.colour)
    assert structure.parent is None or structure.parent in {*names(), *GROUPS}
    assert set(structure.lesion_of) <= set(names())
    assert structure.kind != "lesion" or structure.lesion_of
    assert (structure.side is None) == (structure.pair is None)
    assert structure.pair is None or structure.name in GROUPS[structure.pair]
    assert structure.snomed is None or (re.fullmatch(r"\d{6,18}", structure.snomed[0]) and structure.snomed[1])
    assert structure.kind == "extra" or structure.snomed
    assert structure.radlex is None or re.fullmatch(r"RID\d+", structure.radlex)
    assert all(0 <= row.low < row.high and row.unit and row.source for row in structure.normal)
    for form in (structure.name, structure.spoken, structure.spoken.upper(), *structure.synonyms):
        assert by_name(form) is structure


def test_names_labels_and_colours_are_unique() -> None:
    for values in (
        [structure.name for structure in STRUCTURES],
        [structure.colour for structure in STRUCTURES],
        [structure.label for structure in STRUCTURES if structure.label is not None],
    ):
        assert [value for value, n in Counter(values).items() if n > 1] == []


def test_no_word_means_two_things() -> None:
    owners: dict[str, set[str]] = {}
    for structure in STRUCTURES:
        for form in (structure.name, structure.spoken, *structure.synonyms):
            owners.setdefault(plain_words(form), set()).add(structure.name)
    for group, words in GROUP_WORDS.items():
        for form in (group, *words):
            owners.setdefault(plain_words(form), set()).add(f"group {group}")
    assert {form: owner for form, owner in owners.items() if len(owner) > 1} == {}


def test_snomed_codes_mean_what_the_dicom_dictionary_says() -> None:
    concepts = pytest.importorskip("pydicom.sr._concepts_dict").concepts["SCT"]
    meanings: dict[str, set[str]] = {}
    for entry in concepts.values():
        for code, (meaning, _) in entry.items():
            meanings.setdefault(code, set()).add(meaning.lower())
    known = [structure for structure in STRUCTURES if structure.snomed and structure.snomed[0] in meanings]
    assert len(known) > 90
    wrong = {
        structure.name: meanings[structure.snomed[0]]
        for structure in known
        if structure.snomed
        and not any(structure.snomed[1].lower() in meaning for meaning in meanings[structure.snomed[0]])
    }
    assert wrong == {}
    assert all(meaning.lower() in meanings[code] for code, meaning in LATERALITY.values())


def test_abdomenatlas_has_its_25_structures_in_order() -> None:
    assert list(ABDOMENATLAS) == list(range(1, 26))
    assert [ABDOMENATLAS[i] for i in (1, 2, 5, 7, 13, 19, 23, 25)] == [
        "aorta",
        "gall_bladder",
        "liver",
        "postcava",
        "celiac_trunk",
        "hepatic_vessel",
        "portal_vein_and_splenic_vein",
        "rectum",
    ]


def test_the_other_order_differs_and_names_the_same_structures() -> None:
    assert list(UNIVERSAL32) == list(range(1, 33))
    assert set(ABDOMENATLAS.values()) < set(UNIVERSAL32.values())
    assert UNIVERSAL32[1] == "spleen"
    assert UNIVERSAL32[32] == "kidney_cyst"


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("inferior_vena_cava", "postcava"),
        ("IVC", "postcava"),
        ("gallbladder", "gall_bladder"),
        ("small_bowel", "intestine"),
        ("urinary_bladder", "bladder"),
        ("celiac_truck", "celiac_trunk"),
        ("coeliac trunk", "celiac_trunk"),
        ("Arota", "aorta"),
        ("oesophagus", "esophagus"),
        ("pancreatic_lesion", "pancreas_lesion"),
        ("liver_tumor", "liver_lesion"),
        ("kidney_tumour", "kidney_lesion"),
        ("left kidney", "kidney_left"),
        ("Pancreas-Tail", "pancreas_tail"),
        ("liver segment IV", "liver_segment_4"),
    ],
)
def test_aliases_lead_to_their_structure(alias: str, name: str) -> None:
    assert by_name(alias).name == name


def test_an_unknown_name_lists_the_near_ones() -> None:
    with pytest.raises(UsageError, match="Nearest: spleen"):
        by_name("splean")
    with pytest.raises(UsageError, match="bodymaps info"):
        by_name("qqqqqq")
    assert find_near("livr", 1) == ("liver",)
    assert find_near("qqqqqq") == ()


@pytest.mark.parametrize("group", GROUPS)
def test_groups_name_structures_of_the_table(group: str) -> None:
    assert GROUPS[group]
    assert set(GROUPS[group]) <= set(names())
    assert GROUP_WORDS[group][0]


def test_a_normal_range_falls_back_to_both_sexes() -> None:
    kidney = by_name("kidney_left")
    male = kidney.normal_range("volume", sex="male")
    both = kidney.normal_range("volume")
    assert male is not None
    assert both is not None
    assert male.low > both.low
    spleen = by_name("spleen")
    assert spleen.normal_range("volume", sex="female") == spleen.normal_range("volume")
    assert by_name("aorta").normal_range("volume") is None


def test_importing_the_table_is_light() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import vision.structures; "
        "seconds = time.perf_counter() - start; "
        "heavy = {'torch', 'numpy', 'scipy', 'pydantic'} & set(sys.modules); print(seconds, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, heavy = done.stdout.split(maxsplit=1)
    assert heavy.strip() == "[]"
    assert float(seconds) < 0.5
