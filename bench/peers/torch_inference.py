#!/usr/bin/env python3
"""Inference in PyTorch, float32: dense, or masked dense layers as sparse CSR tensors.

A job {network, layout: "dense" | "csr", density, batch, threads, pixels, seconds} is answered by {rate: samples per second}.
"""
import warnings

import numpy
import torch
import torch.nn.functional as F

from peer import rate, serve, shapes

warnings.filterwarnings("ignore", message="Sparse CSR")


def dense(network, rows):
    """Samples first; conv layers see N x C x H x W."""
    height, width, channels = network["input"]
    convolutional = network["layers"][0]["kind"] == "conv"
    x = torch.from_numpy(rows.reshape(-1, channels, height, width) if convolutional else rows)
    layers = []
    for kind, inputs, units, relu in shapes(network):
        size = (units, inputs, 3, 3) if kind == "conv" else (units, inputs)
        layers.append((kind, torch.randn(size) * (2 / inputs) ** 0.5 if units else None, relu))

    def classify():
        h = x
        for kind, weights, relu in layers:
            if kind == "pool":
                h = F.max_pool2d(h, 2)
            else:
                h = F.conv2d(h, weights, padding=1) if kind == "conv" else F.linear(h.flatten(1), weights)
            if relu:
                h.relu_()
        return h

    return classify


def csr(network, rows, density):
    """Samples last, so that a product is matrix times dense columns."""
    x = torch.from_numpy(rows).T.contiguous()
    layers = []
    for (kind, inputs, units, relu), kept in zip(shapes(network), density):
        if kind != "dense":
            raise ValueError("a CSR matrix is no convolution")
        mask = torch.rand(units, inputs) < kept
        layers.append(((torch.randn(units, inputs).sign() * mask).to_sparse_csr(), relu))

    def classify():
        h = x
        for weights, relu in layers:
            h = weights @ h
            if relu:
                h.relu_()
        return h

    return classify


def answer(job):
    torch.manual_seed(0)
    torch.set_num_threads(job["threads"])
    height, width, channels = job["network"]["input"]
    count, inputs = job["batch"], height * width * channels
    rows = numpy.fromfile(job["pixels"], numpy.uint8, count * inputs).reshape(count, inputs).astype(numpy.float32) / numpy.float32(255)
    with torch.inference_mode():
        classify = dense(job["network"], rows) if job["layout"] == "dense" else csr(job["network"], rows, job["density"])
        return {"rate": rate(classify, job["seconds"]) * count}


serve(f"PyTorch {torch.__version__}", answer)
