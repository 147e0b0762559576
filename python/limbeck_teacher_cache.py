#!/usr/bin/env python3
"""Writes and reads Limbeck's teacher caches: what a teacher said of each sample, once, on disk.

docs/teacher_cache_format.md describes the file; C++ reads it through limbeck/io/teacher_cache.hpp. Copy this file
wherever you need it: it needs Python 3.9 or later, NumPy, and an operating system with `flock`.

A PyTorch teacher fills a cache so, where `loader` hands out the number of each sample, which is its id:

    from limbeck_teacher_cache import Writer
    with Writer("teacher.cache", classes=26, kind="top_k", k=4, values="float16", temperature=4.0,
                teacher="sha256:...") as cache, torch.inference_mode():
        for ids, inputs in loader:
            cache.append(ids.numpy(), teacher(inputs).float().cpu().numpy())
    print(cache.rows, "rows")

The same in JAX: `cache.append(np.asarray(ids), np.asarray(logits))`.

Where several processes ask the teacher, each writes a file of its own, with the ids that samples have in the whole data
set, and `Reader` takes the folder (or the files) for one cache:

    with Writer(f"teacher/rank{rank}.cache", ...) as cache: ...
    barrier()                                              # all have closed their files
    if rank == 0: write_manifest("teacher", samples=len(data))
    cache = Reader("teacher/manifest.json")                # there, and as it was written

    limbeck_teacher_cache.py info FILE...      metadata, rows, bytes a row, torn bytes
    limbeck_teacher_cache.py verify FILE...    compares every checksum; status 1 if a block is damaged
    limbeck_teacher_cache.py manifest FOLDER [--samples N]    writes the manifest of a folder's shards

FILE is a file, several, or a folder of *.cache.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import mmap
import operator
import os
import re
import struct
import sys
import zlib
from typing import Any, NamedTuple, NoReturn, Optional, Sequence, Union

import numpy as np

__all__ = ["Reader", "Writer", "write_manifest"]

_Path = Union[str, "os.PathLike[str]"]

_MAGIC, _BLOCK_MAGIC = b"LIMBECKT", b"TBLK"
_FILE_HEADER = struct.Struct("<8sIIQQ28x")  # magic, version, CRC of the metadata, their bytes, first block
_BLOCK_HEADER = struct.Struct("<4sIQQQII20x")  # magic, rows, rows before, bytes of payload, entries, CRC of ids, CRC
_CRC = struct.Struct("<I")
_DTYPES = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2", "uint8": "|u1"}
_COMPARED = ("classes", "kind", "values", "temperature", "k", "draws", "power", "teacher", "augmentation")
_MANIFEST = "manifest.json"  # its name in the folder of its shards
_METADATA_LIMIT, _LEVELS = 1 << 20, 64  # of the metadata: bytes, and how deep they are nested
_JSON_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)  # or a text, in which none counts
_CHUNK = 1 << 21  # logits that are worked on at once: what an append needs in memory beyond its argument


def _refuse(what: str) -> NoReturn:
    raise ValueError("limbeck: " + what)


def _rounded_up(n: int, to: int) -> int:
    return -(-n // to) * to


# --- Metadata --------------------------------------------------------------------------------------------------------


def _check(m: dict[str, Any]) -> None:
    """Refuses metadata that are out of range or do not go together."""

    def whole(key: str, least: int, most: int) -> None:
        x = m.get(key)
        if not isinstance(x, int) or isinstance(x, bool) or not least <= x <= most:
            _refuse(f"{key} of a teacher cache is {x!r}, expected a whole number from {least} to {most}")

    def positive(key: str) -> None:
        x = m.get(key)
        if not isinstance(x, (int, float)) or isinstance(x, bool) or not 0 < x < 1e300:
            _refuse(f"{key} of a teacher cache is {x!r}, expected a number above 0")

    whole("classes", 1, 2**31 - 1)
    for key, known in (("kind", ("logits", "top_k", "sampled")), ("values", tuple(_DTYPES))):
        if m.get(key) not in known:
            _refuse(f"{key} of a teacher cache is {m.get(key)!r}, expected one of {', '.join(known)}")
    positive("temperature")
    for key in ("teacher", "augmentation"):
        if not isinstance(m.get(key, ""), str):
            _refuse(f"{key} of a teacher cache is {m[key]!r}, expected text")
    if not isinstance(m.get("user", {}), dict):
        _refuse(f"user of a teacher cache is {m['user']!r}, expected an object (a dict)")
    if m["kind"] == "logits" and m["temperature"] != 1:
        _refuse(f"temperature of a teacher cache of logits is {m['temperature']!r}, expected 1: a loss divides them "
                "by its own")
    if m["kind"] == "top_k":
        whole("k", 1, 2**63 - 1)
    if m["kind"] == "sampled":
        whole("draws", 1, 2**32 - 1)
        positive("power")
        if m["values"] == "uint8" and (m["draws"] > 255 or m["power"] != 1):
            _refuse(f"values of a teacher cache are counts in uint8 with {m['draws']} draws and power {m['power']!r}, "
                    "expected at most 255 draws and power 1")


def _levels(text: bytes) -> int:
    """How deep JSON is nested."""
    depth = most = 0
    for found in _JSON_BRACKET.finditer(text):
        depth += (0, 1, -1)[found.lastindex or 0]
        most = max(most, depth)
    return most


def _head(m: dict[str, Any]) -> bytes:
    """File header and metadata, padded: what stands before the first block."""
    try:
        text = json.dumps(m, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as e:
        _refuse(f"the metadata of a teacher cache cannot be written as JSON: {e}")
    if len(text) > _METADATA_LIMIT or _levels(text) > _LEVELS:
        _refuse(f"the metadata of a teacher cache have {len(text)} bytes on {_levels(text)} levels, expected at most "
                f"{_METADATA_LIMIT} on {_LEVELS}")
    first = _rounded_up(64 + len(text), 64)
    header = _FILE_HEADER.pack(_MAGIC, 1, zlib.crc32(text), len(text), first)
    return (header + _CRC.pack(zlib.crc32(header)) + text).ljust(first, b"\0")


# --- Blocks ----------------------------------------------------------------------------------------------------------


class _Array(NamedTuple):
    at: int  # counted from the payload's begin
    dtype: str
    count: int


def _is_counts(m: dict[str, Any]) -> bool:
    return m["kind"] == "sampled" and m["values"] == "uint8"


def _class_dtype(m: dict[str, Any]) -> str:
    return "<u2" if m["classes"] <= 65536 else "<u4"


def _layout(m: dict[str, Any], rows: int, entries: int) -> tuple[dict[str, _Array], int]:
    """The arrays of a payload by name, and its bytes."""
    fields = [("ids", "<u8", rows)]
    if m["values"] == "uint8" and not _is_counts(m):
        fields += [("scales", "<f4", rows), ("minima", "<f4", rows)]
    if m["kind"] == "top_k":
        fields += [("tails", "<f4", rows)]
    if m["kind"] == "logits":
        fields += [("values", _DTYPES[m["values"]], rows * m["classes"])]
    else:
        fields += [("offsets", "<u4", rows + 1), ("classes", _class_dtype(m), entries),
                   ("values", _DTYPES[m["values"]], entries)]
    arrays, end = {}, 0
    for name, dtype, count in fields:
        arrays[name] = _Array(_rounded_up(end, 8), dtype, count)
        end = arrays[name].at + count * int(dtype[2])
    return arrays, end


class _Block(NamedTuple):
    at: int  # of its header in the file
    rows: int
    before: int
    entries: int
    size: int  # bytes of payload
    id_crc: int
    crc: int

    @property
    def payload(self) -> int:
        return self.at + 64

    @property
    def end(self) -> int:
        return _rounded_up(self.payload + self.size, 64)


class _File:
    """The headers of a cache, all of them read and compared."""

    def __init__(self, path: str, data: Any):
        self.path, self.data = path, data
        self._read_head()
        self.blocks: list[_Block] = []
        self.end = self.first
        while (block := self._block_at(self.end)) is not None:
            self.blocks.append(block)
            self.end = block.end
        self._refuse_damage()
        if self.blocks and not self.has_right_crc(self.blocks[-1]):
            self.end = self.blocks.pop().at

    @property
    def torn(self) -> int:
        return len(self.data) - self.end

    @property
    def rows(self) -> int:
        return self.blocks[-1].before + self.blocks[-1].rows if self.blocks else 0

    @property
    def said(self) -> dict[str, Any]:
        """What a manifest says of the file. The headers' checksum is of all but their own ones, which would cancel them."""
        crc = zlib.crc32(self.data[:60])
        for b in self.blocks:
            crc = zlib.crc32(self.data[b.at:b.at + 60], crc)
        return {"file": os.path.basename(self.path), "rows": self.rows, "bytes": len(self.data), "crc": crc}

    def has_right_crc(self, b: _Block) -> bool:
        with memoryview(self.data) as view, view[b.payload:b.payload + b.size] as payload:
            return zlib.crc32(payload) == b.crc

    def array(self, b: _Block, name: str) -> np.ndarray:
        a = _layout(self.metadata, b.rows, b.entries)[0][name]
        return np.frombuffer(self.data, a.dtype, a.count, b.payload + a.at)

    def refuse(self, what: str) -> NoReturn:
        _refuse(f"'{self.path}' {what}")

    def _read_head(self) -> None:
        data, size = self.data, len(self.data)
        if size < 64 or data[:8] != _MAGIC:
            self.refuse("is no teacher cache: it does not begin with LIMBECKT")
        _, version, crc, length, self.first = _FILE_HEADER.unpack_from(data, 0)
        if version != 1:
            self.refuse(f"is a teacher cache of version {version}, this program reads version 1")
        if _CRC.unpack_from(data, 60)[0] != zlib.crc32(data[:60]):
            self.refuse("has a file header with a wrong checksum")
        if length > _METADATA_LIMIT:
            self.refuse(f"claims {length} bytes of metadata, expected at most {_METADATA_LIMIT}")
        if self.first != _rounded_up(64 + length, 64) or self.first > size:
            self.refuse("is truncated within its metadata")
        text = data[64:64 + length]
        if zlib.crc32(text) != crc:
            self.refuse("has metadata with a wrong checksum")
        if _levels(text) > _LEVELS:
            self.refuse(f"has metadata nested deeper than {_LEVELS} levels")
        try:
            self.metadata = json.loads(text)
            if not isinstance(self.metadata, dict):
                _refuse("metadata of a teacher cache are one JSON object")
            _check(self.metadata)
        except ValueError as e:
            self.refuse(f"has metadata that are no teacher cache's: {e}")

    def _is_header(self, at: int) -> bool:
        return (at + 64 <= len(self.data) and self.data[at:at + 4] == _BLOCK_MAGIC
                and _CRC.unpack_from(self.data, at + 60)[0] == zlib.crc32(self.data[at:at + 60]))

    def _block_at(self, at: int) -> Optional[_Block]:
        if not self._is_header(at):
            return None
        _, rows, before, size, entries, id_crc, crc = _BLOCK_HEADER.unpack_from(self.data, at)
        b = _Block(at, rows, before, entries, size, id_crc, crc)
        if rows == 0 or before != self.rows or (self.metadata["kind"] == "logits" and entries != 0):
            return None
        return b if _layout(self.metadata, rows, entries)[1] == size and b.end <= len(self.data) else None

    def _refuse_damage(self) -> None:
        at = self.data.find(_BLOCK_MAGIC, self.end + 64)
        while at >= 0:
            if at % 64 == 0 and self._is_header(at) and _BLOCK_HEADER.unpack_from(self.data, at)[2] > self.rows:
                self.refuse(f"is damaged: there is no whole block at byte {self.end}, but one at byte {at}")
            at = self.data.find(_BLOCK_MAGIC, at + 1)


def _mapped(handle: int) -> Any:
    """The bytes of an open file; an empty one cannot be mapped."""
    return mmap.mmap(handle, 0, access=mmap.ACCESS_READ) if os.fstat(handle).st_size else b""


class _Files(NamedTuple):
    """The files of a cache."""

    paths: list[str]
    folder: Optional[str] = None  # where they are all of it
    manifest: Optional[str] = None  # where there is one, which says:
    samples: int = 0
    shards: list[dict[str, Any]] = []


def _shards_in(folder: str) -> list[str]:
    """Those that end in .cache, in the order of their names."""
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder or ".")) if name.endswith(".cache")]


def _files_of(path: Union[_Path, Sequence[_Path]]) -> _Files:
    """One file, those of a list, those of a folder, or those that a manifest names, which are then all of its folder."""
    if not isinstance(path, (str, os.PathLike)):
        if not path:
            _refuse("a teacher cache of no files")
        return _Files([os.fspath(p) for p in path])
    path = os.fspath(path)
    is_folder = os.path.isdir(path)
    if not is_folder and os.path.basename(path) != _MANIFEST:
        return _Files([path])
    folder = path if is_folder else os.path.dirname(path)
    manifest = os.path.join(folder, _MANIFEST)
    there = _shards_in(folder)
    if is_folder and not os.path.exists(manifest):
        return _Files(there or _refuse(f"'{path}' is a folder without a file *.cache"), folder)
    samples, shards = _read_manifest(manifest)
    names = [os.path.basename(p) for p in there]
    for s in shards:
        if s["file"] not in names:
            _refuse(f"'{manifest}' names the shard '{s['file']}', which is not there")
    for name in names:
        if name not in [s["file"] for s in shards]:
            _refuse(f"'{manifest}' does not name '{name}', which lies beside it: a shard of another cache, or a new one")
    return _Files([os.path.join(folder, s["file"]) for s in shards], folder, manifest, samples, shards)


def _read_manifest(path: str) -> tuple[int, list[dict[str, Any]]]:
    """How many samples it says there are, and what of each shard."""
    if not os.path.exists(path):
        _refuse(f"'{path}' is not there: nobody has finished this cache, or somebody writes to it again")
    with open(path, "rb") as file:
        text = file.read()

    def refuse(what: str) -> NoReturn:
        _refuse(f"'{path}' is no manifest of a teacher cache{what}")

    def whole(of: dict[str, Any], key: str, most: int = 2**64 - 1) -> int:
        x = of.get(key)
        if not isinstance(x, int) or isinstance(x, bool) or not 0 <= x <= most:
            refuse(f": {key} is no whole number")
        return x

    try:
        m = json.loads(text) if _levels(text) <= 4 else None
    except ValueError:
        m = None
    if not isinstance(m, dict) or m.get("format") != "limbeck teacher cache":
        refuse("")
    if m.get("version") != 1:
        refuse(f" that this program knows: its version is {m.get('version')!r}")
    samples, shards = whole(m, "samples"), m.get("shards")
    if not isinstance(shards, list) or not shards or not all(isinstance(s, dict) for s in shards):
        refuse(": it names no shard")
    for s in shards:
        name = s.get("file")
        if not isinstance(name, str) or "/" in name or not name.endswith(".cache"):
            refuse(f": it names {name!r}, which is no name of a shard")
        whole(s, "rows"), whole(s, "bytes"), whole(s, "crc", 2**32 - 1)
    return samples, shards


def _require_as_said(file: _File, said: dict[str, Any], manifest: str) -> None:
    found = file.said
    if (found["rows"], found["bytes"]) != (said["rows"], said["bytes"]):
        file.refuse(f"has {found['rows']} rows in {found['bytes']} bytes, its manifest '{manifest}' says {said['rows']} rows in "
                    f"{said['bytes']} bytes: it was copied in part, or somebody has written to it since")
    if found["crc"] != said["crc"]:
        file.refuse(f"has other rows than its manifest '{manifest}' says, by their checksums")


def _opened(path: str) -> _File:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _File(path, _mapped(handle))
    finally:
        os.close(handle)


# --- Values ----------------------------------------------------------------------------------------------------------


def _from_bfloat16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype("<u4") << 16).view("<f4")


def _owner(starts: np.ndarray, bad: np.ndarray) -> tuple[int, int]:
    """The first bad value, and the row that it belongs to."""
    i = int(np.argmax(bad))
    return i, int(np.searchsorted(starts, i, side="right")) - 1


class _Rows(NamedTuple):
    """Rows as they are stored, before they are laid out as a block: array by array."""

    arrays: dict[str, np.ndarray]
    counts: np.ndarray  # entries of each row

    @property
    def size(self) -> int:
        return sum(a.nbytes for a in self.arrays.values())


def _stored(values: str, z: np.ndarray, starts: np.ndarray, ids: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of z, one behind the other from `starts` on, as their type. Finite, or -inf for a masked class."""
    finite = np.isfinite(z)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if values == "uint8":
            z = z.astype(np.float64)
            low, high = np.minimum.reduceat(np.where(finite, z, np.inf), starts), np.maximum.reduceat(z, starts)
            minima, scales = low.astype("<f4"), ((high - low) / 254).astype("<f4")
            bad = ~np.isfinite(minima) | ~np.isfinite(minima + scales * np.float32(254))
            if bad.any():
                r = int(np.argmax(bad))
                _refuse(f"the values of sample {ids[r]} run from {low[r]:g} to {high[r]:g}, which uint8 with a float "
                        "scale cannot hold; nothing of this call was added")
            lengths = np.diff(starts, append=z.size)
            steps = np.rint((z - np.repeat(minima.astype(np.float64), lengths))
                            / np.repeat(scales.astype(np.float64), lengths))
            flat = np.repeat(scales == 0, lengths)
            u = np.where(finite, 1 + np.clip(np.where(flat, 0, steps), 0, 254), 0).astype("|u1")
            return {"scales": scales, "minima": minima, "values": u}
        kept = z.astype("<f4")
        if values == "float16":
            kept = out = kept.astype("<f2")
        elif values == "bfloat16":
            bits = kept.view("<u4")
            out = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")  # to nearest, ties to even
            kept = _from_bfloat16(out)
        else:
            out = kept
    bad = finite & ~np.isfinite(kept)
    if bad.any():
        i, r = _owner(starts, bad)
        _refuse(f"{float(z[i]):g} of sample {ids[r]} is beyond what {values} holds; nothing of this call was added")
    return {"values": out}


def _maxima(z: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The largest logit of each row; refuses rows without a softmax."""
    with np.errstate(invalid="ignore"):
        top = z.max(axis=1)
    bad = ~np.isfinite(top)
    if bad.any():
        r = int(np.argmax(bad))
        what = "a NaN" if np.isnan(top[r]) else "+inf" if top[r] > 0 else "nothing but -inf"
        _refuse(f"the logits of sample {ids[r]} hold {what} and so have no softmax; nothing of this call was added")
    return top


def _dense(m: dict[str, Any], ids: np.ndarray, x: np.ndarray) -> _Rows:
    _maxima(x, ids)
    starts = np.arange(len(ids)) * m["classes"]
    return _Rows({"ids": ids, **_stored(m["values"], x.reshape(-1), starts, ids)}, np.zeros(0, np.int64))


def _top_k(m: dict[str, Any], ids: np.ndarray, x: np.ndarray) -> _Rows:
    with np.errstate(over="ignore"):
        z = x.astype(np.float64) / m["temperature"]
    z -= _maxima(z, ids)[:, None]
    keep = z > -np.inf
    if m["k"] < m["classes"]:
        least = np.partition(z, m["classes"] - m["k"], axis=1)[:, m["classes"] - m["k"], None]  # of the k largest
        keep &= z >= least
        over = np.flatnonzero(keep.sum(axis=1) > m["k"])
        if len(over):  # ties: the lower classes stay
            above, ties = z[over] > least[over], z[over] == least[over]
            room = m["k"] - above.sum(axis=1, keepdims=True)
            keep[over] = above | (ties & (np.cumsum(ties, axis=1) <= room))
    with np.errstate(divide="ignore", under="ignore"):
        log_sum = np.log(np.exp(z).sum(axis=1))
        rest = np.where(keep, -np.inf, z)
        top = rest.max(axis=1)  # the rest has a scale of its own: its mass may be far below the kept classes'
        base = np.where(np.isfinite(top), top, 0)
        tails = base + np.log(np.exp(rest - base[:, None]).sum(axis=1)) - log_sum
    row, classes = np.nonzero(keep)
    counts = keep.sum(axis=1)
    stored = _stored(m["values"], z[keep] - log_sum[row], np.cumsum(counts) - counts, ids)
    return _Rows({"ids": ids, "tails": tails.astype("<f4"), "classes": classes.astype(_class_dtype(m)), **stored},
                 counts)


def _sampled(m: dict[str, Any], ids: np.ndarray, x: np.ndarray, seed: int) -> _Rows:
    with np.errstate(over="ignore"):
        z = x.astype(np.float64) / m["temperature"]
    z -= _maxima(z, ids)[:, None]
    power, draws = m["power"], m["draws"]
    with np.errstate(under="ignore"):
        log_sum = np.log(np.exp(z).sum(axis=1))
        q = np.exp(power * z)
    cumulative = np.cumsum(q, axis=1)
    total = cumulative[:, -1]
    below = np.nextafter(total, 0)
    classes, times = [], []
    for r, sample in enumerate(ids.tolist()):
        u = np.random.default_rng([seed, sample]).random(draws)
        # The first class whose sum exceeds the draw has a probability that is not 0.
        found = np.searchsorted(cumulative[r], np.minimum(u * total[r], below[r]), side="right")
        drawn, count = np.unique(found, return_counts=True)
        classes.append(drawn)
        times.append(count)
    counts = np.array([len(c) for c in classes])
    flat, count = np.concatenate(classes), np.concatenate(times)
    if _is_counts(m):
        stored = {"values": count.astype("|u1")}
    else:
        row = np.repeat(np.arange(len(ids)), counts)
        weight = np.log(count / draws)
        if power != 1:
            kept = z[row, flat]
            weight += (kept - log_sum[row]) - (power * kept - np.log(total)[row])
        stored = _stored(m["values"], weight, np.cumsum(counts) - counts, ids)
    return _Rows({"ids": ids, "classes": flat.astype(_class_dtype(m)), **stored}, counts)


def _ids_of(ids: Any) -> np.ndarray:
    given = np.asarray(ids)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        _refuse(f"ids are {given.dtype} of shape {given.shape}, expected one dimension of whole numbers")
    if given.dtype.kind == "i" and given.size and given.min() < 0:
        _refuse(f"sample id {given.min()} at position {int(given.argmin())}, expected 0 or more")
    return given.astype("<u8")


# --- Writer ----------------------------------------------------------------------------------------------------------


class Writer:
    """Appends a teacher's rows to a cache, which it makes where there is none.

    A file that is there is continued if its metadata agree, and a torn tail that a crash left is cut off. While one
    program writes, no other can (`flock`); readers can, and see the blocks that are whole. Use it in a `with`, or
    call `close`. In a child of `fork`, a worker of a loader say, a writer that was open before refuses rows.

    path: the file.
    classes: length of a row, 1 to 2**31 - 1.
    kind: "logits", all of them; "top_k", log softmax(z/T) of the `k` largest and the log of the mass of all others;
        "sampled", log of unbiased weights of classes that were drawn.
    values: "float32", "float16", "bfloat16" or "uint8" (a scale and a minimum a row; counts for "sampled").
    k: top_k: classes kept a row at most.
    draws, power: sampled: draws a row, from q proportional to p**power.
    seed: sampled: the draws of a sample come from `numpy.random.default_rng([seed, sample id])`, whatever the order of
        the rows. They are other draws than the C++ writer's of the same seed. The seed is not part of the metadata.
    temperature: the T above; 1 for logits, which the loss divides itself.
    teacher, augmentation: a fingerprint of the teacher and what was done to the inputs, compared as they are.
    user: anything that JSON holds, in a dict, on 63 levels at most; not compared.
    block_bytes: a block is written when it has about as many; up to 2**30.
    sync: whether each block reaches the disk before the next begins: for power cuts, not for crashes.

    Raises ValueError for settings that do not go together, and for a file that is no cache, is damaged, or holds
    something else; BlockingIOError where another program writes it; OSError where it cannot be opened or written. The
    file is then as it was.
    """

    def __init__(self, path: _Path, *, classes: int, kind: str = "logits", values: str = "float32", k: int = 0,
                 draws: int = 0, power: float = 1.0, seed: int = 0, temperature: float = 1.0, teacher: str = "",
                 augmentation: str = "", user: Optional[dict[str, Any]] = None, block_bytes: int = 1 << 20,
                 sync: bool = False):
        m = {"classes": operator.index(classes), "kind": kind, "values": values, "temperature": float(temperature),
             "teacher": teacher, "augmentation": augmentation, "user": {} if user is None else user,
             "created_by": "limbeck_teacher_cache.py"}
        if kind == "top_k":
            m["k"] = operator.index(k)
        if kind == "sampled":
            m["draws"], m["power"] = operator.index(draws), float(power)
        _check(m)
        if not 1 <= block_bytes <= 1 << 30:
            _refuse(f"block_bytes is {block_bytes}, expected 1 to 2^30")
        if operator.index(seed) < 0:
            _refuse(f"seed is {seed}, expected 0 or more")
        head = _head(m)
        self._metadata, self._seed, self._block_bytes, self._sync = m, seed, block_bytes, sync
        self._path = os.fspath(path)
        self._end = self._rows = 0
        self._pending: list[_Rows] = []
        self._pending_bytes = 0
        self._process = os.getpid()
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BlockingIOError(f"limbeck: '{self._path}' is being written by another program") from None
            self._begin(head)
        except BaseException:
            self._release()
            raise

    def _begin(self, head: bytes) -> None:
        """A new file, or the end of one that is there."""
        data = _mapped(self._handle)
        size = len(data)
        if size < len(head) and data[:] == head[:size]:  # nothing, or what a crash left of a file's first moment
            self._write(head)
        else:
            there = _File(self._path, data)
            for key in _COMPARED:
                old, new = there.metadata.get(key, ""), self._metadata.get(key, "")
                if old != new:
                    there.refuse(f"holds a teacher cache whose {key} is {old!r}, not {new!r}")
            self._end, self._rows = there.end, there.rows
            if size > self._end:
                os.ftruncate(self._handle, self._end)
            if self._sync:  # what an earlier writer left, first; its last block again, whose fsync may have failed
                last = there.blocks[-1].at if there.blocks else 0
                _write_at(self._handle, data[last:self._end], last)
                os.fsync(self._handle)
        if self._sync:
            _sync_folder_of(self._path)

    @property
    def rows(self) -> int:
        """Rows of the file, and rows that wait for their block."""
        return self._rows + sum(len(p.arrays["ids"]) for p in self._pending)

    def append(self, ids: Any, logits: Any) -> None:
        """Adds rows: row r of `logits` belongs to the sample `ids[r]`. Of an id that comes again the last row counts.

        ids: (n,) whole numbers from 0, anything that `numpy.asarray` takes.
        logits: (n, classes) of the teacher, of any floating type; -inf masks a class. Computed in float64.

        Raises ValueError for a wrong shape, a row with a NaN, +inf or nothing but -inf, and a value that the type of
        the values cannot hold: nothing of this call is added. Raises OSError where a block cannot be written: the file
        ends with the block before, and the rows wait for `flush`.
        """
        self._require_own()
        m = self._metadata
        sample, x = _ids_of(ids), np.asarray(logits)
        if x.dtype.name == "bfloat16":  # ml_dtypes' own, as JAX hands it out
            x = x.astype(np.float32)
        if x.dtype.kind != "f":
            _refuse(f"logits are {x.dtype}, expected a floating type")
        if x.shape != (len(sample), m["classes"]):
            _refuse(f"logits have shape {x.shape}, expected ({len(sample)}, {m['classes']}) for {len(sample)} ids")
        row_bytes = 24 + m["classes"] * np.dtype(_DTYPES[m["values"]]).itemsize  # of dense rows; sparse ones have fewer
        step = max(1, min(_CHUNK // m["classes"], self._block_bytes // row_bytes))
        new = []
        for begin in range(0, len(sample), step):
            part = (m, sample[begin:begin + step], x[begin:begin + step])
            new.append(_dense(*part) if m["kind"] == "logits" else
                       _top_k(*part) if m["kind"] == "top_k" else _sampled(*part, self._seed))
        self._pending += new
        self._pending_bytes += sum(p.size for p in new)
        self._write_blocks(self._block_bytes)

    def flush(self) -> None:
        """Writes what is pending. Raises OSError where it cannot: the rows stay pending.

        Where the disk does not confirm a block (`sync`), this writer is closed: the system may forget such a block, and
        the next writer decides by its checksum.
        """
        self._require_own()
        self._write_blocks(1)

    def close(self) -> None:
        """Writes what is pending and gives the file back. Raises OSError as `flush` does, and is then still open."""
        if self._handle >= 0:
            self.flush()
            self._release()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            self.close()
        finally:
            self._release()

    def _require_own(self) -> None:
        """The writer is open, and of this process: a child of fork has the same place in the same file."""
        if self._process != os.getpid():
            _refuse(f"the writer of '{self._path}' belongs to process {self._process}, of which this one is a child; "
                    "one process writes a cache")
        if self._handle < 0:
            _refuse(f"the writer of '{self._path}' is closed")

    def _release(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def _write_blocks(self, least: int) -> None:
        """Writes pending rows in blocks of about block_bytes, while as many bytes as `least` are pending."""
        while self._pending_bytes >= least:
            size = self._pending[0].size
            count = 1
            while count < len(self._pending) and size + self._pending[count].size <= self._block_bytes:
                size += self._pending[count].size
                count += 1
            rows, block = self._block(self._pending[:count])
            self._write(block)
            self._rows += rows
            self._pending_bytes -= size
            del self._pending[:count]

    def _block(self, parts: list[_Rows]) -> tuple[int, bytearray]:
        arrays = {name: np.concatenate([p.arrays[name] for p in parts]) for name in parts[0].arrays}
        counts = np.concatenate([p.counts for p in parts])
        arrays["offsets"] = np.concatenate([[0], np.cumsum(counts)])
        rows, entries = len(arrays["ids"]), int(counts.sum())
        layout, size = _layout(self._metadata, rows, entries)
        block = bytearray(_rounded_up(64 + size, 64))
        for name, a in layout.items():
            np.frombuffer(block, a.dtype, a.count, 64 + a.at)[:] = arrays[name]
        with memoryview(block) as view:
            id_crc, crc = zlib.crc32(view[64:64 + 8 * rows]), zlib.crc32(view[64:64 + size])
        header = _BLOCK_HEADER.pack(_BLOCK_MAGIC, rows, self._rows, size, entries, id_crc, crc)
        block[:64] = header + _CRC.pack(zlib.crc32(header))
        return rows, block

    def _write(self, data: Union[bytes, bytearray]) -> None:
        """At the end of the file, all or nothing."""
        try:
            _write_at(self._handle, data, self._end)
        except BaseException as e:
            os.ftruncate(self._handle, self._end)  # no reader has a block that is not whole
            if not isinstance(e, OSError):
                raise
            raise _told(e, f"'{self._path}' cannot be written: {e.strerror}; it ends with its last block") from e
        try:
            if self._sync:
                os.fsync(self._handle)
        except OSError as e:
            self._release()  # a reader may have this block, so it stays
            raise _told(e, f"the disk did not confirm the last block of '{self._path}': {e.strerror}; this writer is "
                        "closed, open another one to go on") from e
        self._end += len(data)


def _write_at(handle: int, data: Union[bytes, bytearray], at: int) -> None:
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.pwrite(handle, view[done:], at + done)


def _told(reason: OSError, what: str) -> OSError:
    told = OSError("limbeck: " + what)
    told.errno = reason.errno
    return told


def _sync_folder_of(path: str) -> None:
    """The name of a file reaches the disk with its folder, where that may be opened and its file system can do so."""
    try:
        handle = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


# --- Reader ----------------------------------------------------------------------------------------------------------


class Reader:
    """A teacher's rows on disk, by sample id. The files are mapped, not read: they may be larger than memory.

    path: the file; or several, the shards, which were written at once, each of other samples; or a folder, whose files
        *.cache are the shards, those of its manifest if it has one; or the manifest of a folder, `manifest.json`.
    samples: how many it must have a row of, in all its shards; None for any number.

    Opening reads the blocks' headers and the ids; a block's checksum is compared when its first row is wanted. Raises
    ValueError where a file is no cache or damaged in its headers, where two files hold other caches or a row of the same
    sample, there are other than `samples` samples, or the files are not as their manifest says; OSError where one cannot be
    opened.
    """

    def __init__(self, path: Union[_Path, Sequence[_Path]], samples: Optional[int] = None):
        files = _files_of(path)
        self._files = [_opened(p) for p in files.paths]
        first, many = self._files[0], len(self._files)
        for file, said in zip(self._files, files.shards):
            _require_as_said(file, said, files.manifest or "")
        self._it_has = f"'{first.path}' has"
        if many > 1:
            name = f"of '{files.folder}'" if files.folder is not None else f"'{first.path}', ..."
            self._it_has = f"the {many} shards {name} have"
        self._blocks: list[tuple[_File, _Block]] = []
        ids, rows, before = [np.zeros(0, "<u8")], [np.zeros(0, np.int64)], 0
        starts, begins = [], []  # the number of the first row of each file, of each block
        self._lost = []  # blocks whose ids are damaged
        for file in self._files:
            for key in _COMPARED:
                one, other = file.metadata.get(key), first.metadata.get(key)
                if one != other and (one or other):
                    file.refuse(f"holds a teacher cache whose {key} is {one!r}, not {other!r} as that of '{first.path}'")
            starts.append(before)
            for b in file.blocks:
                begins.append(before + b.before)
                self._blocks.append((file, b))
                block_ids = file.array(b, "ids")
                if zlib.crc32(block_ids) != b.id_crc:
                    self._lost.append(len(self._blocks) - 1)
                    continue
                ids.append(block_ids.copy())
                rows.append(np.arange(begins[-1], begins[-1] + b.rows))
            before += file.rows
        self._sound = [False] * len(self._blocks)  # checksum compared
        every, row = np.concatenate(ids), np.concatenate(rows)
        order = np.argsort(every, kind="stable")
        every, row = every[order], row[order]
        same = every[1:] == every[:-1]
        owner = np.searchsorted(starts, row, side="right")
        twice = np.flatnonzero(same & (owner[1:] != owner[:-1]))
        if len(twice):
            i = int(twice[0])
            one, other = self._files[owner[i] - 1], self._files[owner[i + 1] - 1]
            other.refuse(f"has a row of sample {every[i]}, and so has '{one.path}': a sample has one shard")
        last = np.append(~same, True)[:len(every)]  # of an id that comes twice the last row counts
        self._ids, self._row = every[last], row[last]
        self._begins = np.array(begins, np.int64)
        for many, who in ((samples, "expected"), (files.samples if files.manifest else None, "its manifest says")):
            if many is not None and many != len(self._ids):
                _refuse(f"{self._it_has} rows of {len(self._ids)} samples, {who} {many}" + self._missing(many) + self._losses())

    def _missing(self, samples: int) -> str:
        """The first samples that are missing, where they count from 0; and which shard has stopped first, by its rows."""
        said, count = "", len(self._ids)
        if count <= samples and (count == 0 or self._ids[-1] < samples):
            gap = np.flatnonzero(self._ids != np.arange(count))
            i = int(gap[0]) if len(gap) else count
            end = int(self._ids[i]) if i < count else samples
            said = f", samples {i} to {end - 1}{' and others' if end - i < samples - count else ''} are missing"
        if len(self._files) > 1:
            least, most = min(self._files, key=lambda f: f.rows), max(self._files, key=lambda f: f.rows)
            said += (f"; '{least.path}' has the fewest rows, {least.rows}, '{most.path}' the most, {most.rows}")
        return said

    def _losses(self) -> str:
        """What the files may have had once."""
        lost = f"; the ids of {len(self._lost)} of its blocks are damaged" if self._lost else ""
        for f in self._files:
            if f.torn:
                whose = "its" if len(self._files) == 1 else f"of '{f.path}' the"
                lost += f"; {whose} last {f.torn} bytes are no whole block"
        return lost

    @property
    def metadata(self) -> dict[str, Any]:
        """What the cache says of itself."""
        return dict(self._files[0].metadata)

    @property
    def ids(self) -> np.ndarray:
        """All sample ids, uint64, rising, each once."""
        return self._ids.copy()

    @property
    def torn_bytes(self) -> int:
        """Bytes behind the last whole block of each file, which a crash of a writer left. They are not read."""
        return sum(f.torn for f in self._files)

    def __len__(self) -> int:
        """Samples that it has a row of."""
        return len(self._ids)

    def rows(self, ids: Any) -> np.ndarray:
        """The logits of the samples `ids`, (n, classes) float32, of a cache of kind "logits"; -inf for masked classes.

        Raises ValueError that names a sample which the cache does not have, or a block that is damaged.
        """
        m = self._files[0].metadata
        if m["kind"] != "logits":
            self._files[0].refuse(f"holds rows of kind {m['kind']}, not logits; sparse(ids) reads them")
        wanted = _ids_of(ids)
        out = np.empty((len(wanted), m["classes"]), np.float32)
        for f, b, at, row in self._places(wanted):
            stored = f.array(b, "values").reshape(b.rows, m["classes"])[row]
            out[at] = self._decoded(f, b, stored, row[:, None])
        return out

    def sparse(self, ids: Any) -> list[tuple[np.ndarray, np.ndarray, Optional[float]]]:
        """The rows of the samples `ids`, of a cache of kind "top_k" or "sampled": (class ids, log weights, log tail).

        Class ids are int64 and rise, log weights are float32, the log tail is a float for "top_k" (-inf where every
        class was kept) and None for "sampled". Raises ValueError as `rows` does.
        """
        kind = self._files[0].metadata["kind"]
        if kind == "logits":
            self._files[0].refuse("holds logits, not sparse rows; rows(ids) reads them")
        wanted = _ids_of(ids)
        out: list[Any] = [None] * len(wanted)
        for f, b, at, row in self._places(wanted):
            offsets = f.array(b, "offsets").astype(np.int64)
            first, count = offsets[row], offsets[row + 1] - offsets[row]
            ends = np.cumsum(count)
            entry = np.arange(ends[-1]) + np.repeat(first - (ends - count), count)
            classes = f.array(b, "classes")[entry].astype(np.int64)
            weights = self._decoded(f, b, f.array(b, "values")[entry], np.repeat(row, count))
            tails = f.array(b, "tails")[row].tolist() if kind == "top_k" else [None] * len(row)
            parts = zip(np.split(classes, ends[:-1]), np.split(weights, ends[:-1]), tails)
            for i, part in zip(at.tolist(), parts):
                out[i] = part
        return out

    def damage(self) -> list[str]:
        """Compares every checksum that has not been compared: a sentence for each block that is damaged."""
        found = []
        for i in range(len(self._blocks)):
            try:
                self._verify(i)
            except ValueError as e:
                found.append(str(e))
        return found

    def close(self) -> None:
        """Gives the maps back."""
        for f in self._files:
            if isinstance(f.data, mmap.mmap):
                f.data.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _places(self, wanted: np.ndarray) -> list[tuple[_File, _Block, np.ndarray, np.ndarray]]:
        """For each block that has some of the rows: its file, it, which of `wanted` they are, and their numbers in it."""
        at = np.searchsorted(self._ids, wanted)
        there = at < len(self._ids)
        there[there] = self._ids[at[there]] == wanted[there]
        if not there.all():
            r = int(np.argmin(there))
            _refuse(f"{self._it_has} no row of sample {wanted[r]}, position {r} of this call{self._losses()}")
        row = self._row[at]
        block = np.searchsorted(self._begins, row, side="right") - 1
        order = np.argsort(block, kind="stable")
        found = []
        for part in np.split(order, np.flatnonzero(np.diff(block[order])) + 1):
            if len(part):
                i = int(block[part[0]])
                self._verify(i)
                found.append((*self._blocks[i], part, row[part] - self._begins[i]))
        return found

    def _decoded(self, f: _File, b: _Block, stored: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Values as float32; `row` is the row of each in its block, in a shape that goes with theirs."""
        m = f.metadata
        if _is_counts(m):
            return np.log(stored / float(m["draws"])).astype(np.float32)
        if m["values"] == "uint8":
            scale, minimum = f.array(b, "scales")[row], f.array(b, "minima")[row]
            return np.where(stored == 0, np.float32(-np.inf), minimum + scale * (stored.astype(np.float32) - 1))
        return _from_bfloat16(stored) if m["values"] == "bfloat16" else stored.astype(np.float32)

    def _verify(self, i: int) -> None:
        if self._sound[i]:
            return
        f, b = self._blocks[i]
        m, what = f.metadata, ""
        if not f.has_right_crc(b):
            what = "a wrong checksum"
        elif i in self._lost:
            what = "ids with a wrong checksum"
        elif m["kind"] != "logits":
            offsets = f.array(b, "offsets").astype(np.int64)
            classes = f.array(b, "classes").astype(np.int64)
            if offsets[0] != 0 or offsets[-1] != b.entries or (np.diff(offsets) <= 0).any():
                what = "offsets that do not rise from 0 to its number of entries"
            else:
                falls = np.diff(classes, prepend=-1) <= 0
                falls[offsets[:-1]] = False
                if falls.any() or classes.max() >= m["classes"]:
                    what = "class ids that do not rise"
        if what:
            f.refuse(f"is damaged: the block at byte {b.at}, rows {b.before} to {b.before + b.rows - 1}, has {what}")
        self._sound[i] = True


def write_manifest(folder: _Path, samples: Optional[int] = None) -> int:
    """Writes the manifest of the files *.cache in `folder`, when all their writers have closed them.

    It names the shards, their rows and their checksums, and is whole or not there: `Reader(folder/manifest.json)` reads a
    cache that is as it was now, or none. Files and manifest reach the disk. Returns how many samples the cache has.

    samples: how many it must have; None for any number.

    Raises ValueError as `Reader`, and for a file with a torn tail; OSError where something cannot be written.
    """
    folder = os.fspath(folder)
    paths = _shards_in(folder) or _refuse(f"'{folder}' is a folder without a file *.cache")
    with Reader(paths, samples) as r:
        for f in r._files:
            if f.torn:
                f.refuse(f"ends with {f.torn} bytes of no whole block: open its writer again, which cuts them, and write the rows "
                         "that were lost")
            handle = os.open(f.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        count, shards = len(r), [f.said for f in r._files]
    text = json.dumps({"format": "limbeck teacher cache", "version": 1, "samples": count, "shards": shards}, ensure_ascii=False,
                      indent=1)
    path = os.path.join(folder, _MANIFEST)
    beside = f"{path}.{os.getpid()}.part"
    try:
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise
    _sync_folder_of(path)
    return count


def _main() -> int:
    parser = argparse.ArgumentParser(description="Looks at a teacher cache of Limbeck.")
    parser.add_argument("command", choices=["info", "verify", "manifest"])
    parser.add_argument("file", nargs="+")
    parser.add_argument("--samples", type=int, help="how many samples a manifest is written for")
    asked = parser.parse_args()
    try:
        if asked.command == "manifest":
            for folder in asked.file:
                print(f"{write_manifest(folder, asked.samples)} samples in {len(_shards_in(folder))} shards")
            return 0
        with Reader(asked.file if len(asked.file) > 1 else asked.file[0]) as r:
            rows, size = sum(f.rows for f in r._files), sum(len(f.data) for f in r._files)
            if asked.command == "info":
                for key, value in r.metadata.items():
                    print(f"{key:14} {json.dumps(value, ensure_ascii=False)}")
                if len(r._files) > 1:
                    print(f"{'shards':14} {len(r._files)}")
                print(f"{'samples':14} {len(r)}\n{'rows':14} {rows}\n{'blocks':14} {len(r._blocks)}")
                print(f"{'bytes':14} {size}\n{'bytes a row':14} {(size - r.torn_bytes) / max(1, rows):.1f}")
                print(f"{'torn bytes':14} {r.torn_bytes}")
                return 0
            damage = r.damage()
            for sentence in damage:
                print(sentence)
            print(f"{len(r._blocks)} blocks, {rows} rows: {len(damage)} damaged; {r.torn_bytes} torn bytes")
            return 1 if damage else 0
    except (OSError, ValueError) as e:
        print(e, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(_main())
