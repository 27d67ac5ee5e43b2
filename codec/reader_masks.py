"""Masks from payloads, in every scheme: section "Payload" of FORMAT.md, for reader.py."""
import zlib
import numpy as np
from reader_weights import permutation, signs_and_words


class Bad(Exception):
    pass


def check(ok, text):
    if not ok: raise Bad(text)


def clamp(x, low, high):
    return low if x < low else high if x > high else x


def decode_payload(network, payload, pixels):
    """Scheme, kept counts and masks, one byte a weight. `pixels` is the seed of permuted pixels, or None."""
    check(payload and payload[0] <= 3, "unknown mask scheme")
    scheme, at, kept = payload[0], 1, []
    sizes = [l["weights"] for l in network["weighted"]]
    for n in sizes:
        end = next((i for i in range(at, min(at + 5, len(payload))) if payload[i] < 128), None)
        check(end is not None and (payload[end] or end == at), "payload: a kept count")
        kept.append(sum((payload[i] & 127) << 7 * (i - at) for i in range(at, end + 1)))
        at = end + 1
        check(kept[-1] <= n, "payload: more kept than there are")
    body, mixed = payload[at:], [i for i, (n, k) in enumerate(zip(sizes, kept)) if 0 < k < n]
    least = sum(min(kept[i], sizes[i] - kept[i]) for i in mixed)
    check(scheme < 2 or least < 2**19 * (len(body) + 5), "payload: more bits than it can tell")
    check(scheme < 3 or all(max(l["fanIn"], l["units"]) <= 2**20 for l in network["weighted"]), "payload: a layer too large for scheme 3")
    masks = [np.full(n, k > 0, np.uint8) for n, k in zip(sizes, kept)]
    if scheme >= 2:
        coder, model = RangeDecoder(body), Model() if scheme == 3 else None
        for i, layer in enumerate(network["weighted"]):
            if i in mixed: masks[i] = decode_layer(coder, network, layer, kept[i], model, pixels)
            elif model: model.fan = []
        check(coder.finished(), "payload: the range coder does not end with it")
        return scheme, kept, masks
    if scheme == 1:
        inflater, size = zlib.decompressobj(-15), sum((sizes[i] + 7) // 8 for i in mixed)
        try: body = inflater.decompress(body, size + 1)
        except zlib.error as error: raise Bad(f"payload: {error}")
        check(inflater.eof and not inflater.unused_data, "payload: a deflate stream that does not end with it")
    for i in mixed:
        bits = np.unpackbits(np.frombuffer(body[:(sizes[i] + 7) // 8], np.uint8), bitorder="little")
        body, masks[i] = body[(sizes[i] + 7) // 8:], bits[:sizes[i]]
        check(len(masks[i]) == sizes[i] and not bits[sizes[i]:].any() and bits.sum(dtype=np.int64) == kept[i], "payload: bits against the kept count")
    check(not body, "payload: more bits than weights")
    return scheme, kept, masks


class RangeDecoder:
    def __init__(self, body):
        self.fed, self.size, self.at, self.low, self.range = body + bytes(4), len(body), 4, 0, 2**32 - 1
        self.code = int.from_bytes(self.fed[:4], "big")

    def bit(self, p):
        bound = (self.range >> 16) * p
        bit = int(self.code < bound)
        if bit: self.range = bound
        else: self.code, self.low, self.range = self.code - bound, self.low + bound & 0xFFFFFFFF, self.range - bound
        while self.range < 2**24:
            check(self.at < len(self.fed), "payload: the range coder reads beyond it")
            self.code, self.at = self.code << 8 & 0xFFFFFFFF | self.fed[self.at], self.at + 1
            self.low, self.range = self.low << 8 & 0xFFFFFFFF, self.range << 8
        return bit

    def finished(self):
        dropped = next(d for d in (4, 3, 2, 1, 0) if -self.low % 256**d < self.range)
        return self.code == -self.low % 256**dropped and self.at - self.size == dropped


def decode_layer(coder, network, layer, ones, model, pixels):
    """Schemes 2 (no model) and 3: bits in the order in which they are coded, then in that of the weights."""
    n, bits = layer["weights"], []
    coded = model.start(network, layer, ones, pixels) if model else np.arange(n)
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


def learn_share(share, bit):
    (s, n), pace = share, 4096 // (share[1] + 1)
    share[:] = s + ((2**30 - s >> 10) * pace >> 2) if bit else s - ((s >> 10) * pace >> 2), min(n + 1, 1023)


class Model:
    """The context scheme, names as in FORMAT.md; the weights of the terms and fan pass from layer to layer."""
    weight, fan = (49152, 49152, 49152, 81920, 16384, 40960, 40960), []

    def start(self, network, layer, ones, pixels):
        self.h, self.w, self.c = h, w, c = (layer["kernel"], layer["kernel"], layer["shape"][2]) if layer["kind"] == "conv" else layer["shape"]
        n, self.inputs, units = layer["weights"], layer["fanIn"], layer["units"]
        moved = pixels is not None and layer is network["layers"][0] and layer["kind"] == "dense"
        places = np.argsort(permutation(self.inputs, pixels)) if moved else np.arange(self.inputs)
        coded = (np.arange(units)[:, None] * self.inputs + places).reshape(-1)
        positive, u = signs_and_words(network, layer, n)
        self.positive, self.size = positive[coded].tolist(), None
        if u is not None: self.size = ((np.where(positive, u, ~u) >> np.uint64(26)) & np.uint64(31))[coded].tolist()
        first = clamp(ones * 65536 // n, 1, 65535)
        self.origin = T[first]
        shares = lambda count, seen: [[first << 14, seen] for _ in range(count)]
        self.I, self.units, self.A, self.L, self.M = shares(self.inputs, 4), shares(units, 6), shares(512, 4), shares(512, 4), [16384] * self.inputs
        if len(self.fan) != c: self.fan = [0] * c
        return coded

    def odds(self, share):
        return T[share >> 14] - self.origin

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
        self.term = [self.near[j], self.odds(self.classes[1][0]), self.fan[c], a >> 7, self.left[1][c] + self.above[1][r] >> 7]
        if self.size:
            g = self.M[j].bit_length() - 1
            level = 0 if g < 10 else 2 * (g - 10) + (self.M[j] >> g - 1 & 1)
            more = self.A[16 * self.size[i] + clamp((a >> 14) + 8, 0, 15)], self.L[16 * self.size[i] + level]
            self.classes += more
            self.term += [self.odds(share) for share, _ in more]
        return S[2847 + clamp(self.origin + (sum(w * x >> 4 for w, x in zip(self.weight, self.term)) >> 12), -2847, 2847)]

    def learn(self, bit, e):
        j, r, c = self.at
        learned = [clamp(w + (e * x + 8192 >> 14), -262143, 262143) for w, x in zip(self.weight, self.term)]
        self.weight = (*learned, *self.weight[len(learned):])
        for share in self.classes: learn_share(share, bit)
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
