#!/usr/bin/env python3
"""The same distillation losses in PyTorch and JAX: milliseconds for value and gradient.

    python3 peers.py                                        this interpreter's PyTorch (and JAX, if it has it)
    python3 peers.py --python build/peers-venv/bin/python   another one's; may be given more than once
    python3 peers.py --json peers.json --sizes 256x1000 --types float --seconds 0.3

Every combination of environment and number of threads runs in a process of its own, one after the other:

  shipped   nothing is set
  tuned     a warm allocator (glibc keeps and reuses every block) and AVX-512 where the processor has it

Forms, all of student and teacher logits at T = 4, mean over the batch, scaled by T^2; the time includes the backward pass
down to the student's gradient, and is taken after a warm-up:

  kl               kl_div(log_softmax(s/T), softmax(t/T), 'batchmean') * T^2, then backward: what people write
  kl_log_target    the same with log_softmax on both sides and log_target=True
  kl_function      a hand-written autograd.Function with the analytic gradient
  cross_entropy    on labels, at T = 1
  four             cross-entropy + KL + reverse KL + Jensen-Shannon, summed, each written with kl_div as one would
  four_shared      the same sum with shared softmaxes and logarithms, over plain arithmetic

and, where PyTorch has torch.compile, four that it compiles:

  kl_compiled, four_compiled                    kl and four_shared as above, the gradient by autograd
  kl_by_hand_compiled, four_by_hand_compiled    value and gradient written out, in one compiled function

torch.compile falls back to scalar code without a word, 2 to 4 times slower than what is not compiled, when it cannot use the
compiler's vectors. Such a figure would flatter us: the generated code is looked at, and scalar code ends the run.

JAX has kl, cross_entropy and four_shared, each as jit(value_and_grad(...)), and jit of both by hand. Two threads of a machine that is also doing
something else say little: OpenMP's threads wait for each other. Look at the minimum, and at the load average below it.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

SIZES = ["256x1000", "4096x100", "512x32000"]
TEMPERATURE = 4.0
TUNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "16000000000",
    "MALLOC_TOP_PAD_": "1000000000",
    "ATEN_CPU_CAPABILITY": "avx512",
}


class ScalarCode(Exception):
    """torch.compile makes no vector code."""


# ------------------------------------------------------------------------------------------------- the timed work


def measure(work, seconds, least=5, most=400):
    """Median and minimum, in ms, of as many runs as fit into `seconds`, after one or two that warm up."""
    begin = time.perf_counter()
    work()
    if time.perf_counter() - begin < 0.5:
        work()
    else:
        least = 3
    times, start = [], time.perf_counter()
    while len(times) < least or (time.perf_counter() - start < seconds and len(times) < most):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1e3)
    return {"median_ms": statistics.median(times), "min_ms": min(times), "runs": len(times)}


def has_compile(torch):
    return hasattr(torch, "compile") and int(torch.__version__.split(".")[0]) >= 2


def check_compiler(torch):
    """Raises ScalarCode where torch.compile would not find the processor's vectors."""
    from torch._inductor.cpu_vec_isa import valid_vec_isa_list

    if not valid_vec_isa_list():
        raise ScalarCode(f"torch.compile of PyTorch {torch.__version__} finds no vector instruction set and would make scalar "
                         "code: it wants g++, Python's headers (python3-dev) and TORCH_USE_RTLD_GLOBAL=1")


def check_vector_code(torch, work, name):
    """Runs `work` for the first time. Raises ScalarCode if what torch.compile made for it holds no vectors."""
    from torch._inductor.utils import run_and_get_code

    try:
        _, codes = run_and_get_code(work)
    except Exception as error:  # of many types: the compiler's, the loader's, its own
        cause = [line for line in str(error).splitlines() if "rror:" in line][-1:] or [type(error).__name__]
        raise ScalarCode(f"torch.compile of PyTorch {torch.__version__} fails at {name}: {cause[0]}") from None
    if not codes or any("at::vec::Vectorized" not in code for code in codes):
        raise ScalarCode(f"torch.compile of PyTorch {torch.__version__} made scalar code of {name}: that is no figure")


def torch_forms(rows, classes, scalar):
    import torch
    import torch.nn.functional as F

    generator = torch.Generator().manual_seed(1)
    dtype = {"float": torch.float32, "double": torch.float64}[scalar]
    teacher = (3 * torch.randn(rows, classes, generator=generator)).to(dtype)
    student = (0.5 * teacher + torch.randn(rows, classes, generator=generator).to(dtype)).requires_grad_(True)
    labels = torch.randint(classes, (rows,), generator=generator)
    T = TEMPERATURE

    class kl_by_hand(torch.autograd.Function):
        @staticmethod
        def forward(context, s, t):
            log_q, log_p = F.log_softmax(s / T, 1), F.log_softmax(t / T, 1)
            p = log_p.exp()
            value = torch.dot(p.view(-1), log_p.sub_(log_q).view(-1)) * (T * T / len(s))
            context.save_for_backward(log_q.exp_().sub_(p).mul_(T / len(s)))
            return value

        @staticmethod
        def backward(context, outer):
            (gradient,) = context.saved_tensors
            return gradient * outer, None

    def kl(s, t):
        return F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean") * T * T

    def kl_log_target(s, t):
        log_q, log_p = F.log_softmax(s / T, 1), F.log_softmax(t / T, 1)
        return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) * T * T

    def reverse_kl(s, t):
        log_q, log_p = F.log_softmax(s / T, 1), F.log_softmax(t / T, 1)
        return F.kl_div(log_p, log_q, reduction="batchmean", log_target=True) * T * T

    def jensen_shannon(s, t):
        p, q = F.softmax(t / T, 1), F.softmax(s / T, 1)
        log_m = (0.5 * (p + q)).log()
        return 0.5 * (F.kl_div(log_m, p, reduction="batchmean") + F.kl_div(log_m, q, reduction="batchmean")) * T * T

    def cross_entropy(s, t):
        return F.cross_entropy(s, labels)

    def four(s, t):
        return cross_entropy(s, t) + kl(s, t) + reverse_kl(s, t) + jensen_shannon(s, t)

    def four_shared(s, t):
        log_q, log_p = F.log_softmax(s / T, 1), F.log_softmax(t / T, 1)
        q, p = log_q.exp(), log_p.exp()
        log_m = (0.5 * (p + q)).log()
        gap = log_p - log_q
        each = (p - q) * gap + 0.5 * (p * (log_p - log_m) + q * (log_q - log_m))
        return cross_entropy(s, t) + each.sum() * (T * T / rows)

    def kl_by_hand_whole(s, t):
        log_q, log_p = F.log_softmax(s / T, 1), F.log_softmax(t / T, 1)
        p = log_p.exp()
        return (p * (log_p - log_q)).sum() * (T * T / rows), (log_q.exp() - p) * (T / rows)

    def four_by_hand(s, t):
        log_q1, log_q, log_p = F.log_softmax(s, 1), F.log_softmax(s / T, 1), F.log_softmax(t / T, 1)
        q1, q, p = log_q1.exp(), log_q.exp(), log_p.exp()
        log_m = (0.5 * (p + q)).log()
        gap, to_m = log_q - log_p, log_q - log_m
        reverse, js = (q * gap).sum(1, keepdim=True), (q * to_m).sum(1, keepdim=True)
        each = p * (0.5 * (log_p - log_m) - gap)
        value = (each.sum() + reverse.sum() + 0.5 * js.sum()) * (T * T / rows) + F.nll_loss(log_q1, labels)
        is_label = torch.arange(classes) == labels[:, None]
        flow = (q - p) + q * (gap - reverse + 0.5 * (to_m - js))
        return value, (flow * T + (q1 - is_label.to(q1.dtype))) / rows

    def timed(loss):
        def work():
            student.grad = None
            value = loss(student, teacher)
            value.backward()
            return value

        return work

    def timed_by_hand(both):
        frozen = student.detach()

        def work():
            with torch.no_grad():
                value, student.grad = both(frozen, teacher)
            return value

        return work

    forms = {"kl": kl, "kl_log_target": kl_log_target, "kl_function": kl_by_hand.apply,
             "cross_entropy": cross_entropy, "four": four, "four_shared": four_shared}

    works = {name: timed(loss) for name, loss in forms.items()}
    if has_compile(torch):
        check_compiler(torch)
        torch._dynamo.reset()  # of other sizes
        make = lambda function: torch.compile(function, fullgraph=True, dynamic=False)
        works |= {"kl_compiled": timed(make(kl)), "kl_by_hand_compiled": timed_by_hand(make(kl_by_hand_whole)),
                  "four_compiled": timed(make(four_shared)), "four_by_hand_compiled": timed_by_hand(make(four_by_hand))}

    expected = {}  # a benchmark of a wrong gradient is worth nothing
    for name, work in works.items():
        if name.endswith("_compiled"):
            check_vector_code(torch, work, name)
        got = work().item()
        value, gradient = expected.setdefault(name.split("_")[0], (got, student.grad.clone()))
        assert abs(got - value) < 1e-3 * abs(value), name
        assert (student.grad - gradient).abs().max() < 1e-3 * gradient.abs().max(), name
    return works


def jax_forms(rows, classes, scalar):
    import jax
    import jax.numpy as jnp
    import numpy

    jax.config.update("jax_enable_x64", True)
    random = numpy.random.default_rng(1)
    dtype = {"float": numpy.float32, "double": numpy.float64}[scalar]
    t = 3 * random.standard_normal((rows, classes))
    s = 0.5 * t + random.standard_normal((rows, classes))
    student, teacher = jnp.asarray(s.astype(dtype)), jnp.asarray(t.astype(dtype))
    labels = jnp.asarray(random.integers(classes, size=rows))
    T = TEMPERATURE

    def both(s, t):
        return jax.nn.log_softmax(t / T, axis=1), jax.nn.log_softmax(s / T, axis=1)

    def kl(s, t):
        log_p, log_q = both(s, t)
        return jnp.sum(jnp.exp(log_p) * (log_p - log_q)) * (T * T / rows)

    def cross_entropy(s, t):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(s, axis=1), labels[:, None], axis=1))

    def four_shared(s, t):
        log_p, log_q = both(s, t)
        p, q = jnp.exp(log_p), jnp.exp(log_q)
        log_m = jnp.log(0.5 * (p + q))
        sums = (jnp.sum(p * (log_p - log_q)) + jnp.sum(q * (log_q - log_p))
                + 0.5 * jnp.sum(p * (log_p - log_m)) + 0.5 * jnp.sum(q * (log_q - log_m)))
        return cross_entropy(s, t) + sums * (T * T / rows)

    def kl_by_hand(s, t):
        log_p, log_q = both(s, t)
        p = jnp.exp(log_p)
        return jnp.sum(p * (log_p - log_q)) * (T * T / rows), (jnp.exp(log_q) - p) * (T / rows)

    def four_by_hand(s, t):
        log_q1, (log_p, log_q) = jax.nn.log_softmax(s, axis=1), both(s, t)
        p, q = jnp.exp(log_p), jnp.exp(log_q)
        log_m = jnp.log(0.5 * (p + q))
        gap, to_m = log_q - log_p, log_q - log_m
        reverse, js = jnp.sum(q * gap, 1, keepdims=True), jnp.sum(q * to_m, 1, keepdims=True)
        each = p * (0.5 * (log_p - log_m) - gap)
        value = (jnp.sum(each) + jnp.sum(reverse) + 0.5 * jnp.sum(js)) * (T * T / rows)
        value -= jnp.mean(jnp.take_along_axis(log_q1, labels[:, None], axis=1))
        is_label = jnp.arange(classes) == labels[:, None]
        flow = (q - p) + q * (gap - reverse + 0.5 * (to_m - js))
        return value, (flow * T + (jnp.exp(log_q1) - is_label)) / rows

    gradient_of = jax.value_and_grad
    forms = {"kl": gradient_of(kl), "kl_by_hand": kl_by_hand, "cross_entropy": gradient_of(cross_entropy),
             "four_shared": gradient_of(four_shared), "four_by_hand": four_by_hand}
    expected = {}

    def timed(name, both):
        compiled = jax.jit(both)
        value, gradient = expected.setdefault(name.split("_")[0], compiled(student, teacher))
        got, slope = compiled(student, teacher)
        assert abs(got - value) < 1e-3 * abs(value) and abs(slope - gradient).max() < 1e-3 * abs(gradient).max(), name
        return lambda: jax.block_until_ready(compiled(student, teacher))

    return {name: timed(name, both) for name, both in forms.items()}


# -------------------------------------------------------------------------------- one process: one library, one setting


def child(arguments):
    threads, record = arguments.threads, {}
    if arguments.library == "torch":
        import torch

        torch.set_num_threads(threads)
        forms, version = torch_forms, torch.__version__
        capability = getattr(getattr(torch.backends, "cpu", None), "get_cpu_capability", None)
        if capability:
            record["capability"] = capability()
        else:
            words = torch.__config__.show().split("CPU capability usage:")
            record["capability"] = words[1].split()[0] if len(words) > 1 else "unknown"
    else:
        import jax

        forms, version = jax_forms, jax.__version__
        record["capability"] = "XLA"
    record.update(version=version, results=[])
    for scalar in arguments.types:
        for size in arguments.sizes:
            rows, classes = map(int, size.split("x"))
            for name, work in forms(rows, classes, scalar).items():
                if arguments.forms and name not in arguments.forms:
                    continue
                record["results"].append({"form": name, "type": scalar, "size": size, **measure(work, arguments.seconds)})
    print(json.dumps(record))


# ------------------------------------------------------------------------------------------------------- the driver


def environment(library, setting, threads):
    result = {key: value for key, value in os.environ.items() if key not in TUNED}
    result["OMP_NUM_THREADS"] = str(threads)
    if library == "jax":
        result.update(JAX_PLATFORMS="cpu", TF_CPP_MIN_LOG_LEVEL="2")
    else:
        result["TORCH_USE_RTLD_GLOBAL"] = "1"  # else torch.compile's test programs do not load, and it makes scalar code
    if setting == "tuned":
        result.update(TUNED)
        if "avx512f" not in pathlib.Path("/proc/cpuinfo").read_text():
            del result["ATEN_CPU_CAPABILITY"]
    return result


def run_child(python, library, setting, threads, arguments):
    command = [python, os.path.abspath(__file__), "--child", "--library", library, "--threads", str(threads),
               "--seconds", str(arguments.seconds), "--sizes", *arguments.sizes, "--types", *arguments.types]
    if arguments.forms:
        command += ["--forms", *arguments.forms]

    def pin():  # XLA's pool is as large as the number of processors that it may use, and there is no call to change it
        if library == "jax":
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])

    done = subprocess.run(command, env=environment(library, setting, threads), preexec_fn=pin, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or ["it died without a word"])[-1].removeprefix("__main__.")
    return json.loads(done.stdout.strip().splitlines()[-1]), None


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def print_table(runs, arguments):
    print(f"\nValue and gradient in ms: median (minimum). T = {TEMPERATURE:g}.")
    for scalar in arguments.types:
        print(f"\n{scalar:24}" + "".join(f"{size:>24}" for size in arguments.sizes))
        for run in runs:
            print(f"{run['library']} {run['version']}, {run['setting']} ({run['capability']}), "
                  f"{run['threads']} thread{'s' if run['threads'] > 1 else ''}")
            forms = list(dict.fromkeys(r["form"] for r in run["results"]))
            for form in forms:
                cells = []
                for size in arguments.sizes:
                    found = [r for r in run["results"] if (r["form"], r["type"], r["size"]) == (form, scalar, size)]
                    cells.append(f"{found[0]['median_ms']:.3g} ({found[0]['min_ms']:.3g})" if found else "-")
                print(f"  {form:22}" + "".join(f"{cell:>24}" for cell in cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", help="interpreter to measure (default: this one)")
    parser.add_argument("--json", default="peers.json", help="where to write the numbers (default: peers.json)")
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="ROWSxCLASSES")
    parser.add_argument("--types", nargs="+", default=["float", "double"], choices=["float", "double"])
    parser.add_argument("--forms", nargs="+", help="only these")
    parser.add_argument("--settings", nargs="+", default=["shipped", "tuned"], choices=["shipped", "tuned"])
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each cell (at least 5 runs; default 0.5)")
    parser.add_argument("--libraries", nargs="+", default=["torch", "jax"], choices=["torch", "jax"])
    parser.add_argument("--threads", type=int, nargs="+", help="default: 1 and all")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--library", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        arguments.threads = arguments.threads[0]
        child(arguments)
        return

    counts = arguments.threads or sorted({1, len(os.sched_getaffinity(0))})
    runs = []
    for python in arguments.python or [sys.executable]:
        for library in arguments.libraries:
            probe = subprocess.run([python, "-c", f"import importlib.util as u; exit(u.find_spec('{library}') is None)"])
            if probe.returncode:
                print(f"{python}: no {library}")
                continue
            for setting in arguments.settings:
                for threads in counts:
                    record, error = run_child(python, library, setting, threads, arguments)
                    if error:
                        print(f"{python}: {library}, {setting}, {threads} threads: {error}")
                        continue
                    label = f"{library} {record['version']}, {setting}, {threads}"
                    print(f"measured {label}", flush=True)
                    runs.append({"library": library, "setting": setting, "threads": threads, **record})
    load = os.getloadavg()
    everything = {"processor": processor(), "processors": len(os.sched_getaffinity(0)), "temperature": TEMPERATURE,
                  "load_average": load, "runs": runs}
    pathlib.Path(arguments.json).write_text(json.dumps(everything, indent=1) + "\n")
    print_table(runs, arguments)
    print(f"\n{processor()}, load average {load[0]:.1f} at the end; numbers in {arguments.json}")
    if not runs:
        sys.exit("nothing could be measured: install python3-torch, or make an environment with setup.sh")


if __name__ == "__main__":
    main()
