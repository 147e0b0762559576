#!/usr/bin/env python3
"""PyTorch's time and memory for two heads and their distillation, from hidden states to the gradients of the student's head.

    python3 heads.py [--tokens 2048 --hidden 512 --classes 32000] [--threads 1 2] [--runs 3]

Logits of student and teacher by products with the weights of their heads, KL at T = 2 plus cross-entropy on labels, back to
the student's hidden states and weights. Forms, time and memory each in a process of its own:

  eager      as one writes it
  compiled   the same function by torch.compile (see peers.py: scalar code is no figure)

Prints lines of form, case and ms (the fastest run), separated by tabs; and the same with `/peak_mib` behind the case and MiB in
the place of ms: what was resident at most in one call, gradients included, less what was before it, when the inputs were there,
the code was compiled and freed memory was given back. The time is that of a warm allocator; memory is measured with the
allocator as it comes, as the warm one gives nothing back. The program beside it says `ms` and `peak_mib` of the same case.
"""

import argparse
import ctypes
import gc
import itertools
import math
import pathlib
import re
import subprocess
import sys
import time

import peers


def memory(name):
    """VmRSS, what is resident, or VmHWM, its peak since `reset_peak`; in MiB."""
    return int(re.search(name + r":\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024


def reset_peak():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def child(form, threads, options):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    T = 2.0
    hidden = torch.randn(options.tokens, options.hidden, requires_grad=True)
    weights = (torch.randn(options.classes, options.hidden) / options.hidden**0.5).requires_grad_()
    teacher_hidden = torch.randn(options.tokens, options.hidden)
    teacher_weights = torch.randn(options.classes, options.hidden) / options.hidden**0.5
    labels = torch.randint(options.classes, (options.tokens,))

    def loss(hidden, weights):
        s = hidden @ weights.t()
        with torch.no_grad():
            t = teacher_hidden @ teacher_weights.t()
        kl = F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean") * T * T
        return kl + F.cross_entropy(s, labels)

    if form == "compiled":
        peers.check_compiler(torch)
        loss = torch.compile(loss, fullgraph=True, dynamic=False)

    def clear():
        hidden.grad = weights.grad = None

    def work():
        clear()
        loss(hidden, weights).backward()

    if form == "compiled":
        peers.check_vector_code(torch, work, "the heads")
    else:
        work()
    case = f"float/heads/{options.tokens}/{options.hidden}/{options.classes}/threads:{threads}"
    if options.memory:
        clear()
        reset_peak()
        before = memory("VmRSS")
        work()
        print(f"{form}\t{case}/peak_mib\t{memory('VmHWM') - before:.1f}")
        return
    best = math.inf
    for _ in range(options.runs):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    print(f"{form}\t{case}\t{best * 1e3:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--classes", type=int, default=32000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--form", choices=["eager", "compiled"], help=argparse.SUPPRESS)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.form:
        return child(options.form, options.threads[0], options)

    import torch

    if not peers.has_compile(torch):
        sys.exit(f"PyTorch {torch.__version__} has no torch.compile, and may multiply with the reference BLAS: left out")
    print(f"PyTorch\t{torch.__version__}")
    shape = [f"--{name}={getattr(options, name)}" for name in ("tokens", "hidden", "classes", "runs")]
    for threads in options.threads:
        for form, setting in itertools.product(("eager", "compiled"), ("tuned", "shipped")):
            command = [sys.executable, __file__, "--form", form, "--threads", str(threads), *shape,
                       *(["--memory"] if setting == "shipped" else [])]
            done = subprocess.run(command, env=peers.environment("torch", setting, threads), text=True, stdout=subprocess.PIPE)
            if done.returncode:
                sys.exit(done.returncode)
            print(done.stdout, end="", flush=True)


if __name__ == "__main__":
    main()
