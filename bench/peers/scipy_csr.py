#!/usr/bin/env python3
"""The same masked network as SciPy CSR matrices, float32, one thread. Reads "go" lines; answers each with samples per second (JSON).

Usage: scipy_csr.py BATCH PIXELS DENSITY...     PIXELS: raw uint8 rows of 784. Debian: apt-get install python3-scipy
"""
import json
import sys
import time

import numpy
import scipy
import scipy.sparse

batch, pixels, *density = sys.argv[1:]
batch = int(batch)
generator = numpy.random.default_rng(0)
layers = []
for (inputs, units), kept in zip(((784, 300), (300, 100), (100, 10)), map(float, density)):
    signs = generator.choice(numpy.float32([-1, 1]), (units, inputs))
    layers.append(scipy.sparse.csr_matrix(numpy.where(generator.random((units, inputs)) < kept, signs, numpy.float32(0))))
x = numpy.ascontiguousarray(numpy.fromfile(pixels, numpy.uint8).reshape(-1, 784)[:batch].T.astype(numpy.float32))


def classify():
    h = x
    for i, w in enumerate(layers):
        h = w @ h
        if i < 2:
            numpy.maximum(h, 0, out=h)
    return h


for line in sys.stdin:
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < 0.3:
        classify()
        calls += 1
    print(json.dumps({"samplesPerSecond": calls * batch / (time.perf_counter() - start), "version": "scipy " + scipy.__version__}), flush=True)
