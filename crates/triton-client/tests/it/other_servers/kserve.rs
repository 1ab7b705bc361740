//! KServe's own server: binary tensors that it does not list, no versions, `null` for what is
//! absent, a list of models in place of an index.

use triton_client::{
    Datatype, ErrorKind, IndexFilter, InferRequest, ModelState, Readiness, Tensor, TensorFormat,
};

use super::{all_three, all_three_for, come_back, echo};

fn client() -> triton_client::Client {
    super::client("KSERVE")
}

#[tokio::test]
async fn it_tells_its_health_and_what_it_is() {
    let client = client();
    assert_eq!(client.live().await.unwrap(), Readiness::Ready);
    assert_eq!(client.ready().await.unwrap(), Readiness::Ready);
    let server = client.server_metadata().await.unwrap();
    assert_eq!(
        (server.name.as_str(), server.version.as_str()),
        ("kserve", "0.21.0")
    );
    assert_eq!(server.extensions, ["model_repository_extension"]);
}

#[tokio::test]
async fn it_describes_a_model_of_whose_outputs_one_has_a_datatype_of_its_own() {
    let model = client().model_metadata(&echo()).await.unwrap();
    assert_eq!((model.versions.len(), model.platform.as_str()), (0, ""));
    assert_eq!(model.inputs[1].datatype, Datatype::Int64);
    assert!(matches!(model.outputs[3].datatype, Datatype::Other(_)));
    assert_eq!(model.outputs[3].datatype.name(), "FP8_E5M2");
}

#[tokio::test]
async fn it_has_no_configuration_and_no_versions() {
    let client = client();
    let model = client.describe_model(&echo()).await.unwrap();
    assert_eq!((model.metadata.name.as_str(), model.config), ("echo", None));
    assert_eq!(
        model.server.unwrap().names_extension("sequence"),
        Some(false)
    );
    let error = client.model_config(&echo()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::NotFound, "Not Found")
    );
    let error = client.model_metadata(&"echo:1".parse().unwrap()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.message(), "Model versioning not supported yet.");
}

#[tokio::test]
async fn its_list_of_models_is_taken_for_an_index() {
    let client = client();
    for (filter, state) in [
        (IndexFilter::All, ModelState::Unknown),
        (IndexFilter::Ready, ModelState::Ready),
    ] {
        let index = client.repository_index(filter).await.unwrap();
        let echo = index.iter().find(|entry| entry.name == "echo");
        let entry = echo.unwrap_or_else(|| panic!("{index:?}"));
        assert_eq!((entry.name.as_str(), entry.version.as_str()), ("echo", ""));
        assert_eq!(entry.state, Some(state));
    }
}

#[tokio::test]
async fn tensors_travel_in_either_form() {
    let client = client();
    come_back(&client, all_three()).await;
    come_back(&client, all_three().format(TensorFormat::Json)).await;
    come_back(&client, all_three().format(TensorFormat::Binary)).await;
    // It has answered in binary form, so that is what it gets from now on: JSON has no FP16.
    let halves = Tensor::from_raw("halves", Datatype::Fp16, [1], vec![0, 60].into()).unwrap();
    let request = InferRequest::new(echo()).input(halves.clone());
    let response = client.infer(&request).await.unwrap();
    assert_eq!(response.output("halves").unwrap().raw(), halves.raw());
    let error = super::client("KSERVE").infer(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn an_output_that_nobody_can_read_leaves_the_others() {
    let request = all_three().parameter("odd", true);
    come_back(&client(), request.clone()).await;
    let response = client().infer(&request).await.unwrap();
    insta::assert_snapshot!(response.output("odd").unwrap_err(), @"tensor 'odd': its datatype FP8_E5M2 is none of the protocol's, so it cannot be read");
    let error = client().infer(&request.output("odd")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    insta::assert_snapshot!(error.message(), @"the output 'odd' that was asked for came as FP8_E5M2, which is none of the protocol's datatypes, so it cannot be read");
}

#[tokio::test]
async fn tensors_keep_their_parameters() {
    let words = Tensor::from_byte_strings("words", [1], ["a"])
        .unwrap()
        .with_parameter("content_type", "str");
    for format in [TensorFormat::Json, TensorFormat::Binary] {
        let request = InferRequest::new(echo())
            .input(words.clone())
            .format(format);
        let response = client().infer(&request).await.unwrap();
        assert_eq!(response.output("words").unwrap(), &words, "{format:?}");
    }
}

#[tokio::test]
async fn what_it_says_of_a_fault_is_shown() {
    let client = client();
    let ghost = all_three_for("ghost".parse().unwrap());
    let error = client.infer(&ghost).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.message(), "Model with name ghost does not exist.");
    assert_eq!(
        client.model_ready(&ghost.model).await.unwrap(),
        Readiness::NotReady
    );

    let error = client
        .infer(&all_three().parameter("fail", "the model says no"))
        .await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Server, "the model says no")
    );
    assert!(error.may_have_executed());
}
