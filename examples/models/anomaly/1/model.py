"""Scores each reading of a sensor against the readings before it.

One sequence is one sensor. The model keeps a running mean and variance per
sequence (Welford's method: one pass, no stored history, no cancellation), so
its answers are right only if every reading arrives once and in order.
"""

import json
import math
import time
from collections import OrderedDict

import numpy as np
import triton_python_backend_utils as pb_utils

START = pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START
END = pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END

# A reading further than this many standard deviations from the mean is an anomaly.
THRESHOLD = 3.0


class TritonPythonModel:
    def initialize(self, args):
        batching = json.loads(args["model_config"])["sequence_batching"]
        idle_seconds = batching["max_sequence_idle_microseconds"] / 1e6
        # Far longer than the server's limit, because a request that the server took in
        # time may still have to wait in its queue.
        self.keep_seconds = 10 * idle_seconds
        # By ID the statistics and when they were last used; the least recently used
        # come first.
        self.sensors = OrderedDict()

    def execute(self, requests):
        return [self.respond(request) for request in requests]

    def respond(self, request):
        sequence = request.correlation_id()
        if request.flags() & START:
            sensor = RunningStatistics()
        elif sequence in self.sensors:
            sensor, _ = self.sensors[sequence]
        else:
            # The server takes a sequence for open although its START failed in here.
            # Scores against half of a sensor's history would be wrong and look right.
            return refusal(f"no state for sequence {sequence!r}: send START again")

        readings = pb_utils.get_input_tensor_by_name(request, "reading").as_numpy()
        # Float64 throughout: in float32 the variance of a long stream stops moving.
        scores = [sensor.score_then_learn(float(reading)) for reading in readings.flat]
        z_score = np.array(scores, np.float64).reshape(readings.shape)
        if request.flags() & END:
            self.sensors.pop(sequence, None)
        else:
            self.keep(sequence, sensor)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("z_score", z_score.astype(np.float32)),
                pb_utils.Tensor("anomaly", np.abs(z_score) > THRESHOLD),
            ]
        )

    def keep(self, sequence, sensor):
        """Keeps the statistics and forgets those which will not be asked for again.

        The server closes an idle sequence without telling the model, so a sequence
        without END would otherwise leave its state here for ever.
        """
        now = time.monotonic()
        self.sensors[sequence] = (sensor, now)
        self.sensors.move_to_end(sequence)
        while next(iter(self.sensors.values()))[1] < now - self.keep_seconds:
            self.sensors.popitem(last=False)


class RunningStatistics:
    """Mean and sample variance of the readings seen so far (Welford)."""

    def __init__(self):
        self.count = 0
        self.mean = 0.0
        self.squared_distance = 0.0

    def score_then_learn(self, reading):
        """The reading's z-score among those before it; 0 where none is defined."""
        if not math.isfinite(reading):
            # One such reading would turn the mean into NaN for the rest of the sequence.
            return reading

        score = 0.0
        if self.count >= 2:
            deviation = math.sqrt(self.squared_distance / (self.count - 1))
            if deviation > 0.0:
                score = (reading - self.mean) / deviation

        self.count += 1
        distance = reading - self.mean
        self.mean += distance / self.count
        self.squared_distance += distance * (reading - self.mean)
        return score


def refusal(message):
    error = pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
    return pb_utils.InferenceResponse(error=error)
