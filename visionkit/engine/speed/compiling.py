"""Let torch translate a network into kernels for the machine that it trains on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from visionkit.engine.speed.precision import device_of
from visionkit.errors import ConfigError
from visionkit.models.network import Network


def check(trainer: Mapping[str, Any]) -> None:
    """Raise ConfigError where the device of a trainer's node lacks what translates the kernels."""
    if device_of(trainer) == "cuda":
        if find_spec("triton") is None:
            raise ConfigError("compile=true needs triton on a GPU: pip install triton; or give compile=false")
        return
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise ConfigError(
            f"compile=true needs a C++ compiler on a CPU, and {compiler} is not there; install it (apt install g++), "
            "name yours in the variable CXX, or give compile=false"
        )


def compile_network(network: Network) -> None:
    """Compile a network as one graph, at its first call.

    Losses and decoding stay as they are: what they do depends on the data. Names in the state dict stay too. The first
    size and number of images get kernels of their own, the second ones for any, so that a last smaller batch or
    `augment.multi_scale` costs one translation more and no further.
    """
    network.compile()
