"""Returns each tensor unchanged.

A pipeline that sends its rows here and gets other rows back has a fault of its
own: nothing in this model can lose, reorder or alter a value.
"""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [echo(request) for request in requests]


def echo(request):
    value = pb_utils.get_input_tensor_by_name(request, "value").as_numpy()
    return pb_utils.InferenceResponse([pb_utils.Tensor("echo", value)])
