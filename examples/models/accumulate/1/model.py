"""Adds up the values of each sequence.

This is the smallest model whose answers depend on what came before: a request
that is lost, sent twice or overtaken by another shows in the sum. The second
output is the sequence's ID as the server saw it, so that a caller can check
that a number and the same digits as text are two sequences (`5` and `"5"`).
"""

import json
import time
from collections import OrderedDict

import numpy as np
import triton_python_backend_utils as pb_utils

START = pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START
END = pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END


class TritonPythonModel:
    def initialize(self, args):
        batching = json.loads(args["model_config"])["sequence_batching"]
        idle_seconds = batching["max_sequence_idle_microseconds"] / 1e6
        # Far longer than the server's limit, because a request that the server took in
        # time may still have to wait in its queue.
        self.keep_seconds = 10 * idle_seconds
        # By ID the sum and when it was last used; the least recently used comes first.
        self.sums = OrderedDict()

    def execute(self, requests):
        return [self.respond(request) for request in requests]

    def respond(self, request):
        sequence = request.correlation_id()
        if request.flags() & START:
            total = 0
        elif sequence in self.sums:
            total, _ = self.sums[sequence]
        else:
            # The server takes a sequence for open although its START failed in here.
            # Answering with a sum that starts in the middle would hide the loss.
            return refusal(f"no state for sequence {sequence!r}: send START again")

        value = pb_utils.get_input_tensor_by_name(request, "value").as_numpy()
        total += int(value.sum())
        if request.flags() & END:
            self.sums.pop(sequence, None)
        else:
            self.keep(sequence, total)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("sum", np.array([[total]], np.int32)),
                pb_utils.Tensor("correlation_id", np.array([[str(sequence)]], object)),
            ]
        )

    def keep(self, sequence, total):
        """Keeps the sum and forgets those which will not be asked for again.

        The server closes an idle sequence without telling the model, so a sequence
        without END would otherwise leave its state here for ever.
        """
        now = time.monotonic()
        self.sums[sequence] = (total, now)
        self.sums.move_to_end(sequence)
        while next(iter(self.sums.values()))[1] < now - self.keep_seconds:
            self.sums.popitem(last=False)


def refusal(message):
    error = pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
    return pb_utils.InferenceResponse(error=error)
