//! The whole table of what is asked for, what a model wants and what a server takes.

use serde_json::json;
use triton_options::TritonOptions;

use super::*;

fn control(name: &str, data_type: &str) -> serde_json::Value {
    let control = json!([{"kind": "CONTROL_SEQUENCE_CORRID", "data_type": data_type}]);
    json!({"name": name, "backend": "python", "sequence_batching": {
        "control_input": [{"name": "CORRID", "control": control}],
    }})
}

fn model(data_types: &[&str]) -> ModelConfig {
    let read = |config| serde_json::from_value::<ModelConfig>(config).unwrap();
    match data_types {
        [] => read(json!({"name": "m", "backend": "python", "sequence_batching": {}})),
        [one] => read(control("m", one)),
        several => {
            let mut ensemble = read(json!({"name": "m", "platform": "ensemble"}));
            let steps = several.iter().enumerate();
            let steps = steps.map(|(step, one)| read(control(&format!("step{step}"), one)));
            ensemble.steps = steps.collect();
            ensemble
        }
    }
}

fn server(version: &str) -> ServerMetadata {
    let server = json!({"name": "triton", "version": version, "extensions": ["sequence"]});
    serde_json::from_value(server).unwrap()
}

fn said(result: Result<SequenceIdForm, Error>) -> String {
    match result {
        Ok(form) => form.to_string(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Mismatch);
            format!("refused: {error}")
        }
    }
}

// Holds S56.
#[test]
fn every_control_and_server_has_a_form_or_a_reason() {
    let rows = [
        (&[][..], "2.51.0"),
        (&[], "2.44.0"),
        (&[], "not known"),
        (&["TYPE_UINT64"], "2.51.0"),
        (&["TYPE_INT64"], "2.51.0"),
        (&["TYPE_UINT32"], "2.44.0"),
        (&["TYPE_INT32"], "not known"),
        (&["TYPE_STRING"], "2.51.0"),
        (&["TYPE_FP32"], "2.51.0"),
        (&["TYPE_UINT64", "TYPE_INT32", "TYPE_UINT32"], "2.51.0"),
        (&["TYPE_INT64", "TYPE_STRING"], "2.51.0"),
    ];
    let mut table = String::new();
    for (controls, version) in rows {
        let known = (version != "not known").then(|| server(version));
        for asked in [
            SequenceIdType::Auto,
            SequenceIdType::Text,
            SequenceIdType::Number,
        ] {
            let form = SequenceIdForm::agree(asked, &model(controls), known.as_ref());
            let controls = controls.join(" + ");
            table += &format!("{asked:?}, [{controls}], {version}: {}\n", said(form));
        }
    }
    insta::assert_snapshot!(table, @"
    Auto, [], 2.51.0: text, because no control input of the model has them handed over
    Text, [], 2.51.0: text, because 'sequence-id-type' is 'text'
    Number, [], 2.51.0: numbers of 63 bits, because 'sequence-id-type' is 'number'
    Auto, [], 2.44.0: numbers of 63 bits, because Triton 2.44.0 takes no text for models in Python
    Text, [], 2.44.0: refused: 'sequence-id-type' is 'text', but Triton 2.44.0 refuses text as the sequence ID of a model in Python, and 'm' is one: leave 'sequence-id-type' out for numbers, or use a server from 2.45 on
    Number, [], 2.44.0: numbers of 63 bits, because 'sequence-id-type' is 'number'
    Auto, [], not known: text, because no control input of the model has them handed over
    Text, [], not known: text, because 'sequence-id-type' is 'text'
    Number, [], not known: numbers of 63 bits, because 'sequence-id-type' is 'number'
    Auto, [TYPE_UINT64], 2.51.0: numbers of 63 bits, because of the control input 'CORRID' of model 'm', which is TYPE_UINT64
    Text, [TYPE_UINT64], 2.51.0: refused: 'sequence-id-type' is 'text', but sequence IDs are handed over by the control input 'CORRID' of model 'm', which is TYPE_UINT64: of a text the server would hand over nothing but its length and its first four letters, without a word, so that different sequences would be one to the model, and a text of more than 20 bytes can crash the server; leave 'sequence-id-type' out for numbers, or take the control out of the model
    Number, [TYPE_UINT64], 2.51.0: numbers of 63 bits, because of the control input 'CORRID' of model 'm', which is TYPE_UINT64
    Auto, [TYPE_INT64], 2.51.0: numbers of 63 bits, because of the control input 'CORRID' of model 'm', which is TYPE_INT64
    Text, [TYPE_INT64], 2.51.0: refused: 'sequence-id-type' is 'text', but sequence IDs are handed over by the control input 'CORRID' of model 'm', which is TYPE_INT64: of a text the server would hand over nothing but its length and its first four letters, without a word, so that different sequences would be one to the model, and a text of more than 20 bytes can crash the server; leave 'sequence-id-type' out for numbers, or take the control out of the model
    Number, [TYPE_INT64], 2.51.0: numbers of 63 bits, because of the control input 'CORRID' of model 'm', which is TYPE_INT64
    Auto, [TYPE_UINT32], 2.44.0: numbers of 32 bits, because of the control input 'CORRID' of model 'm', which is TYPE_UINT32
    Text, [TYPE_UINT32], 2.44.0: refused: 'sequence-id-type' is 'text', but sequence IDs are handed over by the control input 'CORRID' of model 'm', which is TYPE_UINT32: of a text the server would hand over nothing but its length, without a word, so that different sequences would be one to the model, and a text of more than 20 bytes can crash the server; leave 'sequence-id-type' out for numbers, or take the control out of the model
    Number, [TYPE_UINT32], 2.44.0: numbers of 32 bits, because of the control input 'CORRID' of model 'm', which is TYPE_UINT32
    Auto, [TYPE_INT32], not known: numbers of 31 bits, because of the control input 'CORRID' of model 'm', which is TYPE_INT32
    Text, [TYPE_INT32], not known: refused: 'sequence-id-type' is 'text', but sequence IDs are handed over by the control input 'CORRID' of model 'm', which is TYPE_INT32: of a text the server would hand over nothing but its length, without a word, so that different sequences would be one to the model, and a text of more than 20 bytes can crash the server; leave 'sequence-id-type' out for numbers, or take the control out of the model
    Number, [TYPE_INT32], not known: numbers of 31 bits, because of the control input 'CORRID' of model 'm', which is TYPE_INT32
    Auto, [TYPE_STRING], 2.51.0: refused: sequence IDs are handed over by the control input 'CORRID' of model 'm', which is TYPE_STRING, which no Triton up to 2.51 can do (it answers 400 'unexpected number of string elements'): make the control TYPE_UINT64 in the model's config.pbtxt, or leave it out and let the model read the ID of its request; where the server is known to do it right, set 'sequence-id-type' to 'text'
    Text, [TYPE_STRING], 2.51.0: text, because 'sequence-id-type' is 'text'
    Number, [TYPE_STRING], 2.51.0: refused: 'sequence-id-type' is 'number', but sequence IDs are handed over by the control input 'CORRID' of model 'm', which is TYPE_STRING and takes no numbers: make the control TYPE_UINT64 in the model's config.pbtxt, or leave it out and let the model read the ID of its request
    Auto, [TYPE_FP32], 2.51.0: refused: sequence IDs are handed over by the control input 'CORRID' of model 'm', which is TYPE_FP32, a type that no known server takes for them: make the control TYPE_UINT64
    Text, [TYPE_FP32], 2.51.0: refused: sequence IDs are handed over by the control input 'CORRID' of model 'm', which is TYPE_FP32, a type that no known server takes for them: make the control TYPE_UINT64
    Number, [TYPE_FP32], 2.51.0: refused: sequence IDs are handed over by the control input 'CORRID' of model 'm', which is TYPE_FP32, a type that no known server takes for them: make the control TYPE_UINT64
    Auto, [TYPE_UINT64 + TYPE_INT32 + TYPE_UINT32], 2.51.0: numbers of 31 bits, because of the control input 'CORRID' of model 'step1', which is TYPE_INT32
    Text, [TYPE_UINT64 + TYPE_INT32 + TYPE_UINT32], 2.51.0: refused: 'sequence-id-type' is 'text', but sequence IDs are handed over by the control input 'CORRID' of model 'step1', which is TYPE_INT32: of a text the server would hand over nothing but its length, without a word, so that different sequences would be one to the model, and a text of more than 20 bytes can crash the server; leave 'sequence-id-type' out for numbers, or take the control out of the model
    Number, [TYPE_UINT64 + TYPE_INT32 + TYPE_UINT32], 2.51.0: numbers of 31 bits, because of the control input 'CORRID' of model 'step1', which is TYPE_INT32
    Auto, [TYPE_INT64 + TYPE_STRING], 2.51.0: refused: no sequence ID can be what both the control input 'CORRID' of model 'step0', which is TYPE_INT64, and the control input 'CORRID' of model 'step1', which is TYPE_STRING, want: give the two controls one numeric type, TYPE_UINT64 for example
    Text, [TYPE_INT64 + TYPE_STRING], 2.51.0: refused: no sequence ID can be what both the control input 'CORRID' of model 'step0', which is TYPE_INT64, and the control input 'CORRID' of model 'step1', which is TYPE_STRING, want: give the two controls one numeric type, TYPE_UINT64 for example
    Number, [TYPE_INT64 + TYPE_STRING], 2.51.0: refused: no sequence ID can be what both the control input 'CORRID' of model 'step0', which is TYPE_INT64, and the control input 'CORRID' of model 'step1', which is TYPE_STRING, want: give the two controls one numeric type, TYPE_UINT64 for example
    ");
}

#[test]
fn other_servers_and_backends_are_not_taken_for_an_old_triton() {
    let form = |config: &ModelConfig, server: serde_json::Value| {
        let server = serde_json::from_value(server).unwrap();
        said(SequenceIdForm::agree(
            SequenceIdType::Auto,
            config,
            Some(&server),
        ))
    };
    let old = ["1.7.1", "0.21", "2024.5", "", "2.45.0", "main"];
    for version in old {
        let other = json!({"name": "mlserver", "version": version, "extensions": []});
        assert!(form(&model(&[]), other).starts_with("text"), "{version}");
    }
    // A name of its own does not hide what it is.
    let named = json!({"name": "here", "version": "2.36.0", "extensions": ["sequence"]});
    insta::assert_snapshot!(form(&model(&[]), named), @"numbers of 63 bits, because Triton 2.36.0 takes no text for models in Python");
    // Text for another backend is taken.
    let native: ModelConfig =
        serde_json::from_value(json!({"name": "m", "backend": "onnxruntime"})).unwrap();
    let text = SequenceIdForm::agree(SequenceIdType::Text, &native, Some(&server("2.44.0")));
    insta::assert_snapshot!(said(text), @"text, because 'sequence-id-type' is 'text'");
}

// Holds S57.
#[test]
fn options_whose_ids_do_not_fit_are_refused() {
    let refused = |data_types: &[&str], extra: &[(&str, &str)], parallelism| {
        let common = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
        let options = TritonOptions::parse(common.iter().chain(extra).copied()).unwrap();
        let form = SequenceIdForm::agree(options.sequence_id_type, &model(data_types), None);
        let subtask = Subtask::new(0, parallelism, 0).unwrap();
        match form.unwrap().check(options.sequence_mode(), subtask) {
            Ok(()) => "taken".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    let auto = [
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
    ];
    let strategy = |word| {
        let strategy = ("sequence-id-counter-init-strategy", word);
        [auto[0], auto[1], strategy]
    };
    let (millis, nanos) = (strategy("EPOCH_MILLIS"), strategy("NANO_TIME"));
    for (data_type, options, parallelism) in [
        ("TYPE_INT32", &auto[..], 32768),
        ("TYPE_INT64", &millis, 1),
        ("TYPE_INT32", &[("sequence-id", "2147483647")], 1),
        ("TYPE_UINT64", &[("sequence-id", "18446744073709551615")], 1),
    ] {
        assert_eq!(refused(&[data_type], options, parallelism), "taken");
    }
    assert_eq!(refused(&[], &nanos, 40_000), "taken");
    insta::assert_snapshot!(refused(&["TYPE_INT64"], &nanos, 1), @"sequence IDs are numbers of 63 bits, because of the control input 'CORRID' of model 'm', which is TYPE_INT64, but 'sequence-id-counter-init-strategy' = 'NANO_TIME' needs a counter of 61 bits, and they have 48: set it to 'EPOCH_MILLIS', or leave it out and set 'sequence-id-scope' to 'run'");
    insta::assert_snapshot!(refused(&["TYPE_UINT32"], &nanos, 1), @"sequence IDs are numbers of 32 bits, because of the control input 'CORRID' of model 'm', which is TYPE_UINT32, but 'sequence-id-counter-init-strategy' = 'NANO_TIME' needs a counter of 61 bits: leave it out and set 'sequence-id-scope' to 'run'");
    insta::assert_snapshot!(refused(&["TYPE_UINT32"], &millis, 1), @"sequence IDs are numbers of 32 bits, because of the control input 'CORRID' of model 'm', which is TYPE_UINT32, but 'sequence-id-counter-init-strategy' = 'EPOCH_MILLIS' needs a counter of 41 bits: leave it out and set 'sequence-id-scope' to 'run'");
    insta::assert_snapshot!(refused(&["TYPE_UINT64"], &auto, 32_769), @"sequence IDs are numbers of 63 bits, because of the control input 'CORRID' of model 'm', which is TYPE_UINT64: they have room for 32768 subtasks, and there are 32769");
    insta::assert_snapshot!(refused(&["TYPE_UINT64"], &[("sequence-id", "call-7")], 1), @"option 'sequence-id' is 'call-7', but sequence IDs are numbers, because of the control input 'CORRID' of model 'm', which is TYPE_UINT64: set it to digits, from 1 to 18446744073709551615 and without zeros before them, or set 'sequence-id-auto-increment' to true for numbers that are made from it");
    insta::assert_snapshot!(refused(&["TYPE_INT32"], &[("sequence-id", "2147483648")], 1), @"option 'sequence-id' is '2147483648', but sequence IDs are numbers, because of the control input 'CORRID' of model 'm', which is TYPE_INT32: set it to digits, from 1 to 2147483647 and without zeros before them, or set 'sequence-id-auto-increment' to true for numbers that are made from it");
}
