//! Every type of a column, to a model and back.

use triton_embedded::{
    DataType, EmbeddedTriton, Model, ModelConfig, ModelError, ModelRequest, Tensor,
};

use crate::cluster::Cluster;

/// Gives back what it gets, whatever its type.
struct Mirror;

const TENSORS: [(&str, DataType, &[i64]); 12] = [
    ("a_boolean", DataType::Bool, &[1]),
    ("a_tinyint", DataType::Int8, &[1]),
    ("a_smallint", DataType::Int16, &[1]),
    ("an_int", DataType::Int32, &[1]),
    ("a_bigint", DataType::Int64, &[1]),
    ("a_float", DataType::Fp32, &[1]),
    ("a_double", DataType::Fp64, &[1]),
    ("a_string", DataType::Bytes, &[1]),
    ("some_bytes", DataType::Bytes, &[1]),
    ("floats", DataType::Fp32, &[-1]),
    ("words", DataType::Bytes, &[-1]),
    ("matrix", DataType::Int64, &[-1, -1]),
];

impl Model for Mirror {
    type State = ();

    fn config(&self) -> ModelConfig {
        let config = ModelConfig::new("mirror").max_batch_size(4);
        TENSORS
            .iter()
            .fold(config, |config, (name, datatype, dims)| {
                config.input(*name, *datatype, dims.to_vec()).output(
                    *name,
                    *datatype,
                    dims.to_vec(),
                )
            })
    }

    fn execute(&self, request: &ModelRequest, (): &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let tensors = TENSORS
            .iter()
            .map(|(name, ..)| request.input(name).cloned());
        tensors.collect()
    }
}

#[tokio::test]
async fn every_type_survives_the_way_to_the_model_and_back() {
    let server = EmbeddedTriton::builder().model(Mirror).start().unwrap();
    let columns = [
        ("a_boolean", "BOOLEAN"),
        ("a_tinyint", "TINYINT"),
        ("a_smallint", "SMALLINT"),
        ("an_int", "INT"),
        ("a_bigint", "BIGINT"),
        ("a_float", "FLOAT"),
        ("a_double", "DOUBLE"),
        ("a_string", "STRING"),
        ("some_bytes", "BYTES"),
        ("floats", "ARRAY<FLOAT>"),
        ("words", "ARRAY<STRING>"),
        ("matrix", "ARRAY<ARRAY<BIGINT>>"),
    ];
    let list = |column: &dyn Fn(&str, &str) -> String| {
        let columns = columns
            .iter()
            .map(|(name, data_type)| column(name, data_type));
        columns.collect::<Vec<_>>().join(", ")
    };
    let sql = format!(
        "CREATE TEMPORARY VIEW given AS SELECT
           TRUE AS a_boolean, CAST(-128 AS TINYINT) AS a_tinyint, CAST(-32768 AS SMALLINT) AS a_smallint,
           -2147483648 AS an_int, CAST(9007199254740993 AS BIGINT) AS a_bigint,
           CAST(0.1 AS FLOAT) AS a_float, CAST(-1e300 AS DOUBLE) AS a_double,
           -- Longer than any buffer is at first.
           CAST(REPEAT('käse ', 50000) AS STRING) AS a_string,
           CAST(x'00ff' AS BYTES) AS some_bytes,
           ARRAY[CAST(1.5 AS FLOAT), CAST(-2.5 AS FLOAT)] AS floats,
           ARRAY[CAST('a' AS STRING), CAST('' AS STRING)] AS words,
           ARRAY[ARRAY[CAST(1 AS BIGINT), CAST(2 AS BIGINT)], ARRAY[CAST(3 AS BIGINT), CAST(4 AS BIGINT)]] AS matrix;
         CREATE MODEL mirror INPUT ({}) OUTPUT ({}) WITH (
           'provider' = 'triton', 'endpoint' = '{}', 'model-name' = 'mirror', 'output-names' = '{}');
         SELECT out_a_boolean, out_a_tinyint, out_a_smallint, out_an_int, out_a_bigint, out_a_float,
           out_a_double, out_a_string = a_string AS same, CHAR_LENGTH(out_a_string) AS length,
           out_some_bytes, out_floats, out_words, out_matrix
         FROM ML_PREDICT(TABLE given, MODEL mirror, DESCRIPTOR({}));",
        list(&|name, data_type| format!("{name} {data_type}")),
        list(&|name, data_type| format!("out_{name} {data_type}")),
        server.endpoint(),
        list(&|name, _| format!("out_{name}:{name}")).replace(", ", ","),
        list(&|name, _| name.to_owned()),
    );
    let output = Cluster::shared().await.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);
    let rows: Vec<String> = output.rows().iter().map(|row| row.join(" | ")).collect();
    insta::assert_snapshot!(rows.join("\n"), @"TRUE | -128 | -32768 | -2147483648 | 9007199254740993 | 0.1 | -1.0E300 | TRUE | 250000 | x'00ff' | [1.5, -2.5] | [a, ] | [[1, 2], [3, 4]]");
}

#[tokio::test]
async fn arguments_of_other_types_are_converted_where_nothing_is_lost_and_refused_otherwise() {
    let server = EmbeddedTriton::builder()
        .model(Mirror)
        .built_in_models()
        .start()
        .unwrap();
    let sql = format!(
        "CREATE TEMPORARY VIEW given AS SELECT
           TRUE AS a_boolean, CAST(-128 AS TINYINT) AS a_tinyint, CAST(-128 AS TINYINT) AS a_smallint,
           CAST(-32768 AS SMALLINT) AS an_int, -2147483648 AS a_bigint, CAST(-32768 AS SMALLINT) AS a_float,
           2147483647 AS a_double, 'text' AS a_string, x'00ff' AS some_bytes,
           ARRAY[CAST(1 AS SMALLINT), CAST(NULL AS SMALLINT)] AS with_null,
           ARRAY[CAST(1 AS TINYINT), CAST(-2 AS TINYINT)] AS floats, ARRAY['a', ''] AS words,
           ARRAY[ARRAY[1, 2], ARRAY[3, 4]] AS matrix,
           ARRAY[1, 2] AS ints, ARRAY[CAST(1 AS BIGINT)] AS longs, ARRAY[1.5] AS decimals;
         CREATE MODEL mirror INPUT (a_boolean BOOLEAN, a_tinyint TINYINT, a_smallint SMALLINT, an_int INT,
             a_bigint BIGINT, a_float FLOAT, a_double DOUBLE, a_string STRING, some_bytes BYTES,
             floats ARRAY<FLOAT>, words ARRAY<STRING>, matrix ARRAY<ARRAY<BIGINT>>)
           OUTPUT (a SMALLINT, b INT, c BIGINT, d FLOAT, e DOUBLE, f STRING, g BYTES, h ARRAY<FLOAT>,
             i ARRAY<STRING>, j ARRAY<ARRAY<BIGINT>>)
           WITH ('provider' = 'triton', 'endpoint' = '{endpoint}', 'model-name' = 'mirror',
             'output-names' = 'a:a_smallint,b:an_int,c:a_bigint,d:a_float,e:a_double,f:a_string,g:some_bytes,h:floats,i:words,j:matrix');
         SELECT a, b, c, d, e, f, g, h, i, j FROM ML_PREDICT(TABLE given, MODEL mirror,
           DESCRIPTOR(a_boolean, a_tinyint, a_smallint, an_int, a_bigint, a_float, a_double, a_string,
             some_bytes, floats, words, matrix));
         CREATE MODEL e INPUT (`value` ARRAY<FLOAT>) OUTPUT (echo ARRAY<FLOAT>)
           WITH ('provider' = 'triton', 'endpoint' = '{endpoint}', 'model-name' = 'echo');
         SET 'pipeline.object-reuse' = 'true';
         CREATE TABLE twos (x INT) WITH ('connector' = 'datagen', 'number-of-rows' = '1',
           'fields.x.min' = '2', 'fields.x.max' = '2');
         CREATE TEMPORARY VIEW made AS SELECT ARRAY_DISTINCT(ARRAY[CAST(x AS FLOAT)]) AS xs FROM twos;
         SELECT echo FROM ML_PREDICT(TABLE made, MODEL e, DESCRIPTOR(xs), MAP['async', 'false']);
         SELECT echo FROM ML_PREDICT(TABLE given, MODEL e, DESCRIPTOR(ints));
         SELECT echo FROM ML_PREDICT(TABLE given, MODEL e, DESCRIPTOR(longs));
         SELECT echo FROM ML_PREDICT(TABLE given, MODEL e, DESCRIPTOR(decimals));
         SELECT echo FROM ML_PREDICT(TABLE given, MODEL e, DESCRIPTOR(with_null));",
        endpoint = server.endpoint(),
    );
    let output = Cluster::shared().await.run(&sql).await;
    let rows: Vec<String> = output.rows().iter().map(|row| row.join(" | ")).collect();
    insta::assert_snapshot!(rows.join("\n"), @"
    -128 | -32768 | -2147483648 | -32768.0 | 2.147483647E9 | text | x'00ff' | [1.0, -2.0] | [a, ] | [[1, 2], [3, 4]]
    [2.0]
    ");
    insta::assert_snapshot!(output.errors().join("\n"), @"
    org.apache.flink.table.api.ValidationException: INPUT column 'value' is ARRAY<FLOAT>, and the query gives it ARRAY<INT NOT NULL>, of which not every value is one: write CAST(... AS ARRAY<FLOAT>) for its column in the table or view that ML_PREDICT reads
    org.apache.flink.table.api.ValidationException: INPUT column 'value' is ARRAY<FLOAT>, and the query gives it ARRAY<BIGINT NOT NULL>, of which not every value is one: write CAST(... AS ARRAY<FLOAT>) for its column in the table or view that ML_PREDICT reads
    org.apache.flink.table.api.ValidationException: INPUT column 'value' is ARRAY<FLOAT>, and the query gives it ARRAY<DECIMAL(2, 1) NOT NULL>, of which not every value is one: write CAST(... AS ARRAY<FLOAT>) for its column in the table or view that ML_PREDICT reads
    triton.flink.TritonException: triton.flink.TritonException: row 0 (value = [1, NULL]), subtask 0 of 1, attempt 0: column 'value': expected FLOAT, found NULL
    ");
}
