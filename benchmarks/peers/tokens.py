#!/usr/bin/env python3
"""PyTorch's time for losses of tokens: milliseconds for value and gradient, one thread.

    python3 tokens.py [--seconds 0.5] [--rows 2048] [--forms eager compiled] [--only row_mask head]

Shapes and inputs are those of benchmarks/tokens.cpp, by the same hash. Forms, the fastest run of each:

  eager       as one writes it; rows that do not count are indexed away before any softmax, which is the fastest way there is
  compiled    the same function by torch.compile (see peers.py: scalar code is no figure)

Prints lines of form, case and ms, separated by tabs; and the same with `/loss` and `/slope` behind the case, as features.py.
It wants a warm allocator: see peers.py, tuned.
"""

import argparse

import torch
import torch.nn.functional as F

import features
import peers

CLASSES, WIDTH = 32000, 256
STUDENT, TEACHER, LABELS, WEIGHTS, SLOPES, ROWS = 1, 2, 3, 4, 5, 99


def each_kl(s, t):
    return F.kl_div(F.log_softmax(s, 1), F.log_softmax(t, 1), reduction="none", log_target=True).sum(1)


def both(s, t, y):
    """Of each row: cross-entropy, and KL at T = 2."""
    return F.cross_entropy(s, y, reduction="none") + 4 * each_kl(s / 2, t / 2)


def mixture(s, t, alpha):
    """log(alpha p + (1 - alpha) q), log p, log q"""
    log_q, log_p = F.log_softmax(s, 1), F.log_softmax(t, 1)
    return torch.log(alpha * log_p.exp() + (1 - alpha) * log_q.exp()), log_p, log_q


def jensen_shannon(s, t):
    log_m, log_p, log_q = mixture(s, t, 0.5)
    return 0.5 * (log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)).sum(1).mean()


def skew_kl(s, t):
    log_m, log_p, _ = mixture(s, t, 0.1)
    return (log_p.exp() * (log_p - log_m)).sum(1).mean()


def kl_top_50(s, t):
    top, at = t.topk(50, 1)
    return each_kl(s.gather(1, at), top).mean()


def kl_per_row(s, t, temperatures):
    T = temperatures[:, None]
    return (each_kl(s / T, t / T) * temperatures * temperatures).mean()


def counted(s, t, y, rows):
    return both(s[rows], t[rows], y[rows]).mean()


def over_all(s, t, y, rows):
    """The same where the rows that do not count are zeros of the mean."""
    return both(s[rows], t[rows], y[rows]).sum() / len(s)


def entropy_above(s, t, y):
    with torch.no_grad():
        log_q = F.log_softmax(s, 1)
        rows = (-(log_q.exp() * log_q).sum(1) > 8.49387).nonzero()[:, 0]
    return over_all(s, t, y, rows)


def head(h, w, t, y, rows):
    return both(h[rows] @ w.t(), t[rows], y[rows]).mean()


def cases(n):
    """(name, loss, its tensors, how many of them have gradients)."""
    s, t, y = features.numbers(STUDENT, n, CLASSES), features.numbers(TEACHER, n, CLASSES), features.labels(n, CLASSES)
    t += torch.arange(CLASSES) * 2.0**-21  # exact, and no row has two classes alike: there is one top 50
    temperatures = 1 + (features.hashes(ROWS, n) % 4).float()
    hidden, weights = features.numbers(STUDENT, n, WIDTH), features.numbers(WEIGHTS, CLASSES, WIDTH) / 32
    share = lambda of: (features.hashes(ROWS + 1, n) % 100 < of).nonzero()[:, 0]
    yield "cross_entropy+kl", lambda s, t, y: both(s, t, y).mean(), (s, t, y), 1
    yield "jensen_shannon", jensen_shannon, (s, t), 1
    yield "skew_kl", skew_kl, (s, t), 1
    yield "kl_top_50", kl_top_50, (s, t), 1
    yield "kl_per_row", kl_per_row, (s, t, temperatures), 1
    for of in (10, 50, 100):
        yield f"row_mask/{of}", counted, (s, t, y, share(of)), 1
    yield "row_weights/10", counted, (s, t, y, share(10)), 1
    yield "given/10", over_all, (s, t, y, share(10)), 1
    yield "entropy_above/10", entropy_above, (s, t, y), 1
    for of in (10, 50, 100):
        yield f"head/{of}", head, (hidden, weights, t, y, share(of)), 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--forms", nargs="+", default=["eager", "compiled"])
    parser.add_argument("--only", nargs="+", help="of these cases")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"PyTorch\t{torch.__version__}")
    compiles = peers.has_compile(torch) and "compiled" in options.forms
    if compiles:
        peers.check_compiler(torch)
    for name, loss, tensors, wanted in cases(options.rows):
        if options.only and name.split("/")[0] not in options.only:
            continue
        wanted = list(range(wanted))
        works = {"eager": features.by_autograd(loss, tensors, wanted)} if "eager" in options.forms else {}
        if compiles and name != "entropy_above/10":  # how many rows it leaves is known when it runs: no compiled graph
            torch._dynamo.reset()
            works["compiled"] = features.by_autograd(torch.compile(loss, fullgraph=True, dynamic=False), tensors, wanted)
        what, *of = name.split("/")
        case = "/".join(["float", what, *of, str(options.rows), str(CLASSES)])
        for form, work in works.items():
            if form != "eager":
                peers.check_vector_code(torch, work, f"{name}, {form}")
            value, gradients = work()
            slope = sum(torch.dot(g.double().flatten(), features.numbers(SLOPES + k, g.numel()).double()) for k, g in enumerate(gradients))
            print(f"{form}\t{case}/loss\t{value.item():.9g}\n{form}\t{case}/slope\t{slope.item():.9g}")
            del gradients
            print(f"{form}\t{case}\t{peers.measure(work, options.seconds)['min_ms']:.4f}", flush=True)
        for x in tensors:
            x.grad = None


if __name__ == "__main__":
    main()
