#!/usr/bin/env python3
"""Writes the dense float32 network 784-300-100-10 as ONNX for onnx_dense.mjs. Debian: apt-get install python3-torch

Usage: dense_onnx.py OUT
"""
import sys

import torch

network = torch.nn.Sequential(
    torch.nn.Linear(784, 300, bias=False), torch.nn.ReLU(),
    torch.nn.Linear(300, 100, bias=False), torch.nn.ReLU(),
    torch.nn.Linear(100, 10, bias=False),
)
torch.onnx.export(network, torch.zeros(1, 784), sys.argv[1], input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
