import nibabel
import numpy as np
import pytest
from contents import facts, labels
from tiny import tiny_dataset

from bench import protocols, splits
from bench.budget import budget
from bench.views import view
from converters.dataset import IGNORE
from converters.sources import acdc


@pytest.mark.fault(57)
def test_a_share_that_rounds_to_nobody_is_told_with_the_real_share(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 5)
    split = splits.freeze_default(dataset)
    assert len(split.train) == 3
    seen = view(dataset, split, protocols.parse("semi10"), 0, tmp_path / "view")
    assert (facts(seen)["labelled_subjects"], facts(seen)["real_percent"]) == (1, 33.33)
    told = "10 % of 3 training subjects is less than one; one labelled subject is the least, a real share of 33.3 %"
    assert protocols.notices(seen) == [f"semi10: {told}"]
    noisy = view(dataset, split, protocols.parse("noisy"), 0, tmp_path / "noisy")
    assert protocols.notices(noisy) == [
        "noisy50: 50 % of 3 labelled subjects is rounded up to 2 disturbed, a real share of 66.7 %"
    ]


def test_the_budget_counts_what_was_annotated(made, tmp_path):
    dataset, split = made
    size, depth = 32 * 28 * 4, 4
    full = budget(view(dataset, split, protocols.parse("full"), 0, tmp_path / "full"), dataset)
    n = len(split.train)
    assert (full.labelled_subjects, full.labelled_cases) == (n, 2 * n)
    assert (full.annotated_voxels, full.annotated_slices) == (2 * n * size, 2 * n * depth)
    assert full.agreement is None
    semi = budget(view(dataset, split, protocols.parse("semi10"), 0, tmp_path / "semi"), dataset)
    assert (semi.labelled_subjects, semi.annotated_voxels) == (1, 2 * size)
    scribble = view(dataset, split, protocols.parse("scribble"), 0, tmp_path / "scribble")
    found = budget(scribble, dataset)
    assert (
        found.annotated_voxels
        == sum(int((a != IGNORE).sum()) for a in labels(scribble).values())
        < full.annotated_voxels
    )
    assert found.agreement is None


def test_the_agreement_is_the_mean_dice_of_the_disturbed_labels(made, tmp_path):
    dataset, split = made
    seen = view(dataset, split, protocols.parse("noisy50"), 0, tmp_path / "view")
    clean, dices = labels(dataset), []
    for case, noisy in labels(seen).items():
        if not np.array_equal(noisy, clean[case]):
            for code in (1, 2, 3):
                a, b = noisy == code, clean[case] == code
                dices.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    assert budget(seen, dataset).agreement == pytest.approx(np.mean(dices), abs=1e-12)
    assert 0.5 < np.mean(dices) < 0.97


def test_the_seven_patients_of_the_literature_are_136_of_1312_slices(shared_data):
    published = next(split for split in acdc.INFO[0].splits if split.name == "ssl4mis")
    folder = shared_data / "acdc" / "database" / "training"

    def slices(patients):
        files = [file for patient in patients for file in (folder / patient).glob("*_gt.nii.gz")]
        assert len(files) == 2 * len(patients)
        return sum(nibabel.load(file).shape[2] for file in files)

    assert slices(published.draws["ssl4mis"]) == 136  # the first lines of SSL4MIS's train_slices.list
    assert slices(published.train) == 1312
