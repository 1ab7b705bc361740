"""A server of KServe's own kind, with a model that answers each input as it came."""

import argparse

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.errors import InferenceError


class Echo(Model):
    def __init__(self):
        super().__init__("echo")
        self.ready = True

    def _tensors(self):
        return [
            {"name": "numbers", "datatype": "FP32", "shape": [-1]},
            {"name": "counts", "datatype": "INT64", "shape": [-1]},
            {"name": "words", "datatype": "BYTES", "shape": [-1]},
        ]

    async def get_input_types(self):
        return self._tensors()

    async def get_output_types(self):
        # No server of the protocol need know the same datatypes as another.
        return self._tensors() + [{"name": "odd", "datatype": "FP8_E5M2", "shape": [-1]}]

    async def predict(self, payload: InferRequest, headers=None) -> InferResponse:
        parameters = payload.parameters or {}
        if "fail" in parameters:
            raise InferenceError(parameters["fail"])
        outputs = []
        for tensor in payload.inputs:
            own = dict(tensor.parameters or {})
            # As the model of this name on Triton has it.
            name = "echo" if tensor.name == "value" else tensor.name
            output = InferOutput(name, tensor.shape, tensor.datatype, parameters=own)
            output.set_data_from_numpy(tensor.as_numpy())
            outputs.append(output)
        if "odd" in parameters:
            # The server looks into whatever is not empty.
            outputs.append(InferOutput("odd", [0], "FP8_E5M2", data=[]))
        return InferResponse(
            response_id=payload.id,
            model_name=self.name,
            infer_outputs=outputs,
            # It then writes those that are asked for, in the form that is asked for.
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--http-port", type=int, required=True)
    arguments = parser.parse_args()
    ModelServer(http_port=arguments.http_port, enable_grpc=False, access_log_format=None).start([Echo()])
