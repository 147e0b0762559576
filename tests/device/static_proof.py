#!/usr/bin/env python3
"""Proves without a GPU that no kernel spills, and counts what each takes: registers, shared memory, loads and stores.

    static_proof.py [--nvcc NVCC] [--table device_kernels.md] [--include FOLDER]... FILE...

nvcc makes PTX once for each virtual architecture, and ptxas, which stands beside it, assembles that for each architecture of
cards. Loads and stores of global memory are counted in the PTX, each once however often it is run: a row kernel whose
rows are read 16 bytes at a time shows loads of 16 bytes, and scalar ones for the rows that do not allow it.
The exit status is 1 where a kernel spills or is not there, 77 where there is no nvcc.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

# What PTX is made for, and which cards' code is made of it.
ARCHITECTURES = {"compute_80": ["sm_80"], "compute_90": ["sm_90", "sm_100"]}
REGISTERS, QUARTERS, WARPS = 65536, 4, 64  # of a multiprocessor; the registers lie in quarters
WIDTHS = (16, 8, 4)
Kernel = collections.namedtuple("Kernel", "registers shared stack spilled barriers")


def fail(text):
    print(f"static_proof: {text}", file=sys.stderr)
    raise SystemExit(1)


def run(command):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        fail(f"{pathlib.Path(command[0]).name} gave {done.returncode}")
    return done.stdout


# ---------------------------------------------------------------------------------------------------------- reading


def resources(text):
    """({mangled name: Kernel}, [functions that spill]) of what `ptxas -v` says."""
    kernels, spilling, entry, function, frame = {}, [], None, None, (0, 0)
    for line in text.splitlines():
        if found := re.search(r"Compiling entry function '([^']*)'", line):
            entry = found[1]
        elif found := re.search(r"Function properties for (\S+)", line):
            function = found[1]
        elif found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            sizes = int(found[1]), int(found[2]) + int(found[3])
            if function == entry:
                frame = sizes
            elif sizes[1]:
                spilling.append(function)
        elif found := re.search(r"Used (\d+) registers", line):
            barriers, shared = re.search(r"used (\d+) barriers", line), re.search(r"(\d+) bytes smem", line)
            kernels[entry] = Kernel(int(found[1]), int(shared[1]) if shared else 0, *frame, int(barriers[1]) if barriers else 0)
    return kernels, spilling


def instruction_bytes(line):
    """("load", "store" or "bulk", bytes) of an instruction of PTX on global memory, else None."""
    if copy := re.match(r"cp\.async\.c[ag]\.shared\S*\.global\S*\s+\[[^\]]*\],\s*\[[^\]]*\],\s*(\d+)", line):
        return "load", int(copy[1])
    if re.match(r"cp\.async\.bulk\.(tensor|shared|global)", line):
        return "bulk", 0  # of as many bytes as a register says
    access = re.match(r"(ld|st)(?:\.\w+(?:::\w+)*)*?\.global((?:\.\w+(?:::\w+)*)*)", line)
    if not access:
        return None
    words = access[2].split(".")
    vector = next((int(w[1:]) for w in words if re.fullmatch(r"v[248]", w)), 1)
    bits = [int(w[1:]) for w in words if re.fullmatch(r"[busf](8|16|32|64|128)", w)]
    return ("load" if access[1] == "ld" else "store"), vector * bits[-1] // 8


def accesses(ptx):
    """{mangled name: Counter of what instruction_bytes says}, and the threads that each kernel is launched with."""
    counts, threads, name, depth = {}, {}, None, 0
    for line in ptx.splitlines():
        if entry := re.search(r"\.entry (\w+)", line):
            name, depth = entry[1], 0
            counts[name] = collections.Counter()
        if name is None:
            continue
        if bound := re.match(r"\s*\.(?:maxntid|reqntid) (\d+)(?:, (\d+), (\d+))?", line):
            threads[name] = int(bound[1]) * int(bound[2] or 1) * int(bound[3] or 1)
        depth += line.count("{") - line.count("}")
        text = re.sub(r"^@!?%\w+\s+", "", line.strip())  # a predicate
        if access := instruction_bytes(text):
            counts[name][access] += 1
        if "}" in line and depth == 0 and line.startswith("}"):
            name = None
    return counts, threads


# ------------------------------------------------------------------------------------------------------------ names


def readable(names):
    """{mangled: name in C++}, where there is something that knows."""
    for tool in ("cu++filt", "c++filt"):
        if shutil.which(tool):
            lines = subprocess.run([tool], input="\n".join(names), text=True, stdout=subprocess.PIPE).stdout.splitlines()
            if len(lines) == len(names):
                return dict(zip(names, lines))
    return {name: name for name in names}


def arguments_of(name):
    """The kernel's own name and the arguments of its template, of a name in C++."""
    head, begin, depth, found = name[:name.index("<")].split("::")[-1], name.index("<") + 1, 0, []
    for i in range(begin - 1, len(name)):
        depth += {"<": 1, ">": -1}.get(name[i], 0)
        if (depth == 1 and name[i] == ",") or depth == 0:
            found.append(name[begin:i].strip())
            begin = i + 1
        if depth == 0:
            break
    return head, found


def shortened(name):
    """rows_by_blocks: float, cross_entropy + forward_kl; of a name of thousands of characters."""
    if "<" not in name:
        return name[:100]
    head, found = arguments_of(name)
    task = next((text for text in found if "device_task<" in text), "")
    scalar = re.search(r"\bdevice_task<\s*(\w+)", task)
    numbers = [re.sub(r"^\(.*\)", "", text) for text in found if text is not task and not (scalar and text == scalar[1])]
    losses = re.findall(r"\bterm<\s*(?:\w+::)*(\w+)", task)
    return (head + (f"<{', '.join(text[:30] for text in numbers)}>" if numbers else "") +
            (f": {scalar[1]}, {' + '.join(losses)}" if scalar else "") + (", T learned" if "learned_slot" in task else ""))


# ------------------------------------------------------------------------------------------------------------ proof


def resident_warps(kernel, threads):
    """Warps that a multiprocessor's registers hold, in whole blocks: of a warp they are given out 256 at a time."""
    each = -(-kernel.registers * 32 // 256) * 256
    held = min(REGISTERS // QUARTERS // each * QUARTERS, WARPS)
    warps = -(-threads // 32)
    return held // warps * warps


def table(rows):
    heads = ["kernel", "arch", "registers", "shared", "barriers", "stack", "spilled", "warps an SM"]
    heads += [f"{kind} of {width}" for kind in ("loads", "stores") for width in WIDTHS] + ["bulk copies"]
    lines = [heads, ["---"] * len(heads)] + rows
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=pathlib.Path)
    parser.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--table", type=pathlib.Path, help="also write the table there")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    nvcc = shutil.which(arguments.nvcc)
    if not nvcc:
        print(f"no nvcc at {arguments.nvcc}")
        raise SystemExit(77)
    ptxas = pathlib.Path(os.path.realpath(nvcc)).with_name("ptxas")
    folders = [folder for folder in dict.fromkeys(arguments.include) if folder not in ("", "/usr/include")]
    options = ["-std=c++20", "--expt-relaxed-constexpr", *(f"-I{folder}" for folder in folders)]

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(arguments.processes) as pool:
        def prove(source, virtual):
            ptx = pathlib.Path(folder) / f"{source.stem}.{virtual}.ptx"
            run([nvcc, *options, f"-arch={virtual}", "-ptx", "-o", str(ptx), str(source)])
            words = [run([str(ptxas), "-v", f"-arch={arch}", "-o", os.devnull, str(ptx)]) for arch in ARCHITECTURES[virtual]]
            return accesses(ptx.read_text()), [resources(text) for text in words]

        read = {virtual: ({}, {}) for virtual in ARCHITECTURES}
        assembled = {arch: ({}, []) for archs in ARCHITECTURES.values() for arch in archs}
        jobs = [(source, virtual) for source in arguments.sources for virtual in ARCHITECTURES]
        for (_, virtual), (counted, found) in zip(jobs, pool.map(prove, *zip(*jobs))):
            for kept, more in zip(read[virtual], counted):
                kept.update(more)
            for arch, (kernels, functions) in zip(ARCHITECTURES[virtual], found):
                assembled[arch][0].update(kernels)
                assembled[arch][1].extend(functions)
    elapsed = time.monotonic() - started

    names = sorted({name for kernels, _ in assembled.values() for name in kernels if name.startswith("_ZN7limbeck")})
    if not names:
        fail("there is no kernel of limbeck's")
    words = {mangled: shortened(name) for mangled, name in readable(names).items()}
    rows = []
    spilling = [f"{function} for {arch}" for arch, (kernels, functions) in assembled.items()
                for function in (*functions, *(name for name in kernels if name not in names and kernels[name].spilled))]
    for mangled in sorted(names, key=words.get):
        for virtual, archs in ARCHITECTURES.items():
            counts, threads = (part.get(mangled) for part in read[virtual])
            for arch in archs:
                kernel = assembled[arch][0].get(mangled)
                if kernel is None:  # one that only newer cards have
                    continue
                if kernel.spilled:
                    spilling.append(f"{words[mangled]} for {arch}: {kernel.spilled} bytes")
                warps = resident_warps(kernel, threads) if threads else "?"
                rows.append([words[mangled], arch, kernel.registers, kernel.shared, kernel.barriers, kernel.stack,
                             kernel.spilled, warps, *(counts[kind, width] for kind in ("load", "store") for width in WIDTHS),
                             counts["bulk", 0]])
    files = ", ".join(source.name for source in arguments.sources)
    text = (f"{len(names)} kernels of {files}. Bytes of static shared memory, stack and spills; warps that the registers of a "
            f"multiprocessor hold;\nloads and stores of global memory in the PTX by their bytes, each "
            f"counted once.\n\n{table(rows)}\n")
    print(text)
    print(f"{elapsed:.0f} s in {arguments.processes} processes")
    if arguments.table:
        arguments.table.parent.mkdir(parents=True, exist_ok=True)
        arguments.table.write_text(text)
    if spilling:
        fail("these spill:\n  " + "\n  ".join(spilling))


if __name__ == "__main__":
    main()
