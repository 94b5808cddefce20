"""Perturbations: what they leave, how much they change and how often, and that nothing else is drawn."""

import pytest
import torch

from baselines import perturb

SIZES = [(16, 24), (4, 16, 24)]
IMAGES = [perturb.jittered, perturb.blurred, perturb.strong, perturb.cutout]
FEATURES = [perturb.feature_noise, perturb.feature_dropout, perturb.channel_dropout]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def changed(before, after):
    """Whether each sample is."""
    return (before != after).flatten(1).any(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("perturbation", [perturb.teacher_noise, *IMAGES, *FEATURES])
def test_shape_and_precision_stay_and_the_seed_decides(perturbation, size, dtype):
    image = torch.randn(8, 3, *size).to(dtype)
    kept = image.clone()
    torch.manual_seed(1)
    a = perturbation(image)
    torch.manual_seed(1)
    b = perturbation(image)
    c = perturbation(image)
    assert a.shape == image.shape and a.dtype == dtype
    assert torch.isfinite(a).all()
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(image, kept)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("perturbation", [*IMAGES, *FEATURES])
def test_gradient_comes_through(perturbation, size):
    image = torch.randn(4, 2, *size, requires_grad=True)
    (perturbation(image) ** 2).sum().backward()
    assert torch.isfinite(image.grad).all()
    assert (image.grad.flatten(1).abs().amax(1) > 0).all()


def test_teacher_noise_is_normal_within_two_sds_of_each_samples_range():
    units = torch.tensor([[1.0, 40.0], [4.0, 1e-3]]).view(2, 2, 1, 1)
    image = torch.rand(2, 2, 64, 64)
    image = (image - image.amin((2, 3), keepdim=True)) / (image.amax((2, 3)) - image.amin((2, 3)))[..., None, None]
    noise = perturb.teacher_noise(image * units - 3, 0.1) / units
    assert noise.std((2, 3)).allclose(torch.tensor(0.096), atol=0.004)
    assert perturb.teacher_noise(torch.full((1, 1, 8, 8), 5.0)).eq(0).all()
    assert noise.abs().max() == pytest.approx(0.2, rel=1e-3)
    assert (noise.abs() >= 0.1999).float().mean() == pytest.approx(0.0455, abs=0.01)
    assert noise.std() == pytest.approx(0.096, abs=0.003)


@pytest.mark.parametrize(("perturbation", "p"), [(perturb.jittered, 0.8), (perturb.blurred, 0.5), (perturb.box, 0.5)])
def test_each_sample_is_chosen_with_the_probability(perturbation, p):
    image = torch.randn(2000, 1, 8, 8)
    after = perturbation(image, p=p)
    touched = after if after.dtype == torch.bool else changed(image, after)[:, None]
    assert touched.flatten(1).any(1).float().mean() == pytest.approx(p, abs=0.04)
    assert perturbation(image, p=0.0).equal(torch.zeros_like(after) if after.dtype == torch.bool else image)


def test_jitter_stays_in_the_range_of_the_channel_and_changes_brightness_and_contrast():
    image = torch.rand(400, 2, 16, 16) * torch.tensor([1.0, 5.0]).view(1, 2, 1, 1) - 2
    after = perturb.jittered(image, p=1.0)
    assert (after.amax((2, 3)) <= image.amax((2, 3))).all() and (after.amin((2, 3)) >= image.amin((2, 3))).all()
    dark = perturb.jittered(image, contrast=0.0, p=1.0)
    low = image.amin((2, 3), keepdim=True)
    factor = ((dark - low) / (image - low).clamp(min=1e-6)).flatten(1).median(1).values
    assert factor.min() == pytest.approx(0.5, abs=0.02) and factor.max() == pytest.approx(1.5, abs=0.02)
    flat = perturb.jittered(image, brightness=0.0, p=1.0)
    ratio = flat.std((2, 3)) / image.std((2, 3))
    assert ratio.min() == pytest.approx(0.5, abs=0.02)
    torch.testing.assert_close(flat[ratio[:, 0] < 1].mean((2, 3)), image[ratio[:, 0] < 1].mean((2, 3)))


def test_the_order_of_brightness_and_contrast_is_drawn():
    image = torch.linspace(0, 1, 64).view(1, 1, 8, 8).repeat(500, 1, 1, 1)
    torch.manual_seed(1)
    after = perturb.jittered(image, p=1.0)
    torch.manual_seed(1)
    bright, sharp = (torch.rand(500, 1, 1, 1) + 0.5 for _ in range(2))
    first = (image * bright).clamp(0, 1)
    mean = first.mean((2, 3), keepdim=True)
    is_first = torch.isclose(after, (mean + sharp * (first - mean)).clamp(0, 1), atol=1e-5).flatten(1).all(1)
    second = (((image - 0.5) * sharp + 0.5).clamp(0, 1) * bright).clamp(0, 1)
    is_second = torch.isclose(after, second, atol=1e-5).flatten(1).all(1)
    assert (is_first | is_second).all()
    assert is_first[is_first != is_second].float().mean() == pytest.approx(0.5, abs=0.1)  # clipping tells them apart


@pytest.mark.parametrize("size", [(33, 40), (3, 33, 40)])
def test_blur_is_a_gaussian_within_the_slice(size):
    image = torch.zeros(1, 1, *size)
    image[..., 16, 20] = torch.arange(1.0, 1 + size[0]) if len(size) == 3 else 1.0
    after = perturb.blurred(image, 1.5, 1.5, p=1.0)
    place = torch.arange(-16, 17.0)
    kernel = torch.exp(-(place**2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    row = after[..., 20] if len(size) == 2 else after[0, 0, 1, :, 20] / 2
    torch.testing.assert_close(row.flatten(), kernel * kernel[16], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after.sum((-2, -1)), image.sum((-2, -1)))
    flat = torch.full((2, 1, *size), 3.0)
    torch.testing.assert_close(perturb.blurred(flat, p=1.0), flat)


def rectangles(inside):
    """Edges of the box in each sample, after a check that it is one."""
    found = [inside.flatten(1).any(1)]
    for axis in range(2, inside.ndim):
        line = inside.any(tuple(a for a in range(1, inside.ndim) if a != axis))
        assert (line.int().diff(dim=1).abs().sum(1) <= 2).all()
        found.append(line.sum(1))
    assert torch.equal(torch.stack(found[1:]).prod(0), inside.flatten(1).sum(1))
    return found[1:]


@pytest.mark.parametrize("size", [(128, 128), (3, 128, 128)])
def test_boxes_cover_2_to_40_percent_of_a_slice_at_any_place(size):
    inside = perturb.box(torch.zeros(600, 1, *size), p=1.0)
    assert inside.shape == (600, 1, *size) and inside.dtype == torch.bool
    *depth, height, width = rectangles(inside)
    assert all((d == size[0]).all() for d in depth)
    share = height * width / 128**2
    assert 0.015 < share.min() < 0.04 and 0.37 < share.max() <= 0.4
    assert share.mean() == pytest.approx(0.2, abs=0.015)
    aspect = height / width
    assert aspect.min() > 0.27 and aspect.max() < 3.8 and aspect.max() > 2.5 and aspect.min() < 0.5
    hit = inside.float().mean(0)[0]
    assert hit[..., 0, :].max() > 0 and hit[..., -1, :].max() > 0  # reaches every edge
    assert hit[..., 64, 64].min() > 0.3


@pytest.mark.parametrize("size", [(30, 48), (9, 30, 48)])
def test_a_central_box_takes_two_thirds_of_every_edge(size):
    inside = perturb.central_box(torch.zeros(200, 2, *size))
    edges = rectangles(inside)
    assert [set(e.tolist()) for e in edges] == [{edge * 2 // 3} for edge in size]
    starts = inside[:, 0].flatten(1).int().argmax(1)
    assert len(starts.unique()) > 50  # of each sample
    for axis in range(2, inside.ndim):
        assert inside.any(tuple(a for a in range(inside.ndim) if a != axis)).all()  # reaches both ends


def test_cutout_sets_a_box_to_the_mean_and_leaves_the_rest():
    image = torch.randn(64, 2, 32, 32) + 5
    after = perturb.cutout(image, p=1.0)
    cut = after != image
    assert torch.equal(cut[:, 0], cut[:, 1])
    mean = image.mean((2, 3), keepdim=True).expand_as(image)
    torch.testing.assert_close(after[cut], mean[cut])
    assert 0.1 < cut.float().mean() < 0.3


@pytest.mark.parametrize("size", [(6, 8), (3, 6, 8)])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_a_turn_is_undone_and_moves_targets_as_images(quarters, flip, size):
    image = torch.randn(2, 1, *size)
    turn = perturb.Turn(quarters, flip)
    assert torch.equal(turn.back(turn(image)), image)
    assert torch.equal(turn(image)[:, 0], turn(image[:, 0]))
    assert turn(image).shape[-2:] == ((8, 6) if quarters % 2 else (6, 8))
    if quarters or flip:
        assert not torch.equal(turn(torch.arange(16.0).view(4, 4)), torch.arange(16.0).view(4, 4))


def test_turns_are_drawn_alike_and_flips_only_where_asked_for():
    plain = [perturb.Turn.drawn() for _ in range(400)]
    assert not any(turn.flip for turn in plain)
    assert all(70 < sum(turn.quarters == k for turn in plain) < 130 for k in range(4))
    assert 160 < sum(perturb.Turn.drawn(flip=True).flip for _ in range(400)) < 240


def test_feature_noise_is_relative_uniform_and_alike_for_the_samples():
    x = torch.rand(4, 8, 16, 16) + 0.5
    ratio = perturb.feature_noise(x) / x - 1
    assert ratio.abs().max() <= 0.3001 and ratio.abs().max() > 0.29
    assert ratio.mean() == pytest.approx(0, abs=0.01)
    assert ratio.std() == pytest.approx(0.6 / 12**0.5, abs=0.01)
    torch.testing.assert_close(ratio[0], ratio[3], atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_feature_dropout_drops_the_most_active_places_of_each_sample(size):
    scale = torch.tensor([1.0, 10.0, 100.0, 1000.0]).view(4, *[1] * (len(size) + 1))
    x = torch.rand(4, 5, *size) * scale
    after = perturb.feature_dropout(x)
    kept = (after == x).all(1)
    assert torch.equal(kept, (after != 0).all(1))  # a place goes with all its channels
    active = x.mean(1)
    for a, k in zip(active, kept, strict=True):
        assert 0 < k.sum() < k.numel()
        assert a[k].max() < a[~k].min()
        assert 0.65 * a.max() < a[~k].min() and a[k].max() < 0.9 * a.max()


@pytest.mark.parametrize("size", SIZES)
def test_channel_dropout_drops_whole_channels_of_each_sample(size):
    x = torch.rand(50, 40, *size) + 0.1
    after = perturb.channel_dropout(x, 0.3)
    gone = (after == 0).flatten(2)
    assert torch.equal(gone.all(2), gone.any(2))
    assert gone.all(2).float().mean() == pytest.approx(0.3, abs=0.03)
    assert not torch.equal(gone[0].all(1), gone[1].all(1))
    torch.testing.assert_close(after[after != 0], (x / 0.7)[after != 0])


@pytest.mark.parametrize("perturbation", [perturb.strong, perturb.cutout, *FEATURES])
def test_no_value_is_read_on_the_host(perturbation):
    """A tensor without values refuses to give one: on a GPU that would be a wait."""
    out = perturbation(torch.zeros(2, 3, 16, 16, device="meta"))
    assert out.shape == (2, 3, 16, 16)
