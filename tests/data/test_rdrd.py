"""Range-Doppler frames in CSV trees and parquet files: stacks, splits, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gradscope.config import Rdrd
from gradscope.data import load
from gradscope.data.dataset import silent
from gradscope.data.rdrd import read_rdrd
from gradscope.data.rdrd_files import find_frames, held_out, stacks
from gradscope.data.sizes import DataShape, data_shape
from gradscope.data.splits import whole_recordings
from gradscope.errors import DataError
from gradscope.overrides import data_from_text

REAL = Path(os.environ.get("GRADSCOPE_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def write_frame(path: Path, value: float) -> None:
    """Two range rows and three Doppler columns, all of one value in dB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value},{value},{value}\n{value},{value},{value}\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes of four recordings with five frames each; one recording in two sessions, one with a gap."""
    for k, name in enumerate(("Cars", "Drones")):
        for minute in range(4):
            for number in range(1, 6):
                write_frame(
                    tmp_path / name / f"10-{minute:02}" / f"{number:03}.csv", -100 - 10 * k - minute - number / 10
                )
    for number in (7, 8, 9):
        write_frame(tmp_path / "Cars" / "10-03" / f"{number:03}.csv", -120)
    for number in (1, 2, 3):
        write_frame(tmp_path / "Cars" / "10-03p" / f"{number:03}.csv", -130)
    return tmp_path


def settings(path: Path, **more: object) -> Rdrd:
    return Rdrd.model_validate({"path": str(path), "val_fraction": 0.3, **more})


def members(path: Path, length: int, stride: int) -> list[list[tuple[int, int]]]:
    """(session, number) of the frames of every stack."""
    found = find_frames(str(path))
    first = stacks(found, length, stride)
    return [[(int(found.session[i + j]), int(found.number[i + j])) for j in range(length)] for i in first]


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (3, 1), (3, 2), (3, 3)])
def test_stacks_are_what_the_slow_rule_says(tree: Path, length: int, stride: int) -> None:
    expected = []
    sessions = sorted(p for p in tree.glob("*/*"))
    for s, session in enumerate(sessions):
        numbers = sorted(int(p.stem) for p in session.iterdir())
        for place, number in enumerate(numbers):
            wanted = [number + j for j in range(length)]
            if place % stride == 0 and all(n in numbers for n in wanted):
                expected.append([(s, n) for n in wanted])
    assert members(tree, length, stride) == expected


def test_a_stack_has_the_frames_in_sequence_as_channels(tree: Path) -> None:
    source = read_rdrd(settings(tree, split="random"), silent)
    assert source.classes == ("Cars", "Drones")
    everything = torch.cat([source.train.images, source.test.images])
    assert everything.shape == (8 * 3 + 2, 3, 2, 3)
    assert everything.dtype == torch.uint8
    low, high = -130.0, -100.1
    frames = [round((-100 - n / 10 - low) * 255 / (high - low)) for n in (1, 2, 3)]
    assert frames in everything[:, :, 0, 0].tolist()


def test_a_recording_stands_on_one_side_of_every_split(tree: Path) -> None:
    found = find_frames(str(tree))
    first = stacks(found, 3, 1)
    test = held_out(found, first, "recording")
    recording = found.recording[first]
    assert test.any()
    assert not set(recording[test]) & set(recording[~test])
    assert {int(k) for k in found.label[first][test]} == {0, 1}
    for seed in range(5):
        data = load(settings(tree), seed=seed)
        assert data.train.recording is not None
        assert data.val.recording is not None
        assert not set(data.train.recording.tolist()) & set(data.val.recording.tolist())
        assert data.val.labels.unique().tolist() == [0, 1]
        assert data.train.labels.unique().tolist() == [0, 1]
    # two sessions of one time are one recording
    cars = {int(r) for r, s in zip(found.recording, found.session, strict=True) if s in {3, 4}}
    assert len(cars) == 1


def test_the_random_split_takes_15_percent_of_each_class_whatever_the_seed(tree: Path) -> None:
    found = find_frames(str(tree))
    first = stacks(found, 1, 1)
    test = held_out(found, first, "random")
    counts = [int(test[found.label[first] == k].sum()) for k in (0, 1)]
    assert counts == [round(0.15 * 26), round(0.15 * 20)]
    one, two = (load(settings(tree, split="random"), seed=s) for s in (0, 1))
    assert torch.equal(one.test.images, two.test.images)
    assert one.train.recording is None
    assert data_shape(settings(tree, split="random")) == DataShape((3, 2, 3), 2, len(one.train))


def test_by_default_random_splits_are_70_15_15() -> None:
    assert Rdrd().val_fraction * 0.85 == pytest.approx(0.15, abs=1e-4)


def test_whole_recordings_reach_their_share_and_leave_one() -> None:
    labels = torch.tensor([0] * 10 + [1] * 10)
    recordings = torch.tensor([0] * 5 + [1] * 5 + list(range(2, 12)))
    for seed in range(10):
        held = whole_recordings(labels, recordings, ("a", "b"), 0.3, torch.Generator().manual_seed(seed))
        assert held[:10].sum() == 5
        assert held[10:].sum() == 3
        most = whole_recordings(labels, recordings, ("a", "b"), 1.0, torch.Generator().manual_seed(seed))
        assert [int(most[:10].sum()), int(most[10:].sum())] == [5, 9]


def parquet(folder: Path, **changes: object) -> Path:
    """train.parquet with recordings 0 and 1 of each class, test.parquet with recording 2; four frames each."""
    for name, recordings in (("train", (0, 1)), ("test", (2,))):
        rows = [(k, r, n) for k in (0, 1) for r in recordings for n in range(1, 5)]
        columns = {
            "rd": [[float(-100 - k - r - n + j) for j in range(6)] for k, r, n in rows],
            "shape": [[2, 3] for _ in rows],
            "label": [k for k, _, _ in rows],
            "acquisition": [f"{'AB'[k]}/10-0{r}" for k, r, _ in rows],
            "session": [f"{'AB'[k]}/10-0{r}" for k, r, _ in rows],
            "frame": [n for _, _, n in rows],
            **changes,
        }
        pq.write_table(pa.table({c: v for c, v in columns.items() if v is not None}), folder / f"{name}.parquet")
    return folder


def test_parquet_files_hold_out_the_test_themselves_unless_the_split_is_random(tmp_path: Path) -> None:
    folder = parquet(tmp_path)
    data = load(settings(folder), seed=0)
    assert (data.classes, data.shape) == (("A", "B"), (3, 2, 3))
    assert (len(data.train), len(data.val), len(data.test)) == (4, 4, 4)
    assert data_shape(settings(folder)) == DataShape((3, 2, 3), 2, 6)  # 8 stacks less 30 %
    mixed = load(settings(folder, split="random", frames=1), seed=0)
    assert (len(mixed.train) + len(mixed.val), len(mixed.test)) == (20, 4)


def test_csv_and_parquet_give_the_same_stacks(tmp_path: Path, tree: Path) -> None:
    rows = sorted(tree.glob("*/*/*.csv"))
    table = {
        "rd": [np.loadtxt(p, delimiter=",").flatten().tolist() for p in rows],
        "shape": [[2, 3]] * len(rows),
        "label": [int(p.parts[-3] == "Drones") for p in rows],
        "acquisition": [f"{p.parts[-3]}/{p.parts[-2][:5]}" for p in rows],
        "session": ["/".join(p.parts[-3:-1]) for p in rows],
        "frame": [int(p.stem) for p in rows],
    }
    out = tmp_path / "parquet"
    out.mkdir()
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = {name: [values[i] for i in order] for name, values in table.items()}
    whole = pa.table(shuffled)
    pq.write_table(whole, out / "train.parquet")
    pq.write_table(whole.slice(0, 0), out / "test.parquet")
    one, two = (read_rdrd(settings(p, split="random"), silent) for p in (tree, out))
    assert torch.equal(one.train.images, two.train.images)
    assert torch.equal(one.test.labels, two.test.labels)


def broken(path: Path, text: str) -> None:
    (path / "Cars" / "10-00" / "003.csv").write_text(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c\n1,2,3\n", r"003\.csv is no table of numbers, comma-separated and without a header"),
        ("1,2,3\n1,2\n", r"003\.csv is no table of numbers"),
        ("1,2\n1,2\n", r"003\.csv has the shape \(2, 2\), and .*001\.csv \(2, 3\); all must have one"),
        ("1,2,nan\n1,2,3\n", r"003\.csv holds values that are not finite; remove the frame"),
    ],
)
def test_a_broken_frame_is_named(tree: Path, text: str, words: str) -> None:
    broken(tree, text)
    with pytest.raises(DataError, match=words):
        load(settings(tree), seed=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame": None}, r"train\.parquet has no column frame, only rd, shape, label"),
        ({"shape": [[2, 3]] * 7 + [[3, 2]]}, r"have the shapes \[\(2, 3\), \(3, 2\)\]; all must have one"),
        ({"rd": [[1.0] * 5] * 8}, r"column rd of .* does not hold 2 x 3 numbers in every row"),
        ({"rd": [[float("inf")] * 6] * 8}, r"row 0 of .*train\.parquet holds values that are not finite"),
        ({"label": [0, 0, 0, 0, 2, 2, 2, 2]}, r"labels in .* are \[0, 2\]; labels must be whole numbers from 0"),
    ],
)
def test_broken_parquet_files_are_named(tmp_path: Path, changes: dict[str, list[object]], words: str) -> None:
    parquet(tmp_path)
    table = pq.read_table(tmp_path / "train.parquet").slice(0, 8)
    columns = {name: changes.get(name, table[name].to_pylist()) for name in table.column_names}
    pq.write_table(pa.table({n: v for n, v in columns.items() if v is not None}), tmp_path / "train.parquet")
    if "label" in changes:
        pq.write_table(pq.read_table(tmp_path / "test.parquet").slice(0, 0), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=words):
        load(settings(tmp_path), seed=0)


def test_folders_without_frames_are_refused_with_the_form_they_need(tmp_path: Path, tree: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist; give the folder of range-Doppler frames"):
        load(settings(tmp_path / "nowhere"), seed=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no CLASS/RECORDING/FRAME\.csv; give the folder"):
        load(settings(tmp_path / "empty"), seed=0)
    assert data_shape(settings(tmp_path / "empty")) is None
    parquet(tmp_path / "empty")
    (tmp_path / "empty" / "test.parquet").unlink()
    with pytest.raises(DataError, match=r"test\.parquet is missing; give the folder"):
        load(settings(tmp_path / "empty"), seed=0)
    write_frame(tree / "Cars" / "10-00" / "last.csv", -100)
    with pytest.raises(DataError, match=r"last\.csv has no number in its name, such as 001\.csv"):
        load(settings(tree), seed=0)


def test_two_frames_of_one_number_and_too_few_recordings_are_refused(tree: Path, tmp_path: Path) -> None:
    write_frame(tree / "Cars" / "10-00" / "3.csv", -100)
    with pytest.raises(DataError, match=r"Cars/10-00 has two frames of number 3; remove one"):
        load(settings(tree), seed=0)
    few = tmp_path / "few"
    for name in ("a", "b"):
        for number in range(6):
            write_frame(few / name / "10-00" / f"{number}.csv", -100)
    with pytest.raises(DataError, match=r"class 'a' has fewer than three recordings .*data\.split=random"):
        load(settings(few), seed=0)
    assert len(load(settings(few, split="random"), seed=0).test) == 2
    for path in few.glob("*/*/[14].csv"):
        path.unlink()
    with pytest.raises(DataError, match=r"no 3 frames follow each other in .*; set data\.frames=1"):
        load(settings(few, split="random"), seed=0)


def test_a_duplicate_of_the_tree_below_it_is_not_counted_twice(tree: Path) -> None:
    write_frame(tree / "data" / "Cars" / "10-00" / "001.csv", -100)
    assert find_frames(str(tree)).classes == ("Cars", "Drones")


def test_a_class_with_one_recording_cannot_be_split_by_recording() -> None:
    labels, recordings = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 2, 2])
    with pytest.raises(DataError, match=r"class 'b' has one recording only.*data\.split=random"):
        whole_recordings(labels, recordings, ("a", "b"), 0.5, torch.Generator())


def test_the_command_line_names_it_in_one_word() -> None:
    assert data_from_text("rdrd:/x") == {"name": "rdrd", "path": "/x"}


@pytest.fixture(scope="session")
def real() -> str:
    if not (REAL / "rdrd" / "train.parquet").is_file():
        pytest.skip(f"no real data in {REAL / 'rdrd'}; set GRADSCOPE_TEST_DATA to the folder that holds rdrd/")
    return str(REAL / "rdrd")


def test_the_real_frames_make_the_stacks_that_were_counted_beforehand(real: str) -> None:
    found = find_frames(real)
    first = stacks(found, 3, 1)
    assert (found.classes, found.shape, len(found.label)) == (("Cars", "Drones", "People"), (11, 61), 17_485)
    assert np.bincount(found.label).tolist() == [5720, 5065, 6700]
    assert len(first) == 13_846 + 3_375
    assert int(held_out(found, first, "recording").sum()) == 3_375


def test_the_real_data_load_with_both_splits(real: str) -> None:
    for split, sizes in (("recording", (11_302, 2_544, 3_375)), ("random", (12_054, 2_584, 2_583))):
        data = load(Rdrd.model_validate({"path": real, "split": split}), seed=0)
        assert (len(data.train), len(data.val), len(data.test)) == sizes
        assert data.shape == (3, 11, 61)
        # 0.6 dB a level keeps the spread of 9.6 dB
        assert data.std[0] * 152.03 == pytest.approx(9.6, abs=0.15)
