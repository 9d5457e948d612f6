"""GB2312 level 1, the 3,755 characters that the networks of this course tell apart.

A *label* is the index of a character in level 1 order (啊 = 0 … 座 = 3754), which is pinyin order.
A *tag code* is the character's two GB2312 bytes as CASIA's `.gnt` files hold them
(啊 = `b"\\xb0\\xa1"`). Level 1 fills rows 16 to 55 of the 94 by 94 GB2312 table, and its last row
only up to column 89.
"""

#: The 3,755 characters in the order of their labels, a str.
LEVEL1: str = "".join(
    bytes((0xA0 + row, 0xA0 + column)).decode("gb2312")
    for row in range(16, 56)
    for column in range(1, 95 if row < 55 else 90)
)

_LABELS = {character: label for label, character in enumerate(LEVEL1)}

#: Groups that people and networks mix up, since a stroke's presence, length or reach tells them
#: apart. Written down by hand; a network's own confusions are another list, measured on its errors.
LOOK_ALIKES: tuple[str, ...] = (
    "己已巳", "土士", "未末", "大太犬", "日曰", "人入八", "干千于", "天夫失", "午牛", "刀力",
    "鸟乌", "末朱", "王玉主", "甲申由田", "木本", "戊戌戍", "折拆", "免兔", "住往", "侯候",
    "师帅", "辨辩瓣", "拔拨", "贫贪", "代伐", "今令", "仑仓", "历厉", "厂广",
    "井并", "尤龙", "勺匀", "勿匆", "毋母", "鸣呜", "晴睛", "暑署", "微徽", "遣遗", "固团",
    "摸模", "幻幼", "析折", "冶治", "鲍饱", "吗妈", "垄垒", "宁守", "寒塞", "宿缩", "寓寄",
    "庄压", "完宗", "抡抢", "沦沧", "狼狠", "粟栗", "崇祟", "竟竞", "亨享",
    "洒酒", "乒乓", "儿几", "开井", "无元",
    "白自", "目且", "贝见", "问间", "处外", "名各", "卖买", "北比", "万方", "为办",
)  # fmt: skip


def label_of(character: str) -> int:
    """The label (0 … 3754) of a level 1 character.

    Raises:
        ValueError: `character` is not a single character of GB2312 level 1.

    >>> label_of("啊"), label_of("座")
    (0, 3754)
    """
    try:
        return _LABELS[character]
    except (KeyError, TypeError):
        raise ValueError(
            "label_of needs one of the 3,755 characters of GB2312 level 1 (啊 … 座), "
            f"received {character!r}"
        ) from None


def tag_of(character: str) -> bytes:
    """The two GB2312 bytes of a character, in the order in which `.gnt` files store them.

    Raises:
        ValueError: `character` is not a single two-byte GB2312 character.

    >>> tag_of("啊").hex()
    'b0a1'
    """
    try:
        tag = character.encode("gb2312")
    except UnicodeEncodeError:
        tag = b""
    if len(character) != 1 or len(tag) != 2:
        raise ValueError(f"tag_of needs one two-byte GB2312 character, received {character!r}")
    return tag


def character_of(tag: bytes) -> str:
    """The character of a two-byte tag code: the inverse of `tag_of`.

    Raises:
        ValueError: the bytes are no GB2312 code.

    >>> character_of(b"\\xb0\\xa1")
    '啊'
    """
    try:
        character = tag.decode("gb2312")
    except UnicodeDecodeError:
        character = ""
    if len(tag) != 2 or len(character) != 1:
        raise ValueError(f"character_of needs two bytes of a GB2312 code, received {tag!r}")
    return character


def look_alikes(character: str) -> str:
    """The level 1 characters that are easily taken for `character`, `""` where none is known.

    >>> look_alikes("太")
    '大犬'
    """
    label_of(character)
    others = dict.fromkeys("".join(group for group in LOOK_ALIKES if character in group))
    return "".join(other for other in others if other != character)
