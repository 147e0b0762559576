#!/usr/bin/env python3
"""Tests of python/limbeck_teacher_cache.py against docs/teacher_cache_format.md.

    teacher_cache.py                  runs them; status 77 where there is no NumPy
    teacher_cache.py --make FOLDER    writes the files of tests/golden/teacher_cache

The tests take files apart by themselves: what the module writes is not only compared with what it reads.
"""

import contextlib
import errno
import io
import json
import math
import os
import pathlib
import resource
import stat
import struct
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import zlib

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy was not found")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "python"))

import limbeck_teacher_cache  # noqa: E402
from limbeck_teacher_cache import Reader, Writer, write_manifest  # noqa: E402

GOLDEN = ROOT / "tests" / "golden" / "teacher_cache"
KINDS = {"logits": {}, "top_k": {"k": 4, "temperature": 4.0}, "sampled": {"draws": 12, "temperature": 2.0, "seed": 7}}
VALUES = ("float32", "float16", "bfloat16", "uint8")
INF = math.inf


def made_logits(rows, classes, seed=0):
    """Multiples of 1/64 between -8 and 8, exact in every floating type of 10 bits or more."""
    return np.random.default_rng(seed).integers(-512, 513, (rows, classes)).astype(np.float32) / 64


def error_bound(values, exact):
    """What the format's page says of the rounding; near 0 half a float16 is half its least number off."""
    if values == "float16":
        return np.maximum(np.abs(exact) * 2.0**-11, 2.0**-25)
    if values == "bfloat16":
        return np.abs(exact) * 2.0**-8
    return np.abs(exact) * 2.0**-24  # a double as float


def log_softmax(row, temperature):
    """Of one row, as it is defined."""
    z = [float(v) / temperature for v in row]
    top = max(z)
    log_sum = math.log(math.fsum(math.exp(v - top) for v in z if v > -INF))
    return [v - top - log_sum if v > -INF else -INF for v in z]


def expected_top_k(row, temperature, k):
    """Classes, their logarithms, and the log of the others' sum."""
    log_p = log_softmax(row, temperature)
    order = [c for c in sorted(range(len(row)), key=lambda c: (-row[c], c)) if row[c] > -INF]
    kept, rest = sorted(order[:k]), [log_p[c] for c in order[k:]]
    tail = -INF
    if rest:
        top = max(rest)
        tail = top + math.log(math.fsum(math.exp(v - top) for v in rest))
    return kept, [log_p[c] for c in kept], tail


class Parsed:
    """A file, taken apart as the page says and by nothing else."""

    def __init__(self, path):
        self.bytes = pathlib.Path(path).read_bytes()
        b = self.bytes
        magic, version, crc, length, first = struct.unpack_from("<8sIIQQ", b, 0)
        assert magic == b"LIMBECKT" and version == 1 and b[32:60] == bytes(28)
        assert struct.unpack_from("<I", b, 60)[0] == zlib.crc32(b[:60])
        assert first % 64 == 0 and 0 <= first - 64 - length < 64 and not any(b[64 + length:first])
        assert crc == zlib.crc32(b[64:64 + length])
        self.metadata = json.loads(b[64:64 + length].decode("utf-8"))
        self.first, self.blocks, at, before = first, [], first, 0
        while at < len(b):
            magic, rows, said_before, size, entries, id_crc, payload_crc = struct.unpack_from("<4sIQQQII", b, at)
            assert magic == b"TBLK" and said_before == before and rows > 0 and b[at + 40:at + 60] == bytes(20)
            assert struct.unpack_from("<I", b, at + 60)[0] == zlib.crc32(b[at:at + 60])
            assert id_crc == zlib.crc32(b[at + 64:at + 64 + 8 * rows])
            assert payload_crc == zlib.crc32(b[at + 64:at + 64 + size])
            end = -(-(at + 64 + size) // 64) * 64
            assert end <= len(b) and not any(b[at + 64 + size:end])
            self.blocks.append((at, rows, entries, size))
            at, before = end, before + rows
        assert at == len(b)


class TeacherCache(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = self.folder / "teacher.cache"

    def write(self, ids, logits, **settings):
        with Writer(self.path, classes=logits.shape[1], **settings) as w:
            w.append(ids, logits)
        return Parsed(self.path)

    @contextlib.contextmanager
    def refused(self, *words, kind=ValueError):
        with self.assertRaises(kind) as caught:
            yield
        sentence = str(caught.exception)
        self.assertTrue(sentence.startswith("limbeck: "), sentence)
        for word in words:
            self.assertIn(word, sentence)

    # --- What is written -----------------------------------------------------------------------------------------

    def test_bytes_of_a_file_written_by_hand(self):
        user = {"run": 3, "name": "Übung"}
        self.write([5, 2], np.array([[1, -2, -INF], [0.5, 0.25, 4]], np.float32), teacher="t", user=user)
        text = ('{"augmentation":"","classes":3,"created_by":"limbeck_teacher_cache.py","kind":"logits","teacher":"t",'
                '"temperature":1.0,"user":{"name":"Übung","run":3},"values":"float32"}').encode()
        first = -(-(64 + len(text)) // 64) * 64
        head = struct.pack("<8sIIQQ28x", b"LIMBECKT", 1, zlib.crc32(text), len(text), first)
        payload = struct.pack("<2Q6f", 5, 2, 1, -2, -INF, 0.5, 0.25, 4)
        block = struct.pack("<4sIQQQII20x", b"TBLK", 2, 0, 40, 0, zlib.crc32(payload[:16]), zlib.crc32(payload))
        whole = (head + struct.pack("<I", zlib.crc32(head)) + text).ljust(first, b"\0")
        whole += block + struct.pack("<I", zlib.crc32(block)) + payload.ljust(64, b"\0")
        self.assertEqual(self.path.read_bytes(), whole)

    def test_layout_of_every_payload(self):
        x, ids = made_logits(3, 26), [9, 4, 7]  # 3 rows: each array of 4 bytes needs padding behind it
        for kind, settings in KINDS.items():
            for values in VALUES:
                with self.subTest(kind=kind, values=values):
                    self.path.unlink(missing_ok=True)
                    f = self.write(ids, x, kind=kind, values=values, **settings)
                    (at, rows, entries, size), = f.blocks
                    width = {"float32": 4, "float16": 2, "bfloat16": 2, "uint8": 1}[values]
                    scaled = values == "uint8" and kind != "sampled"
                    want = [8 * rows] + [4 * rows] * (2 * scaled + (kind == "top_k"))
                    want += [width * rows * 26] if kind == "logits" else [4 * (rows + 1), 2 * entries, width * entries]
                    end = 0
                    for length in want:
                        begin = -(-end // 8) * 8
                        self.assertFalse(any(f.bytes[at + 64 + end:at + 64 + begin]))
                        end = begin + length
                    self.assertEqual(size, end)
                    self.assertEqual(rows, 3)
                    if kind == "logits":
                        self.assertEqual(entries, 0)
                    if kind == "top_k":
                        self.assertEqual(entries, 12)
                    self.assertEqual(struct.unpack_from("<3Q", f.bytes, at + 64), (9, 4, 7))

    def test_blocks_have_about_the_bytes_that_were_asked_for(self):
        x = made_logits(1000, 26)
        for batch in (1, 7, 64, 1000):
            self.path.unlink(missing_ok=True)
            with Writer(self.path, classes=26, block_bytes=8192) as w:
                for i in range(0, 1000, batch):
                    w.append(np.arange(i, min(i + batch, 1000)), x[i:i + batch])
            sizes = [size for _, _, _, size in Parsed(self.path).blocks]
            self.assertLessEqual(max(sizes), 2 * 8192)
            self.assertGreater(min(sizes[:-1]), 8192 // 3)
            with Reader(self.path) as r:
                np.testing.assert_array_equal(r.rows(np.arange(1000)), x)

    # --- Shards --------------------------------------------------------------------------------------------------

    def shard(self, name, ids, **settings):
        x = made_logits(100, 26)
        with Writer(self.folder / name, classes=26, block_bytes=500, **settings) as w:
            for i in range(0, len(ids), 4):
                w.append(np.array(ids[i:i + 4]), x[ids[i:i + 4]])
        return x

    def test_shards_are_read_as_one(self):
        for rank in range(3):
            x = self.shard(f"rank{rank}.cache", list(range(rank, 50, 3)))
        self.shard("rank3.cache", [])
        self.shard("rank4.cache", [90, 71, 70])
        self.shard("notes.txt", [5])
        some = [90, 3, 4, 90, 49, 0]
        with Reader(self.folder, samples=53) as r:
            np.testing.assert_array_equal(r.ids, [*range(50), 70, 71, 90])
            np.testing.assert_array_equal(r.rows(some), x[some])
            self.assertEqual((len(r), r.torn_bytes, r.damage()), (53, 0, []))
        paths = [self.folder / "rank2.cache", str(self.folder / "rank0.cache")]
        with Reader(paths) as r:
            np.testing.assert_array_equal(r.rows([48, 2]), x[[48, 2]])
            with self.refused(f"the 2 shards '{paths[0]}', ... have no row of sample 1, position 0 of this call"):
                r.rows([1])
        with contextlib.redirect_stdout(io.StringIO()) as said, unittest.mock.patch.object(
                sys, "argv", ["limbeck_teacher_cache.py", "info", str(self.folder)]):
            self.assertEqual(limbeck_teacher_cache._main(), 0)
        self.assertIn("shards         5", said.getvalue())
        self.assertIn("samples        53", said.getvalue())

    def test_sparse_shards(self):
        for name, ids in (("a.cache", [0, 2, 4]), ("b.cache", [3, 1]), ("all.one", [0, 1, 2, 3, 4])):
            self.shard(name, ids, kind="top_k", k=3, temperature=2.0)
        with Reader(self.folder) as shards, Reader(self.folder / "all.one") as whole:
            for got, want in zip(shards.sparse([3, 0, 4]), whole.sparse([3, 0, 4])):
                np.testing.assert_array_equal(got[0], want[0])
                np.testing.assert_array_equal(got[1], want[1])
                self.assertEqual(got[2], want[2])

    def test_what_is_wrong_with_shards_is_said_of_the_file(self):
        a, b = self.folder / "a.cache", self.folder / "b.cache"
        with self.refused(f"'{self.folder}' is a folder without a file *.cache"):
            Reader(self.folder)
        with self.refused("a teacher cache of no files"):
            Reader([])
        self.shard("a.cache", list(range(10)))
        for settings, what in (({"values": "float16"}, "values is 'float16', not 'float32'"),
                               ({"teacher": "two"}, "teacher is 'two', not ''"),
                               ({"kind": "top_k", "k": 2, "temperature": 3.0}, "kind is 'top_k', not 'logits'")):
            self.shard("b.cache", [10], **settings)
            with self.refused(f"'{b}' holds a teacher cache whose {what} as that of '{a}'"):
                Reader(self.folder)
            b.unlink()
        self.shard("b.cache", [15, 9, 12])
        with self.refused(f"'{b}' has a row of sample 9, and so has '{a}': a sample has one shard"):
            Reader(self.folder)
        b.unlink()
        self.shard("b.cache", list(range(13, 20)))
        with self.refused(f"the 2 shards of '{self.folder}' have rows of 17 samples, expected 20, samples 10 to 12 are "
                          f"missing; '{b}' has the fewest rows, 7, '{a}' the most, 10"):
            Reader(self.folder, samples=20)
        with self.refused(f"'{a}' has rows of 10 samples, expected 12, samples 10 to 11 are missing"):
            Reader(a, samples=12)
        os.truncate(b, b.stat().st_size - 64)
        with self.refused("samples 10 to 12 and others are missing", f"; of '{b}' the last ", " bytes are no whole block"):
            Reader(self.folder, samples=20)
        with Reader(self.folder) as r, self.refused("no row of sample 19", f"of '{b}' the last"):
            r.rows([19])

    def test_a_manifest_is_written_by_hand_and_read(self):
        manifest, a, b = (self.folder / name for name in ("manifest.json", "a.cache", "b.cache"))
        x = self.shard("a.cache", list(range(10)))
        self.shard("b.cache", list(range(12, 20)))
        with self.refused(f"'{manifest}' is not there: nobody has finished this cache"):
            Reader(manifest)
        with self.refused("expected 20, samples 10 to 11 are missing"):
            write_manifest(self.folder, samples=20)
        self.assertFalse(manifest.exists())
        self.assertEqual(write_manifest(self.folder, samples=18), 18)
        said = json.loads(manifest.read_text())
        self.assertEqual((said["format"], said["version"], said["samples"]), ("limbeck teacher cache", 1, 18))
        for path, rows, shard in ((a, 10, said["shards"][0]), (b, 8, said["shards"][1])):
            parsed = Parsed(path)
            crc = zlib.crc32(parsed.bytes[:60])
            for at, *_ in parsed.blocks:
                crc = zlib.crc32(parsed.bytes[at:at + 60], crc)
            self.assertEqual(shard, {"file": path.name, "rows": rows, "bytes": len(parsed.bytes), "crc": crc})
        for path in (manifest, self.folder):
            with Reader(path) as r:
                np.testing.assert_array_equal(r.rows([19, 0]), x[[19, 0]])

        whole = b.read_bytes()

        def refused(*words):
            for path in (manifest, self.folder):
                with self.refused(*words):
                    Reader(path)

        b.rename(self.folder / "away")
        refused("names the shard 'b.cache', which is not there")
        b.write_bytes(whole)
        self.shard("c.cache", [])
        refused("does not name 'c.cache', which lies beside it")
        (self.folder / "c.cache").unlink()
        b.write_bytes(whole[:-64])
        refused(f"'{b}' has ", ": it was copied in part, or somebody has written to it since")
        with self.refused("bytes of no whole block: open its writer again"):
            write_manifest(self.folder)
        b.unlink()
        self.shard("b.cache", list(range(11, 19)))
        refused(f"'{b}' has other rows than its manifest '{manifest}' says, by their checksums")
        b.write_bytes(whole)
        text = manifest.read_text()
        for bad in ("", text[:40], "[]", "[" * 1000, text.replace(': 1,', ': 2,'), text.replace('"a.cache"', '"../a.cache"'),
                    text.replace('"rows": 8', '"rows": -8'), json.dumps({**said, "shards": []})):
            manifest.write_text(bad)
            refused("is no manifest of a teacher cache")
        manifest.write_text(text)
        with contextlib.redirect_stdout(io.StringIO()) as out, unittest.mock.patch.object(
                sys, "argv", ["limbeck_teacher_cache.py", "manifest", str(self.folder), "--samples", "18"]):
            self.assertEqual(limbeck_teacher_cache._main(), 0)
        self.assertEqual(out.getvalue(), "18 samples in 2 shards\n")

    # --- Round trips ---------------------------------------------------------------------------------------------

    def test_logits_come_back(self):
        x = np.random.default_rng(1).normal(0, 5, (40, 26))
        x[3, 4] = x[7, 0] = x[7, 25] = -INF
        x[11] = 2.5  # no range
        x[12] = -INF
        x[12, 6] = 3
        ids = np.random.default_rng(2).permutation(1000)[:40]
        for values in VALUES:
            for dtype in (np.float16, np.float32, np.float64):
                with self.subTest(values=values, dtype=dtype):
                    self.path.unlink(missing_ok=True)
                    given = x.astype(dtype)
                    self.write(ids, given, values=values)
                    with Reader(self.path) as r:
                        np.testing.assert_array_equal(r.ids, np.sort(ids))
                        self.assertEqual((len(r), r.torn_bytes), (40, 0))
                        order = np.random.default_rng(3).permutation(40)
                        got = r.rows(ids[order])
                    self.assertEqual(got.dtype, np.float32)
                    exact = given[order].astype(np.float64)
                    masked = np.isneginf(exact)
                    np.testing.assert_array_equal(np.isneginf(got), masked)
                    kept = np.where(masked, 0, exact)
                    bound = error_bound(values, kept)
                    if values == "uint8":
                        low, high = np.where(masked, INF, exact).min(axis=1), exact.max(axis=1)
                        bound = ((high - low) / 254 / 2 + 2**-22 * np.maximum(abs(low), abs(high)))[:, None]
                    elif values == "float32" and dtype != np.float64:
                        bound = 0
                    error = np.abs(np.where(masked, 0, got) - kept)
                    self.assertTrue((error <= bound * (1 + 1e-6)).all(), error.max())

    def test_bfloat16_rounds_to_nearest_ties_to_even(self):
        # 1 + 1/256 and 1 + 3/256 lie half way; the bound 2^-9 of a value would not hold for them
        x = np.array([[1 + 1 / 256, 1 + 3 / 256, 1 + 1.01 / 256, -1 - 1 / 256]], np.float32)
        self.write([0], x, values="bfloat16")
        with Reader(self.path) as r:
            np.testing.assert_array_equal(r.rows([0]), [[1, 1 + 4 / 256, 1 + 2 / 256, -1]])

    def test_top_k_comes_back(self):
        x = np.random.default_rng(4).normal(0, 3, (30, 26))
        x[2, :] = -INF
        x[2, [20, 3]] = 1, 2  # fewer than k
        x[5, ::2] = 4.0  # ties beyond k
        x[6, 3] = 400  # the rest is e^-100 of it
        x[8, [1, 5, 9]] = -INF
        for k in (1, 4, 26, 40):
            for values in VALUES:
                with self.subTest(k=k, values=values):
                    self.path.unlink(missing_ok=True)
                    self.write(np.arange(30), x, kind="top_k", k=k, temperature=4.0, values=values)
                    with Reader(self.path) as r:
                        got = r.sparse(np.arange(30))
                    for row, (classes, weights, tail) in zip(x, got):
                        want, log_p, log_tail = expected_top_k(row, 4.0, k)
                        self.assertEqual(classes.tolist(), want)
                        bound = error_bound(values, np.array(log_p)) + 1e-13
                        if values == "uint8":
                            bound = (max(log_p) - min(log_p)) / 254 / 2 + 2**-22 * max(map(abs, log_p))
                        self.assertTrue((np.abs(weights - log_p) <= bound).all())
                        if log_tail == -INF:
                            self.assertEqual(tail, -INF)
                        else:
                            self.assertAlmostEqual(tail, log_tail, delta=1e-13 + 2**-24 * abs(log_tail))

    def test_tail_is_summed_as_such(self):
        self.write([0], np.array([[2000.0, 0, 0, 0]]), kind="top_k", k=1)
        with Reader(self.path) as r:
            (_, weights, tail), = r.sparse([0])
        self.assertEqual(weights[0], 0)
        self.assertAlmostEqual(tail, math.log(3) - 2000, delta=1e-4)  # 1 - the rest is 0

    def test_samples_come_back(self):
        x = made_logits(50, 26, 5)
        x[4, 25] = x[4, 0] = -INF
        for values in VALUES:
            for power in (1.0, 0.5):
                if values == "uint8" and power != 1:
                    continue
                with self.subTest(values=values, power=power):
                    self.path.unlink(missing_ok=True)
                    self.write(np.arange(50), x, kind="sampled", draws=12, power=power, temperature=2.0, values=values,
                               seed=3)
                    with Reader(self.path) as r:
                        got = r.sparse(np.arange(50))
                    for row, (classes, weights, tail) in zip(x, got):
                        self.assertIsNone(tail)
                        self.assertTrue((np.diff(classes) > 0).all() and (row[classes] > -INF).all())
                        log_p = np.array(log_softmax(row, 2.0))[classes]
                        log_q = np.array(log_softmax(row, 2.0 / power))[classes]
                        times = 12 * np.exp(weights + log_q - log_p)  # draws of each class
                        self.assertTrue((np.abs(times - np.rint(times)) < 0.25).all() and np.rint(times).sum() == 12)
                        exact = np.log(np.rint(times) / 12) + log_p - log_q
                        bound = error_bound(values, exact) + 1e-7
                        self.assertTrue((np.abs(weights - exact) <= bound).all())

    def test_samples_are_unbiased(self):
        row, n = np.array([1.0, 0, -1, 2, -INF, 0.5]), 20000
        for power in (1.0, 0.6):
            self.path.unlink(missing_ok=True)
            self.write(np.arange(n), np.tile(row, (n, 1)), kind="sampled", draws=3, power=power)
            mean, square = np.zeros(6), np.zeros(6)
            with Reader(self.path) as r:
                for classes, weights, _ in r.sparse(np.arange(n)):
                    w = np.exp(weights.astype(np.float64))
                    mean[classes] += w / n
                    square[classes] += w**2 / n
            deviation = np.sqrt((square - mean**2) / n)
            error = np.abs(mean - np.exp(log_softmax(row, 1)))
            self.assertTrue((error <= 5 * deviation).all(), error)

    def test_samples_depend_on_seed_and_id_only(self):
        x = made_logits(20, 26, 6)
        drawn = []
        for name, seed, order, batch in (("a", 1, slice(None), 20), ("b", 1, slice(None, None, -1), 3),
                                         ("c", 2, slice(None), 20)):
            with Writer(self.folder / name, classes=26, kind="sampled", draws=12, seed=seed) as w:
                ids, rows = np.arange(20)[order], x[order]
                for i in range(0, 20, batch):
                    w.append(ids[i:i + batch], rows[i:i + batch])
            with Reader(self.folder / name) as r:
                drawn.append([(c.tolist(), v.tolist()) for c, v, _ in r.sparse(np.arange(20))])
        self.assertEqual(drawn[0], drawn[1])
        self.assertNotEqual(drawn[0], drawn[2])

    def test_class_ids_of_two_and_of_four_bytes(self):
        for classes, width in ((65536, 2), (65537, 4), (70000, 4)):
            with self.subTest(classes=classes):
                self.path.unlink(missing_ok=True)
                x = np.random.default_rng(8).normal(size=(3, classes)).astype(np.float32)
                x[:, -1] = 20
                x[:, 0] = 19
                f = self.write([0, 1, 2], x, kind="top_k", k=3, values="float32")
                (_, _, entries, size), = f.blocks
                self.assertEqual(entries, 9)
                ids_at = 24 + 16 + 16  # ids, tails (12 and 4 of padding), offsets
                self.assertEqual(size, -(-(ids_at + 9 * width) // 8) * 8 + 9 * 4)
                with Reader(self.path) as r:
                    for row, (kept, weights, tail) in zip(x, r.sparse([0, 1, 2])):
                        want, log_p, log_tail = expected_top_k(row.tolist(), 1.0, 3)
                        self.assertEqual(kept.tolist(), want)
                        np.testing.assert_allclose(weights, log_p, rtol=1e-6)
                        self.assertAlmostEqual(tail, log_tail, delta=1e-6)

    def test_ids_beyond_a_signed_number(self):
        ids = np.array([2**64 - 1, 2**63, 0], np.uint64)
        self.write(ids, made_logits(3, 5))
        with Reader(self.path) as r:
            np.testing.assert_array_equal(r.rows(ids), made_logits(3, 5))

    def test_last_row_of_an_id_counts(self):
        x = made_logits(6, 4)
        with Writer(self.path, classes=4, block_bytes=1) as w:
            w.append([3, 1, 3], x[:3])
        with Writer(self.path, classes=4) as w:
            self.assertEqual(w.rows, 3)
            w.append([8, 1, 1], x[3:])
            self.assertEqual(w.rows, 6)
        with Reader(self.path) as r:
            self.assertEqual((len(r), r.ids.tolist()), (3, [1, 3, 8]))
            np.testing.assert_array_equal(r.rows([8, 3, 1, 3]), x[[3, 2, 5, 2]])

    def test_nothing_appended(self):
        with Writer(self.path, classes=4) as w:
            w.append([], np.zeros((0, 4)))
        with Reader(self.path) as r:
            self.assertEqual((len(r), r.torn_bytes, r.rows([]).shape), (0, 0, (0, 4)))
        self.assertEqual(Parsed(self.path).blocks, [])

    # --- Appending and metadata ------------------------------------------------------------------------------------

    def test_metadata_come_back(self):
        with Writer(self.path, classes=26, kind="sampled", draws=9, power=0.5, temperature=3, values="bfloat16",
                    teacher="sha256:ab", augmentation="crop=24", user={"epoch": [1, 2]}):
            pass
        with Reader(self.path) as r:
            self.assertEqual(r.metadata, {
                "classes": 26, "kind": "sampled", "draws": 9, "power": 0.5, "temperature": 3.0, "values": "bfloat16",
                "teacher": "sha256:ab", "augmentation": "crop=24", "user": {"epoch": [1, 2]},
                "created_by": "limbeck_teacher_cache.py"})

    def test_disagreement_names_both_values(self):
        base = {"classes": 26, "kind": "top_k", "k": 4, "values": "float16", "temperature": 4.0, "teacher": "one",
                "augmentation": "none"}
        with Writer(self.path, **base, user={"a": 1}) as w:
            w.append([1], made_logits(1, 26))
        before = self.path.read_bytes()
        for key, other in (("classes", 27), ("kind", "logits"), ("values", "float32"), ("temperature", 2.0), ("k", 5),
                           ("teacher", "two"), ("augmentation", "crop")):
            settings = {**base, key: other}
            if key == "kind":
                del settings["k"]
                settings["temperature"] = 1.0
            with self.refused(key, repr(base[key]), repr(other), str(self.path)):
                Writer(self.path, **settings)
        self.assertEqual(self.path.read_bytes(), before)
        with Writer(self.path, **base, user={"other": 2}) as w:  # the user's are not compared
            self.assertEqual(w.rows, 1)
        self.assertEqual(self.path.read_bytes(), before)

    def test_keys_that_are_not_known_are_ignored(self):
        self.write([1], made_logits(1, 4))
        f = Parsed(self.path)
        text = json.dumps({**f.metadata, "from_the_future": [1]}).encode()
        first = -(-(64 + len(text)) // 64) * 64
        head = struct.pack("<8sIIQQ28x", b"LIMBECKT", 1, zlib.crc32(text), len(text), first)
        self.path.write_bytes((head + struct.pack("<I", zlib.crc32(head)) + text).ljust(first, b"\0")
                              + f.bytes[f.first:])
        with Writer(self.path, classes=4) as w:
            w.append([2], made_logits(1, 4))
        with Reader(self.path) as r:
            self.assertEqual(r.ids.tolist(), [1, 2])

    def test_settings_that_do_not_go_together(self):
        for word, settings in (("classes", {"classes": 0}), ("classes", {"classes": 2**31}),
                               ("kind", {"kind": "top-k"}),
                               ("values", {"values": "int8"}), ("temperature", {"temperature": 2.0}),
                               ("temperature", {"kind": "top_k", "k": 1, "temperature": 0}),
                               ("temperature", {"kind": "top_k", "k": 1, "temperature": math.nan}),
                               ("k", {"kind": "top_k"}), ("draws", {"kind": "sampled"}),
                               ("power", {"kind": "sampled", "draws": 1, "power": 0}),
                               ("255", {"kind": "sampled", "draws": 256, "values": "uint8"}),
                               ("power", {"kind": "sampled", "draws": 2, "values": "uint8", "power": 0.5}),
                               ("user", {"user": [1]}), ("JSON", {"user": {"a": math.nan}}),
                               ("JSON", {"user": {"a": object()}}), ("teacher", {"teacher": 5}),
                               ("block_bytes", {"block_bytes": 0}), ("seed", {"seed": -1})):
            with self.subTest(settings=settings), self.refused(word):
                Writer(self.path, **{"classes": 4, **settings})
            self.assertFalse(self.path.exists())

    # --- Rows that are refused ---------------------------------------------------------------------------------------

    def test_rows_that_are_refused(self):
        good = made_logits(5, 4)
        cases = [("NaN", math.nan, "float32"), ("+inf", INF, "float32"), ("nothing but -inf", -INF, "float32"),
                 ("float16", 65520.0, "float16"), ("float16", -1e5, "float16"), ("bfloat16", 3.4e38, "bfloat16"),
                 ("float32", 1e39, "float32"), ("uint8", 1e39, "uint8")]
        for kind in KINDS:
            for word, value, values in cases:
                if kind != "logits" and math.isfinite(value):
                    continue
                with self.subTest(kind=kind, value=value):
                    self.path.unlink(missing_ok=True)
                    bad = good.astype(np.float64)
                    bad[3] = value if value == -INF else bad[3]
                    bad[3, 2] = value
                    with Writer(self.path, classes=4, values=values, kind=kind, block_bytes=1, **KINDS[kind]) as w:
                        w.append([1], good[:1])
                        with self.refused(word, "sample 73"):
                            w.append([70, 71, 72, 73, 74], bad)
                        self.assertEqual(w.rows, 1)
                        w.append([2], good[1:2])
                    with Reader(self.path) as r:
                        self.assertEqual(r.ids.tolist(), [1, 2])

    def test_log_probability_beyond_float16(self):
        with Writer(self.path, classes=2, kind="top_k", k=2, values="float16", temperature=0.5) as w:
            with self.refused("float16", "sample 6"):
                w.append([6], np.array([[0.0, 4e4]]))
            w.append([6], np.array([[0.0, 3e4]]))
        with Reader(self.path) as r:
            np.testing.assert_array_equal(r.sparse([6])[0][1], [-6e4, 0])

    def test_largest_float16_is_kept(self):
        self.write([0], np.array([[65504.0, 65519.0, -65504]]), values="float16")
        with Reader(self.path) as r:
            np.testing.assert_array_equal(r.rows([0]), [[65504, 65504, -65504]])

    def test_arguments_that_are_refused(self):
        x = made_logits(2, 4)
        with Writer(self.path, classes=4) as w:
            for word, ids, logits in (("shape", [1], x), ("shape", [1, 2], x[:, :3]), ("shape", [1, 2], x[0]),
                                      ("float64", [1.0, 2.0], x), ("-5", [1, -5], x), ("int", [1, 2], x.astype(int)),
                                      ("dimension", [[1, 2]], x)):
                with self.subTest(ids=ids), self.refused(word):
                    w.append(ids, logits)
            self.assertEqual(w.rows, 0)
        with self.refused("closed"):
            w.append([1, 2], x)
        self.write([4, 6], x)
        with Reader(self.path) as r:
            with self.refused("sample 5", "position 1"):
                r.rows([4, 5])
            with self.refused("sparse rows"):
                r.sparse([4])
        self.path.unlink()
        self.write([4, 6], x, kind="top_k", k=2)
        with Reader(self.path) as r, self.refused("top_k"):
            r.rows([4])

    def test_rows_are_copied(self):
        x, ids = made_logits(2, 4), np.array([1, 2], np.uint64)
        with Writer(self.path, classes=4) as w:
            w.append(ids, x)
            x[:], ids[:] = 0, 9
        with Reader(self.path) as r:
            np.testing.assert_array_equal(r.rows([1, 2]), made_logits(2, 4))

    # --- Crashes, damage, other writers ------------------------------------------------------------------------------

    def three_blocks(self, kind="logits"):
        x = made_logits(6, 3)
        with Writer(self.path, classes=3, kind=kind, **KINDS[kind]) as w:
            for i in range(0, 6, 2):
                w.append([i, i + 1], x[i:i + 2])
                w.flush()
        return Parsed(self.path), x

    def test_torn_at_every_byte_of_the_last_block(self):
        for kind in KINDS:
            self.path.unlink(missing_ok=True)
            f, x = self.three_blocks(kind)
            last = f.blocks[2][0]
            for size in range(last, len(f.bytes)):
                self.path.write_bytes(f.bytes[:size])
                with Reader(self.path) as r:
                    self.assertEqual((r.ids.tolist(), r.torn_bytes), ([0, 1, 2, 3], size - last))
                with Writer(self.path, classes=3, kind=kind, **KINDS[kind]) as w:
                    self.assertEqual(w.rows, 4)
                    self.assertEqual(self.path.stat().st_size, last)
                    w.append([4, 5], x[4:])
                self.assertEqual(self.path.read_bytes(), f.bytes)

    def test_any_wrong_byte_of_the_last_block_is_a_torn_tail(self):
        f, _ = self.three_blocks()
        at, _, _, size = f.blocks[2]
        for i in range(at, at + 64 + size):
            wrong = bytearray(f.bytes)
            wrong[i] ^= 0x40
            self.path.write_bytes(wrong)
            with Reader(self.path) as r:
                self.assertEqual((r.ids.tolist(), r.torn_bytes), ([0, 1, 2, 3], len(wrong) - at))
        lost = f"sample 4, position 0 of this call; its last {len(wrong) - at} bytes are no whole block"
        with Reader(self.path) as r, self.refused(lost):
            r.rows([4])

    def test_zeros_behind_the_last_block_are_a_torn_tail(self):
        f, _ = self.three_blocks()
        self.path.write_bytes(f.bytes + bytes(1000))
        with Reader(self.path) as r:
            self.assertEqual((len(r), r.torn_bytes), (6, 1000))

    def test_damaged_header_in_the_middle(self):
        f, _ = self.three_blocks()
        for block in (0, 1):
            for i in range(f.blocks[block][0], f.blocks[block][0] + 64):
                wrong = bytearray(f.bytes)
                wrong[i] ^= 1
                self.path.write_bytes(wrong)
                with self.refused("damaged", f"byte {f.blocks[block][0]}"):
                    Reader(self.path)
                with self.refused("damaged"):
                    Writer(self.path, classes=3)
                self.assertEqual(self.path.read_bytes(), bytes(wrong))

    def test_damaged_payload_in_the_middle(self):
        f, x = self.three_blocks()
        at = f.blocks[1][0]
        wrong = bytearray(f.bytes)
        wrong[at + 64 + 16] ^= 1  # the first value
        self.path.write_bytes(wrong)
        with Reader(self.path) as r:
            self.assertEqual(r.ids.tolist(), [0, 1, 2, 3, 4, 5])
            np.testing.assert_array_equal(r.rows([5, 0]), x[[5, 0]])
            with self.refused(f"byte {at}", "rows 2 to 3", "checksum"):
                r.rows([5, 3])
            self.assertEqual(len(r.damage()), 1)
        wrong[at + 64] ^= 1  # the first id
        self.path.write_bytes(wrong)
        with Reader(self.path) as r:
            self.assertEqual(r.ids.tolist(), [0, 1, 4, 5])
            np.testing.assert_array_equal(r.rows([4]), x[[4]])
            with self.refused("sample 2", "1 of its blocks are damaged"):
                r.rows([2])

    def test_payload_with_a_right_checksum_and_wrong_offsets(self):
        f, _ = self.three_blocks("top_k")
        at, rows, entries, size = f.blocks[1]
        offsets = at + 64 + 16 + 8  # ids, tails
        self.assertEqual(struct.unpack_from("<3I", f.bytes, offsets), (0, 3, 6))
        for word, place, code, value in (("offsets", offsets + 4, "<I", 0), ("offsets", offsets + 4, "<I", 7),
                                         ("offsets", offsets + 8, "<I", 5), ("class ids", offsets + 16, "<H", 2),
                                         ("class ids", offsets + 20, "<H", 3)):
            wrong = bytearray(f.bytes)
            struct.pack_into(code, wrong, place, value)
            struct.pack_into("<I", wrong, at + 36, zlib.crc32(wrong[at + 64:at + 64 + size]))
            struct.pack_into("<I", wrong, at + 60, zlib.crc32(wrong[at:at + 60]))
            self.path.write_bytes(wrong)
            with Reader(self.path) as r, self.refused(word):
                r.sparse([2])

    def test_file_headers_that_are_refused(self):
        f, _ = self.three_blocks()
        for i in range(f.first):
            wrong = bytearray(f.bytes)
            wrong[i] ^= 2
            self.path.write_bytes(wrong)
            if i < 64 or i < 64 + struct.unpack_from("<Q", f.bytes, 16)[0]:
                with self.refused(str(self.path)):
                    Reader(self.path)
        for size in range(f.first):
            self.path.write_bytes(f.bytes[:size])
            with self.refused(str(self.path)):
                Reader(self.path)
            with Writer(self.path, classes=3):  # what a crash left of this file's first moment
                pass
            self.assertEqual(self.path.read_bytes(), f.bytes[:f.first])
        self.path.write_bytes(b"something else")
        with self.refused("no teacher cache"):
            Writer(self.path, classes=3)
        self.assertEqual(self.path.read_bytes(), b"something else")
        wrong = bytearray(f.bytes)
        wrong[8] = 2
        struct.pack_into("<I", wrong, 60, zlib.crc32(wrong[:60]))
        self.path.write_bytes(wrong)
        with self.refused("version 2"):
            Reader(self.path)

    def test_one_writer_at_a_time(self):
        with Writer(self.path, classes=4, block_bytes=1) as w:
            w.append([1], made_logits(1, 4))
            with self.refused("another program", str(self.path), kind=BlockingIOError):
                Writer(self.path, classes=4)
            with Reader(self.path) as r:  # readers see whole blocks
                self.assertEqual(r.ids.tolist(), [1])
        with Writer(self.path, classes=4) as w:
            self.assertEqual(w.rows, 1)

    def test_failed_write_is_cut_back_and_tried_again(self):
        x = made_logits(200, 26)
        w = Writer(self.path, classes=26, block_bytes=4096)
        w.append(np.arange(50), x[:50])
        w.flush()
        good = self.path.read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) + 1000, limits[1]))  # within the next block
            with self.refused("cannot be written", kind=OSError):
                w.append(np.arange(50, 200), x[50:])
            self.assertEqual(self.path.read_bytes(), good)
            with self.assertRaises(OSError) as caught:
                w.close()
            self.assertEqual(caught.exception.errno, errno.EFBIG)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        self.assertEqual(w.rows, 200)
        w.close()
        Parsed(self.path)
        with Reader(self.path) as r:
            np.testing.assert_array_equal(r.rows(np.arange(200)), x)

    def test_a_disk_that_does_not_confirm(self):
        synced = []

        def fsync(handle):
            folder = stat.S_ISDIR(os.fstat(handle).st_mode)
            synced.append("folder" if folder else "file")
            if failing == synced[-1]:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        x = made_logits(4, 26)
        failing = None
        with unittest.mock.patch("os.fsync", fsync):
            with Writer(self.path, classes=26) as w:
                w.append([0], x[:1])
            self.assertEqual(synced, [])
            before = self.path.read_bytes()
            w = Writer(self.path, classes=26, sync=True)
            self.assertEqual(synced, ["file", "folder"])  # what was there, and its name
            self.assertEqual(self.path.read_bytes(), before)
            w.append([1], x[1:2])
            w.flush()
            self.assertEqual(synced, ["file", "folder", "file"])
            w.append([2], x[2:3])
            failing = "file"
            with self.refused("did not confirm", kind=OSError):
                w.flush()
            with Reader(self.path) as r:
                self.assertEqual(r.ids.tolist(), [0, 1, 2])  # a reader may have the block: it is not cut off
            with self.refused("closed"):
                w.append([3], x[3:])
            w.close()
            with self.assertRaises(OSError):
                Writer(self.path, classes=26, sync=True)
            failing = "folder"
            with self.assertRaises(OSError):
                Writer(self.path, classes=26, sync=True)
            failing = None
            with Writer(self.path, classes=26, sync=True) as w:
                w.append([3], x[3:])
        with Reader(self.path) as r:
            np.testing.assert_array_equal(r.rows(np.arange(4)), x)

    def test_a_child_of_fork_has_no_part(self):
        x = made_logits(3, 26)
        w = Writer(self.path, classes=26)
        w.append([0], x[:1])
        w.flush()
        w.append([1], x[1:2])  # pending
        before = self.path.read_bytes()
        child = os.fork()
        if child == 0:
            refused = 0
            try:
                for call in (lambda: w.append([9], x[2:]), w.flush, w.close, w.__enter__().__exit__):
                    try:
                        call()
                    except ValueError as e:
                        refused += f"belongs to process {os.getppid()}" in str(e)
                try:
                    Writer(self.path, classes=26)
                except BlockingIOError:
                    refused += 1
            finally:
                os._exit(refused)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 5)
        self.assertEqual(self.path.read_bytes(), before)
        w.append([2], x[2:])
        w.close()
        with Reader(self.path) as r:
            np.testing.assert_array_equal(r.rows(np.arange(3)), x)

    def test_metadata_that_are_too_deep_or_too_long(self):
        def nested(levels):
            user = {"a\"[[": "[[\\"}
            for _ in range(levels - 1):
                user = {"b": user}
            return user

        Writer(self.path, classes=4, user=nested(63)).close()
        self.assertEqual(Reader(self.path).metadata["user"], nested(63))
        for user in (nested(64), nested(100_000), {"long": "x" * 2**20}):
            with self.refused("metadata of a teacher cache"):
                Writer(self.folder / "none", classes=4, user=user)
        for text in (b'{"user":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"[" * 100_000):
            first = -(-(64 + len(text)) // 64) * 64
            header = struct.pack("<8sIIQQ28x", b"LIMBECKT", 1, zlib.crc32(text), len(text), first)
            self.path.write_bytes((header + struct.pack("<I", zlib.crc32(header)) + text).ljust(first, b"\0"))
            with self.refused("nested deeper than 64 levels"):
                Reader(self.path)

    def test_rows_before_an_exception_are_written(self):
        with self.assertRaises(KeyError):
            with Writer(self.path, classes=26, sync=True) as w:
                w.append([1, 2], made_logits(2, 26))
                raise KeyError
        with Reader(self.path) as r:
            self.assertEqual(len(r), 2)

    # --- The command, and the files that C++ reads -------------------------------------------------------------------

    def command(self, *arguments):
        program = ROOT / "python" / "limbeck_teacher_cache.py"
        return subprocess.run([sys.executable, "-B", program, *arguments], capture_output=True, text=True)

    def test_command(self):
        f, _ = self.three_blocks()
        self.path.write_bytes(f.bytes + b"torn")
        told = self.command("info", self.path)
        self.assertEqual(told.returncode, 0, told.stderr)
        lines = dict(line.split(None, 1) for line in told.stdout.splitlines() if not line.startswith(("bytes", "torn")))
        self.assertEqual((lines["kind"], lines["rows"], lines["blocks"], lines["classes"]), ('"logits"', "6", "3", "3"))
        self.assertIn(f"bytes a row    {len(f.bytes) / 6:.1f}\n", told.stdout)
        self.assertIn("torn bytes     4\n", told.stdout)
        told = self.command("verify", self.path)
        self.assertEqual((told.returncode, told.stdout), (0, "3 blocks, 6 rows: 0 damaged; 4 torn bytes\n"))
        wrong = bytearray(f.bytes)
        wrong[f.blocks[0][0] + 80] ^= 1
        self.path.write_bytes(wrong)
        told = self.command("verify", self.path)
        self.assertEqual(told.returncode, 1)
        self.assertIn(f"the block at byte {f.first}", told.stdout)
        self.assertIn("1 damaged", told.stdout)
        told = self.command("info", self.folder / "none")
        self.assertEqual(told.returncode, 1)
        self.assertIn("none", told.stderr)

    def test_golden_files_are_what_is_written_today(self):
        make(self.folder / "golden")
        names = sorted(p.name for p in GOLDEN.iterdir())
        self.assertEqual(names, sorted(p.name for p in (self.folder / "golden").iterdir()))
        for name in names:
            made = self.folder / "golden" / name
            if name == "expected.txt":  # the last bit of a logarithm may be another's on another machine
                old, new = ([line.split() for line in p.read_text().splitlines()] for p in (GOLDEN / name, made))
                self.assertEqual(len(old), len(new))
                for a, b in zip(old, new):
                    self.assertEqual(a[:-1], b[:-1])
                    if a[0] != "file" and a[-1] != b[-1]:
                        self.assertLessEqual(abs(float(a[-1]) - float(b[-1])), 0.01 * abs(float(a[-1])), (a, b))
            else:
                self.assertEqual(Parsed(GOLDEN / name).metadata, Parsed(made).metadata)
                self.assertEqual(Parsed(GOLDEN / name).blocks, Parsed(made).blocks)


def make(folder):
    """The files of tests/golden/teacher_cache; expected.txt is what Reader makes of them."""
    folder.mkdir(parents=True, exist_ok=True)
    x = made_logits(12, 26, 26)
    x[:, 17] = -INF  # one masked class
    ids = [40, 3, 7, 1000000007, 0, 12, 11, 25, 24, 99, 4294967301, 5]
    lines = []
    for kind, settings in KINDS.items():
        for values in VALUES:
            name = f"{kind}_{values}.cache"
            (folder / name).unlink(missing_ok=True)
            with Writer(folder / name, classes=26, kind=kind, values=values, teacher="golden", augmentation="none",
                        user={"rows": 12}, block_bytes=400, **settings) as w:
                for i in range(0, 12, 4):
                    w.append(ids[i:i + 4], x[i:i + 4])
            lines.append(f"file {name}")
            with Reader(folder / name) as r:
                if kind == "logits":
                    rows = [(range(26), row, None) for row in r.rows(ids)]
                else:
                    rows = r.sparse(ids)
            for sample, (classes, weights, tail) in zip(ids, rows):
                lines += [f"row {sample} {c} {float(v):.9g}" for c, v in zip(classes, weights)]
                if tail is not None:
                    lines.append(f"tail {sample} {tail:.9g}")
    (folder / "expected.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--make":
        make(pathlib.Path(sys.argv[2]))
    else:
        unittest.main(verbosity=1)
