//! The page of a run: the table, and how costs grow, in one file without anything from elsewhere.

use super::growth::Curve;
use super::machine::Machine;
use super::plot;
use super::table::{HEADINGS, Row};

const STYLE: &str = include_str!("page.css");

pub(super) fn page(rows: &[Row], curves: &[Curve], machine: &Machine) -> String {
    let mut body = String::from("<h1>What the <b>triton</b> command costs</h1>\n<dl>\n");
    for (name, value) in &machine.lines {
        body.push_str(&format!("<dt>{name}</dt><dd>{}</dd>\n", escape(value)));
    }
    body.push_str("</dl>\n");
    if !rows.is_empty() {
        body.push_str(
            "<h2>Beside its peers</h2>\n<p>Processor time of the client alone, in user mode and in \
             the kernel: the median of rounds in which all took turns, and what the middle half of \
             the rounds lies between.</p>\n",
        );
    }
    // A card for each work and peer, because a phone has no room for a table of eight columns.
    for row in rows {
        let cells = row.cells();
        let state = match row.verdict() {
            verdict if verdict.contains("missed") => "missed",
            verdict if verdict.contains("met") => "met",
            _ => "",
        };
        body.push_str(&format!(
            "<section class=\"{state}\">\n<h3>{}</h3>\n<table>\n",
            escape(&cells[0])
        ));
        for (heading, cell) in HEADINGS.iter().zip(&cells).skip(1) {
            if !cell.is_empty() && cell != "–" {
                body.push_str(&format!(
                    "<tr><th>{heading}</th><td>{}</td></tr>\n",
                    escape(cell)
                ));
            }
        }
        body.push_str("</table>\n</section>\n");
    }
    if !curves.is_empty() {
        body.push_str(
            "<h2>How the cost of a row grows</h2>\n<p>Microseconds of processor time a row; on both \
             axes ten times as much takes the same room. The dashed line is what was expected.</p>\n",
        );
    }
    for curve in curves {
        body.push_str(&format!(
            "<section>\n<h3>{}</h3>\n<p>Expected: {}.</p>\n{}</section>\n",
            escape(curve.title),
            escape(&curve.expected_as),
            plot::svg(curve)
        ));
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>What the triton command costs</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// Text as it may stand in HTML; `code` of Markdown is shown as it is.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('`', "")
}
