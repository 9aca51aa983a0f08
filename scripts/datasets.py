#!/usr/bin/env python3
"""Makes data/testdata/formats: the same five images, written by others as sets are that they
keep. Pixel (x, y, channel c) of image i is x (c + 1) + 3 y + 40 i, modulo 256. Needs NumPy,
Pillow, pyarrow, tifffile and webdataset.

    python3 scripts/datasets.py
"""
import datetime
import decimal
import io
import json
import pathlib
import pickle
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
import webdataset
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent / "data" / "testdata" / "formats"
N, SIDE = 5, 32
LABELS = [3, 0, 1, 3, 9]
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

i, y, x, c = np.ogrid[:N, :SIDE, :SIDE, :3]
images = ((x * (c + 1) + 3 * y + 40 * i) % 256).astype("u1")
deep = images.astype("u2") * 256 + 7  # 16 bit, below what 8 bit show


def png(pixels):
    b = io.BytesIO()
    Image.fromarray(pixels).save(b, "PNG")
    return b.getvalue()


def made(*parts):
    path = ROOT.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# CIFAR-10 and -100: planes of red, green, blue; as Python 2 pickled them, today's, and bytes.
planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(N, -1)
for part, rows in (("data_batch_1", slice(0, 1)), ("data_batch_2", slice(1, 2)), ("data_batch_3", slice(2, 3)), ("data_batch_4", slice(3, 4)), ("data_batch_5", slice(4, 5)), ("test_batch", slice(0, 2))):
    batch = {b"batch_label": b"a batch", b"labels": LABELS[rows], b"data": planes[rows], b"filenames": [b"x.png" for _ in LABELS[rows]]}
    made("cifar-10-batches-py", part).write_bytes(pickle.dumps(batch, protocol=2))
    made("cifar-10-batches-bin", part + ".bin").write_bytes(b"".join(bytes([l]) + p.tobytes() for l, p in zip(LABELS[rows], planes[rows])))
made("cifar-10-batches-py", "batches.meta").write_bytes(pickle.dumps({b"num_cases_per_batch": 1, b"label_names": [n.encode() for n in NAMES]}, protocol=2))
made("cifar-10-batches-bin", "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
made("cifar-100-python", "train").write_bytes(pickle.dumps({"fine_labels": LABELS, "coarse_labels": [0] * N, "data": planes}, protocol=4))
made("cifar-100-python", "meta").write_bytes(pickle.dumps({"fine_label_names": NAMES, "coarse_label_names": ["x"]}, protocol=4))
made("cifar-100-binary", "train.bin").write_bytes(b"".join(bytes([0, l]) + p.tobytes() for l, p in zip(LABELS, planes)))
made("cifar-100-binary", "fine_label_names.txt").write_text("\n".join(NAMES) + "\n")

# EDM's dataset_tool: stored PNGs and dataset.json.
with zipfile.ZipFile(made("edm.zip"), "w") as z:
    names = [f"00000/img{k:08d}.png" for k in range(N)]
    for name, pixels in zip(names, images):
        z.writestr(name, png(pixels))
    z.writestr("dataset.json", json.dumps({"labels": [[n, l] for n, l in zip(names, LABELS)]}))

# WebDataset: two shards; classes in .cls, and as JSON.
for shard, rows in ((0, range(0, 2)), (1, range(2, N))):
    with webdataset.TarWriter(str(made(f"wds-{shard:06d}.tar")), mtime=0) as w:
        for k in rows:
            w.write({"__key__": f"sample{k:04d}", "png": png(images[k]), "cls": str(LABELS[k]), "json": json.dumps({"caption": "a cat"}), "seg.png": png(images[0])})
with webdataset.TarWriter(str(made("json.tar")), mtime=0) as w:
    for k in range(N):
        w.write({"__key__": f"a/{k:04d}", "png": png(images[k]), "json": json.dumps({"label": LABELS[k], "width": SIDE})})

# Parquet as the hub has it: a struct of bytes and path, and names of classes in the metadata.
features = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}, "tags": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}}}}
schema = pa.schema(
    [("tags", pa.list_(pa.string())), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
    metadata={"huggingface": json.dumps(features)},
)


def rows(which):
    return pa.table({"tags": [["a", "b"]] * len(which), "image": [{"bytes": png(images[k]), "path": f"{k}.png"} for k in which], "label": [LABELS[k] for k in which]}, schema)


pq.write_table(rows(range(0, 2)), made("hub", "data", "train-00000-of-00002.parquet"), row_group_size=1)
pq.write_table(rows(range(2, N)), made("hub", "data", "train-00001-of-00002.parquet"), compression="zstd", use_dictionary=False, data_page_version="2.0", data_page_size=1)
pq.write_table(rows(range(0, 2)), made("hub", "data", "test-00000-of-00001.parquet"), compression="gzip")
plain = pa.table({"img": [png(p) for p in images], "label": [NAMES[l] for l in LABELS]})
pq.write_table(plain, made("plain.parquet"), compression="none", write_page_index=True)
pq.write_table(pa.table({"img": [png(images[0]), None], "label": pa.array([None, 1], pa.int32())}), made("gaps.parquet"))

# Labels that are numbers: columns of a table, in pages of both versions, and files and fields of samples.
AGES, POSES = [0.5, -3.0, None, 1e3, 2.25], [[0.0, 1.0], [0.5, -1.0], [2.0, 3.0], [1.0, 1.0], [-0.25, 8.0]]
numbers = pa.table({
    "image": [png(p) for p in images],
    "label": pa.array([0.1, 0.2, 0.3, 0.4, 0.5], pa.float64()),
    "age": pa.array(AGES, pa.float32()),
    "smile": pa.array([True, False, False, True, True]),
    "count": pa.array([7, -8, 9, -10, 11], pa.int16()),
    "large": pa.array([0, 1, 2, 3, 4_000_000_000], pa.uint32()),
    "pose": pa.array(POSES, pa.list_(pa.float32())),
    "fixed": pa.array(POSES, pa.list_(pa.float64(), 2)),
    "gaps": pa.array([[1.0, 2.0], None, [], [3.0, None], [4.0, 5.0]], pa.list_(pa.float32())),
    "uneven": pa.array([[1.0], [1.0, 2.0], [1.0], [1.0], [1.0]], pa.list_(pa.float32())),
    "person": pa.array([{"height": 1.5 + k, "weight": 60 + k} for k in range(N)]),
    "nested": pa.array([[[1.0]]] * N, pa.list_(pa.list_(pa.float32()))),
    "price": pa.array([decimal.Decimal("1.25")] * N, pa.decimal128(9, 2)),
    "day": pa.array([datetime.date(2026, 11, 30)] * N),
    "name": ["a"] * N,
})
pq.write_table(numbers, made("numbers.parquet"), row_group_size=3, data_page_size=1)
pq.write_table(numbers, made("numbers2.parquet"), data_page_version="2.0", use_dictionary=False, compression="zstd")
with webdataset.TarWriter(str(made("numbers.tar")), mtime=0) as w:
    for k in range(N):
        told = {"age": AGES[k], "pose": POSES[k], "label": 10 * k, "name": "a"}
        w.write({"__key__": f"{k:04d}", "png": png(images[k]), "seg.png": png(images[0]), "json": json.dumps(told), "cls": str(k / 4), "height.txt": f"{1.5 + k}\n", "pose2.npy": np.array(POSES[k])})

# Pictures and arrays of 8 and 16 bit.
for k in range(N):
    tifffile.imwrite(made("tiff", NAMES[LABELS[k]], f"{k}.tif"), images[k], photometric="rgb", compression="deflate" if k % 2 else None)
    tifffile.imwrite(made("tiff16", f"{k}.tif"), deep[k], photometric="rgb", byteorder=">" if k % 2 else "<")
    tifffile.imwrite(made("grey16", f"{k}.tif"), deep[k, :, :, 0], photometric="minisblack", predictor=False, compression="lzw" if k % 2 else None)
    tifffile.imwrite(made("grey8", f"{k}.tif"), images[k, :, :, 0], photometric="minisblack")
np.savez(made("images.npz"), images=images, labels=np.array(LABELS))
np.save(made("deep.npy"), deep)
np.save(made("channels.npy"), np.concatenate([images, images[..., :2]], axis=3))
