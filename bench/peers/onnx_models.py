#!/usr/bin/env python3
"""Writes a dense network as ONNX three times: float32, int8 by dynamic and int8 by static quantisation (onnxruntime.quantization).

Usage: onnx_models.py NETWORK FOLDER PIXELS      NETWORK: JSON as in peer.py; PIXELS: raw uint8 rows that calibrate the static one
Writes float32.onnx, dynamic.onnx, static.onnx. Needs: pip install onnx onnxruntime
"""
import json
import logging
import os
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

from peer import shapes

logging.disable(logging.WARNING)
network, folder, pixels = json.loads(sys.argv[1]), *sys.argv[2:]
generator = numpy.random.default_rng(0)
height, width, channels = network["input"]
convolutional = network["layers"][0]["kind"] == "conv"
shape = [channels, height, width] if convolutional else [height * width * channels]
nodes, weights, at, flat = [], [], "x", not convolutional


def node(kind, *inputs, **attributes):
    """Appends a node and makes its output the current value."""
    global at
    name = f"v{len(nodes)}"
    nodes.append(helper.make_node(kind, [at, *inputs], [name], **attributes))
    at = name


for kind, inputs, units, relu in shapes(network):
    if kind == "pool":
        node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        continue
    if kind == "dense" and not flat:
        node("Flatten")
        flat = True
    size = (units, inputs, 3, 3) if kind == "conv" else (inputs, units)
    values = generator.normal(0, (2 / (inputs * (9 if kind == "conv" else 1))) ** 0.5, size).astype(numpy.float32)
    weights.append(numpy_helper.from_array(values, f"w{len(weights)}"))
    if kind == "conv":
        node("Conv", weights[-1].name, pads=[1, 1, 1, 1])
    else:
        node("MatMul", weights[-1].name)
    if relu:
        node("Relu")

graph = helper.make_graph(
    nodes, "network",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
    [helper.make_tensor_value_info(at, TensorProto.FLOAT, ["n", 10])],
    weights,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
path = lambda name: os.path.join(folder, name)
onnx.save(model, path("float32.onnx"))
quantize_dynamic(path("float32.onnx"), path("dynamic.onnx"), weight_type=QuantType.QInt8)


class Rows(CalibrationDataReader):
    """The first rows of the file, at most 32, as one batch."""

    def __init__(self):
        rows = numpy.fromfile(pixels, numpy.uint8).reshape(-1, *shape)[:32]
        self.batches = iter([{"x": rows.astype(numpy.float32) / numpy.float32(255)}])

    def get_next(self):
        return next(self.batches, None)


quantize_static(
    path("float32.onnx"), path("static.onnx"), Rows(),
    quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
)
