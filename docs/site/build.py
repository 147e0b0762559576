#!/usr/bin/env python3
"""Builds the site: docs/site/build.py [--output FOLDER]; its first page is FOLDER/html/index.html.

Fails on any warning of Doxygen and on any link inside the site that leads nowhere. Three steps: Doxygen's XML says what
is public; from that come the page of all headers and the sidebar (docs/guide/README.md gives the order of the guide);
then Doxygen writes the HTML. The theme doxygen-awesome and MathJax are taken from where Debian puts them, or from
--theme and --mathjax; without them the pages are plain, and their formulas need a network.
"""

import argparse
import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import finish  # noqa: E402
import markdown  # noqa: E402

ROOT = markdown.ROOT
DOXYGEN = "doxygen"
HERE = pathlib.Path(__file__).resolve().parent
THEMES = ("/usr/share/doxygen-awesome-css", "/usr/local/share/doxygen-awesome-css")
MATHJAX = ("/usr/share/javascript/mathjax", "/usr/share/mathjax2")
# What a page with TeX formulas in SVG needs of MathJax 2.
MATHJAX_PARTS = ("MathJax.js", "extensions", "jax/input/TeX", "jax/element", "jax/output/SVG/jax.js",
                 "jax/output/SVG/config.js", "jax/output/SVG/autoload", "jax/output/SVG/fonts/TeX")
# Names of ours that pages use as words or as variables too: only `lk::row` is a link, `row` is not.
COMMON = {"all", "batch", "exp", "fill", "log", "map", "none", "objective", "on", "product", "row", "rows", "step", "sum",
          "tail", "workspace"}
STYLES = ("doxygen-awesome.css", "doxygen-awesome-sidebar-only.css", "doxygen-awesome-sidebar-only-darkmode-toggle.css")
SCRIPTS = ("doxygen-awesome-darkmode-toggle.js", "doxygen-awesome-fragment-copy-button.js",
           "doxygen-awesome-paragraph-link.js")


def first_folder(given, known):
    for folder in [given] if given else known:
        if folder and pathlib.Path(folder).is_dir():
            return pathlib.Path(folder)
    return None


def doxygen(settings, folder, name, names=None):
    """Runs it on docs/Doxyfile and these settings; its warnings."""
    file = folder / f"{name}.doxyfile"
    lines = [f"@INCLUDE = \"{ROOT / 'docs' / 'Doxyfile'}\""]
    for key, value in settings.items():
        lines.append(f"{key} = " + " ".join(f'"{v}"' for v in (value if isinstance(value, list) else [value])))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    environment = dict(os.environ, LIMBECK_SITE_NAMES=str(names) if names else "")
    ran = subprocess.run([DOXYGEN, str(file)], cwd=ROOT, capture_output=True, text=True, env=environment)
    if ran.returncode != 0:
        raise SystemExit(f"doxygen ended with {ran.returncode}\n{ran.stderr}")
    return [line for line in ran.stderr.splitlines() if line.strip()]


# --- the page of all headers ------------------------------------------------------------------------------------------

def text_of(node):
    return re.sub(r"\s+", " ", "".join(node.itertext())).strip() if node is not None else ""


def html_of(node):
    """Its text with <code>, in one line that can stand in a table."""
    if node is None:
        return ""
    inside = html.escape(node.text or "", quote=False) + "".join(
        html_of(part) + html.escape(part.tail or "", quote=False) for part in node)
    inside = re.sub(r"\s+", " ", inside).replace("|", "&#124;")
    return f"<code>{inside}</code>" if node.tag == "computeroutput" else inside


def first_sentence(text):
    return re.split(r"(?<=[.])\s|:\s*$", text, maxsplit=1)[0].rstrip(":")


def read_public(folder):
    """Of all that is public: path -> (what it is, its page); path -> [(name, place, brief)]; name -> place."""
    compounds = [c for c in xml.parse(folder / "index.xml").getroot() if c.get("kind") != "dir"]
    pages, members, headers = {}, {}, {}
    for compound in compounds:
        ref, kind = compound.get("refid"), compound.get("kind")
        if kind not in ("class", "struct", "concept", "namespace", "file"):
            continue
        root = xml.parse(folder / f"{ref}.xml").getroot()[0]
        if kind in ("class", "struct", "concept"):
            name = text_of(root.find("compoundname"))
            place = root.find("location")
            if "<" not in name and place is not None and root.get("prot", "public") == "public":
                short = name.removeprefix("limbeck::")
                pages[f"lk::{short}"] = f"{ref}.html"
                if kind != "concept" and short not in COMMON:
                    pages[short] = f"{ref}.html"
                members.setdefault(place.get("file"), []).append((name, f"{ref}.html", html_of(root.find("briefdescription"))))
        elif kind == "namespace" and text_of(root.find("compoundname")) == "limbeck":
            for member in root.iter("memberdef"):
                name, place, ref = text_of(member.find("name")), member.find("location"), member.get("id")
                page, _, place_in = ref.rpartition("_1")
                if re.fullmatch(r"\w+", name) and place is not None:
                    entry = (f"limbeck::{name}", f"{page}.html#{place_in}", html_of(member.find("briefdescription")))
                    if entry[0] not in [m[0] for m in members.setdefault(place.get("file"), [])]:
                        members[place.get("file")].append(entry)
                    pages.setdefault(f"lk::{name}", entry[1])
                    if name not in COMMON:
                        pages.setdefault(name, entry[1])
        elif kind == "file":
            path = root.find("location").get("file")
            about = html_of(root.find("briefdescription")) or html_of(root.find("detaileddescription"))
            headers[path] = (about, f"{ref}.html")
    return headers, members, pages


FOLDERS = {  # in the order of the page; a folder that is not named here comes last
    ".": "Headers to include", "core": "Views, numbers, errors", "loss/logits": "Losses on logits",
    "loss/features": "Losses between layers", "loss/relations": "Losses between samples", "loss": "Losses",
    "temperature": "Temperatures", "schedule": "Schedules", "objective": "Objectives", "signal": "Signals",
    "target": "Targets", "selection": "Selection", "averaging": "Averaging", "trainer": "The trainer",
    "io": "Files", "interop": "Tensors of other libraries", "backend/eigen": "Eigen", "backend/xtensor": "xtensor",
    "backend/thrust": "Thrust", "engine": "The engine"}


def reference_page(headers, members):
    out = ["# Reference", "",
           "Every header, by folder, with what it declares. All names are of the namespace `limbeck`; what is in "
           "`limbeck::detail` may change without notice and is not shown. A program includes "
           "`<limbeck/limbeck.hpp>` or the header of its backend; a header of the list compiles alone.", ""]
    by_folder = {}
    for path in headers:
        inside = pathlib.PurePath(path).relative_to("include/limbeck") if path.startswith("include/") else None
        if inside is not None and inside.suffix in (".hpp", ".cuh"):
            by_folder.setdefault(str(inside.parent), []).append(path)
    order = list(FOLDERS)
    for folder in sorted(by_folder, key=lambda f: (order.index(f) if f in order else len(order), f)):
        declares = folder != "."  # those include the others
        out += [f"## {FOLDERS.get(folder, folder)}", "",
                *(["| header | declares | |", "|---|---|---|"] if declares else ["| header | |", "|---|---|"])]
        for path in sorted(by_folder[folder]):
            about, page = headers[path]
            here = sorted(members.get(path, []))
            if not about and here:
                about = here[0][2]
            name = path.removeprefix("include/")
            links = ", ".join(f'<a class="name" href="{to}">{n.removeprefix("limbeck::")}</a>' for n, to, _ in here)
            out.append(f'| <a class="name" href="{page}">{name.removeprefix("limbeck/")}</a> ' +
                       (f"| {links} " if declares else "") +
                       f'| {first_sentence(about.strip())} |')
        out.append("")
    return "\n".join(out)


# --- the sidebar ------------------------------------------------------------------------------------------------------

def contents(page):
    """Of a page that is a table of contents: [(heading or None, [(title, path)])], from its lists."""
    groups = [(None, [])]
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            groups.append((line[3:].strip(), []))
        found = re.match(r"(?:- |\d+\. )\[([^\]]+)\]\(([^)#]+\.md)\)", line)
        if found and (page.parent / found[2]).exists():
            groups[-1][1].append((found[1].replace("`", ""), (page.parent / found[2]).resolve()))
    return [g for g in groups if g[1]]


def title_of(page):
    return next(line[2:].strip() for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("# "))


def short_title(page):
    """Of a page of the catalogue: "Catalogue of losses on logits" is there already, and what a comma adds is too long."""
    return re.sub(r"^Catalogue(?: of|:) (.)", lambda m: m[1].upper(), title_of(page)).partition(",")[0]


def sidebar():
    quote = html.escape

    def leaf(title, page):
        return f'<tab type="user" title="{quote(title)}" url="@ref {page}"/>'

    def group(title, page, inside):
        return f'<tab type="usergroup" title="{quote(title)}" url="{f"@ref {page}" if page else "[none]"}">' + "".join(inside) + "</tab>"

    guide = []
    for heading, pages in contents(ROOT / "docs" / "guide" / "README.md"):
        leaves = [leaf(title, markdown.page_id(path)) for title, path in pages]
        guide += [group(heading, None, leaves)] if heading else leaves
    catalogue = [leaf(short_title(p), markdown.page_id(p))
                 for p in ordered_catalogue()]
    examples = [leaf(p.parent.name.replace("_", " "), markdown.page_id(p)) for p in sorted(ROOT.glob("examples/*/README.md"))
                if p.parent.name != "data"]
    return "".join([
        '<tab type="mainpage" title="Limbeck"/>',
        group("Guide", "guide", guide),
        group("Catalogue", "catalogue", catalogue),
        leaf("Architecture", "architecture"),
        group("Reference", "reference", ['<tab type="classlist" title="Classes"/>', '<tab type="concepts" title="Concepts"/>',
                                          '<tab type="filelist" title="Files"/>']),
        group("Examples", None, examples),
        group("More", None, [leaf("Benchmarks", "benchmarks"), leaf("Golden values", "tests_golden"),
                             leaf("Contributing", "contributing"), leaf("Changelog", "changelog")]),
        '<tab type="pages" visible="no"/>', '<tab type="modules" visible="no"/>', '<tab type="examples" visible="no"/>'])


def ordered_catalogue():
    """The pages of the catalogue, in the order in which docs/catalogue.md names them first."""
    index = ROOT / "docs" / "catalogue.md"
    named = re.findall(r"\]\((catalogue/[\w.-]+\.md)", index.read_text(encoding="utf-8"))
    pages = [ROOT / "docs" / n for n in dict.fromkeys(named)]
    return [p for p in pages if p.exists()] + sorted(p for p in (ROOT / "docs/catalogue").glob("*.md") if p not in pages)


def layout(folder):
    stock = folder / "stock_layout.xml"
    subprocess.run([DOXYGEN, "-l", str(stock)], check=True, capture_output=True)
    text = re.sub(r"<navindex>.*</navindex>", lambda _: f"<navindex>{sidebar()}</navindex>",
                  stock.read_text(encoding="utf-8"), flags=re.S)
    # what a thing is comes before the list of its parts, and options before functions
    text = re.sub(r"(<class>.*?<memberdecl>)(.*?)(\s*<publicattributes[^>]*/>)", r"\1\3\2", text, count=1, flags=re.S)
    parts = re.split(r"(?=<(?:class|namespace|concept|file)>)", text)
    for i, part in enumerate(parts):
        if "<briefdescription" in part and "<detaileddescription" in part:
            kind, _, rest = part.partition(">")
            end = rest.index(f"</{kind[1:]}>")
            body = re.sub(r"\s*<(brief|detailed)description[^>]*/>", "", rest[:end])
            parts[i] = f'{kind}><detaileddescription title="Description"/>{body}{rest[end:]}'
    (folder / "layout.xml").write_text("".join(parts), encoding="utf-8")
    return folder / "layout.xml"


# --- the theme --------------------------------------------------------------------------------------------------------

def header(folder, theme):
    """Doxygen's own header, with the theme's scripts and ours."""
    subprocess.run([DOXYGEN, "-w", "html", "header.html", "footer.html", "stock.css"], cwd=folder, check=True,
                   capture_output=True)
    scripts = [f'<script type="text/javascript" src="$relpath^{s}"></script>' for s in SCRIPTS] if theme else []
    scripts.append('<script type="text/javascript" src="$relpath^site.js"></script>')
    text = (folder / "header.html").read_text(encoding="utf-8")
    (folder / "header.html").write_text(text.replace("</head>", "\n".join(scripts) + "\n</head>"), encoding="utf-8")
    return folder / "header.html"


def copy_parts(source, parts, to):
    for part in parts:
        if (source / part).is_dir():
            shutil.copytree(source / part, to / part, dirs_exist_ok=True)
        else:
            (to / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / part, to / part)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "docs")
    parser.add_argument("--doxygen", default="doxygen", help="the program")
    parser.add_argument("--theme", help="the folder of doxygen-awesome.css")
    parser.add_argument("--mathjax", help="the folder of MathJax.js, version 2")
    arguments = parser.parse_args()
    global DOXYGEN
    DOXYGEN = arguments.doxygen
    theme, mathjax = first_folder(arguments.theme, THEMES), first_folder(arguments.mathjax, MATHJAX)
    if not theme:
        print("doxygen-awesome-css was not found: the pages have Doxygen's own look")
    if not mathjax:
        print("MathJax was not found: formulas need a network")

    out = arguments.output.resolve()
    work, site = out / "work", out / "html"
    for folder in (work, site):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    # what is public
    doxygen({"OUTPUT_DIRECTORY": work, "GENERATE_HTML": "NO", "GENERATE_XML": "YES", "XML_PROGRAMLISTING": "NO",
             "INPUT": "include", "WARNINGS": "NO"}, work, "xml")
    headers, members, names = read_public(work / "xml")
    (work / "reference.md").write_text(reference_page(headers, members), encoding="utf-8")
    order = [[markdown.page_id(path), title] for _, pages in contents(ROOT / "docs" / "guide" / "README.md")
             for title, path in pages]
    (work / "names.json").write_text(json.dumps({"names": names, "order": order}), encoding="utf-8")

    # the pages
    images = [p for folder in ("docs", "examples", "benchmarks") for kind in ("png", "svg")
              for p in (ROOT / folder).rglob(f"*.{kind}")]
    for image in images:
        shutil.copyfile(image, site / markdown.image_name(image))
    styles = ([theme / s for s in STYLES] if theme else []) + [HERE / "site.css"]
    extra = ([theme / s for s in SCRIPTS] if theme else []) + [HERE / "site.js"]
    settings = {"OUTPUT_DIRECTORY": out, "HTML_EXTRA_STYLESHEET": styles,
                "HTML_EXTRA_FILES": extra, "HTML_HEADER": header(work, theme),
                "LAYOUT_FILE": layout(work), "PROJECT_NUMBER": version(),
                "USE_MDFILE_AS_MAINPAGE": "docs/mainpage.md"}
    inputs = ["docs", "include", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md", "tests/golden/README.md",
              *sorted(p.relative_to(ROOT) for p in ROOT.glob("examples/*/README.md")), work / "reference.md"]
    settings["INPUT"] = inputs
    if mathjax:
        copy_parts(mathjax, MATHJAX_PARTS, site / "mathjax")
        settings["MATHJAX_RELPATH"] = "mathjax"
    warnings = doxygen(settings, work, "html", work / "names.json")
    finish.drop_dead_summaries(site)
    finish.link_names(site, names)
    finish.link_catalogue(site, names)
    if (site / "search" / "search.css").exists():  # the results are a page of their own, which no style of ours reaches
        with (site / "search" / "search.css").open("a", encoding="utf-8") as style:
            style.write((HERE / "search.css").read_text(encoding="utf-8"))
    warnings += finish.broken_links(site, offline=mathjax is not None)
    for warning in warnings:
        print(warning)
    pages = len(list(site.glob("*.html")))
    print(f"{pages} pages in {site}, {len(warnings)} warnings")
    return 1 if warnings else 0


def version():
    text = (ROOT / "include" / "limbeck" / "version.hpp").read_text(encoding="utf-8")
    return ".".join(re.search(rf"LIMBECK_VERSION_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR", "PATCH"))


if __name__ == "__main__":
    sys.exit(main())
