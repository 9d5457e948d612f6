"""Where images come from: .gnt files, pictures, and handwriting made from strokes.

numpy and OpenCV only; nothing here imports keras.
"""

from .catalog import Dataset, choose, load, split_by_writer
from .gnt import GntError, Sample, read_gnt, write_gnt
from .normalize import PictureError, bitmap_of_photo, normalize, read_picture
from .prepare import DatasetError

__all__ = [
    "Dataset",
    "DatasetError",
    "GntError",
    "PictureError",
    "Sample",
    "bitmap_of_photo",
    "choose",
    "load",
    "normalize",
    "read_gnt",
    "read_picture",
    "split_by_writer",
    "write_gnt",
]
