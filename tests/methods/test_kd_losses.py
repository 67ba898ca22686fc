"""Every loss of the distillations against loops that anybody can check."""

import math

import pytest
import torch

from gradscope.labelling import soft_divergence
from gradscope.methods.distillation import first_epochs
from gradscope.methods.kd_attention import attention_difference
from gradscope.methods.kd_fitnet import hint
from gradscope.methods.kd_fsp import flow, flow_difference
from gradscope.methods.kd_gan import fooling, mimic, telling_apart
from gradscope.methods.kd_kr import settled, sparse_recoding, threshold_slope, transport
from gradscope.methods.kd_nst import discrepancy


def rand(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(values):
    top = max(values)
    e = [math.exp(v - top) for v in values]
    return [x / sum(e) for x in e]


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_softened_outputs(temperature):
    s, t = rand(5, 3), rand(5, 3, seed=1)
    total = 0.0
    for mine, theirs in zip(s.tolist(), t.tolist(), strict=True):
        p = softmax([v / temperature for v in theirs])
        q = softmax([v / temperature for v in mine])
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert soft_divergence(s, t, temperature).item() == close(temperature**2 * total / 5)
    assert soft_divergence(t, t, temperature).item() == pytest.approx(0, abs=1e-12)


def test_the_hint_is_a_mean_of_squares():
    a, b = rand(2, 3, 2, 2), rand(2, 3, 2, 2, seed=1)
    pairs = list(zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
    assert hint(a, b).item() == close(sum((x - y) ** 2 for x, y in pairs) / len(pairs))


def pooled(image):
    """A map [4][4] to [2][2] by the mean of each quarter."""
    return [[sum(image[2 * i + k][2 * j + m] for k in (0, 1) for m in (0, 1)) / 4 for j in (0, 1)] for i in (0, 1)]


def test_flow_between_two_maps_the_larger_one_pooled():
    first, last = rand(2, 3, 4, 4), rand(2, 5, 2, 2, seed=1)
    found = flow(first, last)
    assert found.shape == (2, 3, 5)
    for b in range(2):
        for i in range(3):
            small = pooled(first[b, i].tolist())
            for j in range(5):
                other = last[b, j].tolist()
                wanted = sum(small[y][x] * other[y][x] for y in (0, 1) for x in (0, 1)) / 4
                assert found[b, i, j].item() == close(wanted)


def test_flow_differences_of_sections_add_up():
    mine = [rand(2, 3, 4, 4), rand(2, 5, 2, 2, seed=1), rand(2, 4, 2, 2, seed=2)]
    theirs = [rand(2, 3, 8, 8, seed=3), rand(2, 5, 4, 4, seed=4), rand(2, 4, 4, 4, seed=5)]
    wanted = 0.0
    for k in (0, 1):
        gap = (flow(mine[k], mine[k + 1]) - flow(theirs[k], theirs[k + 1])).flatten().tolist()
        wanted += sum(g * g for g in gap) / len(gap)
    assert flow_difference(mine, theirs).item() == close(wanted)
    assert flow_difference(mine, mine).item() == 0


def test_neuron_selectivity():
    s, t = rand(2, 3, 2, 2), rand(2, 4, 2, 2, seed=1)

    def rows(features):
        out = []
        for row in features.flatten(1).tolist():
            length = math.sqrt(sum(v * v for v in row))
            out.append([v / length for v in row])
        return out

    def kernel(a, b):
        return sum(sum(x * y for x, y in zip(u, v, strict=True)) ** 2 for u in a for v in b) / (len(a) * len(b))

    total = 0.0
    for b in range(2):
        a, c = rows(s[b]), rows(t[b])
        total += kernel(c, c) + kernel(a, a) - 2 * kernel(a, c)
    assert discrepancy(s, t).item() == close(total / 2)
    assert discrepancy(t, t).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_attention(power):
    s, t = rand(2, 3, 2, 2), rand(2, 5, 2, 2, seed=1)

    def maps(features):
        out = []
        for picture in features.flatten(2).tolist():
            row = [sum(abs(channel[p]) ** power for channel in picture) / len(picture) for p in range(4)]
            length = math.sqrt(sum(v * v for v in row))
            out += [v / length for v in row]
        return out

    wanted = sum((a - b) ** 2 for a, b in zip(maps(s), maps(t), strict=True)) / 8
    assert attention_difference(s, t, power).item() == close(wanted)


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def test_the_game_of_student_teacher_and_discriminator():
    c, t, d = rand(4, 3), rand(4, 3, seed=1), rand(4, 3, seed=2)
    labels = [0, 2, 1, 1]

    def expected(player):
        rows = zip(player.tolist(), d.tolist(), strict=True)
        return sum(sum(p * math.log(1 - sigmoid(v)) for p, v in zip(softmax(z), vs, strict=True)) for z, vs in rows) / 4

    assert fooling(c, d).item() == close(expected(c))
    true = sum(math.log(sigmoid(d[i, y].item())) for i, y in enumerate(labels)) / 4
    wanted = -true - 0.7 * expected(c) - 0.3 * expected(t)
    assert telling_apart(d, torch.tensor(labels), c, t, 0.3).item() == close(wanted)
    distance = sum(
        sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for x, y in zip(c.tolist(), t.tolist(), strict=True)
    )
    assert mimic(c, t).item() == close(0.5 * distance / 4)


def test_the_discriminator_learns_what_its_loss_says_and_the_student_to_fool_it():
    d = torch.zeros(2, 3, requires_grad=True)
    telling_apart(d, torch.tensor([0, 1]), torch.zeros(2, 3), torch.zeros(2, 3), 0.5).backward()
    assert d.grad[0, 0] < 0, "the verdict on the true label goes up"
    assert (d.grad[0, 1:] > 0).all(), "and those on others down"
    c = torch.zeros(1, 3, requires_grad=True)
    fooling(c, torch.tensor([[2.0, -1.0, -1.0]])).backward()
    assert c.grad[0, 0] < 0, "the student prefers the label that passes"


@pytest.mark.parametrize("kappa", [1.5, 2.0, 4.0])
def test_sparse_recoding_rewards_alike_inside_and_grows_outside(kappa):
    values, eta = rand(50).requires_grad_(True), 0.4
    found = sparse_recoding(values, eta, kappa)
    for u, h in zip(values.tolist(), found.tolist(), strict=True):
        assert h == close(eta if abs(u) <= eta else kappa * abs(u) - (kappa - 1) * eta)
    (grad,) = torch.autograd.grad(found.sum(), values)
    inside = values.abs() <= eta
    assert (grad[inside] == 0).all()
    assert torch.equal(grad[~inside], kappa * values[~inside].sign())


def test_the_slope_of_a_threshold_is_that_of_the_mean_penalty():
    values, eta = rand(500), torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    (wanted,) = torch.autograd.grad(sparse_recoding(values, eta, 3.0).mean(), eta)
    assert threshold_slope(values, 0.4, 3.0).item() == close(wanted.item())


@pytest.mark.parametrize(("kappa", "eta"), [(1.5, 0.434), (2.0, 0.679), (3.0, 0.972), (4.0, 1.151)])
def test_a_threshold_settles_where_the_theory_says(kappa, eta):
    values, threshold = rand(20_000), torch.tensor(0.05)
    for _ in range(400):
        threshold = settled(values, threshold, kappa, rate=0.05)
    inside = (values.abs() <= threshold).double().mean().item()
    assert inside == pytest.approx((kappa - 1) / kappa, abs=0.01)
    assert threshold.item() == pytest.approx(eta, rel=0.03)


def test_transport_counts_the_worse_layers_more_and_holds_that_weight_fixed():
    t, k = 7 * rand(2, 3, 2, 2), (7 * rand(2, 3, 2, 2, seed=1)).requires_grad_(True)
    mean = t.mean().item()
    spread = math.sqrt(sum((v - mean) ** 2 for v in t.flatten().tolist()) / t.numel())
    gap = ((t - k) / spread).detach()
    std = math.sqrt(sum((v - gap.mean().item()) ** 2 for v in gap.flatten().tolist()) / gap.numel())
    loss = transport(t, k)
    assert loss.item() == close(std * sum(v * v for v in gap.flatten().tolist()) / gap.numel())
    (grad,) = torch.autograd.grad(loss, k)
    torch.testing.assert_close(grad, -2 * std * gap / spread / gap.numel())


def test_how_many_epochs_a_first_stage_has():
    assert [first_epochs(s, 240) for s in (0, 0.125, 0.001, 0.999)] == [0, 30, 1, 239]
    assert first_epochs(0.5, 1) == 0
