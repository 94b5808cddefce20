"""DICOM segmentations: what is written reads back equal, frame for frame, with the codes of the structures."""

import numpy as np
import pytest
from dicom_series import SLICES, SPACING, UID, put, write_series
from test_dicom_file import multiframe

from converters import dicom_seg
from converters.description import LabelInfo
from converters.dicom import read_series
from converters.dicom_concepts import SCHEME, concept
from converters.dicom_seg import Drawn, read_segmentation, write_segmentation
from converters.errors import BenchError
from converters.volume import Volume

INFO = {"liver": LabelInfo(snomed="10200004"), "lump": LabelInfo()}
ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"  # CT
DRAWN = Drawn({"liver": 1, "lump": 2, "all of it": (1, 2)}, INFO, "frugalseg supervised", "0123456789ab")


def complete(_, dataset):
    """What anonymised files leave out, such as dates, may be lacking; a frame of reference may not."""
    put(FrameOfReferenceUID=UID + "5")(dataset)


@pytest.fixture
def highdicom():
    return pytest.importorskip("highdicom", reason="needs the extra [dicomseg]")


@pytest.fixture
def series(tmp_path):
    return read_series(write_series(tmp_path / "series", complete))


def painted(series):
    """Two structures that touch, with empty slices at both ends and one in the middle."""
    label = np.zeros(series.volume.shape, np.uint8)
    label[5:20, 4:18, 1:5] = 1
    label[9:12, 6:9, 2] = 2
    label[:, :, 3] = 0
    return Volume(label, series.volume.affine)


def test_a_segmentation_reads_back_equal(highdicom, series, tmp_path):
    label = painted(series)
    write_segmentation(tmp_path / "seg.dcm", label, series, DRAWN)
    found = read_segmentation(tmp_path / "seg.dcm", series)
    assert list(found) == ["liver", "lump", "all of it"]
    for mask, inside in zip(found.values(), (label.array == 1, label.array == 2, label.array > 0), strict=True):
        assert mask.same_grid(series.volume) and np.array_equal(mask.array, inside)


def test_it_says_what_each_structure_is_who_drew_it_and_on_which_images(highdicom, series, tmp_path):
    from pydicom import dcmread

    write_segmentation(tmp_path / "seg.dcm", painted(series), series, DRAWN)
    made, source = dcmread(tmp_path / "seg.dcm"), dcmread(series.files[0])
    assert made.Modality == "SEG" and made.SegmentationType == "BINARY"
    assert made.StudyInstanceUID == source.StudyInstanceUID and made.PatientID == source.PatientID
    assert made.SeriesInstanceUID != source.SeriesInstanceUID
    liver, lump, _ = made.SegmentSequence
    code = liver.SegmentedPropertyTypeCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == ("10200004", "SCT", "liver")
    assert lump.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == SCHEME
    assert liver.SegmentAlgorithmType == "AUTOMATIC" and liver.SegmentAlgorithmName == "frugalseg supervised"
    named = {one.ReferencedSOPInstanceUID for one in made.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named == {dcmread(path).SOPInstanceUID for path in series.files}


def test_other_readers_place_the_frames_where_the_slices_are(highdicom, series, tmp_path):
    label = painted(series)
    write_segmentation(tmp_path / "seg.dcm", label, series, DRAWN)
    made = highdicom.seg.segread(tmp_path / "seg.dcm")
    for frame, groups in enumerate(made.PerFrameFunctionalGroupsSequence):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        lps = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        index = np.linalg.inv(series.volume.affine) @ [-lps[0], -lps[1], lps[2], 1]
        codes = DRAWN.structures[list(DRAWN.structures)[number - 1]]
        expected = np.isin(label.array[:, :, round(index[2])], codes).T
        pixels = made.pixel_array[frame] if made.pixel_array.ndim == 3 else made.pixel_array
        assert np.array_equal(pixels, expected) and np.allclose(index[:2], 0, atol=1e-6)


def test_an_empty_label_map_is_a_segmentation_too(highdicom, series, tmp_path):
    empty = Volume(np.zeros(series.volume.shape, np.uint8), series.volume.affine)
    write_segmentation(tmp_path / "seg.dcm", empty, series, DRAWN)
    assert not any(mask.array.any() for mask in read_segmentation(tmp_path / "seg.dcm", series).values())


def test_a_label_map_that_lies_elsewhere_is_refused(highdicom, series, tmp_path):
    moved = series.volume.affine + np.array([[0, 0, 0, 9.0]] + [[0.0] * 4] * 3)
    with pytest.raises(BenchError, match="not on the grid of the series"):
        write_segmentation(tmp_path / "seg.dcm", Volume(painted(series).array, moved), series, DRAWN)
    assert not (tmp_path / "seg.dcm").exists()


def test_a_series_without_a_frame_of_reference_is_refused(highdicom, tmp_path):
    bare = read_series(write_series(tmp_path / "series"))
    with pytest.raises(BenchError, match="no segmentation of this series can be made"):
        write_segmentation(tmp_path / "seg.dcm", painted(bare), bare, DRAWN)
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("thickness", [None, "absent"])
def test_a_series_need_not_say_how_thick_its_slices_are(thickness, enhanced, highdicom, tmp_path):
    def change(number, dataset):
        complete(number, dataset)
        dataset.SliceThickness = None  # type 2: there, and empty
        if thickness == "absent":
            del dataset.SliceThickness
        if enhanced:
            dataset.SOPClassUID = ENHANCED

    files = write_series(tmp_path / "series", change)
    if enhanced:
        multiframe(files, tmp_path / "all.dcm")
        files = [tmp_path / "all.dcm"]
    series = read_series(files)
    label = painted(series)
    write_segmentation(tmp_path / "seg.dcm", label, series, DRAWN)
    assert np.array_equal(read_segmentation(tmp_path / "seg.dcm", series)["lump"].array, label.array == 2)
    shared = highdicom.seg.segread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].SliceThickness == SPACING[2]


@pytest.mark.parametrize("kept", [(0, 3, 4, 5), (0, 1, 2, 5), (5, 1, 0, 2)])
def test_of_a_file_with_a_gap_the_frames_beside_the_longest_run_are_empty(kept, highdicom, tmp_path):
    def change(number, dataset):
        complete(number, dataset)
        dataset.SOPClassUID = ENHANCED

    files = write_series(tmp_path / "series", change)
    multiframe([files[number] for number in kept], tmp_path / "all.dcm")
    series = read_series([tmp_path / "all.dcm"], allow_gaps=True)
    label = Volume((series.volume.array > 0).astype(np.uint8), series.volume.affine)
    assert label.shape[2] == 3 and label.array.any()
    write_segmentation(tmp_path / "seg.dcm", label, series, DRAWN)
    assert np.array_equal(read_segmentation(tmp_path / "seg.dcm", series)["liver"].array, label.array)


def test_text_of_a_series_in_other_letters_is_the_same_in_utf8(highdicom, tmp_path):
    from pydicom import Dataset, dcmread

    def change(number, dataset):
        complete(number, dataset)
        scan = Dataset()
        scan.CodeValue, scan.CodingSchemeDesignator, scan.CodeMeaning = "1", "99X", "肝臓"
        dataset.ProcedureCodeSequence = [scan]
        put(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎")(dataset)

    series = read_series(write_series(tmp_path / "series", change))
    write_segmentation(tmp_path / "seg.dcm", painted(series), series, DRAWN)
    made = dcmread(tmp_path / "seg.dcm")
    assert (made.SpecificCharacterSet, made.PatientName) == ("ISO_IR 192", "Yamada^Tarou=山田^太郎")
    assert made.ProcedureCodeSequence[0].CodeMeaning == "肝臓"


def test_another_file_is_no_segmentation(highdicom, series):
    with pytest.raises(BenchError, match="no segmentation of this series"):
        read_segmentation(series.files[0], series)


def test_what_does_not_read_back_is_not_kept(highdicom, series, tmp_path, monkeypatch):
    before = dicom_seg._read
    monkeypatch.setattr(dicom_seg, "_read", lambda *words: 1 - before(*words))
    with pytest.raises(BenchError, match="reads back otherwise"):
        write_segmentation(tmp_path / "seg.dcm", painted(series), series, DRAWN)
    assert list(tmp_path.glob("*.dcm")) == [] and len(series.files) == SLICES


def test_what_cannot_be_read_back_is_a_fault_of_the_series(highdicom, series, tmp_path, monkeypatch):
    def broken(*_):
        raise AttributeError("Sequence does not have the required attributes")

    monkeypatch.setattr(dicom_seg, "_read", broken)
    with pytest.raises(BenchError, match="no segmentation of this series can be made: Sequence does not have"):
        write_segmentation(tmp_path / "seg.dcm", painted(series), series, DRAWN)
    assert list(tmp_path.glob("*.dcm")) == []


def test_a_structure_without_a_concept_has_a_code_of_this_suite():
    assert concept("liver", INFO) == ("10200004", "SCT", "liver")
    assert concept("lump", INFO) == ("lump", SCHEME, "lump")
    assert concept("Lungenflügel", {})[0] == "Lungenflügel"


LONG = "a" * 64


@pytest.mark.parametrize(
    "names",
    [
        ("pulmonary artery left", "pulmonary artery right"),
        (f"{LONG}1", f"{LONG}2"),
        ("a\\b", "a b", "a/b"),
        ("肝臓", "膵臓"),
        ("left ", "left"),
    ],
)
def test_no_two_structures_share_a_label_or_a_code(names, highdicom, series, tmp_path):
    label = painted(series)
    drawn = Drawn({name: code for code, name in enumerate(names, 1)}, {}, "x", "y")
    write_segmentation(tmp_path / "seg.dcm", label, series, drawn)
    found = read_segmentation(tmp_path / "seg.dcm", series)
    assert len(found) == len(names) == len({concept(name, {})[0] for name in names})
    for mask, code in zip(found.values(), drawn.structures.values(), strict=True):
        assert np.array_equal(mask.array, label.array == code)


def test_a_name_that_is_no_code_has_one_by_its_hash_and_a_label_that_begins_as_it_does():
    assert concept("pulmonary artery left", {}) == ("b70f9c8b183cf77e", SCHEME, "pulmonary artery left")
    assert concept("a\\b", {})[2] == "a b c62016d0f8ee3333"
    code, _, meaning = concept(f"{LONG}1", {})
    assert meaning == f"{LONG[:47]} {code}" and len(meaning) == 64
