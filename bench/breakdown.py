"""What `bench profile` measured -> one page: a table whose blocks are the recipe, the training, its step, the rest."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from leaderboards.columns import Block, Table
from leaderboards.wording import Cell

if TYPE_CHECKING:
    from baselines.latency import Prediction
    from baselines.trace import Training
    from bench.plan import Plan
    from leaderboards.record import Cost

PARTS = {
    "wait": "for the sampler, and for the batch on the device",
    "augment": "geometry and intensity",
    "forward": "networks and loss",
    "backward": "gradients",
    "optimise": "clipping, update, teacher",
}
STAGES = {
    "read": "files to arrays",
    "preprocess": "intensities, and the network's grid",
    "forward": "windows, network, blending",
    "postprocess": "the original grid, the likeliest label",
    "write": "NIfTI",
}
_Row = tuple[str, str, str]


def page(plan: "Plan", machine: Mapping[str, str], trained: "Training", predicted: "Prediction | None") -> Table:
    """The page; what was not measured on this machine has no row."""
    recipe = plan.recipe
    blocks = {
        "Machine": [(name, value, "") for name, value in sorted({**machine, **trained.machine}.items())],
        "Recipe": list(_recipe(plan, trained)),
        f"Training: {trained.steps} steps after {trained.warmup} of warm-up": list(_training(trained)),
        "A step in parts, the device waited for after each": list(_parts(trained)),
        f"Operators by their own time, {trained.traced} steps traced": list(_operators(trained)),
    }
    if predicted is not None:
        blocks[f"Prediction of {predicted.case}, the second of two"] = list(_prediction(predicted))
    return Table(
        title=f"Profile: {recipe.dataset} {recipe.protocol} {recipe.train.method}, preset {recipe.preset or 'none'}",
        columns=("what", "value", "remark"),
        blocks=tuple(
            Block(title, tuple((Cell(name), Cell(value), Cell(remark)) for name, value, remark in rows if value))
            for title, rows in blocks.items()
        ),
        notes=(
            *_busy(machine),
            "every number is defined in docs/profile.md",
            "trace.json.gz opens in ui.perfetto.dev and chrome://tracing",
        ),
    )


def _busy(machine: Mapping[str, str]) -> tuple[str, ...]:
    """A warning where others kept at least half of the cores at work in the minute before."""
    load = float(machine.get("load", "0").split()[0])
    if load < int(machine["cores"]) / 2:
        return ()
    return (f"load {load} on {machine['cores']} cores before this began: others were at work, the times say little",)


def _recipe(plan: "Plan", trained: "Training") -> Iterable[_Row]:
    config, cost = plan.recipe.train, trained.cost
    net = f"unet, widths {'-'.join(map(str, config.net.widths))}"
    yield "network", net if config.net.arch == "unet" else f"{config.net.arch}, encoder {config.net.encoder}", ""
    yield "patch", " x ".join(map(str, config.patch)), "voxels"
    yield "batch", str(config.batch), f"in {cost.parts} parts" if cost.parts > 1 else ""
    yield "precision", config.precision, ""
    yield "optimiser", config.optimizer, ""
    yield "parameters", _si(trained.parameters), "that learn"
    yield "multiply-adds", _si(cost.macs), "one forward pass of one sample"


def _training(trained: "Training") -> Iterable[_Row]:
    cost, steady = trained.cost, trained.steady
    held, p50 = cost.held_items_per_s, cost.step_ms.get("p50")
    yield "samples/s", _number(cost.items_per_s), "the whole loop, with the sampler"
    yield "samples/s, one batch held", _number(held), "no sampler"
    if held:
        yield "input-bound share", _percent(max(0.0, 1 - cost.items_per_s / held)), "1 - the first / the second"
    for name, value in cost.step_ms.items():
        yield f"step {name}", f"{_number(value)} ms", ""
    if p50:
        rate = trained.step_flops / p50 / 1e6
        yield "achieved", f"{_number(rate)} GFLOP/s", f"{_si(trained.step_flops)}FLOP a step, at the median step"
        matrix = f"{trained.matrix_edge} x {trained.matrix_edge} product, here, now"
        yield "matrix peak", f"{_number(trained.matrix_gflops)} GFLOP/s", matrix
        yield "share of the matrix peak", _percent(rate / trained.matrix_gflops), ""
    yield from _memory(cost, steady)


def _memory(cost: "Cost", steady: "Cost | None" = None) -> Iterable[_Row]:
    fields = {
        "peak host memory": "peak_host_mib",
        "peak of tensors on the GPU": "peak_device_mib",
        "peak reserved on the GPU": "peak_reserved_mib",
        "peak of the process on the GPU": "peak_process_mib",
    }
    for name, field in fields.items():
        after = getattr(steady, field, None)
        remark = f"{_number(after)} MiB without the warm-up" if after is not None else ""
        value = getattr(cost, field)
        yield name, "" if value is None else f"{_number(value)} MiB", remark
    yield "energy", "" if cost.energy_j is None else f"{_number(cost.energy_j)} J", "the whole GPU, start to end"


def _parts(trained: "Training") -> Iterable[_Row]:
    total = sum(trained.parts_ms.values())
    for name, spent in trained.parts_ms.items():
        yield name, f"{_number(spent)} ms", f"{_percent(spent / total)}: {PARTS[name]}"
    if trained.copies_ms:
        yield "copies to the GPU", f"{_number(trained.copies_ms)} ms", "a step, in the trace: may hide behind work"


def _operators(trained: "Training") -> Iterable[_Row]:
    for one in trained.operators:
        each = one.milliseconds / trained.traced
        yield one.name, f"{_number(each)} ms", f"a step, {_number(one.calls / trained.traced)} calls"


def _prediction(predicted: "Prediction") -> Iterable[_Row]:
    cost, images = predicted.cost, predicted.images
    yield "image", " x ".join(map(str, predicted.shape)), "voxels"
    yield (
        "the whole case",
        f"{_number(cost.seconds)} s",
        f"file to file, nothing beside it; {cost.batch} windows at once",
    )
    for name, done in STAGES.items():
        yield name, f"{_number(cost.stages_s.get(name, 0.0))} s", done
    yield "voxels/s", _si(cost.voxels_per_s), "of the original grid"
    if images is not None:
        yield (
            "one image, p50",
            f"{_number(images.p50_ms)} ms",
            f"{_number(1000 / images.p50_ms)} images/s, network alone",
        )
        yield "one image, p90", f"{_number(images.p90_ms)} ms", ""
        rate = f"{_number(images.batch_images_per_s)} images/s"
        yield f"batch of {images.batch}", rate, "the largest that fits, or that was tried"
    yield from _memory(cost)


def _number(value: float | None) -> str:
    """Three significant digits, no exponent."""
    return "" if value is None else f"{float(f'{value:.3g}'):,.10g}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _si(value: float | None) -> str:
    """With a prefix: 1.81 M."""
    if value is None:
        return ""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{_number(value / factor)} {prefix}"
    return _number(value)
