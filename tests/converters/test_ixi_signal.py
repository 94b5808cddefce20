"""The signal that a phantom of IXI carries when asked: sex in the size of the head, age in its fluid."""

import json

import numpy as np
import pytest

from bench.quirks import asked
from converters.errors import UsageError
from converters.ixi import persons
from converters.phantoms import ixi
from converters.phantoms.head import FLUID, VENTRICLE_LEFT, VENTRICLE_RIGHT, Head
from converters.phantoms.ixi import Person, Quirks
from converters.volume import read_nifti

PLANTED = Quirks(signal=True, contrasts=("T1",), labels=False)
GRID = (28, 34, 30)
AFFINE = np.diag([7.0, 7.0, 7.0, 1.0])
AFFINE[:3, 3] = [-95, -110, -105]


def volumes(head):
    """Voxels of the head, of the ventricles and of the outer fluid."""
    codes = head.tissues(GRID, AFFINE)
    return (codes > 0).sum(), np.isin(codes, (VENTRICLE_LEFT, VENTRICLE_RIGHT)).sum(), (codes == FLUID).sum()


def test_heads_of_men_are_larger_and_fluid_grows_with_age():
    heads = [Head.draw(0, number) for number in range(1, 9)]
    women, men = ([volumes(head.of(male, 50.0))[0] for head in heads] for male in (False, True))
    assert max(women) < min(men)
    ages = [[volumes(head.of(True, age)) for age in (20.0, 50.0, 86.0)] for head in heads]
    for young, middle, old in ages:
        assert young[1] < middle[1] < old[1]
        assert young[2] < middle[2] < old[2]
        assert young[0] == old[0]


def test_the_pictures_carry_it_as_the_table_tells_it(tmp_path):
    ixi.write(tmp_path, 8, 0, PLANTED)
    people = [Person.draw(0, number) for number in range(1, 9)]
    told = persons(tmp_path / "IXI.xls")
    bright = {1: [], 2: []}
    for person in people:
        found = told[person.number].meta if person.number in told else {}
        assert found.get("sex", "FM"[person.sex == 1]) == "FM"[person.sex == 1]
        image = read_nifti(tmp_path / "IXI-T1" / f"{person.name}-T1.nii.gz")
        bright[person.sex].append((image.array > 40).sum())
    # In 1000 voxels of the head a few at its edge are noise, on a grid of 10 mm.
    assert max(bright[2]) < 1.03 * min(bright[1]) and np.mean(bright[2]) < 0.9 * np.mean(bright[1])


def test_the_same_persons_without_the_signal_are_as_they_always_were(tmp_path):
    plain = Head.draw(0, 1)
    assert 0.92 <= plain.size <= 1.06 and (plain.ventricles, plain.shrunk_mm) == (1.0, 0.0)
    for quirks, folder in ((PLANTED, "planted"), (Quirks(contrasts=("T1",), labels=False), "plain")):
        ixi.write(tmp_path / folder, 2, 0, quirks)
    assert (tmp_path / "planted" / "IXI.xls").read_bytes() == (tmp_path / "plain" / "IXI.xls").read_bytes()
    name = f"IXI-T1/{Person.draw(0, 1).name}-T1.nii.gz"
    one, other = (read_nifti(tmp_path / folder / name) for folder in ("planted", "plain"))
    assert one.same_grid(other) and not np.array_equal(one.array, other.array)


def test_a_quirk_is_asked_for_by_name(bench, tmp_path):
    words = ["--cases", "2", "--quirk", "signal", "--quirk", "contrasts=T1,T2", "--quirk", "labels=false", "--json"]
    done = bench("phantom", "ixi", tmp_path / "raw", *words)
    assert done.code == 0 and json.loads(done.out)["written"]
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == ["IXI-T1", "IXI-T2", "IXI.xls"]
    ixi.write(tmp_path / "same", 2, 0, Quirks(signal=True, contrasts=("T1", "T2"), labels=False))
    for path in (tmp_path / "same").rglob("*.nii.gz"):
        assert path.read_bytes() == (tmp_path / "raw" / path.relative_to(tmp_path / "same")).read_bytes()


@pytest.mark.parametrize("word", ["sinal", "signal=perhaps", "layout=odd"])
def test_a_quirk_that_the_phantom_has_not_is_refused(bench, tmp_path, word):
    done = bench("phantom", "ixi", tmp_path / "raw", "--quirk", word)
    assert done.code == 2
    assert not (tmp_path / "raw").exists()


def test_a_phantom_without_quirks_takes_none():
    from converters.phantoms import acdc

    assert asked(acdc, ()) == {}
    with pytest.raises(UsageError):
        asked(acdc, ("signal",))
