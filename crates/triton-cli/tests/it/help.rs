//! The help texts.

use crate::triton;

#[test]
fn help_of_the_command() {
    insta::assert_snapshot!(triton(&["--help"]).stdout, @"
    Run models of a Triton Inference Server over files

    Usage: triton [OPTIONS] <COMMAND>

    Commands:
      predict      Score every row of a CSV file with a model
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
      0    it was done
      1    part of it was not: rows or requests failed, or the server is not ready
      2    the command line, a file or an option cannot be used
      3    the server could not be reached, refused, or its model does not fit
      130  Ctrl-C ended it before it was done
    ");
}

#[test]
fn help_of_predict() {
    insta::assert_snapshot!(triton(&["predict", "--help"]).stdout, @"
    Score every row of a CSV file with a model.

    The output holds the columns of the input, then those of the model, in the order of the input.

    Usage: triton predict [OPTIONS] <MODEL.sql> <INPUT.csv>

    Arguments:
      <MODEL.sql>
              A file with one CREATE MODEL statement: the model's columns and options

      <INPUT.csv>
              A CSV file whose header names the model's input columns, among any others

    Options:
          --output <FILE>
              Write the output here instead of to standard output

          --parallelism <N>
              The number of parallel subtasks, each with its own function and sequence IDs
              
              [default: 1]

      -O <KEY=VALUE>
              Set an option of the model, over the one in MODEL.sql; may be repeated

          --with-sequence-id
              Add a column `sequence_id` with the sequence ID that each row took

      -h, --help
              Print help (see a summary with '-h')

    Logs and metrics:
          --log-format <FORMAT>
              Write the log as `text` or `json`, to standard error; RUST_LOG says what is logged
              
              [default: text]

          --metrics-listen <ADDRESS>
              Serve metrics for Prometheus while the command runs, such as at 127.0.0.1:9464

    Exit codes:
      0  every row was answered
      1  some rows were not; each is named on standard error
      2  the command line, the model file, its options or the input cannot be used
      3  the server could not be reached, or its model does not fit
    ");
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
        "completions",
        "man",
    ];
    for command in commands {
        let help = triton(&[command, "--help"]).stdout;
        assert!(help.contains("Examples:"), "{help}");
        insta::assert_snapshot!(format!("{command}.txt"), help);
    }
}
