//! The catalog as documentation: tables of Key, Default, Type and Description.
//!
//! Rows stand in alphabetical order of their keys and the output depends on nothing but the
//! catalog, so that a committed page can be compared byte for byte.

pub mod html;
pub mod markdown;
pub mod rustdoc;
mod table;
pub mod text;

pub use self::table::{COLUMNS, sorted};
use crate::Section;

/// A generated page: the name of its file, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The file's name, without a folder.
    pub file_name: String,
    /// Everything in the file.
    pub text: String,
}

/// Every generated page, in the order of their names.
#[must_use]
pub fn pages() -> Vec<Page> {
    let section_page = |section: &Section| Page {
        file_name: format!("model_triton_{}_section.html", section.name()),
        text: html::table(&sorted(Some(*section))),
    };
    let whole_pages = [
        Page {
            file_name: "rustdoc_options.md".to_owned(),
            text: rustdoc::section(),
        },
        Page {
            file_name: "triton_configuration.html".to_owned(),
            text: html::table(&sorted(None)),
        },
        Page {
            file_name: "triton_configuration.md".to_owned(),
            text: markdown::page(),
        },
    ];
    let mut pages: Vec<Page> = Section::ALL
        .iter()
        .map(section_page)
        .chain(whole_pages)
        .collect();
    pages.sort_by(|left, right| left.file_name.cmp(&right.file_name));
    pages
}
