#!/usr/bin/env python3
"""Nothing that works on packs of another instruction set than the file's own is a function by itself: it would be compiled
for the file's own, and be several times slower than the rest of the loop.

    python3 inlined.py PROGRAM      needs nm; returns 77 where the program has one instruction set only
"""

import re
import subprocess
import sys

PACKS = re.compile(r"pack<limbeck::\w+::vector_lanes<\w+, \d+, limbeck::\w+::detail::(avx2|avx512)>")
# what has to be compiled for the set: the door itself
CALL = re.compile(r"(void )?limbeck::\w+::detail::(avx2|avx512)::call<")

symbols = subprocess.run(["nm", "-C", "--defined-only", sys.argv[1]], check=True, capture_output=True, text=True).stdout
functions = [line.split(" ", 2)[2] for line in symbols.splitlines() if re.match(r"\w+ [tTwW] ", line)]
doors = [name for name in functions if CALL.match(name)]
lonely = [name for name in functions if PACKS.search(name) and not CALL.match(name)]
for name in lonely:
    print(f"not inlined: {name[:200]} ... {name[-200:]}")
print(f"{len(doors)} functions for another instruction set")
sys.exit(1 if lonely else 0 if doors else 77)
