//! The columns of the input that the command line so far names.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use triton_options::ColumnNames;

use crate::table::Format;

/// The most that is read to find the first line of a file.
const LONGEST_LINE: u64 = 1 << 20;

/// Their names, of the first word that is a file with columns.
pub(super) fn names(words: &[String]) -> Option<Vec<String>> {
    let mut files = words.iter().map(Path::new).filter(|path| path.is_file());
    files.find_map(columns)
}

/// A list of columns as it was typed, with each name that its last one may become.
pub(super) fn completed(typed: &str, names: &[String]) -> Vec<String> {
    let (before, start) = typed.split_at(typed.rfind([',', ';']).map_or(0, |place| place + 1));
    let names = names.iter().map(|name| ColumnNames::quote(name));
    let names = names.filter(|name| name.starts_with(start));
    names.map(|name| format!("{before}{name}")).collect()
}

fn columns(path: &Path) -> Option<Vec<String>> {
    let (format, compression) = Format::of_path(path);
    if compression.is_some() {
        return None;
    }
    match format? {
        format @ (Format::Csv | Format::Tsv) => {
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(format.delimiter())
                .from_reader(File::open(path).ok()?.take(LONGEST_LINE));
            let names = reader.headers().ok()?.iter();
            Some(names.map(str::to_owned).collect())
        }
        Format::Ndjson => {
            let mut line = String::new();
            let mut reader = BufReader::new(File::open(path).ok()?.take(LONGEST_LINE));
            reader.read_line(&mut line).ok()?;
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&line).ok()?;
            Some(object.into_iter().map(|(name, _)| name).collect())
        }
        #[cfg(feature = "parquet")]
        Format::Parquet => {
            use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
            let file = File::open(path).ok()?;
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).ok()?;
            Some(of_schema(builder.schema()))
        }
        #[cfg(feature = "arrow")]
        Format::Arrow => {
            let file = BufReader::new(File::open(path).ok()?);
            let reader = arrow_ipc::reader::FileReader::try_new(file, None).ok()?;
            Some(of_schema(&reader.schema()))
        }
        #[cfg(feature = "arrow")]
        Format::ArrowStream => {
            let file = BufReader::new(File::open(path).ok()?);
            let reader = arrow_ipc::reader::StreamReader::try_new(file, None).ok()?;
            Some(of_schema(&reader.schema()))
        }
        #[cfg(not(all(feature = "arrow", feature = "parquet")))]
        _ => None,
    }
}

#[cfg(feature = "arrow")]
fn of_schema(schema: &arrow_schema::Schema) -> Vec<String> {
    let fields = schema.fields().iter();
    fields.map(|field| field.name().clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_name_of_a_list_is_completed() {
        let names = ["id", "in,out", "value"].map(str::to_owned);
        assert_eq!(completed("", &names), ["id", "'in,out'", "value"]);
        assert_eq!(completed("value,i", &names), ["value,id"]);
        assert_eq!(completed("id;'", &names), ["id;'in,out'"]);
    }
}
