"""A client in Python's standard library and numpy, written from the protocols alone: take it, or see how little is needed.

    python3 client/client.py http://localhost:8080 mnist images.raw     uint8 pixels, image after image

It asks twice, by Seedmask's own route (raw bytes in, JSON out) and by the Open Inference Protocol v2 with binary tensors both ways, and
prints one JSON object: the labels, the probabilities of the first image, and whether both gave the same bits.
"""

import http.client
import json
import sys
import time
from urllib.parse import quote, urlencode, urlsplit

import numpy as np

HEADER = "Inference-Header-Content-Length"
# Seconds that a server may ask for before another try; one that asks for more ends the call.
LONGEST_WAIT = 30


class Refused(Exception):
    """The server's own line; `status` and `code` are for programs."""

    def __init__(self, status, answer):
        super().__init__(answer.get("error", f"HTTP {status}, without a reason"))
        self.status, self.code = status, answer.get("code")


class Client:
    """Requests over one kept connection. What was turned away for load or lost on the way is asked again: nothing changes by it."""

    def __init__(self, url, key=None, tries=5, timeout=30):
        self.url = urlsplit(url)
        if self.url.scheme not in ("http", "https") or not self.url.hostname:
            raise ValueError(f"the URL must be http:// or https:// with a host, got {url}")
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        self.connection = kind(self.url.hostname, self.url.port, timeout=timeout)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.tries = tries

    def call(self, method, path, body=None, headers=None):
        """(bytes, headers) of a 200; raises Refused, or OSError when no answer came."""
        for left in reversed(range(self.tries)):
            try:
                self.connection.request(method, self.url.path.rstrip("/") + path, body, {**self.headers, **(headers or {})})
                response = self.connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.connection.close()
                if not left:
                    raise OSError(f"no answer from {self.url.netloc}: {error}") from error
                time.sleep(0.1)
                continue
            if response.status == 200:
                return content, response.headers
            wait = seconds(response.headers.get("Retry-After"))
            if response.status in (429, 502, 503) and left and wait <= LONGEST_WAIT:
                time.sleep(wait)
                continue
            try:
                answer = json.loads(content)
            except ValueError:
                answer = None
            raise Refused(response.status, answer if isinstance(answer, dict) else {})

    def foreign(self):
        """A 200 that is something else's."""
        return ValueError(f"{self.url.geturl()} does not answer as Seedmask does")

    def inputs(self, task):
        """How many pixels an image of the task has."""
        answer, _ = self.call("GET", f"/tasks/{quote(task)}")
        try:
            return int(json.loads(answer)["inputs"])
        except (ValueError, KeyError, TypeError):
            raise self.foreign() from None

    def classify(self, task, images):
        """images: uint8 [rows, inputs]. Labels (None where the server abstains), and float32 probabilities [rows, labels]."""
        body = np.ascontiguousarray(images, np.uint8).tobytes()
        answer, _ = self.call("POST", f"/tasks/{quote(task)}/classify", body, {"Content-Type": "application/octet-stream"})
        try:
            predictions = json.loads(answer)["predictions"]
            return [p["label"] for p in predictions], np.array([p["probabilities"] for p in predictions], np.float32)
        except (ValueError, KeyError, TypeError):
            raise self.foreign() from None

    def infer_task(self, network, images, **query):
        """Which task of a network (its id) uint8 images [rows, inputs] are for: {"task", "confidence", "tasks", "cost"}."""
        body = np.ascontiguousarray(images, np.uint8).tobytes()
        path = f"/networks/{quote(network)}/infer-task?{urlencode(query)}"
        answer, _ = self.call("POST", path, body, {"Content-Type": "application/octet-stream"})
        try:
            guess = json.loads(answer)
        except ValueError:
            guess = None
        if not isinstance(guess, dict) or "task" not in guess:
            raise self.foreign()
        return guess

    def infer(self, task, images):
        """The same by /v2, with binary tensors: little-endian, row-major, behind a JSON head whose length a header tells."""
        pixels = np.ascontiguousarray(images, np.uint8)
        tensor = {"name": "pixels", "shape": list(pixels.shape), "datatype": "UINT8", "parameters": {"binary_data_size": pixels.nbytes}}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        content, headers = self.call("POST", f"/v2/models/{quote(task)}/infer", head + pixels.tobytes(), {HEADER: str(len(head))})
        if HEADER not in headers:
            raise self.foreign()
        at = int(headers[HEADER])
        found = {}
        for output in json.loads(content[:at])["outputs"]:
            size = output["parameters"]["binary_data_size"]
            found[output["name"]] = (output, content[at : at + size])
            at += size
        output, data = found["probabilities"]
        return texts(found["label"][1]), np.frombuffer(data, "<f4").reshape(output["shape"])


def seconds(retry_after):
    """A second where the header is missing, or a date."""
    try:
        return max(0.0, float(retry_after))
    except (TypeError, ValueError):
        return 1.0


def texts(data):
    """BYTES elements: a little-endian uint32 with the length, then the text; an empty one stands for no label."""
    elements, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        elements.append(data[at + 4 : end].decode() or None)
        at = end
    return elements


def main(url, task, file):
    client = Client(url)
    inputs = client.inputs(task)
    pixels = np.fromfile(file, np.uint8)
    if pixels.size == 0 or pixels.size % inputs:
        raise ValueError(f"{file} must hold images of {inputs} bytes each, got {pixels.size} bytes")
    images = pixels.reshape(-1, inputs)
    labels, probabilities = client.classify(task, images)
    v2_labels, v2_probabilities = client.infer(task, images)
    same = labels == v2_labels and np.array_equal(probabilities, v2_probabilities)
    print(json.dumps({"labels": labels, "probabilities": [float(p) for p in probabilities[0]], "same": same}))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: client.py URL TASK FILE, such as http://localhost:8080 mnist images.raw")
    try:
        main(*sys.argv[1:])
    except (Refused, OSError, ValueError) as error:
        sys.exit(f"client.py: {error}")
