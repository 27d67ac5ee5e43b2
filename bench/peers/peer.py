"""What the Python peers share: jobs are JSON lines on stdin, each answered by one JSON line; networks come as Seedmask writes them.

A network is {"input": [height, width, channels], "layers": [{"kind": "dense", "units", "activation"} | {"kind": "conv", "filters",
"activation"} (3x3, padded) | {"kind": "pool"} (2x2 maximum)]}.
"""
import json
import sys
import time


def rate(call, seconds):
    """Calls per second over about `seconds`, after one call that warms up."""
    call()
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        call()
        calls += 1
    return calls / (time.perf_counter() - start)


def shapes(network):
    """The layers as (kind, inputs, units, relu); a pool is ("pool", 0, 0, False); inputs of a conv layer are channels."""
    height, width, channels = network["input"]
    flat = None
    for layer in network["layers"]:
        kind = layer["kind"]
        if kind == "pool":
            height, width = height // 2, width // 2
            yield kind, 0, 0, False
        elif kind == "conv":
            yield kind, channels, layer["filters"], layer["activation"] == "relu"
            channels = layer["filters"]
        else:
            yield kind, flat or height * width * channels, layer["units"], layer["activation"] == "relu"
            flat = layer["units"]


def serve(version, answer):
    """Answers jobs until stdin ends; a job that fails is answered by its error."""
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"version": version, **reply}), flush=True)
