//! The model repository, settings and shared memory.

use serde_json::json;
use triton_client::{
    CudaRegion, ErrorKind, IndexFilter, LoadModel, LogFormat, LogSettingsUpdate, ModelName,
    ModelState, Readiness, SystemRegion, TraceLevel, TraceSettingsUpdate, UnloadModel,
};

use super::cases;
use super::target::{SPARE, Target, load, model};

cases!(
    the_repository_is_listed,
    only_what_is_ready_is_listed,
    a_model_is_loaded_from_files_in_the_request,
    a_model_is_loaded_with_another_configuration,
    a_model_is_loaded_again,
    files_without_a_configuration_are_refused_before_sending,
    a_failed_reload_leaves_the_old_model,
    a_model_that_is_not_there_cannot_be_loaded,
    a_model_is_unloaded,
    an_unknown_model_may_be_unloaded,
    dependents_are_unloaded_on_request,
    trace_settings_are_read,
    trace_settings_of_a_model_are_read,
    trace_settings_are_changed_and_reset,
    trace_settings_of_a_model_are_changed,
    a_wrong_trace_setting_is_rejected,
    log_settings_are_read,
    log_settings_are_changed,
    system_shared_memory_is_listed,
    an_unknown_region_has_no_status,
    a_region_that_cannot_be_opened,
    a_region_is_registered_once,
    an_unknown_region_may_be_unregistered,
    a_region_that_no_path_can_name_is_refused_before_sending,
    cuda_shared_memory_is_listed,
    cuda_shared_memory_is_unregistered,
    a_cuda_region_without_a_gpu,
);

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

async fn the_repository_is_listed(target: Target) {
    let index = target
        .client
        .repository_index(IndexFilter::All)
        .await
        .unwrap();
    let echo = index.iter().find(|entry| entry.name == "echo").unwrap();
    assert_eq!(
        (echo.version.as_str(), &echo.state),
        ("1", &Some(ModelState::Ready))
    );
}

async fn only_what_is_ready_is_listed(target: Target) {
    let index = target
        .client
        .repository_index(IndexFilter::Ready)
        .await
        .unwrap();
    assert!(index.iter().any(|entry| entry.name == "accumulate"));
    assert!(
        index
            .iter()
            .all(|entry| entry.state == Some(ModelState::Ready))
    );
}

async fn a_model_is_loaded_from_files_in_the_request(target: Target) {
    let copy = name("conformance_files");
    target
        .client
        .load_model(&copy, &load("probe", copy.as_str()))
        .await
        .unwrap();
    let ready = target
        .client
        .model_ready(&model(copy.as_str()))
        .await
        .unwrap();
    assert_eq!(ready, Readiness::Ready);
    target
        .client
        .unload_model(&copy, &UnloadModel::new())
        .await
        .unwrap();
}

async fn spare_is(target: &Target, expected: Readiness) {
    let ready = target.client.model_ready(&model(SPARE)).await.unwrap();
    assert_eq!(ready, expected);
}

async fn a_model_is_loaded_with_another_configuration(target: Target) {
    target
        .load_spare(Some(("max_batch_size", json!(4))))
        .await
        .unwrap();
    let found = target.client.model_config(&model(SPARE)).await.unwrap();
    assert_eq!(found.max_batch_size, 4);
}

async fn a_model_is_loaded_again(target: Target) {
    for _ in 0..2 {
        target.load_spare(None).await.unwrap();
        spare_is(&target, Readiness::Ready).await;
    }
}

async fn files_without_a_configuration_are_refused_before_sending(target: Target) {
    let files = LoadModel::new().file("1/model.py", "");
    let error = target
        .client
        .load_model(&name("x"), &files)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::InvalidRequest, None)
    );
}

async fn a_failed_reload_leaves_the_old_model(target: Target) {
    target.load_spare(None).await.unwrap();
    let spoiled = target.load_spare(Some(("max_batch_size", json!("many"))));
    let error = spoiled.await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Server),
        "{error}"
    );
    assert!(error.message().contains("load"), "{error}");
    spare_is(&target, Readiness::Ready).await;
}

async fn a_model_that_is_not_there_cannot_be_loaded(target: Target) {
    let load = LoadModel::new();
    let error = target
        .client
        .load_model(&name("nobody"), &load)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error}");
    // After a load that failed the real server calls itself unready until one succeeds.
    target.load_spare(None).await.unwrap();
}

async fn a_model_is_unloaded(target: Target) {
    unloaded(&target, &UnloadModel::new()).await;
}

async fn unloaded(target: &Target, model: &UnloadModel) {
    target.load_spare(None).await.unwrap();
    target
        .client
        .unload_model(&name(SPARE), model)
        .await
        .unwrap();
    spare_is(target, Readiness::NotReady).await;
}

async fn an_unknown_model_may_be_unloaded(target: Target) {
    target
        .client
        .unload_model(&name("nobody"), &UnloadModel::new())
        .await
        .unwrap();
}

async fn dependents_are_unloaded_on_request(target: Target) {
    unloaded(&target, &UnloadModel::new().dependents(true)).await;
}

async fn trace_settings_are_read(target: Target) {
    let settings = target.client.trace_settings(None).await.unwrap();
    assert!(!settings.levels.is_empty());
    assert!(settings.rate > 0);
}

async fn trace_settings_of_a_model_are_read(target: Target) {
    let settings = target
        .client
        .trace_settings(Some(&model("echo")))
        .await
        .unwrap();
    assert!(!settings.levels.is_empty());
}

async fn trace_settings_are_changed_and_reset(target: Target) {
    let before = target.client.trace_settings(None).await.unwrap();
    let update = TraceSettingsUpdate::new().rate(7).count(5).log_frequency(3);
    let changed = target
        .client
        .update_trace_settings(None, &update)
        .await
        .unwrap();
    assert_eq!(
        (changed.rate, changed.count, changed.log_frequency),
        (7, 5, 3)
    );
    let reset = TraceSettingsUpdate::new()
        .rate(None)
        .count(None)
        .log_frequency(None);
    let after = target
        .client
        .update_trace_settings(None, &reset)
        .await
        .unwrap();
    assert_eq!(after, before);
}

async fn trace_settings_of_a_model_are_changed(target: Target) {
    let model = model("echo");
    let update = TraceSettingsUpdate::new().levels([TraceLevel::Off]).rate(9);
    let client = &target.client;
    let changed = client
        .update_trace_settings(Some(&model), &update)
        .await
        .unwrap();
    assert_eq!(
        (changed.levels.as_slice(), changed.rate),
        (&[TraceLevel::Off][..], 9)
    );
    let reset = TraceSettingsUpdate::new().reset_levels().rate(None);
    let after = client
        .update_trace_settings(Some(&model), &reset)
        .await
        .unwrap();
    assert_eq!(after, client.trace_settings(None).await.unwrap());
}

async fn a_wrong_trace_setting_is_rejected(target: Target) {
    let update = TraceSettingsUpdate::new().count(-5);
    let error = target
        .client
        .update_trace_settings(None, &update)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
}

async fn log_settings_are_read(target: Target) {
    let settings = target.client.log_settings().await.unwrap();
    assert!(settings.error);
}

async fn log_settings_are_changed(target: Target) {
    let before = target.client.log_settings().await.unwrap();
    let update = LogSettingsUpdate::new()
        .info(!before.info)
        .format(LogFormat::Iso8601);
    let changed = target.client.update_log_settings(&update).await.unwrap();
    assert_eq!(
        (changed.info, &changed.format),
        (!before.info, &LogFormat::Iso8601)
    );
    let back = LogSettingsUpdate::new()
        .info(before.info)
        .warning(before.warning)
        .error(before.error)
        .verbose_level(before.verbose_level)
        .format(before.format.clone());
    assert_eq!(
        target.client.update_log_settings(&back).await.unwrap(),
        before
    );
}

async fn system_shared_memory_is_listed(target: Target) {
    let regions = target.client.system_shared_memory(None).await.unwrap();
    assert!(regions.iter().all(|region| region.name != "nobody"));
}

async fn an_unknown_region_has_no_status(target: Target) {
    let error = target
        .client
        .system_shared_memory(Some("nobody"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

async fn a_region_that_cannot_be_opened(target: Target) {
    let region = SystemRegion {
        key: "/triton-client-nobody".to_owned(),
        offset: 0,
        byte_size: 64,
    };
    let register = target
        .client
        .register_system_shared_memory("nobody", &region);
    let error = register.await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Server | ErrorKind::Rejected),
        "{error}"
    );
}

async fn a_region_is_registered_once(target: Target) {
    let unique = format!("triton-client-{}", target.unique());
    let file = std::path::Path::new("/dev/shm").join(&unique);
    std::fs::write(&file, [0; 8192]).unwrap();
    let client = &target.client;
    let region = SystemRegion {
        key: format!("/{unique}"),
        offset: 4096,
        byte_size: 32,
    };
    let registered = client.register_system_shared_memory(&unique, &region).await;
    let again = client.register_system_shared_memory(&unique, &region).await;
    let status = client.system_shared_memory(Some(&unique)).await;
    let unregistered = client.unregister_system_shared_memory(Some(&unique)).await;
    std::fs::remove_file(&file).unwrap();
    registered.unwrap();
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Rejected);
    let status = &status.unwrap()[0];
    let found = (&status.name, &status.key, status.offset, status.byte_size);
    assert_eq!(found, (&unique, &region.key, 4096, 32));
    unregistered.unwrap();
    assert!(client.system_shared_memory(Some(&unique)).await.is_err());
}

async fn an_unknown_region_may_be_unregistered(target: Target) {
    target
        .client
        .unregister_system_shared_memory(Some("nobody"))
        .await
        .unwrap();
}

async fn a_region_that_no_path_can_name_is_refused_before_sending(target: Target) {
    for region in ["", "..", "a/b", "a b", "a%20b"] {
        let error = target
            .client
            .system_shared_memory(Some(region))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }
}

async fn cuda_shared_memory_is_listed(target: Target) {
    assert_eq!(target.client.cuda_shared_memory(None).await.unwrap(), []);
}

async fn cuda_shared_memory_is_unregistered(target: Target) {
    target
        .client
        .unregister_cuda_shared_memory(Some("nobody"))
        .await
        .unwrap();
    target
        .client
        .unregister_cuda_shared_memory(None)
        .await
        .unwrap();
}

async fn a_cuda_region_without_a_gpu(target: Target) {
    let region = CudaRegion {
        raw_handle: vec![0; 64],
        device_id: 0,
        byte_size: 64,
    };
    let register = target
        .client
        .register_cuda_shared_memory("conformance", &region);
    let error = register.await.unwrap_err();
    assert!(error.status().is_some(), "{error}");
}
