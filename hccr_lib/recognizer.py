"""Read handwritten characters from pictures: photographs, scans, screenshots, drawings.

    recognizer = Recognizer()
    for reading in recognizer.recognize(["scan.jpg", "photo.png"]):
        print(reading.best.character, reading.best.probability)

`hccr recognize` is this, and gives the same answers.
"""

import io
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from .characters import LEVEL1
from .datasets.normalize import SIDE, PictureError, bitmap_of_photo, decode_picture, normalize
from .datasets.several import check_single
from .datasets.workers import cores
from .inference import open_network

#: The network that reads where none is named.
DEFAULT_MODEL = "student"

Picture = str | os.PathLike | bytes | np.ndarray

LARGEST_STREAM = 2**28  # bytes of a picture that can't be read from its place

_BATCH = 32
_AHEAD = 16  # pictures that are being read; of those that are, only 96 x 96 pixels are kept


@dataclass(frozen=True)
class Candidate:
    """One answer of a network.

    Attributes:
        character: What the picture may show.
        pinyin: Its usual reading with tone marks; "" outside GB2312 level 1.
        probability: That the network gives it, 0 to 1.
        map: Its class activation map, float32 (6, 6) for the networks of the course, in units of
            the logit; None where it was not asked for, or the network does not give it: an ONNX
            file has maps of its first five answers.
    """

    character: str
    pinyin: str
    probability: float
    map: np.ndarray | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Reading:
    """What a network reads in a picture.

    Attributes:
        candidates: The most probable first.
        image: uint8 (96, 96), ink bright on 0: what the network saw of the picture.
    """

    candidates: tuple[Candidate, ...]
    image: np.ndarray = field(compare=False, repr=False)

    @property
    def best(self) -> Candidate:
        """The most probable candidate."""
        return self.candidates[0]


class Recognizer:
    """A network, and the way from a picture to it.

    Args:
        model: The name of a file in `data/onnx` ("student", "melnyk_net_c"), the path of an .onnx
            file that `hccr export` wrote, or anything that `hccr_lib.evaluation.load_model` takes;
            only for the last is Keras imported.

    Attributes:
        name: Of the network.
        characters: Its classes in the order of their labels.
        has_maps: Whether it can say where it looks.

    Raises:
        TypeError: A network itself.
        ValueError: No such network, or a file that is none; the message names it.
    """

    def __init__(self, model: str | os.PathLike = DEFAULT_MODEL):
        if not isinstance(model, (str, os.PathLike)):
            kind = type(model).__name__
            raise TypeError(
                f"model is a name or a path; save a Keras model first. Received: {kind}"
            )
        self._network = open_network(model)
        self.name = self._network.name
        self.characters = self._network.characters
        self.has_maps = self._network.has_maps

    def recognize(
        self,
        pictures: Iterable[Picture],
        top: int = 5,
        *,
        maps: bool = False,
        single: bool = False,
    ) -> list[Reading]:
        """Read pictures of one character each.

        Args:
            pictures: Each a path, the bytes of a picture file, or uint8 (h, w) or (h, w, 3) RGB;
                of any size, colour and polarity. An array is a photograph like any other, also of
                shape (96, 96); for prepared images there is `classify`.
            top: How many candidates of each.
            maps: Also give their class activation maps.
            single: Do not look whether a picture holds several characters, or none.

        Returns:
            A reading of each picture, in their order.

        Raises:
            PictureError: A file that can't be read, or a picture that holds no character, or
                several (`SeveralCharacters`). `stream` goes on after such a picture.
            TypeError: One picture, not in a list; or one that is none of these.
            ValueError: An array that is no picture, more candidates than the network has classes,
                or maps of a network that has none.
        """
        _refuse_one(pictures)
        names: list[str] = []

        def named() -> Iterator[Picture]:
            for number, picture in enumerate(pictures):
                known = isinstance(picture, (str, os.PathLike))
                names.append(os.fspath(picture) if known else f"picture {number}")
                yield picture

        readings = []
        for reading in self.stream(named(), top, maps=maps, single=single):
            if isinstance(reading, PictureError):
                reading.args = (f"{names[len(readings)]}: {reading}",)
                raise reading
            readings.append(reading)
        return readings

    def stream(
        self,
        pictures: Iterable[Picture],
        top: int = 5,
        *,
        maps: bool = False,
        single: bool = False,
    ) -> Iterator[Reading | PictureError]:
        """As `recognize`, for any number of pictures: an iterator that holds few at a time.

        A picture that can't be read gives its `PictureError` in its place instead of raising it.
        Pictures are read ahead of those that the network sees, by threads.
        """
        _refuse_one(pictures)
        self._check(top, maps)
        return self._stream(pictures, top, maps, single)

    def classify(
        self, images: np.ndarray, top: int = 5, *, maps: bool = False
    ) -> list[tuple[Candidate, ...]]:
        """The candidates of images that are prepared already.

        Args:
            images: uint8 (n, 96, 96), ink bright on 0, as `hccr_lib.datasets` has them.
            top, maps: As for `recognize`.

        Raises:
            ValueError: Other images; and as for `recognize`.
        """
        self._check(top, maps)
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
            raise ValueError(
                f"classify takes uint8 of shape (n, {SIDE}, {SIDE}), received "
                f"{images.dtype} {images.shape}"
            )
        parts = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
        return [candidates for part in parts for candidates in self._read(part, top, maps)]

    def _check(self, top: int, maps: bool) -> None:
        if not 1 <= top <= len(self.characters):
            raise ValueError(f"top must be 1 to {len(self.characters):,}, received {top}")
        if maps and not self.has_maps:
            raise ValueError(f"{self.name} has no class activation maps: no pooling head")

    def _stream(
        self, pictures: Iterable[Picture], top: int, maps: bool, single: bool
    ) -> Iterator[Reading | PictureError]:
        prepared = _in_threads(lambda picture: _prepared(picture, single), pictures)
        size = 1  # the first answer comes at once
        batch = []
        for image in prepared:
            batch.append(image)
            if len(batch) == size:
                yield from self._readings(batch, top, maps)
                batch = []
                size = min(2 * size, _BATCH)
        if batch:
            yield from self._readings(batch, top, maps)

    def _readings(
        self, batch: list[np.ndarray | PictureError], top: int, maps: bool
    ) -> Iterator[Reading | PictureError]:
        images = [image for image in batch if not isinstance(image, PictureError)]
        answers = iter(self._read(np.stack(images), top, maps) if images else ())
        for image in batch:
            if isinstance(image, PictureError):
                yield image
            else:
                yield Reading(next(answers), image)

    def _read(self, images: np.ndarray, top: int, maps: bool) -> list[tuple[Candidate, ...]]:
        answers = self._network.read(images, top, maps)
        return [
            tuple(
                Candidate(
                    self.characters[label],
                    _pinyin(self.characters[label]),
                    float(answers.probabilities[n, rank]),
                    # A copy: one map is not to keep those of all candidates in memory.
                    answers.maps[n, rank].copy() if maps and rank < answers.maps.shape[1] else None,
                )
                for rank, label in enumerate(labels)
            )
            for n, labels in enumerate(answers.labels)
        ]


def _refuse_one(pictures: Iterable[Picture]) -> None:
    if isinstance(pictures, (str, bytes, os.PathLike)) or (
        isinstance(pictures, np.ndarray) and (pictures.ndim < 3 or pictures.shape[2:] == (3,))
    ):  # whose parts would be taken for pictures
        raise TypeError("recognize and stream take several pictures: put one in a list")


def _in_threads(function: Callable, items: Iterable) -> Iterator:
    """`map`, computed by threads a little ahead, whose items are taken only as it goes on."""
    waiting: deque[Future] = deque()
    pool = ThreadPoolExecutor(min(4, cores()))
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepared(picture: Picture, single: bool) -> np.ndarray | PictureError:
    """uint8 (96, 96) of a picture, or what is wrong with it, without its name."""
    try:
        bitmap = bitmap_of_photo(_pixels(picture))
        if not single:
            check_single(bitmap)
        return normalize(bitmap)
    except PictureError as error:
        return error
    except OSError as error:
        return PictureError(error.strerror or type(error).__name__)
    except MemoryError:
        return PictureError("too large for the memory that there is")


def _pixels(picture: Picture) -> np.ndarray:
    if isinstance(picture, np.ndarray):
        return picture
    if isinstance(picture, bytes):
        return _of_bytes(picture)
    if not isinstance(picture, (str, os.PathLike)):
        kind = type(picture).__name__
        raise TypeError(f"a picture is a path, a file's bytes or a uint8 array. Received: {kind}")
    with open(os.fspath(picture), "rb") as file:
        # What flows can't be read from the middle, as decoders do.
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return _of_bytes(file.read(LARGEST_STREAM + 1))
        return decode_picture(file)


def _of_bytes(content: bytes) -> np.ndarray:
    if len(content) > LARGEST_STREAM:
        raise PictureError(f"more than {LARGEST_STREAM >> 20} MB, which only files may have")
    return decode_picture(io.BytesIO(content))


@cache
def _pinyin(character: str) -> str:
    from .pinyin import readings  # a third of all imports' time, so not before the first answer

    return readings(character)[0] if character in LEVEL1 else ""
