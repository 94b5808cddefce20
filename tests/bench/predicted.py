"""A model of a few steps and its label maps of a dataset: `from predicted import of_dataset, trained`."""

from baselines.config import NetConfig, PredictConfig, TrainConfig
from baselines.predict import Setting, predict
from baselines.train import Setting as Training
from baselines.train import train
from converters.volume import read_label


def trained(dataset, out, task="labels", **changes):
    """A model of a few steps: its label maps mean nothing, but hold more than one code."""
    fixed = {"net": NetConfig(widths=(4, 8), dropout=(0.0, 0.0)), "steps": 8, "batch": 4, "lr": 0.02}
    fixed |= {"patch": (16, 16), "grid": (1.5, 1.5), "deterministic": True, "threads": 1}
    train(dataset, TrainConfig(**fixed | changes), out, Training(), task)
    return out


def of_dataset(model, dataset, out, **config):
    """Case -> its label map by the way that runs take."""
    predict(model, dataset, dataset.cases, out, Setting(config=PredictConfig(**config)))
    return {case.id: read_label(out / f"{case.id}.nii.gz") for case in dataset.cases}
