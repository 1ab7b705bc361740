"""Takes 30 to 50 ms for a request and no processor, so that only its instances limit it."""

import random
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        time.sleep(random.uniform(0.03, 0.05))
        return [respond(request) for request in requests]


def respond(request):
    value = pb_utils.get_input_tensor_by_name(request, "value").as_numpy()
    return pb_utils.InferenceResponse([pb_utils.Tensor("same", value)])
