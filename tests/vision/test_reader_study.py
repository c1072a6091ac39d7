"""The blinded study: crops, pairs, the page and its key, and scores."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.vision.reader_crops import GRID, STRUCTURE, ball, crop, study_cases, write_lesions
from vision.benchmark import find_cases
from vision.benchmark.lesions import connected_lesions
from vision.errors import InputRefused, UsageError
from vision.geometry import Grid, Mask, resample
from vision.synthesis.reader_study import (
    StudyAnswers,
    StudyKey,
    crops_of,
    export_study,
    read_answers,
    read_key,
    score_json,
    score_study,
    score_table,
)
from vision.synthesis.reader_study.crops import SHAPE, crop_grid, largest_cut_mm
from vision.synthesis.reader_study.export import paired, picture, write_study
from vision.synthesis.reader_study.score import proportion


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_crop_has_its_lesion_in_the_middle_slice_and_keeps_its_size(tmp_path: Path) -> None:
    (one,) = crops_of(study_cases(tmp_path, ["a"]), rng())
    assert one.hu.shape == one.lesion.shape == SHAPE
    assert one.lesion[:, :, 4].sum() == one.lesion.sum(axis=(0, 1)).max()
    assert np.argwhere(one.lesion[:, :, 4]).mean(axis=0) == pytest.approx([64, 64], abs=1.5)
    assert np.ptp(np.argwhere(one.lesion[:, :, 4])[:, 0]) * 0.75 == pytest.approx(28, abs=4)
    assert one.hu[one.lesion].mean() == pytest.approx(40, abs=10)


def test_a_crop_is_the_same_however_the_ct_is_stored() -> None:
    hu, voxels = np.random.default_rng(3).normal(60, 20, GRID.shape), ball((20, 24, 12), 10)
    affine = np.array(GRID.affine)
    affine[:3, 3] = GRID.to_mm(np.array([GRID.shape[0] - 1, 0, 0]))
    affine[0, 0] *= -1
    turned = Grid(GRID.shape, affine)
    stored = [(GRID, hu, voxels), (turned, hu[::-1], voxels[::-1].copy())]
    crops = []
    for grid, values, lesion in stored:
        centre = largest_cut_mm(connected_lesions(Mask(lesion, grid, STRUCTURE))[0])
        crops.append(resample(values, grid, crop_grid(grid, centre)))
    assert crops[0] == pytest.approx(crops[1], abs=1e-3)


def test_lesions_too_small_or_too_large_are_left_out_and_at_most_four_of_a_case_are_drawn(tmp_path: Path) -> None:
    places = [(10 + 14 * a, 10 + 14 * b, 12) for a in range(3) for b in range(2)]
    many = np.logical_or.reduce([ball(place, 10) for place in places])
    write_lesions(tmp_path / "many", {STRUCTURE: many})
    write_lesions(tmp_path / "other", {STRUCTURE: ball((24, 24, 12), 60), "pancreas_lesion": ball((4, 4, 4), 0.5)})
    found = crops_of(find_cases([tmp_path]), rng())
    assert [one.case for one in found] == ["many"] * 4
    assert len({one.number for one in found}) == 4


def test_pairs_are_of_one_structure_and_similar_size_and_none_is_used_twice() -> None:
    real = [crop("r1", None, long_axis_mm=20), crop("r2", None, long_axis_mm=40)]
    painted = [crop("p1", "x", long_axis_mm=38), crop("p2", "x", long_axis_mm=21), crop("p3", "x", long_axis_mm=70)]
    pairs = paired(real, painted)
    assert {(one.case, other.case) for one, other in pairs} == {("p1", "r2"), ("p2", "r1")}


def test_a_picture_shows_the_right_of_the_patient_on_the_left_and_holds_no_words() -> None:
    one = crop("a", None)
    hu = one.hu.copy()
    hu[100:, 100:, 4] = 240
    content = picture(type(one)(None, "a", STRUCTURE, 1, 20.0, hu, one.lesion))
    shown = Image.open(io.BytesIO(content))
    assert shown.size == (128, 128 * 9)
    assert shown.info == {}
    middle = np.asarray(shown)[4 * 128 : 5 * 128]
    assert middle[:28, :28].min() == 255
    assert middle[-28:, -28:].max() < 255


class Links(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.identifiers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        self.identifiers += [value or "" for name, value in attrs if name == "id"]


def study(tmp_path: Path, seed: int = 0) -> Path:
    """A study of three pairs by two engines."""
    real = [crop(f"jane{number}", None, seed=number) for number in range(4)]
    painted = [crop(f"case{number}", "handcrafted", seed=9 + number) for number in range(2)]
    painted.append(crop("case7", "automaton", seed=20))
    done = write_study(real, painted, tmp_path / "out", np.random.default_rng(seed))
    assert (done.real, done.painted) == (3, {"handcrafted": 2, "automaton": 1})
    return tmp_path / "out"


def test_the_page_tells_nothing_and_fetches_nothing_and_the_key_tells_all(tmp_path: Path) -> None:
    out = study(tmp_path)
    page = (out / "for_readers" / "study.html").read_text()
    assert [path.name for path in (out / "for_readers").iterdir()] == ["study.html"]
    words = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    for telling in ("jane", "case", "handcrafted", "automaton", str(tmp_path), "liver", "%"):
        assert telling not in re.sub(r"100%|}%|toLowerCase", "", words), telling
    links = Links()
    links.feed(page)
    assert links.fetched == []
    assert "http" not in words.replace("http-equiv", "")
    content = json.loads(re.search(r'id="content">(.*?)</script>', page, re.DOTALL).group(1))  # type: ignore[union-attr]
    assert content.keys() == {"study", "slices", "pixels", "pictures"}
    key = json.loads((out / "key.json").read_text())
    assert len(content["pictures"]) == len(key["items"]) == 6
    assert sorted(row["truth"] for row in key["items"].values()) == ["painted"] * 3 + ["real"] * 3
    assert {row["case"] for row in key["items"].values()} >= {"case0", "case1", "case7"}
    sizes = {Image.open(io.BytesIO(base64.b64decode(one.split(",")[1]))).size for one in content["pictures"]}
    assert sizes == {(128, 128 * 9)}


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_order(tmp_path: Path) -> None:
    first, again = study(tmp_path / "a"), study(tmp_path / "b")
    assert (first / "key.json").read_bytes() == (again / "key.json").read_bytes()
    assert (first / "for_readers/study.html").read_bytes() == (again / "for_readers/study.html").read_bytes()
    other = study(tmp_path / "c", 1)
    assert (first / "key.json").read_bytes() != (other / "key.json").read_bytes()


def test_a_study_without_a_pair_is_refused(tmp_path: Path) -> None:
    real, painted = [crop("a", None, long_axis_mm=20)], [crop("b", "x", long_axis_mm=36)]
    with pytest.raises(UsageError, match="E_READER_STUDY: No painted lesion"):
        write_study(real, painted, tmp_path, rng())
    with pytest.raises(UsageError, match="E_READER_STUDY: A study of 0 pairs"):
        write_study(real, painted, tmp_path, rng(), most=0)


def test_pairs_are_shared_out_among_the_engines(tmp_path: Path) -> None:
    real = [crop(f"r{number}", None, seed=number) for number in range(8)]
    painted = [crop(f"p{number}", "few" if number == 5 else "many", seed=9 + number) for number in range(6)]
    done = write_study(real, painted, tmp_path, rng(), most=3)
    assert (done.real, done.painted) == (3, {"many": 2, "few": 1})


def test_a_study_is_cut_out_of_the_cases_of_each_engine(tmp_path: Path) -> None:
    real, painted = study_cases(tmp_path / "r", ["a"]), study_cases(tmp_path / "p", ["b"])
    done = export_study(real, {"x": painted}, tmp_path / "out", rng())
    rows = json.loads(done.key.read_text())["items"].values()
    assert {(row["truth"], row["engine"], row["case"]) for row in rows} == {("real", None, "a"), ("painted", "x", "b")}


KEY = StudyKey("s1", {"1": None, "2": "a", "3": None, "4": "b", "5": "a"})


def test_scores_are_shares_of_what_was_answered_with_wilson_intervals() -> None:
    score = score_study(StudyAnswers("s1", {"1": "real", "2": "painted", "3": "painted", "4": "real"}), KEY)
    assert (score.accuracy.right, score.accuracy.n, score.unanswered) == (2, 4, 1)
    assert (score.sensitivity.right, score.sensitivity.n) == (1, 2)
    assert (score.specificity.right, score.specificity.n) == (1, 2)
    assert {engine: (share.right, share.n) for engine, share in score.by_engine.items()} == {"a": (1, 1), "b": (0, 1)}
    # Wilson 1927 for 1 of 2 and for 8 of 10.
    assert (score.sensitivity.low, score.sensitivity.high) == (
        pytest.approx(0.0945, abs=1e-4),
        pytest.approx(0.9055, abs=1e-4),
    )
    eight = proportion([True] * 8 + [False] * 2)
    assert (eight.low, eight.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


def test_no_answer_has_no_share() -> None:
    score = score_study(StudyAnswers("s1", {}), KEY)
    assert (score.accuracy.share, score.unanswered) == (None, 5)
    assert score_json([score])[0]["accuracy"]["share"] is None
    assert score_table([score]).row_count == 1


@pytest.mark.parametrize("answers", [StudyAnswers("s2", {"1": "real"}), StudyAnswers("s1", {"9": "real"})])
def test_answers_of_another_study_are_refused(answers: StudyAnswers) -> None:
    with pytest.raises(InputRefused, match="E_ANSWERS: The answers are those of another study"):
        score_study(answers, KEY)


JSON = '{"format": "bodymaps-reader-study-answers-1", "study": "s1", "answers": {"1": "real", "2": "painted"}}'


@pytest.mark.parametrize("text", [JSON, "study,item,answer\ns1,1,real\ns1,2,painted\ns1,3,\n"])
def test_answers_are_read_from_either_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "answers").write_text(text)
    assert read_answers(tmp_path / "answers") == StudyAnswers("s1", {"1": "real", "2": "painted"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        JSON.replace("painted", "maybe"),
        JSON.replace("answers-1", "answers-2"),
        "study,item,answer\n",
        "study,item,answer\ns1,1,real\ns2,2,real\n",
        "study,item,answer\ns1,1,real\ns1,1,painted\n",
        "case,answer\n1,real\n",
        "\x00\x01",
        " " * (5 << 20),
    ],
)
def test_other_files_are_no_answers(tmp_path: Path, text: str) -> None:
    (tmp_path / "answers").write_text(text)
    with pytest.raises(InputRefused, match=r"E_ANSWERS|E_EMPTY"):
        read_answers(tmp_path / "answers")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        JSON,
        '{"format": "bodymaps-reader-study-key-1", "study": "s", "items": {"1": {"truth": "real", "engine": "x"}}}',
        '{"format": "bodymaps-reader-study-key-1", "study": "s", "items": {"1": {"truth": "other", "engine": "x"}}}',
    ],
)
def test_other_files_are_no_key(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(InputRefused, match="E_STUDY_KEY"):
        read_key(tmp_path / "key.json")


def test_the_key_that_was_written_is_read(tmp_path: Path) -> None:
    key = read_key(study(tmp_path) / "key.json")
    assert sorted(str(engine) for engine in key.engines.values()) == ["None"] * 3 + ["automaton"] + ["handcrafted"] * 2
