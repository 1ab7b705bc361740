"""A model that says nothing of its tensors, as most that come from a library of models do."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse


class Bare(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        columns = [NumpyCodec.decode_input(tensor) for tensor in payload.inputs]
        # As scikit-learn and XGBoost want it: a row for each, and its features beside each other.
        if any(column.ndim != 2 for column in columns):
            raise InferenceError(f"expected 2 dimensions, found {[column.shape for column in columns]}")
        features = np.concatenate(columns, axis=1)
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            outputs=[
                NumpyCodec.encode_output("sum", features.sum(axis=1)),
                NumpyCodec.encode_output("rows", np.full(len(features), len(features), dtype="int64")),
            ],
        )
