"""The segmenter's loss with class weights."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from data.pairs.classes import IGNORE


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
