//! Secrets that statements only point to: neither the catalog nor a plan holds them.

use triton_embedded::EmbeddedTriton;

use crate::cluster::{Cluster, TOKEN, TOKEN_VARIABLE};

#[tokio::test]
async fn a_secret_is_read_where_the_function_runs_and_is_in_no_statement_and_no_plan() {
    let server = EmbeddedTriton::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    std::fs::write(&headers, "X-Tenant:canary-of-the-file\n").unwrap();
    let plan = folder.path().join("plan.json");
    let sql = format!(
        "CREATE TABLE readings (x FLOAT) WITH ('connector' = 'datagen', 'number-of-rows' = '4');
         CREATE TABLE answers (x FLOAT) WITH ('connector' = 'blackhole');
         CREATE MODEL m INPUT (`value` FLOAT) OUTPUT (echo FLOAT) WITH ('provider' = 'triton',
           'endpoint' = '{}', 'model-name' = 'echo', 'auth-token' = '${{{TOKEN_VARIABLE}}}',
           'custom-headers' = '@{}');
         SHOW CREATE MODEL m;
         COMPILE PLAN 'file://{}' FOR INSERT INTO answers
           SELECT echo FROM ML_PREDICT(TABLE readings, MODEL m, DESCRIPTOR(x));
         SET 'table.dml-sync' = 'true';
         EXECUTE PLAN 'file://{}';",
        server.endpoint(),
        headers.display(),
        plan.display(),
        plan.display(),
    );
    let output = Cluster::shared().await.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);
    assert!(
        output.text.contains(&format!("${{{TOKEN_VARIABLE}}}")),
        "{}",
        output.text
    );
    let plan = std::fs::read_to_string(plan).unwrap();
    for (place, text) in [("output", &output.text), ("plan", &plan)] {
        assert!(!text.contains(TOKEN), "{place}");
        assert!(!text.contains("canary-of-the-file"), "{place}");
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    for request in requests {
        let expected = format!("Bearer {TOKEN}");
        assert_eq!(request.header("authorization"), Some(expected.as_str()));
        assert_eq!(request.header("x-tenant"), Some("canary-of-the-file"));
    }
}
