"""Two ranks that share each batch train what one process trains: every method, and a training from end to end.

Tiny networks in float32, so that sums of other order are all that differs. Whoever cannot share a batch says why.
"""

import msgspec
import pytest
import sharing
import torch
import torch.multiprocessing
from gates import make
from safetensors.torch import load_file
from sharing import STOPPED, TRAININGS

from baselines import loop, ranks
from baselines import method as contract
from baselines.config import TrainConfig
from baselines.ranks_join import check
from baselines.ranks_net import share
from converters.errors import BenchError

CLOSE = 1e-5
NAMES = contract.names()
SHARED = [name for name in NAMES if not contract.find(name).one_rank]


@pytest.fixture(scope="module")
def pair(whole, tmp_path_factory):
    """The folder of everything two ranks made, and one process beside them."""
    folder = tmp_path_factory.mktemp("ranks")
    started = torch.multiprocessing.spawn(sharing.both, (SHARED, str(whole.root), str(folder)), nprocs=2, join=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_EVERY", 1)
        for name in SHARED:
            sharing.learn(name, folder / f"{name}.pt")
        for name in TRAININGS:
            sharing.train_one(name, whole.root, folder / "alone" / name)
        while not started.join():
            pass
        # What two ranks began one process ends.
        sharing.train_one(STOPPED, whole.root, folder / "pair" / STOPPED)
    return folder


@pytest.mark.parametrize("name", SHARED)
def test_two_ranks_learn_what_one_process_learns(name, pair):
    alone, *both = (torch.load(pair / f"{name}{rank}.pt") for rank in ("", "-0", "-1"))
    for kind, expected in alone.items():
        for found in both:
            for path, value in expected.items():
                torch.testing.assert_close(found[kind][path], value, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_by_two_ranks_has_the_losses_and_weights_of_one_process(name, pair):
    logs = [
        [msgspec.json.decode(line) for line in (pair / by / name / "log.jsonl").open("rb")] for by in ("alone", "pair")
    ]
    assert len(logs[0]) == len(logs[1]) == TRAININGS[name].steps
    for one, two in zip(*logs, strict=True):
        assert two == pytest.approx(one, rel=CLOSE, abs=1e-9)
    states = [load_file(pair / by / name / "model.safetensors") for by in ("alone", "pair")]
    for path, value in states[0].items():
        torch.testing.assert_close(states[1][path], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SHARED])
def test_a_method_that_cannot_share_a_batch_is_refused_with_its_reason(name):
    with pytest.raises(BenchError, match=contract.find(name).one_rank):
        check(contract.find(name), TrainConfig(method=name), 2)


@pytest.mark.parametrize(
    ("changes", "count", "told"),
    [
        ({"batch": 12}, 5, "5 does not divide each share of a batch: 12 samples"),
        ({"batch": 12, "method": "mean_teacher"}, 4, "4 does not divide each share of a batch: 6, 6 samples"),
        ({"batch": 12, "accumulate": 4}, 2, "8 does not divide"),
        ({"accumulate": "auto"}, 2, "cannot be found out by several ranks"),
    ],
)
def test_shares_that_would_not_be_alike_are_refused(changes, count, told):
    config = TrainConfig(**changes)
    with pytest.raises(BenchError, match=told):
        check(contract.find(config.method), config, count)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_ranks_have_each_sample_once_and_each_its_share_of_every_part(parts, monkeypatch):
    monkeypatch.setattr(ranks, "count", lambda: 2)
    each = [ranks.rows(12, parts, of) for of in range(2)]
    assert sorted(each[0] + each[1]) == list(range(12))
    for part in range(parts):
        whole = list(range(12))[part::parts]
        assert [sorted(rows[part::parts]) for rows in each] == [whole[0::2], whole[1::2]]


def test_one_process_leaves_everything_as_it_is():
    values = torch.arange(6.0).view(2, 3)
    assert ranks.room(values) is values and ranks.mine(values) is values
    assert ranks.total(values)[0] is values
    assert ranks.rows(4, 2, 0) == (0, 1, 2, 3)
    assert ranks.some(True) and not ranks.some(False) and ranks.told(3) == 3


@pytest.mark.parametrize(("device", "expected"), [("cuda", torch.nn.SyncBatchNorm), ("cpu", torch.nn.BatchNorm2d)])
def test_shared_norms_keep_their_weights_and_predict_alike(device, expected, monkeypatch):
    method = make("mean_teacher", norm="batch").eval()
    image = torch.linspace(-1, 1, 512).view(2, 1, 16, 16)
    before, logits = dict(method.state_dict()), method.logits(image)
    monkeypatch.setattr(ranks, "count", lambda: 2)
    share(method, torch.device(device))
    norms = [layer for layer in method.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)]
    assert norms and all(isinstance(layer, expected) and type(layer) is not torch.nn.BatchNorm2d for layer in norms)
    assert list(method.state_dict()) == list(before)
    assert all(value is before[path] or torch.equal(value, before[path]) for path, value in method.state_dict().items())
    torch.testing.assert_close(method.logits(image), logits, rtol=0, atol=0)
    method.net.load_state_dict({path: value + 1 for path, value in method.net.state_dict().items()})
    method.teacher.move(0, 0.5)
    assert all(torch.equal(value, method.net.state_dict()[path]) for path, value in method.teacher.state_dict().items())


def test_a_norm_that_nobody_can_share_is_refused(monkeypatch):
    class Active(torch.nn.BatchNorm2d):
        pass

    method = make("supervised", norm="batch")
    method.net.body.blocks[0][1] = Active(8)
    monkeypatch.setattr(ranks, "count", lambda: 2)
    with pytest.raises(BenchError, match="Active has statistics of one rank's samples alone") as caught:
        share(method, torch.device("cpu"))
    assert caught.value.where == "layer net.body.blocks.0.1"
