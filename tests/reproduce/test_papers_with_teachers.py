"""Papers whose experiments are taught by others of theirs."""

import pytest

from gradscope.config import KdFsp, KdKr, distillation_in
from gradscope.jobs import actions
from gradscope.models.sizes import n_macs, n_parameters
from gradscope.records import Status
from gradscope.reproduce.group import find_group
from gradscope.reproduce.narrow_deep import FAMILY, TEACHER
from gradscope.reproduce.papers import chosen, paper_of
from gradscope.reproduce.scales import SCALES, lacking, read_from, scale_of
from gradscope.reproduce.start import queue
from gradscope.reproduce.summary import differences
from gradscope.store import open_store, read, write

KR, ND = paper_of("kr"), paper_of("narrow-deep")
BY_NAME = {e.name: e for e in KR.experiments}


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(actions, "ensure_supervisor", lambda store: None)
    opened = open_store(tmp_path / "runs.db", create=True)
    yield opened
    opened.close()


def test_the_published_figures_are_those_of_the_tables():
    found = {e.name: e.published.accuracy for e in KR.experiments if e.published}
    assert {name: found[f"{name}-c10"] for name in ("teacher", "student", "kr-dense", "kr", "kr-kdgan")} == {
        "teacher": 0.9191,
        "student": 0.8791,
        "kr-dense": 0.8911,
        "kr": 0.9065,
        "kr-kdgan": 0.9135,
    }
    assert [found[f"{name}-c100"] for name in ("teacher", "student", "fitnet", "fsp", "nst", "kdgan", "kr")] == [
        *(0.6406, 0.5865, 0.6128, 0.6333, 0.6378, 0.6396, 0.6395)
    ]
    assert [found[f"{name}-tc100"] for name in ("teacher", "student", "kr", "kr-kdgan")] == [
        *(0.6125, 0.5437, 0.6003, 0.6033)
    ]
    assert not any(e.published for e in ND.experiments)


def test_the_imagenet_rows_are_those_of_the_table_and_of_its_networks():
    rows = {e.name.removesuffix("-imagenet"): e for e in KR.experiments if e.name.endswith("-imagenet")}
    errors = {name: round(100 * (1 - e.published.accuracy), 2) for name, e in rows.items()}
    assert errors == {
        **{"teacher": 22.68, "student": 25.74, "fitnet": 25.3, "nst": 24.34, "kdgan": 24.11},
        **{"kr": 23.47, "kr-kdgan": 23.18},
    }
    sizes = {name: n_parameters(e.config.model, (3, 224, 224), 1000) for name, e in rows.items()}
    assert sizes == {name: 44_549_160 if name == "teacher" else 11_285_224 for name in rows}
    own = rows["kr"].config
    assert own.optimizer.lr * distillation_in(own.methods).merge_rate == pytest.approx(0.1)


def test_imagenet_needs_a_folder_of_it_and_below_full_scale_one_of_tiny_imagenet(tmp_path):
    row = BY_NAME["kr-imagenet"]
    full, glance = scale_of("full").config(row), scale_of("glance").config(row)
    assert (lacking(full, None), lacking(glance, None)) == ("imagenet", "tiny_imagenet_20")
    for name in ("imagenet", "tiny_imagenet_20"):
        (tmp_path / name).mkdir()
    assert read_from(full, str(tmp_path)).data.path == str(tmp_path / "imagenet")
    placed = read_from(glance, str(tmp_path)).data
    assert (placed.name, placed.path, placed.limit) == ("parquet", str(tmp_path / "tiny_imagenet_20"), 2000)


def test_networks_have_the_parameters_of_the_paper_as_far_as_they_can():
    def size(name, classes=10):
        return n_parameters(BY_NAME[name].config.model, (3, 32, 32), classes)

    assert size("teacher-c10") == 366_938
    assert size("kr-c10") == 95_068
    assert n_parameters(BY_NAME["fsp-c10"].config.model, (3, 32, 32), 10) == 75_290
    assert size("teacher-c100", 100) == 470_004
    assert size("student-c100", 100) == 178_356
    assert n_macs(BY_NAME["teacher-c10"].config.model, (3, 32, 32), 10) == pytest.approx(54.7e6, rel=0.01)


def test_the_narrow_deep_family_is_of_one_size():
    sizes = {name: n_parameters(model, (3, 32, 32), 100) for name, (_, model, _) in FAMILY.items()}
    assert sizes == {
        "plain": 275_572,
        "wide": 276_200,
        "narrow-deep": 274_501,
        "narrow-deep-mild": 266_128,
        "narrow-deep-extreme": 247_402,
    }
    assert n_parameters(TEACHER, (3, 32, 32), 100) == 1_733_812
    macs = [n_macs(model, (3, 32, 32), 100) / 1e6 for _, model, _ in FAMILY.values()]
    assert macs == pytest.approx([40.6, 41.1, 39.8, 38.8, 35.7], abs=0.1)


@pytest.mark.parametrize("paper", [KR, ND], ids=lambda p: p.name)
def test_teachers_stand_before_their_students_and_share_their_pictures(paper):
    names = [e.name for e in paper.experiments]
    by_name = {e.name: e for e in paper.experiments}
    for e in paper.experiments:
        taught = distillation_in(e.config.methods) is not None
        assert taught == bool(e.teacher), e.name
        if e.teacher:
            assert names.index(e.teacher) < names.index(e.name)
            assert by_name[e.teacher].config.data == e.config.data
            for scale in SCALES.values():
                pictures = scale.config(e).data
                own = scale.config(by_name[e.teacher]).data
                assert own.model_copy(update={"augment": pictures.augment}) == pictures


def test_a_teacher_below_full_scale_is_trained_longer_than_its_students():
    short, full = scale_of("short"), scale_of("full")
    epochs = {name: short.config(BY_NAME[name]).train.epochs for name in ("teacher-c10", "student-c10", "kr-c10")}
    assert epochs == {"teacher-c10": 20, "student-c10": 5, "kr-c10": 5}
    assert full.config(BY_NAME["teacher-c10"]).train.epochs == full.config(BY_NAME["student-c10"]).train.epochs


def test_fsp_has_the_channels_of_its_teacher():
    for e in KR.experiments:
        if isinstance(distillation_in(e.config.methods), KdFsp):
            for scale in SCALES.values():
                assert scale.config(e).model.width == scale.config(BY_NAME[e.teacher]).model.width


def test_the_papers_own_method_has_its_two_rates():
    method = distillation_in(BY_NAME["kr-c10"].config.methods)
    assert isinstance(method, KdKr)
    assert BY_NAME["kr-c10"].config.optimizer.lr * method.merge_rate == pytest.approx(0.1)
    assert BY_NAME["kr-c10"].config.optimizer.weight_decay == 1e-5


def test_tcifar_is_distorted_for_training_and_test():
    data = BY_NAME["kr-tc100"].config.data
    assert (data.name, data.distort, data.distort_level) == ("cifar100", "gaussian_blur", 5)


def test_a_named_student_brings_its_teacher():
    assert [e.name for e in chosen(KR, ["kr-c10"])] == ["teacher-c10", "kr-c10"]


def group_of(store):
    return find_group(store, KR, scale_of("tiny"), chosen(KR, ["fitnet-c10", "kr-c10"]), range(2))


def test_students_are_queued_behind_the_teacher_of_their_seed(store):
    queue(store, group_of(store).to_do)
    runs = {(run.name.split(" ")[0], run.config["train"]["seed"]): run for run in read.runs(store)}
    assert len(runs) == 6
    for (name, seed), run in runs.items():
        assert run.waits_for == (None if name == "teacher-c10" else runs["teacher-c10", seed].id)
    assert not group_of(store).to_do


def test_a_student_that_is_started_later_finds_its_teacher(store):
    teacher = next(item for item in group_of(store).items if not item.experiment.teacher)
    run_id = actions.create(store, teacher.config, teacher.name, status=Status.RUNNING, tags=teacher.tags)
    write.finish(store, run_id, Status.COMPLETED)
    group = group_of(store)
    student = next(item for item in group.items if item.experiment.teacher and item.seed == 0)
    assert distillation_in(student.config.methods).teacher_run == run_id
    queue(store, [student])
    found = next(item for item in group_of(store).items if item.name == student.name)
    assert found.run is not None
    assert not [d for d in differences(group_of(store), found.experiment) if "teacher_run" in d.setting]
