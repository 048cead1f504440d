"""Compute the segmentation loss: cross-entropy over pixels and Dice over regions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from visionkit.losses.class_weights import ClassWeights
from visionkit.losses.contracts import Loss
from visionkit.ops.presence import carriers
from visionkit.ops.ranks import normaliser, total
from visionkit.types import IGNORE_INDEX, Targets


class CrossEntropyDice(Loss):
    """Softmax cross-entropy, a weighted mean over the labelled pixels, plus Dice, a mean over the regions.

    A pixel of class c weighs (N / n_c) ** class_balance, where n_c of the batch's N labelled pixels, on all ranks, are
    of that class: 0 counts every pixel alike, 1 every class that is there alike. Between them rare classes are learned
    early and the common one still keeps its borders. `class_weights` multiply that, one number a class and the same in
    every batch; None multiplies by 1.

    A region is a class that is present in an image's labelled pixels; its Dice loss is 1 - 2 sum(p y) / (sum(p) +
    sum(y)) over these pixels (Milletari, Navab, Ahmadi: V-Net, 2016, section 3; without their squares). Pixels of 255
    count in neither. A weight of 0 leaves a term out.
    """

    def __init__(
        self,
        cross_entropy_weight: float = 1.0,
        dice_weight: float = 1.0,
        class_balance: float = 0.0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        if cross_entropy_weight < 0 or dice_weight < 0 or cross_entropy_weight + dice_weight == 0:
            raise ValueError(
                f"cross_entropy_weight={cross_entropy_weight}, dice_weight={dice_weight}; "
                "neither may be negative and one has to be positive"
            )
        if not 0 <= class_balance <= 1:
            raise ValueError(f"class_balance={class_balance}; give 0 (every pixel alike) to 1 (every class alike)")
        self.class_balance = class_balance
        self.class_weights = ClassWeights("class_weights", class_weights)
        self.cross_entropy_weight = cross_entropy_weight
        self.dice_weight = dice_weight

    def __call__(self, outputs: Tensor, targets: Targets) -> dict[str, Tensor]:
        """Return `cross_entropy` and `dice` for logits (B, K, H, W).

        Raises ValueError for missing or unfitting masks, and too few weights.
        """
        if targets.mask is None:
            raise ValueError("the batch carries no masks (targets.mask is None); this loss needs masks")
        images, _, height, width = outputs.shape
        if targets.mask.shape != (images, height, width):
            raise ValueError(f"masks {tuple(targets.mask.shape)} do not fit logits {tuple(outputs.shape)}")
        log_p_BKHW = outputs.float().log_softmax(dim=1)
        counted = (targets.mask != IGNORE_INDEX) & carriers(targets, "mask", images, outputs.device)[:, None, None]
        mask_BHW = targets.mask.long().where(counted, 0)
        log_p_true_BHW = log_p_BKHW.gather(1, mask_BHW[:, None])[:, 0]
        terms = {}
        if self.cross_entropy_weight:
            weight_BHW = self._weights(mask_BHW, counted, log_p_BKHW)
            cross_entropy = -(log_p_true_BHW * weight_BHW).sum() / normaliser(weight_BHW.sum())
            terms["cross_entropy"] = self.cross_entropy_weight * cross_entropy
        if self.dice_weight:
            dice, regions = _dice(log_p_BKHW, log_p_true_BHW, mask_BHW, counted)
            terms["dice"] = self.dice_weight * dice / normaliser(regions)
        return terms

    def _weights(self, mask_BHW: Tensor, counted_BHW: Tensor, log_p_BKHW: Tensor) -> Tensor:
        num_classes = log_p_BKHW.shape[1]
        weight_BHW = counted_BHW.float()
        if self.class_balance:
            counted = weight_BHW.flatten()
            pixels_K = total(counted.new_zeros(num_classes).scatter_add(0, mask_BHW.flatten(), counted))
            weight_BHW = weight_BHW * ((pixels_K.sum() / pixels_K.clamp(min=1)) ** self.class_balance)[mask_BHW]
        fixed_K = self.class_weights.of(log_p_BKHW, num_classes)
        return weight_BHW if fixed_K is None else weight_BHW * fixed_K[mask_BHW]


def _dice(log_p_BKHW: Tensor, log_p_true_BHW: Tensor, mask_BHW: Tensor, counted_BHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of the Dice losses of all regions and their number."""
    images, num_classes = log_p_BKHW.shape[:2]
    # Sums per image and class by adding each pixel to its class: a one-hot mask would take K times the memory.
    classes_BN = mask_BHW.flatten(1)
    empty_BK = log_p_BKHW.new_zeros(images, num_classes)
    counted = counted_BHW.to(log_p_BKHW.dtype)
    size_BK = empty_BK.scatter_add(1, classes_BN, counted.flatten(1))
    shared_BK = empty_BK.scatter_add(1, classes_BN, (log_p_true_BHW.exp() * counted).flatten(1))
    p_BK = torch.einsum("bkhw,bhw->bk", log_p_BKHW.exp(), counted)
    present_BK = size_BK > 0
    dice_BK = 1 - 2 * shared_BK / (p_BK + size_BK).where(present_BK, 1)
    return dice_BK.where(present_BK, 0).sum(), present_BK.sum()
