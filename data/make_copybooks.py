"""Make `data/copybooks.npz`: characters as calligraphers and others write them, as lines.

The sources are fonts that were drawn from handwriting (`FONTS`): three in running hand that hold
all 3,755 characters, by the names of their npm packages, and from Debian's packages five with the
brush and three with a pen, from Japan, which hold those that are written alike there. What the
fonts ask for is in `data/copybooks-licences.txt`, as their packages say it. A glyph is drawn 124
pixels large and thinned to the middle of its strokes (Guo and Hall, 1989); the pixels that are left
are followed from end to end and from crossing to crossing, and each way is kept as a polyline with
the stroke's half width at every point. A glyph says neither in which order nor in how many strokes
it was written, so these lines are not strokes.

    pip install scikit-image
    npm pack @fontsource/long-cang@5.3.0 @fontsource/zhi-mang-xing@5.3.0 \\
      @fontsource/ma-shan-zheng@5.3.1
    apt-get download fonts-kouzan-mouhitsu=20170411-3 fonts-aoyagi-kouzan-t=20160404-6 \\
      fonts-aoyagi-soseki=20070207-17 fonts-kiloji=1:2.1.0-25 fonts-seto=6.20-8 \\
      fonts-yozvox-yozfont-standard-kana=14.04-2
    python data/make_copybooks.py fontsource-*.tgz fonts-*.deb        ten minutes
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont
from skimage.morphology import thin

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hccr_lib.characters import LEVEL1  # noqa: E402  (needs the path above)

_SIDE = 124  # pixels of a glyph's longer side; two units a pixel still fit into a byte
_UNITS = 2
_STRAIGHT = 0.5  # pixels that a polyline may stray from the thinned glyph
_NEIGHBOURS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


# The fonts of Debian's packages, and what their lines are called.
FONTS = {
    "kouzan-mouhitsu.ttf": "kouzan",
    "kouzan-mouhitsu-gyosho.ttf": "kouzan-gyosho",
    "KouzanBrushFontSousyo.ttf": "kouzan-sosho",
    "AoyagiKouzanT.ttf": "aoyagi-kouzan",
    "aoyagi-soseki.ttf": "aoyagi-soseki",
    "kiloji.ttf": "kiloji",
    "setofont.ttf": "seto",
    "YOzRS_.ttf": "yoz",
}


def packed(package: Path) -> dict[str, bytes]:
    """What a package of npm or Debian holds, by path."""
    source = package.read_bytes()
    if package.suffix == ".deb":
        asked = ["dpkg-deb", "--fsys-tarfile", package]
        source = subprocess.run(asked, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(source)) as files:
        return {each.name: files.extractfile(each).read() for each in files if each.isfile()}


def books(package: Path) -> list[tuple[str, str, list[bytes]]]:
    """What lines are called, the licence, and the files of their font, for each of a package."""
    content = packed(package)
    if package.suffix == ".deb":
        (licence,) = (text for path, text in content.items() if path.endswith("/copyright"))
        found = {Path(path).name: font for path, font in content.items()}
        return [(FONTS[f], licence.decode(), [found[f]]) for f in FONTS if f in found]
    name = json.loads(content["package/package.json"])["name"].split("/")[1]
    parts = [font for path, font in content.items() if path.endswith("-400-normal.woff2")]
    return [(name, content["package/LICENSE"].decode(), parts)]


def glyphs(files: list[bytes]) -> dict[str, ImageFont.FreeTypeFont]:
    """For each character the file that has it, as a font."""
    fonts = {}
    for file in files:
        font = TTFont(io.BytesIO(file))
        here = [character for character in LEVEL1 if ord(character) in font.getBestCmap()]
        if not here:
            continue
        font.flavor = None  # as TrueType, which every Pillow reads
        plain = io.BytesIO()
        font.save(plain)
        plain.seek(0)
        fonts |= dict.fromkeys(here, ImageFont.truetype(plain, 4 * _SIDE))
    return fonts


def inked(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray:
    """bool (h, w): the glyph, the longer side `_SIDE`, with two pixels of paper around it."""
    picture = Image.new("L", (8 * _SIDE, 8 * _SIDE))
    ImageDraw.Draw(picture).text((2 * _SIDE, _SIDE), character, font=font, fill=255)
    picture = picture.crop(picture.getbbox())
    scale = _SIDE / max(picture.size)
    size = [max(1, round(scale * side)) for side in picture.size]
    return np.pad(np.asarray(picture.resize(size, Image.Resampling.LANCZOS)) > 127, 2)


def lines(ink: np.ndarray) -> list[np.ndarray]:
    """The middle of the strokes, int (n, 3) each: x, y and half width, in units of the file."""
    # A border of paper, since a way is looked for on all eight sides.
    depth = cv2.distanceTransform(ink.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    middle = thin(ink)
    ways = _followed(middle)
    ends = {}
    for way in ways:
        for end in (way[0], way[-1]):
            ends[end] = ends.get(end, 0) + 1
    kept = []
    for way in ways:
        y, x = np.array(way).T
        # Thinning leaves a short spur where a stroke is wide; strokes reach beyond their ends.
        loose = [end for end in (way[0], way[-1]) if ends[end] == 1]
        if len(loose) == 1 and len(way) - 1 < depth[y, x].max() and len(ways) > 1:
            continue
        path = np.column_stack((x, y)).astype(np.float32)
        for _ in range(3):
            path[1:-1] = 0.25 * path[:-2] + 0.5 * path[1:-1] + 0.25 * path[2:]
        few = cv2.approxPolyDP(path, _STRAIGHT, False)[:, 0]
        if len(few) == 1:  # a dot
            few = few[[0, 0]]
        at = [int(np.hypot(*(path - point).T).argmin()) for point in few]
        kept.append(np.column_stack((few - 2, depth[y, x][at])))
    return [np.rint(_UNITS * each).astype(int) for each in kept]


def _followed(middle: np.ndarray) -> list[list[tuple[int, int]]]:
    """Ways along the pixels of a thinned glyph, from ends and crossings to the next."""
    pixels = set(zip(*np.nonzero(middle), strict=True))
    pixels = {(int(y), int(x)) for y, x in pixels}

    def beside(pixel: tuple[int, int]) -> list[tuple[int, int]]:
        y, x = pixel
        near = [(y + dy, x + dx) for dy, dx in _NEIGHBOURS if (y + dy, x + dx) in pixels]
        # A diagonal step is none where two straight ones lead to the same place.
        return [(v, u) for v, u in near if v == y or u == x or not {(v, x), (y, u)} & pixels]

    joined = {pixel: beside(pixel) for pixel in sorted(pixels)}
    walked, ways = set(), []

    def walk(start: tuple[int, int], step: tuple[int, int]) -> None:
        way = [start, step]
        while len(joined[way[-1]]) == 2 and way[-1] != start:
            way.append(next(pixel for pixel in joined[way[-1]] if pixel != way[-2]))
        walked.update(pairwise(way))
        walked.update(pairwise(way[::-1]))
        ways.append(way)

    for crossing in (True, False):  # what is left after that are rings
        for pixel, steps in joined.items():
            if crossing and len(steps) == 2:
                continue
            for step in steps:
                if (pixel, step) not in walked:
                    walk(pixel, step)
    lonely = [[pixel, pixel] for pixel, steps in joined.items() if not steps]  # a dot
    return ways + lonely


def copybook(files: list[bytes]) -> list[list[np.ndarray]]:
    """The lines of every character, none where the font leaves it out or blank."""
    fonts = glyphs(files)
    return [lines(inked(fonts[each], each)) if each in fonts else [] for each in LEVEL1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", type=Path, nargs="+", help="from npm pack and apt-get download")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "copybooks.npz")
    arguments = parser.parse_args()

    sources = sorted(book for package in arguments.packages for book in books(package))
    with ProcessPoolExecutor() as pool:
        pages = list(pool.map(copybook, [files for _, _, files in sources]))
    texts = [line for characters in pages for each in characters for line in each]
    np.savez_compressed(
        arguments.out,
        books=np.array([name for name, _, _ in sources]),
        lines_per_character=np.array(
            [[len(each) for each in characters] for characters in pages], np.uint8
        ),
        points_per_line=np.array([len(line) for line in texts], np.uint8),
        points=np.concatenate(texts).astype(np.uint8),
    )
    names = {}
    for name, licence, _ in sources:
        names.setdefault(licence, []).append(name)
    licences = "\n\n".join(
        f"{', '.join(of)}\n{'=' * len(', '.join(of))}\n\n{text}" for text, of in names.items()
    )
    arguments.out.with_name(f"{arguments.out.stem}-licences.txt").write_text(licences, "utf-8")
    for (name, _, _), characters in zip(sources, pages, strict=True):
        print(f"{name}: {sum(map(bool, characters))} characters")
    print(
        f"{arguments.out}: {len(sources)} copybooks, {len(texts)} lines, "
        f"{sum(map(len, texts))} points, {arguments.out.stat().st_size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
