"""Optimizers and learning-rate schedules, as functions of the step number alone."""

from __future__ import annotations

import math

import torch
from torch import nn

from zeropoint.training.recipe import TrainOptions


def learning_rate_factor(step: int, steps: int, options: TrainOptions) -> float:
    """What the peak learning rate is multiplied by at ``step`` of ``steps``: 0..1.

    Linear up over the first ``warmup`` fraction; then constant, a straight line to 0 (``linear``, ``one_cycle``)
    or half a cosine to 0. ``one_cycle`` without a ``warmup`` of its own takes a fifth of the run for it.
    """
    warmup = options.warmup or (0.2 if options.schedule == "one_cycle" else 0.0)
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    if options.schedule == "constant":
        return 1.0
    progress = min(1.0, (step - rising) / max(1, steps - rising))
    return 0.5 * (1 + math.cos(math.pi * progress)) if options.schedule == "cosine" else 1.0 - progress


def decayed(name: str, parameter: nn.Parameter, options: TrainOptions) -> bool:
    """Whether weight decay falls on this parameter (see ``TrainOptions``)."""
    depthwise = parameter.ndim == 4 and parameter.shape[1] == 1
    return parameter.ndim > 1 and (options.decay_depthwise or not depthwise)


def make_optimizer(model: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW, over the trainable parameters in two groups (decayed or not)."""
    with_decay: list[nn.Parameter] = []
    without: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (with_decay if decayed(name, parameter, options) else without).append(parameter)
    groups = [
        {"params": with_decay, "weight_decay": options.weight_decay},
        {"params": without, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if options.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=options.learning_rate)
    return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum, nesterov=options.momentum > 0)
