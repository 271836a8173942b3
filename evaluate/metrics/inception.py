"""The Inception network that FID is defined by, from a file at hand.

FID (Heusel et al., NeurIPS 2017) is the Frechet distance on the 2,048 pooled features of the
Inception-v3 graph of 2015-12-05. The network is torch-fidelity's (extra `[fid]`), which follows
that graph to the resize from any size to 299x299. Nothing is downloaded: `report.fid_weights` names
the file, which is recognised by its hash, because with any other network the distance is not FID.
"""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import file_digest
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from types import ModuleType
from typing import Any

import numpy as np

from data.stage.errors import UserError

PACKAGE = "torch_fidelity"
NAME = "weights-inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d"  # begins that of the file, as its published name says
FEATURES = "2048"
NAMED = "Inception-v3 of 2015-12-05, pooled"


@dataclass(frozen=True)
class Inception:
    """Describes images uint8 `[B, H, W, 3]` by float32 `[B, 2048]`; `sha256` is of the weights."""

    describe: Callable[[np.ndarray], np.ndarray]
    sha256: str


def load_inception(path: Path) -> Inception:
    """Load the network with the weights of a file.

    Raises `UserError` for a file that is missing or another one, and without the extra `[fid]`.
    """
    if find_spec(PACKAGE) is None:
        raise UserError(
            "report.fid_weights wants torch-fidelity, which is not installed; run "
            "`pip install -e '.[fid]'`, or set it to null for no FID"
        )
    digest = _digest(path)
    if not digest.startswith(SHA256):
        raise UserError(
            f"report.fid_weights: {path} is not {NAME}, which FID is defined by (its sha256 begins "
            f"with {digest[:8]}); give that file, or null for no FID"
        )
    network = _network(path)

    def describe(images: np.ndarray) -> np.ndarray:
        import torch

        channels_first = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        with torch.no_grad():
            (features,) = network(channels_first)
        return features.numpy()

    return Inception(describe, digest)


def _digest(path: Path) -> str:
    if not path.is_file():
        raise UserError(
            f"report.fid_weights: {path} is not a file; give {NAME}, or null for no FID"
        )
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _network(path: Path) -> Any:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise UserError(
            f"report.fid_weights: {path} holds more than plain tensors, and nothing is unpickled "
            f"here; give {NAME}"
        ) from None
    # the package would unpickle the file: it is given tensors that were read safely, written anew
    plain = io.BytesIO()
    torch.save(state, plain)
    plain.seek(0)
    inception = _module("feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    return inception("inception", [FEATURES], feature_extractor_weights_path=plain)


def _module(name: str) -> ModuleType:
    """Import a module of the package without the package itself.

    Its other networks want torchvision, which cannot be imported beside a build of PyTorch from
    another index; this one does not.
    """
    if PACKAGE in sys.modules:
        return import_module(f"{PACKAGE}.{name}")
    bare = ModuleType(PACKAGE)
    spec = find_spec(PACKAGE)
    bare.__path__ = list((spec and spec.submodule_search_locations) or ())
    sys.modules[PACKAGE] = bare
    try:
        return import_module(f"{PACKAGE}.{name}")
    finally:
        del sys.modules[PACKAGE]
