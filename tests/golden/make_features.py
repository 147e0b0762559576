#!/usr/bin/env python3
"""Writes features.txt: value and gradients of the losses between layers, by PyTorch's autograd in double precision.

    python3 make_features.py            writes features.txt beside this file
    python3 make_features.py --check    only compares with what is there

Each loss is written in the form of the code that its header names (torch.cdist, F.normalize, torch.quantile, bmm, ...),
so the numbers are those of that code up to rounding. The format, words and numbers separated by white space:

    case NAME parameters k p1 ... pk samples N student A teacher B
    N x A numbers, N x B numbers          student and teacher
    value v gradient                      N x A numbers, with respect to the student
    learned K                             K numbers: gradients of learned parameters
    end COUNT
"""

import math
import pathlib
import sys

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = pathlib.Path(__file__).resolve().parent


class Stream:
    """The library's random_stream: SplitMix64."""

    MASK = (1 << 64) - 1

    def __init__(self, seed):
        self.state = seed & self.MASK

    def __call__(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & self.MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & self.MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & self.MASK
        return z ^ (z >> 31)

    def uniform(self):
        return (self() >> 11) * 2.0**-53

    def below(self, n):
        unfair = ((1 << 64) - n) % n
        x = self()
        while x < unfair:
            x = self()
        return x % n

    def split(self, index):
        child = Stream(self.state ^ ((0xD1342543DE82EF95 * (index + 1)) & self.MASK))
        return Stream(child())


def hint(s, t):
    return (0.5 * (t - s) ** 2).sum(1).mean()


def attention(channels_s, channels_t, p):
    def at(f, c):
        return F.normalize(f.view(len(f), c, -1).abs().pow(p).mean(1))

    return lambda s, t: (at(s, channels_s) - at(t, channels_t)).pow(2).mean()


def vid(rho):
    def loss(s, t):
        s, t = (x.view(len(x), len(rho), -1) for x in (s, t))
        variance = (torch.log(1 + torch.exp(rho)) + 1e-5).view(1, -1, 1)
        return (0.5 * ((s - t) ** 2 / variance + torch.log(variance))).mean()

    return loss


def ickd(channels):
    def gram(f):
        f = f.view(len(f), channels, -1)
        return F.normalize(torch.bmm(f, f.permute(0, 2, 1)), dim=2)

    return lambda s, t: ((gram(s) - gram(t)) ** 2).sum() / (channels * len(s))


def hard_quantile(p):
    def loss(s, t):
        distance = (t - s) ** 2
        return distance[distance >= torch.quantile(distance, p)].mean()

    return loss


def info_nce(temperature, symmetric):
    def loss(s, t):
        logits = F.normalize(s) @ F.normalize(t).t() / temperature
        labels = torch.arange(len(s))
        rows = F.cross_entropy(logits, labels)
        return (rows + F.cross_entropy(logits.t(), labels)) / 2 if symmetric else rows

    return loss


def sinkhorn(temperature, epsilon, iterations):
    def loss(s, t):
        cost = torch.cdist(torch.softmax(s / temperature, 1), torch.softmax(t / temperature, 1), p=1)
        plan = torch.exp(-cost / epsilon)
        for _ in range(iterations):
            plan = plan / plan.sum(1, keepdim=True)
            plan = plan / plan.sum(0, keepdim=True)
        return (plan * cost).sum()

    return loss


def margin_mse(s, t):
    return (((s[:, :1] - s[:, 1:]) - (t[:, :1] - t[:, 1:])) ** 2).mean()


def pld(labels, temperature):
    def loss(s, t):
        total = 0
        for r, label in enumerate(labels):
            others = [c for c in torch.argsort(t[r], descending=True, stable=True).tolist() if c != label]
            order = torch.tensor([label] + others)
            ranked = s[r][order]
            tails = torch.logcumsumexp(ranked.flip(0), 0).flip(0)
            total = total + (torch.softmax(t[r] / temperature, 0)[order] * (tails - ranked)).sum()
        return total / len(s)

    return loss


def crd(learned, indices, samples, dimension, negatives, temperature, momentum, seed):
    """Two steps, the second of which is written down: then the memory has moved and the normalisers are set."""
    stream = Stream(seed)
    bound = math.sqrt(3 / dimension)
    entry = lambda: [(2 * stream.uniform() - 1) * bound for _ in range(dimension)]
    memory = [torch.tensor([entry() for _ in range(samples)]) for _ in "st"]
    z = [None, None]

    def embed(x, w, b):
        x = x @ w.t() + b
        return x / x.pow(2).sum(1, keepdim=True).sqrt()

    def step(s, t):
        base = Stream(stream())
        drawn = []
        for r, own in enumerate(indices):
            row = base.split(r)
            drawn.append([own] + [row.below(samples) for _ in range(negatives)])
        drawn = torch.tensor(drawn)
        units = [embed(s, *learned[:2]), embed(t, *learned[2:])]
        total = 0
        for side in range(2):
            out = torch.exp(torch.einsum("bkd,bd->bk", memory[1 - side][drawn], units[side]) / temperature)
            if z[side] is None:
                z[side] = out.mean().item() * samples
            x = out / z[side]
            noise = negatives / samples
            positive = torch.log(x[:, 0] / (x[:, 0] + noise + 1e-7))
            negative = torch.log(noise / (x[:, 1:] + noise + 1e-7))
            total = total - (positive.sum() + negative.sum()) / len(s)
        for side in range(2):
            for r, own in enumerate(indices):
                moved = momentum * memory[side][own] + (1 - momentum) * units[side][r].detach()
                memory[side] = memory[side].clone()
                memory[side][own] = moved / moved.norm()
        return total

    def loss(s, t):
        step(s.detach(), t)
        return step(s, t)

    return loss


def fsp(first, second):
    def flow(f):
        f = f.view(len(f), first + second, -1)
        return (f[:, :first].unsqueeze(2) * f[:, first:].unsqueeze(1)).mean(-1)

    return lambda s, t: (flow(s) - flow(t)).pow(2).sum() / len(s)


def factor_transfer(p):
    return lambda s, t: torch.norm(F.normalize(s) - F.normalize(t), p, dim=1).mean()


def activation_boundaries(margin):
    def loss(s, t):
        wrong = (s + margin) ** 2 * ((s > -margin) & (t <= 0)) + (s - margin) ** 2 * ((s <= margin) & (t > 0))
        return wrong.abs().sum() / len(s)

    return loss


def overhaul(scale, shift):
    cdf = torch.distributions.Normal(0.0, 1.0).cdf
    margins = []
    for s, m in zip(scale.abs(), shift):
        low = cdf(-m / s)
        density = torch.exp(-((m / s) ** 2) / 2) / math.sqrt(2 * math.pi)
        margins.append(m - s * density / low if low > 0.001 else -3 * s)
    margins = torch.stack(margins).view(1, -1, 1)

    def loss(s, t):
        s, t = (x.view(len(x), len(scale), -1) for x in (s, t))
        target = torch.max(t, margins)
        return (F.mse_loss(s, target, reduction="none") * ((s > target) | (target > 0))).sum() / len(s)

    return loss


def pad_l2(s, t):
    s, v = s.chunk(2, dim=1)
    return ((t - s) ** 2 / (1e-6 + torch.exp(v)) + v).mean()


def log_sum(alpha):
    return lambda s, t: torch.log((s - t).abs().pow(alpha).sum())


def channel_affinity(channels):
    def affinities(f):
        f = F.normalize(f.view(len(f), channels, -1), dim=2)
        return f.unsqueeze(3) * f.unsqueeze(2) / f.shape[2]

    return lambda s, t: (affinities(s) - affinities(t)).norm(p=2, dim=(2, 3)).sum(1).mean()


def position_similarity(channels_s, channels_t):
    def cosines(f, channels):
        f = F.normalize(f.view(len(f), channels, -1), dim=1)
        return torch.einsum("icm,icn->imn", f, f)

    return lambda s, t: (cosines(s, channels_s) - cosines(t, channels_t)).pow(2).mean()


def sskd(views, temperature, keep):
    def loss(s, t):
        index = torch.arange(len(s))
        def similarity(f):
            return F.cosine_similarity(f[index % views != 0].unsqueeze(1), f[index % views == 0].unsqueeze(0), dim=2)

        s, t = similarity(s), similarity(t)
        target = (index // views)[index % views != 0]
        rank = torch.argsort(t, dim=1, descending=True, stable=True)
        rank = torch.argmax(torch.eq(rank, target.unsqueeze(1)).long(), dim=1)
        wrong = int((rank > 0).sum())
        kept = torch.argsort(rank, stable=True)[: len(rank) - wrong + int(wrong * keep)].sort()[0]
        log_q, p = F.log_softmax(s / temperature, dim=1), F.softmax(t / temperature, dim=1)
        return F.kl_div(log_q[kept], p[kept], reduction="batchmean") * temperature**2

    return loss


def kdsvd(first, second, positions_s, positions_t, k):
    """RepDistiller's, with the sign that the library gives the teacher's vectors."""

    def layers(f, positions):
        a, b = f[:, : first * positions], f[:, first * positions :]
        return a.view(len(f), first, -1).transpose(1, 2), b.view(len(f), second, -1).transpose(1, 2)

    def loss(s, t):
        total, before = 0, None
        for f_s, f_t in zip(layers(s, positions_s), layers(t, positions_t)):
            _, s_t, v_t = torch.svd(f_t)
            s_t, v_t = F.normalize(s_t[:, :k], dim=1).unsqueeze(1), v_t[:, :, :k]
            v_t = v_t * torch.sign(v_t.sum(1, keepdim=True))
            v_s = torch.svd(f_s)[2][:, :, : k + 3]
            cosine = v_s.transpose(1, 2) @ v_t
            largest = cosine.abs().max(1, keepdim=True)[0]
            v_s = v_s @ torch.where(largest == cosine.abs(), torch.sign(cosine), torch.zeros_like(cosine)).detach()
            v_s, v_t = v_s * s_t, v_t * s_t
            if before:
                g_s, g_t = (torch.exp(-((x.unsqueeze(2) - y.unsqueeze(1)) ** 2) / 8) for x, y in zip((v_s, v_t), before))
                total = (g_s - g_t).pow(2).sum() / len(s)
            before = v_s, v_t
        return total

    return loss


def cases():
    random = torch.Generator().manual_seed(5)

    def numbers(*shape, scale=1.0):
        return (torch.randn(*shape, generator=random) * scale * 512).round() / 512

    yield "hint", [], numbers(3, 5), numbers(3, 5), hint, []
    yield "feature_mse", [], numbers(3, 5), numbers(3, 5), F.mse_loss, []
    for p in (2, 3, 1.5):
        yield "attention_transfer", [3, 2, p], numbers(3, 12), numbers(3, 8), attention(3, 2, p), []
    rho = numbers(3).requires_grad_()
    yield "vid", [3, *rho.tolist()], numbers(4, 6), numbers(4, 6), vid(rho), [rho]
    yield "ickd", [3], numbers(2, 12), numbers(2, 15), ickd(3), []
    for p in (0.0, 0.9, 0.96):
        yield "hard_quantile", [p], numbers(4, 6), numbers(4, 6), hard_quantile(p), []
    yield "out_of_domain_penalty", [], numbers(3, 4), numbers(3, 1), lambda s, t: (s**2).mean(), []
    yield "info_nce", [0.07], numbers(5, 4), numbers(5, 4), info_nce(0.07, False), []
    yield "symmetric_info_nce", [0.5], numbers(5, 4), numbers(5, 4), info_nce(0.5, True), []
    yield "sinkhorn", [2, 0.1, 20], numbers(5, 7, scale=3), numbers(5, 7, scale=3), sinkhorn(2, 0.1, 20), []
    yield "sinkhorn", [1, 0.02, 3], numbers(6, 9, scale=2), numbers(6, 9, scale=2), sinkhorn(1, 0.02, 3), []
    yield "sinkhorn", [4, 1, 1], numbers(1, 4), numbers(1, 4), sinkhorn(4, 1, 1), []
    yield "margin_mse", [], numbers(4, 2), numbers(4, 2), margin_mse, []
    yield "margin_mse", [], numbers(3, 5), numbers(3, 5), margin_mse, []
    yield "pld", [4, 1, 0, 6], numbers(3, 7, scale=2), numbers(3, 7, scale=2), pld([1, 0, 6], 4), []
    learned = [numbers(*shape).requires_grad_() for shape in ((3, 4), (3,), (3, 5), (3,))]
    flat = [v for x in learned for v in x.flatten().tolist()]
    yield "crd", flat, numbers(3, 4), numbers(3, 5), crd(learned, [2, 0, 5], 6, 3, 8, 0.3, 0.5, 11), learned
    yield "fsp", [2, 3], numbers(3, 20), numbers(3, 30), fsp(2, 3), []
    for p in (1, 2, 3):
        yield "factor_transfer", [p], numbers(3, 6), numbers(3, 6), factor_transfer(p), []
    yield "activation_boundaries", [0.5], numbers(3, 8), numbers(3, 8), activation_boundaries(0.5), []
    scale, shift = numbers(4), torch.tensor([0.5, -0.25, 8, 0])
    yield "overhaul", [4, *scale.tolist(), *shift.tolist()], numbers(3, 12), numbers(3, 12, scale=2), overhaul(scale, shift), []
    yield "pad_l2", [], numbers(3, 10), numbers(3, 5), pad_l2, []
    for alpha in (4, 1.5):
        yield "log_sum", [alpha], numbers(3, 5), numbers(3, 5), log_sum(alpha), []
    yield "channel_affinity", [3], numbers(3, 12), numbers(3, 12), channel_affinity(3), []
    yield "position_similarity", [3, 2], numbers(3, 12), numbers(3, 8), position_similarity(3, 2), []
    for keep in (0.75, 0.4):
        yield "sskd", [4, 0.5, keep], numbers(16, 5), numbers(16, 4), sskd(4, 0.5, keep), []
    for k in (1, 2):
        yield "kdsvd", [3, 2, 4, 5, k], numbers(3, 22), numbers(3, 21), kdsvd(3, 2, 4, 5, k), []


def text():
    lines, count = [], 0
    write = lambda x: " ".join("%.17g" % v for v in (x.flatten().tolist() if torch.is_tensor(x) else x))
    for name, parameters, s, t, loss, learned in cases():
        s.requires_grad_()
        value = loss(s, t)
        value.backward()
        shapes = f"samples {len(s)} student {s.shape[1]} teacher {t.shape[1]}"
        lines.append(f"case {name} parameters {len(parameters)} {write(parameters)} {shapes}")
        lines += [write(s.detach()), write(t), "value " + write([value.item()]) + " gradient", write(s.grad)]
        gradients = [v for x in learned for v in x.grad.flatten().tolist()]
        lines.append(f"learned {len(gradients)} " + write(gradients))
        count += 1
    return "\n".join(lines) + f"\nend {count}\n"


def main():
    file = HERE / "features.txt"
    if "--check" not in sys.argv[1:]:
        file.write_text(text())
        return
    old, new = file.read_text().split(), text().split()
    number = lambda word: float(word) if word[0] in "-.0123456789" else None
    near = lambda a, b: None not in (a, b) and abs(a - b) <= 1e-9 * max(1.0, abs(a))
    close = lambda a, b: a == b or near(number(a), number(b))
    if len(old) != len(new) or not all(map(close, old, new)):
        sys.exit("features.txt differs")
    print(f"features.txt agrees (PyTorch {torch.__version__})")


if __name__ == "__main__":
    main()
