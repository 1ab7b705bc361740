"""NVIDIA's client for HTTP, in the loop of rounds that every measured program is.

It reads a number of requests from each line of the standard input, and answers each line with the
nanoseconds of processor time that it spent on them, in user mode and in the kernel.
"""

import collections
import sys
import time

import numpy
import tritonclient.http as http

# As in the programs in Rust.
SAMPLES = 64


class Peer:
    def __init__(self, endpoint, model, elements, form, in_flight):
        address = endpoint.removeprefix("http://")
        self.client = http.InferenceServerClient(address, concurrency=in_flight)
        self.model = model
        self.is_binary = form == "binary"
        self.in_flight = in_flight
        mixed = (numpy.arange(1, elements + 1, dtype=numpy.uint64) * 2654435761) & 0xFFFFFFFF
        steps = (mixed >> 8).astype(numpy.int64) - (1 << 23)
        self.values = (steps / float(1 << 24)).astype(numpy.float32).reshape(1, elements)
        self.step = 1

    def tensors(self):
        tensor = http.InferInput("value", list(self.values.shape), "FP32")
        tensor.set_data_from_numpy(self.values, binary_data=self.is_binary)
        output = http.InferRequestedOutput("echo", binary_data=self.is_binary)
        return {"inputs": [tensor], "outputs": [output]}

    def check(self, result):
        found = result.as_numpy("echo")
        if found.shape != self.values.shape:
            sys.exit(f"error: expected the shape {self.values.shape}, found {found.shape}")
        found, expected = found[0], self.values[0]
        if found[-1] != expected[-1] or (found[:: self.step] != expected[:: self.step]).any():
            sys.exit("error: the answer has other values than the request")
        self.step = -(-len(expected) // SAMPLES)

    def round(self, requests):
        if self.in_flight == 1:
            for _ in range(requests):
                self.check(self.client.infer(self.model, **self.tensors()))
            return
        waiting = collections.deque()
        for _ in range(requests):
            if len(waiting) == self.in_flight:
                self.check(waiting.popleft().get_result())
            waiting.append(self.client.async_infer(self.model, **self.tensors()))
        while waiting:
            self.check(waiting.popleft().get_result())


def main():
    endpoint, model, elements, form, in_flight = sys.argv[1:]
    peer = Peer(endpoint, model, int(elements), form, int(in_flight))
    for line in sys.stdin:
        before = time.process_time_ns()
        peer.round(int(line))
        print(time.process_time_ns() - before, flush=True)


main()
