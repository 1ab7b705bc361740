"""Does what the input `command` says, so that a test can meet what a healthy model never does."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [respond(request) for request in requests]


def respond(request):
    command = pb_utils.get_input_tensor_by_name(request, "command").as_numpy()
    command, _, argument = command.flat[0].decode().partition(":")
    if command == "describe":
        description = {
            "id": request.request_id(),
            "parameters": json.loads(request.parameters() or "{}"),
            "priority": getattr(request, "priority", lambda: None)(),
            "timeout": request.timeout(),
        }
        return result(json.dumps(description, sort_keys=True).encode())
    if command == "hex":
        return result(bytes.fromhex(argument))
    if command == "omit":
        return pb_utils.InferenceResponse([])
    if command == "raise":
        raise ValueError(argument)
    code = getattr(pb_utils.TritonError, command.upper())
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(argument, code))


def result(value):
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor("result", np.array([value], dtype=object))]
    )
