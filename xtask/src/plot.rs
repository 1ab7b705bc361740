//! Curves over time as an SVG that stands alone, on a light page and on a dark one.

use std::fmt::Write as _;

const WIDTH: f64 = 660.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 60.0;
/// With room for half of the last mark.
const RIGHT: f64 = 34.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 34.0;

/// How many marks an axis has.
const MARKS: u32 = 4;

const STYLE: &str = "text{font:12px sans-serif;fill:#777}.grid{stroke:#7774}\
polyline{fill:none;stroke-width:2}.main{stroke:#3a7}.other{stroke:#d73}\
text.main{fill:#3a7;stroke:none}text.other{fill:#d73;stroke:none}";

pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) curves: Vec<Curve>,
}

pub(crate) struct Curve {
    pub(crate) name: &'static str,
    /// Its colour, by what it is.
    pub(crate) class: &'static str,
    /// Seconds, and what was there.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Plot {
    pub(crate) fn svg(&self) -> String {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let last = round_up(points().map(|point| point.0).fold(0.0, f64::max));
        let most = round_up(points().map(|point| point.1).fold(0.0, f64::max));
        let x = |seconds: f64| LEFT + seconds / last * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{0}\">\n<style>{STYLE}</style>\n<text x=\"{LEFT}\" y=\"16\">{0}</text>\n",
            self.title
        );
        // Writing to a String cannot fail, here and below.
        for mark in 0..=MARKS {
            let part = f64::from(mark) / f64::from(MARKS);
            let (seconds, value) = (part * last, part * most);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
                 <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{value:.0}</text>\
                 <text x=\"{4:.1}\" y=\"{5}\" text-anchor=\"middle\">{seconds:.0} s</text>",
                WIDTH - RIGHT,
                y(value),
                LEFT - 6.0,
                y(value) + 4.0,
                x(seconds),
                HEIGHT - BOTTOM + 18.0,
            );
        }
        for (number, curve) in self.curves.iter().enumerate() {
            let points = curve.points.iter();
            let points: Vec<String> = points
                .map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline class=\"{0}\" points=\"{1}\"/><text class=\"{0}\" x=\"{2}\" y=\"32\">{3}</text>",
                curve.class,
                points.join(" "),
                LEFT + 140.0 * number as f64,
                curve.name
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// The next number that divides well.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1.0).log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0];
    let found = steps.iter().map(|step| step * power);
    found.into_iter().find(|it| *it >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_behind_the_last_value() {
        assert_eq!(
            [0.0, 7.0, 21.0, 5300.0].map(round_up),
            [1.0, 8.0, 24.0, 6000.0]
        );
    }
}
