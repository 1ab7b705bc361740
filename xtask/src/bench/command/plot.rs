//! A curve as SVG, on axes where ten times as much takes the same room everywhere.

use std::fmt::Write as _;

use super::growth::Curve;

// As wide as a phone, so that its letters can be read there.
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;

/// An axis, from one power of ten to another.
struct Axis {
    least: f64,
    most: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min).log10();
        let most = values.fold(0.0, f64::max).log10();
        let least = (least + 1e-9).floor();
        Self {
            least,
            most: (most - 1e-9).ceil().max(least + 1.0),
        }
    }

    /// Where a value stands, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value.log10() - self.least) / (self.most - self.least)
    }

    fn marks(&self) -> impl Iterator<Item = f64> + use<> {
        (self.least as i32..=self.most as i32).map(|power| 10_f64.powi(power))
    }
}

pub(super) fn svg(curve: &Curve) -> String {
    let x_axis = Axis::of(curve.points.iter().map(|(size, ..)| *size));
    let y_axis = Axis::of(
        curve
            .points
            .iter()
            .flat_map(|(_, measured, expected)| [*measured, *expected]),
    );
    let x = |value: f64| LEFT + x_axis.place(value) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - y_axis.place(value) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        curve.title
    );
    // Writing to a String cannot fail, here and below.
    for mark in y_axis.marks() {
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
             <text class=\"mark\" x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            WIDTH - RIGHT,
            y(mark),
            LEFT - 6.0,
            y(mark) + 4.0,
            short(mark)
        );
    }
    for mark in x_axis.marks() {
        let _ = writeln!(
            svg,
            "<line class=\"grid\" y1=\"{TOP}\" y2=\"{0:.1}\" x1=\"{1:.1}\" x2=\"{1:.1}\"/>\
             <text class=\"mark\" x=\"{1:.1}\" y=\"{2:.1}\" text-anchor=\"middle\">{3}</text>",
            HEIGHT - BOTTOM,
            x(mark),
            HEIGHT - BOTTOM + 18.0,
            short(mark)
        );
    }
    type Part = fn(&(f64, f64, f64)) -> f64;
    let lines: [(&str, Part); 2] = [("expected", |point| point.2), ("measured", |point| point.1)];
    for (class, part) in lines {
        let points = curve.points.iter();
        let points: Vec<_> = points
            .map(|point| format!("{:.1},{:.1}", x(point.0), y(part(point))))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline class=\"{class}\" points=\"{}\"/>",
            points.join(" ")
        );
    }
    for (size, measured, expected) in &curve.points {
        let _ = writeln!(
            svg,
            "<circle class=\"point\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"><title>{size}: {measured:.2} µs a \
             row, expected {expected:.2}</title></circle>",
            x(*size),
            y(*measured)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// A power of ten in few letters.
fn short(value: f64) -> String {
    match value {
        small if small < 1e3 => format!("{small}"),
        thousands if thousands < 1e6 => format!("{}k", thousands / 1e3),
        millions => format!("{}M", millions / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_lies_within_the_axes() {
        for (least, most) in [(1.0, 1.0), (0.35, 0.36), (10.0, 1e6), (3.0, 4e5)] {
            let axis = Axis::of([least, most].into_iter());
            for value in [least, most] {
                assert!((-1e-6..=1.0 + 1e-6).contains(&axis.place(value)), "{value}");
            }
        }
        assert_eq!(
            [0.01, 1.0, 1e4, 1e7].map(short),
            ["0.01", "1", "10k", "10M"]
        );
    }
}
