//! Lines, shapes and words, as SVG that stands inside a page. Colours are classes, so that one style sheet serves light,
//! dark and paper.

use std::fmt::Write;

/// Which point of a text lies at the place given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn as_str(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

/// A drawing in pixels, the origin at the upper left.
#[derive(Clone, Debug)]
pub(super) struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

impl Drawing {
    pub(super) fn new(width: f64, height: f64) -> Drawing {
        Drawing {
            width,
            height,
            body: String::new(),
        }
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    /// A rectangle that tells `tip` to who points at it.
    pub(super) fn rectangle(&mut self, class: &str, at: (f64, f64), size: (f64, f64), tip: &str) {
        let ((x, y), (width, height)) = (at, size);
        let tip = escape(tip);
        self.add(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"><title>{tip}</title></rect>"#
        ));
    }

    /// A round mark that tells `tip` to who points at it.
    pub(super) fn dot(&mut self, class: &str, at: (f64, f64), radius: f64, tip: &str) {
        let ((x, y), tip) = (at, escape(tip));
        self.add(format_args!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"><title>{tip}</title></circle>"#
        ));
    }

    /// A square mark, told from a round one without colour.
    pub(super) fn square(&mut self, class: &str, at: (f64, f64), radius: f64, tip: &str) {
        let corner = (at.0 - radius, at.1 - radius);
        self.rectangle(class, corner, (2.0 * radius, 2.0 * radius), tip);
    }

    /// Straight lines from point to point.
    pub(super) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        self.add(format_args!(
            r#"<polyline class="{class}" points="{}"/>"#,
            points.join(" ")
        ));
    }

    /// A filled shape.
    pub(super) fn polygon(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        self.add(format_args!(
            r#"<polygon class="{class}" points="{}"/>"#,
            points.join(" ")
        ));
    }

    pub(super) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let ((x, y), anchor, text) = (at, anchor.as_str(), escape(text));
        self.add(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    /// A text cut to a width, which tells the whole to who points at it.
    pub(super) fn text_within(
        &mut self,
        class: &str,
        at: (f64, f64),
        anchor: Anchor,
        text: &str,
        width: f64,
    ) {
        let shown = shorten(text, width);
        if shown == text {
            return self.text(class, at, anchor, text);
        }
        let ((x, y), anchor) = (at, anchor.as_str());
        let (shown, whole) = (escape(&shown), escape(text));
        self.add(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{shown}<title>{whole}</title></text>"#
        ));
    }

    /// A text along the vertical axis, read from below.
    pub(super) fn upright_text(&mut self, class: &str, at: (f64, f64), text: &str) {
        let ((x, y), text) = (at, escape(text));
        self.add(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="middle" transform="rotate(-90 {x:.1} {y:.1})">{text}</text>"#
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    /// The SVG. Who cannot see it is read its title and what it shows; `id` is unique on the page.
    pub(super) fn finish(self, id: &str, title: &str, shows: &str) -> String {
        let Drawing {
            width,
            height,
            body,
        } = self;
        let (title, shows) = (escape(title), escape(shows));
        format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
             <title id=\"{id}-title\">{title}</title>\n<desc id=\"{id}-desc\">{shows}</desc>\n{body}</svg>"
        )
    }
}

/// About how wide a text is, at 12 pixels: what is not Latin takes a square.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars()
        .map(|letter| match letter {
            'i' | 'l' | '.' | ',' | ' ' | 'j' | '|' | ':' => 4.0,
            'm' | 'w' | 'M' | 'W' | '%' | '@' => 10.5,
            letter if letter.is_ascii_uppercase() => 8.5,
            letter if letter.is_ascii() => 7.0,
            letter if u32::from(letter) < 0x1100 => 7.5,
            _ => 12.5,
        })
        .sum()
}

fn shorten(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    for letter in text.chars() {
        shown.push(letter);
        if text_width(&shown) + 12.0 > width {
            shown.pop();
            break;
        }
    }
    shown.truncate(shown.trim_end().len());
    shown.push('…');
    shown
}

/// Text as it may stand in a document; what XML has no place for becomes a mark.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_a_drawing() {
        let mut drawing = Drawing::new(10.0, 10.0);
        let name = "<script>alert(\"&\")</script>\u{0}";
        drawing.text("label", (0.0, 0.0), Anchor::Start, name);
        drawing.text_within("label", (0.0, 0.0), Anchor::End, name, 40.0);
        drawing.dot("mark", (1.0, 1.0), 1.0, name);
        let svg = drawing.finish("a", name, name);
        assert!(!svg.contains("<script") && !svg.contains('\u{0}'), "{svg}");
        assert_eq!(
            svg.matches("&lt;script&gt;alert(&quot;&amp;").count(),
            5,
            "{svg}"
        );
    }

    #[test]
    fn what_is_too_wide_is_cut_and_what_is_not_is_left() {
        assert_eq!(shorten("arithmetic", 100.0), "arithmetic");
        let cut = shorten("a very long name of a category", 100.0);
        assert!(cut.ends_with('…') && text_width(&cut) <= 112.0, "{cut}");
        // Letters of other scripts are wider.
        assert!(shorten("分類分類分類分類分類", 100.0).chars().count() < 9);
    }
}
