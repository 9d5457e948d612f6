"""Training: the papers' recipes, and runs that can be interrupted."""

from hccr_lib.training.recipes import Recipe, recipe
from hccr_lib.training.record import device_found
from hccr_lib.training.run import train

__all__ = ["Recipe", "device_found", "recipe", "train"]
