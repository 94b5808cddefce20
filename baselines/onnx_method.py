"""A model that was exported to ONNX, predicted with as any other: onnxruntime does the arithmetic."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines.method import Method
from converters.errors import BenchError, EnvironmentFault

GRAPH = "model.onnx"
INPUT, OUTPUT = "image", "logits"


class OnnxMethod(Method):
    """Logits by a graph; nothing in it can be trained."""

    def __init__(self, path: Path, device: torch.device) -> None:
        nn.Module.__init__(self)  # there is no network to make
        self.stage = self.stages[0]
        self.session = _session(path, device)

    def logits(self, image: Tensor) -> Tensor:
        """Shape: (B, C, *patch) float32 -> (B, K, *patch) float32."""
        (found,) = self.session.run([OUTPUT], {INPUT: image.detach().cpu().numpy()})
        return torch.from_numpy(found).to(image.device)


def _session(path: Path, device: torch.device) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise EnvironmentFault(
            "an ONNX model needs the package onnxruntime", where=path, mend="pip install 'frugalseg[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors alone
    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    there = [name for name in wanted if name in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[*there, "CPUExecutionProvider"])
    except Exception as error:  # its errors have no base class but this
        raise BenchError(
            f"{path.name} cannot be run: {type(error).__name__}", where=path, mend="export the model again"
        ) from error
