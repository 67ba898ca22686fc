"""Known sets through torchvision: tiny ones of the true form, served by a web server on this machine."""

import gzip
import hashlib
import pickle
import struct
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, SVHN, FashionMNIST

from gradscope.config import Cifar10, Cifar100, FashionMnist, Mnist, Svhn
from gradscope.data import load
from gradscope.data.download import Archive, fetch
from gradscope.data.sizes import data_shape
from gradscope.errors import DataError

DEAD = "http://127.0.0.1:9/"  # the discard port: nobody answers


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and its address; downloads go to tmp_path/kept."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("GRADSCOPE_DATA", str(tmp_path / "kept"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def make_cifar10(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    base = folder / CIFAR10.base_folder
    base.mkdir()
    lists = {}
    for name, n in (("data_batch_1", 30), ("test_batch", 10)):
        data = np.arange(n, dtype=np.uint8)[:, None].repeat(3072, 1)
        (base / name).write_bytes(pickle.dumps({"data": data, "labels": [i % 10 for i in range(n)]}))
        lists[name] = [[name, md5(base / name)]]
    (base / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class {i}" for i in range(10)]}))
    archive = folder / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(base, CIFAR10.base_folder)
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(base / "batches.meta")}
    values = {"url": url + "cifar.tar.gz", "filename": "cifar.tar.gz", "tgz_md5": md5(archive), "meta": meta}
    values |= {"train_list": lists["data_batch_1"], "test_list": lists["test_batch"]}
    for name, value in values.items():
        monkeypatch.setattr(CIFAR10, name, value)


def make_idx(folder: Path, url: str, kind: type[MNIST], monkeypatch: pytest.MonkeyPatch) -> None:
    resources = []
    for part, n in (("train", 30), ("t10k", 10)):
        images = np.arange(n, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
        labels = np.arange(n, dtype=np.uint8) % 10
        contents = {
            f"{part}-images-idx3-ubyte.gz": struct.pack(">4i", 2051, n, 28, 28) + images.tobytes(),
            f"{part}-labels-idx1-ubyte.gz": struct.pack(">2i", 2049, n) + labels.tobytes(),
        }
        for name, content in contents.items():
            (folder / name).write_bytes(gzip.compress(content))
            resources.append((name, md5(folder / name)))
    monkeypatch.setattr(kind, "mirrors", [DEAD, url])
    monkeypatch.setattr(kind, "resources", resources)


def make_svhn(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {}
    for split, n in (("train", 30), ("test", 10)):
        path = folder / f"{split}_32x32.mat"
        images = np.arange(n, dtype=np.uint8)[None, None, None].repeat(32, 0).repeat(32, 1).repeat(3, 2)
        labels = np.array([[i % 10 or 10] for i in range(n)], dtype=np.uint8)  # SVHN writes the digit 0 as 10
        scipy.io.savemat(path, {"X": images, "y": labels})
        lists[split] = [url + path.name, path.name, md5(path)]
    monkeypatch.setattr(SVHN, "split_list", lists)


def test_cifar10_is_downloaded_with_progress_checked_and_kept(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_cifar10(*served, monkeypatch)
    calls: list[tuple[int, int]] = []
    data = load(Cifar10(), seed=0, progress=lambda done, total: calls.append((done, total)))
    size = (served[0] / "cifar.tar.gz").stat().st_size
    assert calls[-1] == (size, size)
    assert data.classes[3] == "class 3"
    assert (len(data.train), len(data.val), len(data.test), data.shape) == (27, 3, 10, (3, 32, 32))
    assert data.test.images[:, 0, 0, 0].tolist() == list(range(10))
    assert (tmp_path / "kept" / "cifar10" / "cifar.tar.gz").is_file()
    (served[0] / "cifar.tar.gz").unlink()
    assert load(Cifar10(), seed=0).fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("kind", "settings"), [(MNIST, Mnist()), (FashionMNIST, FashionMnist())], ids=["mnist", "fashion"]
)
def test_mnist_and_its_twin_come_from_the_first_mirror_that_answers(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, kind: type[MNIST], settings: Mnist | FashionMnist
) -> None:
    make_idx(*served, kind, monkeypatch)
    data = load(settings, seed=0)
    assert data.shape == (1, 28, 28)
    assert data.test.labels.tolist() == list(range(10))
    assert data.test.images[:, 0, 5, 5].tolist() == list(range(10))


def test_svhn_is_read_with_its_ten_digits(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    make_svhn(*served, monkeypatch)
    data = load(Svhn(), seed=0)
    assert data.shape == (3, 32, 32)
    assert data.classes == tuple("0123456789")
    assert data.test.labels.tolist() == list(range(10))
    assert data.test.images[:, 2, 9, 9].tolist() == list(range(10))


@pytest.mark.parametrize(
    ("kind", "settings"), [(CIFAR10, Cifar10()), (CIFAR100, Cifar100())], ids=["cifar10", "cifar100"]
)
def test_without_a_network_the_error_says_what_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[CIFAR10], settings: Cifar10 | Cifar100
) -> None:
    monkeypatch.setenv("GRADSCOPE_DATA", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(kind, "url", DEAD + "file.tar.gz")
    with pytest.raises(
        DataError, match=rf"{settings.name} could not be downloaded .*put {kind.filename} into {tmp_path}"
    ):
        load(settings, seed=0)
    assert not list(tmp_path.rglob("*.part"))


def test_a_damaged_set_is_refused_with_its_folder(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_idx(*served, MNIST, monkeypatch)
    load(Mnist(), seed=0)
    raw = tmp_path / "kept" / "mnist" / "MNIST" / "raw" / "train-images-idx3-ubyte"
    raw.write_bytes(raw.read_bytes()[:100])
    with pytest.raises(DataError, match=r"the files of mnist in .*kept/mnist are damaged .*delete that folder"):
        load(Mnist(), seed=0)


def test_a_file_with_a_wrong_checksum_is_not_kept(served: tuple[Path, str], tmp_path: Path) -> None:
    (served[0] / "set.bin").write_bytes(b"changed on the way")
    archive = Archive(urls=(served[1] + "set.bin",), path=tmp_path / "kept" / "set.bin", md5="0" * 32)
    with pytest.raises(DataError, match="the file's checksum is wrong"):
        fetch("set", [archive], lambda done, total: None)
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_file_that_is_there_and_right_is_not_fetched_again(tmp_path: Path) -> None:
    path = tmp_path / "set.bin"
    path.write_bytes(b"whole")
    fetch("set", [Archive(urls=(DEAD,), path=path, md5=md5(path))], lambda done, total: None)


def test_the_sizes_of_the_known_sets_are_known() -> None:
    known = [data_shape(s) for s in (Cifar10(), Cifar100(), Mnist(), FashionMnist(), Svhn())]
    assert [k and (*k.shape, k.n_classes, k.n_train) for k in known] == [
        (3, 32, 32, 10, 45_000),
        (3, 32, 32, 100, 45_000),
        (1, 28, 28, 10, 54_000),
        (1, 28, 28, 10, 54_000),
        (3, 32, 32, 10, 65_931),
    ]
