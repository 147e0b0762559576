#!/usr/bin/env python3
"""Writes each public header of Limbeck as one file that includes no other header of Limbeck.

    amalgamate.py [--output build/single]

build/single/limbeck/limbeck.hpp is the core, build/single/limbeck/eigen.hpp the core and Eigen's backend, and so on for
every include/limbeck/*.hpp. Copy one, or put the folder on the include path: the names are those of the headers that
they stand for. The parts keep their include guards, so two such files can meet in one translation unit.

The standard library's headers stand together at the top; those of other libraries stay where they are first wanted,
because what comes before them may check or set their macros.
"""

import argparse
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'\s*#\s*include\s*[<"]([^>"]+)[>"]')


class Amalgamation:
    def __init__(self, include):
        self.include, self.seen, self.standard, self.parts = include, set(), set(), []

    def add(self, name):
        """Appends a header after all that it includes."""
        if name in self.seen:
            return
        self.seen.add(name)
        kept, depth = [], 0
        for number, line in enumerate((self.include / name).read_text(encoding="utf-8").splitlines(), 1):
            directive = re.match(r"\s*#\s*(if|endif)", line)
            if directive:
                depth += 1 if directive[1] == "if" else -1
            included = INCLUDE.match(line)
            if included and included[1].startswith("limbeck/"):
                if depth != 1:
                    raise SystemExit(f"{name}:{number}: a header of Limbeck is included under a condition")
                self.add(included[1])
            elif included and depth == 1 and re.fullmatch(r"[a-z_]+", included[1]):
                self.standard.add(included[1])
            else:
                kept.append(line)
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
        self.parts.append(f"// --- {name} ---\n{text}\n")

    def text(self, name, version, licence):
        top = [f"Limbeck {version}: <{name}> and all of Limbeck that it includes, in one file.",
               "Written by scripts/amalgamate.py; change the headers that it was made of, not this file.", "",
               *licence.splitlines()]
        comment = "\n".join(f"// {line}".rstrip() for line in top)
        standard = "\n".join(f"#include <{header}>" for header in sorted(self.standard))
        return "\n\n".join([comment, standard, *self.parts])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "single", help="default: build/single")
    output = parser.parse_args().output / "limbeck"

    include = ROOT / "include"
    numbers = re.findall(r"#define LIMBECK_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)",
                         (include / "limbeck" / "version.hpp").read_text(encoding="utf-8"))
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8").strip()
    output.mkdir(parents=True, exist_ok=True)
    for header in sorted((include / "limbeck").glob("*.hpp")):
        if header.name == "version.hpp":
            continue
        name = f"limbeck/{header.name}"
        amalgamation = Amalgamation(include)
        amalgamation.add(name)
        text = amalgamation.text(name, ".".join(numbers), licence)
        (output / header.name).write_text(text, encoding="utf-8")
        print(f"{output / header.name}: {len(amalgamation.seen)} headers, {len(text) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
