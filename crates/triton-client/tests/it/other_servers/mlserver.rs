//! MLServer: no binary tensors, versions that are texts, content types for each tensor.

use triton_client::{
    ErrorKind, GenerateRequest, IndexFilter, InferRequest, ModelId, ModelState, ModelVersion,
    Readiness, RequestedOutput, Tensor, TensorFormat,
};

use super::{all_three, all_three_for, come_back, echo};

fn client() -> triton_client::Client {
    super::client("MLSERVER")
}

fn version(name: &str) -> ModelId {
    ModelId::new("echo".parse().unwrap(), ModelVersion::text(name).unwrap())
}

#[tokio::test]
async fn it_tells_its_health_and_what_it_is() {
    let client = client();
    assert_eq!(client.live().await.unwrap(), Readiness::Ready);
    assert_eq!(client.ready().await.unwrap(), Readiness::Ready);
    let server = client.server_metadata().await.unwrap();
    assert_eq!(
        (server.name.as_str(), server.version.as_str()),
        ("mlserver", "1.7.1")
    );
    assert_eq!(server.extensions, [""; 0]);
}

#[tokio::test]
async fn it_describes_a_model_with_the_content_types_of_its_tensors() {
    let model = client().model_metadata(&echo()).await.unwrap();
    assert_eq!(
        (model.name.as_str(), model.platform.as_str()),
        ("echo", "python")
    );
    assert_eq!(model.inputs[2].parameters["content_type"], "str".into());
    assert_eq!(model.inputs[0].parameters.len(), 0);
}

#[tokio::test]
async fn it_has_no_configuration() {
    let model = client().describe_model(&echo()).await.unwrap();
    assert_eq!((model.metadata.name.as_str(), model.config), ("echo", None));
    assert_eq!(
        model.server.unwrap().names_extension("sequence"),
        Some(false)
    );
    let error = client().model_config(&echo()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::NotFound, Some(404))
    );
    assert_eq!(error.message(), "Not Found");
}

#[tokio::test]
async fn a_version_may_be_a_text() {
    let client = client();
    assert_eq!(
        client.model_ready(&version("v0.1")).await.unwrap(),
        Readiness::Ready
    );
    assert_eq!(
        client.model_ready(&version("v9")).await.unwrap(),
        Readiness::NotReady
    );
    client.model_metadata(&version("v0.1")).await.unwrap();
    let request = all_three_for(version("v0.1"));
    let response = client.infer(&request).await.unwrap();
    assert_eq!(response.model_version, "v0.1");
    let request = all_three_for(version("v9"));
    let error = client.infer(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.operation(), "infer with model 'echo' version v9");
    assert_eq!(error.message(), "Model echo with version v9 not found");
}

#[tokio::test]
async fn its_index_names_versions_and_states() {
    for filter in [IndexFilter::All, IndexFilter::Ready] {
        let index = client().repository_index(filter).await.unwrap();
        let echo = index.iter().find(|entry| entry.name == "echo");
        let entry = echo.unwrap_or_else(|| panic!("{index:?}"));
        assert_eq!(
            (entry.name.as_str(), entry.version.as_str()),
            ("echo", "v0.1")
        );
        assert_eq!(entry.state, Some(ModelState::Ready));
    }
}

#[tokio::test]
async fn tensors_travel_as_json() {
    let client = client();
    come_back(&client, all_three()).await;
    come_back(&client, all_three().format(TensorFormat::Json)).await;
    let other = self::client();
    // Nothing there reads the binary form, which is why it is never chosen without a word of the
    // server's.
    let binary = all_three().format(TensorFormat::Binary);
    let error = other.infer(&binary).await.unwrap_err();
    assert!(matches!(error.status(), Some(422 | 500)), "{error}");
    come_back(&client, all_three()).await;
}

#[tokio::test]
async fn one_output_can_be_asked_for() {
    let response = client().infer(&all_three().output("counts")).await.unwrap();
    assert_eq!(response.outputs.len(), 1);
}

#[tokio::test]
async fn tensors_keep_their_parameters() {
    let words = Tensor::from_byte_strings("words", [1], ["a"])
        .unwrap()
        .with_parameter("content_type", "str")
        .with_parameter("level", 3);
    let request = InferRequest::new(echo())
        .input(words.clone())
        .output(RequestedOutput::new("words").parameter("content_type", "str"));
    let response = client().infer(&request).await.unwrap();
    assert_eq!(response.output("words").unwrap(), &words);
}

#[tokio::test]
async fn what_it_says_of_a_fault_is_shown() {
    let client = client();
    let ghost = all_three_for("ghost".parse().unwrap());
    let error = client.infer(&ghost).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::NotFound, "Model ghost not found")
    );
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
        (ErrorKind::Rejected, "the model says no")
    );
    assert!(error.may_have_executed());

    // A list of what is wrong, and where.
    let request = GenerateRequest::new(echo());
    let error = client.generate(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Rejected, Some(422))
    );
    insta::assert_snapshot!(error.message(), @"body.inputs: Field required");
}
