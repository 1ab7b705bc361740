"""What `cargo xtask bench --of command` measures `triton predict` beside, and what makes its Parquet.

It reads a job, an object of JSON, from each line of the standard input, and answers each line with an
object: the nanoseconds of processor time that the job took, in user mode and in the kernel, or what was
asked for. So nothing of the start of an interpreter is measured.
"""

import json
import os
import sys
import time

import duckdb
import numpy
import pyarrow
import pyarrow.compute
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
import tritonclient.http as http

# As in the output of the command: rows of a row group, and the codec.
ROWS_OF_A_GROUP = 128 * 1024
CODEC = "snappy"


def read(job):
    path, form = job["input"], job["format"]
    if form == "csv":
        return pyarrow.csv.read_csv(path)
    if form == "ndjson":
        return pyarrow.json.read_json(path)
    return pyarrow.parquet.read_table(path)


def write(table, job):
    path, form = job["output"], job["format"]
    if form == "csv":
        pyarrow.csv.write_csv(table, path)
    elif form == "ndjson":
        with open(path, "w") as file:
            for row in table.to_pylist():
                file.write(json.dumps(row) + "\n")
    else:
        pyarrow.parquet.write_table(table, path, compression=CODEC, row_group_size=ROWS_OF_A_GROUP)


def loop(job):
    """The ten lines that one writes who has no such command."""
    client = http.InferenceServerClient(job["endpoint"].removeprefix("http://"))
    table = read(job)
    answers = []
    for batch in table.to_batches(max_chunksize=job["batch"]):
        column = batch.column("v0")
        is_list = pyarrow.types.is_list(column.type)
        values = column.flatten() if is_list else column
        values = values.to_numpy(zero_copy_only=False).astype(numpy.float32, copy=False)
        tensor = http.InferInput("v0", [len(batch), len(values) // len(batch)], "FP32")
        tensor.set_data_from_numpy(values.reshape(tensor.shape()))
        answer = pyarrow.array(client.infer(job["model"], [tensor]).as_numpy("e0").ravel())
        if is_list:
            offsets = pyarrow.compute.subtract(column.offsets, column.offsets[0])
            answer = pyarrow.ListArray.from_arrays(offsets, answer)
        answers.append(answer)
    write(table.append_column("e0", pyarrow.chunked_array(answers)), job)
    client.close()


def reading(job):
    read(job)


def duckdb_copy(job):
    """Reads the file and writes it again, on one thread, with no model in between."""
    form = job["format"]
    of = {"csv": "read_csv", "ndjson": "read_json", "parquet": "read_parquet"}[form]
    how = {"csv": "csv, header", "ndjson": "json", "parquet": f"parquet, compression {CODEC}"}[form]
    with duckdb.connect() as database:
        database.execute("SET threads = 1")
        database.execute(f"COPY (SELECT * FROM {of}('{job['input']}')) TO '{job['output']}' (FORMAT {how})")


def parquet_of(job):
    """Makes the input: whole steps of a fraction, so that every format holds them as they are."""
    rows, elements = job["rows"], job["elements"]
    mixed = numpy.arange(rows * elements, dtype=numpy.uint64) * 2654435761 & 0xFFFFFFFF
    values = ((mixed >> 8).astype(numpy.float64) / (1 << 24)).astype(numpy.float32)
    column = pyarrow.array(values)
    if elements > 1:
        offsets = numpy.arange(0, rows * elements + 1, elements, dtype=numpy.int32)
        column = pyarrow.ListArray.from_arrays(pyarrow.array(offsets), column)
    table = pyarrow.table({"v0": column})
    # Groups of a size that both of the readers can hold.
    group = max(1, min(ROWS_OF_A_GROUP, 16 * 1024 * 1024 // elements))
    pyarrow.parquet.write_table(table, job["output"], compression=CODEC, row_group_size=group)


def about(job):
    """What was written: the rows, whether each answer is its value, and how it lies in the file."""
    job = {**job, "input": job["output"]}
    table = read(job)
    same = table["v0"].equals(table["e0"].cast(table["v0"].type))
    found = {"rows": len(table), "same": same, "bytes": os.path.getsize(job["output"])}
    if job["format"] == "parquet":
        chunk = pyarrow.parquet.ParquetFile(job["output"]).metadata.row_group(0).column(1)
        found["codec"] = chunk.compression
        found["encodings"] = sorted(set(chunk.encodings))
    return found


def main():
    # One thread, as each of the others has for its work.
    pyarrow.set_cpu_count(1)
    jobs = {
        "loop": loop,
        "reading": reading,
        "duckdb": duckdb_copy,
        "parquet": parquet_of,
        "about": about,
    }
    for line in sys.stdin:
        job = json.loads(line)
        before = time.process_time_ns()
        found = jobs[job["job"]](job)
        spent = time.process_time_ns() - before
        print(json.dumps({"nanoseconds": spent, **(found or {})}), flush=True)


main()
