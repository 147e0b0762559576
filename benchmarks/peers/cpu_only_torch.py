#!/usr/bin/env python3
"""Lets the default PyTorch wheel be imported without several gigabytes of CUDA libraries.

The default Linux wheel holds CPU and GPU code, and its GPU half is linked to libraries (cuBLAS, cuDNN, NCCL, ...) that
a CPU benchmark never calls, but that the dynamic loader wants to see. This script asks readelf which shared libraries
and symbols are missing and builds, with the system's C compiler, tiny stand-ins whose every function returns 100
("no device" in the CUDA runtime), next to PyTorch's own libraries. `torch.cuda.is_available()` is then false and
everything on the CPU is untouched. The interpreter it runs in is the one whose torch is prepared.

It changes nothing but the folder of that one torch, so give it a virtual environment of its own; a torch that brought
its GPU libraries along is left alone by not running this.
"""

import collections
import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


GPU_LIBRARY = r"lib(cu|nv|nccl)"
GPU_SYMBOL = r"_*(cu|CU|nv|nccl)"


def main():
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        sys.exit("cpu_only_torch: this interpreter has no torch")
    package = pathlib.Path(spec.origin).parent
    libraries = package / "lib"
    binaries = sorted(libraries.glob("*.so*")) + sorted(package.glob("_C*.so"))

    needed, defined = set(), set()
    undefined = collections.defaultdict(set)  # symbol -> versions it is wanted in ("": any)
    provider = {}  # version -> the library that should define it
    for binary in binaries:
        needed |= set(re.findall(r"\(NEEDED\).*\[(.+?)\]", readelf("-d", binary)))
        file = ""
        for found in re.finditer(r"File: (\S+)|Name: (\S+)\s+Flags", readelf("-V", binary)):
            file = found[1] or file
            if found[2]:
                provider[found[2]] = file
        for line in readelf("--dyn-syms", binary).splitlines():
            fields = line.split()
            if len(fields) < 8 or not fields[0].endswith(":") or not fields[0][:-1].isdigit():
                continue
            name, _, version = fields[7].partition("@")
            version = version.lstrip("@")
            if fields[6] == "UND":
                if fields[4] != "WEAK":
                    undefined[name].add(version)
            else:
                defined.add(name)

    missing = sorted(name for name in needed if re.match(GPU_LIBRARY, name) and not (libraries / name).exists())
    if not missing:
        print("cpu_only_torch: nothing is missing")
        return

    # A versioned symbol belongs to one library; the loader takes one without a version wherever it finds it.
    symbols = {name: collections.defaultdict(set) for name in missing}
    for name, versions in undefined.items():
        if name in defined:
            continue
        for version in versions:
            owners = [provider.get(version)] if version else missing if re.match(GPU_SYMBOL, name) else []
            for owner in owners:
                if owner in symbols:
                    symbols[owner][version].add(name)

    for library in missing:
        with tempfile.TemporaryDirectory() as folder:
            source, script = pathlib.Path(folder, "stand_in.c"), pathlib.Path(folder, "versions.map")
            names = sorted(set().union(*symbols[library].values()) if symbols[library] else [])
            source.write_text("".join(f"int {name}(void) {{ return 100; }}\n" for name in names) or "int unused;\n")
            command = ["cc", "-shared", "-fPIC", "-fno-builtin", "-w", "-o", str(libraries / library), str(source),
                       f"-Wl,-soname,{library}"]
            versions = [version for version in symbols[library] if version]
            if versions:
                nodes = ((version, " ".join(f"{name};" for name in sorted(symbols[library][version]))) for version in versions)
                script.write_text("".join(f"{version} {{ global: {listed} }};\n" for version, listed in nodes))
                command.append(f"-Wl,--version-script={script}")
            subprocess.run(command, check=True)
            print(f"cpu_only_torch: stand-in for {library} with {len(names)} functions")


if __name__ == "__main__":
    main()
