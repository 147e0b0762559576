#!/usr/bin/env python3
"""DLPack between NumPy and Limbeck, both ways, without a copy: numpy_exchange.py LIBRARY. Exits 77 without NumPy 1.23."""

import ctypes
import gc
import sys

try:
    import numpy as np
    from numpy import from_dlpack
except ImportError:
    print("skipped: NumPy 1.23 or later was not found (Debian: python3-numpy)")
    sys.exit(77)

library = ctypes.CDLL(sys.argv[1])
library.limbeck_test_kl.restype = ctypes.c_double
library.limbeck_test_kl.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_char_p]
library.limbeck_test_row_losses.restype = ctypes.c_void_p
library.limbeck_test_row_losses.argtypes = [ctypes.c_void_p] * 2
pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
capsule_of = ctypes.pythonapi.PyCapsule_New
capsule_of.restype, capsule_of.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


def kl(s, t, g):
    capsules = [x.__dlpack__() for x in (s, t, g)]  # alive until the call returns
    reason = ctypes.create_string_buffer(200)
    loss = library.limbeck_test_kl(*(pointer_of(c, b"dltensor") for c in capsules), reason)
    return loss, reason.value.decode()


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


random = np.random.default_rng(5)
for scalar, within in ((np.float32, 1e-5), (np.float64, 1e-12)):
    s, t = (3 * random.standard_normal((2, 40, 17))).astype(scalar)
    p, q = softmax(t.astype(np.float64) / 4), softmax(s.astype(np.float64) / 4)
    rows = 16 * (p * np.log(p / q)).sum(axis=1)
    expected = 4 * (q - p) / 40
    wide = np.zeros((40, 34), scalar)
    for student, teacher, gradient in ((s, t, np.empty_like(s)), (np.asfortranarray(s), t, np.empty_like(s, order="F")),
                                       (s, t, wide[:, ::2])):  # a gradient with gaps
        loss, reason = kl(student, teacher, gradient)
        assert abs(loss - rows.mean()) < within * abs(rows.mean()), (loss, rows.mean(), reason)
        assert np.abs(gradient - expected).max() < within, np.abs(gradient - expected).max()
    assert not wide[:, 1::2].any()

mixed = np.empty_like(s, np.float32)  # a teacher and a gradient of other types than the student
loss, reason = kl(s, t.astype(np.float32), mixed)
assert abs(loss - rows.mean()) < 1e-5 * abs(rows.mean()) and np.abs(mixed - expected).max() < 1e-6, (loss, reason)
short_s, short_t = s.astype(np.float16), t.astype(np.float16)
in_float, in_half = np.empty(s.shape, np.float32), np.empty_like(short_s)
expected, reason = kl(short_s.astype(np.float32), short_t.astype(np.float32), in_float)
loss, reason = kl(short_s, short_t, in_half)
assert loss == expected and (in_half == in_float.astype(np.float16)).all(), (loss, expected, reason)
loss, reason = kl(s, t.astype(np.int32), np.empty_like(s))
assert loss != loss and reason.startswith("limbeck: teacher is int32 [40, 17], expected float"), reason
loss, reason = kl(s.astype(np.int32), t, np.empty_like(s))
assert loss != loss and reason == "limbeck: student is int32 [40, 17], expected float32, float64, float16 or bfloat16", reason


class Given:
    """What Limbeck gave away, as an object that from_dlpack takes."""

    def __init__(self, managed):
        self.managed = managed

    def __dlpack__(self, stream=None):
        return capsule_of(self.managed, b"dltensor", None)

    def __dlpack_device__(self):
        return (1, 0)


for _ in range(100):  # a double deletion or a leak of the owner would not survive this under a checking allocator
    s, t = random.standard_normal((2, 1000, 50)).astype(np.float32)
    held = [x.__dlpack__() for x in (s, t)]
    losses = from_dlpack(Given(library.limbeck_test_row_losses(*(pointer_of(c, b"dltensor") for c in held))))
    gc.collect()
    p, q = softmax(t / 4), softmax(s / 4)
    assert losses.shape == (1000,) and np.abs(losses - 16 * (p * np.log(p / q)).sum(axis=1)).max() < 1e-4
    del losses
print("NumPy", np.__version__, "and Limbeck exchanged tensors both ways")
