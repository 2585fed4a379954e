//! No text of a chart lies on another one or outside of the drawing, whatever it is drawn of.

use super::*;
use crate::evaluation::pages::drawing::text_width;

/// A text: left, top, right, bottom.
#[derive(Debug)]
struct Box {
    #[expect(dead_code, reason = "shown where an assertion fails")]
    text: String,
    ends: [f64; 4],
}

fn attribute(element: &str, name: &str) -> f64 {
    let begin = element.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
    let end = begin + element[begin..].find('"').unwrap();
    element[begin..end].parse().unwrap()
}

fn texts(svg: &str) -> Vec<Box> {
    let elements = svg.lines().filter(|line| line.starts_with("<text"));
    elements
        .map(|element| {
            let begin = element.find('>').unwrap() + 1;
            let end = begin + element[begin..].find('<').unwrap();
            let text = &element[begin..end];
            let scale = if element.contains("\"note\"") {
                11.0 / 12.0
            } else {
                1.0
            };
            // Estimates err on the wide side, so that a little is taken off.
            let (width, height) = (text_width(text) * scale * 0.92, 10.0);
            let (x, y) = (attribute(element, "x"), attribute(element, "y"));
            let ends = if element.contains("rotate") {
                [x - height, y - width / 2.0, x, y + width / 2.0]
            } else {
                let left = match element {
                    element if element.contains("\"middle\"") => x - width / 2.0,
                    element if element.contains("\"end\"") => x - width,
                    _ => x,
                };
                [left, y - height + 1.0, left + width, y]
            };
            Box {
                text: text.to_owned(),
                ends,
            }
        })
        .collect()
}

fn assert_legible(svg: &str) {
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    let size = svg.split('"').nth(1).unwrap();
    let size: Vec<f64> = size
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    let texts = texts(svg);
    for (index, one) in texts.iter().enumerate() {
        let [left, top, right, bottom] = one.ends;
        assert!(
            left >= 0.0 && top >= 0.0 && right <= size[2] && bottom <= size[3],
            "{one:?} is outside of {size:?}"
        );
        for other in &texts[index + 1..] {
            let apart = right <= other.ends[0]
                || other.ends[2] <= left
                || bottom <= other.ends[1]
                || other.ends[3] <= top;
            assert!(apart, "{one:?} lies on {other:?}");
        }
    }
    for part in [
        "role=\"img\"",
        "<title id=\"x-title\">t</title>",
        "<desc id=\"x-desc\">s</desc>",
    ] {
        assert!(svg.contains(part), "{part}");
    }
}

const WORDS: Words<'_> = Words {
    id: "x",
    title: "t",
    shows: "s",
};

fn point(joint: f64, conditional: f64) -> PositionPoint {
    let about = |value: f64| Some([(value - 0.05).max(0.0), (value + 0.05).min(1.0)]);
    PositionPoint {
        joint: Some(joint),
        joint_interval: about(joint),
        conditional: Some(conditional),
        conditional_interval: about(conditional),
    }
}

#[test]
fn positions_can_be_read_from_one_to_sixty_three() {
    for count in [1, 2, 3, 5, 6, 7, 16, 17, 63] {
        for (first, falls) in [
            (0.9, 0.93),
            (1.0, 1.0),
            (0.02, 0.5),
            (0.0, 0.0),
            (0.55, 0.8),
        ] {
            let mut joint = first;
            let points: Vec<PositionPoint> = (0..count)
                .map(|index| {
                    let conditional = if index == 0 { first } else { falls };
                    joint = if index == 0 { first } else { joint * falls };
                    point(joint, conditional)
                })
                .collect();
            assert_legible(&shares(WORDS, &points));
        }
    }
    let gap = [point(0.9, 0.9), PositionPoint::default(), point(0.3, 0.6)];
    assert_legible(&shares(WORDS, &gap));
    assert_legible(&shares(WORDS, &[]));
}

#[test]
fn rows_can_be_read_from_none_to_forty_with_any_name() {
    for count in [0, 1, 2, 40] {
        let rows: Vec<Row> = (0..count)
            .map(|index| Row {
                label: [
                    "code",
                    "a category with a very long name indeed",
                    "數學與邏輯推理以及程式設計題",
                ][index % 3]
                    .to_owned(),
                note: "1234 requests".to_owned(),
                value: (index % 7 != 3).then_some(1.0 + axis_count(index) / 10.0),
                interval: (index % 5 != 4).then_some([1.0, 1.5 + axis_count(index) / 9.0]),
                class: "one",
            })
            .collect();
        for (reference, signed) in [
            (Some((1.02, "all: 1.02".to_owned())), false),
            (Some((0.0, "no difference".to_owned())), true),
            (None, false),
        ] {
            let form = Forest {
                axis_title: "mean length (tokens per step)",
                reference,
                least: 0.2,
                signed,
            };
            assert_legible(&forest(WORDS, &rows, &form));
        }
    }
}

#[test]
fn columns_can_be_read_from_one_to_sixty_four() {
    for count in [1, 2, 4, 8, 11, 12, 17, 33, 64] {
        for mark in [0.0, 0.4 * axis_count(count - 1), axis_count(count - 1)] {
            let bars: Vec<Column> = (0..count)
                .map(|index| Column {
                    label: index.to_string(),
                    share: if index + 1 == count {
                        0.79
                    } else {
                        0.21 / axis_count(count)
                    },
                    tip: String::new(),
                })
                .collect();
            let mark = Some((mark, format!("mean {mark:.2}")));
            assert_legible(&columns(
                WORDS,
                &bars,
                "draft tokens accepted in a step",
                mark,
            ));
        }
    }
    assert_legible(&columns(
        WORDS,
        &[],
        "draft tokens accepted in a step",
        None,
    ));
}

#[test]
fn times_can_be_read_however_long_they_are() {
    for [draft, verify, other, plain] in [
        [0.121, 0.278, 0.0, 0.5],
        [912.0, 4000.0, 0.3, 21_000.0],
        [1e-5, 1e-5, 0.0, 1e-5],
    ] {
        let bars = [
            Stack {
                label: "one step with the head: 3.47 tokens".to_owned(),
                parts: vec![
                    ("part one", "draft", draft),
                    ("part two", "verify", verify),
                    ("part three", "other", other),
                ],
            },
            Stack {
                label: "plain decoding: 3.47 tokens, one at a time".to_owned(),
                parts: vec![("part plain", "plain", plain)],
            },
        ];
        let unit = Unit {
            axis_title: "milliseconds",
            suffix: "ms",
        };
        assert_legible(&stacks(WORDS, &bars, unit));
    }
}

#[test]
fn calibration_can_be_read_whatever_falls_into_a_bin() {
    let bins: Vec<ReliabilityPoint> = (0..10)
        .map(|index| {
            let said = (axis_count(index) + 0.5) / 10.0;
            ReliabilityPoint {
                count: [0, 3, 999, 12_345, 4_567_890][index % 5],
                said: (index % 5 > 0).then_some(said),
                share: (index % 5 > 0).then_some(said * said),
                interval: (index % 2 > 0).then_some([said * said * 0.9, said]),
            }
        })
        .collect();
    assert_legible(&reliability(WORDS, &bins));
}

#[test]
fn names_at_the_ends_of_curves_keep_their_distance() {
    for count in [0, 1, 4, 6] {
        let lines: Vec<Curve> = (0..count)
            .map(|index| Curve {
                name: format!("calibrated tree {index} of a kind"),
                points: (1..8)
                    .map(|x| (f64::from(x), 2.0 + 0.01 * axis_count(index)))
                    .collect(),
            })
            .collect();
        assert_legible(&curves(
            WORDS,
            &lines,
            ("draft tokens per step", "mean length (tokens per step)"),
        ));
    }
}
