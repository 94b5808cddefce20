"""Views of tasks that learn no label map: values are hidden as label maps are, images need nobody."""

import dataclasses
import json

import msgspec
import pytest
import views
from contents import facts, tree
from tiny import tiny_dataset
from views import valued, weights

from baselines.config import NetConfig, TrainConfig
from baselines.train import Setting, train
from bench import protocols, splits
from bench.budget import budget
from bench.plan import plan
from bench.recipe import Choice, Recipe, resolve
from bench.task_view import shown
from bench.views import view
from converters.dataset import Dataset
from converters.errors import BenchError, UsageError

TRAIN = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.0, 0.0)), steps=2, batch=4, patch=(16, 16), deterministic=True, threads=1
)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return views.people(tmp_path_factory.mktemp("people") / "data" / "tiny")


def seen(dataset, out, name="semi30", task="sex", **more):
    return view(dataset, dataset.split("default"), protocols.parse(name), 0, out, task=task, **more)


def poisoned(people, root):
    """The same people on disk, with another sex and age for all whose values semi30 hides."""
    copy = valued(tiny_dataset(root / "tiny", 10))
    open_ = shown(people, people.split("default"), protocols.parse("semi30"), 0, "sex")
    other = {"M": "F", "F": "M"}
    cases = (
        c if c.subject in open_ else msgspec.structs.replace(c, meta={"sex": other[c.meta["sex"]], "age_years": 1.0})
        for c in copy.cases
    )
    copy = dataclasses.replace(copy, cases=tuple(cases))
    copy.save()
    splits.freeze_default(copy)
    return Dataset.load(copy.root)


def test_a_view_shows_the_value_of_those_it_may_and_nothing_else(people, tmp_path):
    split = people.split("default")
    made = seen(people, tmp_path / "view")
    visible = shown(people, split, protocols.parse("semi30"), 0, "sex")
    assert len(visible) == 3 == facts(made)["labelled_subjects"]
    assert {case.subject for case in made.cases} == set(split.train)
    for case in made.cases:
        assert case.label is None and case.annotations == {}
        assert case.meta == ({"sex": people.case(case.id).meta["sex"]} if case.subject in visible else {})
    everything = b"".join(tree(made.root).values())
    assert b"age_years" not in everything and b"labelsTr" not in everything
    for case in people.only((*split.val, *split.test)).cases:
        assert case.id.encode() not in everything
    told = budget(made, people)
    assert (told.labelled_subjects, told.labelled_cases, told.annotated_voxels) == (3, 6, 0)
    assert seen(people, tmp_path / "view").cases == made.cases  # it is given back


def test_more_subjects_show_theirs_where_the_protocol_allows(people, tmp_path):
    split = people.split("default")
    few, more, all_ = (shown(people, split, protocols.parse(n), 0, "age") for n in ("semi10", "semi50", "full"))
    assert set(few) < set(more) < set(all_) == set(split.train)


def test_garbage_in_hidden_values_changes_neither_view_nor_weights(people, tmp_path):
    dirty = poisoned(people, tmp_path)
    made = [seen(one, tmp_path / name / "view") for name, one in (("clean", people), ("dirty", dirty))]
    assert [case.meta for case in made[0].cases] == [case.meta for case in made[1].cases]
    assert facts(made[0]) == facts(made[1])
    for name, one in zip(("clean", "dirty"), made, strict=True):
        train(one, TRAIN, tmp_path / name / "model", Setting(), "sex")
    assert weights(tmp_path / "clean/model") == weights(tmp_path / "dirty/model")
    # The garbage is garbage: with all values shown the weights are others.
    for name, one in (("clean", people), ("dirty", dirty)):
        train(seen(one, tmp_path / name / "all", "full"), TRAIN, tmp_path / name / "full", Setting(), "sex")
    assert weights(tmp_path / "clean/full") != weights(tmp_path / "dirty/full")


def test_a_view_with_other_values_is_refused(people, tmp_path):
    made = seen(people, tmp_path / "view")
    path = next(made.root / "cases" / f"{case.id}.json" for case in made.cases if case.meta)
    told = json.loads(path.read_bytes())
    told["meta"]["sex"] = "M" if told["meta"]["sex"] == "F" else "F"
    path.write_text(json.dumps(told))
    with pytest.raises(BenchError, match="values in the view"):
        seen(people, tmp_path / "view")


@pytest.mark.parametrize("name", ["full", "semi10", "scribble", "noisy"])
def test_images_need_no_label_under_any_protocol(people, tmp_path, name):
    made = seen(people, tmp_path / "view", name, "autoencoder")
    assert len(made.cases) == 2 * len(people.split("default").train)
    assert all(case.label is None and case.meta == {} for case in made.cases)
    assert facts(made)["labelled_subjects"] == 0
    assert protocols.notices(made) == []


def test_a_protocol_about_label_maps_says_nothing_of_values(people, tmp_path):
    with pytest.raises(BenchError, match="says how label maps are drawn"):
        seen(people, tmp_path / "view", "noisy50")
    with pytest.raises(BenchError, match="says how label maps are drawn"):
        plan(Recipe(dataset="tiny", protocol="scribble", task="age", train=TRAIN), people, tmp_path)
    assert not (tmp_path / "view").exists()


def test_a_plan_tests_those_who_have_a_value_and_tells_runs_apart(people, tmp_path):
    hidden = people.split("default").test[0]
    cases = (msgspec.structs.replace(c, meta={}) if c.subject == hidden else c for c in people.cases)
    fewer = dataclasses.replace(people, cases=tuple(cases))
    made, other, labels = (
        plan(Recipe(dataset="tiny", task=task, train=TRAIN), one, tmp_path)
        for task, one in (("sex", people), ("sex", fewer), ("labels", fewer))
    )
    assert {case.subject for case in made.test} - {case.subject for case in other.test} == {hidden}
    assert len({made.folder, other.folder, labels.folder}) == 3
    assert labels.folder == plan(Recipe(dataset="tiny", train=TRAIN), people, tmp_path).folder
    nobody = dataclasses.replace(people, cases=tuple(msgspec.structs.replace(c, meta={}) for c in people.cases))
    with pytest.raises(BenchError, match="no test subject"):
        plan(Recipe(dataset="tiny", task="sex", train=TRAIN), nobody, tmp_path)


@pytest.mark.parametrize("task", ["sex", "superres"])
def test_label_maps_of_a_few_do_not_decide_who_is_tested_where_none_is_asked_for(task, tmp_path):
    dataset = valued(tiny_dataset(tmp_path / "data" / "tiny", 10, unlabelled=8))
    splits.freeze_default(dataset)
    recipe = Recipe(dataset="tiny", task=task, train=msgspec.structs.replace(TRAIN, grid="native"))
    with pytest.raises(BenchError, match="only subjects with a label map") as refused:
        plan(recipe, dataset, tmp_path)
    assert refused.value.mend.startswith("--split all-70-10-20")
    made = plan(msgspec.structs.replace(recipe, split="all-70-10-20"), dataset, tmp_path)
    assert {case.subject for case in made.test} == set(splits.order(dataset.subjects, "split")[8:])
    assert len(plan(Recipe(dataset="tiny", train=TRAIN), dataset, tmp_path).test) == 2


def test_where_no_test_subject_has_a_value_a_split_is_named_that_works(people, tmp_path):
    hidden = splits.order(people.subjects, "split")[8:]
    cases = (msgspec.structs.replace(c, meta={}) if c.subject in hidden else c for c in people.cases)
    fewer = dataclasses.replace(people, cases=tuple(cases))
    recipe = Recipe(dataset="tiny", task="age", train=TRAIN)
    with pytest.raises(BenchError, match="no test subject of split 'default'") as refused:
        plan(recipe, fewer, tmp_path)
    assert refused.value.mend.startswith("--split all-50-0-50")
    assert plan(msgspec.structs.replace(recipe, split="all-50-0-50"), fewer, tmp_path).test
    one = (msgspec.structs.replace(c, meta={}) if c.subject != hidden[0] else c for c in people.cases)
    with pytest.raises(BenchError, match="no labelled training subject"):
        plan(recipe, dataclasses.replace(people, cases=tuple(one)), tmp_path)


def test_a_task_begins_with_settings_of_its_own_and_what_is_typed_stands_over_them(tmp_path):
    def choose(preset="cpu", **more):
        return resolve(Choice(dataset="phantom-ixi-t1", preset=preset, **more), bf16=False)

    assert (choose().task, len(choose().train.patch), choose().train.grid) == ("labels", 2, "resize")
    for typed in ({"flags": {"task": "superres"}}, {"settings": ('task="superres"',)}):
        made = choose(**typed)
        assert (made.task, len(made.train.patch), made.train.grid) == ("superres", 3, "native")
    file = tmp_path / "mine.toml"
    file.write_text('task = "age"\n')
    made = choose(config=file, settings=("train.patch=[8, 8, 8]",))
    assert (made.task, made.train.patch, made.train.augment.scale) == ("age", (8, 8, 8), 0.0)
    assert choose("demo", flags={"task": "age"}).train.patch != choose("cpu", flags={"task": "age"}).train.patch


def test_what_no_task_can_be_learnt_with_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'sex'"):
        Recipe(dataset="tiny", task="sexx")
    with pytest.raises(BenchError, match="by Dice"):
        Recipe(dataset="tiny", task="sex", selection="best_val", train=msgspec.structs.replace(TRAIN, snapshots=2))
    with pytest.raises(BenchError, match="class_weights"):
        Recipe(dataset="tiny", task="sex", train=msgspec.structs.replace(TRAIN, class_weights="median_frequency"))
