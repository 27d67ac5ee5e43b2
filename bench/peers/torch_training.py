#!/usr/bin/env python3
"""Training in PyTorch: all weights with Adam ("dense"), or masks on fixed signed constants ("topk", "bernoulli") with SGD.

Jobs name {network, method, batch, threads, images, labels} and, for topk, {density, refresh: steps between exact selections}.
  {what: "steps", seconds}                                    -> {rate: steps per second}, batches drawn from the rows of `images`
  {what: "target", accuracy, seed, attempts, epochs, learningRate, testImages, testLabels}
      trains until the test accuracy, looked at every half epoch, is reached, from the start with another seed where a run ends
      below -> {rate: seconds of training}
`images` holds raw uint8 rows, `labels` uint8. The rows are floats before the clock starts; evaluation stops the clock.
"""
import functools
import math
import time

import numpy
import torch
import torch.nn.functional as F

from peer import rate, serve, shapes


class TopK(torch.autograd.Function):
    """Keeps the scores above a threshold; straight-through gradient (edge-popup)."""

    @staticmethod
    def forward(_, scores, threshold):
        return (scores > threshold).float()

    @staticmethod
    def backward(_, gradient):
        return gradient, None


class Bernoulli(torch.autograd.Function):
    """Keeps with probability p; straight-through gradient (Zhou et al. 2019)."""

    @staticmethod
    def forward(_, p):
        return torch.bernoulli(p)

    @staticmethod
    def backward(_, gradient):
        return gradient


class Net:
    """A network whose parameters are weights and biases, or the scores of masks."""

    def __init__(self, network, method, density=(), refresh=1):
        self.method, self.refresh, self.calls = method, refresh, 0
        self.layers = list(shapes(network))
        self.weights, self.biases, self.scores, self.thresholds = [], [], [], {}
        for kind, inputs, units, _ in self.layers:
            if kind == "pool":
                continue
            fan_in = inputs * (9 if kind == "conv" else 1)
            size = (units, inputs, 3, 3) if kind == "conv" else (units, inputs)
            kept = density[min(len(self.weights), len(density) - 1)] if method == "topk" else 1
            deviation = math.sqrt(2 / fan_in / kept)
            weights = torch.randn(size)
            self.weights.append((weights if method == "dense" else weights.sign()) * deviation)
            self.biases.append(torch.zeros(units) if method == "dense" else None)
            self.scores.append(torch.rand(size) * 0.01 if method == "topk" else torch.zeros(size))
        self.density = self.current = [density[min(i, len(density) - 1)] for i in range(len(self.weights))] if density else []
        self.parameters = self.weights + self.biases if method == "dense" else self.scores
        for parameter in self.parameters:
            parameter.requires_grad_()

    def effective(self, i):
        weights, scores = self.weights[i], self.scores[i]
        if self.method == "topk":
            if self.calls % self.refresh == 0:
                dropped = max(1, int((1 - self.current[i]) * scores.numel()))
                self.thresholds[i] = torch.kthvalue(scores.detach().flatten(), dropped).values
            return weights * TopK.apply(scores, self.thresholds[i]) * math.sqrt(self.density[i] / self.current[i])
        if self.method == "bernoulli":
            return weights * Bernoulli.apply(torch.sigmoid(scores))
        return weights

    def __call__(self, x):
        i = 0
        for kind, _, _, relu in self.layers:
            if kind == "pool":
                x = F.max_pool2d(x, 2)
                continue
            weights = self.effective(i)
            x = F.conv2d(x, weights, self.biases[i], padding=1) if kind == "conv" else F.linear(x.flatten(1), weights, self.biases[i])
            if relu:
                x = F.relu(x)
            i += 1
        self.calls += 1
        return x


@functools.lru_cache(maxsize=4)
def rows(images, labels, shape):
    """Tensors of a raw file, floats in 0..1."""
    y = torch.from_numpy(numpy.fromfile(labels, numpy.uint8).astype(numpy.int64))
    return torch.from_numpy(numpy.fromfile(images, numpy.uint8)).reshape(len(y), *shape).float() / 255, y


def shape_of(network):
    height, width, channels = network["input"]
    return (channels, height, width) if network["layers"][0]["kind"] == "conv" else (height * width * channels,)


def prepare(job):
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job.get("seed", 0))
    net = Net(job["network"], job["method"], job.get("density", ()), job.get("refresh", 1))
    learning_rate = job.get("learningRate", 1e-3)
    optimiser = torch.optim.Adam if job["method"] == "dense" else functools.partial(torch.optim.SGD, momentum=0.9)
    optimiser = optimiser(net.parameters, lr=learning_rate)

    def step(x, y):
        optimiser.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimiser.step()

    return net, optimiser, step


def steps(job):
    _, _, step = prepare(job)
    images, labels = rows(job["images"], job["labels"], shape_of(job["network"]))
    batch = job["batch"]
    order, at = torch.randperm(len(labels)), 0

    def one():
        nonlocal at
        at = at + batch if at + 2 * batch <= len(labels) else 0
        chosen = order[at : at + batch]
        step(images[chosen], labels[chosen])

    return {"rate": rate(one, job["seconds"])}


def attempt(job):
    """One run: seconds of training, and the accuracy at the end, which is where it was reached."""
    net, optimiser, step = prepare(job)
    shape = shape_of(job["network"])
    images, labels = rows(job["images"], job["labels"], shape)
    test_images, test_labels = rows(job["testImages"], job["testLabels"], shape)
    batch = job["batch"]
    per_epoch = len(labels) // batch
    total, done, seconds, reached = job["epochs"] * per_epoch, 0, 0, 0
    for _ in range(job["epochs"]):
        start = time.perf_counter()
        order = torch.randperm(len(labels))
        for i in range(per_epoch):
            part = done / total
            if job["method"] == "topk":  # the rate follows a cosine, the density falls over the first 40 % from 0.5 to its target
                left = max(0, 1 - part / 0.4) ** 3
                net.current = [k if k >= 0.5 else 0.5 * left + k * (1 - left) for k in net.density]
            falling = 0.5 * (1 + math.cos(math.pi * part)) if job["method"] == "topk" else 1 - part
            optimiser.param_groups[0]["lr"] = job["learningRate"] * falling
            chosen = order[i * batch : (i + 1) * batch]
            step(images[chosen], labels[chosen])
            done += 1
            if i in (per_epoch // 2 - 1, per_epoch - 1):
                seconds += time.perf_counter() - start
                if net.current == net.density:
                    with torch.no_grad():
                        reached = (net(test_images).argmax(1) == test_labels).float().mean().item()
                if reached >= job["accuracy"]:
                    return seconds, reached
                start = time.perf_counter()
    return seconds, reached


def target(job):
    total = 0
    for i in range(job["attempts"]):
        seconds, reached = attempt({**job, "seed": job["seed"] + 1000 * i})
        total += seconds
        if reached >= job["accuracy"]:
            return {"rate": total}
    return {"error": f"{job['accuracy']} not reached in {job['attempts']} attempts"}


serve(f"PyTorch {torch.__version__}", lambda job: {"steps": steps, "target": target}[job["what"]](job))
