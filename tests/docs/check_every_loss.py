#!/usr/bin/env python3
"""Every loss of the headers is in tests/unit/trainer/every_loss_list.cpp, where what holds of all is tested."""

import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
test = (root / "tests/unit/trainer/every_loss_list.cpp").read_text()
listed = set(re.findall(r'^ +(?:beside|alone|sparse)\("(\w+)"|^ +\{"(\w+)", with_', test, re.M))
listed = {a or b for a, b in listed}

declared = set()
for folder in ("loss", "target"):
    for header in sorted((root / "include/limbeck" / folder).rglob("*.hpp")):
        for name in re.findall(r"struct (\w+)[^{;]*\{\s*using limbeck_loss = \w+;", header.read_text()):
            declared.add(name if name in listed else name.removesuffix("_loss"))

around = {"through", "by_channel", "projected"}  # losses around losses
missing = sorted((declared | around) - listed)
unknown = sorted(listed - declared - around - {"sparse_kl"})
for name in missing:
    print(f"{name} is a loss, and tests/unit/trainer/every_loss_list.cpp does not list it")
for name in unknown:
    print(f"tests/unit/trainer/every_loss_list.cpp lists {name}, which no header declares")
print(f"{len(declared)} losses")
sys.exit(bool(missing or unknown or len(declared) < 30))
