"""Explanations: what in the image speaks for a class."""

from hccr_lib.explain.attention import attention_maps
from hccr_lib.explain.attribution import integrated_gradients, smooth_grad
from hccr_lib.explain.cam import cam, cam_and_logits, contrastive_cam
from hccr_lib.explain.gradcam import grad_cam, grad_cam_plus_plus, hires_cam, layer_cam
from hccr_lib.explain.occlusion import stroke_drops, stroke_occlusion
from hccr_lib.explain.parts import centred

__all__ = [
    "attention_maps",
    "cam",
    "cam_and_logits",
    "centred",
    "contrastive_cam",
    "grad_cam",
    "grad_cam_plus_plus",
    "hires_cam",
    "integrated_gradients",
    "layer_cam",
    "smooth_grad",
    "stroke_drops",
    "stroke_occlusion",
]
