"""From the settings of the methods to the methods."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradscope.config import (
    BackwardGradientNorm,
    BatchNorm,
    ClipNorm,
    ClipValue,
    Elastic,
    GradientAmplification,
    Initialisation,
    KdAttention,
    KdFitNet,
    KdFsp,
    KdGan,
    KdHinton,
    KdKr,
    KdNst,
    PseudoNorm,
    Settings,
    ZNorm,
)
from gradscope.methods.backward_gradient_norm import BackwardGradientNormMethod
from gradscope.methods.base import Method
from gradscope.methods.batch_norm import BatchNormMethod
from gradscope.methods.clip_norm import ClipNormMethod
from gradscope.methods.clip_value import ClipValueMethod
from gradscope.methods.elastic import ElasticMethod
from gradscope.methods.gradient_amplification import GradientAmplificationMethod
from gradscope.methods.initialisation import InitialisationMethod
from gradscope.methods.kd_attention import KdAttentionMethod
from gradscope.methods.kd_fitnet import KdFitNetMethod
from gradscope.methods.kd_fsp import KdFspMethod
from gradscope.methods.kd_gan import KdGanMethod
from gradscope.methods.kd_hinton import KdHintonMethod
from gradscope.methods.kd_kr import KdKrMethod
from gradscope.methods.kd_nst import KdNstMethod
from gradscope.methods.pseudo_norm import PseudoNormMethod
from gradscope.methods.z_norm import ZNormMethod

# Any: each method takes the settings class it stands beside. The order is the order of application.
METHODS: Mapping[type[Settings], Callable[[Any], Method]] = {
    BatchNorm: BatchNormMethod,
    Initialisation: InitialisationMethod,
    PseudoNorm: PseudoNormMethod,
    GradientAmplification: GradientAmplificationMethod,
    BackwardGradientNorm: BackwardGradientNormMethod,
    Elastic: ElasticMethod,
    ZNorm: ZNormMethod,
    KdHinton: KdHintonMethod,
    KdFitNet: KdFitNetMethod,
    KdFsp: KdFspMethod,
    KdNst: KdNstMethod,
    KdAttention: KdAttentionMethod,
    KdGan: KdGanMethod,
    KdKr: KdKrMethod,
    ClipValue: ClipValueMethod,
    ClipNorm: ClipNormMethod,
}


def build_methods(settings: Sequence[Settings]) -> list[Method]:
    """The methods of a run, in the order in which they are applied, whatever the order given."""
    order = list(METHODS)
    methods = [METHODS[type(s)](s) for s in sorted(settings, key=lambda s: order.index(type(s)))]
    for method in methods:
        method.beside([other for other in methods if other is not method])
    return methods
