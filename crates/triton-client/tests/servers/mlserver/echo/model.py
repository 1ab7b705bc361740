"""A model that answers each input as it came, so that a test sees what the server makes of it."""

from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Echo(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        if payload.parameters and getattr(payload.parameters, "fail", None):
            raise InferenceError(payload.parameters.fail)
        outputs = [
            ResponseOutput(
                # As the model of this name on Triton has it.
                name="echo" if tensor.name == "value" else tensor.name,
                shape=tensor.shape,
                datatype=tensor.datatype,
                parameters=tensor.parameters,
                data=tensor.data,
            )
            for tensor in payload.inputs
        ]
        wanted = [output.name for output in payload.outputs or outputs]
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[output for output in outputs if output.name in wanted],
        )
