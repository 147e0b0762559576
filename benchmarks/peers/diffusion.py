#!/usr/bin/env python3
"""PyTorch's time for objectives of diffusion: milliseconds for value and gradient.

    python3 diffusion.py [--threads 1 2] [--seconds 0.5] [--forms eager compiled]

Shapes and inputs are those of benchmarks/diffusion.cpp, by the same hash. Forms, the fastest run of each:

  eager       as one writes it, the gradient by autograd
  compiled    the same function by torch.compile (see peers.py: scalar code is no figure)

Prints lines of form, case and ms, separated by tabs; and the same with `/loss` and `/slope` behind the case, as features.py.
"""

import argparse

import torch
import torch.nn.functional as F

import features
import peers

SIZES = [(4096, 64), (512, 3072), (256, 12288)]
TENSORS, SLOPES, TIMES, WEIGHTS = 1, 5, 99, 100


def distribution_matching(x, x_t, real, fake, t, w):
    with torch.no_grad():
        real, fake = x_t - t * real, x_t - t * fake
        g = (fake - real) / (x - real).abs().mean(dim=1, keepdim=True)
    return 0.5 * F.mse_loss(x, (x - g).detach())


def noised_mse(x, a, b, _, t, w):
    return F.mse_loss(x, (1 - t) * a + t * b)


def weighted_mse(x, x_t, velocity, _, t, w):
    return (w * (x - (x_t - t * velocity)).pow(2)).mean()


CASES = {"distribution_matching": distribution_matching, "noised+mse": noised_mse, "to_clean+weighted_mse": weighted_mse}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--forms", nargs="+", default=["eager", "compiled"])
    options = parser.parse_args()
    print(f"PyTorch\t{torch.__version__}")
    compiles = peers.has_compile(torch) and "compiled" in options.forms
    if compiles:
        peers.check_compiler(torch)
    for threads in options.threads:
        torch.set_num_threads(threads)
        for rows, columns in SIZES:
            tensors = [features.numbers(TENSORS + k, rows, columns) for k in range(4)]
            tensors.append((1 + features.hashes(TIMES, rows) % 98).float()[:, None] / 100)
            tensors.append((1 + features.hashes(WEIGHTS, rows) % 4).float()[:, None] / 4)
            for name, loss in CASES.items():
                works = {"eager": features.by_autograd(loss, tensors, [0])} if "eager" in options.forms else {}
                if compiles:
                    torch._dynamo.reset()
                    works["compiled"] = features.by_autograd(torch.compile(loss, fullgraph=True, dynamic=False), tensors, [0])
                case = f"float/{name}/{rows}/{columns}/threads:{threads}"
                for form, work in works.items():
                    if form != "eager":
                        peers.check_vector_code(torch, work, f"{name}, {form}")
                    value, (gradient,) = work()
                    slope = torch.dot(gradient.double().flatten(), features.numbers(SLOPES, gradient.numel()).double())
                    print(f"{form}\t{case}/loss\t{value.item():.9g}\n{form}\t{case}/slope\t{slope.item():.9g}")
                    print(f"{form}\t{case}\t{peers.measure(work, options.seconds)['min_ms']:.4f}", flush=True)
            tensors[0].grad = None


if __name__ == "__main__":
    main()
