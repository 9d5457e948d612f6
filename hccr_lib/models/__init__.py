"""Networks that read characters, and what they cost. Keras only: any backend."""

from hccr_lib.models.cost import cost_table, count_macs
from hccr_lib.models.ensemble import ensemble
from hccr_lib.models.layers import (
    GlobalWeightedAveragePooling2D,
    GlobalWeightedOutputAveragePooling2D,
)
from hccr_lib.models.mcanet import mcanet
from hccr_lib.models.melnyk_net import melnyk_net
from hccr_lib.models.resnet import resnet18
from hccr_lib.models.student import student

__all__ = [
    "GlobalWeightedAveragePooling2D",
    "GlobalWeightedOutputAveragePooling2D",
    "cost_table",
    "count_macs",
    "ensemble",
    "mcanet",
    "melnyk_net",
    "resnet18",
    "student",
]
