#!/usr/bin/env python3
"""Doxygen's filter for our Markdown, which is written for GitHub:

    markdown.py PAGE.md

- a page gets an id from its path, a heading one from its words, so that GitHub's links are the site's too;
- a link to a page becomes a link to where Doxygen puts it; what is not on the site is left as text;
- formulas: $...$, $$...$$ and blocks ```math become \\f$...\\f$ and \\f[...\\f];
- `name` of a public class or function is a link to its reference (LIMBECK_SITE_NAMES, written by build.py);
- arXiv:1503.02531 is a link; an image has the name that build.py gives it; the words after ```cpp are for the tests;
- what LIMBECK_SITE_NAMES says of the pages before and after this one stands at its end.
"""

import html
import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def page_id(path):
    """docs/guide/gpu.md -> guide_gpu, docs/guide/README.md -> guide, examples/compose/README.md -> examples_compose."""
    path = pathlib.Path(path).resolve()
    if path in (ROOT / "README.md", ROOT / "docs" / "mainpage.md"):
        return "index"
    parts = list((path.relative_to(ROOT) if path.is_relative_to(ROOT) else pathlib.Path(path.name)).with_suffix("").parts)
    if parts[0] == "docs" and len(parts) > 1:
        parts = parts[1:]
    if parts[-1] == "README":
        parts = parts[:-1]
    return "_".join(parts).lower().replace("-", "_")


def on_site(path):
    """Whether build.py gives this page to Doxygen: README.md stands for the front page."""
    inside = path.is_relative_to(ROOT) and path.suffix == ".md" and path.exists()
    return inside and path.relative_to(ROOT).parts[0] in ("docs", "examples", "benchmarks", "tests", "README.md",
                                                          "CHANGELOG.md", "CONTRIBUTING.md")


def image_name(path):
    return "_".join(path.resolve().relative_to(ROOT).parts).replace("_results_", "_")


def slug(heading):
    """GitHub's anchor of a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchor(page, fragment):
    """An anchor of the site, where one name may stand for one place only; letters that Doxygen would refuse as numbers."""
    return f"{page}-" + re.sub(r"[^A-Za-z0-9_-]", lambda m: f"x{ord(m[0]):x}", fragment)


class Page:
    def __init__(self, path, names):
        self.path = pathlib.Path(path).resolve()
        self.id = page_id(path)
        self.names = names if self.path.is_relative_to(ROOT / "docs") else {}  # elsewhere they are programs, files
        self.seen, self.slugs = {}, set()
        self.titled = False

    def heading(self, line):
        marks, text = re.match(r"(#+) +(.*?) *#*$", line).groups()
        text = self.inline(text, linked=False)
        if len(marks) == 1 and not self.titled:
            self.titled = True
            return f"# {text}" + ("" if self.id == "index" else f" {{#{self.id}}}")
        name = slug(line.lstrip("#"))
        count = self.seen.get(name, 0)
        self.seen[name] = count + 1
        return f"{marks} {text} {{#{anchor(self.id, name if count == 0 else f'{name}-{count}')}}}"

    def target(self, link):
        """Where a link leads on the site, or None."""
        if re.match(r"[a-z]+:", link):
            return link
        file, _, fragment = link.partition("#")
        path = (self.path.parent / file).resolve() if file else self.path
        if path.is_dir():
            path = path / "README.md"
        if not path.exists():
            print(f"{self.path}: warning: there is no {link}", file=sys.stderr)
            return None
        if not on_site(path) and path != self.path:
            return None
        page = page_id(path)
        return f"{page}.html" + (f"#{anchor(page, fragment)}" if fragment else "")

    def link(self, text, address):
        to = self.target(address)
        text = self.inline(text, linked=False)
        return f'<a href="{html.escape(to)}">{text}</a>' if to else text

    def image(self, text, address):
        if re.match(r"[a-z]+:", address):
            return f"![{text}]({address})"
        path = (self.path.parent / address).resolve()
        if not path.exists():
            print(f"{self.path}: warning: there is no {address}", file=sys.stderr)
        return f'<img src="{image_name(path)}" alt="{html.escape(text)}"/>'

    def code(self, ticks, text, linked):
        """`name` and `lk::name`, also before braces, parentheses or template arguments. `limbeck::name` is CMake's."""
        called = re.match(r"((?:lk::)?\w+)(?:[({<].*)?$", text.strip(), re.S) if linked else None
        to = called and self.names.get(called[1])
        whole = f"{ticks}{text}{ticks}"
        return f'<a class="name" href="{to}">{whole}</a>' if to else whole

    def inline(self, text, linked=True):
        """Links, images, formulas and names; code spans are passed over."""
        token = re.compile(
            r"(?P<ticks>`+)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)"
            r"|(?P<image>!)\[(?P<alt>[^\]]*)\]\((?P<source>[^)\s]+)\)"
            r"|\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<to>[^)\s]+)\)"
            r"|(?<![\\$])\$\$(?P<display>[^$]+)\$\$"
            r"|(?<![\\$\w])\$(?![\s$])(?P<math>[^$]*?[^\s$\\])\$(?![\w$])"
            r'|<a (?:id|name)="(?P<anchor>[^"]+)"></a>'
            r"|arXiv:(?P<arxiv>\d{4}\.\d{4,5})", re.S)

        def replace(m):
            if m["ticks"]:
                return self.code(m["ticks"], m["code"], linked)
            if m["image"]:
                return self.image(m["alt"], m["source"])
            if m["to"]:
                return self.link(m["text"], m["to"])
            if m["display"]:
                return f"\\f[{m['display'].strip()}\\f]"
            if m["math"]:
                return "\\f$" + m["math"].replace(r"\|", r"\vert ").replace("\n", " ") + "\\f$"
            if m["arxiv"]:
                return f'<a href="https://arxiv.org/abs/{m["arxiv"]}">{m[0]}</a>' if linked else m[0]
            return "" if m["anchor"] in self.slugs else f"\\anchor {anchor(self.id, m['anchor'])} "

        return token.sub(replace, text)

    def render(self, source):
        out, text, fence = [], [], None
        self.slugs = {slug(line) for line in re.findall(r"^#+ +(.*)", source, re.M)}

        def flush():
            if text:
                out.append(self.inline("\n".join(text)))
                text.clear()

        for line in source.splitlines():
            opening = re.match(r"(\s*)```+(\S*)", line)
            if fence is not None:
                if re.match(r"\s*```+\s*$", line):
                    out.append("\\f]" if fence == "math" else line)
                    fence = None
                else:
                    out.append(line)
            elif opening:
                flush()
                fence = opening[2]
                out.append("\\f[" if fence == "math" else f"{opening[1]}```{fence or 'text'}")
            elif re.match(r"#+ ", line):
                flush()
                out.append(self.heading(line))
            elif re.fullmatch(r"!\[[^\]]*\]\([^)]*\)", line) and not "".join(text[-1:]).strip():  # a figure
                flush()
                out.append(f'\\htmlonly[block]\n<p class="figure">{self.inline(line)}</p>\n\\endhtmlonly')
            elif re.match(r"</?div[^>]*>$", line):  # Doxygen would close them at each paragraph
                flush()
                out.append(f"\\htmlonly[block]\n{line}\n\\endhtmlonly")
            else:
                text.append(line)
        flush()
        return "\n".join(out) + "\n"


def pager(before, after):
    def link(entry, shape):
        return f'<a href="{entry[0]}.html">{shape.format(html.escape(entry[1]))}</a>' if entry else "<span></span>"

    return ("\n\\htmlonly[block]\n<div class=\"pager\">" + link(before, "← {}") + link(after, "{} →") +
            "</div>\n\\endhtmlonly\n")


def main():
    known = {"names": {}, "order": []}
    if os.environ.get("LIMBECK_SITE_NAMES"):
        known = json.loads(pathlib.Path(os.environ["LIMBECK_SITE_NAMES"]).read_text(encoding="utf-8"))
    sys.stdout.reconfigure(encoding="utf-8")
    for path in sys.argv[1:]:
        page = Page(path, known["names"])
        sys.stdout.write(page.render(pathlib.Path(path).read_text(encoding="utf-8")))
        at = [i for i, entry in enumerate(known["order"]) if entry[0] == page.id]
        if at:
            around = [None, *known["order"], None]
            sys.stdout.write(pager(around[at[0]], around[at[0] + 2]))


if __name__ == "__main__":
    main()
