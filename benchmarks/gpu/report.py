#!/usr/bin/env python3
"""One table of what losses.cu, peers.py and ncu have said, finished or not.

    report.py --folder build-gpu [--fact "driver=580.65" ...]

Reads losses.jsonl, peers.jsonl and bytes.jsonl of the folder, where they are, prints the table and writes gpu.md and gpu.json.
"""

import argparse
import json
import pathlib

FORMS = {"eager": "PyTorch", "compiled": "torch.compile", "max_autotune": "max-autotune", "liger": "Liger"}
OBJECTIVES = {"kl": "KL, T = 4", "ce": "cross-entropy", "ce_kl": "cross-entropy + KL", "four": "four terms"}


def lines_of(file):
    found = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:  # cut short
            pass
    return found


def number(x):
    return "" if x is None else f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def table(ours, peers, measured, copy):
    forms = [form for form in FORMS if any(key[3] == form for key in peers)]
    heads = ["size", "objective", "µs", "GB/s", "of a copy's", "launches", "as a graph, µs"]
    heads += ["bytes over floor"] * bool(measured)
    heads += [f"{FORMS[form]}, over ours{what}" for form in forms for what in ("", ", as graphs")]
    out = [heads, ["---"] * len(heads)]
    for key, x in sorted(ours.items(), key=lambda item: (*item[0][:2], list(OBJECTIVES).index(item[0][2]))):
        gbs = x["bytes"] / x["us"] * 1e-3
        line = [f"{key[0]}x{key[1]}", OBJECTIVES[key[2]], number(x["us"]), number(gbs), f"{gbs / copy:.2f}" if copy else "",
                str(x["launches"]), number(x["graph_us"])]
        if measured:
            line.append(number(measured[key] / x["bytes"]) if key in measured else "")
        for form in forms:
            peer = peers.get((*key, form), {})
            line += [number(peer[time] / x[time]) if peer.get(time) and x.get(time) else "" for time in ("us", "graph_us")]
        out.append(line)
    return "\n".join("| " + " | ".join(line) + " |" for line in out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--fact", action="append", default=[], metavar="WHAT=TEXT", help="also stands above the table")
    arguments = parser.parse_args()
    read = {name: lines_of(arguments.folder / f"{name}.jsonl") for name in ("losses", "peers", "bytes")}
    key = lambda x: (x["rows"], x["classes"], x["objective"])
    ours = {key(x): x for x in read["losses"] if "us" in x}
    peers = {(*key(x), x["form"]): x for x in read["peers"] if "us" in x}
    measured = {key(x): x["dram_bytes"] for x in read["bytes"]}
    card = next((x for x in read["losses"] if "card" in x), {})
    facts = dict(fact.split("=", 1) for fact in arguments.fact)
    if not ours:
        print("Nothing has been measured.")
        return

    head = [f"{card['card']}, {card['multiprocessors']} multiprocessors, {card['memory_gib']:.0f} GiB, "
            f"{card['l2_mib']:.0f} MiB of second-level cache" if card else "A GPU"]
    head += [f"{what} {text}" for what, text in facts.items()]
    head += sorted({x["who"] for x in read["peers"] if "who" in x})
    copy = card.get("copy_gbs")
    text = "; ".join(head) + ".\n\n" + (f"A copy in the card's memory: {copy:.0f} GB/s. " if copy else "") + \
        "Value and gradient, float; bytes are those of the logits read once and the gradient written once.\n\n" + \
        table(ours, peers, measured, copy) + "\n"
    left_out = [x for part in read.values() for x in part if "left_out" in x]
    if left_out:
        text += "\nLeft out: " + "; ".join(f"{x['left_out']} ({x['why']})" for x in left_out) + ".\n"
    print(text)
    (arguments.folder / "gpu.md").write_text(text)
    (arguments.folder / "gpu.json").write_text(json.dumps({"card": card, **facts, **read}, indent=1) + "\n")


if __name__ == "__main__":
    main()
