#!/usr/bin/env python3
"""Writes the files beside it, which tests/unit/io reads: NumPy's own .npy and .npz, Hugging Face's own safetensors.

    make_files.py          needs NumPy (made with 1.24.2) and safetensors (made with 0.8.0)

What they hold is a formula that the tests repeat: element i, in C order, is i / 4 - 1 for floats, i - 2 for signed
whole numbers, i for unsigned ones and i odd for bool.
"""

import pathlib
import zipfile

import numpy as np
import safetensors
import safetensors.numpy

HERE = pathlib.Path(__file__).parent


def values(dtype, *shape):
    i = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    kind = np.dtype(dtype).kind
    x = i / 4 - 1 if kind in "fc" else i - 2 if kind == "i" else i % 2 == 1 if kind == "b" else i
    return np.asarray(x, dtype=dtype)


TYPES = ["?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"]

for dtype in TYPES:
    np.save(HERE / f"{np.dtype(dtype).name}.npy", values(dtype, 2, 3))
np.save(HERE / "fortran.npy", np.asfortranarray(values("<f4", 3, 4)))
np.save(HERE / "scalar.npy", values("<f8"))
np.save(HERE / "vector.npy", values("<i8", 5))
np.save(HERE / "empty.npy", values("<f4", 0, 4))
np.save(HERE / "four_dimensions.npy", values("<f4", 2, 3, 1, 4))
for major in (2, 3):
    with open(HERE / f"version_{major}.npy", "wb") as file:
        np.lib.format.write_array(file, values("<f4", 2, 3), version=(major, 0))

np.save(HERE / "refused_big_endian.npy", values(">f4", 2, 3))
np.save(HERE / "refused_complex.npy", values("<c8", 2, 3))
np.save(HERE / "refused_structured.npy", np.zeros(3, dtype=[("a", "<f4"), ("b", "<i4")]))
np.save(HERE / "refused_object.npy", np.array([None, 1], dtype=object))
np.save(HERE / "refused_text.npy", np.array(["a", "bc"]))

arrays = {"logits": values("<f4", 3, 4), "teacher": values("<f4", 3, 4), "labels": values("<i8", 3),
          "half": np.asfortranarray(values("<f2", 3, 4))}
np.savez(HERE / "stored.npz", **arrays)
np.savez_compressed(HERE / "deflated.npz", **arrays)
zipfile.ZIP64_LIMIT = 100  # as if the archive were larger than 4 GiB
zipfile.ZIP_FILECOUNT_LIMIT = 1
np.savez(HERE / "zip64.npz", **arrays)

tensors = {np.dtype(dtype).name: values(dtype, 2, 3) for dtype in TYPES}
safetensors.numpy.save_file(tensors, HERE / "types.safetensors", metadata={"format": "np"})
safetensors.numpy.save_file({"scalar": values("<f4"), "empty": values("<f4", 0, 4), "one": values("u1", 1)},
                            HERE / "shapes.safetensors")
bits = (values("<f4", 2, 3).view("<u4") >> 16).astype("<u2")  # bfloat16, which NumPy lacks
float8 = np.array([0x38, 0x40], dtype="u1")
specs = {name: safetensors.TensorSpec(dtype=dtype, shape=x.shape, data_ptr=x.ctypes.data, data_len=x.nbytes)
         for name, dtype, x in (("bfloat16", "bfloat16", bits), ("float8", "float8_e4m3fn", float8))}
safetensors.serialize_file(specs, HERE / "short_floats.safetensors")
for file in HERE.glob("*.safetensors"):
    file.chmod(0o644)
