"""What is done to Doxygen's pages after it: dead links, links from names to their reference, the check of all links."""

import html.parser
import re
import urllib.parse

import markdown


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.to = set(), []

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key in ("id", "name") and value:
                self.ids.add(value)
            if key in ("href", "src") and value:
                self.to.append(value)


def drop_dead_summaries(folder):
    """Doxygen 1.9.4 links to a list of nested classes where all of them are private, and so not listed."""
    for page in folder.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        if 'href="#nested-classes"' in text and 'name="nested-classes"' not in text:
            page.write_text(re.sub(r'<a href="#nested-classes">[^<]*</a>( &#124;)?', "", text), encoding="utf-8")


def link_names(folder, names):
    """Doxygen links limbeck::name in code; our pages write lk::name."""
    def link(m):
        to = names.get(m[0])
        return f'lk::<a class="code" href="{to}">{m[1]}</a>' if to else m[0]

    for page in folder.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        if "lk::" in text:
            page.write_text(re.sub(r'(?<=<div class="line">).*?(?=</div>)', lambda line: re.sub(r"\blk::(\w+)", link, line[0]),
                                   text), encoding="utf-8")


def link_catalogue(folder, names):
    """The page of a class leads to its entry in the catalogue, which has the formula, an example and the source."""
    for entry_page in (markdown.ROOT / "docs" / "catalogue").glob("*.md"):
        for heading in re.findall(r"^## +(.*)", entry_page.read_text(encoding="utf-8"), re.M):
            page = markdown.page_id(entry_page)
            place = f"{page}.html#{markdown.anchor(page, markdown.slug(heading))}"
            for name in re.findall(r"\w+", heading):
                file = folder / names.get(f"lk::{name}", "#")
                if re.match(r"(class|struct)", file.name) and file.exists():
                    text = file.read_text(encoding="utf-8")
                    after = '<div class="textblock">'
                    link = f'<p class="see"><a href="{place}">In the catalogue</a>: formula, options, example, source</p>'
                    file.write_text(text.replace(after, after + link, 1), encoding="utf-8")


def broken_links(folder, offline):
    """What leads nowhere inside the site; where it is to be read offline, scripts and styles of other hosts too."""
    pages = {}
    for page in folder.glob("*.html"):
        pages[page.name] = Links()
        pages[page.name].feed(page.read_text(encoding="utf-8"))
    for name, page in sorted(pages.items()):
        for link in dict.fromkeys(page.to):
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                if offline and link.rsplit("?", 1)[0].endswith((".js", ".css")):
                    yield f"{name}: loads {link} from the network"
                continue
            path, fragment = urllib.parse.unquote(parts.path) or name, urllib.parse.unquote(parts.fragment)
            if not (folder / path).exists():
                yield f"{name}: {link} is not there"
            elif fragment and path in pages and fragment not in pages[path].ids:
                yield f"{name}: {link}: {path} has no such place"
