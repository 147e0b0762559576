#!/usr/bin/env python3
"""What the C++ writer wrote, read by python/limbeck_teacher_cache.py: read_caches.py PROGRAM FOLDER. 77 without NumPy."""

import json
import pathlib
import subprocess
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy was not found (Debian: python3-numpy)")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))
from limbeck_teacher_cache import Reader, write_manifest  # noqa: E402

program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
subprocess.run([program, str(folder)], check=True)

samples, classes = 9, 13
r, c = np.arange(samples)[:, None], np.arange(classes)[None, :]
z = ((r * 31 + c * 17) % 64) / 8 - 4
z[:, 6] = -np.inf
ids = (np.arange(samples) * 5 + 3) % samples + (1 << 33)
relative = {"float32": 2e-7, "float16": 2.0**-11, "bfloat16": 2.0**-8}

for kind in ("logits", "top_k", "sampled"):
    for values in ("float32", "float16", "bfloat16", "uint8"):
        with Reader(folder / f"{kind}_{values}.cache") as cache:
            assert cache.torn_bytes == 0 and len(cache) == samples, (kind, values)
            assert cache.metadata["teacher"] == "C++" and cache.metadata["classes"] == classes
            if kind == "logits":
                found = cache.rows(ids)
                assert np.isneginf(found[:, 6]).all()
                finite = np.isfinite(z)
                bound = (relative[values] * np.abs(z[finite]) if values in relative else
                         np.broadcast_to((np.where(finite, z, -np.inf).max(axis=1) - np.where(finite, z, np.inf).min(axis=1))[:, None]
                                         / 254 * 0.501, z.shape)[finite])
                assert (np.abs(found[finite] - z[finite]) <= bound + 1e-6).all(), (kind, values)
                continue
            log_p = z / 2 - np.log(np.exp(z / 2).sum(axis=1, keepdims=True))
            for row, (chosen, weights, tail) in enumerate(cache.sparse(ids)):
                chosen = np.asarray(chosen)
                if kind == "top_k":
                    assert sorted(chosen) == sorted(np.argsort(-log_p[row], kind="stable")[:4]), (values, row)
                    exact = log_p[row, chosen]
                    bound = relative[values] * np.abs(exact) if values in relative else (exact.max() - exact.min()) / 254 * 0.501
                    assert (np.abs(weights - exact) <= bound + 1e-5).all(), (values, row)
                    rest = np.setdiff1d(np.arange(classes), chosen)
                    assert abs(tail - np.log(np.exp(log_p[row, rest]).sum())) < 1e-5
                else:
                    counts = np.exp(np.asarray(weights, dtype=np.float64)) * 40
                    slack = 1e-4 if values in ("float32", "uint8") else 0.6
                    assert (np.abs(counts - np.rint(counts)) < slack).all() and abs(counts.sum() - 40) < 20 * slack, (values, row)
manifest = folder / "shards" / "manifest.json"
with Reader(manifest) as cache:
    assert (cache.rows(ids) == z.astype(np.float32)).all()
said = json.loads(manifest.read_text())
assert write_manifest(folder / "shards") == samples and json.loads(manifest.read_text()) == said
print("Python read 12 caches that C++ wrote")
