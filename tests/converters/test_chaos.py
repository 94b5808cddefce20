"""CHAOS: finding and pairing files, and the traps of its layout, on made-up trees."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from chaos_tree import CT, T1, T2, labels_of, load, place

from converters.errors import BenchError
from converters.files import natural_key
from converters.phantoms import chaos as phantom
from converters.source import Options
from converters.sources import chaos


@pytest.mark.parametrize("quirks", [{"descending": True}, {"descending": False}, {"shared_series": True}])
def test_how_files_are_numbered_and_grouped_changes_no_voxel(
    chaos_tree: Path, tmp_path: Path, quirks: dict[str, bool]
) -> None:
    phantom.write(tmp_path, 2, 0, phantom.Quirks(ct_names="IMG", **quirks))
    for info in chaos.INFO:
        for ours, theirs in zip(
            chaos.cases(chaos_tree, info.name, Options()), chaos.cases(tmp_path, info.name, Options()), strict=True
        ):
            one, other = ours.load(), theirs.load()
            assert one.label is not None and other.label is not None
            assert np.array_equal(one.label.array, other.label.array)
            for name, volume in one.images.items():
                assert np.array_equal(volume.array, other.images[name].array)
                assert np.array_equal(volume.affine, other.images[name].affine)


def test_organs_lie_where_a_person_has_them(chaos_tree: Path) -> None:
    for dataset in ("chaos-mr-t1", "chaos-mr-t2"):
        label = load(chaos_tree, dataset, "mr-1").label
        assert label is not None and set(np.unique(label.array)) == {0, 1, 2, 3, 4}
        liver, right, left, spleen = (place(label, code) for code in (1, 2, 3, 4))
        assert liver[0] > spleen[0] + 50
        assert right[0] > left[0] + 50
        assert liver[2] > max(right[2], left[2])


def test_in_phase_is_the_longer_echo_and_swapped_folders_are_refused(chaos_raw: Path) -> None:
    loaded = load(chaos_raw, "chaos-mr-t1", "mr-1")
    assert loaded.acquisition["in-phase"]["EchoTime"] == 4.6
    assert loaded.acquisition["out-phase"]["EchoTime"] == 2.3
    assert loaded.images["in-phase"].same_grid(loaded.images["out-phase"])
    dicom = chaos_raw / T1 / "DICOM_anon"
    for old, new in (("InPhase", "x"), ("OutPhase", "InPhase"), ("x", "OutPhase")):
        (dicom / old).rename(dicom / new)
    with pytest.raises(BenchError, match=r"InPhase has the echo time 2\.3 ms, OutPhase 4\.6 ms"):
        load(chaos_raw, "chaos-mr-t1", "mr-1")


@pytest.mark.fault(4)
def test_folders_above_and_junk_beside_change_nothing(chaos_raw: Path, tmp_path: Path) -> None:
    clean = load(chaos_raw, "chaos-ct", "ct-2")
    deep = tmp_path / "download" / "CHAOS_Train_Sets"
    deep.mkdir(parents=True)
    shutil.move(chaos_raw / "Train_Sets", deep / "Train_Sets")
    study = deep / CT
    for name in ("DICOM_anon/.DS_Store", "DICOM_anon/._i0000,0000b.dcm", "DICOM_anon/notes.txt", "Ground/Thumbs.db"):
        (study / name).write_bytes(b"junk")
    shutil.copytree(deep / "Train_Sets", tmp_path / "download/__MACOSX/Train_Sets")
    for top in (tmp_path / "download", deep, deep / "Train_Sets", deep / "Train_Sets/CT"):
        loaded = load(top, "chaos-ct", "ct-2")
        assert loaded.label is not None and clean.label is not None
        assert np.array_equal(loaded.images["ct"].array, clean.images["ct"].array)
        assert np.array_equal(loaded.label.array, clean.label.array)
        assert loaded.warnings == clean.warnings
    assert [case.native_id for case in chaos.cases(deep / "Train_Sets/CT", "chaos-mr-t2", Options())] == []


def test_test_sets_have_no_labels_and_training_sets_must(chaos_raw: Path) -> None:
    shutil.copytree(chaos_raw / "Train_Sets/MR/2", chaos_raw / "Test_Sets/MR/4")
    for study in ("T1DUAL", "T2SPIR"):
        shutil.rmtree(chaos_raw / "Test_Sets/MR/4" / study / "Ground")
    assert load(chaos_raw, "chaos-mr-t1", "mr-4").label is None
    shutil.rmtree(chaos_raw / T2 / "Ground")
    with pytest.raises(BenchError, match="0 label slices for"):
        load(chaos_raw, "chaos-mr-t2", "mr-1")


def test_one_patient_in_two_places_is_refused(chaos_raw: Path) -> None:
    shutil.copytree(chaos_raw / "Train_Sets", chaos_raw / "copy" / "Train_Sets")
    with pytest.raises(BenchError, match="patient 1 lies there twice"):
        list(chaos.cases(chaos_raw, "chaos-mr-t1", Options()))


@pytest.mark.fault(6, 25)
@pytest.mark.parametrize("study", [T1, T2, CT])
@pytest.mark.parametrize("which", ["label", "image"])
def test_counts_that_differ_are_refused_with_both(chaos_raw: Path, study: str, which: str) -> None:
    labels = labels_of(chaos_raw, study)
    images = sorted((chaos_raw / study).glob("DICOM_anon/**/*.dcm"), key=natural_key)
    last = labels[-1] if which == "label" else next(p for p in images if study != T1 or p.parent.name == "InPhase")
    last.unlink()
    dataset = {T1: "chaos-mr-t1", T2: "chaos-mr-t2", CT: "chaos-ct"}[study]
    count = len(labels)
    a, b = (count - 1, count) if which == "label" else (count, count - 1)
    with pytest.raises(BenchError, match=f"{a} label slices for {b} image slices"):
        load(chaos_raw, dataset, "ct-2" if study == CT else "mr-1")


def test_numbers_pair_ct_slices_and_ranks_only_where_nothing_is_missing(tmp_path: Path) -> None:
    phantom.write(tmp_path, 2, 0, phantom.Quirks(ct_names="IMG"))
    folder = tmp_path / CT
    assert load(tmp_path, "chaos-ct", "ct-2").label is not None
    # Now one label in the middle and the lowest slice are gone: the counts agree, the ranks do not.
    labels_of(tmp_path, CT)[7].unlink()
    sorted((folder / "DICOM_anon").iterdir())[-1].unlink()
    with pytest.raises(BenchError, match="without a partner"):
        load(tmp_path, "chaos-ct", "ct-2")


def test_names_that_hide_the_order_are_refused(chaos_raw: Path) -> None:
    image = next((chaos_raw / CT / "DICOM_anon").iterdir())
    image.rename(image.with_name("first.dcm"))
    with pytest.raises(BenchError, match=r"first\.dcm: no slice number of its own"):
        load(chaos_raw, "chaos-ct", "ct-2")


@pytest.mark.fault(7)
def test_a_copied_slice_changes_nothing(chaos_raw: Path) -> None:
    clean = load(chaos_raw, "chaos-ct", "ct-2")
    image = sorted((chaos_raw / CT / "DICOM_anon").iterdir())[4]
    shutil.copy(image, image.with_name(image.stem + " (1).dcm"))
    loaded = load(chaos_raw, "chaos-ct", "ct-2")
    assert loaded.label is not None and clean.label is not None
    assert np.array_equal(loaded.label.array, clean.label.array)
    assert np.array_equal(loaded.images["ct"].array, clean.images["ct"].array)
