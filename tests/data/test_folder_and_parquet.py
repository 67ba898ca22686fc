"""Pictures in folders and in parquet files, good and bad."""

import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from gradscope.config import Folder, Parquet
from gradscope.data import load
from gradscope.data.dataset import _too_large, silent
from gradscope.data.pictures import decode
from gradscope.data.sizes import DataShape, data_shape
from gradscope.errors import DataError

REAL = Path(os.environ.get("GRADSCOPE_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def picture(value: int, mode: str = "RGB", size: tuple[int, int] = (6, 5)) -> Image.Image:
    return Image.new("RGB", size, (value, value // 2, 255 - value)).convert(mode)


def png(value: int, mode: str = "RGB", size: tuple[int, int] = (6, 5)) -> bytes:
    out = io.BytesIO()
    picture(value, mode, size).save(out, "PNG")
    return out.getvalue()


def make_tree(folder: Path, classes: Mapping[str, int], mode: str = "RGB", size: tuple[int, int] = (6, 5)) -> Path:
    for k, (name, n) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            (folder / name / f"{i}.png").write_bytes(png(10 * k + i, mode, size))
    return folder


def folder_of(tmp_path: Path, mode: str = "RGB") -> Path:
    make_tree(tmp_path / "train", {"cat": 12, "dog": 8}, mode)
    make_tree(tmp_path / "test", {"cat": 3, "dog": 2}, mode)
    return tmp_path


def test_a_folder_with_train_and_test_is_read_class_by_class(tmp_path: Path) -> None:
    settings = Folder(path=str(folder_of(tmp_path)))
    data = load(settings, seed=0)
    assert data.classes == ("cat", "dog")
    assert data.shape == (3, 5, 6)
    assert (len(data.train), len(data.val), len(data.test)) == (18, 2, 5)
    assert data.test.labels.tolist() == [0, 0, 0, 1, 1]
    assert data.test.images[4, :, 0, 0].tolist() == [11, 5, 244]
    assert data_shape(settings) == DataShape((3, 5, 6), 2, 18)


def test_val_stands_in_for_a_missing_test_folder(tmp_path: Path) -> None:
    (folder_of(tmp_path) / "test").rename(tmp_path / "val")
    assert len(load(Folder(path=str(tmp_path)), seed=0).test) == 5


def test_a_single_tree_gives_15_percent_of_each_class_to_the_test(tmp_path: Path) -> None:
    settings = Folder(path=str(make_tree(tmp_path, {"cat": 20, "dog": 20})))
    one, two = (load(settings, seed=s) for s in (0, 1))
    assert one.test.labels.bincount().tolist() == [3, 3]
    assert (len(one.train), len(one.val)) == (31, 3)
    assert torch.equal(one.test.images, two.test.images)
    assert data_shape(settings) == DataShape((3, 5, 6), 2, 31)


def test_grey_pictures_stay_grey_and_one_colour_picture_makes_all_colour(tmp_path: Path) -> None:
    settings = Folder(path=str(folder_of(tmp_path, "L")))
    assert load(settings, seed=0).shape == (1, 5, 6)
    assert data_shape(settings) == DataShape((1, 5, 6), 2, 18)
    (tmp_path / "test" / "dog" / "0.png").write_bytes(png(10))
    data = load(settings, seed=0)
    assert data.shape == (3, 5, 6)
    assert data.test.images[0].unique(dim=0).shape[0] == 1


def test_pictures_are_resized_on_request(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "train" / "cat" / "0.png").write_bytes(png(0, size=(40, 30)))
    settings = Folder(path=str(tmp_path), size=8)
    data = load(settings, seed=0)
    assert data.shape == (3, 8, 8)
    assert data_shape(settings) == DataShape((3, 8, 8), 2, 18)
    assert data.test.images[4, :, 0, 0].tolist() == [11, 5, 244]


def test_hidden_files_and_files_that_are_no_pictures_are_not_looked_at(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "cat" / ".DS_Store").write_text("x")
    (tmp_path / "train" / "cat" / "notes.txt").write_text("x")
    assert len(load(Folder(path=str(tmp_path)), seed=0).train) == 18


Spoil = Callable[[Path], object]
BAD_FOLDERS: dict[str, tuple[Spoil, str]] = {
    "no folder": (lambda p: (p / "train").parent.rename(p.with_name("gone")), "does not exist; give the path"),
    "no test": (
        lambda p: (p / "test").rename(p.parent / "elsewhere"),
        r"has train/ but no test/; add test/ .* or give .*train as the folder",
    ),
    "other classes": (lambda p: (p / "test" / "dog").rename(p / "test" / "wolf"), "differ in the classes dog, wolf"),
    "no classes": (
        lambda p: [f.rename(p / f.name) for f in (p / "train").iterdir()],
        "train has no sub-folder; put the pictures of each class",
    ),
    "empty class": (lambda p: (p / "train" / "eel").mkdir(), r"train/eel has no picture .*add some or remove"),
    "corrupt": (
        lambda p: (p / "train" / "dog" / "3.png").write_bytes(b"not a picture"),
        r"train/dog/3\.png cannot be read as a picture .*replace or remove it",
    ),
    "truncated": (
        lambda p: (p / "test" / "cat" / "1.png").write_bytes(png(1)[:45]),
        r"test/cat/1\.png cannot be read as a picture",
    ),
    "size": (
        lambda p: (p / "train" / "dog" / "3.png").write_bytes(png(3, size=(7, 5))),
        r"train/dog/3\.png is 7x5, but .*train/cat/0\.png is 6x5 .*give all pictures one size",
    ),
    "sizes of splits": (
        lambda p: [f.write_bytes(png(3, size=(9, 9))) for f in (p / "test").rglob("*.png")],
        "test are 9x9, in .*train 6x5",
    ),
    "16 bits": (
        lambda p: Image.new("I;16", (6, 5)).save(p / "train" / "cat" / "0.png"),
        r"train/cat/0\.png has more than 8 bits a channel .*convert it to 8 bits",
    ),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_bad_folder_is_refused_by_name(tmp_path: Path, case: str) -> None:
    folder = folder_of(tmp_path / "pets")
    spoil, message = BAD_FOLDERS[case]
    spoil(folder)
    with pytest.raises(DataError, match=message):
        load(Folder(path=str(folder)), seed=0)


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pictures of one class only; a training needs at least two"):
        load(Folder(path=str(make_tree(tmp_path, {"cat": 20}))), seed=0)


def test_too_few_pictures_to_hold_out_a_test_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has only 4 pictures; at least 10"):
        load(Folder(path=str(make_tree(tmp_path, {"cat": 2, "dog": 2}))), seed=0)


def test_the_size_of_a_folder_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    assert data_shape(Folder(path=str(tmp_path / "gone"))) is None
    assert data_shape(Parquet(path=str(tmp_path / "gone"))) is None
    assert data_shape(Parquet(path=str(tmp_path))) is None
    write_parquet(tmp_path / "train.parquet", [], [])
    assert data_shape(Parquet(path=str(tmp_path))) is None
    (tmp_path / "train.parquet").write_bytes(b"hello")
    assert data_shape(Parquet(path=str(tmp_path))) is None


@pytest.mark.parametrize("settings", [Folder(), Parquet()], ids=["folder", "parquet"])
def test_an_empty_path_is_refused_and_does_not_mean_this_folder(settings: Folder | Parquet) -> None:
    assert data_shape(settings) is None
    with pytest.raises(DataError, match=r"data\.path is empty; give"):
        load(settings, seed=0)


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path / "pets")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load(Folder(path="~/pets"), seed=0).train) == 18


def test_pictures_that_do_not_fit_into_memory_are_refused_with_a_size_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    free = 2 * 10 * 3 * 32 * 32  # twice ten pictures of 32x32
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    with pytest.raises(DataError, match=r"10 pictures of 64x64 need .*; set data\.size to at most 32 where the source"):
        decode([file.getvalue()] * 10, str, None, silent)
    assert decode([file.getvalue()] * 10, str, 32, silent).shape == (10, 3, 32, 32)


def test_pictures_that_fill_a_gpu_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    gpu = torch.device("cuda:0")
    assert _too_large(torch.zeros(1, 1, 23, 23, dtype=torch.uint8), gpu)
    assert not _too_large(torch.zeros(1, 1, 22, 22, dtype=torch.uint8), gpu)
    assert not _too_large(torch.zeros(1, 1, 23, 23, dtype=torch.uint8), torch.device("cpu"))


def test_large_pictures_decoded_by_several_threads_keep_their_order() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(300)]
    files = []
    for array in arrays:
        out = io.BytesIO()
        Image.fromarray(array).save(out, "PNG")
        files.append(out.getvalue())
    calls: list[tuple[int, int]] = []
    decoded = decode(files, str, None, lambda done, total: calls.append((done, total)))
    assert torch.equal(decoded, torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2))
    assert calls[-1] == (300, 300)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "LA"])
def test_every_usual_kind_of_picture_is_read(mode: str) -> None:
    out = io.BytesIO()
    picture(200, mode).save(out, "TIFF" if mode == "CMYK" else "PNG")
    decoded = decode([out.getvalue()] * 2, str, None, silent)
    assert decoded.shape == (2, 1 if mode in {"1", "L"} else 3, 5, 6)


NAMES = {"info": {"features": {"label": {"names": ["ant", "bee"], "_type": "ClassLabel"}}}}


def write_parquet(
    path: Path,
    labels: Sequence[int | None] | Sequence[str],
    pictures: Sequence[bytes | None] | None = None,
    image: str = "img",
    label: str = "label",
    names: object = NAMES,
) -> None:
    pictures = pictures if pictures is not None else [png(i) for i in range(len(labels))]
    column = [{"bytes": p, "path": f"{i}.png"} for i, p in enumerate(pictures)]
    table = pa.table({image: column, label: list(labels)})
    if names is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(names)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def parquet_of(folder: Path) -> Path:
    write_parquet(folder / "train.parquet", [0, 1] * 10)
    write_parquet(folder / "test.parquet", [0, 1, 1])
    return folder


def test_a_parquet_pair_gives_pictures_labels_and_class_names(tmp_path: Path) -> None:
    settings = Parquet(path=str(parquet_of(tmp_path)))
    calls: list[tuple[int, int]] = []
    data = load(settings, seed=0, progress=lambda done, total: calls.append((done, total)))
    assert data.classes == ("ant", "bee")
    assert (len(data.train), len(data.val), data.shape) == (18, 2, (3, 5, 6))
    assert data.test.labels.tolist() == [0, 1, 1]
    assert data.test.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert calls == [(20, 23), (23, 23)]
    assert data_shape(settings) == DataShape((3, 5, 6), 2, 18)


def test_other_column_names_plain_bytes_and_missing_names_are_understood(tmp_path: Path) -> None:
    for split, n in (("train", 21), ("test", 3)):
        table = pa.table({"image": [png(i, "L") for i in range(n)], "fine_label": [i % 3 for i in range(n)]})
        pq.write_table(table, tmp_path / f"{split}.parquet")
    settings = Parquet(path=str(tmp_path))
    data = load(settings, seed=0)
    assert data.classes == ("0", "1", "2")
    assert data.shape == (1, 5, 6)
    assert data_shape(settings) == DataShape((1, 5, 6), 3, 19)


def test_the_label_column_can_be_chosen(tmp_path: Path) -> None:
    for split in ("train", "test"):
        table = pa.table({"img": [png(i) for i in range(12)], "label": [0, 1] * 6, "coarse": [0, 1, 2] * 4})
        pq.write_table(table, tmp_path / f"{split}.parquet")
    assert len(load(Parquet(path=str(tmp_path), label="coarse"), seed=0).classes) == 3


BAD_PARQUETS: dict[str, tuple[Spoil, str]] = {
    "no folder": (lambda p: p.rename(p.with_name("gone")), "does not exist; give a folder with train.parquet"),
    "no test": (lambda p: (p / "test.parquet").unlink(), r"test\.parquet is missing; the folder needs"),
    "not parquet": (
        lambda p: (p / "train.parquet").write_bytes(b"hello"),
        r"train\.parquet cannot be read as parquet .*fetch or write it again",
    ),
    "truncated": (
        lambda p: (p / "train.parquet").write_bytes((p / "train.parquet").read_bytes()[:-30]),
        r"train\.parquet cannot be read as parquet",
    ),
    "no picture column": (
        lambda p: write_parquet(p / "train.parquet", [0, 1], image="rd"),
        r"train\.parquet has no picture column \(img or image\), only rd, label",
    ),
    "numbers for pictures": (
        lambda p: pq.write_table(pa.table({"img": [[0.5]], "label": [0]}), p / "train.parquet"),
        r"column img of .*train\.parquet holds list<.*must hold encoded pictures",
    ),
    "no label column": (
        lambda p: write_parquet(p / "test.parquet", [0, 1], label="kind"),
        r"test\.parquet has no label column \(label or fine_label or labels\), only img, kind; name it by data\.label",
    ),
    "words for labels": (
        lambda p: write_parquet(p / "train.parquet", ["a", "b"]),
        r"column label of .*train\.parquet holds string; labels must be whole numbers",
    ),
    "missing label": (lambda p: write_parquet(p / "train.parquet", [0, 1, None]), "row 2 of .* has no label; remove"),
    "missing picture": (
        lambda p: write_parquet(p / "train.parquet", [0, 1], [png(0), None]),
        r"row 1 of .*train\.parquet has no picture; remove the row",
    ),
    "corrupt picture": (
        lambda p: write_parquet(p / "test.parquet", [0, 1], [png(0), b"no picture"]),
        r"the picture in row 1 of .*test\.parquet cannot be read",
    ),
    "label out of range": (
        lambda p: write_parquet(p / "train.parquet", [0, 1, 2]),
        r"train\.parquet has labels 0\.\.2 for 2 classes",
    ),
    "negative label": (lambda p: write_parquet(p / "test.parquet", [0, -1]), r"test\.parquet has labels -1\.\.0"),
    "damaged class names": (
        lambda p: pq.write_table(
            pq.read_table(p / "train.parquet").replace_schema_metadata({"huggingface": "{"}), p / "train.parquet"
        ),
        r"the huggingface metadata of .*train\.parquet are no JSON",
    ),
    "no rows": (lambda p: write_parquet(p / "test.parquet", [], []), r"test\.parquet"),
}


@pytest.mark.parametrize("case", BAD_PARQUETS)
def test_a_bad_parquet_is_refused_by_name(tmp_path: Path, case: str) -> None:
    folder = parquet_of(tmp_path / "insects")
    spoil, message = BAD_PARQUETS[case]
    spoil(folder)
    with pytest.raises(DataError, match=message):
        load(Parquet(path=str(folder)), seed=0)


def real(name: str) -> str:
    folder = REAL / name
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set GRADSCOPE_TEST_DATA to the folder that holds {name}/")
    return str(folder)


@pytest.mark.slow
def test_real_grey_digits_are_read_whole() -> None:
    settings = Parquet(path=real("mnist"))
    data = load(settings, seed=0)
    assert (len(data.train), len(data.val), len(data.test)) == (54_000, 6_000, 10_000)
    assert data.shape == (1, 28, 28)
    assert (data.mean[0], data.std[0]) == pytest.approx((0.1307, 0.3081), abs=5e-4)
    assert data_shape(settings) == DataShape(data.shape, 10, 54_000)


def test_real_photographs_of_which_some_are_grey_are_read_in_colour() -> None:
    settings = Parquet(path=real("tiny_imagenet_20"), limit=1000)
    data = load(settings, seed=0)
    assert data.shape == (3, 64, 64)
    assert data.classes[:2] == ("trilobite", "spiny lobster")
    assert data_shape(settings) == DataShape(data.shape, 20, 900)


@pytest.mark.slow
def test_real_cifar10_has_its_known_statistics() -> None:
    data = load(Parquet(path=real("cifar10")), seed=0)
    assert data.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=1e-3)
    assert data.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=1e-3)


def test_radar_matrices_are_refused_and_named() -> None:
    with pytest.raises(DataError, match=r"train\.parquet has no picture column .*only rd, shape, label"):
        load(Parquet(path=real("rdrd")), seed=0)
