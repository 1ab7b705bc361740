//! What servers other than Triton send and are sent: absent and `null` members, versions as numbers,
//! datatypes that nobody else has, parameters of tensors.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use triton_protocol::{
    CudaRegionStatus, Datatype, InferRequest, InferResponse, LogFormat, LogSettings, ModelConfig,
    ModelMetadata, ModelState, ModelStatistics, Parameter, RepositoryEntry, RequestedOutput,
    ServerMetadata, SharedMemory, SystemRegionStatus, Tensor, TensorError, TensorFormat,
    TensorMetadata, TraceSettings,
};

fn read<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn response(json: &'static str) -> InferResponse {
    InferResponse::decode(bytes::Bytes::from_static(json.as_bytes()), None).unwrap()
}

#[test]
fn an_optional_member_may_be_absent_or_null() {
    for json in [
        r#"{"name":"s"}"#,
        r#"{"name":"s","version":null,"extensions":null}"#,
    ] {
        let server: ServerMetadata = read(json);
        assert_eq!((server.version.as_str(), server.extensions.len()), ("", 0));
    }
    for json in [
        r#"{"name":"m"}"#,
        r#"{"name":"m","versions":null,"platform":null,"inputs":null,"outputs":null,"parameters":null}"#,
    ] {
        let model: ModelMetadata = read(json);
        assert_eq!((model.platform.as_str(), model.versions.len()), ("", 0));
        assert!(model.inputs.is_empty() && model.outputs.is_empty());
    }
    let model: ModelMetadata = read(
        r#"{"name":"m","inputs":[{"name":"x","datatype":"INT8","shape":[1],"parameters":null}]}"#,
    );
    assert!(model.inputs[0].parameters.is_empty());
    for json in [
        r#"{"name":"m"}"#,
        r#"{"name":"m","version":null,"state":null,"reason":null}"#,
    ] {
        let entry: RepositoryEntry = read(json);
        assert_eq!((entry.version.as_str(), entry.state), ("", None));
    }
    for json in [
        r#"{"outputs":[]}"#,
        r#"{"id":null,"model_name":null,"model_version":null,"parameters":null,"outputs":[]}"#,
    ] {
        let response = response(json);
        assert_eq!((response.id, response.model_version), (None, String::new()));
    }
    let response = response(
        r#"{"outputs":[{"name":"x","datatype":"INT8","shape":[1],"parameters":null,"data":[7]}]}"#,
    );
    assert_eq!(*response.output("x").unwrap().values::<i8>().unwrap(), [7]);
}

#[test]
fn a_version_may_be_a_number() {
    let model: ModelMetadata = read(r#"{"name":"m","versions":[1,"v2",null]}"#);
    assert_eq!(model.versions, ["1", "v2", ""]);
    let entry: RepositoryEntry = read(r#"{"name":"m","version":3,"state":"READY"}"#);
    assert_eq!(
        (entry.version.as_str(), entry.state),
        ("3", Some(ModelState::Ready))
    );
    assert_eq!(
        response(r#"{"model_version":4,"outputs":[]}"#).model_version,
        "4"
    );
    let server: ServerMetadata = read(r#"{"name":"s","version":1.5}"#);
    assert_eq!(server.version, "1.5");
}

#[test]
fn an_unknown_datatype_spoils_neither_metadata_nor_the_other_outputs() {
    let model: ModelMetadata = read(
        r#"{"name":"m","outputs":[
            {"name":"odd","datatype":"FP8_E5M2","shape":[2]},
            {"name":"even","datatype":"INT8","shape":[2],"parameters":{"content_type":"np","x":{}}}]}"#,
    );
    assert_eq!(model.outputs[0].datatype.name(), "FP8_E5M2");
    assert!(matches!(model.outputs[0].datatype, Datatype::Other(_)));
    let parameters = &model.outputs[1].parameters;
    assert_eq!(
        *parameters,
        BTreeMap::from([("content_type".to_owned(), "np".into())])
    );

    let json = r#"{"outputs":[
        {"name":"odd","datatype":"FP8_E5M2","shape":[2],"data":[1,"x"]},
        {"name":"even","datatype":"INT8","shape":[2],"data":[1,2]},
        {"name":"last","data":[{}],"shape":[1],"datatype":"a\u0007 a longer name than all-the-protocol-has"}]}"#;
    let answer = response(json);
    assert_eq!(
        *answer.output("even").unwrap().values::<i8>().unwrap(),
        [1, 2]
    );
    let error = answer.output("odd").unwrap_err();
    assert!(matches!(error, TensorError::UnknownDatatype { .. }));
    insta::assert_snapshot!(error, @"tensor 'odd': its datatype FP8_E5M2 is none of the protocol's, so it cannot be read");
    insta::assert_snapshot!(answer.output("last").unwrap_err(), @r"tensor 'last': its datatype a\u{7} a longer name than  is none of the protocol's, so it cannot be read");

    let asked = |output: &str| InferRequest::new("m".parse().unwrap()).output(output);
    assert_eq!(answer.missing(&asked("even")), None);
    insta::assert_snapshot!(answer.missing(&asked("odd")).unwrap(), @"the output 'odd' that was asked for came as FP8_E5M2, which is none of the protocol's datatypes, so it cannot be read");
}

#[test]
fn an_unknown_datatype_in_binary_form_leaves_the_other_outputs_in_their_places() {
    let json = r#"{"outputs":[
        {"name":"odd","datatype":"FP4","shape":[3],"parameters":{"binary_data_size":2}},
        {"name":"even","datatype":"INT8","shape":[2],"parameters":{"binary_data_size":2}}]}"#;
    let body = [json.as_bytes(), b"ab\x05\x06"].concat();
    let answer = InferResponse::decode(body.into(), Some(json.len())).unwrap();
    assert_eq!(
        *answer.output("even").unwrap().values::<i8>().unwrap(),
        [5, 6]
    );
    assert_eq!(answer.unread[0].name, "odd");
}

#[test]
fn a_tensor_of_an_unknown_datatype_cannot_be_made() {
    let model: ModelMetadata =
        read(r#"{"name":"m","inputs":[{"name":"x","datatype":"FP4","shape":[1]}]}"#);
    let made = Tensor::from_raw("x", model.inputs[0].datatype, [1], vec![0].into());
    assert!(matches!(made, Err(TensorError::UnknownDatatype { .. })));
}

#[test]
fn tensors_carry_parameters_in_both_directions() {
    let words = Tensor::from_byte_strings("words", [1], ["a"])
        .unwrap()
        .with_parameter("content_type", "str")
        .with_parameter("level", 3);
    let request = InferRequest::new("m".parse().unwrap())
        .input(words.clone())
        .output(RequestedOutput::new("y").parameter("content_type", "pd"));
    let body = |format| request.encode(format).unwrap().into_bytes();
    insta::assert_snapshot!(
        String::from_utf8_lossy(&body(TensorFormat::Json)),
        @r#"{"inputs":[{"name":"words","shape":[1],"datatype":"BYTES","parameters":{"content_type":"str","level":3},"data":["a"]}],"outputs":[{"name":"y","parameters":{"content_type":"pd"}}]}"#
    );
    insta::assert_snapshot!(
        String::from_utf8_lossy(&body(TensorFormat::Binary)).escape_debug().to_string(),
        @r#"{\"inputs\":[{\"name\":\"words\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":5,\"content_type\":\"str\",\"level\":3}}],\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":true,\"content_type\":\"pd\"}}]}\u{1}\0\0\0a"#
    );

    let answer = response(
        r#"{"outputs":[{"name":"words","shape":[1],"datatype":"BYTES","parameters":{"content_type":"str","level":3,"odd":[1]},"data":["a"]}]}"#,
    );
    assert_eq!(answer.output("words").unwrap(), &words);
    assert_ne!(
        answer.output("words").unwrap(),
        &words.with_parameter("level", 4)
    );
}

#[test]
fn a_parameter_that_says_how_a_tensor_travels_is_refused() {
    let refused = |name: &str, value: Parameter| {
        let tensor = Tensor::from_slice("x", [1], &[1_i8])
            .unwrap()
            .with_parameter(name, value);
        let request = InferRequest::new("m".parse().unwrap()).input(tensor);
        request.encode(TensorFormat::Binary).unwrap_err()
    };
    insta::assert_snapshot!(refused("binary_data_size", 3.into()), @"parameter 'binary_data_size' cannot be sent: its name says how the tensor travels, which is for the client to say; it is one of input 'x'");
    insta::assert_snapshot!(refused("scale", f64::NAN.into()), @"parameter 'scale' cannot be sent: its value is no finite number; it is one of input 'x'");
}

/// `cargo xtask features` runs this with the feature `arbitrary_precision` of serde_json as well,
/// which any crate of a program can turn on for all of them.
#[test]
fn numbers_are_read_however_serde_json_keeps_them() {
    let parameters =
        r#"{"half":0.5,"whole":-3,"large":18446744073709551615,"huge":1e30,"more":{"a":1}}"#;
    let expected = BTreeMap::from([
        ("half".to_owned(), Parameter::Double(0.5)),
        ("whole".to_owned(), Parameter::Integer(-3)),
        ("large".to_owned(), Parameter::Unsigned(u64::MAX)),
        ("huge".to_owned(), Parameter::Double(1e30)),
    ]);
    let json = format!(
        r#"{{"model_version":1.5,"id":7,"model_name":8,"parameters":{parameters},"outputs":[
            {{"name":"x","datatype":"FP64","shape":[1],"parameters":{parameters},"data":[0.1]}}]}}"#
    );
    let answer = InferResponse::decode(json.into(), None).unwrap();
    assert_eq!(answer.model_version, "1.5");
    assert_eq!(
        (answer.id.as_deref(), answer.model_name.as_str()),
        (Some("7"), "8")
    );
    assert_eq!(answer.parameters, expected);
    let tensor = answer.output("x").unwrap();
    assert_eq!(*tensor.parameters(), expected);
    assert_eq!(*tensor.values::<f64>().unwrap(), [0.1]);
    let metadata =
        format!(r#"{{"name":"x","datatype":"INT8","shape":[-1,2],"parameters":{parameters}}}"#);
    let metadata: TensorMetadata = read(&metadata);
    assert_eq!(
        (metadata.parameters, metadata.shape),
        (expected, vec![-1, 2])
    );
    let server: ServerMetadata = read(r#"{"name":"s","version":1.5}"#);
    assert_eq!(server.version, "1.5");
    for (json, value) in [
        ("1.5", Parameter::Double(1.5)),
        ("7", Parameter::Integer(7)),
    ] {
        assert_eq!(read::<Parameter>(json), value);
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
    }
    insta::assert_snapshot!(serde_json::from_str::<Parameter>(r#"{"a":1}"#).unwrap_err(), @"expected a truth value, a number or a text, found a map at line 1 column 7");
    insta::assert_snapshot!(serde_json::from_str::<Parameter>("[1]").unwrap_err(), @"invalid type: sequence, expected a truth value, a number or a text at line 1 column 1");
    insta::assert_snapshot!(serde_json::from_str::<ServerMetadata>(r#"{"version":{"a":1}}"#).unwrap_err(), @"invalid type: map, expected a text or a number at line 1 column 18");
}

#[test]
fn a_parameter_without_quotes_that_is_not_finite_is_a_number() {
    let answer =
        response(r#"{"parameters":{"a":NaN,"b":-Infinity,"c":"NaN","d":[NaN]},"outputs":[]}"#);
    assert!(matches!(answer.parameters["a"], Parameter::Double(value) if value.is_nan()));
    assert_eq!(answer.parameters["b"], Parameter::Double(f64::NEG_INFINITY));
    assert_eq!(answer.parameters["c"], "NaN".into());
    assert_eq!(answer.parameters.len(), 3);
}

#[test]
fn settings_may_be_absent_null_or_numbers() {
    for json in [
        "{}",
        r#"{"trace_level":null,"trace_rate":null,"trace_count":null,"log_frequency":null,
            "trace_file":null,"trace_mode":null}"#,
    ] {
        let trace: TraceSettings = read(json);
        assert_eq!((trace.rate, trace.count, trace.log_frequency), (0, -1, 0));
        assert_eq!((trace.file.as_str(), trace.levels.len()), ("", 0));
    }
    for json in [
        r#"{"trace_rate":1000,"trace_count":-1,"log_frequency":5,"more":0.5}"#,
        r#"{"trace_rate":"1000","trace_count":"-1","log_frequency":"5","more":0.5}"#,
    ] {
        let trace: TraceSettings = read(json);
        assert_eq!(
            (trace.rate, trace.count, trace.log_frequency),
            (1000, -1, 5)
        );
        assert_eq!(trace.others["more"], 0.5);
    }
    let fault = serde_json::from_str::<TraceSettings>(r#"{"trace_rate":"often"}"#).unwrap_err();
    insta::assert_snapshot!(fault, @"expected a number, found 'often': invalid digit found in string at line 1 column 22");
    for json in [
        "{}",
        r#"{"log_file":null,"log_info":null,"log_warning":null,"log_error":null,
            "log_verbose_level":null,"log_format":null}"#,
    ] {
        let log: LogSettings = read(json);
        assert_eq!(
            (log.file.as_str(), log.info, log.verbose_level),
            ("", false, 0)
        );
        assert_eq!(log.format, LogFormat::Default);
    }
    let log: LogSettings = read(r#"{"log_verbose_level":"2","log_format":"ISO8601"}"#);
    assert_eq!((log.verbose_level, log.format), (2, LogFormat::Iso8601));
}

#[test]
fn statistics_and_configurations_may_be_absent_null_or_numbers() {
    let null: ModelStatistics = read(
        r#"{"name":"m","version":null,"last_inference":null,"inference_count":null,
            "execution_count":null,"inference_stats":null,"response_stats":null,"batch_stats":null,
            "memory_usage":null}"#,
    );
    assert_eq!(null, read(r#"{"name":"m"}"#));
    let one: ModelStatistics = read(
        r#"{"name":"m","version":1,"inference_stats":{"success":null,"fail":{"count":null,"ns":3}},
            "batch_stats":[{"batch_size":null,"compute_infer":null}],
            "response_stats":{"0":{"cancel":null}},
            "memory_usage":[{"type":null,"id":null,"byte_size":null}]}"#,
    );
    assert_eq!(one.version, "1");
    assert_eq!(one.inference_stats.fail.ns, 3);
    let config: ModelConfig = read(
        r#"{"name":"m","backend":null,"sequence_batching":{"max_sequence_idle_microseconds":null}}"#,
    );
    let idle = config.sequence_batching.unwrap().max_sequence_idle();
    assert_eq!(idle, Duration::ZERO);
    let server: ServerMetadata = read(r#"{"extensions":["a",1]}"#);
    assert_eq!((server.name.as_str(), server.extensions.len()), ("", 2));
    let other = serde_json::from_str::<ServerMetadata>(r#"{"status":"ok"}"#);
    insta::assert_snapshot!(other.unwrap_err(), @"missing field `name`");
    for shape in ["", r#","shape":null"#] {
        let json = format!(r#"{{"name":7,"datatype":"FP4"{shape}}}"#);
        let tensor: TensorMetadata = read(&json);
        assert_eq!((tensor.name.as_str(), tensor.shape.len()), ("7", 0));
    }
    let region: SystemRegionStatus = read(r#"{"name":"r","key":null,"offset":null}"#);
    assert_eq!((region.key.as_str(), region.byte_size), ("", 0));
    let region: CudaRegionStatus = read(r#"{"name":"r","device_id":"1"}"#);
    assert_eq!((region.device_id, region.byte_size), (1, 0));
}

#[test]
fn nothing_about_an_unknown_datatype_spoils_the_answer() {
    for members in [
        "",
        r#","shape":[2]"#,
        r#","shape":[2],"data":null"#,
        r#","shape":null,"data":[1]"#,
        r#","shape":[-1],"data":[1]"#,
        r#","shape":"two","data":{}"#,
        r#","shape":[2],"parameters":{"shared_memory_region":"r","shared_memory_byte_size":-1}"#,
    ] {
        let json = format!(
            r#"{{"outputs":[{{"name":"odd","datatype":"FP4"{members}}},
                {{"name":"even","datatype":"INT8","shape":[1],"data":[7]}}]}}"#
        );
        let request = InferRequest::new("m".parse().unwrap()).output("odd");
        let in_memory = RequestedOutput::new("odd").shared_memory(SharedMemory::new("r", 1));
        let shared = InferRequest::new("m".parse().unwrap()).output(in_memory);
        for request in [request, shared] {
            let answer = InferResponse::decode_for(&request, json.clone().into(), None);
            let answer = answer.unwrap_or_else(|error| panic!("{members}: {error}"));
            let even = answer.output("even").unwrap();
            assert_eq!(*even.values::<i8>().unwrap(), [7]);
            assert_eq!(answer.unread[0].name, "odd");
        }
    }
}
