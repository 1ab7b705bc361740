"""A model that adds two numbers of each row, and tells how many rows came with it."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse


class Sums(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        columns = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        x, y = columns["x"].reshape(-1), columns["y"].reshape(-1)
        if (x < 0).any():
            raise InferenceError("x must not be negative")
        rows = np.full(len(x), len(x), dtype="int64")
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            # Its codecs give each tensor a second dimension.
            outputs=[NumpyCodec.encode_output("sum", x + y), NumpyCodec.encode_output("rows", rows)],
        )
