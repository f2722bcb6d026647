"""Q-FMNIST from miniature Fashion-MNIST files in the real IDX format."""

import gzip
import struct

import numpy as np
import pytest

from thesisbench.data.fashion_mnist import FILES, default_root
from thesisbench.errors import UserError
from thesisbench.methods.kayhan.detector_context.q_fmnist import q_fmnist_splits

NAMES = [
    "tshirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "boot",
]
SIZES = {"n_train": 40, "n_val": 20, "n_test": 30}


def _idx(array):
    """IDX bytes: two zeros, type 8 (unsigned byte), number of axes, sizes, values."""
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def _write(root, name, array, packed):
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    if packed:
        (raw / name).write_bytes(gzip.compress(_idx(array)))
    else:
        (raw / name.removesuffix(".gz")).write_bytes(_idx(array))


def _fill(root, packed=True):
    """60 training and 20 test images; pixel 0 is the class, pixel 1 the source: 1, 2 or 3."""
    for prefix, n in (("train", 60), ("t10k", 20)):
        classes = np.arange(n) % 10
        images = np.zeros((n, 28, 28))
        images[:, 0, 0] = 10 * (classes + 1)
        images[:, 0, 1] = 3 if prefix == "t10k" else np.where(np.arange(n) < 50, 1, 2)
        _write(root, f"{prefix}-images-idx3-ubyte.gz", images, packed)
        _write(root, f"{prefix}-labels-idx1-ubyte.gz", classes, packed)
    return root


def _names(images):
    values = (images[:, 0, ::28, ::28].flatten(1) * 255).round().int()
    return [[NAMES[v // 10 - 1] for v in row] for row in values.tolist()]


@pytest.mark.parametrize("packed", [True, False])
def test_full_context_is_as_printed_in_the_thesis(tmp_path, packed):
    splits = q_fmnist_splits(context="full", data_seed=0, root=_fill(tmp_path, packed), **SIZES)
    for source, (name, n) in enumerate({"train": 40, "val": 20, "test": 30}.items(), start=1):
        (images, boxes), labels = splits[name]
        assert images.shape == (n, 1, 56, 56)
        assert boxes.tolist() == [[0, 0, 28, 28]] * n
        printed = [
            ["pullover", "coat", "dress", "bag"],
            ["shirt", "sandal", "trouser", "boot"],
        ]
        assert _names(images) == [printed[label] for label in labels.tolist()]
        assert (images[:, 0, ::28, 1::28] * 255).round().eq(source).all()


def test_semi_context_has_its_own_order_and_anti_swaps_the_test(tmp_path):
    root = _fill(tmp_path)
    (images, _), _ = q_fmnist_splits(context="semi", data_seed=0, root=root, **SIZES)["train"]
    triples = {tuple(row[1:]) for row in _names(images)}
    assert triples == {("dress", "coat", "bag"), ("trouser", "sandal", "boot")}
    (images, _), _ = q_fmnist_splits(context="anti", data_seed=0, root=root, **SIZES)["test"]
    assert _names(images)[0] == ["pullover", "sandal", "trouser", "boot"]


def test_uncorrelated_context_never_shows_an_object_class(tmp_path):
    sizes = {**SIZES, "n_train": 400}
    splits = q_fmnist_splits(context="uncorrelated", data_seed=0, root=_fill(tmp_path), **sizes)
    (images, _), _ = splits["train"]
    assert {name for row in _names(images) for name in row[1:]} == set(NAMES) - {
        "pullover",
        "shirt",
    }


def test_a_missing_folder_names_the_four_files_and_the_place(tmp_path, monkeypatch):
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    assert default_root() == tmp_path / "fashion_mnist"
    with pytest.raises(UserError) as error:
        q_fmnist_splits(context="full", data_seed=0)
    message = str(error.value)
    assert all(name in message for name in FILES)
    assert str(tmp_path / "fashion_mnist" / "FashionMNIST" / "raw") in message
    assert "THESISBENCH_DATA" in message
    assert "\n" not in message


def test_the_default_folder_lies_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("THESISBENCH_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root() == tmp_path / ".cache" / "thesisbench" / "fashion_mnist"


def test_one_missing_file_is_named(tmp_path):
    root = _fill(tmp_path)
    (root / "FashionMNIST" / "raw" / FILES[3]).unlink()
    with pytest.raises(UserError, match=f"no {FILES[3]};"):
        q_fmnist_splits(context="full", data_seed=0, root=root)


@pytest.mark.parametrize("packed", [True, False])
def test_truncated_files_are_the_users_to_mend(tmp_path, packed):
    root = _fill(tmp_path, packed)
    name = FILES[0] if packed else FILES[0].removesuffix(".gz")
    path = root / "FashionMNIST" / "raw" / name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="cannot read Fashion-MNIST"):
        q_fmnist_splits(context="full", data_seed=0, root=root)
