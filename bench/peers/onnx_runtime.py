#!/usr/bin/env python3
"""Inference of a dense network in ONNX Runtime: float32, int8 by dynamic or by static quantisation.

A job {network, model: "float32" | "dynamic" | "static", batch, threads, pixels, seconds} is answered by {rate: samples per second}.
The wheel's Python calls cost less than onnxruntime-node's: 83,000 against 63,000 single digits a second in int8.
"""
import functools
import json
import os

import numpy
import onnxruntime

from onnx_models import sample_shape, write
from peer import rate, serve


def rows(network, pixels, count):
    shape = sample_shape(network)
    raw = numpy.fromfile(pixels, numpy.uint8, count * int(numpy.prod(shape)))
    return raw.reshape(count, *shape).astype(numpy.float32) / numpy.float32(255)


@functools.lru_cache
def models(network, pixels):
    """The folder of a network's three models, beside its pixels."""
    place, network = f"{pixels}.models", json.loads(network)
    os.mkdir(place)
    write(network, place, rows(network, pixels, 16))
    return place


def answer(job):
    path = os.path.join(models(json.dumps(job["network"]), job["pixels"]), f"{job['model']}.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {"x": rows(job["network"], job["pixels"], job["batch"])}
    return {"rate": rate(lambda: session.run(None, feed), job["seconds"]) * job["batch"]}


serve(f"ONNX Runtime {onnxruntime.__version__}", answer)
