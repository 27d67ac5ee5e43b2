#!/usr/bin/env python3
"""Reads a Seedmask model file with numpy alone: a second reading of FORMAT.md, sharing nothing with the TypeScript one.
reader_weights.py regenerates weights, reader_masks.py decodes masks; the three stand side by side.

    reader.py FILE [--network FILE] [--bits OUT] [--logits IDX_IMAGES N [--task I]]

Checks everything FORMAT.md asks for, prints one JSON object (sizes, counts, ids of network and content), writes the packed mask bits
of all tasks to OUT, and for signed constants prints the integer logits of the first N images. A bad file is one line and exit 1.
"""
import argparse, gzip, hashlib, json, math, re, struct, sys, zlib
import numpy as np
from reader_masks import Bad, check, decode_payload
from reader_weights import signs_and_words, weights

MAGIC, MAX_HEADER, MAX_WEIGHTS, PAGE = b"\x89SMK\r\n", 2**24, 2**28, 256
DIGITS = [str(i) for i in range(10)]


# ---- checksum, MessagePack subset ----

CRC_TABLE = list(range(256))
for _ in range(8): CRC_TABLE = [n >> 1 ^ (0x82F63B78 if n & 1 else 0) for n in CRC_TABLE]


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data: c = c >> 8 ^ CRC_TABLE[(c ^ byte) & 255]
    return c ^ 0xFFFFFFFF


class F32(float):
    pass


def unpack(data):
    """The value of header bytes, which must be the very bytes that pack() gives it."""
    at = 0

    def take(n):
        nonlocal at
        check(at + n <= len(data), "header: a length beyond its end")
        at += n
        return data[at - n:at]

    def value(depth):
        t = take(1)[0]
        number = lambda first: int.from_bytes(take(2 ** (t - first)), "big")
        if t < 0x80: return t
        if 0xCC <= t <= 0xCF: return number(0xCC)
        if t == 0xCA: return F32(struct.unpack(">f", take(4))[0])
        if 0xC4 <= t <= 0xC6: return take(number(0xC4))
        if 0xA0 <= t < 0xC0 or t == 0xD9: return take(number(0xD9) if t == 0xD9 else t & 31).decode("utf-8")
        check(0x90 <= t < 0xA0 or t == 0xDC, f"header: type 0x{t:02x} is not in the subset")
        count = int.from_bytes(take(2), "big") if t == 0xDC else t & 15
        check(depth < 4 and count <= len(data) - at, "header: arrays too deep or too long")
        return [value(depth + 1) for _ in range(count)]

    result = value(0)
    check(at == len(data) and pack(result) == data, "header: not in its one form, or bytes after it")
    return result


def pack(v):
    def sized(n, first):
        size = next(s for s in range(4) if n < 256**2**s)
        return bytes([first + size]) + n.to_bytes(2**size, "big")

    if isinstance(v, F32): return b"\xca" + struct.pack(">f", v)
    if isinstance(v, int): return bytes([v]) if v < 0x80 else sized(v, 0xCC)
    if isinstance(v, bytes): return sized(len(v), 0xC4) + v
    if isinstance(v, str):
        text = v.encode()
        return (bytes([0xA0 + len(text)]) if len(text) < 32 else sized(len(text), 0xD9)) + text
    return (bytes([0x90 + len(v)]) if len(v) < 16 else b"\xdc" + len(v).to_bytes(2, "big")) + b"".join(map(pack, v))


# ---- header ----

def whole(v, low, high, what):
    check(type(v) is int and low <= v <= high, f"header: {what} must be an integer {low}..{high}")
    return v


def finite(v, what):
    check(type(v) is F32 and math.isfinite(v), f"header: {what} must be a finite f32")
    return v


def items(v, low, high, what):
    check(isinstance(v, list) and low <= len(v) <= high, f"header: {what} must be a list of {low}..{high}")
    return v


def read_network(fields):
    shape, codes, kind, sigma, seed, stored = fields
    check(not isinstance(shape, list) or len(shape) == 3 and shape[:2] != [1, 1], "header: input shape")
    h, w, c = (whole(n, 1, 2**32 - 1, "input size") for n in (shape if isinstance(shape, list) else [1, 1, shape]))
    one = finite(items(sigma, 1, 1, "sigma")[0], "sigma") if isinstance(sigma, list) else whole(sigma, 0, 1, "sigma") + 1
    check(one > 0, "header: sigma")
    network = {"input": (h, w, c), "distribution": whole(kind, 1, 5, "distribution"), "seed": whole(seed, 0, 2**64 - 1, "seed")}
    layers, codes = [], iter(items(codes, 1, 3072, "layers"))
    check(h * w * c <= MAX_WEIGHTS, "an input too large")
    for code in codes:
        if whole(code, 0, 8, "layer code") == 0:
            check(h > 1 and w > 1, "header: a pool of one pixel")
            h, w = h // 2, w // 2
            layers.append({"kind": "pool", "weights": 0})
        else:
            units, conv = whole(next(codes, None), 1, 2**32 - 1, "layer size"), code > 2
            k = whole(next(codes, None), 1, 16, "kernel") if code > 4 else 3
            lost = k - 1 if code > 6 else 0
            check(code < 5 or lost or k != 3, "header: a 3x3 kernel written out")
            check(h > lost and w > lost, "header: a kernel larger than its image")
            fan_in, fan_out = (k * k * c, k * k * units) if conv else (h * w * c, units)
            rule = math.sqrt(2 / (fan_in + (0 if sigma == 1 else fan_out)))
            layers.append({"kind": "conv" if conv else "dense", "shape": (h, w, c), "units": units, "relu": code % 2 == 1, "fanIn": fan_in,
                           "kernel": k, "lost": lost, "weights": fan_in * units, "stream": sum(l["weights"] > 0 for l in layers),
                           "sigma": np.float32(one if isinstance(sigma, list) else rule)})
            h, w, c = (h - lost, w - lost, units) if conv else (1, 1, units)
        check(h * w * c <= MAX_WEIGHTS and layers[-1]["weights"] < 2**31, "a layer too large")
    network["layers"], network["outputs"] = layers, h * w * c
    network["weighted"] = weighted = [l for l in layers if l["weights"]]
    check(len(layers) <= 1024 and 0 < sum(l["weights"] for l in weighted) <= MAX_WEIGHTS, "no weights, or too many layers or weights")
    first = b"".join(weights(network, l, min(4096, l["weights"])).astype("<f4").tobytes() for l in weighted)
    check(crc32c(first) == whole(stored, 0, 2**32 - 1, "weight check"), "the weight generators differ")
    network["id"] = hashlib.sha256(b"seedmask network 1\n" + pack(fields)).digest()
    return network


def check_entries(tables, network):
    inputs = math.prod(network["input"])
    for entries in tables:
        check(len({pack(e) for e in entries}) == len(entries), "header: a table has an entry twice")
    for t in tables[0]:
        if type(t) is int and t == 0: continue
        scale, mean = (finite(v, "a transform") for v in items(t, 2, 3, "a transform")[:2])
        check(len(t) == 3 or scale != np.float32(1 / 255) or mean != 0 or math.copysign(1, mean) < 0, "header: the registered transform written out")
        constant = t[2] if len(t) == 3 else bytes((inputs + 7) // 8)
        check(isinstance(constant, bytes) and len(constant) == (inputs + 7) // 8, "header: constant inputs")
        check(inputs % 8 == 0 or constant[-1] >> inputs % 8 == 0, "header: constant inputs beyond the last")
    texts = []
    for l in tables[1]:
        check(l != DIGITS, "header: the registered labels written out")
        texts += items(DIGITS if type(l) is int and l == 0 else l, 1, network["outputs"], "a label set")
    for d in tables[2]:
        check(not isinstance(d, list) or len(d) == 2 and d[0] != "mnist", "header: a data set")
        whole(d[1] if isinstance(d, list) else d, 0, 3 if isinstance(d, list) else 4, "data set")
        if isinstance(d, list): texts.append(d[0])
    check(all(isinstance(v, str) and v != "" and v[0] != "\ufeff" for v in texts), "header: a text")


# ---- file ----

COLUMNS = (("id", None), ("scale", "<f4"), ("transform", "<u2"), ("labels", "<u2"), ("data", "<u2"), ("pixelSeed", "<u8"), ("labelSeed", "<u8"))
TABLES = ("transform", "labels", "data")


def read(data, other=None):
    """Network, tasks, content id; `other` is the network of a mask-only file."""
    check(data[:6] == MAGIC[:len(data)] and len(data) >= 16, "not a Seedmask model file, or cut short in its prefix")
    length, stored = struct.unpack("<II", data[8:16])
    check(data[6] == 1 and data[7] & ~2 == 0, "unknown version or critical flags")
    check(length <= MAX_HEADER and 16 + length <= len(data), "cut short in its header")
    check(crc32c(data[:12] + data[16:16 + length]) == stored, "the header is damaged")
    fields = items(unpack(data[16:16 + length]), 6, 13, "fields")
    base = fields.pop(0) if data[7] & 2 else None
    if isinstance(base, bytes):
        check(len(base) == 32 and other is not None and other["id"] == base, f"masks of the network {base.hex()}, which is not given")
        network = other
    else: network, fields = read_network((fields + [None] * 6)[:6]), fields[6:]
    hashed = hashlib.sha256(b"seedmask model 1\n" + network["id"])
    if base is None and not fields:
        check(len(data) == 16 + length, "bytes after a network")
        return network, [], hashed.digest()

    check(5 <= len(fields) <= 6, "header: its number of fields")
    tables = [[v] if type(v) is int else items(v, 1, 65535, "a table") for v in fields[:3]]
    check(not any(isinstance(v, list) and len(v) == 1 and type(v[0]) is int for v in fields[:3]), "header: a table not in its one form")
    tasks, columns = whole(fields[3], 1, 2**20, "task count"), whole(fields[4], 0, 127, "columns")
    check(columns % 2 == len(fields) - 5, "header: an id width, or none")
    width = whole(fields[5], 1, 128, "id width") if columns & 1 else 0
    check(base is None or isinstance(base, bytes) or whole(base, 0, tasks - 1, "base task") >= 0, "header: base")
    check(sum(l["weights"] for l in network["weighted"]) * tasks <= MAX_WEIGHTS, "too many weights")
    check_entries(tables, network)

    present = [(name, f"S{width}" if name == "id" else kind) for bit, (name, kind) in enumerate(COLUMNS) if columns >> bit & 1]
    record = np.dtype([("crc", "<u4"), ("size", "<u4"), *present])
    pages = (tasks + PAGE - 1) // PAGE if tasks > PAGE else 0
    index = 16 + length + 10 * pages
    at = index + tasks * record.itemsize
    check(at + tasks * (1 + len(network["weighted"])) <= len(data), "cut short in its index")
    records = np.frombuffer(data, record, tasks, index)
    check(at + int(records["size"].sum(dtype=np.int64)) == len(data), "its lengths do not add up to the file")
    for page in range(pages):
        total, stored = struct.unpack("<Q", data[16 + length + 10 * page:][:6] + b"\0\0")[0], data[16 + length + 10 * page + 6:][:4]
        part = records[page * PAGE:(page + 1) * PAGE]
        check(total == part["size"].sum(dtype=np.int64) and stored == struct.pack("<I", crc32c(part.tobytes())), "page table")

    rows, out = [], []
    for r in records:
        payload, at = data[at:at + int(r["size"])], at + int(r["size"])
        check(r["crc"] == crc32c(r.tobytes()[4:] + payload), "a task is damaged")
        row = {name: 1.0 if name == "scale" else b"" if name == "id" else 0 for name, _ in COLUMNS} | {name: r[name].item() for name, _ in present}
        check(not columns & 1 or re.fullmatch(rb"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", row["id"]), "a malformed id")
        check(not rows or row["id"] > rows[-1]["id"], "ids are not sorted")
        check(0 < row["scale"] < math.inf, "a logit scale")
        check(all(row[name] < len(entries) for name, entries in zip(TABLES, tables)), "an entry that is not there")
        transform, labels, kind = (entries[row[name]] for name, entries in zip(TABLES, tables))
        permuted = kind[1] if isinstance(kind, list) else max(kind - 1, 0)
        check((permuted & 1 or not row["pixelSeed"]) and (permuted & 2 or not row["labelSeed"]), "a seed without a permutation")
        scheme, kept, masks = decode_payload(network, payload, row["pixelSeed"] if permuted & 1 else None)
        packed = b"".join(np.packbits(m, bitorder="little").tobytes() for m in masks)
        seeds = [struct.pack("<Q", row[name]) for name, bit in (("pixelSeed", 1), ("labelSeed", 2)) if permuted & bit]
        hashed.update(pack([row["id"].decode(), F32(row["scale"]), transform, labels, kind, *seeds]) + packed)
        rows.append(row)
        out.append({"id": row["id"].decode(), "scheme": ("raw", "deflate", "adaptive", "context")[scheme], "payloadBytes": len(payload),
                    "kept": kept, "masks": masks, "packed": packed, "logitScale": row["scale"], "transform": transform})
    for name, entries in zip(TABLES, tables):
        check(list(dict.fromkeys(row[name] for row in rows)) == list(range(len(entries))), f"{name} entries are not in order of first use")
    check(all(any(row[name] != (1 if name == "scale" else 0) for row in rows) for name, _ in present), "an index column that nothing needs")
    check(max(len(row["id"]) for row in rows) == width, "an id column of the wrong width")
    return network, out, hashed.digest()


# ---- signed constants as an integer program ----

def logits(network, task, images):
    """images: rows x inputs of raw uint8. Integer logits, exact: sigma, the transform's scale and the logit scale factor out."""
    transform = task["transform"]
    check(network["distribution"] in (1, 2) and (transform == 0 or transform[1] == 0), "integer logits need signed constants and a mean of 0")
    x, masks = images.astype(np.int64), iter(task["masks"])
    if transform != 0 and len(transform) == 3:
        x[:, np.unpackbits(np.frombuffer(transform[2], np.uint8), bitorder="little")[:x.shape[1]] == 1] = 0
    x = x.reshape(-1, *network["input"])
    for layer in network["layers"]:
        if layer["kind"] == "pool":
            h, w = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, :2 * h, :2 * w].reshape(len(x), h, 2, w, 2, -1).max(axis=(2, 4))
            continue
        signs = np.where(signs_and_words(network, layer, layer["weights"])[0], 1, -1) * next(masks).astype(np.int64)
        if layer["kind"] == "dense":
            x = (x.reshape(len(x), -1) @ signs.reshape(layer["units"], -1).T)[:, None, None, :]
        else:
            h, w, c = layer["shape"]
            k, lost = layer["kernel"], layer["lost"]
            border = (0, 0) if lost else ((k - 1) // 2, k // 2)
            around, taps = np.pad(x, ((0, 0), border, border, (0, 0))), signs.reshape(layer["units"], k, k, c)
            x = sum(around[:, i:i + h - lost, j:j + w - lost] @ taps[:, i, j].T for i in range(k) for j in range(k))
        if layer["relu"]: x = np.maximum(x, 0)
    return x.reshape(len(x), -1)


def load(path):
    with open(path, "rb") as f: raw = f.read()
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--network", metavar="FILE", help="the file that holds the network of a mask-only file")
    parser.add_argument("--bits", metavar="OUT", help="write the packed masks here")
    parser.add_argument("--logits", nargs=2, metavar=("IDX_IMAGES", "N"))
    parser.add_argument("--task", type=int, default=0, help="position of the task that --logits asks")
    options = parser.parse_args()
    try:
        data = load(options.file)
        network, tasks, content = read(data, read(load(options.network))[0] if options.network else None)
        summary = {
            "fileBytes": len(data), "headerBytes": len(data) - sum(t["payloadBytes"] for t in tasks), "networkId": network["id"].hex(),
            "contentId": content.hex(), "weights": [l["weights"] for l in network["weighted"]],
            "tasks": [{k: t[k] for k in ("id", "scheme", "payloadBytes", "kept", "logitScale")} for t in tasks],
        }
        if options.bits:
            with open(options.bits, "wb") as f: f.write(b"".join(t["packed"] for t in tasks))
        if options.logits:
            raw = load(options.logits[0])
            check(0 <= options.task < len(tasks), "no such task")
            check(len(raw) >= 16, "not an IDX file of images of this size")
            magic, n, h, w = struct.unpack(">4I", raw[:16])
            check(magic == 2051 and len(raw) == 16 + n * h * w == 16 + n * math.prod(network["input"]), "not an IDX file of images of this size")
            images = np.frombuffer(raw, np.uint8, offset=16).reshape(n, h * w)[:int(options.logits[1])]
            summary["logits"] = logits(network, tasks[options.task], images).tolist()
    except (Bad, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        sys.exit(f"{options.file}: {error}")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
