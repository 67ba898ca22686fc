"""The hand-written digits that come with scikit-learn (Alpaydin & Kaynak 1998, UCI): 1,797 grey pictures of 8x8."""

import torch

from gradscope.config import Digits
from gradscope.data.dataset import Progress, Source, Split
from gradscope.data.scikit_digits import read_scikit_digits
from gradscope.data.sizes import DIGITS_TEST
from gradscope.data.splits import stratified_order

_TEST_SEED = 1998  # the set comes without a test set; ours is the same for every run


def read_digits(settings: Digits, progress: Progress) -> Source:
    """All digits, 0..16 scaled to 0..255; 270 of them held out for the test, the same ones whatever the run's seed."""
    pictures, labels = read_scikit_digits()
    images = torch.from_numpy(pictures).double().mul(255 / 16).round().to(torch.uint8)[:, None]
    everything = Split(images=images, labels=torch.from_numpy(labels))
    order = stratified_order(everything.labels, torch.Generator().manual_seed(_TEST_SEED))
    progress(len(everything), len(everything))
    return Source(
        train=everything.take(order[DIGITS_TEST:].sort().values),
        test=everything.take(order[:DIGITS_TEST].sort().values),
        classes=tuple(str(digit) for digit in range(10)),
        train_name="digits",
        test_name="digits",
    )
