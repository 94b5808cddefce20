"""Profiles: the parts of a step, its operations, the trace, and a model's images one by one and in batches."""

import gzip
import json

import msgspec
import pytest
import torch
from torch import nn
from views import weights

from baselines import latency, trace
from baselines.latency import prediction
from baselines.meter import WARMUP, macs
from baselines.model import load_model
from baselines.predict import Setting as Where
from baselines.predict import predict
from baselines.trace import PARTS, TRACED, matrix_gflops, timed, training
from baselines.train import Setting, train

CPU = torch.device("cpu")
STEPS = 5


@pytest.fixture(scope="module")
def files():
    """Content of every file below a folder."""
    return lambda root: {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("method", ["supervised", "mean_teacher"])
def test_a_profile_holds_the_real_loop_its_parts_and_a_trace(method, partly, small, tmp_path, files):
    config, before = small(method=method, threads=1), files(partly.root)
    seen = training(partly, config, tmp_path / "out", Setting(), STEPS)
    assert seen.cost.items == (WARMUP + STEPS) * config.batch
    assert set(seen.cost.step_ms) == {"p50", "p90", "p99"}
    assert tuple(seen.parts_ms) == PARTS
    assert min(seen.parts_ms.values()) > 0
    assert sum(seen.parts_ms.values()) <= 1000 * seen.steady.seconds  # of one step, within those of all
    with gzip.open(tmp_path / "out" / "trace.json.gz") as file:
        names = [event.get("name") for event in json.load(file)["traceEvents"] if event.get("ph") == "X"]
    assert {name: names.count(name) for name in PARTS} == dict.fromkeys(PARTS, TRACED)
    assert "aten::convolution_backward" in names
    spent = [one.milliseconds for one in seen.operators]
    assert spent == sorted(spent, reverse=True)
    assert not [one.name for one in seen.operators if one.name.startswith((*PARTS, "Optimizer."))]
    assert msgspec.json.decode(msgspec.json.encode(seen), type=type(seen)) == seen
    assert files(partly.root) == before
    assert not torch.are_deterministic_algorithms_enabled()  # as it was


def test_the_operations_of_a_step_are_those_of_forward_and_backward(partly, whole, small, tmp_path, monkeypatch):
    monkeypatch.setattr(trace, "WARMUP", 5)
    config = small(threads=1)
    seen = training(whole, config, tmp_path / "one", Setting(), STEPS)
    method, spec = load_model(tmp_path / "one", CPU)
    first = next(part for part in method.modules() if isinstance(part, nn.Conv2d))
    sample = torch.zeros(1, spec.net.in_channels, *config.patch)
    forward = 2 * macs(method, sample) * config.batch
    # Backward takes a product for the weights and one for the input, which the image has no gradient for.
    assert seen.step_flops == 3 * forward - 2 * macs(first, sample) * config.batch
    in_parts = training(whole, small(threads=1, accumulate=2), tmp_path / "two", Setting(), STEPS)
    assert (in_parts.cost.parts, in_parts.step_flops) == (2, seen.step_flops)
    teacher = training(partly, small(threads=1, method="mean_teacher"), tmp_path / "teacher", Setting(), STEPS)
    assert seen.step_flops < teacher.step_flops < 2 * seen.step_flops  # the teacher goes forward alone


def test_a_predicted_case_is_whole_and_a_2d_network_is_timed_image_by_image(whole, small, tmp_path, monkeypatch, files):
    monkeypatch.setattr(latency, "_ONE_BY_ONE", 5)
    trained = train(whole, small(), tmp_path / "model", Setting())
    before, case = weights(trained.model), whole.cases[0]
    seen = prediction(trained.model, whole, case, tmp_path / "out", Where())
    assert (seen.case, seen.shape, seen.cost.items) == (case.id, case.geometry.shape, 1)
    # The stages of the second prediction alone, one after the other; and the files are those of any prediction.
    assert set(seen.cost.stages_s) == {"read", "preprocess", "forward", "postprocess", "write"}
    assert sum(seen.cost.stages_s.values()) <= seen.cost.seconds + 0.005  # each was rounded to a millisecond
    predict(trained.model, whole, [case], tmp_path / "again", Where())
    assert files(tmp_path / "out") == files(tmp_path / "again")
    assert 0 < seen.images.p50_ms <= seen.images.p90_ms
    assert seen.images.batch == 16
    assert seen.images.batch_images_per_s > 0
    assert weights(trained.model) == before


def test_a_3d_network_has_no_images_a_second(whole, small, tmp_path):
    trained = train(whole, small(patch=(8, 16, 16), steps=1, batch=1), tmp_path / "model", Setting())
    seen = prediction(trained.model, whole, whole.cases[0], tmp_path / "out", Where())
    assert seen.images is None
    assert seen.cost.macs > 0


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError("less than INT_MAX elements")])
def test_the_largest_batch_is_the_last_that_memory_and_kernels_hold(error, monkeypatch):
    tried = []

    class Hungry:
        def logits(self, image):
            tried.append(len(image))
            if len(image) > 4:
                raise error
            return image

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    seen = latency.images(Hungry(), torch.zeros(1, 1, 8, 8))
    assert seen.batch == 4
    assert max(tried) == 8
    assert tried[-4:] == [4] * 4  # once without a clock, then timed


def test_a_run_of_work_is_timed_and_the_first_is_not(monkeypatch):
    calls = []
    assert len(timed(lambda: calls.append(1), CPU, 3)) == 3
    assert len(calls) == 4


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_matrix_peak_is_a_rate_of_a_stated_product(precision, monkeypatch):
    products = []
    monkeypatch.setattr(torch, "mm", lambda left, right: products.append((left.dtype, left.shape, right.shape)))
    rate, edge = matrix_gflops(CPU, precision)
    assert rate > 0
    assert set(products) == {
        (torch.bfloat16 if precision == "bf16" else torch.float32, *[torch.Size([edge, edge])] * 2)
    }
