"""What MMSegmentation lacks: a loss with class weights, and a pretrained backbone for a CPU."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from data import pretrained
from data.pairs.classes import IGNORE
from data.stage.params import Pretrained

BACKBONE_MOMENTUM = 0.1  # of its batch norms, as PyTorch's own


class BalancedCrossEntropy(nn.Module):
    """Cross entropy with a weight per class, a weighted mean over the supervised pixels.

    MMSegmentation's own loss looks ignored pixels up in the table of weights, and fails.
    """

    class_weights: Tensor

    def __init__(self, class_weights: np.ndarray, loss_weight: float, loss_name: str) -> None:
        super().__init__()
        weights = torch.as_tensor(class_weights, dtype=torch.float32)
        # not persistent: a saved segmenter is loaded without its loss
        self.register_buffer("class_weights", weights, persistent=False)
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def forward(
        self, logits: Tensor, label: Tensor, weight: None = None, ignore_index: int = IGNORE
    ) -> Tensor:
        """Return the loss of logits `[B, C, H, W]` against labels `[B, H, W]`."""
        terms = functional.cross_entropy(
            logits.float(), label, self.class_weights, ignore_index=ignore_index, reduction="sum"
        )
        supervised = label[label != ignore_index]
        return self.loss_weight * terms / self.class_weights[supervised].sum().clamp_min(1e-6)


class PretrainedBackbone(pretrained.EfficientNetLite0):
    """EfficientNet-Lite0 as a backbone: features at strides 2, 4, 8, 16 and 32, all of it learns.

    `weights` names the ImageNet weights that a training starts from, None = random ones. A saved
    segmenter is built without them. Its batch norms forget as fast as those of other backbones:
    the 0.01 that it was published with is meant for hundreds of thousands of iterations.
    """

    def __init__(self, weights: Pretrained | None) -> None:
        super().__init__()
        self.weights: Pretrained | None = weights
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = BACKBONE_MOMENTUM

    def init_weights(self) -> None:
        """Load the ImageNet weights; whoever trains a model calls this before the first step."""
        if self.weights is not None:
            self.load_state_dict(pretrained.load(self.weights).state_dict())
