from pathlib import Path

import pytest
from folder_tree import describe

from converters.errors import BenchError
from converters.folder_config import channels, label_info
from converters.folder_read import read_config


def told(path: Path) -> str:
    with pytest.raises(BenchError) as error:
        read_config(path)
    assert error.value.exit_code == 3
    return error.value.what


def test_every_fault_is_told_at_once_with_its_key_and_line(tmp_path: Path) -> None:
    path = tmp_path / "frugalseg.toml"
    lines = [
        'name = "x"',  # 1
        'license = "MIT"',
        "ndim = 4",
        'images = "images"',
        'masks = "masks"',  # 5
        "spacing_mm = 'wide'",
        "",
        "[labels]",
        "lung = 1.5",
        "heart = { values = 2, color = 'red' }",  # 10
        "",
        "[channels.t1]",
        "imags = 'x'",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    what = told(path)
    for fault in (
        "line 2: license: unknown key; known are name, licence,",
        "; licence: missing",
        "citation: missing",
        "modality: missing",
        "line 3: ndim: ",
        "line 6: spacing_mm: ",
        "line 9: labels.lung: ",
        "line 10: labels.heart: ",
        "`color`",
        "line 12: channels.t1: ",
        "`imags`",
    ):
        assert fault in what


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"name = ", "is no TOML"),
        (b"\xef\xbb\xbfname = 'x'", "is no TOML"),
        (b"name = '\xff'", "is no TOML"),
        (b"name = 'x'\nname = 'y'", "is no TOML"),
    ],
)
def test_what_is_no_toml_is_refused(data: bytes, fault: str, tmp_path: Path) -> None:
    (tmp_path / "frugalseg.toml").write_bytes(data)
    assert fault in told(tmp_path / "frugalseg.toml")


@pytest.mark.parametrize(
    ("keys", "labels", "fault"),
    [
        ({"name": "A_b"}, "a = 1", "line 1: name: write a-b"),
        ({"name": "../x"}, "a = 1", "name: '../x' cannot be a case id"),
        ({"licence": " "}, "a = 1", "line 2: licence: is empty"),
        ({"images": "../other"}, "a = 1", "'../other' leads out of the folder"),
        ({"masks": "/etc"}, "a = 1", "'/etc' leads out of the folder"),
        ({"masks": "{stem}*.png"}, "a = 1", "where {stem} ends cannot be told"),
        ({"images": None}, "a = 1", "give either images or [channels]"),
        ({"masks": None}, "a = 1", "masks and labels go together"),
        ({}, "", "masks and labels go together"),
        ({"masks": {"a": "x"}}, "a = 1\nb = 1", "each structure has one: a, b"),
        ({"masks": {f"s{n}": "x" for n in range(17)}}, "a = 1", "at most 16 structures have masks of their own"),
        ({"overlaps": [["a", "b"]]}, "a = 1\nb = 2", "two or more structures with masks of their own"),
        ({}, "background = 0", "background and ignore are keys of their own"),
        ({}, "a = 1\nb = '1-3'", "labels.b: 1-3 is also labels.a"),
        ({}, "a = '0-3'", "background: 0 is also labels.a"),
        ({"ignore": 2}, "a = [1, 2]", "line 8: ignore: 2 is also labels.a"),
        ({}, "a = '#ff0000'\nb = 7", "labels.b: greys and colours are mixed"),
        ({}, "a = '#ff00'", "labels.a: '#ff00' is no value"),
        ({}, "a = '9-3'", "labels.a: '9-3' is no value"),
        ({}, "a = []", "labels.a: has no value"),
        ({"subject": "p[0-9]+"}, "a = 1", "subject: a pattern with one group is wanted"),
        ({"case": "(p"}, "a = 1", "line 8: case: no regular expression"),
        ({"spacing_mm": [1, 1, 1]}, "a = 1", "spacing_mm: 2 positive numbers are wanted"),
        ({"spacing_mm": [1, 0]}, "a = 1", "spacing_mm: 2 positive numbers are wanted"),
        ({"pages": "slices"}, "a = 1", '"slices" goes with ndim = 3'),
        ({"rgb": True, "images": None}, "a = 1\n[channels.t]\nimages = 'x'", "goes with images, not with [channels]"),
    ],
)
def test_unsound_values_are_refused_by_key(keys: dict[str, object], labels: str, fault: str, tmp_path: Path) -> None:
    assert fault in told(describe(tmp_path, labels, **keys))


def test_structures_keep_their_order_their_values_and_their_colour(tmp_path: Path) -> None:
    labels = "lung = { values = ['3-5', 9], snomed = '39607008', colour = '#AABBCC' }\nheart = 1"
    config = read_config(describe(tmp_path, labels, sequence="PA", unit=""))
    info = label_info(config)
    assert list(info) == ["lung", "heart"]
    assert (info["lung"].source_values, info["lung"].snomed, info["lung"].colour) == (
        (3, 4, 5, 9),
        "39607008",
        "#aabbcc",
    )
    assert [(one.name, one.modality, one.sequence) for one in channels(config)] == [("image", "DX", "PA")]


def test_channels_take_the_modality_of_the_dataset_unless_they_say_their_own(tmp_path: Path) -> None:
    labels = "a = 1\n[channels.ct]\nimages = 'x'\nunit = 'HU'\n[channels.pet]\nimages = 'y'\nmodality = 'PT'"
    config = read_config(describe(tmp_path, labels, images=None, modality="CT"))
    assert [(one.name, one.modality, one.unit) for one in channels(config)] == [("ct", "CT", "HU"), ("pet", "PT", "")]
