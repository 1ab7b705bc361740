//! Line plots as SVG, which a page of HTML holds within itself.

use std::fmt::Write as _;

/// The size of a plot, and the room around its lines.
struct Layout {
    /// Which screens it is for.
    class: &'static str,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

const WIDE: Layout = Layout {
    class: "wide",
    width: 720.0,
    height: 300.0,
    left: 72.0,
    right: 16.0,
    top: 16.0,
    bottom: 44.0,
};

/// For a telephone, on which the text of a wide plot would be too small to read.
const NARROW: Layout = Layout {
    class: "narrow",
    width: 330.0,
    height: 260.0,
    left: 58.0,
    right: 12.0,
    ..WIDE
};

/// About the width of a character of a mark.
const CHARACTER: f64 = 6.8;

/// A plot of one or more lines over a common x axis.
pub(super) struct Chart<'a> {
    /// What it shows, for those who cannot see it.
    pub(super) title: &'a str,
    /// Marks of the x axis: where, from 0 to 1, and what stands there.
    pub(super) x_marks: Vec<(f64, String)>,
    pub(super) x_label: &'a str,
    /// Writes a value of the y axis.
    pub(super) y_text: fn(f64) -> String,
    pub(super) lines: Vec<Line<'a>>,
}

/// A line of a plot.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    /// Where, from 0 to 1; how much; and what is said where the pointer rests.
    pub(super) points: Vec<(f64, f64, String)>,
}

impl Chart<'_> {
    /// The plot twice, of which a page shows the one that fits the screen.
    pub(super) fn to_svg(&self) -> String {
        self.draw(&WIDE) + &self.draw(&NARROW) + &self.legend()
    }

    fn draw(&self, layout: &Layout) -> String {
        let Layout {
            class,
            width,
            height,
            left,
            right,
            top,
            bottom,
        } = *layout;
        let values = self.lines.iter().flat_map(|line| &line.points);
        let highest = values.map(|(_, value, _)| *value).fold(0.0, f64::max);
        let step = step(highest);
        // The topmost mark lies above every value.
        let steps = (highest / step).ceil().max(1.0);
        let highest_mark = step * steps;
        let x = |place: f64| left + place * (width - left - right);
        let y = |value: f64| height - bottom - value / highest_mark * (height - top - bottom);
        let mut svg = format!(
            "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n",
            escape(self.title)
        );
        // Writing to a String cannot fail.
        for mark in 0..=steps as u32 {
            let value = f64::from(mark) * step;
            let (y, text) = (y(value), escape(&(self.y_text)(value)));
            let (end, beside) = (width - right, left - 8.0);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{left}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"mark\" x=\"{beside}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                y + 4.0
            );
        }
        let mut free = 0.0;
        for (place, text) in &self.x_marks {
            let half = text.chars().count() as f64 * CHARACTER / 2.0;
            // None is written over another one, or cut off at the edge.
            let (x, y) = (x(*place).min(width - half), height - bottom + 18.0);
            if x - half < free {
                continue;
            }
            free = x + half + CHARACTER;
            let text = escape(text);
            let _ = writeln!(
                svg,
                "<text class=\"mark\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{text}</text>"
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"mark\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(0.5),
            height - 6.0,
            escape(self.x_label)
        );
        for (index, line) in self.lines.iter().enumerate() {
            let points: Vec<String> = line
                .points
                .iter()
                .map(|(place, value, _)| format!("{:.1},{:.1}", x(*place), y(*value)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline class=\"line series{index}\" points=\"{}\"/>",
                points.join(" ")
            );
            for (place, value, text) in &line.points {
                let _ = writeln!(
                    svg,
                    "<circle class=\"point series{index}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\">\
                     <title>{}</title></circle>",
                    x(*place),
                    y(*value),
                    escape(text)
                );
            }
        }
        svg + "</svg>\n"
    }

    /// The names of the lines, where there is more than one.
    fn legend(&self) -> String {
        if self.lines.len() < 2 {
            return String::new();
        }
        let names = self.lines.iter().enumerate().map(|(index, line)| {
            let name = escape(line.name);
            format!("<span><i class=\"swatch series{index}\"></i>{name}</span>")
        });
        format!("<p class=\"legend\">{}</p>\n", names.collect::<String>())
    }
}

/// A round distance between marks, of which there are about five.
fn step(highest: f64) -> f64 {
    if highest <= 0.0 {
        return 1.0;
    }
    let rough = highest / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let found = steps.iter().find(|step| *step * power >= rough);
    found.map_or(power * 10.0, |step| step * power)
}

/// Text as it may stand in HTML, within an attribute too.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        for highest in [0.0, 0.003, 1.0, 7.3, 99.0, 12_345.0] {
            let step = step(highest);
            assert!(highest / step <= 5.01, "{highest}: {step}");
        }
        assert_eq!((step(1.0), step(7.3), step(12_345.0)), (0.2, 2.0, 2_500.0));
    }

    #[test]
    fn names_cannot_break_out_of_the_page() {
        assert_eq!(
            escape("<a href='x'>&\""),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;"
        );
    }
}
