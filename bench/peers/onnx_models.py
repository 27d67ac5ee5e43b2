"""Writes a dense network as ONNX three times: float32, int8 by dynamic and int8 by static quantisation (onnxruntime.quantization)."""
import logging
import os

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

from peer import shapes


def sample_shape(network):
    """Channels first for conv layers, flat for dense ones."""
    height, width, channels = network["input"]
    return [channels, height, width] if network["layers"][0]["kind"] == "conv" else [height * width * channels]


def float_model(network):
    """Random He-initialised weights: speed does not depend on their values."""
    generator = numpy.random.default_rng(0)
    shape = sample_shape(network)
    nodes, weights, flat = [], [], len(shape) == 1

    def node(kind, *inputs, **attributes):
        """Appends a node that takes what the last one gives."""
        given = f"v{len(nodes)}" if nodes else "x"
        nodes.append(helper.make_node(kind, [given, *inputs], [f"v{len(nodes) + 1}"], **attributes))

    for kind, inputs, units, relu in shapes(network):
        if kind == "pool":
            node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
            continue
        if kind == "dense" and not flat:
            node("Flatten")
            flat = True
        size, fan_in = ((units, inputs, 3, 3), inputs * 9) if kind == "conv" else ((inputs, units), inputs)
        values = generator.normal(0, (2 / fan_in) ** 0.5, size).astype(numpy.float32)
        weights.append(numpy_helper.from_array(values, f"w{len(weights)}"))
        if kind == "conv":
            node("Conv", weights[-1].name, pads=[1, 1, 1, 1])
        else:
            node("MatMul", weights[-1].name)
        if relu:
            node("Relu")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])
    y = helper.make_tensor_value_info(f"v{len(nodes)}", TensorProto.FLOAT, ["n", 10])
    graph = helper.make_graph(nodes, "network", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Rows(CalibrationDataReader):
    """One batch of calibration rows."""

    def __init__(self, rows):
        self.batches = iter([{"x": rows}])

    def get_next(self):
        return next(self.batches, None)


def write(network, folder, rows):
    """float32.onnx, dynamic.onnx, static.onnx; `rows` calibrate the static one."""
    logging.disable(logging.WARNING)
    whole, dynamic, static = (os.path.join(folder, f"{name}.onnx") for name in ("float32", "dynamic", "static"))
    onnx.save(float_model(network), whole)
    quantize_dynamic(whole, dynamic, weight_type=QuantType.QInt8)
    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(whole, static, Rows(rows), quant_format=QuantFormat.QDQ, **kinds)
