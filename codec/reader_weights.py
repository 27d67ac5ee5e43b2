"""Random words by address and the weights made of them, bit for bit: section "Weights" of FORMAT.md, for reader.py."""
import math
import numpy as np

U32 = np.uint64(0xFFFFFFFF)

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
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867, 5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1),
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1),
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1),
)

def quantile(p):
    def ratio(i, x):
        a, b = (np.full_like(x, c[0]) for c in AS241[i:i + 2])
        for ca, cb in zip(AS241[i][1:], AS241[i + 1][1:]): a, b = a * x + ca, b * x + cb
        return a / b
    q = p - 0.5
    r = np.sqrt(-ln(np.where(q < 0, p, 1 - p)))
    tail = np.where(r <= 5, ratio(2, r - 1.6), ratio(4, r - 5))
    return np.where(np.abs(q) <= 0.425, q * ratio(0, 0.180625 - q * q), np.where(q < 0, -tail, tail))

def signs_and_words(network, layer, count):
    """Whether each of the first weights is positive, and the words they are made of (packed signs: none)."""
    if network["distribution"] == 2:
        packed = philox(network["seed"], (count + 31) // 32, layer["stream"], 1).astype("<u4")
        return np.unpackbits(packed.view(np.uint8), bitorder="little")[:count] == 1, None
    words = philox(network["seed"], count, layer["stream"], 0)
    return words >> np.uint64(31) == 1, words

def weights(network, layer, count):
    """The first `count` weights of a weighted layer, f32."""
    sigma, kind = layer["sigma"], network["distribution"]
    positive, words = signs_and_words(network, layer, count)
    if kind <= 2: return np.where(positive, sigma, -sigma)
    if kind == 3:
        x = (2 * (words >> np.uint64(8)).astype(np.float64) + 1 - 2.0**24) * 2.0**-24
        return (x * np.float64(np.float32(np.float64(sigma) * math.sqrt(3)))).astype(np.float32)
    p = (words.astype(np.float64) + 0.5) * 2.0**-32
    if kind == 5: p = 0.022750131948179212 + p * (0.9772498680518208 - 0.022750131948179212)
    return (quantile(p) * np.float64(sigma)).astype(np.float32)

def permutation(n, seed):
    """order: input i of a task with permuted pixels is pixel order[i]."""
    order, words = np.arange(n), iter(philox(seed, 2 * n + 64, 0, 5).tolist())
    for i in range(n - 1, 0, -1):
        w = next(words)
        while w * (i + 1) % 2**32 < (2**32 - i - 1) % (i + 1): w = next(words)
        order[[i, w * (i + 1) >> 32]] = order[[w * (i + 1) >> 32, i]]
    return order
