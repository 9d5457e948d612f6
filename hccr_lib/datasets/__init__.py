"""Where images come from: .gnt files, pictures, and handwriting made from strokes.

numpy and OpenCV only; nothing here imports keras.
"""

from .gnt import GntError, Sample, read_gnt, write_gnt
from .normalize import PictureError, bitmap_of_photo, normalize, read_picture

__all__ = [
    "GntError",
    "PictureError",
    "Sample",
    "bitmap_of_photo",
    "normalize",
    "read_gnt",
    "read_picture",
    "write_gnt",
]
