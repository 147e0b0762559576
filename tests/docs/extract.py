#!/usr/bin/env python3
"""Compiles the C++ of a page of Markdown, so that no page shows code that does not work.

    extract.py PAGE.md --compiler g++ --folder BUILD --options core=FILE [--options eigen=FILE ...]

Every block that begins with ```cpp is compiled, by -fsyntax-only. What follows `cpp` on that line says more:

    ```cpp                  a piece of code: the body of a function, after preamble.hpp, which has the student, the
                            teacher, the labels, the gradient and so on
    ```cpp eigen            the same with Eigen matrices (or xtensor, thrust, torch; trainer, io, dlpack, mpi);
                            an #include of the header says it too
    ```cpp run              is also run; it must return, and print what a block ```text output after it shows
    ```cpp skip             is not compiled (a sketch)

In a piece, includes, structs, templates, namespaces, `using` and `inline` functions that begin in the first column stand
before the function. A block with an `int main` is compiled as it is. The pieces of
a page that need the same backends are one program.
"""

import argparse
import pathlib
import re
import subprocess
import sys

BACKENDS = ("eigen", "xtensor", "thrust", "trainer", "io", "dlpack", "torch", "mpi")


class Block:
    def __init__(self, line, words, code):
        self.line, self.code, self.output = line, code, None
        self.run = "run" in words
        self.skip = "skip" in words
        included = [b for b in BACKENDS if any(re.match(rf"\s*#include <limbeck/{b}\.hpp>", c) for c in code)]
        self.backends = tuple(b for b in BACKENDS if b in words or b in included)
        self.whole = any(re.match(r"int main\(", c) for c in code)
        unknown = set(words) - set(BACKENDS) - {"run", "skip"}
        if unknown:
            raise SystemExit(f"line {line}: ```cpp is followed by {', '.join(sorted(unknown))}, which means nothing")


def blocks_of(page):
    blocks, fence, words, code, start = [], None, [], [], 0
    for number, text in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if fence is None:
            opening = re.match(r"\s*```(\w*)(.*)$", text)
            if opening:
                fence, words, code, start = opening[1], opening[2].split(), [], number
        elif text.strip() == "```":
            if fence == "cpp":
                blocks.append(Block(start, words, code))
            elif fence == "text" and "output" in words and blocks:
                blocks[-1].output = code
            fence = None
        else:
            code.append(text)
    return blocks


def parts_of(code):
    """Includes, declarations and statements, each line with its number in the block."""
    includes, declarations, statements, inside, depth = [], [], [], False, 0
    for number, text in enumerate(code, 1):
        inside = inside or bool(re.match(r"(struct|class|enum|template|namespace|using|inline)\b", text))
        if text.startswith("#include"):
            includes.append((number, text))
        elif inside:
            declarations.append((number, text))
            bare = re.sub(r"//.*", "", text).rstrip()
            depth += bare.count("{") - bare.count("}")
            inside = not (depth == 0 and bare.endswith((";", "}")))
        else:
            statements.append((number, text))
    return includes, declarations, statements


def program(page, blocks):
    lines, bodies = [], []
    where = str(page).replace("\\", "/")

    def write(out, block, numbered):
        for number, text in numbered:
            out.append(f'#line {block.line + number} "{where}"')
            out.append(text)

    parts = [(block, *parts_of(block.code)) for block in blocks]
    for block, includes, _, _ in parts:
        write(lines, block, includes)
    lines.append('#include "preamble.hpp"')
    for index, (block, _, declarations, statements) in enumerate(parts):
        if any("struct limbeck::" in text for _, text in declarations):  # a specialisation cannot stand in a namespace
            write(lines, block, declarations)
            declarations = []
        lines.append(f"namespace block_{index} {{")
        write(lines, block, declarations)
        lines.append("[[maybe_unused]] static void run() {")
        write(lines, block, statements)
        lines += ["}", "}"]
        bodies.append(f"  if (which == {index}) block_{index}::run();" if block.run else "")
    lines.append('#line 1 "main"')
    lines += ["int main(int, char** arguments) {", "  [[maybe_unused]] const int which = std::atoi(arguments[1]);", *bodies, "}"]
    return "\n".join(lines) + "\n"


def command_of(arguments, options, backends):
    warnings = [] if "torch" in backends else ["-Wall", "-Wextra", "-Wno-unused", "-Werror"]  # its headers have some
    # What runs here needs loops for one instruction set: tests/unit/dispatch has the others.
    command = [arguments.compiler, "-std=c++20", "-DLIMBECK_NO_DISPATCH", "-O1", *warnings]
    command += [f"@{options[b]}" for b in ("core", *backends)]
    return command + ["-DDOCS_%s=1" % b.upper() for b in backends] + [f"-I{pathlib.Path(__file__).parent}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=pathlib.Path, nargs="?")
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="where programs are written")
    parser.add_argument("--options", action="append", default=[], metavar="BACKEND=FILE",
                        help="the compiler's options for a backend, in a response file; core is needed")
    parser.add_argument("--prefix", type=pathlib.Path, metavar="HEADER")
    parser.add_argument("--precompile", action="store_true")
    arguments = parser.parse_args()
    options = dict(o.split("=", 1) for o in arguments.options)
    if arguments.precompile:
        return subprocess.run([*command_of(arguments, options, ()), "-x", "c++-header", str(arguments.prefix),
                               "-o", f"{arguments.prefix}.gch"]).returncode

    groups, failures, count = {}, 0, 0
    for block in blocks_of(arguments.page):
        if block.skip:
            continue
        missing = [b for b in block.backends if b not in options]
        if missing:
            print(f"{arguments.page}:{block.line}: skipped, no {', '.join(missing)} here")
            continue
        key = (block.backends, block.line if block.whole else 0)
        groups.setdefault(key, []).append(block)

    arguments.folder.mkdir(parents=True, exist_ok=True)
    for (backends, alone), blocks in groups.items():
        name = "_".join([arguments.page.stem, *backends] + ([str(alone)] if alone else []))
        source = arguments.folder / (name + ".cpp")
        source.write_text("\n".join([f'#line {alone + 1} "{arguments.page}"', *blocks[0].code]) + "\n" if alone
                          else program(arguments.page, blocks), encoding="utf-8")
        runs = any(b.run for b in blocks)
        binary = arguments.folder / name
        command = command_of(arguments, options, backends) + [str(source)]
        # Optimised behind a precompiled header, the standard library's strings are warned of as if they were ours.
        if arguments.prefix and not backends and not alone and not runs:
            command += ["-include", str(arguments.prefix)]
        command += ["-o", str(binary)] if runs else ["-fsyntax-only"]
        count += len(blocks)
        if subprocess.run(command).returncode != 0:
            failures += 1
            continue
        for index, block in enumerate(blocks):
            if not block.run:
                continue
            ran = subprocess.run([str(binary.resolve()), str(index)], capture_output=True, text=True)
            said = [line.rstrip() for line in ran.stdout.splitlines()]
            if ran.returncode != 0:
                print(f"{arguments.page}:{block.line}: ended with {ran.returncode}\n{ran.stdout}{ran.stderr}")
                failures += 1
            elif block.output is not None and said != [line.rstrip() for line in block.output]:
                print(f"{arguments.page}:{block.line}: prints\n" + "\n".join(said))
                failures += 1
    print(f"{arguments.page}: {count} blocks in {len(groups)} programs, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
