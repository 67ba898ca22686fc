import pytest

from gradscope.analysis.quantities import of_quantity, quantities, quantity_and_split

NAMES = ["lr", "val_acc", "train_loss", "f1", "eval/loss", "grad_norm", "Accuracy", "test_accuracy"]


@pytest.mark.parametrize(
    ("name", "quantity", "split"),
    [
        ("loss", "loss", "training"),
        ("Loss/train", "loss", "training"),
        ("valid-loss", "loss", "validation"),
        ("test_acc", "accuracy", "test"),
        ("learning_rate", "learning rate", "training"),
        ("latest_loss", "latest loss", "training"),
        ("val", "val", "training"),
        ("F1.macro", "F1 macro", "training"),
        ("", "", "training"),
    ],
)
def test_a_curve_is_told_by_its_name(name: str, quantity: str, split: str) -> None:
    assert quantity_and_split(name) == (quantity, split)


def test_what_everybody_looks_at_comes_first() -> None:
    assert quantities(NAMES) == ["loss", "accuracy", "learning rate", "f1", "grad norm"]
    assert of_quantity("accuracy", NAMES) == ["val_acc", "Accuracy", "test_accuracy"]
