#!/usr/bin/env python3
"""Compiles every expression of docs/catalogue/papers.tsv, in one program, and runs it.

    compile_papers.py --compiler g++ --folder BUILD --options core=FILE [--options trainer=FILE]

An expression that stands in several rows is compiled once. A loss is asked for its plan, which reads and checks its
settings; all else is made. Expressions that name the trainer are left out where it is not there.
"""

import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "docs" / "catalogue"))
import make_papers  # noqa: E402

TRAINER = re.compile(r"\b(?:active_rounds|adaptive_share|alternating|both_contexts|confident_labels|drawn_by|mutual_trainer|on_policy|pupil|retried|self_training|turn|watch|weighted_draw)\b")


MAIN = r"""
#line 1 "main"
static const struct {
  int line;
  void (*run)();
} all[] = {
%s
};
}
int main() {
  int faults = 0;
  for (const auto& [line, run] : papers::all) {
    try {
      run();
    } catch (const std::exception& e) {
      std::printf("docs/catalogue/papers.tsv:%%d: %%s\n", line, e.what());
      ++faults;
    }
  }
  std::printf("%%zu expressions, %%zu of them losses with a plan\n", std::size(papers::all), papers::planned);
  return faults == 0 && papers::planned > 0 ? 0 : 1;
}
"""


def program(distinct):
    lines, calls = ['#include "papers.hpp"', "", "namespace papers {"], []
    for index, (expression, line) in enumerate(distinct.items()):
        lines += [f'#line {line} "docs/catalogue/papers.tsv"',
                  f"static void expression_{index}() {{ use([]() -> decltype(auto) {{ return {expression}; }}); }}"]
        calls.append(f"  {{{line}, expression_{index}}},")
    return "\n".join(lines) + MAIN % "\n".join(calls)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="where the program is written")
    parser.add_argument("--options", action="append", default=[], metavar="BACKEND=FILE",
                        help="the compiler's options for a backend, in a response file; core is needed")
    arguments = parser.parse_args()
    options = dict(o.split("=", 1) for o in arguments.options)
    backends = ["core"] + (["trainer"] if "trainer" in options else [])

    distinct, rows = {}, make_papers.read()
    for row in rows:
        for expression in make_papers.expressions(row):
            distinct.setdefault(expression, row["line"])
    skipped = [e for e in distinct if TRAINER.search(e) and "trainer" not in options]
    for expression in skipped:
        del distinct[expression]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    source, binary = arguments.folder / "papers.cpp", arguments.folder / "papers"
    source.write_text(program(distinct), encoding="utf-8")
    command = [arguments.compiler, "-std=c++20", "-O0", "-Wall", "-Wextra", "-Wno-unused", "-Werror"]
    command += [f"@{options[b]}" for b in backends] + (["-DDOCS_TRAINER=1"] if "trainer" in options else [])
    command += [f"-I{pathlib.Path(__file__).parent}", str(source), "-o", str(binary)]
    failed = subprocess.run(command).returncode != 0
    if not failed:
        failed = subprocess.run([str(binary.resolve())]).returncode != 0
        if failed:
            print("an expression is refused when it is made or planned")
    print(f"of {len(rows)} rows; {len(skipped)} left out for want of the trainer")
    return 1 if failed or not distinct else 0


if __name__ == "__main__":
    sys.exit(main())
