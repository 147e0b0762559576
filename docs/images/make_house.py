#!/usr/bin/env python3
"""Draws docs/images/house.svg, the picture of docs/architecture.md: docs/images/make_house.py > docs/images/house.svg

Boxes have fills of their own and the background none, so it can be read on light and on dark pages.
"""

DOORS = [  # what a program holds, and the header that lets it in
    ("Eigen", "backend/eigen"), ("xtensor", "backend/xtensor"), ("CUDA memory", "backend/thrust"),
    ("LibTorch", "interop/torch"), ("PyTorch, JAX, CuPy", "interop/dlpack"),
    ("Files, teacher cache", "io"), ("Plain memory", "core/rows, core/any_tensor")]

FLOORS = [  # (y, height, rooms); a room: (share of the width, name, what it holds, colour)
    (112, 62, [(0.25, "selection/", "pool, query → rows", "teal"), (0.17, "averaging/", "parameters", "teal"),
               (0.24, "tokens/ · decoding/", "sequences · samplers", "teal"), (0.2, "diffusion/", "noise · formulas", "teal"),
               (0.14, "dense/", "pictures", "teal")]),
    (182, 62, [(0.58, "objective/", "operators, names, the call, plan, report", "blue"),
               (0.42, "map/", "maps with a way back · views", "blue")]),
    (252, 62, [(0.325, "loss/", "logits · features · relations", "blue"), (0.19, "target/", "a teacher's row", "blue"),
               (0.185, "temperature/", "of a term", "blue"), (0.16, "schedule/", "of progress", "blue"),
               (0.14, "layers/", "lists of", "blue")]),
    (322, 84, [(1, "engine/", "planner on types · points and packs · the steps of a row · sweep · batch", "amber")]),
    (414, 62, [(1, "signal/", "numbers read off a row, and their algebra", "blue")]),
    (484, 66, [(1, "core/", "rows · any_tensor · numbers · errors · executors · memory · random streams", "grey")])]

FILLS = {"blue": ("#dce9f7", "#5b8fc7"), "teal": ("#d8efe9", "#4f9c88"), "amber": ("#fbe7c2", "#c98d1d"),
         "grey": ("#e4e6ea", "#8a919c"), "violet": ("#e7e0f5", "#8a6fc0"), "white": ("#fbfbfc", "#a4abb5")}
INK, SOFT, LINE = "#1d2733", "#4a5665", "#8593a5"


def box(x, y, w, h, title, text, colour, size=15):
    fill, edge = FILLS[colour]
    middle = y + h / 2
    yield f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="7" fill="{fill}" stroke="{edge}" stroke-width="1.4"/>'
    yield (f'<text x="{x + w / 2:g}" y="{middle - 4:g}" text-anchor="middle" font-size="{size}" font-weight="600" '
           f'fill="{INK}">{title}</text>')
    yield f'<text x="{x + w / 2:g}" y="{middle + 15:g}" text-anchor="middle" font-size="12" fill="{SOFT}">{text}</text>'


def arrow(x1, y1, x2, y2):
    return f'<path d="M{x1} {y1} L{x2} {y2}" stroke="{LINE}" stroke-width="2" fill="none" marker-end="url(#tip)"/>'


def label(x, y, text, anchor="middle", size=12.5):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{LINE}" font-weight="600">{text}</text>'


def draw():
    left, right = 300, 890
    yield ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1110 596" role="img" '
           'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif">')
    yield "<title>Limbeck: tensors go in on the left, each floor of the house includes only what lies below it</title>"
    yield (f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
           f'<path d="M0 0 L8 4 L0 8 z" fill="{LINE}"/></marker></defs>')

    yield label(126, 26, "what your program holds")
    for i, (name, header) in enumerate(DOORS):
        y = 40 + i * 74
        yield from box(6, y, 240, 60, name, header, "white", 14)
        yield arrow(248, y + 30, left - 4, max(y + 30, 126))
    yield label(126, 578, "a view of it goes in")

    fill, edge = FILLS["violet"]
    middle = (left + right) / 2
    yield (f'<path d="M{left} 104 L{left + 62} 34 L{right - 62} 34 L{right} 104 Z" fill="{fill}" stroke="{edge}" '
           f'stroke-width="1.4" stroke-linejoin="round"/>')
    yield f'<text x="{middle:g}" y="66" text-anchor="middle" font-size="15" font-weight="600" fill="{INK}">driver/ · trainer/</text>'
    yield (f'<text x="{middle:g}" y="86" text-anchor="middle" font-size="12" fill="{SOFT}">rounds, stages · loop, callbacks, '
           f'samplers, checkpoints: over your own classes</text>')
    gap = 8
    for y, height, rooms in FLOORS:
        x, free = left, right - left - gap * (len(rooms) - 1)
        for share, name, text, colour in rooms:
            yield from box(x, y, share * free, height, name, text, colour)
            x += share * free + gap
    yield label(middle, 578, "a floor includes only what lies below it")

    yield label(1008, 26, "what comes back")
    for y, name, text, colour in ((112, "row numbers", "which samples next", "teal"),
                                  (182, "plan", "what is computed, shared", "blue"),
                                  (334, "value, gradient", "one sweep, written once", "amber")):
        yield from box(926, y, 178, 60, name, text, colour, 14)
        yield arrow(right + 3, y + 30, 922, y + 30)
    yield "</svg>"


if __name__ == "__main__":
    print("\n".join(draw()))
