"""A server of KServe's own kind: a model that answers each input as it came, one that adds, one that
adds and says nothing of its tensors, and one to be unloaded."""

import argparse

import numpy as np
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


def _answer(payload: InferRequest, name: str, **columns) -> InferResponse:
    outputs = []
    for column, values in columns.items():
        datatype = "INT64" if values.dtype == "int64" else "FP32"
        output = InferOutput(column, list(values.shape), datatype)
        output.set_data_from_numpy(values)
        outputs.append(output)
    return InferResponse(
        response_id=payload.id,
        model_name=name,
        infer_outputs=outputs,
        use_binary_outputs=payload.use_binary_outputs,
        requested_outputs=payload.request_outputs,
    )


class Sums(Model):
    """Adds two numbers of each row, and tells how many rows came with it."""

    def __init__(self):
        super().__init__("sums")
        self.ready = True

    async def get_input_types(self):
        return [{"name": name, "datatype": "FP32", "shape": [-1]} for name in ["x", "y"]]

    async def get_output_types(self):
        return [
            {"name": "sum", "datatype": "FP32", "shape": [-1]},
            {"name": "rows", "datatype": "INT64", "shape": [-1]},
        ]

    async def predict(self, payload: InferRequest, headers=None) -> InferResponse:
        columns = {tensor.name: tensor.as_numpy().reshape(-1) for tensor in payload.inputs}
        x, y = columns["x"], columns["y"]
        if (x < 0).any():
            raise InferenceError("x must not be negative")
        rows = np.full(len(x), len(x), dtype="int64")
        return _answer(payload, self.name, sum=x + y, rows=rows)


class Bare(Model):
    """Says nothing of its tensors, as models do that come with the server."""

    def __init__(self):
        super().__init__("bare")
        self.ready = True

    async def predict(self, payload: InferRequest, headers=None) -> InferResponse:
        columns = [tensor.as_numpy() for tensor in payload.inputs]
        # As scikit-learn and XGBoost want it: a row for each, and its features beside each other.
        if any(column.ndim != 2 for column in columns):
            raise InferenceError(f"expected 2 dimensions, found {[column.shape for column in columns]}")
        features = np.concatenate(columns, axis=1)
        rows = np.full(len(features), len(features), dtype="int64")
        return _answer(payload, self.name, sum=features.sum(axis=1), rows=rows)


class Spare(Model):
    """Nobody calls it: it is there to be unloaded, after which this server cannot load it."""

    def __init__(self):
        super().__init__("spare")
        self.ready = True


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--http-port", type=int, required=True)
    arguments = parser.parse_args()
    ModelServer(http_port=arguments.http_port, enable_grpc=False, access_log_format=None).start(
        [Echo(), Sums(), Bare(), Spare()]
    )
