//! The places of options: which one wins, what `--print-config` shows, what errors say of them.

use triton_embedded::RestrictedApi;
use triton_test_support::EmbeddedTriton;

use std::path::Path;

use crate::{Files, Run, command, triton, triton_in};

const CANARY: &str = "canary-in-the-coal-mine";

/// The lines of `--print-config` that say more than a default.
fn shown(files: &Files, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let arguments = [&["health", "--print-config"], arguments].concat();
    let run = triton_in(environment, &arguments);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let lines = run.stdout.lines().filter(|line| {
        !line.ends_with("# default") && !line.ends_with("is not set") && !line.is_empty()
    });
    files.relative(&lines.collect::<Vec<_>>().join("\n"))
}

/// The exit code and message of a refusal.
fn refused(files: &Files, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let arguments = [&["health"], arguments].concat();
    let run = triton_in(environment, &arguments);
    assert_eq!(run.stdout, "");
    files.relative(&run.said())
}

#[test]
fn later_places_win_over_earlier_ones() {
    let files = Files::new();
    let config = files.write(
        "triton.toml",
        "# Where the models are.\nendpoint = \"file:1\"\nmax-retries = 1\n\
         timeout = \"1 s\"\ncircuit-breaker-failure-threshold = 0.25\nflatten-batch-dim = true\n",
    );
    let environment = [
        ("TRITON_TIMEOUT", "2s"),
        ("TRITON_MAX_RETRIES", "2"),
        ("TRITON_BATCH_SIZE", ""),
        ("TRITON_TEST_TIMEOUT", "9 s"),
    ];
    let option = ["-O", "max-retries=3", "--config", &config];
    insta::assert_snapshot!(shown(&files, &environment, &option), @r#"
    endpoint = "http://file:1/"                       # triton.toml, line 2
    # model-name is not needed
    timeout = "2 s"                                   # TRITON_TIMEOUT in the environment
    flatten-batch-dim = "true"                        # triton.toml, line 6
    circuit-breaker-failure-threshold = "0.25"        # triton.toml, line 5
    max-retries = "3"                                 # -O
    "#);
}

#[test]
fn what_a_key_changes_is_shown_as_it_holds() {
    let files = Files::new();
    let per_request = [
        "-O",
        "endpoint=localhost:1",
        "-O",
        "sequence-id=plant",
        "-O",
        "sequence-id-auto-increment=true",
    ];
    let scope = |extra: &[&str]| {
        let lines = shown(&files, &[], &[&per_request, extra].concat());
        let line = lines
            .lines()
            .find(|line| line.starts_with("sequence-id-scope"));
        line.map(str::to_owned)
    };
    assert_eq!(scope(&[]), None);
    let key = ["-O", "sequence-key=sensor"];
    insta::assert_snapshot!(scope(&key).unwrap(), @r#"sequence-id-scope = "run"                         # default with sequence-key"#);
    let given = [&key[..], &["-O", "sequence-id-scope=subtask"]].concat();
    insta::assert_snapshot!(scope(&given).unwrap(), @r#"sequence-id-scope = "subtask"                     # -O"#);
}

#[test]
fn what_is_shown_can_be_read_again_and_holds_no_secret() {
    let files = Files::new();
    files.write("headers", &format!("X-Key:{CANARY}\n"));
    let config = files.write("triton.toml", "custom-headers = \"@headers\"\n");
    let endpoint = format!("http://user:{CANARY}@localhost:1");
    let run = triton_in(
        &[("TRITON_ENDPOINT", &endpoint)],
        &["health", "--config", &config, "--print-config"],
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stdout.contains(CANARY), "{}", run.stdout);
    let hidden = run.stdout.lines().filter(|line| line.contains("(hidden)"));
    let hidden = hidden.collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(files.relative(&hidden), @"
    # endpoint = 'http://(hidden)@localhost:1/'       # TRITON_ENDPOINT in the environment
    # custom-headers = (hidden)                       # headers, named by triton.toml, line 1
    ");

    let copy = files.write("copy.toml", &run.stdout);
    let again = triton(&[
        "health",
        "--config",
        &copy,
        "-O",
        "endpoint=localhost:1",
        "--print-config",
    ]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let values = |text: &str| {
        let assignments = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.starts_with("endpoint"));
        let values = assignments.map(|line| line.split("  #").next().unwrap().trim().to_owned());
        values.collect::<Vec<_>>()
    };
    assert!(values(&run.stdout).len() > 15, "{}", run.stdout);
    assert_eq!(values(&run.stdout), values(&again.stdout));
}

/// The server answers only to those who send the token.
#[test]
fn a_token_is_taken_from_a_file_or_the_environment() {
    let files = Files::new();
    let reference = format!("@{}", files.write("token", &format!("{CANARY}\n")));
    let option = format!("auth-token={reference}");
    let bearer = format!("Bearer {CANARY}");
    let server = EmbeddedTriton::builder()
        .restrict(RestrictedApi::Health, "authorization", &bearer)
        .restrict(RestrictedApi::Metadata, "authorization", &bearer)
        .start()
        .unwrap();
    let endpoint = server.endpoint();
    let health = |environment: &[(&str, &str)], arguments: &[&str]| {
        let environment = [&[("TRITON_ENDPOINT", endpoint.as_str())], environment].concat();
        let run = triton_in(&environment, &[&["health"], arguments].concat());
        assert!(!run.stdout.contains(CANARY) && !run.stderr.contains(CANARY));
        (run.code, run.stderr.replace(&endpoint, "http://server"))
    };
    let ready = (Some(0), String::new());
    assert_eq!(health(&[], &["-O", &option]), ready);
    assert_eq!(health(&[("TRITON_AUTH_TOKEN", &reference)], &[]), ready);
    assert_eq!(health(&[("TRITON_AUTH_TOKEN", CANARY)], &[]), ready);
    let (code, said) = health(&[], &[]);
    assert_eq!(code, Some(3));
    insta::assert_snapshot!(said, @"
    error: check liveness at http://server/: status 403: This API is restricted, expecting header 'authorization'
      try: -O auth-token=@FILE or TRITON_AUTH_TOKEN sends a token, and -O custom-headers=… any other header
    ");
}

#[test]
fn errors_name_the_place_of_a_bad_value() {
    let files = Files::new();
    let config = files.write(
        "triton.toml",
        "endpoint = \"localhost:1\"\ntimeout = \"5 parsecs\"\ncolour = \"red\"\n",
    );
    let environment = [("TRITON_MAX_RETRIES", "many")];
    let arguments = ["--config", &config, "-O", "time-out=5s"];
    insta::assert_snapshot!(refused(&files, &environment, &arguments), @"
    exit code 2
    error: 4 problems in the options:
      - option 'timeout': expected a duration longer than zero such as '30 s', '100 ms' or '1 min', found '5 parsecs' (from triton.toml, line 2)
      - option 'max-retries': expected a whole number from 0 to 4294967295, found 'many' (from TRITON_MAX_RETRIES in the environment)
      - unknown option 'colour' (from triton.toml, line 3)
      - unknown option 'time-out'; did you mean 'timeout'? (from -O)
    ");
    let rule = [
        "-O",
        "endpoint=localhost:1",
        "-O",
        "sequence-id-auto-increment=true",
        "-O",
        "sequence-id=j",
    ];
    insta::assert_snapshot!(refused(&files, &[("TRITON_SEQUENCE_START", "false")], &rule), @"
    exit code 2
    error: option 'sequence-start' is false but 'sequence-id-auto-increment' is true: every generated ID is used for one request, which must both start and end its sequence; leave 'sequence-start' out or set it to true ('sequence-start' from TRITON_SEQUENCE_START in the environment; 'sequence-id-auto-increment' from -O)
    ");
    // A bad value is shown with its place too, and then named.
    let run = triton(&["health", "--config", &config, "--print-config"]);
    assert_eq!(run.code, Some(2));
    let timeout = run.stdout.lines().find(|line| line.starts_with("timeout"));
    insta::assert_snapshot!(files.relative(timeout.unwrap()), @r#"timeout = "5 parsecs"                             # triton.toml, line 2"#);
}

#[test]
fn files_that_cannot_be_read() {
    let files = Files::new();
    let refusal = |text: &str| {
        let config = files.write("triton.toml", text);
        refused(&files, &[], &["--config", &config])
    };
    insta::assert_snapshot!(refusal("endpoint = \"a\"\nendpoint = \"b\"\n"), @"
    exit code 2
    error: triton.toml, line 2: duplicate key
    ");
    insta::assert_snapshot!(refusal("timeout = 5 s\n"), @"
    exit code 2
    error: triton.toml, line 1: string values must be quoted, expected literal string
    ");
    insta::assert_snapshot!(refusal("[options]\ntimeout = 5\n"), @"
    exit code 2
    error: [options] from triton.toml, line 1: options stand at the top of the file, and those of --profile options in [profile.options]
    ");
    insta::assert_snapshot!(refused(&files, &[], &["--config", "no.toml"]), @"
    exit code 2
    error: failed to open file `no.toml`: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(refused(&files, &[], &["-O", "auth-token=@no.txt"]), @"
    exit code 2
    error: option 'auth-token' from -O cannot be read from its file
      caused by: failed to open file `no.txt`: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(refused(&files, &[], &["-O", "auth-token=@"]), @"
    exit code 2
    error: option 'auth-token' from -O: expected the name of a file after '@'
    ");
    insta::assert_snapshot!(refused(&files, &[], &["-O", "timeout"]), @"
    exit code 2
    error: invalid value 'timeout' for '-O <KEY=VALUE>': expected KEY=VALUE, for example timeout=5s

    For more information, try '--help'.
    ");
}

#[test]
fn a_variable_that_looks_like_a_slip_is_mentioned() {
    let environment = [
        ("TRITON_ENDPIONT", "localhost:1"),
        ("TRITON_SERVER_VERSION", "2.51.0"),
    ];
    let run = triton_in(&environment, &["health", "-O", "endpoint=embedded"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let said = run.stderr.split("WARN").nth(1).unwrap();
    insta::assert_snapshot!(said.trim(), @"triton::config::environment: the environment variable TRITON_ENDPIONT sets no option; did you mean TRITON_ENDPOINT?");
    assert!(!run.stderr.contains("SERVER_VERSION"));
}

#[test]
fn what_is_shown_can_be_read_from_another_folder() {
    let files = Files::new();
    let config = files.write(
        "triton.toml",
        "endpoint = \"https://localhost:1\"\ntls-ca-file = \"company.pem\"\n\
         input-names = \"'a:b,\\\"':T\"\n",
    );
    let first = triton(&["health", "--config", &config, "--print-config"]);
    let folder = Files::new();
    let copy = folder.write("copy.toml", &first.stdout);
    let again = triton(&["health", "--config", &copy, "--print-config"]);
    assert_eq!(
        (first.code, again.code),
        (Some(0), Some(0)),
        "{}",
        again.stderr
    );
    for key in ["tls-ca-file = ", "input-names = "] {
        let value = |text: &str| {
            let line = text.lines().find(|line| line.starts_with(key)).unwrap();
            line.split("  #").next().unwrap().trim_end().to_owned()
        };
        assert_eq!(value(&first.stdout), value(&again.stdout));
    }
}

/// The lines of `--print-config` in a folder that say more than a default.
fn shown_in(
    folder: &Path,
    home: &Path,
    environment: &[(&str, &str)],
    arguments: &[&str],
) -> String {
    let run = command(&[&["health", "--print-config"], arguments].concat())
        .current_dir(folder)
        .env_remove("XDG_CONFIG_HOME")
        .env("HOME", home)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let run = Run::of(run);
    if run.code != Some(0) {
        return run.said();
    }
    let lines = run
        .stdout
        .lines()
        .filter(|line| !line.ends_with("# default") && !line.starts_with("# ") && !line.is_empty());
    lines.collect::<Vec<_>>().join("\n") + &run.stderr
}

// Holds C11.
#[test]
fn the_nearest_file_is_found_and_only_that_one() {
    let files = Files::new();
    let root = files.0.path().canonicalize().unwrap();
    let inner = root.join("project/a/b");
    let user = root.join("home/.config/triton");
    for folder in [&inner, &user] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let write = |path: &str, text: &str| std::fs::write(root.join(path), text).unwrap();
    write("home/.config/triton/triton.toml", "timeout = \"1 s\"\n");
    let home = root.join("home");
    let shown = |environment: &[(&str, &str)], arguments: &[&str]| {
        let text = shown_in(&inner, &home, environment, arguments);
        text.replace(root.to_str().unwrap(), "/root")
    };
    insta::assert_snapshot!(shown(&[], &[]), @r#"timeout = "1 s"                                   # /root/home/.config/triton/triton.toml, line 1"#);
    write(
        "project/triton.toml",
        "max-retries = 2\ntls-ca-file = \"ca.pem\"\nendpoint = \"https://h\"\n",
    );
    insta::assert_snapshot!(shown(&[], &[]), @r#"
    endpoint = "https://h/"                           # /root/project/triton.toml, line 3
    tls-ca-file = "/root/project/ca.pem"    # /root/project/triton.toml, line 2
    max-retries = "2"                                 # /root/project/triton.toml, line 1
    "#);
    write("project/a/b/triton.toml", "max-retries = 5\n");
    insta::assert_snapshot!(shown(&[], &[]), @r#"max-retries = "5"                                 # triton.toml, line 1"#);
    let other = files.write("other.toml", "max-retries = 6\n");
    insta::assert_snapshot!(shown(&[("TRITON_CONFIG", &other)], &[]), @r#"max-retries = "6"                                 # /root/other.toml, line 1"#);
    insta::assert_snapshot!(shown(&[("TRITON_CONFIG", "")], &[]), @r#"max-retries = "5"                                 # triton.toml, line 1"#);
    let named = files.write("named.toml", "max-retries = 7\n");
    insta::assert_snapshot!(shown(&[("TRITON_CONFIG", &other)], &["--config", &named]), @r#"max-retries = "7"                                 # /root/named.toml, line 1"#);
    insta::assert_snapshot!(shown(&[("TRITON_CONFIG", &other)], &["--no-config"]), @"");
    insta::assert_snapshot!(shown(&[("TRITON_CONFIG", "none.toml")], &[]), @"
    exit code 2
    error: failed to open file `none.toml`: No such file or directory (os error 2)
    ");
    let xdg = root.join("xdg/triton");
    std::fs::create_dir_all(&xdg).unwrap();
    write("xdg/triton/triton.toml", "max-retries = 8\n");
    std::fs::remove_file(root.join("project/triton.toml")).unwrap();
    std::fs::remove_file(inner.join("triton.toml")).unwrap();
    let xdg = root.join("xdg").to_str().unwrap().to_owned();
    insta::assert_snapshot!(shown(&[("XDG_CONFIG_HOME", &xdg)], &[]), @r#"max-retries = "8"                                 # /root/xdg/triton/triton.toml, line 1"#);
}

// Holds C12.
#[test]
fn a_profile_wins_over_the_rest_of_its_file() {
    let files = Files::new();
    let config = files.write(
        "triton.toml",
        "endpoint = \"localhost:1\"\nmax-retries = 1\n\n[profile.prod]\nendpoint = \"https://prod\"\n\
         auth-token = \"@token\"\n\n[profile.\"lab 2\"]\ntimeout = \"9 s\"\n",
    );
    files.write("token", CANARY);
    let with = |environment: &[(&str, &str)], arguments: &[&str]| {
        shown(
            &files,
            environment,
            &[&["--config", &config], arguments].concat(),
        )
    };
    insta::assert_snapshot!(with(&[], &[]), @r#"
    endpoint = "http://localhost:1/"                  # triton.toml, line 1
    # model-name is not needed
    max-retries = "1"                                 # triton.toml, line 2
    "#);
    insta::assert_snapshot!(with(&[], &["--profile", "prod"]), @r#"
    endpoint = "https://prod/"                        # triton.toml, line 5
    # model-name is not needed
    # auth-token = (hidden)                           # token, named by triton.toml, line 6
    max-retries = "1"                                 # triton.toml, line 2
    "#);
    insta::assert_snapshot!(with(&[("TRITON_PROFILE", "prod")], &["--profile", "lab 2", "-e", "h:2"]), @r#"
    endpoint = "http://h:2/"                          # --endpoint
    # model-name is not needed
    timeout = "9 s"                                   # triton.toml, line 9
    max-retries = "1"                                 # triton.toml, line 2
    "#);
    insta::assert_snapshot!(with(&[("TRITON_PROFILE", "prod"), ("TRITON_ENDPOINT", "h:3")], &[]), @r#"
    endpoint = "http://h:3/"                          # TRITON_ENDPOINT in the environment
    # model-name is not needed
    # auth-token = (hidden)                           # token, named by triton.toml, line 6
    max-retries = "1"                                 # triton.toml, line 2
    "#);
    let refusal = |text: &str, profile: &str| {
        let config = files.write("bad.toml", text);
        refused(&files, &[], &["--config", &config, "--profile", profile])
    };
    insta::assert_snapshot!(refusal("[profile.a]\n[profile.b]\n", "c"), @"
    exit code 2
    error: profile 'c': bad.toml has no [profile.c]; it has: a, b
    ");
    insta::assert_snapshot!(refusal("timeout = 1\n", "c"), @"
    exit code 2
    error: profile 'c': bad.toml has no [profile.c]; it has: none
    ");
    insta::assert_snapshot!(refusal("[c]\ntimeout = \"1 s\"\n", "c"), @"
    exit code 2
    error: [c] from bad.toml, line 1: options stand at the top of the file, and those of --profile c in [profile.c]
    ");
    insta::assert_snapshot!(refusal("[profile]\nc = 1\n", "c"), @"
    exit code 2
    error: bad.toml, line 1: 'c' stands in [profile], and so in no profile: write [profile.NAME] above it
    ");
    insta::assert_snapshot!(refusal("[profile.c]\ntimeout = [1]\n", "c"), @"
    exit code 2
    error: option 'timeout' from bad.toml, line 2: expected a text, a number, true or false, found a value of the type array
    ");
    insta::assert_snapshot!(refusal("[profile.c]\nendpoint = [\"http://a\", \"http://b\"]\n", "c"), @"
    exit code 2
    error: option 'endpoint' from bad.toml, line 2: expected a text, a number, true or false, found a value of the type array; several go into one text, with commas between them
    ");
    insta::assert_snapshot!(refusal("[profile.c]\ntime-out = \"1 s\"\n", "c"), @"
    exit code 2
    error: unknown option 'time-out'; did you mean 'timeout'? (from bad.toml, line 2)
    ");
    let stray = files.write("stray.toml", "[profile]\ntimeout = \"5 s\"\n");
    insta::assert_snapshot!(refused(&files, &[], &["--config", &stray]), @"
    exit code 2
    error: stray.toml, line 1: 'timeout' stands in [profile], and so in no profile: write [profile.NAME] above it
    ");
    insta::assert_snapshot!(refused(&files, &[], &["--profile", "c"]), @"
    exit code 2
    error: profile 'c': there is no configuration file that it could be in; --config names one
    ");
}
