#!/usr/bin/env python3
"""Holds the catalogue against the headers: check_catalogue.py [--root FOLDER]. It reads text; nothing is compiled.

1. Every policy has an entry: each public type of FAMILIES with a marker (`using limbeck_loss = ...`) or a member named
   in POLICY. Every other public type or function there has one too, or stands in `code` somewhere. A type that a
   function makes (the function names it, or "made by `f`", "What `f` returns", "See f()") has the function's entry.
   Public is what stands in no namespace `detail`, between no @cond and @endcond, and behind no `private:`.
2. Every name in the heading of an entry is a type or a function of include/.
3. Every entry has a formula, an example, **Checked** and **Source**; the index links to it; links lead somewhere.
4. A table of options, whose head is `option` (of the entry's own names) or "option of `name`", has the defaults of the
   header: of members (`double beta = 0.5;`), of the parameters of functions and constructors, and of templates. It
   names nothing else and leaves out no documented member. `required` stands for no default, `none` for `{}`.
5. Formulas need nothing that GitHub or MathJax 2 lack: no macro of ours, no `<`, no `|` in a table, and between single
   dollars no backslash before a sign, which GitHub drops.
6. What the index writes in code is of include/: `name{...}`, `name(...)`, `name<...>`, and `.option = ` of that name.
7. docs/catalogue/papers.tsv: the ids are different, and those of all systems; a status is one of its words; every name and
   option in an expression is of include/, or a name of papers.hpp; the entry that a row points to is there; every test is a
   file, and the case that is named is in it. What is here has an expression and a test, what is not here says what is
   missing. The page papers.md is what the table makes.
"""

import argparse
import pathlib
import re
import sys

FAMILIES = ("loss", "dense", "target", "layers", "tokens", "diffusion", "selection", "averaging", "decoding", "signal", "schedule", "temperature")
MARKER = re.compile(r"\busing limbeck_(?:loss|target|signal|schedule|decay|temperature)\b")
POLICY = re.compile(r"\b(?:operator\(\)|update|next|weighted|fill|embed)\s*\(")
MADE_BY = re.compile(r"made by `(\w+)|[Ww]hat `(\w+)` returns|[Ss]ee (\w+)\(\)")
SECTIONS = ("Callbacks and parts", "Maps", "Training on what the student writes", "Under other names")  # headings that are no entries
WORDS = {"double", "return", "std", "true"}  # of C++, in an expression of papers.tsv
UNKNOWN_MACROS = re.compile(r"\\(?:DeclareMathOperator|newcommand|def|bm|mathbbm|operatorname\*)\b")


# --- the headers ------------------------------------------------------------------------------------------------------

class Name:
    """A type or a function: where it stands, its comment, and what can be set, with defaults."""

    def __init__(self, name, kind, path):
        self.name, self.kind, self.path = name, kind, path
        self.comment, self.policy, self.constructed = "", False, False
        self.options, self.members = {}, []  # option -> default or None; the documented members, in order
        self.words = set()  # of a function: what it names, among them the type that it returns


def split_commas(text):
    parts, depth, last = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "(<{[") - (c in ")>}]")
        if c == "," and depth == 0:
            parts.append(text[last:i])
            last = i + 1
    return [p.strip() for p in parts + [text[last:]] if p.strip()]


def parameter(text):
    """`const N& temperature = 1` -> (temperature, 1)"""
    declared, _, default = text.partition("=")
    m = re.search(r"(\w+)\s*$", declared)
    return (m[1], default.strip() or None) if m else None


def closing(text, at):
    """The place of the bracket that closes the one at @p at."""
    pairs, depth = {"(": ")", "<": ">", "{": "}"}, 0
    opening, shutting = text[at], pairs[text[at]]
    for i in range(at, len(text)):
        depth += (text[i] == opening) - (text[i] == shutting)
        if depth == 0:
            return i
    return len(text) - 1


def statements(text):
    """(head, body or None, comments before it, comment after it) of each declaration at this level."""
    head, comments, i, out = "", [], 0, []
    while i < len(text):
        if text.startswith("///<", i):
            end = text.find("\n", i)
            if out:
                out[-1][3] += text[i + 4:end].strip() + " "
            i = end
        elif text.startswith("///", i):
            end = text.find("\n", i)
            if not head.strip():
                comments.append(text[i + 3:end].strip())
            i = end
        elif text.startswith("//", i):
            i = text.find("\n", i)
        elif text[i] == "#" and not head.strip():
            i = text.find("\n", i)
        elif text[i] == '"':
            end = i + 1
            while text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            head, i = head + text[i:end + 1], end + 1
        elif text[i] == "'" and re.match(r"'(\\.|[^'\\])'", text[i:i + 4]):
            i = text.find("'", i + 2) + 1
        elif text[i] == "{" and re.search(r"(^|[\s)>:}\w])$", head) and not re.search(r"=\s*$", head):
            end = closing_brace(text, i)
            after = re.match(r"\s*[;,]", text[end + 1:])
            if after and re.match(r"(?!\s*(struct|class|enum|template|union)\b)\s*[\w:<>, ]+\s\w+$", head):
                head, i = head + text[i:end + 1], end + 1  # `std::span<T> labels{};`
                continue
            out.append([" ".join(head.split()), text[i + 1:end], comments, ""])
            head, comments, i = "", [], end + 1
            if after and not re.match(r"\s*,", text[i:]):
                i += after.end()
        elif text[i] == "{":
            end = closing_brace(text, i)
            head, i = head + text[i:end + 1], end + 1
        elif text[i] == ";":
            out.append([" ".join(head.split()), None, comments, ""])
            head, comments, i = "", [], i + 1
        elif text[i] == ":" and head.strip() in ("public", "private", "protected"):
            out.append([head.strip() + ":", None, [], ""])
            head, comments, i = "", [], i + 1
        else:
            head, i = head + text[i], i + 1
    return out


def closing_brace(text, at):
    depth, i = 0, at
    while i < len(text):
        c = text[i]
        if text.startswith("//", i):
            i = text.find("\n", i)
            continue
        if c == '"':
            i += 1
            while text[i] != '"':
                i += 2 if text[i] == "\\" else 1
        elif c == "'" and re.match(r"'(\\.|[^'\\])'", text[i:i + 4]):
            i = text.find("'", i + 2)
        depth += (c == "{") - (c == "}")
        if depth == 0:
            return i
        i += 1
    return len(text) - 1


def without_template(head, options=None):
    """The declaration behind `template <...>` and `requires(...)`; defaults of the parameters go to @p options."""
    while head.startswith("template"):
        at = head.index("<")
        end = closing(head, at)
        if options is not None:
            for p in split_commas(head[at + 1:end]):
                found = parameter(re.sub(r"\.\.\.", " ", p))
                if found:
                    options[found[0]] = found[1]
        head = head[end + 1:].strip()
        if head.startswith("requires"):
            rest = head[len("requires"):].strip()
            head = rest[closing(rest, 0) + 1:].strip() if rest.startswith("(") else rest[rest.find("auto"):]
    return head


def read_type(name, kind, body, template):
    public = kind == "struct"
    name.policy = bool(MARKER.search(body))
    for head, inner, comments, after in statements(body):
        if head in ("public:", "private:", "protected:"):
            public = head == "public:"
            continue
        if not public:
            continue
        declared = without_template(head)
        call = re.match(rf"(?:explicit |constexpr |constexpr explicit )*{name.name}\((.*)", declared)
        if call and "= delete" not in declared:  # a constructor
            text = declared[declared.index("("):]
            for p in split_commas(text[1:closing(text, 0)]):
                found = parameter(p)
                if found:
                    name.options.setdefault(found[0], found[1])
                    name.constructed = True
            continue
        if POLICY.search(declared) and inner is not None:
            name.policy = True
        if inner is not None or re.match(r"(static|using|friend|template|explicit|struct|class|enum)\b", declared):
            continue
        if "(" in re.sub(r"=.*", "", declared) or not declared:
            continue
        parts = split_commas(declared)
        m = re.match(r"[\w:<>, ]*[\w>*]\s+\*?(\w+)\s*(?:=\s*(.*)|(\{.*\}))?$", parts[0], re.S)
        if not m or after.strip().endswith(": state"):
            continue
        fallback = re.search(r"default (\S+)$", after.strip())
        for part in [parts[0][parts[0].index(m[1], m.start(1)):]] + parts[1:]:
            one = re.match(r"\*?(\w+)\s*(?:=\s*(.*)|(\{.*\}))?$", part, re.S)
            if not one:
                continue
            default = one[2] if one[2] else one[3]
            if default == "{}":
                kind_of = declared.split()[0]
                default = fallback[1] if fallback else template.get(kind_of) or "none"
            name.options[one[1]] = default
            if after or comments:
                name.members.append(one[1])


def read_header(path, names):
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"/// @cond.*?/// @endcond[^\n]*", "", text, flags=re.S)
    text = re.sub(r"LIMBECK_(?:BEGIN|END)_NAMESPACE|\\\n", " ", text)
    for head, body, comments, _ in statements(text):
        template = {}
        declared = without_template(head, template)
        if declared.startswith("namespace"):
            continue
        m = re.match(r"(struct|class|enum class|enum|using)\s+(\w+)", declared)
        if m and (body is not None or m[1] == "using"):
            if "<" in re.split(r"[:=]", declared[m.end():])[0]:
                continue  # a specialisation
            one = names.setdefault(m[2], Name(m[2], "type", path))
            one.comment = one.comment or " ".join(comments)
            if body is not None and not m[1].startswith("enum"):
                read_type(one, m[1], body, template)
                for option, default in template.items():
                    if option not in one.options and not re.match(r"[A-Z]$", option):
                        one.options[option] = default
            continue
        m = re.match(r"(?:[\w:<>,&*.\s]*?[\s&*>])(\w+)\((.*)", declared, re.S)
        if m and "= delete" not in declared and not declared.startswith(("static_assert", "concept", "friend")):
            one = names.setdefault(m[1], Name(m[1], "function", path))
            one.comment = one.comment or " ".join(comments)
            one.words |= set(re.findall(r"\w+", declared + " " + (body or "")))
            text_of = declared[declared.index(m[1] + "(") + len(m[1]):]
            for p in split_commas(text_of[1:closing(text_of, 0)]):
                found = parameter(p)
                if found and (found[0] not in one.options or one.options[found[0]] is None):
                    one.options[found[0]] = found[1]


# --- the catalogue ----------------------------------------------------------------------------------------------------

class Entry:
    def __init__(self, page, line, heading):
        self.page, self.line = page, line
        self.names = [n.strip() for n in heading.split(",")]
        self.text, self.tables = [], []  # tables: (type or None, line, rows)


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")


def read_page(path):
    """Entries, anchors and links of a page; formulas and tables with their lines."""
    entries, anchors, links, maths, entry, fence, rows = [], set(), [], [], None, None, None
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        opening = re.match(r"\s*```(\S*)", line)
        if opening:
            fence = None if fence is not None else opening[1]
        elif fence == "math":
            maths.append((number, line, False, False))
        if fence is None and not opening:
            anchors.update(re.findall(r'<a id="([^"]+)">', line))
            prose = re.sub(r"`[^`]*`", "", line)
            maths += [(number, m, line.startswith("|"), True) for m in re.findall(r"(?<![\\$\w])\$([^$]+)\$", prose)]
            links += [(number, to) for to in re.findall(r"\]\(([^)\s]+)\)", line)]
            heading = re.match(r"(#+) (.*)", line)
            if heading:
                anchors.add(slug(heading[2]))
                entry = None
                if heading[1] == "##" and heading[2] not in SECTIONS:
                    entry = Entry(path, number, heading[2])
                    entries.append(entry)
        if entry is not None:
            entry.text.append(line)
            head = re.match(r"\| option(?: of `(\w+)`)? \|", line)
            if head:
                rows = []
                entry.tables.append((head[1], number, rows))
            elif not line.startswith("|"):
                rows = None
            elif line.startswith("| `") and rows is not None:
                cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
                rows.append((number, re.findall(r"`([^`]+)`", cells[0]), cells[1].replace("`", "")))
    return entries, anchors, links, maths


def value(text):
    """2.0 / 3 -> 0.666..., "x" -> x: what two spellings of a default have in common."""
    number = re.fullmatch(r"([-+0-9.eE]+?)f?(?: ?/ ?([0-9.]+))?", text.strip())
    return float(number[1]) / float(number[2] or 1) if number else text.strip().strip('"')


def check_papers(root, names, pages, fault):
    """papers.tsv against the headers, the pages and the tests; the number of its rows."""
    folder = root / "docs" / "catalogue"
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    import make_papers
    path = folder / "papers.tsv"
    prelude = set(re.findall(r"\w+", (root / "tests" / "docs" / "papers.hpp").read_text(encoding="utf-8")))
    rows, seen, cases = make_papers.read(path), set(), {}
    for row in rows:
        def wrong(what):
            fault(path, row["line"], f"{row['id']}: {what}")

        if row["id"] in seen:
            wrong("the id comes twice")
        seen.add(row["id"])
        if not re.fullmatch(r"S\d{3}|[a-z][a-z0-9-]*", row["id"]) or not row["system"]:
            wrong("an id is S and three digits, or a key in small letters; and a system has a name")
        if row["status"] not in make_papers.STATUS:
            wrong(f"{row['status']} is not a status: {', '.join(make_papers.STATUS)}")
        here = row["status"] != "nothing"
        if here != bool(row["expression"]) or here != bool(row["test"]) or here != bool(row["where"]):
            wrong("what is here has an expression, an entry and a test; what is not has none of them")
        if row["status"] in ("part", "nothing") and not row["missing"]:
            wrong("what is missing is not said")
        if row["status"] == "ours" and not re.search(r"\bours\b", row["note"]):
            wrong("the note does not say what is ours")
        if row["arxiv"] and not re.fullmatch(r"\d{4}\.\d{4,5}(, \d{4}\.\d{4,5})*", row["arxiv"]):
            wrong(f"{row['arxiv']} is no arXiv id")
        page, _, anchor = row["where"].partition("#")
        if here and ((folder / page) not in pages or anchor not in pages[folder / page][1]):
            wrong(f"there is no entry {row['where']}")
        text = re.sub(r'"[^"]*"', '""', row["expression"])
        own = set(re.findall(r"\bdouble (\w+)", text))
        for n in sorted(set(re.findall(r"(?<![.:\w])[A-Za-z_]\w*", text)) - set(names) - prelude - own - WORDS):
            wrong(f"{n} is neither of include/ nor of tests/docs/papers.hpp")
        for n, inside in re.findall(r"(\w+)\{([^{}]*)\}", text):
            for option in re.findall(r"\.(\w+) = ", inside):
                if n in names and option not in names[n].options:
                    wrong(f"{n} has no option {option}")
        for file, case in make_papers.tests(row):
            if file not in cases:
                there = (root / file).is_file()
                source = (root / file).read_text(encoding="utf-8") if there else ""
                cases[file] = set(re.findall(r'TEST_CASE\(\s*"([^"]+)"', source)) if there else None
            if cases[file] is None:
                wrong(f"there is no {file}")
            elif case is not None and case not in cases[file]:
                wrong(f"{file} has no test case {case}")
    systems = len(make_papers.system(rows))
    if systems != make_papers.SYSTEMS:
        fault(path, 1, f"{systems} systems, expected {make_papers.SYSTEMS}")
    made = folder / "papers.md"
    if not made.exists() or made.read_text(encoding="utf-8") != make_papers.page(rows):
        fault(path, 1, "papers.md is not what make_papers.py makes of it")
    return len(rows)


def check(root):
    faults, names, families = [], {}, set()
    include = root / "include" / "limbeck"
    for path in sorted(include.rglob("*.hpp")):
        before = set(names)
        read_header(path, names)
        if path.relative_to(include).parts[0] in FAMILIES:
            families |= set(names) - before
    index = root / "docs" / "catalogue.md"
    pages = {p: read_page(p) for p in [index] + sorted((root / "docs" / "catalogue").glob("*.md"))}
    entries = [e for p, page in pages.items() if p not in (index, root / "docs" / "catalogue" / "papers.md") for e in page[0]]
    headed = {n: e for e in entries for n in e.names}
    words = "\n".join(p.read_text(encoding="utf-8") for p in pages)
    written = set(re.findall(r"lk::(\w+)", words))
    written |= {w for code in re.findall(r"`([^`\n]+)`", words) for w in re.findall(r"\w+", code)}

    def fault(path, line, what):
        faults.append(f"{path.relative_to(root)}:{line}: {what}")

    for name in sorted(families):  # 1
        one = names[name]
        makers = {g for m in MADE_BY.findall(one.comment) for g in m if g}
        makers |= {f for f in families if name in names[f].words and names[f].path == one.path}
        if name in headed or any(m in headed for m in makers):
            continue
        if one.policy:
            fault(one.path, 1, f"the policy {name} has no entry in the catalogue: a heading `## {name}`")
        elif name not in written:
            fault(one.path, 1, f"the {one.kind} {name} stands nowhere in the catalogue")

    linked = {to for _, to in pages[index][2]}
    for e in entries:
        text = "\n".join(e.text)
        for n in e.names:  # 2
            if n not in names:
                fault(e.page, e.line, f"{n} is neither a type nor a function of include/")
        for what, sign in (("formula", r"```math"), ("example", r"```cpp"), ("**Checked.**", r"\*\*Checked\.\*\*"),
                           ("**Source.**", r"\*\*Source\.\*\*")):  # 3
            if not re.search(sign, text):
                fault(e.page, e.line, f"the entry {', '.join(e.names)} has no {what}")
        at = {slug(", ".join(e.names))} | set(e.names)
        if not any(f"catalogue/{e.page.name}#{a}" in linked for a in at):
            fault(e.page, e.line, f"the index does not link to {', '.join(e.names)}")
        listed = {}  # 4
        for kind, line, rows in e.tables:
            owners = [kind] if kind else [n for n in e.names if n in names]
            if kind and kind not in names:
                fault(e.page, line, f"options of {kind}, which is neither a type nor a function of include/")
                continue
            for number, options, default in rows:
                for option in options:
                    method = re.match(r"\.(\w+)\(", option)
                    listed.setdefault(kind, set()).add(option)
                    if method:
                        if not any(method[1] + "(" in names[o].path.read_text(encoding="utf-8") for o in owners):
                            fault(e.page, number, f"{owners[0]} has no member {method[1]}")
                        continue
                    having = [names[o].options[option] for o in owners if option in names[o].options]
                    if not having:
                        fault(e.page, number, f"{', '.join(owners)} has no option {option}")
                    elif all(value(h or "required") != value(default) for h in having):
                        fault(e.page, number, f"{option} is {default} here and {having[0] or 'required'} in the header")
        for kind, options in list(listed.items()) + ([(None, set())] if None not in listed else []):
            for owner in [kind] if kind else [n for n in e.names if n in names]:
                for member in names[owner].members:
                    if member not in options and not names[owner].constructed:
                        fault(e.page, e.line, f"the option {member} of {owner} is missing")

    for path, (_, _, links, maths) in pages.items():
        for number, to in links:  # 3
            file, _, anchor = to.partition("#")
            if re.match(r"[a-z]+:", to):
                continue
            target = (path.parent / file).resolve() if file else path
            if not target.exists():
                fault(path, number, f"there is no {to}")
            elif anchor and target in pages and anchor not in pages[target][1]:
                fault(path, number, f"there is no anchor {to}")
        for number, formula, in_table, inline in maths:  # 5
            if (UNKNOWN_MACROS.search(formula) or "<" in formula or r"\|" in formula or (in_table and "|" in formula)
                    or (inline and re.search(r"\\[^a-zA-Z]", formula))):
                fault(path, number, f"a formula that GitHub or MathJax 2 would not show: {formula}")
    for number, line in enumerate(index.read_text(encoding="utf-8").splitlines(), 1):  # 6
        for code in re.findall(r"`([^`]+)`", line):
            for n in re.findall(r"(?<![.\w])([a-z]\w*)[{(<]", code):
                if n not in names:
                    fault(index, number, f"{n} is neither a type nor a function of include/")
            for n, inside in re.findall(r"(\w+)\{([^{}]*)\}", code):
                for option in re.findall(r"\.(\w+) = ", inside):
                    if n in names and option not in names[n].options:
                        fault(index, number, f"{n} has no option {option}")
    papers = check_papers(root, names, pages, fault)  # 7
    rows = sum(len(r) for e in entries for _, _, r in e.tables)
    return faults, len(entries), rows, sum(names[n].policy for n in families), papers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    faults, entries, options, policies, papers = check(parser.parse_args().root.resolve())
    print(*faults, f"{entries} entries, {options} rows of options, {policies} policies, {papers} papers, {len(faults)} faults",
          sep="\n")
    return 1 if faults or not (entries and options and policies and papers) else 0


if __name__ == "__main__":
    sys.exit(main())
