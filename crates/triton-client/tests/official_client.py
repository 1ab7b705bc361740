"""Sends tensors with NVIDIA's Python client and prints what came back, byte for byte.

Reads from standard input {"url": …, "cases": [{"name", "datatype", "shape", "hex",
"binary", "compression"}]} and prints a list with the output of each case in hexadecimal.
"""

import json
import sys

import numpy as np
import tritonclient.http as http
from tritonclient import utils


def to_numpy(datatype, shape, data):
    if datatype == "BYTES":
        values = utils.deserialize_bytes_tensor(data)
    elif datatype == "BF16":
        values = utils.deserialize_bf16_tensor(data)
    else:
        values = np.frombuffer(data, utils.triton_to_np_dtype(datatype))
    return values.reshape(shape)


def to_bytes(datatype, values):
    if datatype == "BYTES":
        return utils.serialize_byte_tensor(values).item()
    if datatype == "BF16":
        return utils.serialize_bf16_tensor(values).item()
    return values.tobytes()


def run(client, case):
    datatype, shape, name = case["datatype"], case["shape"], case["name"]
    binary, compression = case["binary"], case["compression"]
    tensor = http.InferInput("in_" + name, shape, datatype)
    values = to_numpy(datatype, shape, bytes.fromhex(case["hex"]))
    tensor.set_data_from_numpy(values, binary_data=binary)
    result = client.infer(
        "every_datatype",
        [tensor],
        outputs=[http.InferRequestedOutput("out_" + name, binary_data=binary)],
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    return to_bytes(datatype, result.as_numpy("out_" + name)).hex()


def main():
    request = json.load(sys.stdin)
    client = http.InferenceServerClient(request["url"])
    print(json.dumps([run(client, case) for case in request["cases"]]))


main()
