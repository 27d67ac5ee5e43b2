"""A client in Python's standard library and numpy, written from the protocols alone: take it, or see how little is needed.

    python3 client/client.py http://localhost:8080 mnist images.raw     uint8 pixels, image after image; of tasks over numbers '<f4'

It asks twice, by Seedmask's own route (raw bytes in, JSON out) and by the Open Inference Protocol v2 with binary tensors both ways, and
prints one JSON object: the labels, the probabilities of the first row, and whether both gave the same bits.
"""

import http.client
import json
import re
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
            raise ValueError("the URL must be http:// or https:// with a host")
        # Neither is shown, here or above, as it would be by what fails on it.
        if "@" in self.url.netloc:
            raise ValueError("the URL must be without a name and password; an API key goes into key")
        if key and not re.fullmatch(r"\s*[!-~]+\s*", key):
            raise ValueError("the key must be of visible ASCII characters alone")
        if tries < 1:
            raise ValueError(f"tries must be 1 or more, got {tries}")
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        self.connection = kind(self.url.hostname, self.url.port, timeout=timeout)
        self.headers = {"Authorization": f"Bearer {key.strip()}"} if key else {}
        self.tries = tries
        self.known = {}

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

    def row(self, task):
        """What a row of the task is, asked once: the input's name, "pixels" or of tasks over numbers "features", its shape, and its columns."""
        if task not in self.known:
            answer, _ = self.call("GET", f"/tasks/{segment('task', task)}")
            try:
                told = json.loads(answer)
                shape = tuple(map(int, told["shape"]))
                self.known[task] = "features" if "means" in told else "pixels", shape, told.get("columns")
            except (ValueError, LookupError, TypeError):
                raise self.foreign() from None
        return self.known[task]

    def array(self, task, rows):
        """Rows as they travel: bytes, or little-endian float32 where they are numbers."""
        name, shape, columns = self.row(task)
        if columns and list(getattr(rows, "columns", columns)) != columns:
            raise ValueError(f"columns must be {columns}, in this order, or rows dicts")
        array = numbers(rows) if name == "features" else pixels(rows)
        allowed = [(int(np.prod(shape)),), shape] + ([shape[:2]] if shape[2] == 1 else [])
        if array.shape[1:] not in allowed:
            raise ValueError(f"rows must be [rows, {', '.join(map(str, allowed[0]))}] or [rows, {', '.join(map(str, shape))}], got {list(array.shape)}")
        return array

    def classify(self, task, rows):
        """rows: [rows, inputs], pixels 0..255 or numbers; or dicts of numbers and categories by name (pandas: to_dict("records")).
        Labels (None where the server abstains), and float32 probabilities [rows, labels]."""
        if hasattr(rows, "to_dict") and self.row(task)[2]:
            rows = rows.to_dict("records")
        if isinstance(rows, (list, tuple)) and rows and all(isinstance(row, dict) for row in rows):
            body, kind = named(rows), "application/json"
        else:
            body, kind = self.array(task, rows).tobytes(), "application/octet-stream"
        answer, _ = self.call("POST", f"/tasks/{segment('task', task)}/classify", body, {"Content-Type": kind})
        try:
            predictions = json.loads(answer)["predictions"]
            return [p["label"] for p in predictions], np.array([p["probabilities"] for p in predictions], np.float32)
        except (ValueError, KeyError, TypeError):
            raise self.foreign() from None

    def infer_task(self, network, rows, tasks=None, **query):
        """Which task of a network (its id), or of a list of its tasks, rows [rows, inputs] are for: {"task", "confidence", "tasks", "cost"}."""
        # Of a network nothing tells whether its tasks take pixels or numbers, and JSON is the same for both.
        rows = np.asarray(rows)
        values = rows.reshape(len(rows), -1).astype(np.uint8 if rows.dtype == bool else rows.dtype)
        body = json.dumps({"instances": values.tolist()}, allow_nan=False)
        if tasks is not None:
            query["tasks"] = tasks if isinstance(tasks, str) else ",".join(tasks)
        path = f"/networks/{segment('network', network)}/infer-task?{urlencode(query)}"
        answer, _ = self.call("POST", path, body, {"Content-Type": "application/json"})
        try:
            guess = json.loads(answer)
        except ValueError:
            guess = None
        if not isinstance(guess, dict) or "task" not in guess:
            raise self.foreign()
        return guess

    def infer(self, task, rows):
        """The same by /v2, with binary tensors: little-endian, row-major, behind a JSON head whose length a header tells."""
        array, name = self.array(task, rows), self.row(task)[0]
        kind = "UINT8" if array.dtype == np.uint8 else "FP32"
        tensor = {"name": name, "shape": list(array.shape), "datatype": kind, "parameters": {"binary_data_size": array.nbytes}}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        content, headers = self.call("POST", f"/v2/models/{segment('task', task)}/infer", head + array.tobytes(), {HEADER: str(len(head))})
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


def segment(what, name):
    """A name in a path; raises ValueError for one that would lead to another path."""
    if name in ("", ".", ".."):
        raise ValueError(f"{what} must be a name, got '{name}'")
    return quote(name, safe="")


def pixels(rows):
    """Bytes; raises ValueError at the first value that is none."""
    given = np.asarray(rows)
    with np.errstate(invalid="ignore"):
        array = given.astype(np.uint8)
    wrong = np.argwhere(array != given)
    if len(wrong):
        at = tuple(map(int, wrong[0]))
        raise ValueError(f"pixels must be whole numbers from 0 to 255, not scaled, got {given[at]} at {list(at)}")
    return array


def numbers(rows):
    with np.errstate(over="ignore"):
        return np.asarray(rows, "<f4")


def seconds(retry_after):
    """A second where the header is missing, or a date."""
    try:
        return max(0.0, float(retry_after))
    except (TypeError, ValueError):
        return 1.0


def named(rows):
    """Dicts as JSON; raises ValueError at the first number that is none."""
    for i, row in enumerate(rows):
        for name, value in row.items():
            if isinstance(value, (float, np.floating)) and not np.isfinite(value):
                raise ValueError(f"{name} of row {i} is {value}: for one that is missing send the mean, as GET /tasks/NAME has it")
    return json.dumps({"instances": rows}, default=scalar)


def scalar(value):
    """A number of NumPy as JSON has it."""
    if hasattr(value, "item"):
        return value.item()
    raise ValueError(f"rows hold numbers and texts by name, got {value!r}")


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
    name, shape, _ = client.row(task)
    inputs = int(np.prod(shape))
    kind = np.dtype("<f4" if name == "features" else "u1")
    with open(file, "rb") as opened:
        data = opened.read()
    if len(data) == 0 or len(data) % (inputs * kind.itemsize):
        raise ValueError(f"{file} must hold rows of {inputs * kind.itemsize} bytes each, got {len(data)} bytes")
    rows = np.frombuffer(data, kind).reshape(-1, inputs)
    labels, probabilities = client.classify(task, rows)
    v2_labels, v2_probabilities = client.infer(task, rows)
    same = labels == v2_labels and np.array_equal(probabilities, v2_probabilities)
    print(json.dumps({"labels": labels, "probabilities": [float(p) for p in probabilities[0]], "same": same}))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: client.py URL TASK FILE, such as http://localhost:8080 mnist images.raw")
    try:
        main(*sys.argv[1:])
    except (Refused, OSError, ValueError) as error:
        sys.exit(f"client.py: {error}")
