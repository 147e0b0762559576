#!/usr/bin/env python3
"""Writes losses.txt: value and gradient of every logit loss, by PyTorch's autograd in double precision.

    python3 make_golden.py            writes losses.txt beside this file
    python3 make_golden.py --check    only compares, with what is there and with the other authors' way of computing

Each loss is written here from its definition, in logarithms (log_softmax, logsumexp), one row at a time, over the
classes that are not masked. `others` holds a second expression of each loss, in the manner of the code that people use
(PyTorch's own functions, mdistiller, cls_KD, TRL, DistiLLM, AlphaNet); on ordinary rows both must agree, and a
table says what the second one returns on masked and one-hot rows. The format of the file is described in README.md.
"""

import argparse
import math
import pathlib
import platform
import sys

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = pathlib.Path(__file__).resolve().parent
INFINITY = float("inf")


# ---------------------------------------------------------------------------------------------------- definitions
# Each takes one row: student and teacher logits divided by the temperature (masked classes are gone), the label's
# place, and the loss's parameters. p is the teacher's softmax, q the student's.


def logs(s, t):
    return torch.log_softmax(t, 0), torch.log_softmax(s, 0)  # log p, log q


def without(x, label):
    return torch.cat([x[:label], x[label + 1 :]])


def kl(a, b):
    """KL between two rows of log-probabilities."""
    return (a.exp() * (a - b)).sum()


def mixed(a, b, weight):
    """log(weight exp(a) + (1 - weight) exp(b))"""
    return torch.logaddexp(a + math.log(weight), b + math.log1p(-weight))


def cross_entropy(s, t, label, smoothing):
    log_q = torch.log_softmax(s, 0)
    uniform = log_q.mean() if smoothing else 0.0
    return -(1 - smoothing) * log_q[label] - smoothing * uniform


def soft_cross_entropy(s, t, label):
    log_p, log_q = logs(s, t)
    return -(log_p.exp() * log_q).sum()


def forward_kl(s, t, label):
    log_p, log_q = logs(s, t)
    return kl(log_p, log_q)


def reverse_kl(s, t, label):
    log_p, log_q = logs(s, t)
    return kl(log_q, log_p)


def jensen_shannon(s, t, label, beta):
    log_p, log_q = logs(s, t)
    log_m = mixed(log_p, log_q, beta)
    return beta * kl(log_p, log_m) + (1 - beta) * kl(log_q, log_m)


def skew_kl(s, t, label, alpha):
    log_p, log_q = logs(s, t)
    return kl(log_p, mixed(log_p, log_q, alpha))


def skew_reverse_kl(s, t, label, alpha):
    log_p, log_q = logs(s, t)
    return kl(log_q, mixed(log_q, log_p, alpha))


def total_variation(s, t, label):
    log_p, log_q = logs(s, t)
    return 0.5 * (log_p.exp() - log_q.exp()).abs().sum()


def squared_hellinger(s, t, label):
    log_p, log_q = logs(s, t)
    return 0.5 * ((log_p / 2).exp() - (log_q / 2).exp()).square().sum()


def alpha_divergence(s, t, label, alpha):
    log_p, log_q = logs(s, t)
    return ((alpha * log_p + (1 - alpha) * log_q).exp().sum() - 1) / (alpha * (alpha - 1))


def mse(s, t, label):
    return (s - t).square().mean()


def dkd(s, t, label, alpha, beta):
    log_p, log_q = logs(s, t)
    value = 0.0
    # target against the rest
    pair_p = torch.stack([log_p[label], torch.logsumexp(without(log_p, label), 0)])
    pair_q = torch.stack([log_q[label], torch.logsumexp(without(log_q, label), 0)])
    value = alpha * kl(pair_p, pair_q)
    # among the rest
    rest_p, rest_q = logs(without(s, label), without(t, label))
    return value + beta * kl(rest_p, rest_q)


def nkd_part(s, t, label, temperature, entropy):
    rest_p, rest_q = logs(without(s, label) / temperature, without(t, label) / temperature)
    return (kl(rest_p, rest_q) if entropy else -(rest_p.exp() * rest_q).sum()) * temperature**2


def nkd(s, t, label, gamma, temperature):
    log_p, log_q = logs(s, t)
    return -log_p[label].exp() * log_q[label] + gamma * nkd_part(s, t, label, temperature, False)


def nkd_kl(s, t, label, gamma, temperature):
    """The same gradient, and 0 where student and teacher agree but for the label's own term."""
    log_p, log_q = logs(s, t)
    return -log_p[label].exp() * log_q[label] + gamma * nkd_part(s, t, label, temperature, True)


# name, power of T, parameter sets (defaults first)
LOSSES = [
    (cross_entropy, 1, [(0.0,), (0.1,)]),
    (soft_cross_entropy, 2, [()]),
    (forward_kl, 2, [()]),
    (reverse_kl, 2, [()]),
    (jensen_shannon, 2, [(0.5,), (0.1,), (0.9,)]),
    (skew_kl, 2, [(0.1,), (0.5,)]),
    (skew_reverse_kl, 2, [(0.1,), (0.5,)]),
    (total_variation, 1, [()]),
    (squared_hellinger, 2, [()]),
    (alpha_divergence, 2, [(0.5,), (-1.0,), (2.0,)]),
    (mse, 2, [()]),
    (dkd, 2, [(1.0, 8.0), (0.5, 2.0)]),
    (nkd, 0, [(1.5, 1.0), (1.5, 4.0), (0.75, 0.5)]),  # its own temperature and its square are inside
    (nkd_kl, 0, [(1.5, 4.0)]),
]


def evaluate(loss, parameters, temperature, data):
    """Values of the rows, and the gradient of their sum, with zeros at masked classes."""
    student = data["student"].clone().requires_grad_(True)
    values = []
    for r in range(student.shape[0]):
        kept = [c for c in range(student.shape[1]) if student[r, c] > -INFINITY]
        s, t = student[r, kept] / temperature, data["teacher"][r, kept] / temperature
        values.append(loss(s, t, kept.index(data["labels"][r]), *parameters))
    values = torch.stack(values)
    values.sum().backward()
    assert torch.isfinite(values).all() and torch.isfinite(student.grad).all(), loss.__name__
    return values.detach(), student.grad


# ------------------------------------------------------------------------- the same, as other people compute it
# Whole batches, scaled as there, mean over the batch. Returns the scalar that would be backpropagated; where the code
# leaves the teacher's own entropy out, it is added here, and the comment says so.


def other_cross_entropy(s, t, y, temperature, smoothing):
    return F.cross_entropy(s / temperature, y, label_smoothing=smoothing) * temperature


def other_soft_cross_entropy(s, t, y, temperature):
    return F.cross_entropy(s / temperature, torch.softmax(t / temperature, 1)) * temperature**2


def other_forward_kl(s, t, y, temperature):
    log_q, p = F.log_softmax(s / temperature, 1), F.softmax(t / temperature, 1)
    return F.kl_div(log_q, p, reduction="batchmean") * temperature**2


def other_reverse_kl(s, t, y, temperature):
    """TRL's generalised JSD at beta = 1; its temperature factor is ours."""
    pair = F.log_softmax(t / temperature, 1), F.log_softmax(s / temperature, 1)
    return F.kl_div(*pair, reduction="none", log_target=True).sum() / len(y) * temperature**2


def other_jensen_shannon(s, t, y, temperature, beta):
    """TRL, generalised JSD, 0 < beta < 1."""
    weight = torch.tensor(beta)
    log_q, log_p = F.log_softmax(s / temperature, 1), F.log_softmax(t / temperature, 1)
    log_m = torch.logsumexp(torch.stack([log_q + torch.log1p(-weight), log_p + torch.log(weight)]), 0)
    of_p = F.kl_div(log_m, log_p, reduction="none", log_target=True)
    of_q = F.kl_div(log_m, log_q, reduction="none", log_target=True)
    return (weight * of_p + (1 - weight) * of_q).sum() / len(y) * temperature**2


def other_skew_kl(s, t, y, temperature, alpha):
    """DistiLLM's skewed forward KL is the cross-entropy with the mixture; the teacher's entropy is added here."""
    p, q = F.softmax(t / temperature, 1), F.softmax(s / temperature, 1)
    hidden = torch.isinf(s) | torch.isinf(t)
    cross = -torch.masked_fill(p * torch.log(alpha * p + (1 - alpha) * q), hidden, 0).sum(1)
    entropy = torch.masked_fill(p * F.log_softmax(t / temperature, 1), hidden, 0).sum(1)
    return (cross + entropy).mean() * temperature**2


def other_skew_reverse_kl(s, t, y, temperature, alpha):
    """DistiLLM."""
    p, q = F.softmax(t / temperature, 1), F.softmax(s / temperature, 1)
    hidden = torch.isinf(s) | torch.isinf(t)
    part = torch.masked_fill(q * torch.log((1 - alpha) * p + alpha * q), hidden, 0)
    part = part - torch.masked_fill(q * F.log_softmax(s / temperature, 1), hidden, 0)
    return -part.sum(1).mean() * temperature**2


def other_total_variation(s, t, y, temperature):
    """DistiLLM; its temperature factor is ours."""
    return 0.5 * (F.softmax(t / temperature, 1) - F.softmax(s / temperature, 1)).abs().sum(1).mean() * temperature


def other_squared_hellinger(s, t, y, temperature):
    """As one minus the Bhattacharyya coefficient."""
    product = F.softmax(t / temperature, 1) * F.softmax(s / temperature, 1)
    return (1 - product.sqrt().sum(1)).mean() * temperature**2


def other_alpha_divergence(s, t, y, temperature, alpha):
    """AlphaNet without its clip: a value from detached ratios, and a surrogate that carries the gradient."""
    u, v = s / temperature, t / temperature
    q, p, log_q = F.softmax(u, 1).detach(), F.softmax(v, 1), F.log_softmax(u, 1)
    ratio = torch.pow(p / q, alpha)
    base = 1 / (alpha * (alpha - 1))
    value = (q * (ratio * base - base)).sum(1)
    surrogate = -(q * (ratio / alpha + base) * log_q).sum(1)
    return (value + surrogate - surrogate.detach()).mean() * temperature**2


def other_mse(s, t, y, temperature):
    return F.mse_loss(s, t)


def other_dkd(s, t, y, temperature, alpha, beta):
    """mdistiller: the target is taken out of the rest by subtracting 1000 from its logit after the division by T."""
    chosen = F.one_hot(y, s.shape[1])
    p, q = F.softmax(t / temperature, 1), F.softmax(s / temperature, 1)
    two_p = torch.stack([(p * chosen).sum(1), (p * (1 - chosen)).sum(1)], 1)
    two_q = torch.stack([(q * chosen).sum(1), (q * (1 - chosen)).sum(1)], 1)
    target = F.kl_div(torch.log(two_q), two_p, reduction="sum")
    rest_p = F.softmax(t / temperature - 1000.0 * chosen, 1)
    rest_q = F.log_softmax(s / temperature - 1000.0 * chosen, 1)
    rest = F.kl_div(rest_q, rest_p, reduction="sum")
    return (alpha * target + beta * rest) * temperature**2 / len(y)


def other_nkd(s, t, y, temperature, gamma, own):
    """cls_KD since 10 October 2023: the non-target logits are gathered. Cross-entropies, both parts."""
    assert temperature == 1
    n, chosen = len(y), F.one_hot(y, s.shape[1]).bool()
    target = -(F.softmax(t, 1)[chosen] * F.log_softmax(s, 1)[chosen]).mean()
    rest_s, rest_t = s[~chosen].reshape(n, -1) / own, t[~chosen].reshape(n, -1) / own
    rest = -(F.softmax(rest_t, 1) * F.log_softmax(rest_s, 1)).sum(1).mean()
    return target + gamma * own**2 * rest


def other_nkd_kl(s, t, y, temperature, gamma, own):
    rest = t.masked_fill(F.one_hot(y, s.shape[1]).bool(), -INFINITY) / own
    entropy = torch.nan_to_num(F.softmax(rest, 1) * F.log_softmax(rest, 1)).sum(1).mean()
    return other_nkd(s, t, y, temperature, gamma, own) + gamma * own**2 * entropy


def compare_with_others(name, power, parameters, temperature, data, values, gradient):
    student = data["student"].clone().requires_grad_(True)
    other = globals()["other_" + name](student, data["teacher"], torch.tensor(data["labels"]), float(temperature), *parameters)
    other.backward()
    scale = temperature**power
    expected, slope = scale * values.mean(), scale * gradient / len(values)
    value_error = abs(other.item() - expected.item()) / max(abs(expected.item()), 1e-300)
    slope_error = ((student.grad - slope).abs().max() / slope.abs().max().clamp_min(1e-300)).item()
    return value_error, slope_error


def check_published_numbers():
    """Generalised JSD at z_S = (1, 0, -1), z_T = (2, 0, 0): numbers computed elsewhere, to ten decimals."""
    s, t = torch.tensor([1.0, 0.0, -1.0]), torch.tensor([2.0, 0.0, 0.0])
    for beta, number in ((0.1, 0.0056318098), (0.5, 0.0168735850), (0.9, 0.0066988225)):
        assert abs(jensen_shannon(s, t, 0, beta).item() - number) < 1e-9, beta
    assert abs(forward_kl(s, t, 0).item() - 0.0615542193) < 1e-9
    assert abs(reverse_kl(s, t, 0).item() - 0.0766672728) < 1e-9


# ---------------------------------------------------------------------------------------------------------- data


def draw(generator, rows, classes, scale=3.0):
    """Logits that are multiples of 1/512: exact in float too, so that one file serves both precisions."""
    return torch.round(torch.randn(rows, classes, generator=generator) * scale * 512) / 512


def make_data():
    generator = torch.Generator().manual_seed(20240229)
    data = {}
    for name, rows, classes in (("small", 5, 7), ("letters", 4, 26), ("wide", 2, 129)):
        teacher = draw(generator, rows, classes)
        student = 0.5 * teacher + draw(generator, rows, classes, 2.0)
        student = torch.round(student * 512) / 512
        labels = torch.randint(classes, (rows,), generator=generator).tolist()
        labels[0] = int(teacher[0].argmax())  # a label that the teacher believes, the others by chance
        data[name] = dict(student=student, teacher=teacher, labels=labels)

    # -inf at the same classes of both: as many as leave three, one at the front, one at the back
    teacher, student = draw(generator, 4, 10), draw(generator, 4, 10)
    for row, classes in enumerate(([0], [9], [2, 3, 5], [0, 1, 3, 5, 6, 8, 9])):
        teacher[row, classes] = student[row, classes] = -INFINITY
    data["masked"] = dict(student=student, teacher=teacher, labels=[4, 0, 9, 7])

    # one logit at 1e4: in the teacher, in the student, in both at one class, and at two classes; the label on it and not
    teacher, student = draw(generator, 6, 9), draw(generator, 6, 9)
    teacher[0, 2] = teacher[1, 2] = 1e4
    student[2, 3] = 1e4
    teacher[3, 8] = student[3, 8] = 1e4
    teacher[4, 0] = student[4, 0] = 1e4
    teacher[5, 1] = student[5, 6] = 1e4
    data["hot"] = dict(student=student, teacher=teacher, labels=[2, 5, 3, 8, 4, 1])
    return data


def plan(data):
    """(loss, power, parameters, T, data): everything on the small rows, less on the larger ones."""
    for loss, power, sets in LOSSES:
        own_temperature = power == 0
        for index, parameters in enumerate(sets):
            for temperature in (1.0,) if own_temperature else (1.0, 4.0, 0.5):
                yield loss, power, parameters, temperature, "small"
                if index == 0 and temperature != 0.5 or temperature == 4.0 and not own_temperature:
                    yield loss, power, parameters, temperature, "letters"
            if index == 0:
                yield loss, power, parameters, 1.0 if own_temperature else 4.0, "wide"
            if loss is not mse and not (loss is cross_entropy and parameters[0]):
                yield loss, power, parameters, 1.0 if own_temperature else 4.0, "masked"
            # divergences that are infinite in exact arithmetic, or overflow, have no place here
            if index == 0:
                yield loss, power, parameters, 1.0 if own_temperature else 4.0, "hot"


def number(x):
    if x == -INFINITY:
        return "-inf"
    text = f"{x:.17g}"
    return text if float(text) == x and text != "-0" else "0"


def matrix(x):
    return "\n".join(" ".join(number(v) for v in row) for row in x.tolist())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if losses.txt holds other numbers")
    arguments = parser.parse_args()
    check_published_numbers()

    data = make_data()
    lines = []
    for name, d in data.items():
        rows, classes = d["student"].shape
        lines += [f"data {name} rows {rows} classes {classes}", "labels " + " ".join(map(str, d["labels"])),
                  "student", matrix(d["student"]), "teacher", matrix(d["teacher"])]

    worst, count, special = {}, 0, []
    for loss, power, parameters, temperature, where in plan(data):
        d = data[where]
        values, gradient = evaluate(loss, parameters, temperature, d)
        mean = temperature**power * values.mean().item()
        lines += [f"case {loss.__name__} T {number(temperature)} power {power} parameters {len(parameters)}"
                  + "".join(" " + number(p) for p in parameters) + f" data {where}",
                  "values " + " ".join(number(v) for v in values.tolist()), "mean " + number(mean),
                  "gradient", matrix(gradient)]
        count += 1
        errors = compare_with_others(loss.__name__, power, parameters, temperature, d, values, gradient)
        if where in ("masked", "hot"):
            if not all(e < 1e-9 for e in errors):
                special.append((loss.__name__, parameters, temperature, where, *errors))
        else:
            before = worst.get(loss.__name__, (0.0, 0.0))
            worst[loss.__name__] = (max(before[0], errors[0]), max(before[1], errors[1]))
    lines.append(f"end {count}")
    text = "\n".join(lines) + "\n"

    print(f"Python {platform.python_version()}, PyTorch {torch.__version__}: {count} cases, {len(text)} bytes")
    print("largest relative difference from the other way of computing, on ordinary rows: of the mean, of the gradient")
    for name, (value, slope) in worst.items():
        print(f"  {name:20} {value:8.1e} {slope:8.1e}")
    print("on masked and one-hot rows the other way differs (nan: it returns no number):")
    for name, parameters, temperature, where, value, slope in special:
        print(f"  {name:20} {str(parameters):12} T {temperature:<4g} {where:7} {value:8.1e} {slope:8.1e}")
    bad = [name for name, errors in worst.items() if not max(errors) < 1e-11]
    if bad:
        sys.exit("the two ways of computing disagree: " + ", ".join(bad))

    target = HERE / "losses.txt"
    if not arguments.check:
        target.write_text(text)
        return
    # other versions of PyTorch may differ in the last digits
    old, new = target.read_text().split(), text.split()
    if len(old) != len(new):
        sys.exit("losses.txt has another length")
    for a, b in zip(old, new):
        try:
            x, y = float(a), float(b)
        except ValueError:
            if a != b:
                sys.exit(f"losses.txt says {a} where {b} was made")
            continue
        if x != y and abs(x - y) > 1e-12 + 1e-9 * max(abs(x), abs(y)):
            sys.exit(f"losses.txt says {a} where {b} was made")
    print("losses.txt agrees")


if __name__ == "__main__":
    main()
