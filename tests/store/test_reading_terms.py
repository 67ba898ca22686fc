"""Gradients by cause, as they are read back."""

import math

import gradscope
from gradscope.records import Batch, TermCosine, TermGradient
from gradscope.store import read_terms, write


def of(step, layer, term, share, rms=1.0):
    return TermGradient(step=step, layer=layer, term=term, share=share, rms=rms)


def test_shares_of_each_run_at_its_step_nearest_below(store, new_run):
    a, b, plain = new_run(layers=2), new_run(layers=1), new_run(layers=1)
    rows = [of(s, n, t, share + s) for s in (0, 10) for n in (0, 1) for t, share in (("label", 0.75), ("hint", 0.25))]
    write.append(store, a, Batch(term_gradients=tuple(rows)))
    write.append(store, b, Batch(term_gradients=(of(4, 0, "label", None),)))
    frame = read_terms.term_gradients(store, [a, b, plain], step=7)
    assert list(frame.columns) == ["run", "step", "layer", "name", "depth", "term", "share", "rms"]
    assert frame[["run", "step", "name", "depth", "term", "share"]].values.tolist()[:4] == [
        [a, 0, "fc0", 0.0, "hint", 0.25],
        [a, 0, "fc0", 0.0, "label", 0.75],
        [a, 0, "fc1", 1.0, "hint", 0.25],
        [a, 0, "fc1", 1.0, "label", 0.75],
    ]
    assert math.isnan(frame["share"][4])
    assert set(read_terms.term_gradients(store, [a])["step"]) == {10}
    assert read_terms.term_gradients(store, [plain]).empty
    assert list(read_terms.term_gradients(store, []).columns) == list(frame.columns)


def test_cosines_of_the_same_step(store, new_run):
    run_id = new_run(layers=1)
    for step, cosine in ((0, 0.5), (10, None)):
        rows = (of(step, 0, "label", 1.0), of(step, 0, "hint", 0.0))
        between = (TermCosine(step=step, layer=0, term="label", other="hint", cosine=cosine),)
        write.append(store, run_id, Batch(term_gradients=rows, term_cosines=between))
    frame = read_terms.term_cosines(store, [run_id], step=3)
    assert list(frame.columns) == ["run", "step", "layer", "name", "depth", "term", "other", "cosine"]
    assert frame[["step", "name", "term", "other", "cosine"]].values.tolist() == [[0, "fc0", "label", "hint", 0.5]]
    assert math.isnan(read_terms.term_cosines(store, [run_id])["cosine"][0])


def test_a_long_run_is_thinned_and_a_notebook_gets_it_whole(store, new_run):
    run_id = new_run(layers=1)
    rows = tuple(of(step, 0, term, 0.5) for step in range(9) for term in ("a", "b"))
    between = tuple(TermCosine(step=step, layer=0, term="a", other="b", cosine=0.0) for step in range(9))
    write.append(store, run_id, Batch(term_gradients=rows, term_cosines=between))
    assert sorted(set(read_terms.term_series(store, run_id, max_steps=3)["step"])) == [0, 4, 8]
    assert read_terms.cosine_series(store, run_id, max_steps=3)["step"].tolist() == [0, 4, 8]
    run = gradscope.open(store.name).run(run_id)
    assert len(run.term_gradients()) == 18
    assert len(run.term_cosines()) == 9
