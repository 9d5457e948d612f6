"""Of which named components a character's strokes are, and which ink of a picture is whose.

A component is found by its strokes: a run of consecutive strokes that, each run in its own bounding
box, lies like the strokes of a character that is known to have the component.
"""

from functools import cache

import cv2
import numpy as np

from hccr_lib.datasets.running import ALIKE, in_box
from hccr_lib.datasets.strokes import stroke_template

#: name, a character that has it, its first stroke there, how many strokes.
COMPONENTS = tuple(
    (name, character, int(start), int(count))
    for name, character, start, count in (
        row.split()
        for row in """
        氵 江 0 3|亻 们 0 2|扌 打 0 3|讠 计 0 2|纟 红 0 3|钅 钉 0 5|饣 饭 0 3|忄 忙 0 3|犭 狗 0 3
        礻 社 0 4|衤 初 0 5|彳 行 0 3|宀 宁 0 3|艹 花 0 3|竹 笔 0 6|辶 过 3 3|刂 到 6 2
        阝 队 0 2|阝 邮 5 2|灬 点 5 4|疒 病 0 5|广 庄 0 3|冫 冰 0 2|攵 放 4 4|隹 难 2 8|门 问 0 3
        口 吃 0 3|日 明 0 4|月 朋 0 4|木 林 0 4|女 妈 0 3|土 地 0 3|土 去 0 3|王 理 0 4|火 灯 0 4
        石 研 0 5|目 眼 0 5|贝 财 0 4|车 轮 0 4|马 吗 3 3|虫 蚁 0 6|足 跑 0 7|雨 雪 0 8|页 顶 2 6
        鸟 鸡 2 5|禾 种 0 5|米 粉 0 6|心 志 3 4|皿 盆 4 5|酉 酒 3 7|立 站 0 5|山 岭 0 3|又 对 0 2
        寸 对 2 3|大 奇 0 3|田 畔 0 5|巾 帆 0 3|弓 张 0 3|子 孩 0 3|力 动 4 2|欠 欢 2 4|方 放 0 4
        斤 析 4 4|尸 屋 0 3|户 房 0 4|穴 空 0 5|耳 取 0 6|殳 没 3 4|木 杰 0 4|日 旦 0 4|贝 贡 3 4
        """.replace("\n", "|").split("|")
        if row.strip()
    )
)


@cache
def _models() -> list[tuple[str, np.ndarray]]:
    return [
        (name, in_box(stroke_template(character)[start : start + count]))
        for name, character, start, count in COMPONENTS
    ]


@cache
def parts_of(character: str) -> tuple[tuple[str, int, int], ...]:
    """The named components of a level 1 character: (name, first stroke, one past the last).

    Those that fit best come first, those of more strokes before any; no stroke is in two.

    >>> [name for name, _, _ in parts_of("彼")]
    ['彳']
    """
    template = stroke_template(character)
    found = []
    for name, model in _models():
        for start in range(len(template) - len(model) + 1):
            run = template[start : start + len(model)]
            off = np.hypot(*np.moveaxis(in_box(run) - model, -1, 0)).mean()
            if off <= ALIKE and len(model) < len(template):
                found.append((-len(model), off, name, start))
    parts, taken = [], set()
    for negative, _, name, start in sorted(found):
        strokes = set(range(start, start - negative))
        if not strokes & taken:
            taken |= strokes
            parts.append((name, start, start - negative))
    return tuple(sorted(parts, key=lambda part: part[1]))


def stroke_ink(image: np.ndarray, ink: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Which stroke the ink of a picture is, by the nearest stroke of another picture of it.

    Args:
        image: the picture's ink, uint8 (h, w), 0 or 1.
        ink: the other picture's.
        masks: bool (S, h, w), the other picture's strokes.

    Returns:
        int (h, w): 0 to S - 1, and -1 where there is no ink.
    """
    boxes = [np.array(cv2.boundingRect(each), float) for each in (image, ink)]
    scale = boxes[0][2:] / boxes[1][2:]
    move = boxes[0][:2] - scale * boxes[1][:2]
    matrix = np.array([[scale[0], 0, move[0]], [0, scale[1], move[1]]])
    away = []
    for mask in masks:
        placed = cv2.warpAffine(mask.astype(np.uint8), matrix, image.shape[::-1])
        # A stroke that lies outside of the picture or has no pixel is far from everything.
        far = np.full(image.shape, 1e3, np.float32)
        away.append(cv2.distanceTransform(1 - placed, cv2.DIST_L2, 5) if placed.any() else far)
    return np.where(image > 0, np.argmin(away, axis=0), -1)
