"""Figures: what they show, what they say in words, and that their bytes are the same everywhere."""

import re
from xml.etree import ElementTree

import matplotlib
import msgspec
import pytest
from sites import HOSTILE

from converters.errors import BenchError
from leaderboards.site import figures, logs
from leaderboards.site.curves import learning, speed
from leaderboards.site.efficiency import budgets, percent, shares
from leaderboards.site.logs import Line
from leaderboards.site.plots import Column, boxes, metric, ranks
from leaderboards.standing import Standing
from leaderboards.table import groups

DICE, HD95 = "dice:v1", "hd95:c6-bg-max:v1"


@pytest.fixture
def grouped(make, score):
    """Makes the groups of runs: `grouped(alpha=[8, 7])` is one run of alpha with one patient per number of hits."""

    def made(protocol="full", machine="Some CPU", seeds=(0,), **methods):
        records = [
            make(
                tuple(score(f"p{n}", tp=hit - seed) for n, hit in enumerate(hits)),
                method=method,
                protocol=protocol,
                seed=seed,
                machine={"cpu": machine},
            )
            for method, hits in methods.items()
            for seed in seeds
        ]
        return groups(records)[0]

    return made


def standing(rank, low, high):
    return Standing(rank=rank, low=low, high=high, first=0.5, rank_then_mean=1.0, tied=(), beats=(), verdict="")


def test_a_box_plot_has_a_panel_per_label_and_a_point_per_case(make, score):
    cases = tuple(score(f"p{n}", label, tp=n) for n in range(1, 8) for label in ("liver", "spleen"))
    drawn = boxes(groups([make(cases)])[0], DICE)
    axes = [axis for axis in drawn.figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in axes] == ["liver", "spleen"]
    points = axes[0].collections[0].get_offsets()
    assert [round(x, 6) for x in points[:, 0]] == [n / 10 for n in range(1, 8)]
    assert "supervised, liver: median 0.4 of 7 cases" in drawn.alt


def test_hundreds_of_labels_do_not_make_hundreds_of_panels(make, score):
    drawn = boxes(groups([make(tuple(score("p1", f"organ {i}") for i in range(300)))])[0], DICE)
    assert len(drawn.figure.axes) == 24 and "the first 24 of 300 labels" in drawn.alt


def test_repeats_of_a_case_are_one_point(grouped):
    drawn = boxes(grouped(seeds=(0, 1, 2), alpha=[8, 6]), DICE)
    assert [round(x, 6) for x in drawn.figure.axes[0].collections[0].get_offsets()[:, 0]] == [0.5, 0.7]


def test_a_failed_case_is_crossed_and_counts_as_the_worst(make, score):
    cases = (score("p1", tp=8), score("p2", status="missed"), score("p3", status="both_empty"))
    points, crosses = boxes(groups([make(cases)])[0], DICE).figure.axes[0].collections
    assert sorted(points.get_offsets()[:, 0]) == [0.0, 0.8]
    assert list(crosses.get_offsets()[:, 0]) == [0.0]


def test_where_nothing_has_a_value_nothing_is_drawn(make, score):
    assert boxes(groups([make((score(status="both_empty"),))])[0], DICE) is None
    assert ranks([Column("acdc", {})], "rank") is None
    assert learning(()) is None


def test_ranks_have_a_panel_per_dataset_and_leave_gaps(grouped):
    columns = [
        Column("acdc", {"alpha": standing(1, 1, 2), "beta": standing(2, 1, 2)}),
        Column("chaos", {"beta": standing(1, 1, 1)}),
        Column("empty", {}),
    ]
    drawn = ranks(columns, "rank by Dice")
    left, right = drawn.figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["alpha", "beta"]
    assert [list(line.get_xdata()) for line in left.lines] == [[1, 2], [1], [1, 2], [2]]
    assert [list(line.get_ydata()) for line in right.lines] == [[1, 1], [1]]
    assert "acdc: beta 2 [1 to 2]" in drawn.alt


@pytest.mark.parametrize(
    ("protocol", "share"),
    [("full", 100), ("semi10", 10), ("semi5", 5), ("scribble", None), ("semi", None), ("semi0", None)],
)
def test_the_share_of_labels_is_read_from_the_protocol(protocol, share):
    assert percent(protocol) == share


def test_label_efficiency_needs_two_shares(grouped):
    full, semi, scribble = (
        grouped(protocol, seeds=(0, 2), alpha=[8, 8]) for protocol in ("full", "semi10", "scribble")
    )
    assert shares(full, DICE) is None
    assert shares([*full, *scribble], DICE) is None
    axis = shares([*full, *semi, *scribble], DICE).figure.axes[0]
    curve, line = axis.lines
    assert list(curve.get_xdata()) == [10, 100] and list(curve.get_ydata()) == pytest.approx([0.7, 0.7])
    assert line.get_ydata()[0] == pytest.approx(0.7) and axis.get_xscale() == "log"
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.6, 0.8))


@pytest.fixture
def budgeted(make, score):
    """Makes the groups of one run each: (protocol, method, minutes, hits of ten), and what else a record says."""

    def made(*runs, **fields):
        records = []
        for protocol, method, minutes, hits in runs:
            found = make((score(tp=hits),), protocol=protocol, method=method, **fields)
            records.append(
                msgspec.structs.replace(found, budget=msgspec.structs.replace(found.budget, minutes=minutes))
            )
        return groups(records)[0]

    return made


def test_budgets_of_all_kinds_of_labels_share_an_axis_but_no_line(budgeted):
    runs = (
        *(("semi10", "supervised", 480, 6), ("full", "supervised", 4800, 9)),
        *(("scribble2", "supervised", 300, 5), ("scribble", "supervised", 600, 7)),
        ("semi10", "cps", 480, 8),
    )
    axis = budgets(budgeted(*runs), DICE).figure.axes[0]
    found = {line.get_label(): list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in axis.lines}
    assert {name: [(x, round(y, 6)) for x, y in points] for name, points in found.items()} == {
        "supervised, scribble: dense": [(5.0, 0.5), (10.0, 0.7)],
        "supervised, subjects: dense": [(8.0, 0.6), (80.0, 0.9)],
    }
    (lone,) = [each for each in axis.collections if each.get_label() == "methods with one budget"]
    assert lone.get_offsets().tolist() == [[8.0, pytest.approx(0.8)]]
    assert [text.get_text() for text in axis.texts] == ["cps"]
    assert axis.get_xscale() == "log"


def test_a_budget_nobody_counted_is_not_drawn_and_one_budget_is_no_curve(budgeted):
    assert budgets(budgeted(("semi10", "supervised", None, 6), ("full", "supervised", 4800, 9)), DICE) is None
    one = budgeted(("semi10", "supervised", 480, 6), ("scribble", "supervised", 600, 7), ("semi10", "cps", 480, 6))
    assert budgets(one, DICE) is None


def test_points_are_of_a_preset_and_network_that_a_line_is_of(budgeted):
    line = budgeted(("semi10", "supervised", 480, 6), ("full", "supervised", 4800, 9), recipe={"preset": "quick"})
    same = budgeted(("semi10", "cps", 480, 7), recipe={"preset": "quick"})
    longer = budgeted(("semi10", "supervised", 480, 8), ("semi10", "cps", 480, 8), recipe={"preset": "cpu"})
    recipe = {"preset": "quick", "train": {"net": {"arch": "dynunet"}}}
    larger = budgeted(("full", "supervised", 4800, 8), recipe=recipe)
    axis = budgets([*line, *same, *longer, *larger], DICE).figure.axes[0]
    assert [each.get_label() for each in axis.lines] == ["supervised, subjects: dense"]
    assert [text.get_text() for text in axis.texts] == ["cps"]
    assert axis.collections[0].get_offsets().tolist() == [[8.0, pytest.approx(0.7)]]


def test_expert_and_simulated_scribbles_are_two_lines(budgeted):
    runs = [("scribble2", "supervised", 300, 5), ("scribble", "supervised", 600, 7)]
    drawn = budgets([*budgeted(*runs, annotator="expert"), *budgeted(*runs, annotator="simulated")], DICE)
    assert [line.get_label() for line in drawn.figure.axes[0].lines] == [
        "supervised, scribble: expert",
        "supervised, scribble: simulated",
    ]


def test_a_published_list_and_draws_by_hash_are_two_lines_and_all_subjects_stand_on_both(budgeted):
    listed = budgeted(("semi10", "supervised", 480, 6), ("full", "supervised", 4800, 9), draw="ssl4mis")
    hashed = budgeted(("semi5", "supervised", 240, 4), ("semi10", "supervised", 500, 5), draw="0")
    axis = budgets([*listed, *hashed], DICE).figure.axes[0]
    assert {line.get_label(): list(line.get_xdata()) for line in axis.lines} == {
        "supervised, subjects: dense (by hash)": [4.0, pytest.approx(500 / 60), 80.0],
        "supervised, subjects: dense (ssl4mis)": [8.0, 80.0],
    }
    labels = [line.get_label() for line in shares([*listed, *hashed], DICE).figure.axes[0].lines]
    assert labels[:2] == ["supervised (by hash)", "supervised (ssl4mis)"]


def test_a_figure_of_budgets_says_every_point(budgeted):
    runs = [(f"semi{share}", f"method {n}", 60 * share, n) for n in range(1, 9) for share in (5, 10)]
    said = budgets(budgeted(*runs), DICE).alt
    assert said.count(" h: ") == 16 and "method 8, subjects: dense, 10 h: 0.800" in said


def test_two_machines_never_share_a_figure_of_speed(grouped):
    drawn = speed([*grouped(alpha=[8]), *grouped(machine="Other CPU", beta=[7])], DICE)
    assert [machine.split(" CPU")[0] for machine in drawn] == ["Other", "Some"]
    assert [len(figure.figure.axes[0].collections) for figure in drawn.values()] == [1, 1]
    assert "alpha" in drawn["Some CPU, ? cores"].alt and "beta" not in drawn["Some CPU, ? cores"].alt


def test_a_run_that_predicted_nothing_has_no_speed(make, score):
    idle = make((score(),))
    idle = msgspec.structs.replace(idle, predict=msgspec.structs.replace(idle.predict, items=0))
    assert speed(groups([idle])[0], DICE) == {}


@pytest.mark.parametrize("name", ["_hidden", ""])
def test_a_legend_names_every_method(grouped, name):
    (drawn,) = speed(grouped(**{name: [8], "other": [7]}), DICE).values()
    assert sorted(text.get_text().strip() for text in drawn.figure.axes[0].get_legend().get_texts()) == sorted(
        [name, "other"]
    )


def test_every_loss_term_has_a_panel(grouped):
    log = tuple(Line(step, {"ce": 1.0 / (step + 1), "consistency": 0.0}) for step in range(5))
    drawn = learning(log)
    assert [axis.get_title() for axis in drawn.figure.axes] == ["ce", "consistency"]
    assert list(drawn.figure.axes[0].lines[0].get_ydata()) == pytest.approx([1 / (n + 1) for n in range(5)])


def test_the_bytes_are_the_same_whatever_matplotlib_was_told(grouped):
    made = [figures.save(boxes(grouped(alpha=[8, 7], beta=[6, 5]), DICE), "title")]
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": "other", "axes.facecolor": "red"}):
        made.append(figures.save(boxes(grouped(alpha=[8, 7], beta=[6, 5]), DICE), "title"))
        assert matplotlib.rcParams["font.size"] == 30
    assert made[0] == made[1]
    assert b"<dc:date>" not in made[0].svg and b"Matplotlib v" not in made[0].svg and b"Software" not in made[0].png


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_name_is_drawn_as_it_is(make, score, name):
    drawn = boxes(groups([make((score("p1", name), score("p2", name)), method=name)])[0], DICE)
    made = figures.save(drawn, name)
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(made.svg).iter()}
    assert "script" not in tags and "img" not in tags
    shown = drawn.figure.axes[0].get_title()
    assert shown.isprintable() and len(shown) <= figures.LONGEST and shown[:5] == figures.named(name)[:5]


def test_metrics_are_named_with_their_unit():
    assert [metric(d) for d in (DICE, HD95, "nsd@2mm:c6-bg-pooled:v1", "ravd:v1")] == [
        "Dice",
        "HD95 (mm)",
        "NSD@2mm",
        "RAVD (%)",
    ]


def test_a_log_is_read_and_what_is_no_number_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step":0,"ce":0.5,"dice":null}\n{"step":10,"ce":1e999}\n')
    with pytest.raises(BenchError, match="line 2"):
        logs.read(path)
    path.write_text('{"step":0,"ce":0.5,"dice":null}\n{"step":10,"ce":0.25,"dice":1e308}\n')
    assert logs.read(path) == (Line(0, {"ce": 0.5}), Line(10, {"ce": 0.25}))


@pytest.mark.parametrize(
    "line", ["{", '{"ce":1}', '{"step":"a","ce":1}', "[1]", '{"step":1,"ce":"<script>"}', '{"step":1e300}', "\\xff"]
)
def test_a_line_that_is_no_line_of_a_log_is_named(tmp_path, line):
    path = tmp_path / "log.jsonl"
    path.write_text(f'{{"step":0,"ce":0.5}}\n{line}\n')
    with pytest.raises(BenchError, match=re.escape("line 2")):
        logs.read(path)


@pytest.mark.parametrize("ends", [(7.8, 80.0), (0.02, 0.045), (1.0, 3000.0)])
def test_a_logarithmic_axis_has_plain_numbers(ends):
    figure, (axis,) = figures.panels((1, 1), (4, 3))
    axis.plot(ends, (0, 1))
    figures.log_scale(axis)
    axis.set_xlim(*ends)
    figure.canvas.draw()
    told = [label.get_text() for which in ("major", "minor") for label in axis.get_xticklabels(which=which)]
    shown = [float(text) for text in told if text]
    assert any(ends[0] <= number <= ends[1] for number in shown)
