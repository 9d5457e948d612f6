"""Stroke templates, and what is derived from them: the pen's path and the tree of components."""

import numpy as np
import pytest

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets.components import JOIN_POINTS, stroke_plan
from hccr_lib.datasets.running import FORMS, running_strokes
from hccr_lib.datasets.strokes import stroke_template

# As a primary school's dictionary counts them.
STROKE_COUNTS = {
    "一": 1, "乙": 1, "人": 2, "大": 3, "己": 3, "小": 3, "太": 4, "日": 4, "永": 5, "未": 5,
    "吗": 6, "我": 7, "国": 8, "海": 10, "鲍": 13, "鼻": 14, "赢": 17,
}  # fmt: skip
SOME = "一乙人十大永海吗鲍国赢"


def direction(stroke):
    """(x, y) from where a stroke begins to where it ends."""
    return stroke[-1] - stroke[0]


def test_all_characters_have_strokes_in_the_unit_square():
    templates = [stroke_template(character) for character in LEVEL1]
    assert sum(len(template) for template in templates) == 36_670
    strokes = [stroke for template in templates for stroke in template]
    assert sum(len(stroke) for stroke in strokes) == 212_886
    for stroke in strokes:
        assert stroke.dtype == np.float32
        assert stroke.ndim == 2 and stroke.shape[1] == 2 and len(stroke) >= 2
        assert (np.hypot(*np.diff(stroke, axis=0).T) > 0).all()
    points = np.concatenate(strokes)
    assert points.min() >= 0 and points.max() <= 1


@pytest.mark.parametrize(("character", "count"), STROKE_COUNTS.items())
def test_stroke_counts_are_those_of_a_dictionary(character, count):
    assert len(stroke_template(character)) == count


def test_horizontals_go_right_and_come_from_the_top_down():
    """So x is to the right, y downwards, and the strokes stand in writing order."""
    for character in "二三":
        template = stroke_template(character)
        for stroke in template:
            x, y = direction(stroke)
            assert x > 3 * abs(y)
        heights = [stroke[:, 1].mean() for stroke in template]
        assert heights == sorted(heights)


def test_a_cross_begins_with_its_horizontal():
    horizontal, vertical = stroke_template("十")
    assert direction(horizontal)[0] > 3 * abs(direction(horizontal)[1])
    assert direction(vertical)[1] > 3 * abs(direction(vertical)[0])


@pytest.mark.parametrize("character", "川州洲")
def test_verticals_side_by_side_are_written_from_left_to_right(character):
    tall = [s for s in stroke_template(character) if direction(s)[1] > 0.4]
    across = [stroke[:, 0].mean() for stroke in tall]
    assert len(across) >= 3
    assert across == sorted(across)


def test_templates_cannot_be_written_over():
    template = stroke_template("大")
    with pytest.raises(ValueError, match="read-only"):
        template[0][0] = 0
    template.clear()
    assert len(stroke_template("大")) == 3


def test_a_character_outside_level_1_is_named():
    with pytest.raises(ValueError, match="龘"):
        stroke_template("龘")
    with pytest.raises(ValueError, match="龘"):
        stroke_plan("龘")


@pytest.mark.parametrize("character", SOME)
def test_the_path_visits_every_stroke_from_its_beginning_to_its_end(character):
    template, plan = stroke_template(character), stroke_plan(character)
    assert plan.strokes == len(template)
    joins = JOIN_POINTS * (len(template) - 1)
    assert plan.on_join.sum() == joins
    assert len(plan.points) == sum(plan.last - plan.first + 1) + joins
    for index, stroke in enumerate(template):
        first, last = plan.first[index], plan.last[index]
        np.testing.assert_allclose(plan.points[first], stroke[0], atol=1e-6)
        np.testing.assert_allclose(plan.points[last], stroke[-1], atol=1e-6)
        assert (plan.stroke_of[first : last + 1] == index).all()
        along = plan.along[first : last + 1]
        assert (along[0], along[-1]) == (0, 1) and (np.diff(along) > 0).all()
        length = np.hypot(*np.diff(stroke, axis=0).T).sum()
        np.testing.assert_allclose(plan.length[index], length, rtol=1e-5)
        if plan.hook[index] >= 0:
            assert first < plan.hook[index] < last


def test_hooks_are_found_where_there_are_some_and_nowhere_else():
    assert (stroke_plan("小").hook >= 0).tolist() == [True, False, False]
    assert (stroke_plan("三").hook >= 0).tolist() == [False] * 3
    assert (stroke_plan("丁").hook >= 0).tolist() == [False, True]


def test_components_are_a_tree_of_consecutive_strokes():
    for character in LEVEL1:
        plan = stroke_plan(character)
        node_of = plan.node_of
        single = node_of[:, -plan.strokes :]
        np.testing.assert_array_equal(single, np.eye(plan.strokes))
        runs = [np.flatnonzero(node) for node in node_of.T]
        assert all(run[-1] - run[0] + 1 == len(run) for run in runs)
        # In a tree two nodes have nothing in common, or one is part of the other.
        shared = node_of.T @ node_of
        sizes = node_of.sum(axis=0)
        assert (sizes > 0).all() and (sizes[: -plan.strokes] > 1).all()
        smaller = np.minimum(sizes[:, None], sizes[None])
        assert ((shared == 0) | (shared == smaller)).all()


@pytest.mark.parametrize(
    ("character", "run"), [("海", range(3)), ("鲍", range(8)), ("语", range(2))]
)
def test_the_radical_on_the_left_is_a_component(character, run):
    """氵, 鱼, 讠: people move and stretch them as one."""
    nodes = [np.flatnonzero(node).tolist() for node in stroke_plan(character).node_of.T]
    assert list(run) in nodes


def test_running_hand_forms_keep_every_stroke_in_its_place():
    """Only known components are redrawn; each is a run of strokes, and stays in its square."""
    redrawn = 0
    for character in LEVEL1:
        template = stroke_template(character)
        strokes, form_of = running_strokes(template)
        assert len(strokes) == len(form_of) == len(template)
        for taught, written, form in zip(template, strokes, form_of, strict=True):
            if form < 0:
                np.testing.assert_array_equal(written, taught)
            else:
                redrawn += 1
                assert len(written) >= 2 and np.isfinite(written).all()
                assert written.min() > -0.5 and written.max() < 1.5
        forms = form_of[form_of >= 0]
        assert set(forms.tolist()) == set(range(len(set(forms.tolist()))))
        assert all(np.ptp(np.flatnonzero(form_of == f)) + 1 == (form_of == f).sum() for f in forms)
    assert redrawn > 100


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.character)
def test_a_running_hand_form_is_found_in_its_own_model(form):
    """And where it is found, its first stroke begins near where the taught one does."""
    template = stroke_template(form.character)
    strokes, form_of = running_strokes(template, [form])
    run = slice(form.start, form.start + len(form.strokes))
    assert (form_of[run] == 0).all() and (np.delete(form_of, np.r_[run]) == -1).all()
    for taught, written in zip(template[run], strokes[run], strict=True):
        assert np.hypot(*(taught[0] - written[0])) < 0.25


@pytest.mark.parametrize(
    ("character", "bars", "others"),
    [("王", [0, 1], [2, 3]), ("大", [0, 2], [1]), ("小", [], [0, 1])],
)
def test_bars_are_the_strokes_to_the_right_above_the_foot(character, bars, others):
    """Of 王 the two upper horizontals: an upright is none, and the lowest one is the foot."""
    bar = stroke_plan(character).bar
    assert (bar[bars] > 0.8).all() and (bar[others] < 0.2).all()
    assert ((bar >= 0) & (bar <= 1)).all()
