"""ONNX: what is predicted from as one graph in float32, windows in and logits out; needs the extra [onnx]."""

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from baselines.config import plain
from baselines.export import Model
from baselines.inputs import INPUTS
from baselines.method import Method
from baselines.model import MODEL
from baselines.nets import networks
from baselines.onnx_method import GRAPH, INPUT, OUTPUT
from converters.errors import BenchError, EnvironmentFault
from converters.files import write_bytes, write_json

_NEEDS = ("onnx", "onnxscript", "onnxruntime")
_EXAMPLES = 2  # windows the graph is traced with; torch takes a batch of one for a constant


class _Logits(nn.Module):
    """A method as a function of windows."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, image: Tensor) -> Tensor:
        """Shape: (B, C, *patch) -> (B, K, *patch)."""
        return self.method.logits(image)


def write(model: Model, draft: Path) -> None:
    """model.onnx, model.json and inputs.json. Any number of windows at once, each of the patch's size.

    Raises:
        EnvironmentFault: a package of the extra is not there.
        BenchError: torch finds no graph for this network.
    """
    for name in _NEEDS:
        if importlib.util.find_spec(name) is None:
            raise EnvironmentFault(f"ONNX needs the package {name}", mend="pip install 'frugalseg[onnx]'")
    spec = model.spec
    for network in networks(model.method):
        network.precision, network.memory_format = "fp32", torch.preserve_format
    image = torch.zeros(_EXAMPLES, spec.net.in_channels, *spec.config.patch)
    write_bytes(draft / GRAPH, _graph(_Logits(model.method).eval(), image))
    exact = msgspec.structs.replace(
        spec,
        config=msgspec.structs.replace(spec.config, precision="fp32"),
        net=msgspec.structs.replace(spec.net, precision="fp32"),
    )
    write_json(draft / MODEL, plain(exact))
    write_json(draft / INPUTS, model.inputs)


def _graph(module: nn.Module, image: Tensor) -> bytes:
    """The graph with its weights, without the names of files on this machine that torch puts into it."""
    import onnx

    windows = torch.export.Dim("windows", min=1, max=1 << 16)
    try:
        with _silent(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (image,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={"image": {0: windows}},
            )
            assert program is not None
            proto = program.model_proto
    except Exception as error:  # every layer of the exporter has errors of its own
        first = str(error).strip().partition("\n")[0]
        raise BenchError(
            f"this network has no ONNX graph: {type(error).__name__}: {first}",
            mend="--to huggingface takes any network",
        ) from error
    for node in (*proto.graph.node, *(node for function in proto.functions for node in function.node)):
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(proto)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without what the exporter tells its developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
