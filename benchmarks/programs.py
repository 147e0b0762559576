"""The benchmarks of single methods: Limbeck's program and PyTorch in turns, and a table of each."""

import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import peers  # noqa: E402

PEERS = pathlib.Path(peers.__file__).resolve().parent


class Program:
    def __init__(self, title, script, options, quick, columns, once=None, derive=None, layout=None, same=()):
        self.title, self.script, self.options, self.quick = title, script, options, quick  # script: None without a peer
        self.columns = columns  # {counter: heading}
        self.once = once        # a filter of what has no peer and is run once a round
        self.derive = derive    # adds cases to {case: figures}
        self.layout = layout    # another table than a line a case: the program's figures to text
        self.same = same        # counters that the peer prints too, as case/counter, and that have to agree


def rkd(cases):
    """Adds distance and angle together, as they are trained with."""
    for case in [c for c in cases if "/rkd_angle/" in c]:
        distance = cases.get(case.replace("rkd_angle", "rkd_distance"))
        if distance:
            one = distance.get("", 0)  # PyTorch has one form of the distance
            cases[case.replace("rkd_angle", "rkd distance + angle")] = {
                k: v + (one or distance[k]) for k, v in cases[case].items() if one or k in distance}


def cache_layout(figures):
    """A line a cache: size, rates in thousands of rows a second, and each time over that of the plain way."""
    caches = {}
    for case, x in figures["ours"].items():
        _, what, kept, rows, classes, _ = case.split("/")
        caches.setdefault(f"{classes}: {kept.replace('_', ', ')}", {})[what] = x
    rates = ("write", "rows", "shuffled", "cold")
    out = [["classes: kept", "bytes a row", "of raw half", *(f"{w}, k rows/s (of plain)" for w in rates),
            "check, GB/s (of plain)", "open, ms", "step, ms (of plain)"]]
    for name, ways in caches.items():
        cell = lambda what, key: f"{number(ways[what][key])} ({number(ways[what]['plain'])})" if what in ways else ""
        lone = lambda what, key: number(ways[what][key]) if what in ways else ""
        out.append([name, lone("write", "bytes_row"), lone("write", "to_half"), *(cell(w, "krows") for w in rates),
                    cell("check", "gbs"), lone("open", "ms"), cell("step", "ms")])
    out.insert(1, ["---"] * len(out[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in out)


def heads_layout(figures):
    """A line for each way of a case: time and memory, and both over ours."""
    out = ["| case | what | ms | peak MiB | time over ours | memory over ours |", "|---" * 6 + "|"]
    ways = [("Limbeck", "", {c: {"": x["ms"], "peak": x.get("peak_mib")} for c, x in figures["ours"].items()})]
    for peer in figures["peers"]:
        for form in dict.fromkeys(f for forms in peer["cases"].values() for f in forms):
            ways.append((f"PyTorch {peer['torch']}, {form}", form, {
                c: {"": x[form], "peak": peer["cases"][c + "/peak_mib"][form]}
                for c, x in peer["cases"].items() if form in x and not c.endswith("/peak_mib")}))
    for case in dict.fromkeys(c for _, _, cases in ways for c in cases):
        ours = ways[0][2].get(case)
        for name, form, cases in ways:
            if x := cases.get(case):
                over = [number(x[k] / ours[k]) if form and ours and ours[k] else "" for k in ("", "peak")]
                out.append("| " + " | ".join([case.replace("threads:", ""), name, number(x[""]), number(x["peak"]), *over]) + " |")
    return "\n".join(out)


PROGRAMS = {
    "averaging": Program(
        "Moving average of 25.6 million parameters in 161 tensors", "ema.py", ["--threads", "1", "2", "--seconds", "1.5"],
        ["--seconds", "0.2"], {"update_floor": "update floor", "gbs": "GB/s"}),
    "selection": Program(
        "Selection from a pool: data/rows/columns/budget, float, one thread", "k_center.py",
        ["--data", "clusters", "softmax", "--picks", "5", "--runs", "2"], ["--sizes", "2000x100", "--picks", "2"],
        {"floor": "budget readings", "radius": "radius", "peak_mib": "peak MiB", "pool_mib": "pool MiB", "matrix_ms": "matrix ms"},
        once="^(k_center_file|k_center_cosine|k_center/normal|herding|k_means_plus_plus|badge|facility_location)/"),
    "relations": Program(
        "Losses between samples, value and gradient: type/loss/samples/width, one thread", "relations.py",
        ["--samples", "64", "256", "--runs", "2"], ["--samples", "16", "--runs", "1"],
        {"floor": "multiply-add floor", "to_eigen": "of Eigen's product", "gflops": "GFLOP/s"}, derive=rkd),
    "features": Program(
        "Losses between layers, pictures and towers, value and gradients: type/loss/sizes, one thread", "features.py",
        ["--seconds", "0.3"], ["--forms", "eager", "--seconds", "0.02"],
        {"byte_floor": "byte floor", "exp_floor": "exponential floor", "floor": "multiply-add floor"}, same=("loss", "slope")),
    "tokens": Program(
        "Losses of tokens, value and gradient: type/loss/(of a hundred rows, how many count)/rows/classes, one thread", "tokens.py",
        ["--seconds", "0.5"], ["--forms", "eager", "--seconds", "0.02"], {"of_all": "of the call where all rows count"},
        same=("loss", "slope")),
    "diffusion": Program(
        "Diffusion, conversion, weight, loss and gradient in one call: type/what/rows/columns/threads", "diffusion.py",
        ["--threads", "1", "2", "--seconds", "0.5"], ["--forms", "eager", "--seconds", "0.02"], {"byte_floor": "byte floor"},
        same=("loss", "slope")),
    "sinkhorn": Program(
        "Sinkhorn over logits, value and gradient, 20 iterations: type/samples/classes, one thread", "sinkhorn.py",
        ["--seconds", "1"], ["--sizes", "16x100", "--seconds", "0.1"], {"value_ms": "value alone, ms", "distance_floor": "distance floor"}),
    "top_k": Program(
        "The k largest of each row: type/top_k/k/rows/columns", "top_k.py", ["--threads", "1", "2", "--seconds", "0.5"],
        ["--seconds", "0.05"], {"read_floor": "read floor", "textbook": "partial_sort_copy's time over ours"}),
    "heads": Program(
        "Heads of student and teacher: type/heads/tokens/hidden/classes/threads", "heads.py", ["--threads", "1", "2", "--runs", "2"],
        ["--tokens", "64", "--hidden", "32", "--classes", "1000", "--runs", "1"], {}, layout=heads_layout),
    "teacher_cache": Program(
        "Teacher cache of 16,000 rows of 26 classes and 1,024 of 32,000, float, one thread", None, [], [], {},
        layout=cache_layout),
}
SUBJECT_OVER = {"update_floor", "floor", "byte_floor", "exp_floor", "read_floor", "distance_floor", "to_eigen", "plain", "of_all"}  # ratios: subject / something
OVER_SUBJECT = {"textbook"}
LARGEST = {"gbs", "gflops", "krows", "peak_mib"}  # of all rounds; of everything else the least


def run_ours(program, seconds, pattern, kept):
    """Merges what matches into `kept`: {case: figures}, times in ms, each the least of all rounds."""
    done = subprocess.run([str(program), f"--benchmark_filter={pattern}", f"--benchmark_min_time={seconds}",
                           "--benchmark_format=json"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode or not done.stdout.strip():
        sys.exit(f"{program} failed: {done.stderr.strip()}")
    for entry in json.loads(done.stdout)["benchmarks"]:
        if entry.get("error_occurred"):
            sys.exit(f"{entry['name']}: {entry['error_message']}")
        case = "/".join(w for w in entry["name"].split("/") if w != "manual_time" and not w.startswith("iterations:"))
        now = {k: v for k, v in entry.items() if isinstance(v, float) and k not in ("real_time", "cpu_time")}
        for name in SUBJECT_OVER & now.keys():
            now[name] = now["ms"] / now[name]  # the time of the floor itself, until the last round is in
        for name in OVER_SUBJECT & now.keys():
            now[name] = now["ms"] * now[name]
        old = kept.setdefault(case, {})
        for name, value in now.items():
            old[name] = (max if name in LARGEST else min)(old.get(name, value), value)


def run_peer(python, script, options, kept):
    """Merges into `kept`: {case: {form: ms}}; returns PyTorch's version, or nothing."""
    environment = peers.environment("torch", "tuned", len(os.sched_getaffinity(0)))
    done = subprocess.run([python, str(PEERS / script), *options], env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.returncode:
        print(f"[{python} {script}: {(done.stderr.strip().splitlines() or ['it died without a word'])[-1]}]", file=sys.stderr)
        return None
    head, *lines = done.stdout.strip().splitlines()
    for line in lines:
        form, case, ms = line.split("\t")
        forms = kept.setdefault(case, {})
        forms[form] = min(forms.get(form, float("inf")), float(ms))
    return head.split("\t")[1]


def check_same(name, ours, theirs):
    """Takes the program's `same` counters out of `theirs`; ends the run where they are not those of ours."""
    for counter in PROGRAMS[name].same:
        for key in [k for k in theirs if k.endswith("/" + counter)]:
            case = key.removesuffix("/" + counter)
            for form, value in theirs.pop(key).items():
                if not abs(value - ours[case][counter]) <= 1e-3 * abs(ours[case][counter]):
                    sys.exit(f"{case}: {counter} of {form} is {value}, ours {ours[case][counter]}: they do not compute the same")


def measure(name, binary, pythons, arguments, say):
    """Takes the rounds of one program (without one, of its peers alone); returns its figures."""
    rounds, quick = arguments.rounds, arguments.quick
    seconds = 0.01 if quick else arguments.seconds
    program, ours, versions = PROGRAMS[name], {}, {}
    pythons = pythons if program.script else []
    theirs = {p: {} for p in pythons}
    for turn in range(rounds):
        for place, python in enumerate(pythons or [None]):
            # ours before each peer, so that both see the same minutes
            say(f"{name}: round {turn + 1} of {rounds}")
            if program.once and place == 0 and not quick:
                run_ours(binary, seconds, program.once, ours)
            run_ours(binary, seconds, f"-{program.once}" if program.once else f"^({'|'.join(arguments.types)})/", ours)
            if python:
                options = program.options + (program.quick if quick else [])
                versions[python] = run_peer(python, program.script, options, theirs[python]) or versions.get(python)
                check_same(name, ours, theirs[python])
    if program.derive:
        program.derive(ours)
        for cases in theirs.values():
            program.derive(cases)
    for figures in ours.values():
        for counter in SUBJECT_OVER & figures.keys():
            figures[counter] = figures["ms"] / figures[counter]
        for counter in OVER_SUBJECT & figures.keys():
            figures[counter] /= figures["ms"]
    return {"ours": ours, "peers": [{"torch": versions[p], "cases": theirs[p]} for p in pythons if versions.get(p)]}


def number(x):
    return "" if x is None else f"{x:.3g}" if x < 1000 else f"{x:.0f}"


def table(name, figures):
    program = PROGRAMS[name]
    if program.layout:
        return program.layout(figures)
    columns = {k: v for k, v in program.columns.items() if any(k in x for x in figures["ours"].values())}
    head = ["", "ms", *columns.values(), *(f"PyTorch {p['torch']}'s time over ours" for p in figures["peers"])]
    out = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for case, x in figures["ours"].items():
        cells = [case.replace("threads:", ""), number(x["ms"]), *(number(x.get(k)) for k in columns)]
        for peer in figures["peers"]:
            cells.append(", ".join(f"{form} {number(ms / x['ms'])}".strip() for form, ms in peer["cases"].get(case, {}).items()))
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out)
