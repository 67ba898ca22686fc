"""Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2)."""

import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor, nn

from gradscope.config.attributions import GradCam
from gradscope.errors import AttributionError
from gradscope.explain.question import Question


def grad_cam(settings: GradCam, question: Question) -> Tensor:
    """ReLU(sum_k alpha_k A_k) with alpha_k the mean gradient of the logit over feature map A_k; [B, 1, H, W].

    Enlarged to the picture bilinearly.

    Raises:
        AttributionError: the network has no such feature map.
    """
    layer = question.model.get_submodule(feature_layer(settings.layer, question))
    small = LayerGradCam(question.model, layer).attribute(
        question.images, target=question.targets, relu_attributions=True
    )
    out: Tensor = LayerAttribution.interpolate(small, question.images.shape[2:], interpolate_mode="bilinear")
    return out.detach()


def feature_layer(wanted: str | None, question: Question) -> str:
    """Dotted name of the module whose output is explained: the wanted one, or the last with a picture-like output."""
    found = feature_layers(question.model, question.images[:1])
    if not found:
        raise AttributionError(
            "Grad-CAM needs a convolution's feature map with more than one place, and this network has none; "
            "choose integrated_gradients, which serves any network"
        )
    if wanted is None:
        return found[-1]
    if wanted not in found:
        raise AttributionError(
            f"layer {wanted!r} has no feature map for Grad-CAM; choose one of {', '.join(found)}, or leave it out"
        )
    return wanted


def feature_layers(model: nn.Module, images: Tensor) -> list[str]:
    """The modules that return a feature map [B, K, H > 1 or W > 1] from a convolution on, in the order of their end."""
    found: list[str] = []
    convolved = False

    def hook_of(name: str) -> object:
        def note(module: nn.Module, _: object, output: object) -> None:
            nonlocal convolved
            convolved = convolved or isinstance(module, nn.Conv2d)
            if convolved and name and isinstance(output, Tensor) and output.dim() == 4 and output[0, 0].numel() > 1:
                found.append(name)

        return note

    handles = [module.register_forward_hook(hook_of(name)) for name, module in model.named_modules()]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    return list(dict.fromkeys(found))
