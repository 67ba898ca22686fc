"""What is known of the attributions of some runs."""

import attributed
import numpy as np
import pytest

from gradscope.analysis.scores import per_picture
from gradscope.attributions import Attributions, joined
from gradscope.config.attributions import DeepLiftShap, GradCam, GradientShap, IntegratedGradients
from gradscope.config.explaining import Explain, ImageSet, Outcome
from gradscope.exchange.attribution_report import markdown, text_table
from gradscope.overview import overview
from gradscope.records import Status
from gradscope.store import open_store, write

IG = IntegratedGradients().model_dump_json()


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "runs.db", create=True)
    for name in ("tanh-pn", "relu", "other"):
        write.create_run(store, name=name, source="train", config={}, status=Status.COMPLETED)
    yield store
    store.close()


def test_of_runs_that_nobody_asked_nothing_is_known(store):
    found = overview(store, [1, 2], Explain())
    assert (found.places, found.classes, found.maps) == ((), (), {})
    assert found.lacking() == {(1, IG): 0, (2, IG): 0}, "what they lack is not known, but they lack it"
    assert "no map of these pictures yet" in text_table(found)
    assert "No map was computed." in markdown(found)


def test_the_set_is_cut_out_of_what_is_there_and_the_rest_is_lacking(store):
    attributed.explain(store, 1)
    attributed.explain(store, 2, places=attributed.default_places(10))
    found = overview(store, [1, 2], Explain(images=ImageSet(n=12)))
    assert list(found.places) == attributed.default_places(12)
    assert found.maps[1, IG].places.tolist() == attributed.default_places(12), "in the order of the set"
    assert found.lacking() == {(2, IG): 2}
    assert found.lacking(checks=True) == {(1, IG): 12, (2, IG): 12}
    assert found.steps == {1: 10, 2: 10}
    assert found.seconds[IG] == pytest.approx(0.5)


def test_pictures_on_which_the_runs_disagree(store):
    answers = [attributed.answer(store, run).probabilities.argmax(1) for run in (1, 2)]
    attributed.explain(store, 1)
    attributed.explain(store, 2)
    found = overview(store, [1, 2], Explain(images=ImageSet(n=60, outcome=Outcome.DISAGREE)))
    assert sorted(found.places) == np.nonzero(answers[0] != answers[1])[0].tolist()


def test_a_run_of_other_pictures_does_not_stand_beside_the_others(store):
    attributed.explain(store, 1)
    attributed.explain(store, 2)
    attributed.answer(store, 2, data="another set")
    found = overview(store, [1, 2], Explain())
    assert found.other_pictures == (2,)
    assert list(found.maps) == [(1, IG)]
    assert found.lacking() == {}


def test_only_the_newest_checkpoint_is_shown(store):
    attributed.explain(store, 1, step=10, fingerprint="old", seconds=1)
    attributed.explain(store, 1, step=20, fingerprint="new", places=[3, 4])
    found = overview(store, [1], Explain())
    assert found.steps == {1: 20}
    assert set(found.maps[1, IG].places.tolist()) <= {3, 4}


def test_the_word_shap_is_refused_above_one_per_cent(store):
    exact, drawn = DeepLiftShap(), GradientShap()
    attributed.explain(store, 1, exact, missed=0.001)
    attributed.explain(store, 1, drawn, missed=0.05)
    attributed.explain(store, 2, exact, missed=0.02)
    names = [m.model_dump_json() for m in (exact, drawn)]
    wanted = Explain(methods=(exact, drawn))
    assert [overview(store, [1], wanted).titles[n] for n in names] == ["DeepLIFT-SHAP", "Expected gradients"]
    both = overview(store, [1, 2], wanted)
    assert both.titles[names[0]] == "DeepLIFT", "one column that is none spoils the word for its neighbour"
    assert both.gaps[2, names[0]] == pytest.approx(0.02, rel=0.05)


def test_scores_with_intervals_differences_and_agreement(store):
    for run in (1, 2):
        attributed.explain(store, run, checks=True)
    found = overview(store, [1, 2], Explain(images=ImageSet(n=20)))
    lines = found.summary.set_index(["run", "score"])
    expected = per_picture(found.maps[2, IG])["contour"]
    assert lines.loc[(2, "contour"), "mean"] == pytest.approx(expected.mean())
    assert lines.loc[(2, "contour"), "low"] < expected.mean() < lines.loc[(2, "contour"), "high"]
    assert lines.loc[(1, "deletion"), "mean"] == pytest.approx(0.2)
    assert lines.loc[(1, "margin"), "even"] == pytest.approx(1 - 144 / 256)
    difference = found.differences.set_index("score").loc["contour"]
    first = per_picture(found.maps[1, IG])["contour"]
    assert difference["mean"] == pytest.approx((expected - first).mean())
    assert (difference["run"], difference["against"], difference["n"]) == (2, 1, 20)
    assert found.agreement[["run", "other", "n"]].to_numpy().tolist() == [[1, 2, 20]]


def test_the_report_holds_settings_scores_and_refusals(store):
    for run in (1, 2):
        attributed.explain(store, run)
    attributed.refuse(store, 1, GradCam(), "Grad-CAM needs a convolution's feature map; choose another")
    found = overview(store, [1, 2], Explain(methods=(IntegratedGradients(), GradCam())))
    text = markdown(found)
    for part in (
        "24 test pictures (set of 24, seed 0, outcome any)",
        "- run 1, `tanh-pn`: 10 steps",
        IG,
        "| Integrated gradients | 2 relu | 0.",
        "2 relu less 1 tanh-pn",
        "- run 1: Grad-CAM needs a convolution's feature map; choose another",
        "A map of one value everywhere would score on contours 0.",
    ):
        assert part in text, part
    assert "Integrated gradients" in text_table(found)


def test_maps_of_a_network_whose_gradient_vanished_survive_the_file(store, tmp_path):
    attributed.explain(store, 1)
    whole = overview(store, [1], Explain()).maps[1, IG]
    faint = {**{f: getattr(whole, f) for f in whole.__dataclass_fields__}, "maps": whole.maps * 1e-30}
    faint["maps"][0] = 0
    Attributions(**faint).save(tmp_path / "faint.npz")
    found = Attributions.load(tmp_path / "faint.npz")
    assert np.allclose(found.maps / 1e-30, faint["maps"] / 1e-30, atol=0.01)
    assert not found.maps[0].any()
    assert (tmp_path / "faint.npz").stat().st_size / len(found) < 5000
    assert len(joined([found, found])) == 48
