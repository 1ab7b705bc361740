//! Commands that ask or use several servers behind one endpoint.

use triton_test_support::EmbeddedTriton;

use crate::triton;

struct Servers(Vec<EmbeddedTriton>);

impl Servers {
    fn start(count: usize) -> Self {
        let start = || EmbeddedTriton::builder().built_in_models().start().unwrap();
        Self((0..count).map(|_| start()).collect())
    }

    fn endpoint(&self) -> String {
        let endpoints: Vec<String> = self.0.iter().map(EmbeddedTriton::endpoint).collect();
        endpoints.join(",")
    }

    /// What a command says of them, whatever their ports are.
    fn said(&self, arguments: &[&str]) -> String {
        let endpoint = self.endpoint();
        let run = triton(&[arguments, &["-e", &endpoint]].concat());
        let mut said = run.said();
        for (server, name) in self.0.iter().zip(["http://a:8000", "http://b:8000"]) {
            // As long as the address, so that columns stay where they are.
            let address = server.endpoint();
            let name = format!("{name:.<0$}", address.len());
            said = said.replace(&address, &name);
        }
        said
    }
}

fn words(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines();
    lines
        .map(|line| line.split_whitespace().collect())
        .collect()
}

// Holds R1.
#[test]
fn the_health_of_each_is_shown_and_all_count() {
    let servers = Servers::start(2);
    let said = servers.said(&["health", "echo"]);
    assert!(said.starts_with("exit code 0\n"), "{said}");
    assert!(said.ends_with("2 of 2 are ready\n"), "{said}");
    servers.0[1].stop();
    let said = servers.said(&["health", "echo"]);
    let lines = words(&said);
    assert_eq!(lines[0], ["exit", "code", "1"], "{said}");
    assert_eq!(lines[1], ["REPLICA", "SERVER", "MODEL", "ABOUT"], "{said}");
    assert_eq!(
        lines[2][1..],
        ["ready", "ready", "triton", "2.51.0"],
        "{said}"
    );
    assert_eq!(lines[3][1..3], ["not", "reached"], "{said}");
    assert!(said.ends_with("1 of 2 are ready\n"), "{said}");
    let said = servers.said(&["health", "--json"]);
    let json: serde_json::Value = serde_json::from_str(said.split_once('\n').unwrap().1).unwrap();
    assert_eq!(json["ready"], false);
    assert_eq!(json["replicas"][0]["ready"], true);
    assert_eq!(json["replicas"][1]["ready"], false);
    servers.0[0].stop();
    let said = servers.said(&["health"]);
    assert!(said.starts_with("exit code 3\n"), "{said}");
}

// Holds R2.
#[test]
fn models_are_listed_by_where_they_are_alike() {
    let servers = Servers::start(2);
    let (both, first) = (servers.endpoint(), servers.0[0].endpoint());
    assert!(servers.said(&["models"]).contains("all 2"));
    let unloaded = triton(&["unload", "echo", "-e", &first]);
    assert_eq!(unloaded.code, Some(0), "{}", unloaded.stderr);
    let said = servers.said(&["models"]);
    let echo: Vec<Vec<&str>> = words(&said)
        .into_iter()
        .filter(|line| line.first() == Some(&"echo"))
        .collect();
    assert_eq!(echo.len(), 2, "{said}");
    assert!(said.contains("all 2"), "{said}");
    // The others answer while one of them loads.
    let loaded = triton(&["load", "echo", "-e", &both]);
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    assert_eq!(loaded.stdout.lines().count(), 2, "{}", loaded.stdout);
    let echo = servers.said(&["models", "--json"]);
    let json: serde_json::Value = serde_json::from_str(echo.split_once('\n').unwrap().1).unwrap();
    let echo = json.as_array().unwrap().iter();
    let echo: Vec<_> = echo.filter(|entry| entry["name"] == "echo").collect();
    assert_eq!(echo.len(), 2);
    assert!(
        echo.iter().all(|entry| entry["state"] == "READY"),
        "{echo:?}"
    );
    assert_ne!(echo[0]["replica"], echo[1]["replica"]);
}

// Holds R2, R3.
#[test]
fn rows_and_requests_go_to_all_and_their_statistics_are_side_by_side() {
    let servers = Servers::start(2);
    let both = servers.endpoint();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("several-servers");
    std::fs::create_dir_all(&folder).unwrap();
    let input = folder.join("input.csv");
    let rows: String = (0..200).map(|row| format!("[{row}]\n")).collect();
    std::fs::write(&input, format!("value\n{rows}")).unwrap();
    let output = folder.join("output.csv");
    let (input, output) = (input.to_str().unwrap(), output.to_str().unwrap());
    let arguments = [
        "predict",
        input,
        "-o",
        output,
        "-e",
        &both,
        "-O",
        "model-name=echo",
        "-O",
        "batch-size=1",
    ];
    let run = triton(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let counts = || -> Vec<usize> {
        let each = servers.0.iter();
        each.map(|server| server.requests().len()).collect()
    };
    let predicted = counts();
    assert_eq!(predicted.iter().sum::<usize>(), 200);
    assert!(predicted.iter().all(|count| *count >= 60), "{predicted:?}");
    let arguments = ["bench", "echo", "--requests", "100", "-e", &both];
    let run = triton(&[&arguments[..], &["--concurrency", "2"]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let measured = counts();
    for (before, after) in predicted.iter().zip(&measured) {
        assert!(after - before >= 20, "{predicted:?} {measured:?}");
    }
    let said = servers.said(&["stats", "echo"]);
    let lines = words(&said);
    assert_eq!(
        lines[3][..3],
        ["REPLICA", "VERSION", "INFERENCES"],
        "{said}"
    );
    let inferences: Vec<usize> = lines[4..6]
        .iter()
        .map(|line| line[2].parse().unwrap())
        .collect();
    assert_eq!(inferences, measured, "{said}");
}

// Holds R4.
#[test]
fn one_of_them_answers_a_question_and_a_part_of_a_sequence_needs_its_own() {
    let servers = Servers::start(2);
    servers.0[0].stop();
    let run = triton(&[
        "infer",
        "echo",
        "{\"value\": [1]}",
        "-e",
        &servers.endpoint(),
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let run = triton(&["describe", "echo", "--sql", "-e", &servers.endpoint()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    // The statement names all of them.
    assert!(run.stdout.contains(','), "{}", run.stdout);
    let part = [
        "infer",
        "accumulate",
        "{\"value\": 1}",
        "--sequence",
        "7",
        "--start",
    ];
    let run = triton(&[&part[..], &["-e", "a:8000,b:8000"]].concat());
    insta::assert_snapshot!(run.said(), @"
    exit code 2
    error: --sequence: 'endpoint' (http://a:8000/,http://b:8000/) stands for several servers, of which one has the sequence
      try: -e URL names that one
    ");
}

// Holds R3, R4.
#[test]
fn a_server_that_is_gone_is_not_asked_which_columns_there_are() {
    let servers = Servers::start(1);
    let both = format!("http://127.0.0.1:9,{}", servers.endpoint());
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("several-servers-gone");
    std::fs::create_dir_all(&folder).unwrap();
    let input = folder.join("input.csv");
    std::fs::write(&input, "value\n[1]\n").unwrap();
    let input = input.to_str().unwrap();
    let run = triton(&["predict", "--model", "echo", input, "-e", &both, "-q"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stdout, "value,echo\n[1],[1]\n");

    let run = triton(&["models", "-e", "http://127.0.0.1:9,embedded"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("stands alone"), "{}", run.stderr);
}

// Holds R4.
#[test]
fn a_statement_says_that_a_name_is_looked_up() {
    let servers = Servers::start(1);
    let named = servers.endpoint().replace("127.0.0.1", "localhost");
    let dns = ["-O", "endpoint-discovery=dns", "-e", &named];
    let run = triton(&[&["describe", "echo", "--sql"][..], &dns].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains("'endpoint-discovery' = 'dns'"),
        "{}",
        run.stdout
    );
}
