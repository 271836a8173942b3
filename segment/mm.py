"""Everything that touches MMSegmentation: building a model, training it, labelling images.

No other module of the project imports mmengine, mmcv or mmseg.
"""

import contextlib
import difflib
import io
import pickle
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader

from data.pairs.classes import ClassTable
from data.stage.compute import Compute
from data.stage.errors import UserError
from segment.archs import BACKBONE_LR, SHIPPED, ModelConfig
from segment.batches.blends import Blend
from segment.batches.loading import PairDataset, make_loader, plain_errors
from segment.batches.mixes import Mix
from segment.batches.pool import Pool
from segment.config import Config as SegmentConfig
from segment.modules import BalancedCrossEntropy, PretrainedBackbone

# mmcv warns of compiled operations that nothing here uses, mmseg prints of an optional package
with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")
    import mmseg
    from mmcv.transforms import Compose
    from mmengine.config import Config, ConfigDict
    from mmengine.dataset import pseudo_collate
    from mmengine.hooks import Hook
    from mmengine.optim import OptimWrapper
    from mmengine.runner import Runner
    from mmseg.models.decode_heads import decode_head as decode_head_module
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead
    from mmseg.models.losses import CrossEntropyLoss
    from mmseg.models.segmentors import EncoderDecoder
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    MODELS.register_module(module=PretrainedBackbone)

CONFIGS = Path(mmseg.__file__).parent / ".mim" / "configs"

Watch = Callable[[int, float, EncoderDecoder], None]


class AutocastOptimWrapper(OptimWrapper):
    """Forward passes in bfloat16 on any device; `AmpOptimWrapper` refuses a CPU."""

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Wrap one forward pass."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


class WatchHook(Hook):
    """Load backbone weights before the first iteration; report every iteration."""

    def __init__(self, model: EncoderDecoder, watch: Watch, weights: Path | None) -> None:
        self._model, self._watch, self._weights = model, watch, weights

    def before_train(self, runner: Runner) -> None:
        """Load weights here: the runner initialises the model just before."""
        if self._weights is not None:
            load_backbone(self._model, self._weights)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Pass on the number of iterations done and the loss."""
        self._watch(batch_idx + 1, outputs["loss"].item(), self._model)


def balance(model: EncoderDecoder, class_weights: np.ndarray) -> None:
    """Give every head's softmax cross entropy the class weights `[C]`."""
    for head in (module for module in model.modules() if isinstance(module, BaseDecodeHead)):
        loss = head.loss_decode
        if not isinstance(loss, CrossEntropyLoss) or loss.use_sigmoid:
            raise UserError(
                f"segment.class_weight_power has no effect on {type(loss).__name__} of this arch; "
                "set it to 0 or choose an arch with a softmax cross entropy"
            )
        head.loss_decode = BalancedCrossEntropy(class_weights, loss.loss_weight, loss.loss_name)


def dataset(pool: Pool, classes: ClassTable, pipeline: Sequence[Any], seed: int) -> PairDataset:
    """Return the pairs of a pool through the transforms of `pipeline`, packed for a model."""
    return PairDataset(pool, classes, Compose(list(pipeline)), seed)


def loader(
    pool: Pool,
    mix: Mix,
    classes: ClassTable,
    pipeline: Sequence[Any],
    num_workers: int,
    blends: Sequence[Blend] = (),
) -> DataLoader:
    """Return the batches of `mix`, every item through the transforms of `pipeline`, blended."""
    transforms = Compose(list(pipeline))
    items = PairDataset(pool, classes, transforms, mix.seed, blends, len(mix.real))
    return make_loader(items, mix, num_workers=num_workers, collate=pseudo_collate)


def shipped(name: str) -> Mapping[str, Any]:
    """Read the model section of a config that the installed MMSegmentation ships.

    `name` is `mmseg::<family>/<config>.py`; an unknown one lists names like it.
    """
    known = {path.relative_to(CONFIGS).as_posix(): path for path in CONFIGS.glob("[!_]*/*.py")}
    wanted = name.removeprefix(SHIPPED)
    if wanted not in known:
        family = [entry for entry in known if entry.split("/")[0] == wanted.split("/")[0]]
        near = difflib.get_close_matches(wanted, family or known, n=4, cutoff=0.0)
        raise UserError(f"MMSegmentation ships no config {wanted!r}; near it: {', '.join(near)}")
    config = Config.fromfile(known[wanted])
    if "decode_head" not in config.model:
        raise UserError(f"{name} is not an encoder-decoder; take a config with a `decode_head`")
    return config.model.to_dict()


def build_model(config: ModelConfig) -> EncoderDecoder:
    """Build a model from its config, weights drawn by whoever trains or loads it."""
    try:
        return MODELS.build(ConfigDict(config))
    except (ImportError, KeyError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"this arch cannot be built here ({reason}); it may need compiled mmcv operations or "
            "another OpenMMLab package: choose another segment.arch"
        ) from error


def load_backbone(model: EncoderDecoder, path: Path) -> int:
    """Load pretrained backbone weights, return how many tensors fitted.

    Reads safetensors or a file of plain tensors (nothing is unpickled). Names may start with
    `backbone.`; tensors without a place, a classifier for example, are left out.
    """
    if not path.is_file():
        raise UserError(f"segment.weights: {path} is not a file")
    if path.suffix == ".safetensors":
        found: Mapping[str, Any] = load_file(path)
    else:
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            raise UserError(
                f"segment.weights: {path} holds more than plain tensors, and nothing is "
                "unpickled here; convert it to safetensors"
            ) from None
        found = found.get("state_dict", found)
    own = model.backbone.state_dict()
    named = {name.removeprefix("backbone."): tensor for name, tensor in found.items()}
    fitting = {k: v for k, v in named.items() if k in own and v.shape == own[k].shape}
    if len(fitting) < len(own) / 2:
        raise UserError(
            f"segment.weights: {path} fits {len(fitting)} of the {len(own)} tensors of the "
            "backbone; it belongs to another arch"
        )
    model.backbone.load_state_dict(fitting, strict=False)
    return len(fitting)


def start(model_config: ModelConfig, class_weights: np.ndarray | None, seed: int) -> EncoderDecoder:
    """Build a model to be trained, its losses with class weights `[C]` unless they are None."""
    torch.manual_seed(seed)  # layers draw their first weights while they are built
    model = build_model(model_config)
    if class_weights is not None:
        balance(model, class_weights)
    return model


def fit(
    model: EncoderDecoder,
    batches: DataLoader,
    config: SegmentConfig,
    compute: Compute,
    *,
    seed: int,
    work_dir: Path,
    watch: Watch,
) -> EncoderDecoder:
    """Train a model on batches: AdamW, polynomial decay of power 0.9, rates as its arch says.

    `watch(iteration, loss, model)` is called after every iteration. On a CPU, equal arguments give
    equal weights.
    """
    iterations = len(batches)
    hooks = ("runtime_info", "timer", "sampler_seed", "logger", "checkpoint")
    none: dict[str, Any] = dict.fromkeys(hooks)
    runner = Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=batches,
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": iterations},
        optim_wrapper=_optim_wrapper(model, config, compute),
        param_scheduler=[
            {"type": "PolyLR", "power": 0.9, "eta_min": 0.0, "end": iterations, "by_epoch": False}
        ],
        default_hooks=none,
        custom_hooks=[WatchHook(model, watch, config.weights)],
        randomness={"seed": seed, "deterministic": False},
        env_cfg={"cudnn_benchmark": False},
        log_level="WARNING",
        visualizer={"type": "Visualizer", "vis_backends": []},
        default_scope="mmseg",
        experiment_name=uuid.uuid4().hex,  # managers are global and keyed by it; never written out
    )
    model.to(memory_format=compute.memory_format)  # pyright: ignore[reportCallIssue]  # not in its overloads
    with _without_accuracy(), plain_errors():
        runner.train()
    return model.eval()


def _optim_wrapper(
    model: EncoderDecoder, config: SegmentConfig, compute: Compute
) -> dict[str, Any]:
    wrapper: dict[str, Any] = {
        "type": AutocastOptimWrapper if compute.precision == "bf16" else OptimWrapper,
        "optimizer": {"type": "AdamW", "lr": config.lr, "weight_decay": config.weight_decay},
    }
    if factor := (model.train_cfg or {}).get(BACKBONE_LR):
        wrapper["paramwise_cfg"] = {"custom_keys": {"backbone": {"lr_mult": factor}}}
    return wrapper


@torch.no_grad()
def label_images(model: EncoderDecoder, images: np.ndarray) -> np.ndarray:
    """Label images uint8 `[B, H, W, 3]` with the most probable class, uint8 `[B, H, W]`."""
    return _logits(model, images).argmax(dim=1).to(torch.uint8).cpu().numpy()


@torch.no_grad()
def posteriors(model: EncoderDecoder, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the posterior of each pixel's own class, float32 `[B, H, W]`, in [0, 1].

    Images are uint8 `[B, H, W, 3]`, labels uint8 `[B, H, W]`; ignored pixels have posterior 0.
    """
    logits = _logits(model, images).float()
    asked = torch.from_numpy(labels.astype(np.int64)).to(logits.device)[:, None]
    known = asked < logits.shape[1]
    found = logits.softmax(dim=1).gather(1, asked.where(known, torch.zeros_like(asked)))
    return (found * known)[:, 0].cpu().numpy()


def _logits(model: EncoderDecoder, images: np.ndarray) -> torch.Tensor:
    training = model.training
    model.eval()
    inputs = _inputs(model, images)
    shape = tuple(inputs.shape[2:])
    metas = [{"ori_shape": shape, "img_shape": shape, "pad_shape": shape} for _ in images]
    logits = model.inference(inputs, metas)
    model.train(training)
    return logits


def _inputs(model: EncoderDecoder, images: np.ndarray) -> torch.Tensor:
    channels_first = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    inputs = model.data_preprocessor({"inputs": list(channels_first)}, False)["inputs"]
    return inputs.contiguous(memory_format=torch.channels_last)


@contextlib.contextmanager
def _without_accuracy() -> Iterator[None]:
    """Skip the pixel accuracy that heads log: a quarter of an iteration at 35 classes."""
    original = decode_head_module.accuracy
    decode_head_module.accuracy = lambda *_, **__: torch.zeros(1)
    try:
        yield
    finally:
        decode_head_module.accuracy = original
