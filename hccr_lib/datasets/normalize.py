"""From a bitmap or a photograph to what a network reads: uint8 (96, 96), ink bright on 0."""

import os
import warnings
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SIDE = 96
BORDER = 4
INNER = SIDE - 2 * BORDER
LARGEST_INTERPOLATED = 3 * INNER // 2

# Padding a w×h bitmap to a square takes max(w, h)² bytes: from a file of 64 KB that claims one
# pixel by 65,535, four gigabytes. Above this side a bitmap is therefore shrunk first.
LARGEST_SIDE = 2048

MAX_PICTURE_PIXELS = 64_000_000
_TOO_MANY = "more than 64 million pixels"
PHOTO_SIDE = 1024  # photographs are shrunk to this: a character needs no more
MIN_CONTRAST = 20.0  # grey levels between ink and background, below which a picture is blank
MIN_CONTRAST_TO_NOISE = 3.5  # 2.6 is what Otsu's threshold makes of pure Gaussian noise
MIN_SPECK = 0.002  # connected specks below this share of all ink are dust

_OPENING = Lock()
_LARGE = Lock()  # of the largest pictures, which take up to 1.5 GB, threads decode one at a time


class PictureError(ValueError):
    """A picture in which no character can be found; the message names the file if known."""


def normalize(bitmap: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Bring a bitmap to the size and polarity that the networks read.

    Pad to a square with background, resize to 88×88, add a border of 4, invert: the recipe of
    the recognizer released with Melnyk, You, Li (2020). As there, the padding is
    ⌊difference / 2⌋ on both sides, so that an odd difference leaves the square one pixel short.

    Args:
        bitmap: uint8 (h, w), ink dark on 255.
        out: uint8 (96, 96), overwritten and returned; by default a new array.

    Returns:
        uint8 (96, 96), ink bright on 0.
    """
    if bitmap.dtype != np.uint8 or bitmap.ndim != 2 or bitmap.size == 0:
        raise ValueError(
            "normalize takes a bitmap of dtype uint8 and shape (h, w) with h, w ≥ 1, "
            f"received {bitmap.dtype} {bitmap.shape}"
        )
    if out is None:
        out = np.empty((SIDE, SIDE), np.uint8)
    elif out.dtype != np.uint8 or out.shape != (SIDE, SIDE) or not out.flags.c_contiguous:
        raise ValueError(
            f"out must be contiguous uint8 of shape ({SIDE}, {SIDE}), "
            f"received {out.dtype} {out.shape}"
        )
    height, width = bitmap.shape
    longer = max(height, width)
    if longer > LARGEST_SIDE:
        scale = LARGEST_SIDE / longer
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        bitmap = cv2.resize(bitmap, size, interpolation=cv2.INTER_AREA)
        height, width = bitmap.shape
        longer = LARGEST_SIDE
    pad = abs(height - width) // 2
    if pad:
        top, left = (pad, 0) if width > height else (0, pad)
        bitmap = cv2.copyMakeBorder(bitmap, top, top, left, left, cv2.BORDER_CONSTANT, value=255)
    # Interpolation reads four neighbours, and misses no pixel of an image that hardly shrinks;
    # where it shrinks more, averaging over areas keeps thin strokes from breaking up.
    interpolation = cv2.INTER_AREA if longer > LARGEST_INTERPOLATED else cv2.INTER_LINEAR
    out.fill(255)
    inner = out[BORDER:-BORDER, BORDER:-BORDER]
    cv2.resize(bitmap, (INNER, INNER), dst=inner, interpolation=interpolation)
    return np.invert(out, out=out)


def normalize_masks(masks: np.ndarray) -> np.ndarray:
    """The pixels of strokes, as `normalize` brings their bitmap to the networks' size.

    Args:
        masks: bool (S, h, w), S at least 1, as `hccr_lib.datasets.synthesis.write` tells them.

    Returns:
        uint8 (S, 96, 96): 255 where a stroke covers a pixel, less where it covers a part of it.
    """
    # Drawn dark on white, a mask goes the way of the bitmap to the image.
    return np.stack([normalize(np.where(mask, 0, 255).astype(np.uint8)) for mask in masks])


def resize_images(images: np.ndarray, side: int) -> np.ndarray:
    """Bring images uint8 (N, h, w) to (N, side, side) by averaging areas; N may be 0.

    Raises:
        ValueError: images of another type that have another size.
    """
    if images.shape[1:] == (side, side):
        return images
    if images.dtype != np.uint8:  # OpenCV would leave `out` as it is
        raise ValueError(f"resize_images takes uint8, received {images.dtype}")
    out = np.empty((len(images), side, side), np.uint8)
    for image, small in zip(images, out, strict=True):
        cv2.resize(image, (side, side), dst=small, interpolation=cv2.INTER_AREA)
    return out


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """`decode_picture` of a file.

    Raises:
        PictureError: as there; the message names the file.
        OSError: the file cannot be opened.
    """
    path = Path(path)
    with open(path, "rb") as file:
        try:
            return decode_picture(file)
        except PictureError as error:
            raise PictureError(f"{path}: {error}") from error


def decode_picture(file: BinaryIO) -> np.ndarray:
    """Read any picture that Pillow reads, as it is meant to be seen; threads may do so at once.

    Transparency is laid on white, 16 bits become 8, palettes and CMYK become RGB, and the
    rotation that a camera notes in EXIF is applied. Of several frames, the first one is read.

    Args:
        file: open for reading bytes, and seekable.

    Returns:
        uint8 (h, w) for grey pictures, uint8 (h, w, 3) RGB for all others.

    Raises:
        PictureError: not a picture, a damaged one, or more than 64 million pixels, which are
            refused before any of them is decoded.
    """
    try:
        # Which warnings are errors is one list for all threads. Opening reads a header only.
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(file)
        pixels = picture.width * picture.height
        if pixels > MAX_PICTURE_PIXELS:
            raise PictureError(_TOO_MANY)
        with _LARGE if pixels > MAX_PICTURE_PIXELS // 4 else nullcontext():
            return _pixels(ImageOps.exif_transpose(picture))
    except Exception as error:  # decoders raise nearly anything on damaged files
        if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
            reason = _TOO_MANY
        elif isinstance(error, UnidentifiedImageError):  # whose message is a name in memory
            reason = "of no format that Pillow knows"
        else:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PictureError(f"not a readable picture ({reason})") from error


def _pixels(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I"):  # 16 bits, also where Pillow widens them to 32
        return np.clip(np.asarray(picture, np.int64) // 257, 0, 255).astype(np.uint8)
    if picture.mode in ("1", "L") and not picture.has_transparency_data:
        return np.asarray(picture.convert("L"))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    elif picture.mode == "F":
        raise PictureError("floating-point pixels; convert it to 8 or 16 bits")
    return np.asarray(picture.convert("RGB"))


def read_bitmap(path: str | os.PathLike) -> np.ndarray:
    """`bitmap_of_photo(read_picture(path))`, with errors that name the file."""
    image = read_picture(path)
    try:
        return bitmap_of_photo(image)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error


def bitmap_of_photo(image: np.ndarray) -> np.ndarray:
    """Turn a picture of one character, of any size and polarity, into a bitmap.

    Grey levels; uneven light flattened by a quadratic background; Otsu's threshold (1979)
    between ink and ground; the border tells which of the two is the ground; dust removed;
    contrast stretched to 0..255; cropped to the ink.

    Args:
        image: uint8 (h, w) or (h, w, 3) RGB.

    Returns:
        uint8 (h, w), ink dark on 255.

    Raises:
        PictureError: the picture is blank.
        ValueError: an array of another type or shape.
    """
    if (
        image.dtype != np.uint8
        or image.ndim < 2
        or image.shape[2:] not in ((), (3,))
        or not image.size
    ):
        raise ValueError(
            "bitmap_of_photo takes uint8 of shape (h, w) or (h, w, 3), "
            f"received {image.dtype} {image.shape}"
        )
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = PHOTO_SIDE / max(gray.shape)
    if scale < 1:
        size = (max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale)))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    gray = gray.astype(np.float32)
    ground = _background(gray)
    bright = _otsu(gray - ground)
    rim = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    if rim.mean() < 0.5:  # bright ink on a dark ground
        gray, ground = 255 - gray, 255 - ground
    # Dividing, not subtracting: in half the light, ink and paper are half as bright.
    flat = gray / np.maximum(ground, 1) * 255
    ink = ~_otsu(flat)
    if not ink.any() or ink.all():
        raise PictureError("the picture is blank: all pixels are alike")
    contrast = flat[~ink].mean() - flat[ink].mean()
    if contrast < max(MIN_CONTRAST, MIN_CONTRAST_TO_NOISE * flat[~ink].std()):
        raise PictureError(
            "the picture is blank, or lit too unevenly to tell: ink and ground differ by "
            f"{contrast:.0f} of 255 grey levels"
        )
    ink = _without_dust(ink)
    black = min(np.percentile(flat[ink], 2), 254)  # a ground that is misjudged may be darker
    stretched = np.clip(255 - (255 - flat) * (255 / (255 - black)), 0, 255)
    # One pixel around the ink keeps its grey: the smooth edge of a stroke.
    near = cv2.dilate(ink.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    bitmap = np.where(near, np.rint(stretched), 255).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(ink.astype(np.uint8))
    return bitmap[top : top + height, left : left + width]


def _background(gray: np.ndarray) -> np.ndarray:
    """The quadratic surface float32 (h, w) with the least absolute distance to the pixels.

    Absolute, not squared: like a median, such a surface keeps to the ground as long as the
    ground has more pixels than the ink. Solved by iteratively reweighted least squares. Where a
    third of the pixels share one value, the ground is already flat, and has that value.
    """
    height, width = gray.shape
    counts = np.bincount(gray.ravel().astype(np.uint8), minlength=256)
    if counts.max() * 3 > gray.size:
        return np.full(gray.shape, counts.argmax(), np.float32)
    step = max(1, int(np.sqrt(gray.size / 4096)))
    y, x = np.mgrid[0:height:step, 0:width:step]
    values = gray[::step, ::step].ravel().astype(np.float64)
    terms = _quadratic(x.ravel() / width, y.ravel() / height)
    weights = 1.0 / np.maximum(np.abs(values - np.median(values)), 0.5)
    for _ in range(20):
        weighted = terms * weights[:, None]
        coefficients = np.linalg.lstsq(weighted.T @ terms, weighted.T @ values, rcond=None)[0]
        weights = 1.0 / np.maximum(np.abs(values - terms @ coefficients), 0.5)
    one, in_x, in_y, in_xx, in_xy, in_yy = coefficients
    x, y = np.arange(width) / width, np.arange(height)[:, None] / height
    # Added up from a row and a column: six terms at each pixel would take ten times as long.
    surface = (one + in_x * x + in_xx * x * x) + (in_y * y + in_yy * y * y) + in_xy * y * x
    return np.clip(surface, 0, 255).astype(np.float32)


def _quadratic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _otsu(values: np.ndarray) -> np.ndarray:
    """Which of the float values lie above Otsu's threshold: bool, the shape of `values`."""
    low, high = float(values.min()), float(values.max())
    if high - low < 1:
        return np.ones(values.shape, bool)
    levels = np.rint((values - low) * (255 / (high - low))).astype(np.uint8)
    return cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1] > 0


def _without_dust(ink: np.ndarray) -> np.ndarray:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= MIN_SPECK * ink.sum()
    keep[0] = False  # component 0 is the ground
    return keep[labels]
