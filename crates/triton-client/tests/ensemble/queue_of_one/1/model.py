"""Takes its time, so that its queue, which has one place, is full."""

import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.3)
        return [respond(request) for request in requests]


def respond(request):
    value = pb_utils.get_input_tensor_by_name(request, "value").as_numpy()
    return pb_utils.InferenceResponse([pb_utils.Tensor("same", value)])
