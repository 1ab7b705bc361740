"""The example `accumulate` with a CORRID control, whose value it returns as `corrid`.

A control of a number arrives as the model saw it, UINT64 as the INT64 of the same bits; of a
control of text it is the length.
"""

import importlib.util
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

# Each model's file is a link to this one.
ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "examples/models/accumulate/1/model.py"
spec = importlib.util.spec_from_file_location("accumulate", SOURCE)
accumulate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(accumulate)


class TritonPythonModel(accumulate.TritonPythonModel):
    def respond(self, request):
        response = super().respond(request)
        if response.has_error():
            return response
        seen = pb_utils.get_input_tensor_by_name(request, "CORRID").as_numpy().flat[0]
        value = len(seen) if isinstance(seen, bytes) else seen.astype(np.int64)
        corrid = pb_utils.Tensor("corrid", np.array([[value]], np.int64))
        return pb_utils.InferenceResponse([*response.output_tensors(), corrid])
