#!/usr/bin/env python3
"""Tests docs/site/markdown.py, which turns GitHub's Markdown into Doxygen's."""

import contextlib
import io
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))
import markdown  # noqa: E402

NAMES = {name: "structlimbeck_1_1forward__kl.html" for name in ("forward_kl", "lk::forward_kl", "lk::row")}


def rendered(text, page="docs/guide/signals.md"):
    return markdown.Page(ROOT / page, NAMES).render(text)


class Filter(unittest.TestCase):
    def test_formulas(self):
        self.assertEqual(rendered("with $q_i$ and $\\frac{1}{n}$."), "with \\f$q_i\\f$ and \\f$\\frac{1}{n}\\f$.\n")
        self.assertEqual(rendered("over\n$a +\nb$ lines"), "over\n\\f$a + b\\f$ lines\n")
        self.assertEqual(rendered("$$\\sum_i p_i$$"), "\\f[\\sum_i p_i\\f]\n")
        self.assertEqual(rendered("```math\nx_1 * x_2\n```"), "\\f[\nx_1 * x_2\n\\f]\n")
        self.assertEqual(rendered("| $\\mathrm{KL}(p \\| q)$ |"), "| \\f$\\mathrm{KL}(p \\vert  q)\\f$ |\n")

    def test_what_is_no_formula(self):
        for text in ("from $5 to $6", "`$x$`", "``a ` $x$``", "a \\$ sign and a \\$ sign", "US$x$"):
            self.assertEqual(rendered(text), text + "\n")
        code = "```sh\nA=$B; echo $A [x](y.md)\n```\n"
        self.assertEqual(rendered(code), code)

    def test_fences(self):
        self.assertEqual(rendered("```cpp run\nint x;\n```"), "```cpp\nint x;\n```\n")
        self.assertEqual(rendered("```text output\n# no heading\n```"), "```text\n# no heading\n```\n")

    def test_headings(self):
        self.assertEqual(rendered("# Signals\n## Of p, and q\n## Of p, and q"),
                         "# Signals {#guide_signals}\n## Of p, and q {#guide_signals-of-p-and-q}\n"
                         "## Of p, and q {#guide_signals-of-p-and-q-1}\n")
        self.assertEqual(rendered('<a id="old"></a><a id="p"></a>\n## P'),
                         "\\anchor guide_signals-old \n## P {#guide_signals-p}\n")
        self.assertEqual(markdown.slug("`by_highest`, by_lowest"), "by_highest-by_lowest")
        self.assertEqual(markdown.slug("-ffast-math is refused"), "-ffast-math-is-refused")

    def test_links(self):
        self.assertEqual(rendered("[a page](targets.md)"), '<a href="guide_targets.html">a page</a>\n')
        self.assertEqual(rendered("[here](#the-end)"), '<a href="guide_signals.html#guide_signals-the-end">here</a>\n')
        self.assertEqual(rendered("[there](../catalogue/logits.md#mse)"),
                         '<a href="catalogue_logits.html#catalogue_logits-mse">there</a>\n')
        self.assertEqual(rendered("[guide](guide)", "docs/architecture.md"), '<a href="guide.html">guide</a>\n')
        self.assertEqual(rendered("[front](../../README.md)"), '<a href="index.html">front</a>\n')
        self.assertEqual(rendered("[licence](../../LICENSE)"), "licence\n")
        self.assertEqual(rendered("[out](https://example.org/a)"), '<a href="https://example.org/a">out</a>\n')
        self.assertEqual(rendered("2015, arXiv:1503.02531."),
                         '2015, <a href="https://arxiv.org/abs/1503.02531">arXiv:1503.02531</a>.\n')
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(rendered("[lost](nowhere.md)"), "lost\n")
        self.assertIn("there is no nowhere.md", said.getvalue())

    def test_names(self):
        link = '<a class="name" href="structlimbeck_1_1forward__kl.html">{}</a>'
        self.assertEqual(rendered("take `forward_kl`"), "take " + link.format("`forward_kl`") + "\n")
        self.assertEqual(rendered("`lk::forward_kl{}`"), link.format("`lk::forward_kl{}`") + "\n")
        self.assertEqual(rendered("`limbeck::forward_kl`"), "`limbeck::forward_kl`\n")
        self.assertEqual(rendered("`forward_kl(a, b)`"), link.format("`forward_kl(a, b)`") + "\n")
        self.assertEqual(rendered("`lk::row`"), link.format("`lk::row`") + "\n")
        self.assertEqual(rendered("`forward` or `row(x)` or `2 * forward_kl`"),
                         "`forward` or `row(x)` or `2 * forward_kl`\n")
        self.assertEqual(rendered("[`forward_kl`](targets.md)"), '<a href="guide_targets.html">`forward_kl`</a>\n')

    def test_images(self):
        image = "![a plot](../../examples/quickstart/results/learning_curves.png)"
        shown = '<img src="examples_quickstart_learning_curves.png" alt="a plot"/>'
        self.assertIn(shown, rendered(image))
        self.assertEqual(rendered("see " + image), "see " + shown + "\n")

    def test_pages(self):
        for path, page in (("docs/guide/README.md", "guide"), ("docs/catalogue.md", "catalogue"),
                           ("examples/self_training/README.md", "examples_self_training"), ("docs/mainpage.md", "index")):
            self.assertEqual(markdown.page_id(ROOT / path), page)


if __name__ == "__main__":
    unittest.main()
