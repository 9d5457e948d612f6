"""Make ``data/fonts/HCCRSansSC-Regular.otf``: the Chinese characters that figures and pages need.

The source is Noto Sans CJK SC Regular 2.004, as Debian's package ``fonts-noto-cjk`` installs it:

    python data/make_font.py /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

The subset holds GB2312 level 1, the radicals that are no characters themselves, the punctuation of
Chinese text, pinyin letters and ASCII. It is renamed, so that it can't be
mistaken for the full font. The same source gives the same bytes.
"""

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont

from hccr_lib.characters import LEVEL1

FAMILY = "HCCR Sans SC"
OUTPUT = Path(__file__).parent / "fonts" / "HCCRSansSC-Regular.otf"
ASCII = "".join(map(chr, range(0x20, 0x7F)))
PINYIN = "āáǎàēéěèīíǐìōóǒòūúǔùüǖǘǚǜĀÁǍÀĒÉĚÈŌÓǑÒńňḿ"
RADICALS = (
    "丨丶丿乀乁乚乛亅亠亻冂冖冫凵刂勹匚卩厶囗夂夊宀尢屮巛幺廴廾"
    "弋彐彑彡彳忄扌攵氵灬爫犭疒癶礻罒耂艹虍衤覀讠辶钅阝饣纟飠龶龷"
)
PUNCTUATION = "、。·—…‘’“”〈〉《》「」『』【】〔〕！（），．／：；？～×÷→"


def make_font(collection: Path, output: Path) -> None:
    """Write the subset of ``collection``'s simplified-Chinese font to ``output``."""
    fonts = TTCollection(collection, recalcTimestamp=False).fonts
    font: TTFont = next(f for f in fonts if f["name"].getDebugName(4) == "Noto Sans CJK SC")
    options = Options()
    options.layout_features = []  # no vertical forms, no kerning: labels are short
    options.hinting = False
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.notdef_outline = True
    subsetter = Subsetter(options)
    subsetter.populate(text=LEVEL1 + RADICALS + ASCII + PINYIN + PUNCTUATION)
    subsetter.subset(font)
    for record in font["name"].names:
        if record.nameID in (1, 4):
            record.string = FAMILY
        elif record.nameID in (3, 6):
            record.string = FAMILY.replace(" ", "") + "-Regular"
    cff = font["CFF "].cff
    cff.fontNames[0] = FAMILY.replace(" ", "") + "-Regular"
    cff[0].FamilyName = cff[0].FullName = FAMILY
    output.parent.mkdir(exist_ok=True)
    font.save(output)


if __name__ == "__main__":
    make_font(Path(sys.argv[1]), OUTPUT)
