#!/usr/bin/env python3
"""Makes papers.md, "By paper and system", from papers.tsv: make_papers.py [--check]

papers.tsv has a row a published system, tab-separated, with these columns:

    id          S000 and so on of the 209 systems, or a key of its own for a paper that is none of them
    system      its name
    paper       the title
    arxiv       one or more ids
    status      one of STATUS below
    expression  C++ without lk::, several after one another with `;`; tests/docs compiles each
    where       the entry that it is documented at, as page.md#entry
    test        the tests that run it, as path or path: name of the case, parted by ` | `
    missing     what the library lacks of the system
    note        what else is to be said: how the expression is called, what of the paper was not read

Prints how many rows have which status. With --check it writes nothing, and fails where the page is not what the table
makes.
"""

import argparse
import collections
import pathlib
import re
import sys
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = ("id", "system", "paper", "arxiv", "status", "expression", "where", "test", "missing", "note")
SYSTEMS = 209
STATUS = {
    "works": "it is here under its name, checked against the formula",
    "recipe": "a composition of parts that are here, under the formula as it was read",
    "ours": "the same where the formula was not read: the abstract says what, ours is how",
    "part": "some of it is here",
    "nothing": "nothing of it is here yet",
}
SECTIONS = (  # heading, statuses, words
    ("What works", ("works", "recipe"),
     "Weights are those of the paper or of its authors' code where they are known, else an example. What is marked as "
     "a recipe is a composition: it has no name of its own in Limbeck, and needs none."),
    ("Ours, where the formula was not read", ("ours",),
     "The formula of these was not read, so nothing bears their name; the line is what we would write."),
    ("In part", ("part",), "What is here of a system, and what is not."),
    ("Not yet", ("nothing",), "Systems that wait for what the second column names."),
)


def read(path=HERE / "papers.tsv"):
    """The rows, as dictionaries, each with its line in the file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if tuple(lines[0].split("\t")) != COLUMNS:
        raise SystemExit(f"{path}:1: the columns are not {', '.join(COLUMNS)}")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(COLUMNS):
            raise SystemExit(f"{path}:{number}: {len(cells)} columns, expected {len(COLUMNS)}")
        rows.append(dict(zip(COLUMNS, cells), line=number))
    return rows


def expressions(row):
    """The parts of a row's expression: what stands between semicolons that are in no bracket."""
    parts, depth, last = [], 0, 0
    text = row["expression"]
    for i, c in enumerate(text):
        depth += (c in "({[") - (c in ")}]")
        if c == ";" and depth == 0:
            parts.append(text[last:i])
            last = i + 1
    return [p.strip() for p in parts + [text[last:]] if p.strip()]


def tests(row):
    """(path, name of the case or None) of each test."""
    found = [t.strip() for t in row["test"].split(" | ") if t.strip()]
    return [(path, name or None) for path, _, name in (t.partition(": ") for t in found)]


def system(rows):
    return [r for r in rows if re.fullmatch(r"S\d{3}", r["id"])]


def counts(rows):
    all_rows, systems = (collections.Counter(r["status"] for r in some) for some in (rows, system(rows)))
    return [(s, systems[s], all_rows[s] - systems[s]) for s in STATUS]


def cell(text):
    return text.replace("|", r"\|")


def lines(text):
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)


def name(row):
    title = row["paper"].removeprefix(row["system"] + ": ")
    shown = f"[{row['system']}]({row['where']})" if row["where"] else row["system"]
    return cell(shown + (f": *{title}*" if title else ""))


def in_limbeck(row):
    said = "; ".join(f"`{p}`" for p in expressions(row)) + (" (recipe)" if row["status"] == "recipe" else "")
    if row["note"]:
        said += (". " if row["note"][0].isupper() else ": ") + row["note"]
    return cell(said)


def checked_in(row):
    return ", ".join(dict.fromkeys(f"`{p.removeprefix('tests/')}`" for p, _ in tests(row)))


def page(rows):
    out = ["# Catalogue: by paper and system", "",
           *lines("What you know from a paper, written in Limbeck (`lk::` left out). The page is made by "
                  "`make_papers.py` from `papers.tsv`, which also names the case of each test. The tests compile every "
                  "expression, and ask every loss among them for its plan. The last column is an arXiv id."), "",
           "| status | systems | other papers | what it says |", "|---|---|---|---|"]
    total = [0, 0]
    for status, systems, others in counts(rows):
        out.append(f"| {status} | {systems} | {others} | {STATUS[status]} |")
        total = [total[0] + systems, total[1] + others]
    out += [f"| all | {total[0]} | {total[1]} | |", ""]
    for heading, statuses, words in SECTIONS:
        chosen = sorted((r for r in rows if r["status"] in statuses), key=lambda r: (r["system"].lower(), r["id"]))
        out += [f"## {heading}", "", *lines(words), ""]
        if statuses == ("nothing",):
            made = [("system", "what is missing", "arXiv")]
            made += [(name(r), cell(r["missing"]), r["arxiv"]) for r in chosen]
        else:
            made = [("paper or system", "in Limbeck", "what is missing", "checked in tests/", "arXiv")]
            made += [(name(r), in_limbeck(r), cell(r["missing"]), checked_in(r), r["arxiv"]) for r in chosen]
        made.insert(1, ("---",) * len(made[0]))
        out += [*dict.fromkeys(f"| {' | '.join(cells)} |" for cells in made), ""]  # two rows of one method are one line
    return "\n".join(out).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    arguments = parser.parse_args()
    rows, path = read(), HERE / "papers.md"
    for status, systems, others in counts(rows):
        print(f"{status:8} {systems:4} of {SYSTEMS}, and {others} other papers")
    made = page(rows)
    if arguments.check:
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        if there != made:
            print(f"{path} is not what papers.tsv makes: run {pathlib.Path(__file__).name}")
            return 1
    else:
        path.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
