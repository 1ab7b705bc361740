//! The help texts.

use crate::triton;

#[test]
fn help_of_the_command() {
    insta::assert_snapshot!(triton(&["--help"]).stdout, @"
    Run models of a Triton Inference Server over files

    Usage: triton [OPTIONS] <COMMAND>

    Commands:
      predict      Score every row of files with a model
      infer        Send one request to a model, and show its answer as JSON
      models       List the models of a server: their versions and states
      describe     Show a model's tensors, batching and sequences, and a MODEL.sql for it
      health       Ask whether a server takes requests, and wait until it does if asked to
      stats        Show how often a model was called since it was loaded, and where its time went
      bench        Measure how fast a model answers
      load         Load a model, or load it again after its files have changed, and wait until it is
                   ready
      unload       Unload a model, and wait until its last requests have ended
      options      Show the options of a model: what each one does, its type and its default
      serve        Serve built-in models with the embedded server, until Ctrl-C
      completions  Write the completions of this command for a shell to standard output
      man          Write a manual page to standard output, or all of them to a folder
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Logs and metrics:
          --log-format <FORMAT>       Write the log as `text` or `json`, to standard error; RUST_LOG
                                      says what is logged [default: text]
          --metrics-listen <ADDRESS>  Serve metrics for Prometheus while the command runs, such as at
                                      127.0.0.1:9464

    Exit codes:
      0    it was done, or whoever read the output had seen enough
      1    part of it was not: rows or requests failed, an assertion did not hold, or the server is not
      ready
      2    the command line, a file, an option or the output cannot be used
      3    the server could not be reached, refused, went away, or its model does not fit
      4    the command has made a mistake: please report it
      130  Ctrl-C ended it before it was done
      143  SIGTERM ended it before it was done
    ");
}

#[test]
fn help_of_predict() {
    insta::assert_snapshot!(triton(&["predict", "--help"]).stdout, @r#"
    Score every row of files with a model.

    The output holds the columns of the input, then those of the model, in the order of the input. Files
    are CSV, NDJSON, Parquet or Arrow IPC, told apart by their names; CSV and NDJSON may be compressed
    with gzip or zstd, which is seen by itself.

    Usage: triton predict [OPTIONS] [MODEL.sql] <INPUT>...

    Arguments:
      <INPUT>...
              The inputs, after a file with a CREATE MODEL statement if the first one ends in .sql.
              
              Without MODEL.sql the server says which tensors the model has: see --model. Inputs are
              files, folders, patterns such as 'data/*.parquet', or - for standard input; with the
              feature object-store also s3://BUCKET/KEY, gs://, az:// and http(s)://.

    Options:
          --model <NAME>
              The model's name on the server, over the option model-name

          --map <COLUMN=TENSOR>
              Say which tensor a column is, where it is not the one of its name; may be repeated

          --key <COLUMN>
              Give each value of this column a sequence of its own; several columns as a,b.
              
              It sets the option sequence-key, and where nothing else does, sequence-id to the model's
              name, sequence-id-auto-increment and sequence-id-scope=run.

          --dry-run
              Try everything out without a row being sent: the model is opened, ten rows are read, and
              it is shown what would become of them

      -h, --help
              Print help (see a summary with '-h')

    Input and output:
      -o, --output <FILE|DIR>
              Write here instead of to standard output; into a folder, one output for each input.
              
              It is a folder if it is one already or ends in a slash.

          --input-format <FORMAT>
              The format of every input, whatever the names say

          --output-format <FORMAT>
              The format of the output: csv, tsv, ndjson, parquet, arrow or arrow-stream.
              
              Without it the name of the output tells, then the format of the first input; on standard
              output Parquet and Arrow are only written if they are asked for.

          --delimiter <CHARACTER>
              What separates the cells of CSV, in and out: a character such as ';', or tab.
              
              Without it that is a comma, and a tab in files named .tsv. An output that is named .tsv
              has tabs all the same.

          --columns <COLUMN,…>
              The columns of the input that pass through to the output, in this order [default: all].
              
              The model gets its own all the same, and what it gives is behind them. A name with a comma
              stands in quotes, as in "'a,b',c".

          --drop <COLUMN,…>
              The columns of the input that do not pass through to the output

          --no-header
              The first record of CSV is a row, and the columns are called column1, column2 and so on

          --limit <ROWS>
              Read only the first rows of each input, as if there were no more

          --max-field-bytes <BYTES>
              The most bytes of a cell of CSV; a row with a longer one is rejected.
              
              So a quote that is never closed ends after as many bytes, and the rows behind it are read.
              
              [default: 16777216]

          --sort-by-key
              Sort the rows of all inputs by their key, the option sequence-key, before they are sent.
              
              So a model that keeps few sequences has one open at a time, and each ends with the last
              row of its key. Keys come in the order of their text, rows of one key in the order of the
              input; the output has that order, too.

          --sort-memory <BYTES>
              How much memory rows take while they are sorted; further ones go to temporary files
              
              [default: 67108864]

          --with-sequence-id
              Add a column `sequence_id` with the sequence ID that each row took, as it was sent

    Speed:
          --parallelism <N>
              The number of parallel subtasks, each with its own function and sequence IDs.
              
              Rows go to them by their key where the option sequence-key is set, else in turn.
              
              [default: 1]

          --unordered
              Write each answer when it is there, not in the order of the input

          --batch-size <ROWS>
              The most rows in a request, over the option batch-size

          --max-in-flight <N>
              The most requests that a subtask has in flight, or auto: the option max-in-flight

          --rate <ROWS>
              Begin at most so many rows a second

    Rows that fail:
          --on-error <ACTION>
              What is done with a row that cannot be answered [default: skip, or what the options
              on-error and default-value say]

              Possible values:
              - fail:    End the run at the first one
              - skip:    Leave it out of the output, say why, and go on
              - default: Write the option default-value, or NULL without it, if the model gives no
                answer; a row that cannot be read is left out all the same
              - column:  Write NULL, and say why in the output columns prediction_status and
                prediction_error; only a line that is no row at all is left out

          --errors <FILE>
              Write rows that are rejected, or are in the output as failed, here as NDJSON with their
              reason, instead of naming them on standard error

          --max-errors <N|P%>
              End the run once more rows than this are rejected: a number, or a share of the rows such
              as 1% (of at least 100)

          --retry-errors <FILE>
              Run only the rows again that an earlier run named in its file of --errors.
              
              The inputs must be those of that run. Not for a model with sequence-key, where a row means
              nothing without those before it.

          --retries <N>
              How often a request is sent again that may be, over the option max-retries

          --give-up-after <TIME>
              How long the server may be away (no connection, 502 to 504, a model that is being
              reloaded) before the run ends with exit code 3; until then it waits
              
              [default: 10min]

    Checkpoints:
          --checkpoint <DIR>
              Keep in this folder how far the run is: the same command goes on from there, after SIGKILL
              too, and the output is as if it had never ended

          --checkpoint-every <ROWS|TIME>
              How often: after so many rows, or after a time such as 30s
              
              [default: 10s]

    Reports:
      -q, --quiet
              Say nothing on standard error but what is wrong

          --json-summary[=<FILE>]
              Write what the run did as a JSON object: to FILE, or without it to standard error, in
              place of the summary for people

    Options of the model:
      -e, --endpoint <URL>
              The server's address, over every other place that sets it.
              
              Where no place sets it, it is http://localhost:8000; embedded is a server within the
              command.

      -O <KEY=VALUE>
              Set an option, over every other place that sets it; may be repeated.
              
              A value `@FILE` of a secret option is read from that file: -O auth-token=@token.txt

          --config <FILE.toml>
              Take options from a TOML file of lines such as `timeout = "5 s"`.
              
              Without it the file is TRITON_CONFIG, or the nearest triton.toml from the working folder
              upwards, or ~/.config/triton/triton.toml. The environment wins over it: TRITON_TIMEOUT,
              TRITON_AUTH_TOKEN and so on.

          --profile <NAME>
              Take the options of `[profile.NAME]` in that file, over its others [default:
              TRITON_PROFILE]

          --no-config
              Take options from no configuration file

          --print-config
              Show the options and where each comes from, without secrets, and do nothing else

    Logs and metrics:
          --log-format <FORMAT>
              Write the log as `text` or `json`, to standard error; RUST_LOG says what is logged
              
              [default: text]

          --metrics-listen <ADDRESS>
              Serve metrics for Prometheus while the command runs, such as at 127.0.0.1:9464

    Examples:
      Score a file, and see the result
        triton predict model.sql input.csv
      Score Parquet files on eight subtasks, one output for each
        triton predict model.sql 'data/*.parquet' --output scored/ --parallelism 8
      Without a model file, in a pipe
        zcat in.ndjson.gz | triton predict --model echo -e host:8000 - > out.ndjson
      Lose nothing: keep what fails apart, and be able to go on after a crash
        triton predict model.sql in.csv.zst -o out.parquet --errors bad.ndjson \
          --checkpoint state/

    Exit codes:
      0    every row was answered, got the default, or is in the output as failed
      1    some rows were rejected; each is named on standard error or in the file of --errors
      2    the command line, the model file, its options, the input or the output cannot be used
      3    the server could not be reached, or its model does not fit
      4    the command lost count of its rows, which is a mistake in it
      130  Ctrl-C ended the run; what was in flight has been finished
      143  SIGTERM ended the run; what was in flight has been finished
    "#);
}

#[test]
fn help_of_options() {
    insta::assert_snapshot!(triton(&["options", "--help"]).stdout, @"
    Show the options of a model: what each one does, its type and its default

    Usage: triton options [OPTIONS] [KEY]

    Arguments:
      [KEY]
              Show only the option of this key

    Options:
          --format <FORMAT>
              How to show them

              Possible values:
              - text:     Paragraphs for a terminal
              - markdown: A table in Markdown
              - html:     A table in HTML
              - json:     A list of objects
              
              [default: text]

      -h, --help
              Print help (see a summary with '-h')

    Logs and metrics:
          --log-format <FORMAT>
              Write the log as `text` or `json`, to standard error; RUST_LOG says what is logged
              
              [default: text]

          --metrics-listen <ADDRESS>
              Serve metrics for Prometheus while the command runs, such as at 127.0.0.1:9464
    ");
}

#[test]
fn help_of_the_commands_about_a_server() {
    let commands = [
        "models",
        "describe",
        "health",
        "stats",
        "bench",
        "load",
        "unload",
        "infer",
        "serve",
        "completions",
        "man",
    ];
    for command in commands {
        let help = triton(&[command, "--help"]).stdout;
        assert!(help.contains("Examples:"), "{help}");
        insta::assert_snapshot!(format!("{command}.txt"), help);
    }
}

/// A line that is broken cannot be copied.
#[test]
fn examples_fit_a_terminal_of_80_columns() {
    let overview = triton(&["--help"]).stdout;
    let commands = overview
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let mut commands = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    assert!(commands.by_ref().any(|command| command == "predict"));
    for command in ["predict"]
        .into_iter()
        .chain(commands.filter(|it| !it.is_empty() && *it != "help"))
    {
        let help = triton(&[command, "--help"]).stdout;
        let examples = help.lines().skip_while(|line| *line != "Examples:");
        for line in examples.filter(|line| line.starts_with("  ") && line.contains("triton ")) {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
    }
}
