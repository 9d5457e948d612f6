"""Take a figure out of an executed chapter, for the first page of the book and the README.

    python book/cover.py notebooks/first_training.ipynb 8.7

writes the picture to ``book/assets/cover.png`` and prints its text alternative and its caption.
"""

import base64
import sys
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup

COVER = Path(__file__).parent / "assets" / "cover.png"


def take_figure(notebook: Path, number: str) -> tuple[bytes, str, str]:
    """The PNG, the text alternative and the caption of figure ``number`` in ``notebook``."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = (o for cell in cells for o in cell.get("outputs", []) if "data" in o)
    page = BeautifulSoup("".join(o.data.get("text/html", "") for o in outputs), "html.parser")
    figure = page.find(id=f"fig-{number.replace('.', '-')}")
    if figure is None:
        raise ValueError(f"{notebook}: there is no figure {number}.")
    png = base64.b64decode(figure.img["src"].split(",", 1)[1])
    return png, figure.img["alt"], figure.figcaption.get_text()


if __name__ == "__main__":
    picture, alt, caption = take_figure(Path(sys.argv[1]), sys.argv[2])
    COVER.write_bytes(picture)
    print(alt, caption, sep="\n\n")
