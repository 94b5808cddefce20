import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import splits
from converters.dataset import Split
from converters.errors import BenchError, UsageError
from converters.sources import acdc

SUBJECTS = st.sets(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), min_size=1, max_size=60)

# SSL4MIS, ACDC: 70 training patients, of whom the literature labels seven.
SSL4MIS = next(split for split in acdc.INFO[0].splits if split.name == "ssl4mis")
SEVEN = tuple(f"patient{n:03d}" for n in (99, 38, 50, 100, 58, 21, 49))


def split_of(train, draws=None):
    return Split(
        name="s", dataset="d", content_sha256="0", train=tuple(train), val=(), test=("held-out",), draws=draws or {}
    )


def acdc_split():
    return split_of(SSL4MIS.train, dict(SSL4MIS.draws))


@given(SUBJECTS, st.integers(0, 5), st.integers(1, 100), st.integers(1, 100))
def test_fewer_percent_lie_inside_more(subjects, draw, a, b):
    split = split_of(sorted(subjects))
    few, many = (splits.labelled(split, percent, draw) for percent in sorted((a, b)))
    assert few == many[: len(few)]
    assert len(few) == max(1, -(-min(a, b) * len(subjects) // 100))


@given(st.permutations([f"p{n}" for n in range(20)]), st.integers(0, 5))
def test_the_draw_does_not_depend_on_the_order_of_the_subjects(subjects, draw):
    assert splits.labelled(split_of(subjects), 30, draw) == splits.labelled(split_of(sorted(subjects)), 30, draw)


def test_hash_order_is_the_published_one():
    # Written down once: a change here would silently change every semi-supervised result.
    assert splits.order([f"p{n}" for n in range(6)], 0) == ("p0", "p3", "p2", "p5", "p1", "p4")


def test_another_draw_labels_other_subjects():
    split = split_of([f"p{n}" for n in range(40)])
    assert len({splits.labelled(split, 10, draw) for draw in range(5)}) == 5


def test_a_tenth_of_acdc_are_the_seven_patients_of_the_literature():
    split = acdc_split()
    assert len(split.train) == 70
    assert splits.labelled(split, 10, "ssl4mis") == SEVEN
    assert splits.labelled(split, 4, "ssl4mis") == SEVEN[:3]
    assert len(splits.labelled(split, 10, 0)) == 7


def test_a_published_list_that_is_too_short_says_how_many_it_holds():
    with pytest.raises(BenchError, match=r"holds 7 subjects; 20 % of 70 are 14"):
        splits.labelled(acdc_split(), 20, "ssl4mis")


def test_where_all_are_labelled_the_published_list_does_not_matter():
    assert sorted(splits.labelled(acdc_split(), 100, "ssl4mis")) == sorted(acdc_split().train)


def test_an_unknown_draw_is_a_usage_error_that_names_the_draws():
    with pytest.raises(UsageError, match=r"no draw 'ssl4mi'\. Did you mean 'ssl4mis'\?") as error:
        splits.labelled(acdc_split(), 10, "ssl4mi")
    assert "draws here: ssl4mis; or --draw 0" in str(error.value)


def test_draws_are_numbers_or_names():
    assert splits.parse_draw("12") == 12
    assert splits.parse_draw("ssl4mis") == "ssl4mis"
    for text in ("", "-1"):
        with pytest.raises(UsageError, match="is no draw"):
            splits.parse_draw(text)


@pytest.mark.parametrize(
    ("subjects", "sizes"),
    [(2, (1, 0, 1)), (3, (2, 0, 1)), (4, (3, 0, 1)), (5, (3, 1, 1)), (10, (7, 1, 2)), (1, (1, 0, 0))],
)
def test_the_default_split_holds_every_subject_once(dataset_of, subjects, sizes):
    dataset = dataset_of(subjects)
    split = splits.freeze_default(dataset)
    assert (len(split.train), len(split.val), len(split.test)) == sizes
    assert sorted((*split.train, *split.val, *split.test)) == sorted(dataset.subjects)
    assert dataset.split("default") == split


def test_seventy_ten_twenty_per_cent_of_fifty(dataset_of):
    split = splits.freeze_default(dataset_of(50, shape=(12, 12, 2)))
    assert (len(split.train), len(split.val), len(split.test)) == (35, 5, 10)


def test_freezing_twice_changes_no_byte(dataset_of):
    dataset = dataset_of(6)
    splits.freeze_default(dataset)
    path = dataset.root / "splits" / "default.json"
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    splits.freeze_default(dataset)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_different_default_split_is_never_overwritten(dataset_of):
    dataset = dataset_of(6)
    split = splits.freeze_default(dataset)
    path = dataset.root / "splits" / "default.json"
    edited = msgspec.structs.replace(split, train=split.test, test=split.train)
    path.write_bytes(msgspec.json.encode(edited))
    before = path.read_bytes()
    with pytest.raises(BenchError, match="never overwritten"):
        splits.freeze_default(dataset)
    assert path.read_bytes() == before


def test_new_content_gets_a_new_default_split(dataset_of):
    old = splits.freeze_default(dataset_of(6))
    grown = dataset_of(8)  # the same folder, converted again with more cases
    new = splits.freeze_default(grown)
    assert new.content_sha256 == grown.file.bench.content_sha256 != old.content_sha256
    assert grown.split("default") == new


def test_the_organisers_test_cases_stay_the_test_side(dataset_of):
    split = splits.freeze_default(dataset_of(12, held_out=4))
    assert sorted(split.test) == ["s08", "s09", "s10", "s11"]
    assert len(split.train) + len(split.val) == 8


@pytest.mark.fault(55)
def test_copies_of_one_subject_stay_on_one_side(dataset_of):
    dataset = dataset_of(10)
    for a in dataset.subjects[1:]:
        card = msgspec.structs.replace(dataset.file.bench, copies=((a, "s00"),))
        twins = dataclasses.replace(dataset, file=msgspec.structs.replace(dataset.file, bench=card))
        (dataset.root / "splits" / "default.json").unlink(missing_ok=True)
        split = splits.freeze_default(twins)
        assert sorted((*split.train, *split.val, *split.test)) == sorted(dataset.subjects)
        assert any({a, "s00"} <= set(side) for side in (split.train, split.val, split.test))
        assert split.val and 2 <= len(split.test) <= 3


def test_subjects_without_labels_train_and_are_never_tested(dataset_of):
    split = splits.freeze_default(dataset_of(12, unlabelled=5))
    assert {"s07", "s08", "s09", "s10", "s11"} <= set(split.train)


def test_a_dataset_without_labels_is_divided_all_the_same(dataset_of):
    dataset = dataset_of(10, unlabelled=10)
    split = splits.freeze_default(dataset)
    order = splits.order(dataset.subjects, "split")
    assert (split.train, split.val, split.test) == (order[:7], order[7:8], order[8:])
    assert splits.resolve(dataset, "default") == split


def test_an_unknown_split_names_the_nearest(dataset_of):
    dataset = dataset_of(6)
    splits.freeze_default(dataset)
    assert splits.resolve(dataset, "default") == dataset.split("default")
    with pytest.raises(UsageError, match="Did you mean 'default'"):
        splits.resolve(dataset, "defalt")


@pytest.mark.fault(56)
def test_a_split_of_other_content_is_refused_with_both_hashes(dataset_of):
    old = splits.freeze_default(dataset_of(6))
    grown = dataset_of(8)
    with pytest.raises(BenchError, match=old.content_sha256[:12]) as error:
        splits.resolve(grown, "default")
    assert grown.file.bench.content_sha256[:12] in str(error.value)


@pytest.mark.fault(54)
@pytest.mark.parametrize("side", ["val", "test"])
def test_a_subject_on_two_sides_is_refused_by_name(dataset_of, side):
    dataset = dataset_of(10)
    split = splits.freeze_default(dataset)
    torn = msgspec.structs.replace(split, **{side: (*getattr(split, side), split.train[0])})
    (dataset.root / "splits" / "torn.json").write_bytes(msgspec.json.encode(torn))
    with pytest.raises(BenchError, match=rf"{split.train[0]} in train and in {side}"):
        splits.resolve(dataset, "torn")


def test_a_split_of_absent_subjects_is_refused(dataset_of):
    dataset = dataset_of(6)
    split = splits.freeze_default(dataset)
    other = msgspec.structs.replace(split, name="other", test=("nobody",))
    (dataset.root / "splits" / "other.json").write_bytes(msgspec.json.encode(other))
    with pytest.raises(BenchError, match="does not hold: nobody"):
        splits.resolve(dataset, "other")


def test_a_single_subject_cannot_train_and_be_tested(dataset_of):
    dataset = dataset_of(1)
    splits.freeze_default(dataset)
    with pytest.raises(BenchError, match="no test subject"):
        splits.resolve(dataset, "default")


def test_a_published_subject_without_a_label_is_refused():
    split = acdc_split()
    narrowed = msgspec.structs.replace(split, train=tuple(s for s in split.train if s != "patient099"))
    with pytest.raises(BenchError, match="draw 'ssl4mis' names patient099"):
        splits.labelled(narrowed, 10, "ssl4mis")


def test_where_nobody_trains_nobody_is_labelled():
    with pytest.raises(BenchError, match="no labelled training subject"):
        splits.labelled(split_of([]), 10, 0)


def test_three_shares_name_a_split_by_the_rule_of_the_default(dataset_of):
    dataset = dataset_of(10)
    frozen = splits.freeze_default(dataset)
    split = splits.resolve(dataset, "60-20-20")
    assert [len(side) for side in (split.train, split.val, split.test)] == [6, 2, 2]
    assert split.name == "60-20-20" and "60/20/20 %" in split.source and split.check() == []
    assert split.test == frozen.test and splits.resolve(dataset, "60-20-20") == split
    assert not (dataset.root / "splits" / "60-20-20.json").exists()
    same = splits.resolve(dataset, "70-10-20")
    assert (same.train, same.val, same.test) == (frozen.train, frozen.val, frozen.test)
    assert splits.resolve(dataset, "80-0-20").val == ()
    # A file of that name is what somebody wrote down.
    own = msgspec.structs.replace(split, val=split.test, test=split.val)
    (dataset.root / "splits" / "60-20-20.json").write_bytes(msgspec.json.encode(own))
    assert splits.resolve(dataset, "60-20-20") == own
    for wrong in ("60-20-10", "100-0-0", "0-50-50", "60-20", "6e1-20-20"):
        with pytest.raises(UsageError, match="no split"):
            splits.resolve(dataset, wrong)


@pytest.mark.parametrize("unlabelled", [0, 7, 10])
def test_shares_of_all_ask_nobody_for_a_label_map(dataset_of, unlabelled):
    dataset = dataset_of(10, unlabelled=unlabelled)
    splits.freeze_default(dataset)
    split = splits.resolve(dataset, "all-70-10-20")
    order = splits.order(dataset.subjects, "split")
    assert (split.train, split.val, split.test) == (order[:7], order[7:8], order[8:])
    assert split.name == "all-70-10-20" and "of all subjects, with or without a label map" in split.source
    for wrong in ("all-70-10-10", "all", "all-default", "all-all-70-10-20"):
        with pytest.raises(UsageError, match="no split"):
            splits.resolve(dataset, wrong)


def test_what_label_maps_decide_has_a_counterpart_that_they_do_not(dataset_of):
    everybody = splits.of_everybody
    dataset = dataset_of(10, unlabelled=6)
    assert everybody(dataset, splits.freeze_default(dataset)) == "all-70-10-20"
    assert everybody(dataset, splits.resolve(dataset, "60-20-20")) == "all-60-20-20"
    assert everybody(dataset, splits.resolve(dataset, "all-60-20-20")) is None
    assert everybody(dataset, split_of(dataset.subjects[:9])) is None  # somebody's own
    for how in ({}, {"unlabelled": 10}):
        dataset = dataset_of(10, **how)
        assert everybody(dataset, splits.freeze_default(dataset)) is None
    # Whom the organiser held out, without a label, stands on no side and does not train.
    dataset = dataset_of(10, held_out=4)
    cases = (c if c.subject < "s06" else msgspec.structs.replace(c, label=None) for c in dataset.cases)
    withheld = dataclasses.replace(dataset, cases=tuple(cases))
    (dataset.root / "splits" / "default.json").unlink()
    assert everybody(withheld, splits.freeze_default(withheld)) is None
