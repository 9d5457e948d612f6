"""From any picture to candidates: what the network says, in order, hostile pictures between."""

import io
import itertools
import os
import subprocess
import sys
import threading
import time
import warnings
import zlib
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from tiny_onnx import CLASSES, means, picture, row, search_path, tiny_onnx, weights

from hccr_lib import evaluation, recognizer
from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import PictureError, bitmap_of_photo, normalize
from hccr_lib.datasets.several import SeveralCharacters
from hccr_lib.explain import cam
from hccr_lib.inference import NetworkError
from hccr_lib.models import mcanet, melnyk_net
from hccr_lib.overlay import overlay_png
from hccr_lib.pinyin import readings
from hccr_lib.recognizer import Reading, Recognizer


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tiny_onnx(tmp_path_factory.mktemp("onnx") / "tiny.onnx")


@pytest.fixture(scope="module")
def tiny(file):
    return Recognizer(file)


def saved(image, ending="png", **options):
    content = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(content, {"jpg": "jpeg", "tif": "tiff"}.get(ending, ending), **options)
    return content.getvalue()


def best(tiny, picture):
    (reading,) = tiny.recognize([picture])
    return reading.best.character


def probabilities(images):
    kernel, bias = (array.astype(np.float64) for array in weights())
    logits = (means(images)[:, None] * kernel).sum((2, 3)) + bias
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return logits, powers / powers.sum(1, keepdims=True)


def test_candidates_are_those_of_an_independent_computation(tiny):
    pictures = [picture(character) for character in CLASSES]
    readings_ = tiny.recognize(pictures, top=8, maps=True)
    for image, reading in zip(pictures, readings_, strict=True):
        np.testing.assert_array_equal(reading.image, normalize(bitmap_of_photo(image)))
    _, expected = probabilities([reading.image for reading in readings_])
    for wanted, reading in zip(expected, readings_, strict=True):
        order = np.argsort(-wanted)
        assert [c.character for c in reading.candidates] == [CLASSES[k] for k in order]
        np.testing.assert_allclose([c.probability for c in reading.candidates], wanted[order], 2e-4)
        assert [c.pinyin for c in reading.candidates] == [readings(CLASSES[k])[0] for k in order]
    assert "".join(reading.best.character for reading in readings_) == CLASSES


def test_maps_add_up_to_the_logits_and_the_first_five_have_one(tiny):
    (reading,) = tiny.recognize([picture("大")], top=7, maps=True)
    logits, _ = probabilities(reading.image[None])
    _, bias = weights()
    for candidate in reading.candidates[:5]:
        k = CLASSES.index(candidate.character)
        assert candidate.map.shape == (6, 6)
        assert candidate.map.dtype == np.float32
        assert candidate.map.sum() + bias[k] == pytest.approx(logits[0, k], abs=1e-3)
    assert [candidate.map for candidate in reading.candidates[5:]] == [None, None]
    (without,) = tiny.recognize([picture("大")], top=7)
    assert all(candidate.map is None for candidate in without.candidates)
    assert without == reading  # pictures are not compared


def test_top_asks_for_so_many_and_not_for_more_than_there_are(tiny):
    assert [len(tiny.recognize([picture("口")], top)[0].candidates) for top in (1, 8)] == [1, 8]
    for top in (0, 9):
        with pytest.raises(ValueError, match=f"top must be 1 to 8, received {top}"):
            tiny.stream([], top)


def test_prepared_images_skip_the_way_of_a_photograph(tiny):
    images = np.stack([reading.image for reading in tiny.recognize([*map(picture, CLASSES)] * 9)])
    answers = tiny.classify(images, 3)
    _, expected = probabilities(images)
    for candidates, wanted in zip(answers, expected, strict=True):
        np.testing.assert_allclose(
            [c.probability for c in candidates], np.sort(wanted)[:-4:-1], 1e-3
        )
    assert tiny.classify(images[:0]) == []
    for wrong in (images[0], images.astype(np.float32), images[:, :95]):
        with pytest.raises(ValueError, match="classify takes uint8"):
            tiny.classify(wrong)


def test_a_picture_may_be_a_path_bytes_or_an_array(tiny, tmp_path):
    image = picture("木")
    path = tmp_path / "木.png"
    path.write_bytes(saved(image))
    pictures = [path, str(path), saved(image), image, np.stack([image] * 3, axis=-1)]
    first, *others = tiny.recognize(pictures)
    for other in others:
        assert other == first
        np.testing.assert_array_equal(other.image, first.image)


@pytest.mark.parametrize(
    "one",
    ["a.png", Path("a.png"), b"bytes", np.zeros((96, 96), np.uint8), np.zeros((9, 8, 3), np.uint8)],
    ids=lambda one: type(one).__name__,
)
def test_one_picture_is_not_taken_for_its_parts(tiny, one):
    for method in (tiny.recognize, tiny.stream):
        with pytest.raises(TypeError, match="in a list"):
            method(one)


@pytest.mark.parametrize("wrong", [7, None, ["a.png"]])
def test_what_is_no_picture_is_a_type_error(tiny, wrong):
    with pytest.raises(TypeError, match=rf"a picture is a path.* {type(wrong).__name__}$"):
        tiny.recognize([wrong])
    for array in (np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="bitmap_of_photo takes uint8"):
            tiny.recognize([array])


def looks():
    """A picture of 大 as cameras, scanners and screens may show it."""
    dark = picture("大", margin=30)
    gray = Image.fromarray(dark)
    yield "light on dark", 255 - dark
    for scale in (0.4, 3, 11):
        yield f"scale {scale}", cv2.resize(dark, None, fx=scale, fy=scale)
    yield "pale", (200 + dark * 0.2).astype(np.uint8)
    light = np.linspace(0.4, 1, dark.shape[1])
    yield "in half shadow", (dark * light).astype(np.uint8)
    yield "jpeg", saved(dark, "jpg", quality=30)
    blue = Image.merge("RGB", [gray, gray, Image.new("L", gray.size, 255)])
    yield "blue ink", saved(blue)
    yield "palette", saved(blue.quantize(8), "gif")
    yield "cmyk", saved(gray.convert("CMYK"), "tif")
    yield "16 bit", saved(dark.astype(np.uint16) * 257)
    yield "1 bit", saved(Image.fromarray(dark > 200))
    clear = Image.new("RGBA", gray.size, (0, 0, 0, 0))
    clear.putalpha(gray.point(lambda value: 255 - value))
    yield "transparent", saved(clear)
    yield "webp", saved(gray.convert("RGB"), "webp")
    for orientation, turns in ((6, 1), (3, 2), (8, 3)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"turned {turns}", saved(Image.fromarray(np.rot90(dark, turns)), "jpg", exif=exif)


@pytest.mark.parametrize("look", [look for _, look in looks()], ids=[name for name, _ in looks()])
def test_the_look_of_a_picture_does_not_matter(tiny, look):
    assert best(tiny, look) == "大"


def test_faults_are_given_in_their_places_or_raised_with_the_name(tiny, tmp_path):
    good, blank = picture("山"), np.full((50, 50), 255, np.uint8)
    text = tmp_path / "text.png"
    text.write_text("no picture")
    pictures = [good, blank, tmp_path / "none.png", good, text, tmp_path, good]
    found = list(tiny.stream(pictures * 20))
    assert len(found) == 140
    kinds = [isinstance(each, Reading) for each in found]
    assert kinds == [True, False, False, True, False, False, True] * 20
    reasons = [str(each) for each in found[:7] if not isinstance(each, Reading)]
    assert "blank" in reasons[0]
    assert reasons[1:] == [
        "No such file or directory",
        "not a readable picture (of no format that Pillow knows)",
        "Is a directory",
    ]
    with pytest.raises(PictureError, match=r"^picture 1: the picture is blank"):
        tiny.recognize(pictures)
    with pytest.raises(PictureError, match=rf"^{text}: not a readable picture \("):
        tiny.recognize([good, good, text])


def test_results_come_in_order_while_few_pictures_are_held(tiny):
    taken = 0

    def endless():
        nonlocal taken
        for taken in itertools.count(1):
            yield picture(CLASSES[taken % 8], margin=1 + taken % 5)

    before = threading.active_count()
    stream = tiny.stream(endless())
    assert taken == 0
    assert next(stream).best.character == CLASSES[1]
    assert taken <= 20
    for number in range(2, 90):
        assert next(stream).best.character == CLASSES[number % 8]
        assert taken <= number + 60
    stream.close()
    assert threading.active_count() == before
    assert list(tiny.stream([])) == []


def test_a_picture_of_several_characters_is_not_guessed_at(tiny):
    both = row("木口大")
    with pytest.raises(SeveralCharacters, match="picture 0: seems to hold about 3 characters") as e:
        tiny.recognize([both])
    assert e.value.characters == 3
    (reading,) = tiny.recognize([both], single=True)
    np.testing.assert_array_equal(reading.image, normalize(bitmap_of_photo(both)))


@settings(max_examples=60)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_a_picture_error(tiny, content):
    (found,) = tiny.stream([content])
    assert isinstance(found, PictureError)
    assert "\n" not in str(found)


FORMATS = {
    ending: saved(Image.fromarray(picture("木")).convert("RGB"), ending)
    for ending in ("png", "jpg", "gif", "tif", "bmp", "webp")
}


@settings(max_examples=150)
@given(
    ending=st.sampled_from(sorted(FORMATS)),
    at=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=4),
)
def test_damaged_files_are_read_or_refused(tiny, ending, at, flips):
    content = bytearray(FORMATS[ending])
    for where, value in flips:
        content[int(where * len(content))] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of what it mends
        (found,) = tiny.stream([bytes(content[: int(at * len(content))])])
    assert isinstance(found, (Reading, PictureError))


@settings(max_examples=150)
@given(
    image=hnp.arrays(
        np.uint8,
        st.one_of(
            st.tuples(st.integers(1, 40), st.integers(1, 40)),
            st.tuples(st.sampled_from([1, 2, 3]), st.integers(1, 3000)),
            st.tuples(st.integers(1, 3000), st.sampled_from([1, 2, 3]), st.just(3)),
        ),
        fill=st.integers(0, 255),
    ),
    single=st.booleans(),
)
def test_any_array_is_read_or_refused(tiny, image, single):
    (found,) = tiny.stream([image], single=single)
    assert isinstance(found, (Reading, PictureError))


def png_of(width, height):
    """A black PNG of any size, a thousandth of a byte a pixel."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + crc

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data = zlib.compress(bytes((1 + (width + 7) // 8) * height))
    head = chunk(b"IHDR", size + b"\x01\x00\x00\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_000, 6_500), (10_000, 10_000), (20_000, 10_000)])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tiny, size, monkeypatch):
    content = png_of(*size)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    (found,) = tiny.stream([content])
    assert str(found) == "not a readable picture (more than 64 million pixels)"


def test_reading_in_threads_leaves_the_warnings_as_they_were(tiny, monkeypatch):
    whole, calls = Image.open, itertools.count()

    def slow(*arguments, **options):
        time.sleep(0.002 * (next(calls) % 3))
        return whole(*arguments, **options)

    monkeypatch.setattr(Image, "open", slow)
    monkeypatch.setattr(recognizer, "cores", lambda: 4)
    before = list(warnings.filters)
    for _ in range(4):
        list(tiny.stream([saved(picture("口"))] * 16))
        assert warnings.filters == before


def test_a_pipe_is_read_like_a_file(tiny, tmp_path, monkeypatch):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def best_of_pipe(content):
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        (found,) = tiny.stream([pipe])
        writer.join()
        return found

    content = saved(picture("十"))
    assert best_of_pipe(content).best.character == "十"
    monkeypatch.setattr(recognizer, "LARGEST_STREAM", len(content) - 1)
    assert "MB" in str(best_of_pipe(content))
    (found,) = tiny.stream([content])
    assert "MB" in str(found)


BROKEN = {
    "another input": {"name": "pictures"},
    "a fixed batch": {"batch": 1},
    "no characters": {"metadata": {"network": "tiny"}},
    "too few characters": {"metadata": {"characters": "大小"}},
    "not square": {"side": "S"},
}


@pytest.mark.parametrize("settings_", BROKEN.values(), ids=BROKEN)
def test_a_file_of_another_contract_is_refused_in_one_line(tmp_path, settings_):
    path = tiny_onnx(tmp_path / "other.onnx", **settings_)
    with pytest.raises(NetworkError, match=rf"^{path}: ") as caught:
        Recognizer(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"garbage" * 99, "half"], ids=["empty", "text", "half"])
def test_what_is_no_network_is_refused_in_one_line(tmp_path, file, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(file.read_bytes()[:1500] if content == "half" else content)
    with pytest.raises(NetworkError, match=rf"^{path}: not a network") as caught:
        Recognizer(path)
    assert "\n" not in str(caught.value)


def test_probabilities_that_are_no_numbers_are_an_error(tmp_path):
    network = Recognizer(tiny_onnx(tmp_path / "nan.onnx", scale=np.nan))
    with pytest.raises(NetworkError, match="tiny: its probabilities are not all finite"):
        network.recognize([picture("大")])


def test_a_network_without_a_pooling_head_has_no_maps(tmp_path):
    network = Recognizer(tiny_onnx(tmp_path / "plain.onnx", maps=False))
    assert not network.has_maps
    assert best(network, picture("口")) == "口"
    with pytest.raises(ValueError, match="tiny has no class activation maps"):
        network.stream([], maps=True)


def test_a_network_itself_is_to_be_saved_first(tiny):
    with pytest.raises(TypeError, match=r"save a Keras model first\. Received: Recognizer$"):
        Recognizer(tiny)


def test_an_unknown_network_is_named_beside_those_there_are():
    with pytest.raises(NetworkError, match=r"^studnt: no such network .* melnyk_net_c, "):
        Recognizer("studnt")


def test_a_network_of_keras_answers_as_evaluation_and_cam_do(tmp_path):
    keras.utils.set_random_seed(0)
    model = melnyk_net("C", num_classes=8, width=0.1, input_size=16)
    model.save(tmp_path / "model.keras")
    (tmp_path / "record.json").write_text(f'{{"characters": "{CLASSES}"}}', encoding="utf-8")
    network = Recognizer(tmp_path)
    assert network.has_maps
    found = network.recognize([picture("大"), picture("小")], top=6, maps=True)
    images = np.stack([reading.image for reading in found])
    loaded, _ = evaluation.load_model(tmp_path)
    expected = evaluation.predict(loaded, images)
    for reading, wanted in zip(found, expected, strict=True):
        order = np.argsort(-wanted)[:6]
        assert [c.character for c in reading.candidates] == [CLASSES[k] for k in order]
        small = cv2.resize(reading.image, (16, 16), interpolation=cv2.INTER_AREA)
        maps = cam(loaded, small[None], order)[0]
        for candidate, map in zip(reading.candidates, maps, strict=True):
            np.testing.assert_allclose(candidate.map, map, atol=1e-5)
    keras.utils.set_random_seed(0)
    mcanet(1, num_classes=8, width=0.1, input_size=16).save(tmp_path / "model.keras")
    assert not Recognizer(tmp_path).has_maps


def test_neither_keras_nor_anything_else_that_is_slow_is_imported(file, tmp_path):
    (tmp_path / "a.png").write_bytes(saved(picture("大")))
    code = (
        "import sys\nfrom hccr_lib.recognizer import Recognizer\n"
        f"print(Recognizer({str(file)!r}).recognize(['a.png'], maps=True)[0].best.character)\n"
        "print(sorted({'keras', 'tensorflow', 'jax', 'torch', 'h5py', 'matplotlib', 'pandas',"
        " 'scipy', 'IPython', 'onnx'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": search_path(), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", code]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=True
    )
    assert run.stdout.splitlines() == ["大", "[]"]
    assert run.stderr == ""


def test_the_overlay_is_that_of_the_figures():
    figures = pytest.importorskip("hccr_lib.viz.figures")
    values = np.linspace(-3, 3, 96, dtype=np.float32)[None].repeat(96, axis=0)
    blank = np.zeros((96, 96), np.uint8)
    drawn = cv2.imdecode(np.frombuffer(overlay_png(blank, values, 1), np.uint8), cv2.IMREAD_COLOR)
    expected = figures.DIVERGING((values[0] / 3 + 1) / 2)[:, :3] * 255
    np.testing.assert_allclose(drawn[0, :, ::-1], expected, atol=5)  # of 8 bits, by another table
    inked = overlay_png(np.full((96, 96), 255, np.uint8), values * 0)
    drawn = cv2.imdecode(np.frombuffer(inked, np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape == (384, 384, 3)
    assert (drawn == 25).all()
    with pytest.raises(ValueError, match="finite"):
        overlay_png(blank, values * np.nan)


def test_the_network_that_ships_reads_handwriting():
    network = Recognizer()
    assert network.characters == LEVEL1
    words = 3 * "大小木口山永汉字学习"
    pictures = [picture(character, seed=3 + n // 10) for n, character in enumerate(words)]
    found = network.recognize(pictures, maps=True)
    right = sum(r.best.character == c for r, c in zip(found, words, strict=True))
    assert right >= 20  # of 30 among 3,755, in three hands
    assert all(c.map.shape == (6, 6) for r in found for c in r.candidates)
