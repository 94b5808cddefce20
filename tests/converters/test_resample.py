"""Volumes on another grid: resampled, moved onto another image or an atlas, flattened, smoothed."""

import math
from pathlib import Path

import numpy as np
import pytest
from prepared import AFFINE, blob, info, raw_case
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation

from converters.dataset import IGNORE
from converters.errors import BenchError
from converters.preparation import Preparation, applied
from converters.registration import affine, moved_mm, rigid
from converters.resample import (
    NEAREST,
    Grid,
    Rule,
    grid_of,
    image_of,
    matrix_of,
    onto,
    respaced,
    smoothed,
    transform_of,
    unbiased,
    volume_of,
)
from converters.source import Loaded
from converters.volume import Volume, axis_codes, to_ras, write_nifti

OBLIQUE = AFFINE.copy()
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", (7, -4, 11), degrees=True).as_matrix() @ AFFINE[:3, :3]
# Places inside the body, RAS mm.
BODY = np.array([[18, 0, 0, 1], [-18, 0, 0, 1], [0, 14, 0, 1], [0, 0, 15, 1], [0, 0, -15, 1], [12, 5, 4, 1]], float).T


def prepared(volume: Volume, preparation: Preparation, modality: str = "MR", **more: object) -> Loaded:
    """The case as the preparation leaves it."""
    case = raw_case("a", {"t1": volume}, **more)
    ((_, (one,)),) = applied([(info(modality=modality), [case])], preparation)
    return one.load()


def places(volume: Volume) -> np.ndarray:
    """RAS mm of every voxel, (X, Y, Z, 3)."""
    index = np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), axis=-1)
    return index @ volume.affine[:3, :3].T + volume.affine[:3, 3]


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE, np.diag([1.5, -2.0, 0.7, 1.0])], ids=["LPS", "oblique", "RPS"])
def test_a_volume_comes_back_from_simpleitk_as_it_was(kind: str, affine: np.ndarray) -> None:
    array = np.random.default_rng(0).integers(0, 250, (5, 4, 3)).astype(kind)
    back = volume_of(image_of(Volume(array, affine)))
    assert back.array.dtype == array.dtype
    assert np.array_equal(back.array, array)
    assert np.allclose(back.affine, affine, rtol=1e-14, atol=1e-13)


def test_simpleitk_finds_a_voxel_at_our_place_with_the_first_two_signs_turned() -> None:
    image = image_of(Volume(np.zeros((5, 4, 3), np.int16), OBLIQUE))
    x, y, z = (OBLIQUE @ [4, 1, 2, 1])[:3]
    assert np.allclose(image.TransformIndexToPhysicalPoint((4, 1, 2)), (-x, -y, z))


@pytest.mark.parametrize("rule", [Rule("linear", 0.0), Rule("bspline", 0.0)], ids=["linear", "bspline"])
@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE], ids=["straight", "oblique"])
def test_a_ramp_in_the_world_stays_that_ramp(rule: Rule, affine: np.ndarray) -> None:
    blank = Volume(np.zeros((40, 60, 40)), affine)
    slope = np.array([3.0, -5.0, 2.0])
    ramp = Volume((places(blank) @ slope + 100).astype(np.float32), affine)
    new = onto(ramp, respaced(grid_of(ramp), (1.3, 2.9, 2.0)), rule)
    expected = places(new) @ slope + 100
    edge = 12 if rule.interpolation == "bspline" else 2  # a spline mirrors at the edge of the image
    inner = tuple(slice(edge, -edge) for _ in range(3))
    assert np.abs(new.array - expected)[inner].max() < 1e-2
    assert new.array.dtype == np.float32


def test_the_grid_keeps_its_centre_and_its_field_of_view_and_no_new_voxel_lies_outside() -> None:
    old = Grid((40, 34, 20), OBLIQUE)
    new = respaced(old, (1.7, 3.1, 4.0))
    assert new.shape == (47, 22, 15)
    centre = [grid.affine @ [*((np.array(grid.shape) - 1) / 2), 1] for grid in (old, new)]
    assert np.allclose(*centre)
    corners = np.linalg.inv(old.affine) @ new.affine @ np.array([[0, 0, 0, 1], [46, 21, 14, 1]]).T
    assert (corners[:3, 0] > -0.5).all()
    assert (corners[:3, 1] < np.array(old.shape) - 0.5).all()


def test_a_grid_that_fits_already_is_left_alone_to_the_bit() -> None:
    volume, label = blob(), Volume((blob().array > 400).astype(np.uint8), AFFINE)
    done = prepared(volume, Preparation(spacing=(2.0, 2.0, 3.0)), label=label, stack_axis=2)
    assert done.images["t1"] is volume
    assert done.label is label
    assert done.preparation["spacing_mm_before"] == "2x2x3"
    one = Volume(volume.array[:, :, :1], AFFINE)
    assert respaced(grid_of(one), (2.0, 2.0, 7.0)).affine is AFFINE  # an axis of one voxel has nothing to resample


def test_spacing_is_along_right_anterior_superior_whatever_the_axes_of_the_file() -> None:
    turned = Volume(blob().array.transpose(2, 0, 1), AFFINE[:, [2, 0, 1, 3]])  # SLP
    straight, there = (
        prepared(volume, Preparation(spacing=(1.5, 2.5, 4.0))).images["t1"] for volume in (blob(), turned)
    )
    assert axis_codes(there.affine) == "SLP"
    a, b = to_ras(straight)[0], to_ras(there)[0]
    assert a.spacing == b.spacing == (1.5, 2.5, 4.0)
    assert np.allclose(a.affine, b.affine)
    assert np.abs(a.array.astype(int) - b.array).max() <= 1  # rounding of halves


def test_values_stay_in_the_range_of_the_image_and_whole_numbers_whole() -> None:
    array = np.zeros((20, 20, 10), np.uint16)
    array[8:12, 8:12, 4:6] = 4095
    new = onto(Volume(array, AFFINE), respaced(Grid(array.shape, AFFINE), (1.1, 1.1, 1.1)), Rule("bspline", 0.0))
    assert new.array.dtype == np.uint16
    assert (new.array.min(), new.array.max()) == (0, 4095)


def test_labels_keep_their_type_and_codes_and_a_sphere_its_volume() -> None:
    there = np.linalg.norm(places(blob()) - (2, -3, 1), axis=-1)
    label = Volume(np.where(there < 12, 3, np.where(there < 18, 1, 0)).astype(np.uint8), AFFINE)
    scribble = Volume(np.where(np.arange(20) % 4 == 0, label.array, IGNORE).astype(np.uint8), AFFINE)
    done = prepared(blob(), Preparation(spacing=(1.0, 1.0, 1.0)), label=label, annotations={"scribble": scribble})
    assert done.label.array.dtype == done.annotations["scribble"].array.dtype == np.uint8
    assert set(np.unique(done.label.array)) == {0, 1, 3}
    assert set(np.unique(done.annotations["scribble"].array)) == {0, 1, 3, IGNORE}
    assert (done.label.array == 3).sum() == pytest.approx(4 / 3 * math.pi * 12**3, rel=0.03)
    assert done.label.same_grid(done.images["t1"])


@pytest.mark.parametrize(("modality", "air"), [("CT", -1000), ("MR", 0)])
def test_outside_there_is_air_background_or_nobody(modality: str, air: int, tmp_path: Path) -> None:
    wide = AFFINE @ np.diag([2.0, 2.0, 2.0, 1.0])
    wide[:3, 3] += (30, 24, -20)
    atlas = tmp_path / "room.nii.gz"
    write_nifti(atlas, blob((35, 29, 17), wide))
    small = AFFINE @ np.diag([2.0, 2.0, 2.0, 1.0])
    full = Volume(np.ones((20, 17, 10), np.uint8), small)
    done = prepared(
        blob((20, 17, 10), small), Preparation(atlas=atlas), modality, label=full, annotations={"scribble": full}
    )
    image, label, drawn = done.images["t1"].array, done.label.array, done.annotations["scribble"].array
    assert image[0, 0, 0] == image[-1, -1, -1] == air
    assert (label[0, 0, 0], drawn[0, 0, 0]) == (0, IGNORE)
    assert (label.dtype, drawn.dtype) == (np.uint8, np.uint8)
    assert ((drawn == IGNORE) == (label == 0)).all()
    assert done.stack_axis is None
    assert done.preparation["axes_before_atlas"] == "LPS"


def test_a_known_move_between_two_contrasts_is_found() -> None:
    turn = Rotation.from_euler("xyz", (3, -2, 5), degrees=True).as_matrix()
    truth = np.vstack([np.column_stack([turn, (4.0, -3.0, 2.5)]), [0, 0, 0, 1]])
    fixed = blob()
    moving = onto(blob((44, 40, 26), contrast=1), grid_of(fixed), Rule("linear", 20.0), np.linalg.inv(truth))
    found = rigid(fixed, moving)
    assert found is not None
    assert np.linalg.norm(((found - truth) @ BODY)[:3], axis=0).max() < 1.0  # mm; a voxel has 2 x 2 x 3
    assert 4 < moved_mm(found, fixed) < 12


def test_an_affine_map_into_an_atlas_is_found() -> None:
    stretch = np.diag([1.08, 0.94, 1.05, 1.0])
    stretch[:3, 3] = (60, -40, 25)
    coarse = AFFINE @ np.diag([1.6, 1.6, 1.4, 1.0])
    around = np.eye(4)
    around[:3, 3] = (-12, -12, -7)  # voxels of air around the body: mutual information likes to cut into tight images
    there = Grid((49, 45, 28), stretch @ coarse @ around)
    case = onto(blob((73, 67, 40), AFFINE @ around), there, Rule("linear", 20.0), np.linalg.inv(stretch))
    found = affine(blob((25, 21, 14), coarse), case)
    assert np.linalg.norm(((found - stretch) @ BODY)[:3], axis=0).max() < 1.5


def test_matrices_survive_simpleitk() -> None:
    matrix = np.vstack([np.round(np.random.default_rng(1).normal(size=(3, 4)), 3), [0, 0, 0, 1]])
    assert np.allclose(matrix_of(transform_of(matrix)), matrix, atol=1e-7)


def test_n4_flattens_a_known_bias() -> None:
    shape = (32, 32, 16)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    body = (x**2 + y**2 + z**2) < 0.8
    rng = np.random.default_rng(0)
    image = np.where(body, 500 + 40 * (x * y > 0) + rng.normal(0, 5, shape), 5 * rng.random(shape))
    bias = np.exp(0.35 * x - 0.25 * y + 0.15 * z)
    found = unbiased(Volume((image * bias).astype(np.float32), AFFINE))
    before, after = (array[body].std() / array[body].mean() for array in (image * bias, found.array))
    assert before > 0.15
    assert after < 0.3 * before
    assert found.array.dtype == np.float32
    with pytest.raises(BenchError, match="all voxels are equal"):
        unbiased(Volume(np.zeros(shape, np.int16), AFFINE))


@pytest.mark.parametrize("shape", [(9, 8, 1), (9, 8, 5)], ids=["picture", "volume"])
def test_a_median_is_taken_in_the_plane_of_a_picture_and_all_around_in_a_volume(shape: tuple[int, int, int]) -> None:
    array = np.random.default_rng(3).integers(0, 900, shape).astype(np.int16)
    found = smoothed(Volume(array, OBLIQUE), 3)
    window = (3, 3, 3 if shape[2] > 1 else 1)
    assert np.array_equal(found.array, median_filter(array, window, mode="nearest"))
    assert found.array.dtype == np.int16 and np.array_equal(found.affine, OBLIQUE)


def test_nearest_outside_is_background() -> None:
    label = Volume(np.full((4, 4, 4), 3, np.uint8), np.eye(4))
    far = np.eye(4)
    far[:3, 3] = -2
    new = onto(label, Grid((8, 8, 8), far), NEAREST)
    assert new.array.sum() == 3 * 4**3
    assert (new.array[2:6, 2:6, 2:6] == 3).all()
