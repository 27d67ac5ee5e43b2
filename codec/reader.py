#!/usr/bin/env python3
"""Reads a Seedmask model file with numpy alone: a second reading of FORMAT.md, sharing nothing with the TypeScript one.
reader_weights.py, which regenerates weights, stands beside it.
    reader.py FILE [--network FILE] [--bits OUT] [--logits IDX_IMAGES N [--task I]] [--max-weights N]

Checks everything FORMAT.md asks for, prints one JSON object (sizes, counts, ids of network and content), writes the packed mask bits
of all tasks to OUT, and for signed constants prints the integer logits of the first N images. A bad file is one line and exit 1.
"""
import argparse, functools, hashlib, io, json, math, pathlib, re, struct, sys, zlib
import numpy as np
from reader_weights import permutation, signs_and_words, weights

MAGIC, MAX_FILE, MAX_HEADER, MAX_WEIGHTS, PAGE = b"\x89SMK\r\n", 2**30, 2**24, 2**28, 256
DIGITS = [str(i) for i in range(10)]
SCHEMES = ("raw", "deflate", "adaptive", "context", "related")

class Bad(Exception): pass
class F32(float): pass
REFUSED = (Bad, UnicodeDecodeError, zlib.error)

def check(ok, text):
    if not ok: raise Bad(text)

# ---- checksum, MessagePack subset ----
CRC_TABLE = list(range(256))
for _ in range(8): CRC_TABLE = [n >> 1 ^ (0x82F63B78 if n & 1 else 0) for n in CRC_TABLE]
crc32c = lambda data: functools.reduce(lambda c, byte: c >> 8 ^ CRC_TABLE[(c ^ byte) & 255], data, 0xFFFFFFFF) ^ 0xFFFFFFFF

def unpack(data):
    """The value of header bytes, which must be the very bytes that pack() gives it."""
    stream = io.BytesIO(data)
    left = lambda: len(data) - stream.tell()
    def take(n):
        check(n <= left(), "header: a length beyond its end")
        return stream.read(n)
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
        check(depth < 4 and count <= left(), "header: arrays too deep or too long")
        return [value(depth + 1) for _ in range(count)]
    result = value(0)
    check(left() == 0 and pack(result) == data, "header: not in its one form, or bytes after it")
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
    given = finite(items(sigma, 1, 1, "sigma")[0], "sigma") if isinstance(sigma, list) else whole(sigma, 0, 1, "sigma") * 0 + 1
    check(0 < given <= 2**124, "header: sigma")
    network = {"input": (h, w, c), "distribution": whole(kind, 1, 5, "distribution"), "seed": whole(seed, 0, 2**64 - 1, "seed")}
    layers, codes = [], iter(items(codes, 1, 3072, "layers"))
    check(h * w * c <= MAX_WEIGHTS, "an input too large")
    for code in codes:
        if whole(code, 0, 8, "layer code") == 0:
            check(h > 1 and w > 1, "header: a pool of one pixel")
            layers.append({"kind": "pool", "weights": 0})
            h, w = h // 2, w // 2
        else:
            units, conv = whole(next(codes, None), 1, 2**32 - 1, "layer size"), code > 2
            k = whole(next(codes, None), 1, 16, "kernel") if code > 4 else 3
            lost = k - 1 if code > 6 else 0
            check((code < 5 or lost or k != 3) and h > lost and w > lost, "header: a 3x3 kernel written out, or one larger than its image")
            fan_in, fan_out = (k * k * c, k * k * units) if conv else (h * w * c, units)
            spread = np.float32(given if isinstance(sigma, list) else math.sqrt(2 / (fan_in + (0 if sigma == 1 else fan_out))))
            layers.append({"kind": "conv" if conv else "dense", "shape": (h, w, c), "units": units, "relu": code % 2 == 1, "fanIn": fan_in,
                           "kernel": k, "lost": lost, "weights": fan_in * units, "stream": sum(l["weights"] > 0 for l in layers), "sigma": spread})
            h, w, c = (h - lost, w - lost, units) if conv else (1, 1, units)
        check(h * w * c <= MAX_WEIGHTS and layers[-1]["weights"] < 2**31, "a layer too large")
    weighted = [l for l in layers if l["weights"]]
    network |= {"layers": layers, "weighted": weighted, "outputs": h * w * c, "id": hashlib.sha256(b"seedmask network 1\n" + pack(fields)).digest()}
    check(len(layers) <= 1024 and 0 < sum(l["weights"] for l in weighted) <= MAX_WEIGHTS, "no weights, or too many layers or weights")
    check(crc32c(b"".join(weights(network, l, min(4096, l["weights"])).astype("<f4").tobytes() for l in weighted)) == whole(stored, 0, 2**32 - 1, "weight check"), "the weight generators differ")
    return network

def check_entries(tables, network):
    inputs, texts = math.prod(network["input"]), []
    for entries in tables: check(len({pack(e) for e in entries}) == len(entries), "header: a table has an entry twice")
    for t in tables[0]:
        if type(t) is int and t == 0: continue
        scale, mean = (finite(v, "a transform") for v in items(t, 2, 5, "a transform")[:2])
        check(len(t) > 2 or scale != np.float32(1 / 255) or mean != 0 or math.copysign(1, mean) < 0, "header: the registered transform written out")
        features = lambda f: isinstance(f, bytes) and len(f) == 8 * inputs and np.isfinite(np.frombuffer(f, "<f4")).all()
        constant = lambda c: isinstance(c, bytes) and len(c) == (inputs + 7) // 8 and int.from_bytes(c, "little") >> inputs == 0
        check(len(t) <= 3 or features(t[3]), "header: features")
        check(len(t) == 2 or (len(t) > 3 and t[2] == b"") or constant(t[2]), "header: constant inputs")
        if len(t) == 5:
            texts += items(t[4], inputs, inputs, "names of features")
            check(len({pack(n) for n in t[4]}) == inputs, "header: a name of two features")
    for l in tables[1]:
        check(l != DIGITS, "header: the registered labels written out")
        texts += items(DIGITS if type(l) is int and l == 0 else l, 1, network["outputs"], "a label set")
    for d in tables[2]:
        name, permuted = items(d, 2, 2, "a data set") if isinstance(d, list) else ("known", whole(d, 0, 4, "a data set") * 0)
        check(name != "mnist" and whole(permuted, 0, 3, "permutations") >= 0, "header: the registered data set written out")
        texts.append(name)
    check(all(isinstance(v, str) and v != "" and v[0] != "\ufeff" for v in texts), "header: a text")

# ---- masks from payloads, names as in FORMAT.md ----
clamp = lambda x, low, high: low if x < low else high if x > high else x
unbits = lambda packed: np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")

def leb128(payload, at):
    end = next((i for i in range(at, min(at + 5, len(payload))) if payload[i] < 128), None)
    check(end is not None and (payload[end] or end == at), "payload: a number cut short or padded")
    return sum((payload[i] & 127) << 7 * (i - at) for i in range(at, end + 1)), end + 1

def decode_payload(network, payload, pixels, base):
    """Kept counts and masks, one byte a weight. `pixels` is the seed of permuted pixels, or None; `base` the masks leant on, or None."""
    check(payload[0] < len(SCHEMES), "unknown mask scheme")
    scheme, at, kept, sizes = payload[0], 1, [], [l["weights"] for l in network["weighted"]]
    if scheme == 4: at = leb128(payload, at)[1]
    for n in sizes:
        k, at = leb128(payload, at)
        kept.append(k)
    check(all(k <= n for k, n in zip(kept, sizes)), "payload: more kept than there are")
    body, mixed = payload[at:], [i for i, (n, k) in enumerate(zip(sizes, kept)) if 0 < k < n]
    check(scheme < 2 or sum(min(kept[i], sizes[i] - kept[i]) for i in mixed) < 2**19 * (len(body) + 5), "payload: more bits than it can tell")
    check(scheme < 3 or all(max(l["fanIn"], l["units"]) <= 2**20 for l in network["weighted"]), "payload: a layer too large for its scheme")
    masks = [np.full(n, k > 0, np.uint8) for n, k in zip(sizes, kept)]
    if scheme >= 2:
        coder, model = RangeDecoder(body), Model() if scheme > 2 else None
        for i, layer in enumerate(network["weighted"]):
            if i in mixed: masks[i] = decode_layer(coder, network, layer, kept[i], model, pixels, base and base[i])
            elif model: model.fan = []
        check(coder.finished(), "payload: the range coder does not end with it")
        return kept, masks
    if scheme == 1:
        inflater = zlib.decompressobj(-15)
        body = inflater.decompress(body, sum((sizes[i] + 7) // 8 for i in mixed) + 1)
        check(inflater.eof and not inflater.unused_data, "payload: a deflate stream that does not end with it")
    for i in mixed:
        bits, body = unbits(body[:(sizes[i] + 7) // 8]), body[(sizes[i] + 7) // 8:]
        masks[i] = bits[:sizes[i]]
        check(len(masks[i]) == sizes[i] and not bits[sizes[i]:].any() and bits.sum(dtype=np.int64) == kept[i], "payload: bits against the kept count")
    check(not body, "payload: more bits than weights")
    return kept, masks

class RangeDecoder:
    def __init__(self, body):
        self.fed, self.size, self.at, self.low, self.range = body + bytes(4), len(body), 4, 0, 2**32 - 1
        self.code = int.from_bytes(self.fed[:4], "big")
    def bit(self, p):
        bound = (self.range >> 16) * p
        bit = int(self.code < bound)
        self.code, self.low, self.range = (self.code, self.low, bound) if bit else (self.code - bound, self.low + bound, self.range - bound)
        while self.range < 2**24:
            check(self.at < len(self.fed), "payload: the range coder reads beyond it")
            self.code, self.at = self.code << 8 & 0xFFFFFFFF | self.fed[self.at], self.at + 1
            self.low, self.range = self.low << 8 & 0xFFFFFFFF, self.range << 8
        return bit
    def finished(self):
        dropped = next(d for d in (4, 3, 2, 1, 0) if -self.low % 256**d < self.range)
        return self.code == -self.low % 256**dropped and self.at - self.size == dropped

def decode_layer(coder, network, layer, ones, model, pixels, base):
    n, bits = layer["weights"], []
    coded = model.start(network, layer, ones, pixels, base) if model else np.arange(n)
    for i in range(n):
        if ones == 0 or ones == n - i: break
        p = model.expect(i) if model else clamp(ones * 65536 // (n - i), 1, 65535)
        bits.append(coder.bit(p))
        ones -= bits[-1]
        if model: model.learn(bits[-1], 65536 * bits[-1] - p)
    mask = np.full(n, ones > 0, np.uint8)
    mask[coded[:len(bits)]] = bits
    if model: model.fan = [model.odds(share) for share, _ in model.units]
    return mask

S, odds = [32768], 2**20
while len(S) < 2 * 2847 + 1:
    odds += odds // 256
    S = [65536 - 65536 * odds // (odds + 2**20)] + S + [65536 * odds // (odds + 2**20)]
T = np.maximum(np.searchsorted(S, np.arange(65536), side="right") - 2848, -2847).tolist()

class Model:
    """The weights of the terms and fan pass from layer to layer."""
    weight, fan = [49152, 49152, 49152, 81920, 16384, 40960, 40960, 65536], []
    def start(self, network, layer, ones, pixels, base):
        self.h, self.w, self.c = h, w, c = (layer["kernel"], layer["kernel"], layer["shape"][2]) if layer["kind"] == "conv" else layer["shape"]
        n, self.inputs, units, self.weight = layer["weights"], layer["fanIn"], layer["units"], list(self.weight)
        moved = pixels is not None and layer is network["layers"][0] and layer["kind"] == "dense"
        places = np.argsort(permutation(self.inputs, pixels)) if moved else np.arange(self.inputs)
        coded = (np.arange(units)[:, None] * self.inputs + places).reshape(-1)
        positive, u = signs_and_words(network, layer, n)
        self.positive, self.size, self.beside = positive[coded].tolist(), None, None
        if u is not None: self.size = ((np.where(positive, u, ~u) >> np.uint64(26)) & np.uint64(31))[coded].tolist()
        if base is not None:
            near = np.pad(base[coded].reshape(units, h, w, c), ((0, 0), (1, 1), (1, 1), (0, 0)))
            beside = near[:, :-2, 1:-1] + near[:, 2:, 1:-1] + near[:, 1:-1, :-2] + near[:, 1:-1, 2:]
            self.beside = (near[:, 1:-1, 1:-1] + 2 * beside).reshape(-1).tolist()
        first = clamp(ones * 65536 // n, 1, 65535)
        self.origin, shares = T[first], lambda count, seen: [[first << 14, seen] for _ in range(count)]
        self.I, self.units, self.A, self.L, self.B = shares(self.inputs, 4), shares(units, 6), shares(512, 4), shares(512, 4), shares(10, 4)
        self.M, self.fan, self.odds = [16384] * self.inputs, self.fan if len(self.fan) == c else [0] * c, lambda share: T[share >> 14] - self.origin
        return coded
    def expect(self, i):
        unit, j = divmod(i, self.inputs)
        if j == 0:
            self.near = self.blurred()
            self.above, self.errors, self.left = ([[0] * size, [0] * size] for size in (self.w * self.c, self.w * self.c, self.c))
        r, c = j % (self.w * self.c), j % self.c
        if c == 0: self.across = 0
        self.sign = 1 if self.positive[i] else -1
        a = self.sign * (self.left[0][c] + self.above[0][r] + (self.across >> 2))
        self.at, self.classes = (j, r, c), [self.I[j], self.units[unit]]
        self.term = {0: self.near[j], 1: self.odds(self.classes[1][0]), 2: self.fan[c], 3: a >> 7, 4: self.left[1][c] + self.above[1][r] >> 7}
        if self.size:
            g = self.M[j].bit_length() - 1
            level = 0 if g < 10 else 2 * (g - 10) + (self.M[j] >> g - 1 & 1)
            self.classes += [self.A[16 * self.size[i] + clamp((a >> 14) + 8, 0, 15)], self.L[16 * self.size[i] + level]]
            self.term |= {5: self.odds(self.classes[2][0]), 6: self.odds(self.classes[3][0])}
        if self.beside:
            self.classes.append(self.B[self.beside[i]])
            self.term[7] = self.odds(self.classes[-1][0])
        return S[2847 + clamp(self.origin + (sum(self.weight[t] * x >> 4 for t, x in self.term.items()) >> 12), -2847, 2847)]
    def learn(self, bit, e):
        j, r, c = self.at
        for t, x in self.term.items(): self.weight[t] = clamp(self.weight[t] + (e * x + 8192 >> 14), -262143, 262143)
        for share in self.classes:
            (s, n), pace = share, 4096 // (share[1] + 1)
            share[:] = s + ((2**30 - s >> 10) * pace >> 2) if bit else s - ((s >> 10) * pace >> 2), min(n + 1, 1023)
        self.M[j] += abs(e) - self.M[j] >> 4
        self.across = 7 * (self.across + self.sign * e) >> 3
        for above, errors, left, error in zip(self.above, self.errors, self.left, (self.sign * e, e)):
            errors[r], left[c] = error, 9 * (left[c] + error) >> 4
            if r + 1 == len(errors):
                padded, left[:] = [0] * self.c + errors + [0] * self.c, [0] * self.c
                above[:] = [9 * (16 * (a + e) + 11 * (l + r)) >> 8 for a, e, l, r in zip(above, errors, padded, padded[2 * self.c:])]
    def blurred(self):
        h, w, grid = self.h, self.w, np.array([share for share, _ in self.I]).reshape(self.h, self.w, self.c) >> 14
        grid = np.pad(grid, ((1, 1), (1, 1), (0, 0)), "edge")
        total = sum((2 - abs(y)) * (2 - abs(x)) * grid[1 + y:1 + y + h, 1 + x:1 + x + w] for y in (-1, 0, 1) for x in (-1, 0, 1))
        return [T[share] - self.origin for share in (total >> 4).reshape(-1).tolist()]

# ---- file ----
COLUMNS = (("id", None), ("scale", "<f4"), ("transform", "<u2"), ("labels", "<u2"), ("data", "<u2"), ("pixelSeed", "<u8"), ("labelSeed", "<u8"))
TABLES, DEFAULTS = ("transform", "labels", "data"), {"id": b"", "scale": 1, "transform": 0, "labels": 0, "data": 0, "pixelSeed": 0, "labelSeed": 0}

def read(data, other=None, most=MAX_WEIGHTS):
    """Network, tasks, content id; `other` is the network of a mask-only file, `most` the weights of all masks, a byte each in memory."""
    check(len(data) <= MAX_FILE, f"larger than {MAX_FILE} bytes")
    check(data[:6] == MAGIC[:len(data)] and len(data) >= 16, "not a Seedmask model file, or cut short in its prefix")
    length, stored = struct.unpack("<II", data[8:16])
    check(data[6] == 1 and data[7] & ~2 == 0, "unknown version or critical flags")
    check(length <= MAX_HEADER and 16 + length <= len(data), "cut short in its header")
    check(crc32c(data[:12] + data[16:16 + length]) == stored, "the header is damaged")
    fields = items(unpack(data[16:16 + length]), 6, 12, "fields")
    home = fields.pop(0) if data[7] & 2 else None
    if home is not None:
        check(isinstance(home, bytes) and len(home) == 32, "header: the id of its network")
        check(other is not None and other["id"] == home, f"masks of the network {home.hex()}, which is not given")
        network = other
    else: network, fields = read_network(fields[:6]), fields[6:]
    hashed = hashlib.sha256(b"seedmask model 1\n" + network["id"])
    if home is None and not fields:
        check(len(data) == 16 + length, "bytes after a network")
        return network, [], hashed.digest()
    check(5 <= len(fields) <= 6, "header: its number of fields")
    tables = [[v] if type(v) is int else items(v, 1, 65535, "a table") for v in fields[:3]]
    check(all(t != [v[0]] or type(v[0]) is not int for t, v in zip(fields, tables)), "header: a table not in its one form")
    tasks, columns = whole(fields[3], 1, 2**20, "task count"), whole(fields[4], 0, 127, "columns")
    check(columns % 2 == len(fields) - 5, "header: an id width, or none")
    width = whole(fields[5], 1, 128, "id width") if columns & 1 else 0
    total = sum(l["weights"] for l in network["weighted"])
    check_entries(tables, network)
    present = [(name, f"S{width}" if name == "id" else kind) for bit, (name, kind) in enumerate(COLUMNS) if columns >> bit & 1]
    record = np.dtype([("crc", "<u4"), ("size", "<u4"), *present])
    pages = (tasks + PAGE - 1) // PAGE if tasks > PAGE else 0
    at = (index := 16 + length + 10 * pages) + tasks * record.itemsize
    check(at + tasks * (1 + len(network["weighted"])) <= len(data), "cut short in its index")
    records = np.frombuffer(data, record, tasks, index)
    check(at + int(records["size"].sum(dtype=np.int64)) == len(data), "its lengths do not add up to the file")
    for page in range(pages):
        entry, part = data[16 + length + 10 * page:][:10], records[page * PAGE:(page + 1) * PAGE]
        sizes = int(part["size"].sum(dtype=np.int64)).to_bytes(8, "little")
        check(entry == sizes[:6] + struct.pack("<I", crc32c(part.tobytes())) and sizes[6:] == b"\0\0", "page table")
    rows, payloads = [], []
    for r in records:
        payload, at = data[at:at + int(r["size"])], at + int(r["size"])
        check(r["crc"] == crc32c(r.tobytes()[4:] + payload), "a task is damaged")
        row = DEFAULTS | {name: r[name].item() for name, _ in present}
        check(not columns & 1 or re.fullmatch(rb"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", row["id"]), "a malformed id")
        check(not rows or row["id"] > rows[-1]["id"], "ids are not sorted")
        check(0 < row["scale"] < math.inf, "a logit scale")
        check(all(row[name] < len(entries) for name, entries in zip(TABLES, tables)), "an entry that is not there")
        row["transform"], row["labels"], row["data"], row["places"] = *(e[row[n]] for n, e in zip(TABLES, tables)), [row[n] for n in TABLES]
        row["permuted"] = row["data"][1] if isinstance(row["data"], list) else max(row["data"] - 1, 0)
        check((row["permuted"] & 1 or not row["pixelSeed"]) and (row["permuted"] & 2 or not row["labelSeed"]), "a seed without a permutation")
        rows.append(row)
        payloads.append(payload)
    for i, entries in enumerate(tables):
        check(list(dict.fromkeys(row["places"][i] for row in rows)) == list(range(len(entries))), "table entries are not in order of first use")
    check(all(any(r[name].item() != DEFAULTS[name] for r in records) for name, _ in present), "an idle column")
    check(max(len(row["id"]) for row in rows) == width, "an id column of the wrong width")
    check(all(payloads), "a task without a payload")
    bases = [leb128(p, 1)[0] if p[0] == 4 else None for p in payloads]
    check(all(b is None or b < tasks and bases[b] is None for b in bases), "a base that is not there, or that leans on another")
    check((n := total * (tasks + sum(b is not None for b in bases))) <= most, f"{n} weights of all tasks and their bases, the limit is {most}: set --max-weights higher")
    decoded = {}
    for i in sorted(range(tasks), key=lambda i: bases[i] is not None):
        pixels = rows[i]["pixelSeed"] if rows[i]["permuted"] & 1 else None
        decoded[i] = decode_payload(network, payloads[i], pixels, None if bases[i] is None else decoded[bases[i]][1])
    out = []
    for row, payload, (kept, masks) in zip(rows, payloads, (decoded[i] for i in range(tasks))):
        packed = b"".join(np.packbits(m, bitorder="little").tobytes() for m in masks)
        seeds = [struct.pack("<Q", row[name]) for name, bit in (("pixelSeed", 1), ("labelSeed", 2)) if row["permuted"] & bit]
        hashed.update(pack([row["id"].decode(), F32(row["scale"]), row["transform"], row["labels"], row["data"], *seeds]) + packed)
        out.append({"id": row["id"].decode(), "scheme": SCHEMES[payload[0]], "payloadBytes": len(payload), "kept": kept,
                    "masks": masks, "packed": packed, "logitScale": row["scale"], "transform": row["transform"]})
    return network, out, hashed.digest()

# ---- signed constants as an integer program ----
def logits(network, task, images):
    """images: rows x inputs of uint8, what features have become. Integer logits, exact: sigma, the transform's scale and the logit scale factor out."""
    transform = task["transform"]
    check(network["distribution"] in (1, 2) and (transform == 0 or transform[0] > 0 == transform[1]), "integer logits need signed constants, mean 0, scale > 0")
    x, masks, most = images.astype(np.int64), iter(task["masks"]), 255
    if transform != 0 and len(transform) > 2 and transform[2] != b"": x[:, unbits(transform[2])[:x.shape[1]] == 1] = 0
    x = x.reshape(-1, *network["input"])
    for layer in network["layers"]:
        if layer["kind"] == "pool":
            h, w = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, :2 * h, :2 * w].reshape(len(x), h, 2, w, 2, -1).max(axis=(2, 4))
            continue
        signs = np.where(signs_and_words(network, layer, layer["weights"])[0], 1, -1) * next(masks).astype(np.int64)
        check((most := most * int(np.abs(signs).reshape(layer["units"], -1).sum(1).max())) < 2**63, "integer logits that may leave 64 bits")
        if layer["kind"] == "dense": x = (x.reshape(len(x), -1) @ signs.reshape(layer["units"], -1).T)[:, None, None, :]
        else:
            (h, w, c), k, lost = layer["shape"], layer["kernel"], layer["lost"]
            border = (0, 0) if lost else ((k - 1) // 2, k // 2)
            around, taps = np.pad(x, ((0, 0), border, border, (0, 0))), signs.reshape(layer["units"], k, k, c)
            x = sum(around[:, i:i + h - lost, j:j + w - lost] @ taps[:, i, j].T for i in range(k) for j in range(k))
        if layer["relu"]: x = np.maximum(x, 0)
    return x.reshape(len(x), -1)

def load(path, idx=False):
    """A file's bytes; those of images may be gzipped, as data sets come."""
    check(pathlib.Path(path).stat().st_size <= MAX_FILE, f"larger than {MAX_FILE} bytes")
    raw = pathlib.Path(path).read_bytes()
    return zlib.decompressobj(31).decompress(raw, MAX_FILE) if idx and raw[:2] == b"\x1f\x8b" else raw

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--network", metavar="FILE", help="the file that holds the network of a mask-only file")
    parser.add_argument("--bits", metavar="OUT", help="write the packed masks here")
    parser.add_argument("--logits", nargs=2, metavar=("IDX_IMAGES", "N"))
    parser.add_argument("--task", type=int, default=0, help="the task that --logits asks, by its place")
    parser.add_argument("--max-weights", type=int, default=MAX_WEIGHTS, metavar="N", help="of all masks together; default 2^28")
    options = parser.parse_args()
    try:
        data = load(options.file)
        network, tasks, content = read(data, read(load(options.network), None, options.max_weights)[0] if options.network else None, options.max_weights)
        summary = {"fileBytes": len(data), "headerBytes": len(data) - sum(t["payloadBytes"] for t in tasks), "networkId": network["id"].hex(),
                   "contentId": content.hex(), "weights": [l["weights"] for l in network["weighted"]],
                   "tasks": [{k: t[k] for k in ("id", "scheme", "payloadBytes", "kept", "logitScale")} for t in tasks]}
        if options.bits: pathlib.Path(options.bits).write_bytes(b"".join(t["packed"] for t in tasks))
        if options.logits:
            raw = load(options.logits[0], idx=True)
            check(0 <= options.task < len(tasks) and options.logits[1].isdecimal(), "no such task, or no such number of images")
            magic, n, h, w = struct.unpack(">4I", raw[:16].ljust(16, b"\0"))
            check(magic == 2051 and len(raw) == 16 + n * h * w == 16 + n * math.prod(network["input"]), "not an IDX file of images of this size")
            summary["logits"] = logits(network, tasks[options.task], np.frombuffer(raw, np.uint8, offset=16).reshape(n, h * w)[:int(options.logits[1])]).tolist()
    except (*REFUSED, OSError) as error:
        sys.exit(f"{options.file}: {error}")
    print(json.dumps(summary))

if __name__ == "__main__":
    main()
