"""Explanations: what in the image speaks for a class."""

from hccr_lib.explain.cam import cam, cam_and_logits

__all__ = ["cam", "cam_and_logits"]
