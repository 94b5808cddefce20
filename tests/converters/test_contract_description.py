"""What every source owes: names and descriptions of what it converts, which schemas, checks and nnU-Net take."""

import json
import os
import re
import time
from pathlib import Path

import jsonschema
import pytest
from worlds import LEGAL_ID, World, canonical, contents, is_text, refused_by_nnunet, run

from bench.protocols import parse
from bench.splits import freeze_default
from bench.views import view
from converters.check import check
from converters.dataset import Dataset
from converters.source import Options
from converters.source import found as found_by

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


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
