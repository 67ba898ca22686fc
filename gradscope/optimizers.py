"""The optimisers by their settings."""

from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop, Rprop

from gradscope import config


def build_optimizer(settings: config.AnyOptimizer, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimiser over those of the parameters that can be trained."""
    trainable = [p for p in parameters if p.requires_grad]
    match settings:
        case config.Sgd(lr=lr, weight_decay=decay, momentum=momentum, nesterov=nesterov):
            return SGD(trainable, lr, momentum=momentum, weight_decay=decay, nesterov=nesterov)
        case config.AdamW(lr=lr, weight_decay=decay, beta1=beta1, beta2=beta2):
            return AdamW(trainable, lr, betas=(beta1, beta2), weight_decay=decay)
        case config.Adam(lr=lr, weight_decay=decay, beta1=beta1, beta2=beta2):
            return Adam(trainable, lr, betas=(beta1, beta2), weight_decay=decay)
        case config.RmsProp(lr=lr, weight_decay=decay, alpha=alpha, momentum=momentum):
            return RMSprop(trainable, lr, alpha=alpha, weight_decay=decay, momentum=momentum)
        case config.Rprop(lr=lr):
            return Rprop(trainable, lr)
