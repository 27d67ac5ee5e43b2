#!/usr/bin/env python3
"""Reads a Seedmask model file with numpy alone: a second reading of FORMAT.md, sharing nothing with the TypeScript one.

    reader.py FILE [--network FILE] [--bits OUT] [--logits IDX_IMAGES N [--task I]]

Checks everything FORMAT.md asks for, prints one JSON object (sizes, counts, ids of network and content), writes the packed mask bits
of all tasks to OUT, and for signed constants prints the integer logits of the first N images. A bad file is one line and exit 1.
"""
import argparse, gzip, hashlib, json, math, re, struct, sys, zlib
import numpy as np

MAX_HEADER, MAX_WEIGHTS, PAGE = 2**24, 2**28, 256
DIGITS = [str(i) for i in range(10)]
U32 = np.uint64(0xFFFFFFFF)


class Bad(Exception):
    pass


def check(ok, text):
    if not ok:
        raise Bad(text)


# ---- checksum, MessagePack subset ----

CRC_TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    CRC_TABLE.append(n)


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = (c >> 8) ^ CRC_TABLE[(c ^ byte) & 255]
    return c ^ 0xFFFFFFFF


class F32(float):
    pass


def unpack(data):
    at = 0

    def take(n):
        nonlocal at
        check(at + n <= len(data), "header: a length beyond its end")
        at += n
        return data[at - n:at]

    def number(n, least):
        value = int.from_bytes(take(n), "big")
        check(value >= least, "header: a number or length not in its shortest form")
        return value

    def value(depth):
        t = take(1)[0]
        if t < 0x80: return t
        if t == 0xCC: return number(1, 0x80)
        if t == 0xCD: return number(2, 0x100)
        if t == 0xCE: return number(4, 0x10000)
        if t == 0xCF: return number(8, 2**32)
        if t == 0xCA: return F32(struct.unpack(">f", take(4))[0])
        if t == 0xC4: return take(number(1, 0))
        if t == 0xC5: return take(number(2, 0x100))
        if t == 0xC6: return take(number(4, 0x10000))
        if 0xA0 <= t < 0xC0: return take(t & 31).decode("utf-8")
        if t == 0xD9: return take(number(1, 32)).decode("utf-8")
        check(0x90 <= t < 0xA0 or t == 0xDC, f"header: type 0x{t:02x} is not in the subset")
        count = number(2, 16) if t == 0xDC else t & 15
        check(depth < 4 and count <= len(data) - at, "header: arrays too deep or too long")
        return [value(depth + 1) for _ in range(count)]

    result = value(0)
    check(at == len(data), "header: bytes after its array")
    return result


def pack(v):
    """The same subset, for the ids."""
    big = lambda n, size: n.to_bytes(size, "big")
    if isinstance(v, F32): return b"\xca" + struct.pack(">f", v)
    if isinstance(v, int):
        if v < 0x80: return big(v, 1)
        size, tag = next((s, t) for s, t in ((1, 0xCC), (2, 0xCD), (4, 0xCE), (8, 0xCF)) if v < 256**s)
        return bytes([tag]) + big(v, size)
    if isinstance(v, str):
        text = v.encode()
        return (bytes([0xA0 + len(text)]) if len(text) < 32 else bytes([0xD9, len(text)])) + text
    if isinstance(v, bytes):
        size, tag = next((s, t) for s, t in ((1, 0xC4), (2, 0xC5), (4, 0xC6)) if len(v) < 256**s)
        return bytes([tag]) + big(len(v), size) + v
    return (bytes([0x90 + len(v)]) if len(v) < 16 else b"\xdc" + big(len(v), 2)) + b"".join(map(pack, v))


# ---- weights ----

def philox(seed, count, stream, domain):
    """Words 0..count-1 of a stream, as uint64."""
    block = np.arange((count + 3) // 4, dtype=np.uint64)
    c = [block & U32, block >> np.uint64(32), np.full_like(block, stream), np.full_like(block, domain)]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), b & U32, (a >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), a & U32]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, axis=1).reshape(-1)[:count]


def ln(x):
    m, k = np.frexp(x)
    low = m < 0.7071067811865476
    m, k = np.where(low, m * 2, m), np.where(low, k - 1, k).astype(np.float64)
    f = m - 1
    s = f / (2 + f)
    z = s * s
    w = z * z
    even = w * (3.999999999940941908e-1 + w * (2.222219843214978396e-1 + w * 1.531383769920937332e-1))
    odd = z * (6.66666666666673513e-1 + w * (2.857142874366239149e-1 + w * (1.818357216161805012e-1 + w * 1.479819860511658591e-1)))
    half = 0.5 * f * f
    return k * 6.9314718036912381649e-1 - (half - (s * (half + (even + odd)) + k * 1.90821492927058770002e-10) - f)


# Wichura, AS 241, PPND16: numerator and denominator of the middle, of the tail, of the far tail.
AS241 = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1),
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1),
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1),
)


def quantile(p):
    q = p - 0.5

    def ratio(i, x):
        a, b = (np.full_like(x, c[0]) for c in AS241[i:i + 2])
        for ca, cb in zip(AS241[i][1:], AS241[i + 1][1:]):
            a, b = a * x + ca, b * x + cb
        return a / b

    r = np.sqrt(-ln(np.where(q < 0, p, 1 - p)))
    tail = np.where(r <= 5, ratio(2, r - 1.6), ratio(4, r - 5))
    return np.where(np.abs(q) <= 0.425, q * ratio(0, 0.180625 - q * q), np.where(q < 0, -tail, tail))


def weights(network, layer, count):
    """The first `count` weights of a weighted layer, f32."""
    sigma, seed, kind = layer["sigma"], network["seed"], network["distribution"]
    if kind == 2:
        words = philox(seed, (count + 31) // 32, layer["stream"], 1).astype("<u4")
        signs = np.unpackbits(words.view(np.uint8), bitorder="little")[:count]
        return np.where(signs == 1, sigma, -sigma)
    words = philox(seed, count, layer["stream"], 0)
    if kind == 1:
        return np.where(words >> np.uint64(31) == 1, sigma, -sigma)
    if kind == 3:
        x = (2 * (words >> np.uint64(8)).astype(np.float64) + 1 - 2.0**24) * 2.0**-24
        return (x * np.float64(np.float32(np.float64(sigma) * math.sqrt(3)))).astype(np.float32)
    p = (words.astype(np.float64) + 0.5) * 2.0**-32
    if kind == 5:
        low, high = 0.022750131948179212, 0.9772498680518208
        p = low + (words.astype(np.float64) + 0.5) * 2.0**-32 * (high - low)
    return (quantile(p) * np.float64(sigma)).astype(np.float32)


# ---- header ----

def whole(v, low, high, what):
    check(type(v) is int and low <= v <= high, f"header: {what} must be an integer {low}..{high}")
    return v


def finite(v, what):
    check(type(v) is F32 and math.isfinite(v), f"header: {what} must be a finite f32")
    return v


def read_network(fields):
    shape, codes, kind, sigma, seed, stored = fields
    if not isinstance(shape, list):
        shape = [1, 1, shape]
    else:
        check(len(shape) == 3 and shape[:2] != [1, 1], "header: input shape")
    h, w, c = (whole(n, 1, 2**32 - 1, "input size") for n in shape)
    check(isinstance(codes, list) and len(codes) > 0, "header: layers")
    check(kind in (1, 2, 3, 4, 5) and type(kind) is int, "header: distribution")
    if isinstance(sigma, list):
        check(len(sigma) == 1 and finite(sigma[0], "sigma") > 0, "header: sigma")
    else:
        whole(sigma, 0, 1, "sigma")
    layers, codes = [], list(codes)
    while codes:
        code = whole(codes.pop(0), 0, 4, "layer code")
        if code == 0:
            check(h > 1 and w > 1, "header: a pool of one pixel")
            h, w = h // 2, w // 2
            layers.append({"kind": "pool", "weights": 0})
        else:
            check(len(codes) > 0, "header: a layer without size")
            units = whole(codes.pop(0), 1, 2**32 - 1, "layer size")
            conv = code > 2
            fan_in, fan_out = (9 * c, 9 * units) if conv else (h * w * c, units)
            value = 2 / (fan_in + fan_out) if sigma == 0 else 2 / fan_in
            layers.append({"kind": "conv" if conv else "dense", "shape": (h, w, c), "units": units, "relu": code % 2 == 1,
                           "weights": fan_in * units, "stream": sum(l["weights"] > 0 for l in layers),
                           "sigma": np.float32(sigma[0] if isinstance(sigma, list) else math.sqrt(value))})
            h, w, c = (h, w, units) if conv else (1, 1, units)
        check(h * w * c <= MAX_WEIGHTS, "too many values between two layers")
    check(len(layers) <= 1024 and any(l["weights"] for l in layers), "header: number of layers")
    check(max(l["weights"] for l in layers) < 2**31, "a layer has 2^31 weights or more")
    network = {"input": shape, "layers": layers, "distribution": kind, "seed": whole(seed, 0, 2**64 - 1, "seed"),
               "outputs": h * w * c, "fields": fields}
    return network, whole(stored, 0, 2**32 - 1, "weight check")


def verify_weights(network, stored):
    check(sum(l["weights"] for l in network["layers"]) <= MAX_WEIGHTS, "too many weights")
    first = b"".join(weights(network, l, min(4096, l["weights"])).astype("<f4").tobytes() for l in network["layers"] if l["weights"])
    check(crc32c(first) == stored, "the weight generators differ")
    network["id"] = hashlib.sha256(b"seedmask network 1\n" + pack(network["fields"])).digest()


def read_table(value, what):
    entries = value if isinstance(value, list) else [value]
    check(0 < len(entries) <= 65535, f"header: {what} must have entries")
    check(isinstance(value, list) != (len(entries) == 1 and type(entries[0]) is int), f"header: {what} not in its one form")
    check(len({pack(e) for e in entries}) == len(entries), f"header: {what} has an entry twice")
    return entries


def check_text(v):
    check(isinstance(v, str) and 0 < len(v.encode()) < 256 and v[0] != "\ufeff", "header: a text")


def check_entries(transforms, labels, data, network):
    inputs = math.prod(network["input"])
    for t in transforms:
        if t == 0 and type(t) is int: continue
        check(isinstance(t, list) and 2 <= len(t) <= 3, "header: a transform")
        scale, mean = finite(t[0], "scale"), finite(t[1], "mean")
        registered = len(t) == 2 and struct.pack(">2f", scale, mean) == struct.pack(">2f", np.float32(1 / 255), 0)
        check(not registered, "header: the registered transform written out")
        if len(t) == 3:
            check(isinstance(t[2], bytes) and len(t[2]) == (inputs + 7) // 8, "header: constant inputs")
            check(inputs % 8 == 0 or t[2][-1] >> inputs % 8 == 0, "header: constant inputs beyond the last")
    for l in labels:
        check(l != DIGITS and (l == 0 or isinstance(l, list)), "header: a label set")
        names = DIGITS if l == 0 else l
        check(0 < len(names) <= network["outputs"], "header: a label set of the wrong size")
        for name in names: check_text(name)
    for d in data:
        if isinstance(d, list):
            check(len(d) == 2 and d[0] != "mnist", "header: a data set")
            check_text(d[0])
            whole(d[1], 0, 3, "permutations")
        else:
            whole(d, 0, 4, "data set")


# ---- payload ----

def decode_payload(counts, payload):
    check(payload[0] <= 2, "unknown mask scheme")
    at, kept = 1, []
    for n in counts:
        value = shift = 0
        while True:
            check(at < len(payload) and shift < 35, "payload: a kept count")
            byte = payload[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128: break
        check((byte or shift == 7) and value <= n, "payload: a kept count")
        kept.append(value)
    body, mixed = payload[at:], [n for n, k in zip(counts, kept) if 0 < k < n]
    if payload[0] == 2:
        return payload[0], kept, decode_adaptive(counts, kept, body)
    size = sum((n + 7) // 8 for n in mixed)
    if payload[0] == 1:
        inflater = zlib.decompressobj(-15)
        try:
            body = inflater.decompress(body, size + 1)
        except zlib.error as error:
            raise Bad(f"payload: {error}")
        check(inflater.eof and not inflater.unused_data, "payload: a deflate stream that does not end with it")
    check(len(body) == size, "payload: bits of the wrong size")
    masks, at = [], 0
    for n, k in zip(counts, kept):
        bits = np.full(n, k > 0, np.uint8)
        if 0 < k < n:
            part = np.frombuffer(body, np.uint8, (n + 7) // 8, at)
            at += len(part)
            bits = np.unpackbits(part, bitorder="little")
            check(not bits[n:].any() and bits[:n].sum(dtype=np.int64) == k, "payload: bits against the kept count")
        masks.append(bits[:n])
    return payload[0], kept, masks


def decode_adaptive(counts, kept, body):
    fed = body + bytes(4)
    code, low, rng, at = int.from_bytes(fed[:4], "big"), 0, 2**32 - 1, 4
    masks = []
    for n, ones in zip(counts, kept):
        bits = np.zeros(n, np.uint8)
        left = n
        while 0 < ones < left:
            bound = (rng >> 16) * min(max(ones * 65536 // left, 1), 65535)
            if code < bound:
                rng = bound
                bits[n - left] = 1
                ones -= 1
            else:
                code, low, rng = code - bound, low + bound & 0xFFFFFFFF, rng - bound
            while rng < 2**24:
                check(at < len(fed), "payload: the range coder reads beyond it")
                code, low, rng, at = code << 8 & 0xFFFFFFFF | fed[at], low << 8 & 0xFFFFFFFF, rng << 8, at + 1
            left -= 1
        if ones: bits[n - left:] = 1
        masks.append(bits)
    dropped = next(d for d in (4, 3, 2, 1, 0) if -low % 256**d < rng)
    check(code == -low % 256**dropped and at - len(body) == dropped, "payload: the range coder does not end with it")
    return masks


# ---- file ----

COLUMNS = (("scale", 2, "<f"), ("transform", 4, "<H"), ("labels", 8, "<H"), ("data", 16, "<H"), ("pixelSeed", 32, "<Q"), ("labelSeed", 64, "<Q"))


def read(data, other=None):
    magic = bytes([0x89]) + b"SMK\r\n"
    check(data[:6] == magic[:len(data)], "not a Seedmask model file")
    check(len(data) >= 16, "cut short in its prefix")
    check(data[6] == 1, "unknown version")
    check(data[7] & ~2 == 0, "unknown critical flags")
    length, stored = struct.unpack("<II", data[8:16])
    check(length <= MAX_HEADER and 16 + length <= len(data), "cut short in its header")
    check(crc32c(data[:12] + data[16:16 + length]) == stored, "the header is damaged")
    fields = unpack(data[16:16 + length])
    check(isinstance(fields, list) and len(fields) >= 6, "header: an array of fields")

    base = fields.pop(0) if data[7] & 2 else None
    if isinstance(base, bytes):
        check(len(base) == 32 and other is not None and other["id"] == base, f"masks of the network {base.hex()}, which is not given")
        network = other
    else:
        check(len(fields) >= 11, "header: too few fields")
        network, crc = read_network(fields[:6])
        del fields[:6]
    check(len(fields) >= 5, "header: too few fields")
    transforms, labels, kinds = (read_table(fields.pop(0), what) for what in ("transforms", "labels", "data"))
    tasks, columns = whole(fields.pop(0), 1, 2**20, "task count"), whole(fields.pop(0), 0, 127, "columns")
    id_bytes = whole(fields.pop(0), 1, 128, "id width") if columns & 1 and fields else 0
    check(not fields and (id_bytes > 0) == columns % 2, "header: its last fields")
    check(base is None or isinstance(base, bytes) or whole(base, 0, tasks - 1, "base task") >= 0, "header: base")
    counts = [l["weights"] for l in network["layers"] if l["weights"]]
    check(sum(counts) * tasks <= MAX_WEIGHTS, "too many weights")
    check_entries(transforms, labels, kinds, network)
    if not isinstance(base, bytes): verify_weights(network, crc)

    present = [(name, fmt) for name, bit, fmt in COLUMNS if columns & bit]
    width = 8 + id_bytes + sum(struct.calcsize(fmt) for _, fmt in present)
    pages = (tasks + PAGE - 1) // PAGE if tasks > PAGE else 0
    index = 16 + length + 10 * pages
    at = index + tasks * width
    check(at + tasks * (1 + len(counts)) <= len(data), "cut short in its index")
    records = [data[index + i * width:index + (i + 1) * width] for i in range(tasks)]
    sizes = [int.from_bytes(r[4:8], "little") for r in records]
    check(at + sum(sizes) == len(data), "its lengths do not add up to the file")
    for page in range(pages):
        entry = data[16 + length + 10 * page:][:10]
        part = slice(page * PAGE, (page + 1) * PAGE)
        check(int.from_bytes(entry[:6], "little") == sum(sizes[part]), "page table: payload bytes")
        check(int.from_bytes(entry[6:], "little") == crc32c(b"".join(records[part])), "page table: a damaged page")

    hashed = hashlib.sha256(b"seedmask model 1\n" + network["id"])
    out, previous, rows = [], None, []
    for record, size in zip(records, sizes):
        payload = data[at:at + size]
        at += size
        check(int.from_bytes(record[:4], "little") == crc32c(record[4:] + payload), "a task is damaged")
        row, place = {"scale": F32(1), "transform": 0, "labels": 0, "data": 0, "pixelSeed": 0, "labelSeed": 0}, 8 + id_bytes
        for name, fmt in present:
            row[name] = struct.unpack_from(fmt, record, place)[0]
            place += struct.calcsize(fmt)
        name = record[8:8 + id_bytes].rstrip(b"\0").decode("latin-1")
        check(id_bytes == 0 or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", name), "a malformed id")
        check(previous is None or name > previous, "ids are not sorted")
        previous = name
        check(0 < row["scale"] < math.inf, "a logit scale")
        for column, entries in (("transform", transforms), ("labels", labels), ("data", kinds)):
            check(row[column] < len(entries), "an entry that is not there")
        kind = kinds[row["data"]]
        permuted = kind[1] if isinstance(kind, list) else max(kind - 1, 0)
        check((permuted & 1 or not row["pixelSeed"]) and (permuted & 2 or not row["labelSeed"]), "a seed without a permutation")
        scheme, kept, masks = decode_payload(counts, payload)
        packed = [np.packbits(m, bitorder="little").tobytes() for m in masks]
        seeds = [struct.pack("<Q", row[c]) for c, bit in (("pixelSeed", 1), ("labelSeed", 2)) if permuted & bit]
        hashed.update(pack([name, F32(row["scale"]), transforms[row["transform"]], labels[row["labels"]], kind, *seeds]) + b"".join(packed))
        rows.append((name, row))
        out.append({"id": name, "scheme": ("raw", "deflate", "adaptive")[scheme], "payloadBytes": size, "kept": kept, "masks": masks,
                    "packed": b"".join(packed), "logitScale": row["scale"], "transform": transforms[row["transform"]]})
    for column, entries in (("transform", transforms), ("labels", labels), ("data", kinds)):
        used = list(dict.fromkeys(row[column] for _, row in rows))
        check(used == list(range(len(entries))), f"{column} entries are not in order of first use")
    for name, _ in present:
        check(any(row[name] != (1 if name == "scale" else 0) for _, row in rows), "an index column that nothing needs")
    check(max(len(name) for name, _ in rows) == id_bytes, "an id column of the wrong width")
    return network, out, hashed.digest()


# ---- signed constants as an integer program ----

def logits(network, task, images):
    """images: rows x inputs of raw uint8. Integer logits, exact: sigma, the transform's scale and the logit scale factor out."""
    check(network["distribution"] in (1, 2), "integer logits need signed constants")
    transform = task["transform"]
    x = images.astype(np.int64)
    if transform != 0:
        check(transform[1] == 0, "integer logits need a mean of 0")
        if len(transform) == 3:
            x[:, np.unpackbits(np.frombuffer(transform[2], np.uint8), bitorder="little")[:x.shape[1]] == 1] = 0
    x = x.reshape(-1, *network["input"])
    masks = iter(task["masks"])
    for layer in network["layers"]:
        if layer["kind"] == "pool":
            h, w = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, :2 * h, :2 * w].reshape(len(x), h, 2, w, 2, -1).max(axis=(2, 4))
            continue
        signs = np.where(weights(network, layer, layer["weights"]) > 0, 1, -1) * next(masks).astype(np.int64)
        if layer["kind"] == "dense":
            x = (x.reshape(len(x), -1) @ signs.reshape(layer["units"], -1).T)[:, None, None, :]
        else:
            h, w, c = layer["shape"]
            around = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            taps = signs.reshape(layer["units"], 3, 3, c)
            x = sum(around[:, i:i + h, j:j + w] @ taps[:, i, j].T for i in range(3) for j in range(3))
        if layer["relu"]: x = np.maximum(x, 0)
    return x.reshape(len(x), -1)


def idx_images(path, count):
    with open(path, "rb") as f:
        raw = f.read()
    if raw[:2] == b"\x1f\x8b": raw = gzip.decompress(raw)
    magic, n, h, w = struct.unpack(">4I", raw[:16])
    check(magic == 2051 and len(raw) == 16 + n * h * w, "not an IDX file of images")
    return np.frombuffer(raw, np.uint8, offset=16).reshape(n, h * w)[:count]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--network", metavar="FILE", help="the file that holds the network of a mask-only file")
    parser.add_argument("--bits", metavar="OUT", help="write the packed masks here")
    parser.add_argument("--logits", nargs=2, metavar=("IDX_IMAGES", "N"))
    parser.add_argument("--task", type=int, default=0, help="position of the task that --logits asks")
    options = parser.parse_args()
    load = lambda path: open(path, "rb").read()
    try:
        data = load(options.file)
        network, tasks, content = read(data, read(load(options.network))[0] if options.network else None)
        if options.bits:
            with open(options.bits, "wb") as f:
                f.write(b"".join(t["packed"] for t in tasks))
        summary = {
            "fileBytes": len(data),
            "headerBytes": len(data) - sum(t["payloadBytes"] for t in tasks),
            "networkId": network["id"].hex(),
            "contentId": content.hex(),
            "weights": [l["weights"] for l in network["layers"] if l["weights"]],
            "tasks": [{k: t[k] for k in ("id", "scheme", "payloadBytes", "kept", "logitScale")} for t in tasks],
        }
        if options.logits:
            images = idx_images(options.logits[0], int(options.logits[1]))
            check(images.shape[1] == math.prod(network["input"]), "images of another size")
            summary["logits"] = logits(network, tasks[options.task], images).tolist()
    except (Bad, OSError, UnicodeDecodeError) as error:
        sys.exit(f"{options.file}: {error}")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
