#!/usr/bin/env python3
"""What a translation unit with Limbeck costs to compile: user seconds and peak memory, the fastest of several runs.

    benchmarks/compile_time.py                       g++ and clang++, those that are there
    benchmarks/compile_time.py --compiler g++-13 --repeats 5 --json compile_time.json

The four-term objective is cross-entropy + KL + reverse KL + Jensen-Shannon, called once with a gradient of the caller's.
Runs go round by round over all units, so that a busy moment does not fall on one of them.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

FOUR = """
double loss(const {input}& student, const {input}& teacher, const std::vector<int>& labels, {output}& gradient,
            limbeck::workspace& ws) {{
  namespace lk = limbeck;
  const auto four = lk::cross_entropy{{}} +
                    lk::at_temperature(4.0, lk::forward_kl{{}} + lk::reverse_kl{{}} + lk::jensen_shannon{{}});
  return four(student, teacher, labels, lk::into(gradient), ws).loss;
}}
"""


def standard_headers():
    """The headers of the standard library that the core includes."""
    found = set()
    for header in (ROOT / "include" / "limbeck").rglob("*.hpp"):
        if "backend" not in header.parts:
            found.update(re.findall(r"^#include <([a-z_]+)>", header.read_text(), re.MULTILINE))
    return "".join(f"#include <{name}>\n" for name in sorted(found))


def four(include, kind, output=None, workspace="workspace"):
    text = FOUR.format(input=kind, output=output or kind).replace("limbeck::workspace&", f"limbeck::{workspace}&")
    return f"#include <limbeck/{include}.hpp>\n#include <vector>\n" + text


def units():
    eigen_product = "#include <Eigen/Dense>\nEigen::MatrixXf product(const Eigen::MatrixXf& a, const Eigen::MatrixXf& b) { return a * b; }\n"
    thrust = (four("thrust", "tensor", workspace="device_workspace")
              .replace("const std::vector<int>&", "const thrust::device_vector<int>&")
              .replace("\ndouble", "\n#include <thrust/device_vector.h>\nusing tensor = limbeck::device_rows<float>;\ndouble", 1)
              .replace("const tensor&", "const limbeck::device_rows<const float>&"))
    return {
        "standard headers of the core": standard_headers(),
        "limbeck.hpp": "#include <limbeck/limbeck.hpp>\n",
        "Eigen/Dense and a product": eigen_product,
        "four terms, span": four("limbeck", "limbeck::rows<const float>", "limbeck::rows<float>"),
        "Eigen/Dense alone": "#include <Eigen/Dense>\n",
        "four terms, Eigen": four("eigen", "Eigen::MatrixXf"),
        "xtensor.hpp and xsimd alone": "#include <xtensor/xtensor.hpp>\n#include <xsimd/xsimd.hpp>\n",
        "four terms, xtensor": four("xtensor", "tensor").replace(
            "\ndouble", "\nusing tensor = xt::xtensor<float, 2>;\ndouble", 1),
        "thrust/device_vector.h alone": "#include <thrust/device_vector.h>\n",
        "four terms, Thrust (CPP)": thrust,
    }


def measure(command):
    """User seconds and MiB of one compiler run, its children included; the error where it fails."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        lines = [line for line in error.splitlines() if "error" in line]
        return None, (lines or ["it failed without a word"])[0]
    return (usage.ru_utime, usage.ru_maxrss / 1024), None


def run(compilers, repeats, flags):
    results, errors = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        sources = {}
        for number, (name, text) in enumerate(units().items()):
            sources[name] = pathlib.Path(folder) / f"unit_{number}.cpp"
            sources[name].write_text(text)
        for _ in range(repeats):
            for compiler in compilers:
                for name, source in sources.items():
                    if (compiler, name) in errors:
                        continue
                    command = [compiler, "-std=c++20", "-O2", "-c", str(source), "-o", "/dev/null", f"-I{ROOT}/include",
                               "-DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP", *flags]
                    if os.path.isdir("/usr/include/eigen3"):
                        command += ["-isystem", "/usr/include/eigen3"]
                    cost, error = measure(command)
                    if error:
                        errors[compiler, name] = error
                        continue
                    seen = results.setdefault((compiler, name), cost)
                    results[compiler, name] = (min(seen[0], cost[0]), min(seen[1], cost[1]))
    return results, errors


def table(results, errors, compilers):
    """Markdown, with what is promised at the end."""
    lines = ["| translation unit | " + " | ".join(f"{c}: s | MiB | to Eigen product" for c in compilers) + " |",
             "|---|" + "---|" * (3 * len(compilers))]
    for name in units():
        cells = []
        for compiler in compilers:
            cost, base = results.get((compiler, name)), results.get((compiler, "Eigen/Dense and a product"))
            if not cost:
                cells.append("failed | | ")
            else:
                cells.append(f"{cost[0]:.2f} | {cost[1]:.0f} | " + (f"{cost[0] / base[0]:.2f}" if base else ""))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines.append("")
    for compiler in compilers:
        get = lambda name: results.get((compiler, name), (float("nan"),))[0]
        core = get("limbeck.hpp") - get("standard headers of the core")
        ratio = get("four terms, Eigen") / get("Eigen/Dense and a product")
        lines.append(f"{compiler}: the core takes {core:.2f} s over its standard headers (target 0.3); four terms over Eigen "
                     f"{ratio:.2f} times the product (target 1.5).")
    lines += [f"{compiler}, {name}: {error}" for (compiler, name), error in errors.items()]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compiler", action="append", help="default: g++ and clang++, those that are there")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--flag", action="append", default=[], help="a further flag for every compilation")
    parser.add_argument("--json", help="where to write the numbers")
    arguments = parser.parse_args()
    compilers = arguments.compiler or [c for c in ("g++", "clang++") if shutil.which(c)]
    results, errors = run(compilers, arguments.repeats, arguments.flag)
    print(table(results, errors, compilers))
    if arguments.json:
        rows = [{"compiler": c, "unit": n, "user_s": s, "mib": m} for (c, n), (s, m) in results.items()]
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
