"""Uses a server as the HTTP examples of NVIDIA's Python client do.

The calls, their order and their arguments follow the examples that come with `tritonclient`
(simple_http_health_metadata, simple_http_infer_client, simple_http_sequence_sync_infer_client,
simple_http_model_control); only the models are others. Ends with an exception where an answer is
not the expected one.

    python python_client.py HOST:PORT
"""

import sys

import numpy as np
import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException


def health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("echo")
    assert not client.is_model_ready("wrong_model_name")

    metadata = client.get_server_metadata()
    assert metadata["name"] == "triton", metadata

    metadata = client.get_model_metadata("echo", query_params={"test_1": 1, "test_2": 2})
    assert metadata["name"] == "echo", metadata

    config = client.get_model_config("echo")
    assert config["max_batch_size"] == 64, config

    try:
        client.get_model_metadata("wrong_model_name")
    except InferenceServerException as error:
        assert "Request for unknown model" in error.message(), error
    else:
        raise AssertionError("an unknown model has metadata")


def infer(client, compression=None, binary=True):
    values = np.arange(16, dtype=np.float32).reshape(1, 16)
    inputs = [httpclient.InferInput("value", [1, 16], "FP32")]
    inputs[0].set_data_from_numpy(values, binary_data=binary)
    outputs = [httpclient.InferRequestedOutput("echo", binary_data=binary)]
    results = client.infer(
        "echo",
        inputs,
        outputs=outputs,
        request_id="1",
        query_params={"test_1": 1, "test_2": 2},
        headers={"test": "1"},
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    assert np.array_equal(results.as_numpy("echo"), values), results.get_response()
    assert results.get_response()["id"] == "1", results.get_response()

    # Without outputs the server sends all of them.
    results = client.infer("echo", inputs)
    assert np.array_equal(results.as_numpy("echo"), values), results.get_response()


def infer_asynchronously(client):
    values = np.ones((1, 4), dtype=np.float32)
    inputs = [httpclient.InferInput("value", [1, 4], "FP32")]
    inputs[0].set_data_from_numpy(values, binary_data=True)
    requests = [client.async_infer("echo", inputs) for _ in range(8)]
    for request in requests:
        assert np.array_equal(request.get_result().as_numpy("echo"), values)


def classify(client):
    inputs = [httpclient.InferInput("value", [1, 3], "FP32")]
    inputs[0].set_data_from_numpy(np.array([[1, 3, 2]], dtype=np.float32))
    outputs = [httpclient.InferRequestedOutput("echo", class_count=2)]
    results = client.infer("echo", inputs, outputs=outputs)
    classes = results.as_numpy("echo").tolist()
    assert classes == [[b"3.000000:1", b"2.000000:2"]], classes


def sequence(client, sequence_id, values):
    sums = []
    for index, value in enumerate(values):
        inputs = [httpclient.InferInput("value", [1, 1], "INT32")]
        inputs[0].set_data_from_numpy(np.full((1, 1), value, dtype=np.int32))
        outputs = [
            httpclient.InferRequestedOutput("sum"),
            httpclient.InferRequestedOutput("correlation_id"),
        ]
        result = client.infer(
            "accumulate",
            inputs,
            outputs=outputs,
            sequence_id=sequence_id,
            sequence_start=(index == 0),
            sequence_end=(index == len(values) - 1),
        )
        sums.append(int(result.as_numpy("sum")[0][0]))
        seen = result.as_numpy("correlation_id")[0][0]
        assert seen == str(sequence_id).encode(), seen
    assert sums == np.cumsum(values).tolist(), sums


def sequence_without_start(client):
    inputs = [httpclient.InferInput("value", [1, 1], "INT32")]
    inputs[0].set_data_from_numpy(np.zeros((1, 1), dtype=np.int32))
    try:
        client.infer("accumulate", inputs, sequence_id=4242)
    except InferenceServerException as error:
        assert "must specify the START flag" in error.message(), error
        assert error.status() == "400", error
    else:
        raise AssertionError("a sequence without START was served")


def statistics(client):
    entry = client.get_inference_statistics("echo")["model_stats"][0]
    assert entry["inference_stats"]["success"]["count"] > 0, entry
    names = [entry["name"] for entry in client.get_inference_statistics()["model_stats"]]
    assert "accumulate" in names, names


def model_control(client):
    client.load_model("echo")
    assert client.is_model_ready("echo")
    states = {entry["name"]: entry["state"] for entry in client.get_model_repository_index()}
    assert states["echo"] == "READY", states

    client.unload_model("echo")
    assert not client.is_model_ready("echo")
    client.load_model("echo")
    assert client.is_model_ready("echo")

    try:
        client.load_model("wrong_model_name")
    except InferenceServerException as error:
        assert "failed to load" in error.message(), error
    else:
        raise AssertionError("an unknown model was loaded")


def settings(client):
    assert client.get_trace_settings()["trace_level"] == ["OFF"]
    changed = client.update_trace_settings("echo", {"trace_rate": "7"})
    assert changed["trace_rate"] == "7", changed
    changed = client.update_log_settings({"log_verbose_level": 1})
    assert changed["log_verbose_level"] == 1, changed


def main(url):
    with httpclient.InferenceServerClient(url, concurrency=4) as client:
        health_and_metadata(client)
        infer(client)
        infer(client, binary=False)
        for compression in ("gzip", "deflate"):
            infer(client, compression)
        infer_asynchronously(client)
        classify(client)
        sequence(client, 1007, [11, 7, 5, 3, 2, 0, 1])
        sequence(client, "sensor 1007", [-11, -7, -5, -3, -2, 0, -1])
        sequence_without_start(client)
        statistics(client)
        settings(client)
        model_control(client)
    print("PASS: the Python client")


if __name__ == "__main__":
    main(sys.argv[1])
