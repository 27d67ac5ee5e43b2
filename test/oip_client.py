"""A client of the Open Inference Protocol, written from the protocol alone: Python's standard library and numpy.

It knows nothing of Seedmask. Tensors travel as JSON or as bytes behind it (Triton's binary_tensor_data: little-endian, row-major,
back to back; Inference-Header-Content-Length says how long the JSON is). Run with a URL and a model name it asks the server all that
the protocol has and prints one JSON object of what it saw; test/server.python.test.ts compares.
"""

import gzip
import http.client
import json
import struct
import sys
from urllib.parse import quote, urlsplit

import numpy as np

DTYPES = {"BOOL": "?", "UINT8": "u1", "INT32": "<i4", "INT64": "<i8", "FP32": "<f4", "FP64": "<f8"}
HEADER = "Inference-Header-Content-Length"


class Refused(Exception):
    """An answer other than 200; the message is the server's `error`."""


class Client:
    """One kept connection. Sends no Content-Type, as Triton's own client."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)

    def call(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body=body, headers=headers or {})
        response = self.connection.getresponse()
        payload = response.read()
        if response.status != 200:
            assert response.getheader("Content-Type") == "application/json", response.getheader("Content-Type")
            raise Refused(json.loads(payload)["error"])
        return payload, response

    def ask(self, method, path, body=None):
        return json.loads(self.call(method, path, body)[0])

    def infer(self, model, inputs, outputs=None, version="", binary=True, compress=False, **parameters):
        """inputs: name -> numpy array. Gives name -> numpy array (text outputs as object arrays)."""
        tensors, blobs = [], []
        for name, array in inputs.items():
            datatype = next(k for k, v in DTYPES.items() if np.dtype(v) == array.dtype)
            tensor = {"name": name, "shape": list(array.shape), "datatype": datatype}
            if binary:
                blobs.append(np.ascontiguousarray(array).tobytes())
                tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
            else:
                tensor["data"] = array.tolist()
            tensors.append(tensor)
        request = {"id": "py", "inputs": tensors, "parameters": {"binary_data_output": binary, **parameters}}
        if outputs:
            request["outputs"] = outputs
        head = json.dumps(request).encode()
        body, headers = head + b"".join(blobs), {}
        if blobs:
            headers[HEADER] = str(len(head))
        if compress:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        path = f"/v2/models/{quote(model)}" + (f"/versions/{version}" if version else "") + "/infer"
        return self.parse(*self.call("POST", path, body, headers))

    @staticmethod
    def parse(payload, response):
        length = response.getheader(HEADER)
        at = len(payload) if length is None else int(length)
        answer = json.loads(payload[:at])
        results = {}
        for tensor in answer["outputs"]:
            size = tensor.get("parameters", {}).get("binary_data_size")
            if size is None:
                text = tensor["datatype"] == "BYTES"
                data = np.array(tensor["data"], dtype=object if text else DTYPES[tensor["datatype"]])
            else:
                blob, at = payload[at : at + size], at + size
                assert len(blob) == size
                data = texts(blob) if tensor["datatype"] == "BYTES" else np.frombuffer(blob, DTYPES[tensor["datatype"]])
            results[tensor["name"]] = data.reshape(tensor["shape"])
        assert at == len(payload), "bytes behind the last tensor"
        return answer, results


def texts(blob):
    """BYTES elements: uint32 length, then that many bytes."""
    elements, at = [], 0
    while at < len(blob):
        (length,) = struct.unpack_from("<I", blob, at)
        elements.append(blob[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return np.array(elements, dtype=object)


def main(url, model):
    client = Client(url)
    seen = {
        "server": client.ask("GET", "/v2"),
        "live": client.ask("GET", "/v2/health/live"),
        "ready": client.ask("GET", "/v2/health/ready"),
        "modelReady": client.ask("GET", f"/v2/models/{model}/ready"),
        "index": client.ask("POST", "/v2/repository/index"),
    }
    metadata = client.ask("GET", f"/v2/models/{model}")
    (tensor,) = metadata["inputs"]
    width = tensor["shape"][1]
    pixels = np.random.default_rng(7).integers(0, 256, (5, width), dtype=np.uint8)
    seen["pixels"] = pixels.tolist()

    answer, byte = client.infer(model, {tensor["name"]: pixels})
    assert answer["id"] == "py" and answer["model_name"] == model
    ways = {
        "binary FP32": client.infer(model, {tensor["name"]: pixels.astype("<f4")}),
        "JSON UINT8": client.infer(model, {tensor["name"]: pixels}, binary=False),
        "JSON FP32": client.infer(model, {tensor["name"]: pixels.astype("<f4")}, binary=False),
        "gzip": client.infer(model, {tensor["name"]: pixels}, compress=True),
        "version": client.infer(model, {tensor["name"]: pixels}, version=metadata["versions"][-1]),
        "raw": Client.parse(*client.call("POST", f"/v2/models/{model}/infer", pixels.astype("<f4").tobytes(), {HEADER: "0"})),
    }
    # The same bits whichever way the pixels went and the probabilities came.
    seen["same"] = [way for way, (_, result) in ways.items() if all(np.array_equal(byte[k], result[k]) for k in byte)]
    probabilities = byte["probabilities"]
    assert probabilities.dtype == np.float32 and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    seen["probabilities"] = [[float(p) for p in row] for row in probabilities]
    seen["labels"] = byte["label"].tolist()
    best = [{"name": "probabilities", "parameters": {"classification": 2}}]
    seen["best"] = client.infer(model, {tensor["name"]: pixels}, outputs=best)[1]["probabilities"].tolist()

    refusals = {
        "FP64": lambda: client.infer(model, {tensor["name"]: pixels.astype("<f8")}),
        "shape": lambda: client.infer(model, {tensor["name"]: pixels[0]}),
        "model": lambda: client.infer("nobody", {tensor["name"]: pixels}),
        "deadline": lambda: client.infer(model, {tensor["name"]: pixels}, timeout=1),
        "load": lambda: client.ask("POST", f"/v2/repository/models/{model}/load"),
    }
    seen["refused"] = {}
    for what, run in refusals.items():
        try:
            run()
        except Refused as refused:
            seen["refused"][what] = str(refused)
    seen["statistics"] = client.ask("GET", f"/v2/models/{model}/stats")["model_stats"][-1]["inference_count"]
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
