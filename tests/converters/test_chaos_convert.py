"""CHAOS from raw folder to datasets: what is written, what a broken case leaves, and that no identity comes through."""

from pathlib import Path

import pydicom
import pytest
from chaos_tree import T2

from converters.check import check
from converters.convert import convert


def test_three_datasets_come_out_of_one_tree(chaos_raw: Path, tmp_path: Path) -> None:
    reports = {report.name: report for report in convert("chaos", chaos_raw, tmp_path / "out")}
    assert {name: report.cases for name, report in reports.items()} == {
        "phantom-chaos-mr-t1": 2,
        "phantom-chaos-mr-t2": 2,
        "phantom-chaos-ct": 1,
    }
    assert not any(report.failures for report in reports.values())
    assert [check(report.root) for report in reports.values()] == [[], [], []]
    assert [report.unchanged for report in convert("chaos", chaos_raw, tmp_path / "out")] == [2, 2, 1]
    t1 = sorted(p.name for p in (tmp_path / "out/phantom-chaos-mr-t1/imagesTr").iterdir())
    assert t1 == ["mr-1_0000.nii.gz", "mr-1_0001.nii.gz", "mr-2_0000.nii.gz", "mr-2_0001.nii.gz"]
    assert [p.stem for p in (tmp_path / "out/phantom-chaos-ct/cases").iterdir()] == ["ct-2"]


@pytest.mark.fault(2)
def test_a_broken_case_is_reported_and_the_others_convert(chaos_raw: Path, tmp_path: Path) -> None:
    image = sorted((chaos_raw / T2 / "DICOM_anon").iterdir())[3]
    image.write_bytes(image.read_bytes()[:-99])
    t2 = convert("chaos", chaos_raw, tmp_path / "out")[1]
    assert t2.cases == 1 and len(t2.failures) == 1
    assert f"mr-1: {image.name}: " in str(t2.failures[0]) and "pixel bytes" in str(t2.failures[0])
    assert not [p for p in t2.root.rglob("*") if "mr-1" in p.name]


@pytest.mark.fault(81)
def test_planted_identities_reach_no_output(chaos_raw: Path, tmp_path: Path) -> None:
    def plant(path: Path) -> None:
        dataset = pydicom.dcmread(path)
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "PLANTED^NAME", "PLANTED-ID", "19010203"
        dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = "19010203"
        dataset.ImageComments = dataset.SeriesDescription = dataset.InstitutionName = "PLANTED words"
        dataset.OperatorsName = dataset.StationName = dataset.DeviceSerialNumber = "PLANTED"
        dataset.add_new((0x0009, 0x0010), "LO", "PLANTED private")
        dataset.StudyInstanceUID = "1.2.3.4.5.6.777777"
        dataset.save_as(path)

    hidden = chaos_raw.rename(tmp_path / "PLANTED folder")
    for path in hidden.rglob("*.dcm"):
        plant(path)
    convert("chaos", hidden, tmp_path / "out")
    uids = {str(pydicom.dcmread(path).SOPInstanceUID) for path in hidden.rglob("*.dcm")}
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) > 20
    for path in written:
        data = read_plain(path)
        assert not [word for word in (b"PLANTED", b"19010203", b"1.2.3.4.5.6.777777") if word in data], path.name
        if path.suffix != ".gz":
            assert not [uid for uid in uids if uid.encode() in data], path.name


def read_plain(path: Path) -> bytes:
    import gzip

    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
