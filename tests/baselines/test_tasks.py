"""Other tasks than label maps: what is learnt, what is hidden, what is written, in 2D and 3D."""

import dataclasses
import math

import msgspec
import numpy as np
import pytest
import torch
from views import valued, weights

from baselines import method as contract
from baselines import task as tasks
from baselines.agreement import with_float32
from baselines.batch import Batch
from baselines.cache import prepare, read_image
from baselines.config import NetConfig, NetSpec, plain
from baselines.degrade import degraded
from baselines.feed import on_host
from baselines.grid import normalise, to_case
from baselines.heads import Autoencoder, Pooled
from baselines.model import goal_of, load_model
from baselines.nets import make_net
from baselines.pictures import Picture
from baselines.predict import Setting as Where
from baselines.predict import predict
from baselines.sampler import Sampler
from baselines.taught import asked_of, model_spec, taught_values
from baselines.train import RefusedError, Setting, train
from baselines.values import Known, Value
from converters.errors import BenchError, UsageError
from converters.files import read_json
from converters.volume import read_nifti

SMALL = NetConfig(widths=(4, 8), dropout=(0.0, 0.0), latent=5)
PATCHES = {2: (16, 16), 3: (8, 16, 16)}


@pytest.fixture(scope="module")
def people(whole):
    """Six subjects with a sex and an age, the last of them without."""
    return valued(whole, whole.subjects[-1:])


@pytest.fixture
def learnt(people, small, tmp_path):
    """Trains a task for a moment; gives its method, its spec and its folder."""

    def make(task, dims=2, **changes):
        grid = "native" if task == "superres" else "resize"
        config = small(net=SMALL, patch=PATCHES[dims], grid=grid, **changes)
        train(people, config, tmp_path / task, Setting(), task)
        return *load_model(tmp_path / task, torch.device("cpu")), tmp_path / task

    return make


def batch_of(image, value):
    count = len(image)
    zeros = torch.zeros(count, dtype=torch.long)
    target = torch.full((count, *image.shape[2:]), 255)
    grid = torch.eye(2, 3).repeat(count, 1, 1)
    return Batch(image, target, zeros, zeros, grid, zeros.bool(), (False,) * count, value=torch.tensor(value))


@pytest.mark.parametrize("dims", [2, 3])
def test_a_class_is_told_with_its_probabilities(learnt, people, tmp_path, dims):
    method, spec, model = learnt("sex", dims)
    assert spec.known.classes == ("F", "M") and method.net.body.head.out_features == 2
    predict(model, people, people.cases, tmp_path / "out", Where())
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == sorted(case.id for case in people.cases)
    for case in people.cases:
        told = msgspec.json.decode((tmp_path / "out" / f"{case.id}.json").read_bytes())
        assert told.keys() == {"task", "value", "probabilities"} and told["task"] == "sex"
        assert told["probabilities"].keys() == {"F", "M"}
        assert sum(told["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert told["value"] == max(told["probabilities"], key=told["probabilities"].get)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_number_is_told_in_its_own_unit(learnt, people, tmp_path, dims):
    _, spec, model = learnt("age", dims)
    ages = [case.meta["age_years"] for case in people.cases if case.meta]
    assert (spec.known.mean, spec.known.spread) == pytest.approx((np.mean(ages), np.std(ages)))
    predict(model, people, people.cases[-2:], tmp_path / "out", Where())
    for case in people.cases[-2:]:
        told = msgspec.json.decode((tmp_path / "out" / f"{case.id}.json").read_bytes())
        assert told.keys() == {"task", "value"}
        assert abs(told["value"] - spec.known.mean) < 20 * spec.known.spread


def test_a_case_is_the_mean_over_its_windows():
    number = Value("age", tasks.find("age"), Known(mean=50.0, spread=10.0))
    assert number.answer(torch.tensor([[0.0], [1.0], [2.0]])) == {"task": "age", "value": 60.0}
    sex = Value("sex", tasks.find("sex"), Known(classes=("F", "M")))
    told = sex.answer(torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]]))
    assert told == {"task": "sex", "value": "F", "probabilities": {"F": 0.625, "M": 0.375}}


def test_the_loss_of_a_value_is_that_of_the_samples_that_show_it():
    image = torch.randn(3, 1, 8, 8)
    out = torch.tensor([[0.5, 0.0], [0.0, 2.0], [7.0, 7.0]], requires_grad=True)
    number = Value("age", tasks.find("age"), Known(mean=50.0, spread=10.0))
    terms = number.terms(lambda _: out, batch_of(image, [60.0, 40.0, math.nan]))
    assert terms["mse"].item() == pytest.approx(((0.5 - 1) ** 2 + (0 + 1) ** 2) / 2)
    terms["mse"].backward()
    assert out.grad[:2, 0].ne(0).all() and out.grad[2].eq(0).all()
    sex = Value("sex", tasks.find("sex"), Known(classes=("F", "M")))
    terms = sex.terms(lambda _: out, batch_of(image, [1.0, 1.0, math.nan]))
    assert terms["ce"].item() == pytest.approx(-out.log_softmax(1)[:2, 1].mean().item())
    nobody = sex.terms(lambda _: out, batch_of(image, [math.nan] * 3))
    assert nobody["ce"].item() == 0


def test_an_annotated_sample_is_one_whose_value_is_shown(people, small):
    config = small(net=SMALL)
    spec = model_spec(people, config, 0, "age")
    cases = prepare(asked_of(people, "age"), config, None, taught_values(people, spec))
    assert [case.annotated for case in cases] == [True] * 10 + [False] * 2
    sampler = Sampler(cases, config, {"labelled": 1, "unlabelled": 1}, 0)
    for step in range(3):
        draw = sampler.draw(step)
        samples = sampler(step)
        assert on_host(samples).annotated == sampler.annotated(draw) == (True, True, False, False)
        assert samples.value.tolist()[:2] == [people.cases[case].meta["age_years"] for case in draw.case[:2]]
        assert np.isnan(samples.value[2:]).all()


def test_what_a_hidden_value_would_be_changes_nothing_but_one_that_is_shown_does(whole, small, tmp_path):
    first, *others = valued(whole).cases
    older = msgspec.structs.replace(first, meta={**first.meta, "age_years": 90.0})
    for name, cases in (("a", (first, *others)), ("b", (older, *others))):
        train(dataclasses.replace(whole, cases=cases), small(net=SMALL, steps=2), tmp_path / name, Setting(), "age")
    assert weights(tmp_path / "a") != weights(tmp_path / "b")
    # The task takes one value of a case; what else is known of a person is not read.
    richer = msgspec.structs.replace(first, meta={**first.meta, "sex": "X", "height": 7.0})
    people = dataclasses.replace(whole, cases=(richer, *others))
    train(people, small(net=SMALL, steps=2), tmp_path / "c", Setting(), "age")
    assert weights(tmp_path / "a") == weights(tmp_path / "c")


def test_a_training_on_values_goes_on_where_it_was(people, small, tmp_path):
    config = small(net=SMALL, steps=6)

    def stop(done, _):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(people, config, tmp_path / "twice", Setting(progress=stop), "sex")
    train(people, config, tmp_path / "twice", Setting(), "sex")
    train(people, config, tmp_path / "once", Setting(), "sex")
    assert weights(tmp_path / "twice") == weights(tmp_path / "once")


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("task", ["autoencoder", "superres"])
def test_an_image_lies_on_the_grid_of_its_case(learnt, people, tmp_path, task, dims):
    _, _, model = learnt(task, dims)
    case = people.cases[0]
    predict(model, people, [case], tmp_path / "out", Where())
    made = read_nifti(tmp_path / "out" / f"{case.id}.nii.gz")
    assert made.array.dtype == np.float32
    assert made.same_grid(read_nifti(people.path(case.images["cine"].file)))
    assert np.isfinite(made.array).all() and np.ptp(made.array) > 0


def test_super_resolution_is_shown_what_it_is_compared_with(learnt, people, tmp_path):
    method, spec, model = learnt("superres", 3)
    for part in method.net.body.body.parameters():
        torch.nn.init.zeros_(part)  # what is added to the coarse image is nothing
    from baselines.model import save_model

    save_model(method, spec, model)
    case = people.cases[0]
    predict(model, people, [case], tmp_path / "out", Where())
    coarse = degraded(normalise(read_image(people, case), None), 3, 4)[0]
    made = read_nifti(tmp_path / "out" / f"{case.id}.nii.gz").array
    np.testing.assert_allclose(made, to_case(coarse.numpy(), case.geometry), atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_whole_case_is_made_coarser_by_the_factor_of_training_whatever_its_shape(dims):
    whole = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 40, 36, 44)).astype(np.float32))
    image = whole[:, :38, :33, :42]  # of no edge a multiple of four
    made = degraded(image, dims, 4)
    wide = np.pad(image.numpy(), [(0, 0), *[(0, -n % 4) for n in image.shape[1:]]], mode="edge")
    expected = degraded(torch.from_numpy(wide), dims, 4)[:, :38, :33, :42]
    torch.testing.assert_close(made, expected)
    # Far from an edge nothing says where the image ends: its voxels are merged four by four.
    torch.testing.assert_close(made[:, :30, :26, :34], degraded(whole, dims, 4)[:, :30, :26, :34])
    assert degraded(image[:, :1, :1, :1], dims, 4).shape == (2, 1, 1, 1)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_patch_is_made_coarser_from_anywhere_in_a_coarse_voxel(dims):
    goal = Picture("superres", tasks.find("superres"), dims)
    image = torch.randn(2, 3, *(20, 16, 12)[-dims:])
    found = set()
    for seed in range(4):
        torch.manual_seed(seed)
        starts = torch.randint(4, (dims,)).tolist()
        torch.manual_seed(seed)
        coarse = goal._coarse(image)
        found.add(tuple(starts))
        for one, same in zip(image.flatten(0, 1), coarse.flatten(0, 1), strict=True):
            wide = one.numpy() if dims == 3 else one.numpy()[None]
            edges = [(s, -(s + n) % 4) for s, n in zip(starts, one.shape, strict=True)]
            wide = np.pad(wide, [*[(0, 0)] * (3 - dims), *edges], mode="edge")
            expected = degraded(torch.from_numpy(wide)[None], dims, 4)[0]
            inner = tuple(slice(s, s + n) for s, n in zip(starts, one.shape, strict=True))
            torch.testing.assert_close(same, (expected if dims == 3 else expected[0])[inner])
    assert len(found) > 1


def test_nothing_passes_by_the_code(small):
    spec = NetSpec(
        config=SMALL,
        in_channels=2,
        classes=2,
        patch=(8, 16, 12),
        spacing=(1.0, 1.0, 1.0),
        precision="fp32",
        channels_last=True,
        head="code",
    )
    net = make_net(spec).eval()
    assert isinstance(net.body, Autoencoder)
    (code,) = net.encode(torch.randn(3, 2, 8, 16, 12)).levels
    assert code.shape == (3, 5)
    with pytest.raises(BenchError, match="no code"):
        make_net(msgspec.structs.replace(spec, config=NetConfig(arch="Unet", encoder="resnet18"), patch=(32, 32)))


@pytest.mark.parametrize("config", [SMALL, NetConfig(arch="Unet", encoder="resnet18")], ids=["unet", "smp"])
def test_a_pooled_network_has_no_decoder(config):
    spec = NetSpec(
        config=config,
        in_channels=1,
        classes=3,
        patch=(32, 32),
        spacing=(1.0, 1.0),
        precision="fp32",
        channels_last=True,
        head="pooled",
    )
    net = make_net(spec)
    assert isinstance(net.body, Pooled)
    net(torch.randn(2, 1, 32, 32))[0].sum().backward()
    assert all(part.grad is not None for part in net.parameters())
    full = make_net(msgspec.structs.replace(spec, head="voxel"))
    assert sum(p.numel() for p in net.parameters()) < sum(p.numel() for p in full.parameters())


def test_who_cannot_learn_a_task_says_so(people, whole, small, tmp_path):
    def skipped(view, task, **changes):
        with pytest.raises(RefusedError) as told:
            train(view, small(net=SMALL, **changes), tmp_path / "model", Setting(), task)
        return told.value.what

    assert "learns label maps" in skipped(people, "sex", method="mean_teacher")
    assert "no value of 'sex'" in skipped(whole, "sex")
    one = dataclasses.replace(people, cases=people.cases[:2])
    assert "all visible values of 'sex' are" in skipped(one, "sex")
    with pytest.raises(BenchError, match=r"train\.grid to native"):
        train(people, small(net=SMALL), tmp_path / "model", Setting(), "superres")
    with pytest.raises(UsageError, match="Did you mean 'age'"):
        train(people, small(net=SMALL), tmp_path / "model", Setting(), "agee")
    odd = msgspec.structs.replace(people.cases[0], meta={"age_years": "old"})
    with pytest.raises(BenchError, match="'old', and no number"):
        train(dataclasses.replace(people, cases=(odd,)), small(net=SMALL), tmp_path / "model", Setting(), "age")


def test_half_precision_is_checked_on_label_maps_alone(learnt, people, tmp_path):
    *_, model = learnt("sex")
    with pytest.raises(UsageError, match="task is sex"):
        with_float32(model, people, people.cases[:1], tmp_path, Where())


def test_label_maps_are_told_as_ever(whole, small):
    spec = model_spec(whole, small(), 0)
    assert goal_of(spec.task, spec.known, spec.config) is None
    assert plain(spec).keys() == {"config", "net", "channels", "labels", "seed"}
    assert "head" not in plain(spec)["net"] and "latent" not in plain(spec)["net"]["config"]
    assert {"intensity", "class_weights"}.isdisjoint(plain(spec)["config"])
    assert contract.Method.takes == ()


def test_a_model_says_what_it_has_learnt(learnt):
    _, spec, model = learnt("age")
    told = read_json(model / "model.json", type(spec))
    assert (told.task, told.known, told.net.head) == ("age", spec.known, "pooled")
