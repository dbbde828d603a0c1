"""Ours against TRAK on the first pages: the table and the picture have the numbers of the committed results."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib.chapters import versus
from lib.data import RESULTS
from lib.profiles import PROFILES
from lib.report import stats


def test_the_table_has_the_numbers_of_figure_3():
    claims = pd.read_csv(RESULTS / "fashion" / "fig03" / "claims.csv")
    [row] = claims.query("kind == 'removal' and worse == 'trak:20'").to_dict("records")
    interval = f"{row['difference']:.2f} [{row['low']:.2f}, {row['high']:.2f}], n = {row['n']}"
    assert f"| Fashion-MNIST, each target alone, TRAK (20) | {interval} | – |" in versus.table()


def test_a_setting_of_the_ridge_is_that_of_its_page_and_judged_by_p():
    rows = pd.read_csv(RESULTS / "fashion" / "ridge" / "rows.csv").set_index(["share", "damping"])
    for share, damping in ((0.41, 1.0), (0.41, 0.0), (0.9, 0.0)):
        pair, row = versus.swept("fashion", damping, share), rows.loc[(share, damping)]
        assert (pair["difference"], pair["n"]) == (pytest.approx(row["against_removal"], abs=1e-5), row["n"])
        assert (pair["verdict"] == "undecided") == (pair["p"] > stats.LEVEL)


def test_what_defaults_move_is_the_difference_of_both_traks():
    profile = PROFILES["cifar10_full"]
    alone = pd.read_csv(RESULTS / profile.name / "fig03" / "separate.csv")
    sizes = stats.sizes(alone).clip(upper=profile.k_max) / profile.k_max
    ours, here, there = sizes["moco_esvm"], sizes["trak:10"], sizes["trak_undamped:10:all"]
    moved = stats.paired(alone, "removal", "trak:10", "trak_undamped:10:all", profile.k_max)
    assert moved["difference"] == pytest.approx((there - ours).mean() - (here - ours).mean())
    for value in ((here - ours).mean(), (there - ours).mean(), moved["difference"]):
        assert f" {value:.2f} [" in versus.defaults()
    assert f"p = {moved['p']:.2g}, n = {len(sizes)})" in versus.defaults()


def test_the_picture_has_a_point_for_each_comparison():
    figure, rows = versus.figure(), versus.comparisons()
    (axis,) = figure.axes
    for i, points in enumerate(axis.collections[1::2]):  # of each, bars come first
        measured = [pair[i]["difference"] for _, *pair in rows if pair[i] is not None]
        assert points.get_offsets()[:, 0].tolist() == measured and points.get_label() == versus.HEADS[i]
    names = [tick.get_text() for tick in axis.get_yticklabels()]
    assert names[0] == f"{rows[0][0]}, n = {rows[0][1]['n']}" and len(names) == len(rows)
    plt.close(figure)
