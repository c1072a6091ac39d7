"""Real tumour shapes from a folder, here drawn ones in the folder's layout."""

import math

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from vision.errors import InputRefused, UsageError
from vision.synthesis.tumours import Wish, make_engine, settle, synthesise
from vision.synthesis.tumours.presets import presets
from vision.synthesis.tumours.real_shapes import open_shapes, turned_level
from vision.synthesis.tumours.shape_folder import Shape, list_shapes, read_shape

SPACING = (1.5, 1.5, 1.5)


def ellipsoid(shape, spacing, radii_mm, centre=None):
    centre = [(count - 1) / 2 for count in shape] if centre is None else centre
    total = np.zeros(shape)
    for axis, (count, step) in enumerate(zip(shape, spacing, strict=True)):
        along = np.square((np.arange(count) - centre[axis]) * step / radii_mm[axis])
        total = total + along.reshape([-1 if other == axis else 1 for other in range(3)])
    return total <= 1


def save(path, labels, spacing=SPACING):
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.uint8), np.diag([*spacing, 1.0])), path)


@pytest.fixture
def folder(tmp_path):
    """A kidney with a long tumour and a cyst, and a row whose file is not there."""
    kidney = tmp_path / "kidney"
    kidney.mkdir()
    shape = (60, 40, 40)
    tumour = ellipsoid(shape, SPACING, (18.0, 10.0, 10.0), (20, 20, 20))
    cyst = ellipsoid(shape, SPACING, (9.0, 9.0, 9.0), (48, 20, 20))
    save(kidney / "case_1.nii.gz", tumour * 60 + cyst * 61)
    rows = ["case,tumour_ml,cyst_ml", "case_1,7.5,3.0", "case_2,5.0,0.0", "../case_1,5.0,0.0"]
    (kidney / "cases.csv").write_text("\n".join(rows))
    return tmp_path


def liver():
    shape = (60, 60, 60)
    mask = ellipsoid(shape, SPACING, (42.0, 42.0, 42.0))
    noise = np.random.default_rng(1).normal(0, 10, shape)
    return np.rint(np.where(mask, 100, -100) + noise).astype(np.int16), mask


def paint(engine, diameter_mm, seed=0, kind="tumour"):
    ct, mask = liver()
    wish = Wish("liver", kind, diameter_mm, centre=(30, 30, 30))
    return synthesise(ct, mask, SPACING, wish=wish, engine=engine, rng=np.random.default_rng(seed))


def test_only_lesions_whose_files_stand_in_the_folder_are_listed(folder):
    assert [(shape.organ, shape.kind, shape.path.name) for shape in list_shapes(folder)] == [
        ("kidney", "tumour", "case_1.nii.gz"),
        ("kidney", "cyst", "case_1.nii.gz"),
    ]


@pytest.mark.parametrize("diameter_mm", [12.0, 30.0])
def test_a_shape_is_scaled_to_the_wished_diameter(folder, diameter_mm):
    tumour = paint(open_shapes(folder), diameter_mm)
    assert tumour.facts.equivalent_diameter_mm == pytest.approx(diameter_mm, rel=0.05)
    assert tumour.facts.engine == "real-shape"


def test_a_long_shape_stays_long_however_it_is_turned(folder):
    engine = open_shapes(folder)
    for seed in range(3):
        places = np.argwhere(paint(engine, 24.0, seed).mask) * 1.5
        spread = np.sqrt(np.linalg.eigvalsh(np.cov(places.T)))
        assert spread[2] / spread[0] == pytest.approx(1.8, rel=0.1)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_turn(folder):
    engine = open_shapes(folder)
    first, again, other = (paint(engine, 24.0, seed) for seed in (1, 1, 2))
    assert first.ct.tobytes() == again.ct.tobytes()
    assert first.mask.tobytes() == again.mask.tobytes() != other.mask.tobytes()


def test_a_cyst_takes_the_shape_of_a_cyst(folder):
    mask = paint(open_shapes(folder), 20.0, kind="cyst").mask
    spread = np.sqrt(np.linalg.eigvalsh(np.cov(np.argwhere(mask).T)))
    assert spread[2] / spread[0] < 1.2


def test_the_deepest_point_of_a_shape_lies_on_the_centre_at_any_spacing():
    shape = Shape(np.pad(ellipsoid((20, 12, 8), (1.0, 1.5, 3.0), (9.0, 8.0, 11.0)), 1), (1.0, 1.5, 3.0))
    wish = settle(Wish("liver", "tumour", 24.0), presets(), np.random.default_rng(0), centre=(20, 16, 6))
    level = turned_level(shape, (40, 32, 12), (1.0, 1.2, 4.0), wish, np.random.default_rng(0))
    centre = ndimage.center_of_mass(level < 1)
    assert np.abs((np.array(centre) - wish.centre) * (1.0, 1.2, 4.0)).max() < 3.0
    volume = np.count_nonzero(level < 1) * 1.0 * 1.2 * 4.0
    assert volume == pytest.approx(math.pi / 6 * 24.0**3, rel=0.2)


def test_one_lesion_of_several_is_cut_out(folder):
    labels = np.zeros((40, 20, 20))
    labels[3:9, 5:12, 5:12] = labels[20:32, 5:12, 5:12] = labels[38, 2, 2] = 60
    save(folder / "kidney" / "case_1.nii.gz", labels)
    listed = list_shapes(folder)[0]
    counts = {np.count_nonzero(read_shape(listed, np.random.default_rng(seed)).mask) for seed in range(12)}
    assert counts == {6 * 49, 12 * 49}


@pytest.mark.parametrize("text", [None, "case,tumour_ml\ncase_1,8\n", "case,tumour_ml,cyst_ml\ncase_1,much,0\n"])
def test_a_folder_that_holds_no_shapes_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "kidney").mkdir()
        save(tmp_path / "kidney" / "case_1.nii.gz", np.zeros((4, 4, 4)))
        (tmp_path / "kidney" / "cases.csv").write_text(text)
    with pytest.raises(UsageError, match=r"E_SHAPES.*It needs kidney or pancreas with cases.csv"):
        open_shapes(tmp_path)


def test_a_kind_that_the_folder_does_not_hold_is_refused(folder):
    (folder / "kidney" / "cases.csv").write_text("case,tumour_ml,cyst_ml\ncase_1,8,0\n")
    with pytest.raises(UsageError, match=r"E_SHAPES.*no shape of a cyst"):
        paint(open_shapes(folder), 20.0, kind="cyst")


def test_a_label_map_without_its_lesion_is_refused(folder):
    save(folder / "kidney" / "case_1.nii.gz", np.zeros((8, 8, 8)))
    with pytest.raises(InputRefused, match=r"E_SHAPE: A label map does not hold the lesion"):
        paint(open_shapes(folder), 20.0)


def test_the_engine_is_made_by_name_and_folder(folder):
    assert make_engine("real-shape", shapes=folder) == open_shapes(folder)
    with pytest.raises(UsageError, match=r"E_SHAPES.*needs a folder"):
        make_engine("real-shape")
