"""Make `data/strokes.npz`: the stroke centre lines of the 3,755 characters of GB2312 level 1.

The source is the npm package `hanzi-writer-data` (derived from Make Me a Hanzi; Arphic Public
License), which holds one JSON file a character. Its `medians` are the centre lines, in writing
order, in a frame 1024 units wide with y upwards from -124 to 900. They are stored as they are
(`int16`), so that this file makes the same bytes every time:

    npm pack hanzi-writer-data@2.0.1
    python data/make_strokes.py hanzi-writer-data-2.0.1.tgz

The licence, `data/ARPHICPL.TXT`, is copied from the package unaltered.
"""

import argparse
import json
import sys
import tarfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hccr_lib.characters import LEVEL1  # noqa: E402  (needs the path above)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="hanzi-writer-data-2.0.1.tgz, from npm pack")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "strokes.npz")
    arguments = parser.parse_args()

    with tarfile.open(arguments.package) as package:
        files = {member.name: member for member in package.getmembers()}

        def content(name: str) -> bytes:
            return package.extractfile(files[f"package/{name}"]).read()

        medians = [json.loads(content(f"{character}.json"))["medians"] for character in LEVEL1]
        (arguments.out.parent / "ARPHICPL.TXT").write_bytes(content("ARPHICPL.TXT"))

    strokes = [stroke for character in medians for stroke in character]
    np.savez_compressed(
        arguments.out,
        strokes_per_character=np.array([len(character) for character in medians], np.uint8),
        points_per_stroke=np.array([len(stroke) for stroke in strokes], np.uint8),
        points=np.array([point for stroke in strokes for point in stroke], np.int16),
    )
    print(f"{arguments.out}: {len(medians)} characters, {len(strokes)} strokes")


if __name__ == "__main__":
    main()
