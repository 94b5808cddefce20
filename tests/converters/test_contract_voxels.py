"""What every source owes: voxels, places and digests of its made-up patients, converted."""

import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from worlds import World, canonical, value_at

from converters.dataset import IGNORE

# geometry


@pytest.mark.fault(29)
def test_every_voxel_lies_where_it_was_drawn(world: World) -> None:
    for folder in world.folders:
        for case, part, _, image in folder.parts():
            for probe in world.truth[folder.root.name, case["native_id"], part]:
                found = value_at(image.array, image.affine, probe.point)
                assert found == pytest.approx(probe.value, rel=1e-5, abs=1e-4), (case["id"], part, probe)


def test_every_file_has_a_truth_and_every_truth_a_file(world: World) -> None:
    there = {
        (folder.root.name, case["native_id"], part)
        for folder in world.folders
        for case in folder.cases
        for part in folder.files(case)
    }
    assert there == world.truth.keys()
    assert all(len({probe.value for probe in asked}) > 1 for asked in world.truth.values())


@pytest.mark.fault(29)
def test_a_mirrored_axis_would_be_seen(world: World) -> None:
    """The made-up anatomy has no symmetry, so the first test can fail."""
    for folder in world.folders:
        for case, part, _, image in folder.parts():
            asked = world.truth[folder.root.name, case["native_id"], part]
            for axis in (axis for axis in range(3) if image.array.shape[axis] > 1):
                mirrored = np.flip(image.array, axis)
                seen = [value_at(mirrored, image.affine, probe.point) == probe.value for probe in asked]
                assert not all(seen), f"{case['id']} {part} axis {axis}"


def test_axes_run_to_the_right_the_front_and_the_head(world: World) -> None:
    for folder in world.folders:
        assert folder.top["bench"]["orientation"] == "RAS"
        for case, _, said, image in folder.parts():
            assert "".join(nib.aff2axcodes(image.affine)) == "RAS", said["file"]
            assert len(case["geometry"]["source_orientation"]) == 3


def test_qform_and_sform_are_the_same_in_millimetres(world: World) -> None:
    for folder in world.folders:
        for _, _, said, image in folder.parts():
            header = image.file.header
            assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1), said["file"]
            assert np.allclose(image.file.get_sform(), image.file.get_qform(), atol=1e-3), said["file"]
            assert header.get_xyzt_units()[0] == "mm"


def test_spacing_is_that_of_the_grid(world: World) -> None:
    for folder in world.folders:
        for case, _, _, image in folder.parts():
            spacing = case["geometry"]["spacing_mm"]
            assert np.allclose(np.linalg.norm(image.affine[:3, :3], axis=0), spacing, rtol=1e-6)
            assert np.allclose(image.file.header.get_zooms(), spacing, rtol=1e-6)
            assert case["geometry"]["slice_axis"] in (0, 1, 2)


def test_all_files_of_a_case_lie_on_one_grid_of_three_axes(world: World) -> None:
    for folder in world.folders:
        for case, _, said, image in folder.parts():
            assert image.array.ndim == 3
            assert image.array.shape == tuple(case["geometry"]["shape"]), said["file"]
            assert np.abs(image.affine - case["geometry"]["affine"]).max() < 1e-4, said["file"]
        if folder.top["bench"]["ndim"] == 2:
            assert {case["geometry"]["shape"][2] for case in folder.cases} == {1}


# voxels


def test_images_are_whole_numbers_or_float32_without_a_scale(world: World) -> None:
    for folder in world.folders:
        for case, part, said, image in folder.parts():
            if part in case["images"]:
                assert image.array.dtype.name == said["dtype"] in ("int16", "uint16", "float32")
                assert said["range"] == [float(image.array.min()), float(image.array.max())]
            assert np.isfinite(image.array).all()
            # nibabel gives NaN for "no scaling".
            slope, intercept = (float(image.file.dataobj.slope), float(image.file.dataobj.inter))
            assert (slope, intercept) == (1.0, 0.0), said["file"]


def test_label_maps_hold_bytes_of_the_map_or_255(world: World) -> None:
    for folder in world.folders:
        for case, part, said, image in folder.parts():
            if part not in case["images"]:
                assert image.array.dtype == np.uint8
                assert set(np.unique(image.array).tolist()) <= folder.codes | {IGNORE}, said["file"]


def test_codes_run_from_background_without_a_gap(world: World) -> None:
    for folder in world.folders:
        assert folder.top["labels"]["background"] == 0
        assert sorted(folder.codes) == list(range(len(folder.codes)))
        assert set(folder.top["bench"]["label_info"]) <= set(folder.top["labels"])
        regions = [v for v in folder.top["labels"].values() if isinstance(v, list)]
        assert bool(folder.top["regions_class_order"]) == bool(regions)


def test_voxels_of_each_code_are_counted(world: World) -> None:
    for folder in world.folders:
        for case, part, said, image in folder.parts():
            if part not in case["images"]:
                values, counts = np.unique(image.array, return_counts=True)
                assert said["voxels"] == {str(v): int(n) for v, n in zip(values, counts, strict=True)}
                assert said["annotated_fraction"] == pytest.approx((image.array != IGNORE).mean())


# digests


def test_digests_of_voxels_are_those_of_the_files(world: World) -> None:
    for folder in world.folders:
        for _, _, said, image in folder.parts():
            assert image.digest == said["data_sha256"], said["file"]


def test_the_digest_of_the_content_is_that_of_the_sidecars(world: World) -> None:
    for folder in world.folders:
        rows = [
            [
                case["id"],
                case["subject"],
                [case["images"][channel]["data_sha256"] for channel in folder.channels],
                case["label"] and case["label"]["data_sha256"],
            ]
            for case in sorted(folder.cases, key=lambda case: case["id"])
        ]
        assert folder.top["bench"]["content_sha256"] == hashlib.sha256(canonical(rows)).hexdigest()


def test_source_files_are_named_below_the_raw_folder_with_their_digests(world: World) -> None:
    for folder in world.folders:
        every = set()
        for case in folder.cases:
            assert case["sources"], case["id"]
            for said in case["sources"]:
                data = (world.raw / said["path"]).read_bytes()
                assert not Path(said["path"]).is_absolute() and ".." not in Path(said["path"]).parts
                assert (len(data), hashlib.sha256(data).hexdigest()) == (said["bytes"], said["sha256"])
                every.add((said["path"], said["sha256"]))
        listed = [list(pair) for pair in sorted(every)]
        assert folder.top["bench"]["source"]["sha256"] == hashlib.sha256(canonical(listed)).hexdigest()
