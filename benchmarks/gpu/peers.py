#!/usr/bin/env python3
"""The losses of losses.cu in PyTorch on the same GPU: JSON, a line a result as it comes.

    peers.py [--budget SECONDS] [--sizes 4096x32000 ...]

Forward, and backward to the logits' gradient, float, by events over trains of calls, the fastest of the trains; small batches
are taken from several places in turns, as losses.cu does. Forms:

  eager           kl_div(log_softmax, softmax) and cross_entropy, as one writes them
  compiled        torch.compile of the same, for one shape
  max_autotune    the same with mode="max-autotune-no-cudagraphs"
  liger           Liger's kernels for kl_div and cross_entropy, where liger_kernel can be imported

What is quick to make ready comes first, for all sizes; what is compiled, at some. What does not fit into the memory, or the
budget of seconds, is a line that says so. Without PyTorch, or without a GPU that it sees, one line, and the end.
"""

import argparse
import json
import sys
import time

ROWS = (4096, 512, 64, 1, 32768)
CLASSES = (32000, 1000, 100, 128256, 16384, 4096, 10)
COMPILED_SIZES = ("4096x32000", "512x128256", "4096x1000", "32768x100", "64x32000")
T = 4.0
TRAINS, SECONDS_A_TRAIN = 7, 0.004


def put(**line):
    print(json.dumps(line), flush=True)


try:
    import torch
    import torch.nn.functional as F
except ImportError:
    put(left_out="PyTorch", why="it cannot be imported by " + sys.executable)
    sys.exit(0)


# ------------------------------------------------------------------------------------------------------- the losses


def kl(s, t, labels):
    return F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean") * T * T


def ce(s, t, labels):
    return F.cross_entropy(s, labels)


def ce_kl(s, t, labels):
    return 0.1 * ce(s, t, labels) + 0.9 * kl(s, t, labels)


def four(s, t, labels):
    log_q, log_p = F.log_softmax(s / T, 1), F.log_softmax(t / T, 1)
    q, p = log_q.exp(), log_p.exp()
    log_m = (0.5 * (p + q)).log()
    each = (p - q) * (log_p - log_q) + 0.5 * (p * (log_p - log_m) + q * (log_q - log_m))
    return ce(s, t, labels) + each.sum() * (T * T / len(s))


LOSSES = {"kl": kl, "ce": ce, "ce_kl": ce_kl, "four": four}


def liger_losses():
    try:
        from liger_kernel.transformers import LigerCrossEntropyLoss, LigerKLDIVLoss
    except ImportError as error:
        put(left_out="Liger", why=str(error))
        return {}
    divergence, entropy = LigerKLDIVLoss(reduction="batchmean"), LigerCrossEntropyLoss()
    by_liger = {"kl": lambda s, t, labels: divergence(F.log_softmax(s / T, 1), F.softmax(t / T, 1)) * T * T,
                "ce": lambda s, t, labels: entropy(s, labels)}
    # Liger's cross-entropy writes its gradient over the logits, so it comes last
    by_liger["ce_kl"] = lambda s, t, labels: 0.9 * by_liger["kl"](s, t, labels) + 0.1 * by_liger["ce"](s, t, labels)
    return by_liger


# ------------------------------------------------------------------------------------------------------------ time


def train(call, calls):
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for i in range(calls):
        call(i)
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1e-3 / calls


def fastest(call, least):
    for i in range(least):
        call(i)
    torch.cuda.synchronize()
    calls = max(least, min(1000, int(SECONDS_A_TRAIN / train(call, 1))))
    return min(train(call, calls) for _ in range(TRAINS))


class Batches:
    """Student, teacher and labels in as many places as together exceed the second-level cache twice."""

    def __init__(self, rows, classes):
        cache = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 50 << 20)
        places = max(1, min(64, 2 * cache // (12 * rows * classes) + 1))
        self.students = [(2 * torch.randn(rows, classes, device="cuda")).requires_grad_(True) for _ in range(places)]
        self.teachers = [2 * torch.randn(rows, classes, device="cuda") for _ in range(places)]
        self.labels = torch.full((rows,), classes // 2, device="cuda")

    def call(self, loss):
        def one(i):
            s = self.students[i % len(self.students)]
            s.grad = None
            loss(s, self.teachers[i % len(self.teachers)], self.labels).backward()

        return one


def replayed(one, calls):
    """Seconds a call where a train of calls is a CUDA graph, or None where it cannot be captured."""
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for i in range(calls):
                one(i)
        return fastest(lambda _: graph.replay(), 1) / calls
    except Exception:  # of many types
        torch.cuda.synchronize()
        return None


def launches(one):
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as found:
        one(0)
        torch.cuda.synchronize()
    return sum(1 for event in found.events() if event.device_type == torch.autograd.DeviceType.CUDA)


def measure(form, name, loss, rows, classes):
    size = f"{rows}x{classes}"
    try:
        torch.cuda.empty_cache()
        batches = Batches(rows, classes)
        one, least = batches.call(loss), max(4, len(batches.students))
        seconds = fastest(one, least)
        fits = 48 * rows * classes < torch.cuda.mem_get_info()[0]  # a graph has memory of its own
        graph = replayed(one, max(len(batches.students), 2 if seconds > 1e-3 else 16)) if fits else None
        count = launches(one)
    except torch.cuda.OutOfMemoryError:
        return put(left_out=f"{form}, {name}, {size}", why="memory")
    except Exception as error:  # the compilers' are of many types
        return put(left_out=f"{form}, {name}, {size}", why=f"{type(error).__name__}: {str(error).splitlines()[:1]}")
    put(who=f"PyTorch {torch.__version__}", form=form, objective=name, rows=rows, classes=classes, us=seconds * 1e6,
        graph_us=graph and graph * 1e6, launches=count)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=150, help="seconds after which nothing more is begun")
    parser.add_argument("--sizes", nargs="+", help="rows x classes, default: those of losses.cu")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        put(left_out="PyTorch", why=f"PyTorch {torch.__version__} sees no GPU")
        return
    started = time.monotonic()
    sizes = arguments.sizes or [f"{n}x{c}" for n in ROWS for c in CLASSES]
    some = arguments.sizes or COMPILED_SIZES
    torch.backends.cuda.matmul.allow_tf32 = False

    def compiled(mode):
        return {name: torch.compile(loss, dynamic=False, fullgraph=True, mode=mode) for name, loss in LOSSES.items()}

    work = [("eager", lambda: LOSSES, sizes), ("liger", liger_losses, sizes), ("compiled", lambda: compiled(None), some),
            ("max_autotune", lambda: compiled("max-autotune-no-cudagraphs"), some)]
    for form, losses, its_sizes in work:
        losses = losses()
        for size in its_sizes if losses else []:
            if time.monotonic() - started > arguments.budget:
                put(left_out=f"{form} from {size} on", why=f"the budget of {arguments.budget:.0f} s")
                break
            if form in ("compiled", "max_autotune"):
                torch._dynamo.reset()  # of other sizes
            for name, loss in losses.items():
                measure(form, name, loss, *map(int, size.split("x")))


if __name__ == "__main__":
    main()
