"""Write what the page "Draw a character" loads into `book/assets/draw-data`.

The network, the runtime it needs, and what the page knows of the characters: packed with gzip (not
every server does that), and named by their content, so that a browser may keep them for ever.
`make book` runs it.
"""

import argparse
import gzip
import hashlib
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hccr_lib.characters import LEVEL1  # noqa: E402
from hccr_lib.datasets.strokes import stroke_template  # noqa: E402
from hccr_lib.pinyin import readings  # noqa: E402

NETWORK = ROOT / "data" / "onnx" / "student.onnx"
RUNTIME = ROOT / "book" / "node_modules" / "onnxruntime-web" / "dist"
OUTPUT = ROOT / "book" / "assets" / "draw-data"


def network(path: Path) -> bytes:
    """The file of a network, once it is sure that its classes are our characters."""
    metadata = {each.key: each.value for each in onnx.load(path).metadata_props}
    if metadata.get("characters") != LEVEL1:
        raise SystemExit(f"{path}: its classes are not the characters of GB2312 level 1")
    return path.read_bytes()


def characters() -> bytes:
    known = {"text": LEVEL1, "pinyin": [readings(each)[0] for each in LEVEL1]}
    return json.dumps(known, ensure_ascii=False).encode()


def strokes() -> bytes:
    """All templates, a byte a number: strokes per character, points per stroke, all x, all y.

    Coordinates are from -0.1 to 1.1, and each is written as its difference from the one before.
    """
    templates = [stroke_template(each) for each in LEVEL1]
    each_stroke = [stroke for template in templates for stroke in template]
    levels = np.rint((np.concatenate(each_stroke) + 0.1) / 1.2 * 255)
    assert levels.min() >= 0 and levels.max() <= 255
    steps = np.diff(levels.astype(np.uint8), axis=0, prepend=np.zeros((1, 2), np.uint8))
    counts = [len(template) for template in templates], [len(stroke) for stroke in each_stroke]
    return b"".join([*map(bytes, counts), steps[:, 0].tobytes(), steps[:, 1].tobytes()])


def font() -> bytes:
    """The characters that may be read: more than the pages of the book contain."""
    whole = TTFont(ROOT / "data" / "fonts" / "HCCRSansSC-Regular.otf", recalcTimestamp=False)
    subsetter = Subsetter(Options())
    subsetter.populate(text=LEVEL1)
    subsetter.subset(whole)
    whole.flavor = "woff2"
    written = io.BytesIO()
    whole.save(written)
    return written.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", type=Path, default=NETWORK, help="an exported .onnx file")
    path = parser.parse_args().network
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    shutil.copy(RUNTIME / "ort.wasm.bundle.min.mjs", OUTPUT / "ort.js")
    # The licences go with what they are for.
    for licence in ("ARPHICPL.TXT", "fonts/OFL.txt"):
        shutil.copy(ROOT / "data" / licence, OUTPUT)
    contents = {
        "runtime": (RUNTIME / "ort-wasm-simd-threaded.wasm").read_bytes(),
        "network": network(path),
        "characters": characters(),
        "strokes": strokes(),
        "font": font(),
    }
    manifest = {}
    for name, content in contents.items():
        stored = gzip.compress(content, mtime=0)
        file = f"{name}-{hashlib.sha256(stored).hexdigest()[:12]}.gz"
        (OUTPUT / file).write_bytes(stored)
        manifest[name] = {"file": file, "bytes": len(content), "stored": len(stored)}
    (OUTPUT / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
