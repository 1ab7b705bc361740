"""Sends one response for each number from `from` down to 1; below 0 it fails after the first."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            count(request)


def count(request):
    sender = request.get_response_sender()
    number = int(pb_utils.get_input_tensor_by_name(request, "from").as_numpy().flat[0])
    fails = number < 0
    for left in range(abs(number), 0, -1):
        tensor = pb_utils.Tensor("left", np.array([left], np.int32))
        sender.send(pb_utils.InferenceResponse([tensor]))
        if fails:
            error = pb_utils.TritonError("the countdown was called off")
            sender.send(pb_utils.InferenceResponse(error=error))
            break
    sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
