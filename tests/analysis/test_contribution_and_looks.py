import numpy as np
import pytest
from scipy.stats import spearmanr

from gradscope.analysis.agreement import rank_correlation
from gradscope.analysis.completeness import completeness_error, pooled_error
from gradscope.analysis.contribution import contribution
from gradscope.analysis.intervals import bootstrap, paired
from gradscope.analysis.looks import Regions, edges, even, margin, regions, shares, sobel


def square_picture(side: int = 16, n: int = 1) -> np.ndarray:
    """A white square on black, with its upper left corner at (4, 4) and 8 pixels wide."""
    images = np.zeros((n, 3, side, side), np.uint8)
    images[:, :, 4:12, 4:12] = 255
    return images


def square_masks(side: int = 16, n: int = 1) -> tuple[np.ndarray, np.ndarray]:
    whole = np.zeros((n, side, side), bool)
    whole[:, 4:12, 4:12] = True
    contour = whole.copy()
    contour[:, 5:11, 5:11] = False
    return whole, contour


def map_of(mask: np.ndarray) -> np.ndarray:
    return np.repeat(mask[:, None].astype(np.float32), 3, axis=1)


def test_the_four_panels_of_the_paper():
    one = np.zeros((3, 2, 2))
    one[:, 0, 0] = [5.0, -10.0, 2.9]
    one[:, 1, 1] = [3.0, 0.0, 0.0]
    panels = contribution(one, threshold=0.3)
    assert panels.scaled[:, 0, 0].tolist() == [0.5, 1.0, 0.29]
    assert panels.kept[:, 0, 0].tolist() == [0.5, 1.0, 0.0], "under the threshold"
    assert panels.kept[:, 1, 1].tolist() == [0.3, 0.0, 0.0], "at the threshold"
    assert panels.grey.tolist() == [[0.5, 0.0], [0.0, pytest.approx(0.1)]]
    assert panels.binary.tolist() == [[True, False], [False, True]]


def test_a_higher_threshold_keeps_fewer_pixels():
    one = np.random.default_rng(0).normal(size=(3, 8, 8))
    kept = [contribution(one, t).binary.sum() for t in (0.0, 0.3, 0.6, 1.0)]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] == 64
    assert kept[-1] == 1


def test_a_map_of_nothing_is_black_in_every_panel():
    panels = contribution(np.zeros((3, 4, 4)))
    assert not any(getattr(panels, name).any() for name in ("scaled", "kept", "grey", "binary"))


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_a_threshold_that_cannot_be_is_refused(threshold):
    with pytest.raises(ValueError, match=r"outside 0\.\.1; the paper takes 0\.3"):
        contribution(np.zeros((1, 2, 2)), threshold)


def test_the_edges_of_a_square_are_around_its_sides():
    found = edges(square_picture(), share=0.4)[0]
    whole, contour = (m[0] for m in square_masks())
    assert found[contour].all()
    assert not found[6:10, 6:10].any()
    assert not found[:3].any()
    outside = found & ~whole
    assert set(zip(*np.nonzero(outside), strict=True)) <= {(i, j) for i in range(3, 13) for j in range(3, 13)}


def test_colours_of_one_brightness_have_an_edge_and_a_flat_picture_has_none():
    images = np.zeros((2, 3, 8, 8), np.uint8)
    images[0, 0, :, :4] = 200
    images[0, 1, :, 4:] = 200
    images[1] = 77
    assert edges(images)[0, :, 3:5].all()
    assert not edges(images)[1].any()


def test_sobel_is_a_convolution_with_the_two_kernels():
    from scipy.ndimage import sobel as reference

    image = np.random.default_rng(0).integers(0, 256, (1, 2, 6, 7), dtype=np.uint8)
    for found, channel in zip(sobel(image)[0], image[0].astype(float), strict=True):
        assert np.allclose(found, np.hypot(*(reference(channel, axis=axis, mode="nearest") for axis in (0, 1))))


def test_the_margin_is_four_pixels_of_thirty_two_and_one_of_eight():
    assert not margin(1, 32, 32)[0, 4:28, 4:28].any()
    assert margin(1, 32, 32)[0, :4].all()
    assert margin(1, 8, 8)[0].sum() == 64 - 36


def test_all_mass_on_the_contour_scores_one_there_and_nothing_elsewhere():
    whole, contour = square_masks()
    where = regions(square_picture(), whole, contour)
    on_contour = shares(map_of(contour), where)
    inside = shares(map_of(whole & ~contour), where)
    assert {k: float(v[0]) for k, v in on_contour.items() if k in {"contour", "interior", "margin"}} == {
        "contour": 1.0,
        "interior": 0.0,
        "margin": 0.0,
    }
    assert (inside["contour"][0], inside["interior"][0]) == (0.0, 1.0)
    assert (on_contour["pointing"][0], inside["pointing"][0]) == (1.0, 1.0)
    assert shares(map_of(whole), where)["iou"][0] == 1.0


def test_an_even_map_scores_the_area():
    where = regions(square_picture(), *square_masks())
    found = shares(np.ones((1, 3, 16, 16)), where)
    assert {k: pytest.approx(float(found[k][0])) for k in even(where)} == even(where)
    assert even(where)["contour"] == 28 / 256


def test_evidence_against_the_class_counts_as_mass_but_is_not_pointed_at():
    whole, contour = square_masks()
    where = regions(square_picture(), whole, contour)
    against = -5 * map_of(contour)
    against[:, :, 0, 0] = 1
    found = shares(against, where)
    assert found["contour"][0] == pytest.approx(140 / 141)
    assert found["pointing"][0] == 0


def test_colours_have_their_shares_and_a_map_without_colours_has_none():
    maps = np.zeros((1, 3, 16, 16))
    maps[:, 0], maps[:, 2] = 1, -3
    where = regions(square_picture())
    found = shares(maps, where)
    assert [float(found[c][0]) for c in ("red", "green", "blue")] == [0.25, 0.0, 0.75]
    assert "red" not in shares(maps[:, :1], where)
    assert "pointing" not in found, "nobody knows the object of a photograph"


def test_a_map_without_mass_has_no_score():
    whole, contour = square_masks()
    found = shares(np.zeros((1, 3, 16, 16)), regions(square_picture(), whole, contour))
    assert all(np.isnan(v[0]) for v in found.values())


def test_overlap_is_intersection_over_union():
    whole, contour = square_masks()
    shifted = np.roll(whole, 4, axis=2)
    found = shares(map_of(shifted), Regions(contour=contour, interior=whole & ~contour, margin=contour, object=whole))
    assert found["iou"][0] == pytest.approx(32 / 96)


def test_rank_correlation_is_spearmans():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(4, 3, 6, 6)), random.normal(size=(4, 1, 6, 6))
    second[0] = np.round(second[0])  # ties
    second[1] = np.exp(first[1].sum(0))
    found = rank_correlation(first, second)
    expected = [spearmanr(a.sum(0).ravel(), b.sum(0).ravel()).statistic for a, b in zip(first, second, strict=True)]
    assert found.tolist() == pytest.approx(expected)
    assert found[1] == pytest.approx(1)
    assert np.isnan(rank_correlation(np.zeros((1, 1, 2, 2)), first[:1, :, :2, :2])[0])


def test_the_bootstrap_interval_holds_the_mean_of_the_population_nineteen_times_of_twenty():
    random = np.random.default_rng(1)
    found = [bootstrap(random.exponential(size=60)) for _ in range(200)]
    held = sum(i.low <= 1 <= i.high for i in found)
    assert 176 <= held <= 200
    widths = [
        np.mean([i.high - i.low for i in (bootstrap(random.normal(size=n)) for _ in range(20))]) for n in (25, 400)
    ]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.2)


def test_values_that_are_not_finite_are_left_out_and_counted():
    found = bootstrap(np.array([1.0, np.nan, 3.0, np.inf]))
    assert (found.mean, found.n) == (2.0, 2)
    assert np.isnan(bootstrap(np.array([np.nan])).mean)


def test_a_paired_difference_is_surer_than_two_means():
    random = np.random.default_rng(2)
    picture = random.normal(size=50)
    first, second = picture, picture + 0.2 + 0.01 * random.normal(size=50)
    difference, one = paired(first, second), bootstrap(first)
    assert difference.low > 0.19
    assert one.high - one.low > 10 * (difference.high - difference.low)


def test_completeness_is_relative_to_the_difference_but_not_to_rounding():
    totals, differences = np.array([1.1, 1.0, 3e-6, 0.0]), np.array([1.0, np.nan, 1e-6, 0.0])
    found = completeness_error(totals, differences, np.array([5.0, 5.0, 1.0, 0.0]))
    assert found.tolist() == pytest.approx([0.1, np.nan, 0.002, np.nan], nan_ok=True)


def test_the_pooled_error_is_not_that_of_one_small_difference():
    totals, differences = np.array([2.0, 0.11]), np.array([2.0, 0.01])
    assert completeness_error(totals, differences, np.ones(2)).max() == pytest.approx(10)
    assert pooled_error(totals, differences, np.ones(2)) == pytest.approx(0.05, rel=0.01)
    assert pooled_error(totals, np.full(2, np.nan), np.ones(2)) is None
