#!/usr/bin/env python3
"""Makes data/testdata/arrays: arrays as NumPy writes them, of all types and versions that
are read. Element i of each is i/8 − 3, of whole numbers i. Needs NumPy.

    python3 scripts/arrays.py
"""
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent / "data" / "testdata" / "arrays"


def values(*shape, dtype="<f4"):
    x = np.arange(np.prod(shape))
    return (x if np.dtype(dtype).kind in "ui" else x / 8 - 3).astype(dtype).reshape(shape)


ROOT.mkdir(parents=True, exist_ok=True)
for name, dtype in (("half", "<f2"), ("single", "<f4"), ("double", "<f8"), ("big", ">f4"), ("bytes", "u1")):
    np.save(ROOT / f"{name}.npy", values(5, 2, 2, 3, dtype=dtype))
np.save(ROOT / "points.npy", values(7, 2))
np.save(ROOT / "grey.npy", values(3, 4, 5, dtype="u1"))
np.save(ROOT / "fortran.npy", np.asfortranarray(values(5, 2, 2, 3)))
np.save(ROOT / "records.npy", np.zeros(3, dtype=[("descr", "<f4"), ("shape", "<i4", 2)]))
np.save(ROOT / "objects.npy", np.array([1, "a", None], dtype=object), allow_pickle=True)
for version in (2, 3):
    with open(ROOT / f"version{version}.npy", "wb") as f:
        np.lib.format.write_array(f, values(5, 2, 2, 3), version=(version, 0))
classes, noise = np.array([0, 2, -1, 1, 2]), np.array([7, -1, 1 << 40, 0, 5])
np.savez(ROOT / "stored.npz", latents=values(5, 4, 4, 4), labels=classes, noise=noise, made_by=np.array("NumPy"))
np.savez_compressed(ROOT / "packed.npz", values(5, 2, 2, 3, dtype="u1"), classes.astype(">i2"))
np.save(ROOT / "integers.npy", np.array([1, -2, 1 << 40]))
np.save(ROOT / "text.npy", np.array("σ = 1"))
