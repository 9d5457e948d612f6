"""normalize, and the way from any picture to a bitmap."""

import itertools
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from hccr_lib.datasets import PictureError, bitmap_of_photo, normalize, read_gnt, read_picture
from hccr_lib.datasets.normalize import LARGEST_SIDE, read_bitmap, resize_images

needs_data = pytest.mark.skipif("HCCR_DATA_DIR" not in os.environ, reason="needs HCCR_DATA_DIR")


def plain_definition(bitmap):
    """The recipe step by step, with numpy's own padding."""
    height, width = bitmap.shape
    pad = abs(height - width) // 2
    rows, columns = (pad, 0) if height < width else (0, pad)
    square = np.pad(bitmap, ((rows, rows), (columns, columns)), constant_values=255)
    shrinks = max(height, width) > 132
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(square, (88, 88), interpolation=method)
    return 255 - np.pad(resized, 4, constant_values=255)


def brush(height=120, width=90, ink=40.0, ground=235.0):
    """A dark cross of two unequal strokes with smooth edges on an even ground, float64."""
    picture = np.full((height, width), float(ground))
    cv2.line(picture, (width // 6, height // 3), (5 * width // 6, height // 4), ink, 7, cv2.LINE_AA)
    cv2.line(picture, (width // 2, height // 8), (width // 3, 7 * height // 8), ink, 7, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


def u8(picture):
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def likeness(a, b):
    return np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1]


bitmaps = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=170))


@given(bitmap=bitmaps)
def test_normalize_equals_its_plain_definition(bitmap):
    before = bitmap.copy()
    np.testing.assert_array_equal(normalize(bitmap), plain_definition(bitmap))
    np.testing.assert_array_equal(bitmap, before)


@given(bitmap=bitmaps)
def test_normalize_overwrites_all_of_out(bitmap):
    out = np.full((3, 96, 96), 77, np.uint8)
    assert np.shares_memory(normalize(bitmap, out=out[1]), out)
    np.testing.assert_array_equal(out[1], normalize(bitmap))
    assert (out[[0, 2]] == 77).all()


def test_normalize_keeps_proportions_and_polarity():
    ink = np.zeros((80, 20), np.uint8)  # all ink
    image = normalize(ink)
    rows, columns = np.nonzero(image)
    assert (rows.min(), rows.max()) == (4, 91)
    assert abs((columns.max() - columns.min() + 1) - 22) <= 2
    assert image.max() == 255
    assert not normalize(np.full((50, 60), 255, np.uint8)).any()  # a blank stays blank


def test_a_transposed_bitmap_gives_the_transposed_image():
    bitmap = u8(brush(101, 64))
    turned = normalize(np.ascontiguousarray(bitmap.T)).T
    np.testing.assert_allclose(turned.astype(int), normalize(bitmap), atol=1)  # fixed point


@pytest.mark.parametrize("shape", [(1, 65535), (65535, 1), (40000, 2), (3000, 2500)])
def test_extreme_shapes_take_no_square_of_memory(shape):
    image = normalize(np.zeros(shape, np.uint8))
    assert image.any()
    assert max(shape) > LARGEST_SIDE


def test_shrinking_first_hardly_matters():
    large = u8(cv2.resize(brush(), (2400, 3200), interpolation=cv2.INTER_CUBIC))
    assert likeness(normalize(large), plain_definition(large)) > 0.999


@pytest.mark.parametrize(
    "bitmap",
    [
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 1), np.uint8),
    ],
)
def test_what_is_no_bitmap_is_refused_with_its_shape(bitmap):
    with pytest.raises(ValueError, match=rf"received {bitmap.dtype} \({bitmap.shape[0]}, "):
        normalize(bitmap)


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((96, 95), np.uint8),
        np.zeros((96, 96), np.int8),
        np.zeros((96, 96), np.uint8, order="F"),
    ],
)
def test_an_unfit_out_is_refused(out):
    with pytest.raises(ValueError, match="out must be"):
        normalize(np.zeros((4, 4), np.uint8), out=out)


reference = normalize(bitmap_of_photo(u8(brush())))


@pytest.mark.parametrize("light_ink", [False, True])
@pytest.mark.parametrize("noise", [0, 5])
@pytest.mark.parametrize("shade", [1.0, 0.35])
def test_polarity_light_and_noise_do_not_matter(light_ink, noise, shade):
    picture = brush()
    if light_ink:
        picture = 255 - picture
    height, width = picture.shape
    picture *= np.linspace(shade, 1, width) * np.linspace((1 + shade) / 2, 1, height)[:, None]
    picture += np.random.default_rng(0).normal(0, noise, picture.shape)
    image = normalize(bitmap_of_photo(u8(picture)))
    assert likeness(image, reference) > 0.97


@settings(max_examples=30)
@given(low=st.integers(0, 150), contrast=st.integers(60, 105))
def test_contrast_does_not_matter(low, contrast):
    image = normalize(bitmap_of_photo(u8(brush(ink=low, ground=low + contrast))))
    assert likeness(image, reference) > 0.99


def test_the_bitmap_is_cropped_to_the_ink_with_a_white_ground():
    bitmap = bitmap_of_photo(np.pad(u8(brush()), ((300, 10), (20, 200)), constant_values=235))
    tight = bitmap_of_photo(u8(brush()))
    assert np.abs(np.subtract(bitmap.shape, tight.shape)).max() <= 2
    assert bitmap.min() == 0
    assert bitmap.max() == 255
    for edge in (bitmap[0], bitmap[-1], bitmap[:, 0], bitmap[:, -1]):
        assert edge.min() < 255


def test_dust_does_not_move_the_crop():
    picture = np.pad(u8(brush()), 60, constant_values=235)
    clean = bitmap_of_photo(picture)
    picture[3, 3] = picture[-5, 10] = 30
    assert bitmap_of_photo(picture).shape == clean.shape


def test_colour_is_read_as_brightness():
    gray = u8(brush())
    blue_ink = np.stack([gray, gray, np.full_like(gray, 235)], axis=-1)
    assert likeness(normalize(bitmap_of_photo(blue_ink)), reference) > 0.99


def noise_only():
    return u8(np.random.default_rng(1).normal(128, 10, (80, 80)))


BLANK = {
    "1×1": np.zeros((1, 1), np.uint8),
    "1×9": np.full((1, 9), 200, np.uint8),
    "white": np.full((64, 64), 255, np.uint8),
    "black": np.zeros((64, 64, 3), np.uint8),
    "noise": noise_only(),
    "gradient": np.tile(np.linspace(60, 250, 90).astype(np.uint8), (90, 1)),
}


@pytest.mark.parametrize("image", BLANK.values(), ids=BLANK.keys())
def test_a_blank_picture_is_said_to_be_blank(image):
    with pytest.raises(PictureError, match="blank"):
        bitmap_of_photo(image)


@settings(max_examples=100)
@given(
    image=hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30)), fill=st.integers(0, 255)
    )
)
def test_any_picture_gives_a_bitmap_or_a_picture_error(image):
    try:
        bitmap = bitmap_of_photo(image)
    except PictureError:
        return
    assert bitmap.dtype == np.uint8
    assert bitmap.ndim == 2
    assert 1 <= bitmap.size <= image.size
    normalize(bitmap)


@pytest.mark.parametrize("shape", [(4, 4, 4), (4, 4, 1), (4,), (0, 4)])
def test_bitmap_of_photo_refuses_other_arrays(shape):
    with pytest.raises(ValueError, match="received uint8"):
        bitmap_of_photo(np.zeros(shape, np.uint8))


def transparent(picture):
    """Black ink that only its alpha channel knows: laid on black it would vanish."""
    gray = Image.fromarray(picture)
    result = Image.new("RGBA", gray.size, (0, 0, 0, 0))
    result.putalpha(gray.point(lambda value: 255 - value))
    return result


picture = u8(brush())
gray = Image.fromarray(picture)
FORMATS = {
    "gray.png": gray,
    "rgb.jpg": gray.convert("RGB"),
    "cmyk.jpg": gray.convert("CMYK"),
    "cmyk.tif": gray.convert("CMYK"),
    "palette.png": gray.convert("RGB").quantize(16),
    "palette.gif": gray.convert("P"),
    "bilevel.png": gray.convert("1", dither=Image.Dither.NONE),
    "rgba.png": transparent(picture),
    "la.png": transparent(picture).convert("LA"),
    "sixteen.png": Image.fromarray(picture.astype(np.uint16) * 257),
    "sixteen.tif": Image.fromarray(picture.astype(np.uint16) * 257),
    "bitmap.bmp": gray,
    "web.webp": gray.convert("RGB"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_the_same_character(name, tmp_path):
    path = tmp_path / name
    FORMATS[name].save(path)
    image = read_picture(path)
    assert image.dtype == np.uint8
    assert image.shape in (picture.shape, (*picture.shape, 3))
    assert likeness(normalize(read_bitmap(path)), reference) > 0.97


def test_sixteen_bits_keep_their_brightness(tmp_path):
    path = tmp_path / "sixteen.png"
    FORMATS["sixteen.png"].save(path)
    np.testing.assert_array_equal(read_picture(path), picture)


def test_transparency_is_laid_on_white(tmp_path):
    path = tmp_path / "rgba.png"
    FORMATS["rgba.png"].save(path)
    np.testing.assert_array_equal(read_picture(path), np.stack([picture] * 3, axis=-1))


def test_a_gray_level_that_stands_for_nothing_is_laid_on_white(tmp_path):
    picture = Image.new("L", (60, 60), 0)
    picture.paste(10, (20, 10, 30, 50))
    picture.save(tmp_path / "大.png", transparency=0)
    pixels = read_picture(tmp_path / "大.png")
    assert (pixels[0, 0] == 255).all()
    assert (pixels[30, 25] == 10).all()


def test_the_rotation_in_exif_is_applied(tmp_path):
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to see it upright
    Image.fromarray(np.rot90(picture).copy()).save(path, exif=exif)
    np.testing.assert_array_equal(read_picture(path), picture)


def broken_files():
    png = Path("whole.png")
    yield "empty.png", b""
    yield "text.png", b"this is not a picture\n"
    yield (
        "huge.png",
        (
            b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x00\x00\x00\x01\x00\x00\x08\x00\x00\x00\x00"
            b"\xd3\x10\x3f\x31"
        ),
    )
    yield png.name, None


@pytest.mark.parametrize("name, content", [*broken_files()], ids=lambda value: str(value)[:9])
def test_what_is_no_whole_picture_is_a_picture_error_naming_the_file(name, content, tmp_path):
    path = tmp_path / name
    if content is None:  # a picture that ends half-way
        gray.save(path)
        content = path.read_bytes()[:700]
    path.write_bytes(content)
    with pytest.raises(PictureError, match=rf"{name}: not a readable picture") as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)


def test_a_blank_file_is_named(tmp_path):
    path = tmp_path / "blank.png"
    Image.new("L", (40, 40), 255).save(path)
    with pytest.raises(PictureError, match=r"blank\.png: the picture is blank"):
        read_bitmap(path)


def test_a_missing_picture_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "none.png")


@needs_data
def test_real_samples_photographed_either_way_are_read_as_they_are():
    path = Path(os.environ["HCCR_DATA_DIR"]) / "hwdb-sample" / "test.gnt"
    scores = []
    for _, bitmap in itertools.islice(read_gnt(path), 200):
        framed = np.pad(bitmap, 15, constant_values=255)
        for photo in (u8(framed * 0.7 + 40), u8(230 - framed * 0.7)):
            scores.append(likeness(normalize(bitmap_of_photo(photo)), normalize(bitmap)))
    assert np.median(scores) > 0.995
    assert np.quantile(scores, 0.05) > 0.93


def test_what_cannot_be_resized_is_refused():
    halves = np.full((2, 40, 40), 0.5, np.float32)
    with pytest.raises(ValueError, match="takes uint8, received float32"):
        resize_images(halves, 32)
    assert resize_images(halves, 40) is halves  # nothing to do
    white = np.full((2, 40, 40), 255, np.uint8)
    np.testing.assert_array_equal(resize_images(white, 32), np.full((2, 32, 32), 255))
    assert resize_images(white[:0], 32).shape == (0, 32, 32)
