"""What the benchmark of CUDA graphs trains."""

from benchmarks.gpu_training import PRESETS
from gradscope.presets import preset


def test_every_form_of_pseudo_normalisation_is_captured_in_a_graph() -> None:
    forms = {m.form for name in PRESETS for m in preset(name).config.methods if m.name == "pseudo_norm"}
    assert forms == {"direct", "dual"}
