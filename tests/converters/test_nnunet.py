from pathlib import Path

import pytest
from acdc_tree import acdc_tree

from converters.convert import convert


def test_nnunet_accepts_a_converted_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    integrity = pytest.importorskip(
        "nnunetv2.experiment_planning.verify_dataset_integrity", reason="nnunetv2 is not installed: make oracles"
    )
    (report,) = convert("acdc", acdc_tree(tmp_path / "native"), tmp_path / "data")
    link = tmp_path / "raw" / "Dataset027_acdc"
    link.parent.mkdir()
    link.symlink_to(report.root)
    integrity.verify_dataset_integrity(str(link), 1)
    (report.root / "labelsTr" / "patient001-ed.nii.gz").unlink()
    with pytest.raises((RuntimeError, AssertionError)):
        integrity.verify_dataset_integrity(str(link), 1)
