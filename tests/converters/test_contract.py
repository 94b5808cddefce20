"""What every source owes, asked of each in the same words: its made-up patients are converted, and looked at.

A new file in `converters/phantoms/` that has the name of a source is asked too.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import nibabel as nib
import numpy as np
import pytest
from worlds import (
    LEGAL_ID,
    SEED,
    Folder,
    World,
    canonical,
    contents,
    is_text,
    refused_by_nnunet,
    run,
    stamps,
    value_at,
)

from bench.catalogue import phantoms
from bench.protocols import parse
from bench.splits import freeze_default
from bench.views import view
from converters.check import check
from converters.dataset import IGNORE, Dataset
from converters.source import Options, RawCase
from converters.source import found as found_by

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
TOLD = (".txt", ".cfg", ".csv", ".json", ".toml", ".xls", ".md", ".tsv")  # descriptions, not voxels


@pytest.fixture(scope="module", params=phantoms())
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(request.param, tmp_path_factory.mktemp(f"world-{request.param}"))


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


# names and description


@pytest.mark.fault(49)
def test_ids_are_names_that_any_system_takes(world: World) -> None:
    for folder in world.folders:
        ids = [case["id"] for case in folder.cases]
        assert len({name.casefold() for name in ids}) == len(ids)
        for name in (*ids, *(case["subject"] for case in folder.cases)):
            assert LEGAL_ID.fullmatch(name), name
        assert sorted(path.stem for path in (folder.root / "cases").iterdir()) == sorted(ids)


def test_every_case_keeps_the_name_it_had(world: World) -> None:
    for folder in world.folders:
        theirs = {case: name for name, case, _ in world.truth if name == folder.root.name}
        assert sorted(case["native_id"] for case in folder.cases) == sorted(theirs)
        for case in folder.cases:
            assert re.sub("[_ ]+", "-", case["native_id"].lower()) == case["id"]


def test_folders_say_who_has_a_label_and_the_number_of_training_cases_fits(world: World) -> None:
    for folder in world.folders:
        for case in folder.cases:
            room = {Path(image["file"]).parent.name for image in case["images"].values()}
            assert room <= {"imagesTr", "imagesTs", "imagesUn"} and len(room) == 1
            if case["label"] is None:
                assert room != {"imagesTr"}
            else:
                assert Path(case["label"]["file"]).parent.name == room.pop().replace("images", "labels")
        trained = [case for case in folder.cases if case["label"] and "labelsTr" in case["label"]["file"]]
        assert folder.top["numTraining"] == len(trained)


def test_channels_are_numbered_files_in_the_order_of_the_description(world: World) -> None:
    for folder in world.folders:
        assert folder.top["channel_names"] == {str(n): name for n, name in enumerate(folder.channels)}
        for case in folder.cases:
            assert set(case["images"]) == set(folder.channels)
            for number, name in enumerate(folder.channels):
                assert case["images"][name]["file"].endswith(f"/{case['id']}_{number:04d}.nii.gz")


def test_no_file_lies_there_that_the_format_has_no_room_for(world: World) -> None:
    for folder in world.folders:
        said = {part["file"] for case in folder.cases for part in folder.files(case).values()}
        said |= {f"cases/{case['id']}.json" for case in folder.cases}
        rest = contents(folder.root).keys() - said
        names = "|".join(re.escape(case["id"]) for case in folder.cases)
        pages = r"dataset\.json|README\.md|LICENSE\.txt|croissant\.json|montage\.png|splits/[\w-]+\.json"
        page = re.compile(rf"{pages}|card/({names})\.(json|png)")
        assert [name for name in rest if not page.fullmatch(name)] == []


def test_the_schemas_fit(world: World) -> None:
    checks = {
        name: jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text()))
        for name in ("dataset", "case", "split")
    }
    for folder in world.folders:
        assert list(checks["dataset"].iter_errors(folder.top)) == []
        for case in folder.cases:
            assert list(checks["case"].iter_errors(case)) == []
        for path in (folder.root / "splits").glob("*.json"):
            assert list(checks["split"].iter_errors(json.loads(path.read_text()))) == []


def test_json_is_canonical(world: World) -> None:
    for path in world.out.rglob("*.json"):
        if path.name != "croissant.json":
            assert path.read_bytes() == canonical(json.loads(path.read_text(encoding="utf-8"))), path.name


def test_made_up_data_is_called_so_and_says_how_to_cite_it(world: World) -> None:
    assert world.folders
    for folder in world.folders:
        name = folder.root.name
        assert folder.top["name"] == name and name.startswith("phantom-")
        assert folder.top["licence"] == "CC0-1.0"
        assert folder.top["bench"]["citation"] and folder.top["bench"]["version"]
        assert name.removeprefix("phantom-") in folder.top["bench"]["source"]["collection"]
        assert folder.top["licence"] in (folder.root / "LICENSE.txt").read_text(encoding="utf-8")
        assert folder.top["bench"]["citation"] in (folder.root / "README.md").read_text(encoding="utf-8")


def test_the_real_collection_has_a_licence_and_a_citation(world: World) -> None:
    for info, cases in found_by(world.source, world.raw, Options()):
        assert info.licence and info.citation and info.source.collection, info.name
        assert cases
        for structure, about in info.label_info.items():
            assert not about.colour or re.fullmatch("#[0-9a-f]{6}", about.colour), structure


def test_every_subject_has_one_side_of_the_default_split(world: World) -> None:
    for folder in world.labelled:
        # Who is held out and has no label can neither teach nor be tested on.
        asked = [case for case in folder.cases if case["label"] or "imagesTs" not in str(case["images"])]
        subjects = {case["subject"] for case in asked}
        path = folder.root / "splits" / "default.json"
        if not path.is_file():
            freeze_default(Dataset.load(folder.root))
        split = json.loads(path.read_text())
        sides = [*split["train"], *split["val"], *split["test"]]
        assert sorted(sides) == sorted(subjects)
        assert split["content_sha256"] == folder.top["bench"]["content_sha256"]


def test_text_names_no_machine_no_folder_and_no_day(world: World) -> None:
    room = str(world.raw.parent)
    hidden = [room, os.uname().nodename, time.strftime("%Y-%m-%d"), time.strftime("%Y%m%d")]
    absolute = re.compile(r"(?<![\w.:/~}-])/(tmp|home|root|work|usr|var|Users|mnt|data)/|[A-Z]:\\")
    for path in world.out.rglob("*"):
        if is_text(path):
            text = path.read_text(encoding="utf-8")
            assert not [word for word in hidden if len(word) > 3 and word in text], path.name
            assert not absolute.search(text), path.name
            assert not re.search(r"\d\d:\d\d:\d\d", text), path.name


# what others say


def test_bench_check_has_nothing_to_say(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in world.folders:
        capsys.readouterr()
        assert run("check", folder.root) == 0
        assert capsys.readouterr() == ("", "")


def test_nnunet_would_take_it(world: World, tmp_path: Path) -> None:
    for folder in world.labelled:
        if not folder.top["numTraining"]:
            continue
        hidden = any("255" in case["label"]["voxels"] for case in folder.cases if case["label"])
        if not hidden:
            assert refused_by_nnunet(folder.root) == []
        out = tmp_path / folder.root.name
        assert run("export", folder.root, out, "--to", "nnunet") == 0
        assert refused_by_nnunet(next(out.glob("**/dataset.json")).parent) == []


def test_a_training_view_can_be_made(world: World, tmp_path: Path) -> None:
    for folder in world.labelled:
        dataset = Dataset.load(folder.root)
        split = dataset.split("default")
        if not split.train or not split.test:
            continue
        shown = view(dataset, split, parse("full"), 0, tmp_path / folder.root.name)
        assert {case.subject for case in shown.cases} == set(split.train)
        assert check(shown.root) == []


# doing it again, elsewhere, otherwise


def test_a_second_conversion_writes_nothing(world: World) -> None:
    before = stamps(world.out)
    assert world.convert() == 0
    assert stamps(world.out) == before


def test_the_order_of_a_folder_changes_no_byte(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir, listdir = os.scandir, os.listdir

    class Backwards:
        """`os.scandir`, in an order that no file system gives."""

        def __init__(self, path: Any = ".") -> None:
            with scandir(path) as entries:
                self.entries = iter(sorted(entries, key=lambda entry: hashlib.md5(entry.name.encode()).digest()))

        def __iter__(self) -> Any:
            return self.entries

        def __next__(self) -> Any:
            return next(self.entries)

        def __enter__(self) -> "Backwards":
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(os, "scandir", Backwards)
    monkeypatch.setattr(os, "listdir", lambda path=".": sorted(listdir(path), reverse=True))
    assert world.convert(None, tmp_path / "data") == 0
    monkeypatch.undo()
    assert contents(tmp_path / "data") == contents(world.out)


def test_two_workers_write_the_same_bytes(world: World, tmp_path: Path) -> None:
    assert world.convert(None, tmp_path / "data", "--jobs", 2) == 0
    assert contents(tmp_path / "data") == contents(world.out)


@pytest.mark.fault(4)
def test_what_systems_leave_behind_changes_nothing(world: World, tmp_path: Path) -> None:
    raw = world.copy(tmp_path / "raw")
    for folder in [path for path in (raw, *raw.rglob("*")) if path.is_dir()]:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"left behind")
        for file in [path for path in folder.iterdir() if path.is_file() and not path.name.startswith("._")][:2]:
            (folder / f"._{file.name}").write_bytes(b"left behind")
    world.copy(raw / "__MACOSX")
    assert world.convert(raw, tmp_path / "data") == 0
    assert contents(tmp_path / "data") == contents(world.out)


@pytest.mark.fault(52)
def test_long_paths_of_other_letters_and_blanks_change_no_byte(world: World, tmp_path: Path) -> None:
    raw = world.copy(tmp_path / "Zwölf Größen — 心臓 (1)" / ("r" * 120) / ("w" * 120))
    out = tmp_path / "é ü 出力 [x]" / ("o" * 130) / ("t" * 130)
    assert world.convert(raw, out) == 0
    assert contents(out) == contents(world.out)


@pytest.mark.fault(53)
def test_the_raw_folder_is_only_read(world: World, tmp_path: Path) -> None:
    raw = world.copy(tmp_path / "raw")
    for path in (raw, *raw.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = stamps(raw)
    assert world.convert(raw, tmp_path / "data") == 0
    assert stamps(raw) == before
    assert contents(tmp_path / "data") == contents(world.out)


@pytest.mark.fault(86)
def test_language_clock_umask_and_hash_seed_change_no_byte(world: World, tmp_path: Path) -> None:
    strange = {"LC_ALL": "C", "LANG": "de_DE.UTF-8", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4711"}
    code = "import os, sys; os.umask(0o077); from bench.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", code, "convert", world.source, str(world.raw), str(tmp_path / "data")]
    done = subprocess.run(words, env={**os.environ, **strange}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "data") == contents(world.out)


def test_a_dry_run_writes_nothing(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert world.convert(None, tmp_path / "data", "--dry-run", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["cases"] for one in told] == [len(cases) for _, cases in found_by(world.source, world.raw, Options())]
    assert list(tmp_path.iterdir()) == []


# when something is wrong


def spoilt(world: World, raw: Path) -> tuple[Path, dict[str, list[str]]]:
    """A file of the first case, cut short, and the native ids of those who need it, for each dataset."""
    there = found_by(world.source, raw, Options())
    victim = next(file for file in there[0][1][0].files if file.suffix.lower() not in TOLD)
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size * 3 // 5])

    def hit(case: RawCase) -> bool:
        return any(file.samefile(victim) for file in case.files if file.exists())

    return victim, {f"phantom-{info.name}": [c.native_id for c in cases if hit(c)] for info, cases in there}


def test_a_damaged_case_is_named_and_leaves_nothing_and_the_others_convert(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = world.copy(tmp_path / "raw")
    victim, broken = spoilt(world, raw)
    capsys.readouterr()
    assert world.convert(raw, tmp_path / "data") == 3
    told = capsys.readouterr().err
    assert victim.name in told
    for folder in world.folders:
        lost = {case["id"]: case["native_id"] for case in folder.cases if case["native_id"] in broken[folder.root.name]}
        whole = {case["id"] for case in folder.cases} - lost.keys()
        root = tmp_path / "data" / folder.root.name
        left = contents(root) if root.exists() else {}
        assert {path.stem for path in (root / "cases").glob("*.json")} == whole
        # An id may begin with another.
        assert not [n for n in left if any(re.search(rf"/{case}(_\d{{4}})?\.", n) for case in lost)]
        assert not [name for name in left if name.endswith(".tmp")]
        assert all(f"{case}: " in told for case in lost)
        assert all(f"--skip {native}" in told for native in lost.values())
        if whole:
            assert check(root) == []
            assert all(case in " ".join(Folder(root).top["bench"]["warnings"]) for case in lost)
    assert any(broken.values())


def test_what_was_good_before_stays_when_its_source_is_damaged(world: World, tmp_path: Path) -> None:
    raw = world.copy(tmp_path / "raw")
    assert world.convert(raw, tmp_path / "data") == 0
    before = stamps(tmp_path / "data")
    spoilt(world, raw)
    assert world.convert(raw, tmp_path / "data") == 3
    assert stamps(tmp_path / "data") == before


def test_a_conversion_killed_in_the_middle_of_a_write_goes_on_to_the_same_bytes(world: World, tmp_path: Path) -> None:
    files = min(len(contents(folder.root)) for folder in world.folders)
    code = (
        "import os, pathlib, signal, sys\n"
        "left, replace = [int(sys.argv[1])], pathlib.Path.replace\n"
        "def counted(path, target):\n"
        "    left[0] -= 1\n"
        "    os.kill(os.getpid(), signal.SIGKILL) if left[0] == 0 else None\n"
        "    return replace(path, target)\n"
        "pathlib.Path.replace = counted\n"
        "from bench.cli import main\n"
        "main(sys.argv[2:])\n"
    )
    words = ["convert", world.source, str(world.raw), str(tmp_path / "data")]
    done = subprocess.run([sys.executable, "-c", code, str(files // 2), *words], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    (root,) = (tmp_path / "data").iterdir()  # none other was begun
    assert len(list(root.rglob(".*.tmp"))) == 1
    assert not (root / "dataset.json").exists()
    assert world.convert(None, tmp_path / "data") == 0
    assert contents(tmp_path / "data") == contents(world.out)


def test_the_first_patients_are_the_same_however_many_are_asked_for(world: World) -> None:
    few = set(world.phantom.truth(1, SEED))
    many = {probe for asked in world.truth.values() for probe in asked}
    assert few and few <= many
    assert few != set(world.phantom.truth(1, SEED + 1))
