//! Arrow files as Polars writes them: their schema does not say how long it is, because readers of files find
//! another one at the end.

use super::files::ECHO;
use crate::{Files, triton};

/// `DataFrame.write_ipc` of Polars 2.1, compressed with zstd.
const POLARS: &[u8] = include_bytes!("polars.arrow");

const ROWS: &str = r#"value,text,list,day,kind,pair,echo
1.5,a,"[1,2]",2020-01-01,x,"{""a"":1,""b"":""x""}",1.5
2.5,a text of more than twelve bytes,[],2020-01-01,y,"{""a"":1,""b"":""x""}",2.5
3.5,,,2020-01-01,x,"{""a"":1,""b"":""x""}",3.5
"#;

#[test]
fn a_file_of_polars_is_read() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.path("in.arrow");
    std::fs::write(&input, POLARS).unwrap();
    let run = triton(&[
        "predict",
        &model,
        &input,
        "--quiet",
        "--output-format",
        "csv",
    ]);
    assert_eq!((run.code, &*run.stdout), (Some(0), ROWS), "{}", run.stderr);
}

#[test]
fn what_is_left_of_a_file_of_polars_is_refused_wherever_it_ends() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.path("in.arrow");
    for length in [9, 12, 40, 120, POLARS.len() / 2, POLARS.len() - 7] {
        std::fs::write(&input, &POLARS[..length]).unwrap();
        let run = triton(&["predict", &model, &input, "--quiet"]);
        assert_eq!(run.code, Some(2), "{length}: {}", run.stderr);
    }
}
