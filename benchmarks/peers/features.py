#!/usr/bin/env python3
"""PyTorch's time for losses between layers, pictures and two towers: milliseconds for value and gradients, one thread.

    python3 features.py [--seconds 0.5] [--forms eager compiled written_out] [--only nt_xent projected_hint]

Shapes and inputs are those of benchmarks/features.cpp, by the same hash. Forms, the fastest run of each:

  eager        as one writes it, the gradients by autograd
  compiled     the same function by torch.compile (see peers.py: scalar code is no figure)
  written_out  value and gradient in one compiled function, for the two losses that are softmaxes

Prints lines of form, case and ms, separated by tabs; and the same with `/loss` and `/slope` behind the case and, in the place of ms, the
loss and the inner product of all gradients with numbers of the hash, by which benchmarks/run finds whether both sides compute the
same. It wants a warm allocator: see peers.py, tuned.
"""

import argparse

import torch
import torch.nn.functional as F

import peers

STUDENT, TEACHER, LABELS, WEIGHTS, SLOPES = range(1, 6)
T = 4.0


def hashes(stream, count):
    low = 0xFFFFFFFF
    x = torch.arange(count, dtype=torch.int64) * 0x9E3779B1 + stream * 0x85EBCA6B & low
    x = (x ^ x >> 16) * 0x7FEB352D & low
    x = (x ^ x >> 15) * 0x846CA68B & low
    return x ^ x >> 16


def numbers(stream, *shape):
    x = hashes(stream, torch.Size(shape).numel())
    x = (x & 255) + (x >> 8 & 255) + (x >> 16 & 255) + (x >> 24) - 510
    return (x.float() / 64).view(shape)


def labels(count, classes):
    return hashes(LABELS, count) % classes


# -------------------------------------------------------------------------------------------------------- the losses


def kl_over(s, t, dim):
    """KL at T, its mean over all softmaxes."""
    each = F.kl_div(F.log_softmax(s / T, dim), F.log_softmax(t / T, dim), reduction="sum", log_target=True)
    return each * (T * T * s.shape[dim] / s.numel())


def channel_kl(s, t):
    return kl_over(s, t, 2)


def channel_kl_written_out(s, t):
    log_q, log_p = F.log_softmax(s / T, 2), F.log_softmax(t / T, 2)
    p, rows = log_p.exp(), s.shape[0] * s.shape[1]
    return (p * (log_p - log_q)).sum() * (T * T / rows), (log_q.exp() - p) * (T / rows)


def positions(s, t, y):
    return F.cross_entropy(s, y) + kl_over(s, t, 1)


def positions_written_out(s, t, y):
    log_q1, log_q, log_p = F.log_softmax(s, 1), F.log_softmax(s / T, 1), F.log_softmax(t / T, 1)
    p, rows = log_p.exp(), y.numel()
    is_label = torch.arange(s.shape[1])[None, :, None] == y[:, None]
    value = F.nll_loss(log_q1, y) + (p * (log_p - log_q)).sum() * (T * T / rows)
    return value, ((log_q1.exp() - is_label.to(s.dtype)) + (log_q.exp() - p) * T) / rows


def position_similarity(s, t):
    likeness = lambda x: F.normalize(torch.bmm(x.transpose(1, 2), x), dim=2)
    return (likeness(s) - likeness(t)).pow(2).mean(dim=(1, 2)).mean()


def unit_rows_mse(s, t):
    return F.mse_loss(F.normalize(s), F.normalize(t))


def projected_hint(s, t, weight, bias):
    return F.mse_loss(F.linear(s, weight, bias), t, reduction="sum") / (2 * len(s))


def logits_of_views(s, t, temperature):
    views = F.normalize(torch.cat([s, t]))
    own = torch.eye(len(views), dtype=torch.bool)
    return (views @ views.t() / temperature).masked_fill(own, float("-inf")), own


def nt_xent(s, t):
    n = len(s)
    logits, _ = logits_of_views(s, t, 0.5)
    return F.cross_entropy(logits, torch.arange(2 * n).roll(n))


def supervised_contrast(s, t, y):
    logits, own = logits_of_views(s, t, 0.07)
    y = torch.cat([y, y])
    positive = (y[:, None] == y[None]) & ~own
    log_q = F.log_softmax(logits, 1).masked_fill(~positive, 0)
    return -(log_q.sum(1) / positive.sum(1)).mean()


def cross_correlation(s, t):
    standard = lambda x: F.batch_norm(x, None, None, training=True)
    c = standard(s).t() @ standard(t) / len(s)
    on = c.diagonal()
    return (on - 1).pow(2).sum() + 5e-3 * (c.pow(2).sum() - on.pow(2).sum())


def cases():
    """(name, sizes, loss, its tensors, which of them have gradients, the loss written out)."""
    sides = lambda *shape: (numbers(STUDENT, *shape), numbers(TEACHER, *shape))
    for shape in ((8, 19, 64 * 64), (8, 256, 32 * 32)):
        yield "channel_kl", shape, channel_kl, sides(*shape), [0], channel_kl_written_out
    shape = 8, 21, 64 * 64
    yield "positions", shape, positions, (*sides(*shape), labels(8 * 64 * 64, 21).view(8, -1)), [0], positions_written_out
    shape = 16, 64, 14 * 14
    yield "position_similarity", shape, position_similarity, sides(*shape), [0], None
    yield "unit_rows_mse", (1024, 512), unit_rows_mse, sides(1024, 512), [0], None
    n, inputs, outputs = shape = 256, 512, 1024
    tensors = numbers(STUDENT, n, inputs), numbers(TEACHER, n, outputs), numbers(WEIGHTS, outputs, inputs) / 32, torch.zeros(outputs)
    yield "projected_hint", shape, projected_hint, tensors, [0, 2, 3], None
    yield "nt_xent", (512, 128), nt_xent, sides(512, 128), [0, 1], None
    yield "supervised_contrast", (512, 128), supervised_contrast, (*sides(512, 128), labels(512, 10)), [0, 1], None
    yield "cross_correlation", (1024, 256), cross_correlation, sides(1024, 256), [0, 1], None


def by_autograd(loss, tensors, wanted):
    learned = [tensors[i].requires_grad_() for i in wanted]

    def work():
        for x in learned:
            x.grad = None
        value = loss(*tensors)
        value.backward()
        return value.detach(), [x.grad for x in learned]

    return work


def by_hand(both, tensors):
    fixed = [x.detach() for x in tensors]

    def work():
        with torch.no_grad():
            value, gradient = both(*fixed)
        return value, [gradient]

    return work


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--forms", nargs="+", default=["eager", "compiled", "written_out"])
    parser.add_argument("--only", nargs="+", help="of these losses")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"PyTorch\t{torch.__version__}")
    compiles = peers.has_compile(torch) and {"compiled", "written_out"} & set(options.forms)
    if compiles:
        peers.check_compiler(torch)
    for name, shape, loss, tensors, wanted, both in cases():
        if options.only and name not in options.only:
            continue
        works = {"eager": by_autograd(loss, tensors, wanted)}
        if compiles:
            torch._dynamo.reset()  # of other sizes
            works["compiled"] = by_autograd(torch.compile(loss, fullgraph=True, dynamic=False), tensors, wanted)
            if both:
                works["written_out"] = by_hand(torch.compile(both, fullgraph=True, dynamic=False), tensors)
        case = "/".join(["float", name, *map(str, shape)])
        for form, work in works.items():
            if form not in options.forms:
                continue
            if form != "eager":
                peers.check_vector_code(torch, work, f"{name}, {form}")
            value, gradients = work()
            slope = sum(torch.dot(g.double().flatten(), numbers(SLOPES + k, g.numel()).double()) for k, g in enumerate(gradients))
            print(f"{form}\t{case}/loss\t{value.item():.9g}\n{form}\t{case}/slope\t{slope.item():.9g}")
            print(f"{form}\t{case}\t{peers.measure(work, options.seconds)['min_ms']:.4f}", flush=True)


if __name__ == "__main__":
    main()
