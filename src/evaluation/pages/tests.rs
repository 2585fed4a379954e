use serde_json::json;

use super::*;
use crate::decoding::DepthRecord;
use crate::evaluation::{FinishedRun, GateFailure, RequestFigures, Setting, StepFigures};

fn step(positions: usize, accepted: usize) -> StepFigures {
    StepFigures {
        context_length: 100 + 40 * accepted,
        proposed: vec![1; positions],
        accepted,
        emitted: accepted + 1,
        path: vec![DepthRecord {
            rank: Some(0),
            top_q: 0.75,
            ..DepthRecord::default()
        }],
        draft: std::time::Duration::from_micros(100),
        verify: std::time::Duration::from_micros(300),
        ..StepFigures::default()
    }
}

fn request(id: &str, category: Option<&str>, steps: Vec<StepFigures>) -> RequestFigures {
    RequestFigures {
        id: id.into(),
        category: category.map(str::to_owned),
        output_tokens: 1 + steps.iter().map(|step| step.emitted).sum::<usize>(),
        decode: std::time::Duration::from_millis(1),
        plain_decode: std::time::Duration::from_millis(2),
        lossless: true,
        steps,
        ..RequestFigures::default()
    }
}

fn report(positions: usize) -> Report {
    let setting = Setting {
        verifier: "verifier <b> | `x`".into(),
        ..Setting::of_chain(positions)
    };
    let requests = [
        request(
            "a",
            Some("code"),
            vec![step(positions, positions), step(positions, 0)],
        ),
        request(
            "<script>|",
            Some("talk & <b>"),
            vec![step(positions, 1), step(positions, 1)],
        ),
    ];
    Report::fold(setting, &requests, None)
}

/// Whether tags nest; elements that are empty by nature count as closed.
fn assert_well_formed(page: &str) {
    let mut open = Vec::new();
    let mut rest = page;
    while let Some(begin) = rest.find('<') {
        let end = begin + rest[begin..].find('>').unwrap();
        let tag = &rest[begin + 1..end];
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric())
            .collect();
        rest = &rest[end + 1..];
        if tag.starts_with('!') || tag.ends_with('/') || name == "meta" {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(
                open.pop(),
                Some(name),
                "before {}",
                &rest[..rest.len().min(80)]
            );
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_page_is_whole_and_loads_nothing_whatever_names_say() {
    for positions in [1, 3, 63] {
        let page = PageForm::Html.report(&report(positions)).unwrap();
        assert_well_formed(&page);
        for forbidden in [
            "<script", "http://", "https://", "url(", "@import", "<link", "<img", "src=",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(
            page.contains("&lt;script&gt;|"),
            "the request is not listed"
        );
        assert_eq!(
            page.matches("<svg").count(),
            if positions > 1 { 7 } else { 6 }
        );
    }
}

#[test]
fn sentences_are_made_of_the_figures() {
    let page = PageForm::Html.report(&report(3)).unwrap();
    for sentence in [
        "2 requests with 11 output tokens: 4 steps had a draft, and proposed 12 draft tokens, of which 5 were accepted.",
        "accepted the first draft token in 75.0 % of the steps, and all 3 in 25.0 %",
        "A step accepted 1.25 draft tokens on average; 25.0 % of the steps accepted none, and 25.0 %",
        "With 1 draft token per step the mean length would have been about 1.75; with 3 it was 2.25, to which the last token added 0.250.",
        "code has the longest mean length, 2.50, and talk &amp; &lt;b&gt; the shortest, 2.00",
        "A step took 0.400 ms and gave 2.25 tokens",
        "too modest by 25.0 points",
        "All 2 requests gave exactly the tokens of plain decoding.",
    ] {
        assert!(page.contains(sentence), "{sentence}");
    }
}

#[test]
fn what_was_not_measured_is_left_out_or_said() {
    let mut without = report(3);
    without.calibration = None;
    without.categories.clear();
    let page = PageForm::Html.report(&without).unwrap();
    assert!(!page.contains("calibration") && !page.contains("By kind of prompt"));

    let empty = Report::fold(Setting::of_chain(3), &[], None);
    let page = PageForm::Html.report(&empty).unwrap();
    assert_well_formed(&page);
    assert!(!page.contains("<svg") && page.contains("nothing to tell of acceptance"));
    assert!(page.contains("not measured") && page.contains("not checked") && !page.contains("NaN"));

    let one = request("a", None, vec![step(3, 2)]);
    let page = PageForm::Html
        .report(&Report::fold(Setting::of_chain(3), &[one], None))
        .unwrap();
    assert!(page.contains("One request says nothing of how requests differ"));
}

#[test]
fn losses_and_failed_gates_stand_at_the_top() {
    let mut report = report(3);
    report.lossless.mismatched = 1;
    report.lossless.mismatched_ids = vec!["a".into()];
    report.failed_gates = Some(vec![GateFailure {
        metric: "mean_length".into(),
        value: Some(2.25),
        limit: 3.0,
        short_by: Some(0.75),
    }]);
    for form in [PageForm::Html, PageForm::Markdown] {
        let page = form.report(&report).unwrap();
        let page = page.replace("\\_", "_");
        assert!(
            page.contains("1 of 2 requests gave other tokens than plain decoding (a)."),
            "{page}"
        );
        assert!(
            page.contains("mean_length is 2.2500, 0.7500 under its limit of 3"),
            "{page}"
        );
    }
}

#[test]
fn tables_of_markdown_have_as_many_cells_in_each_row() {
    let page = PageForm::Markdown.report(&report(3)).unwrap();
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let lines: Vec<&str> = page.lines().collect();
    let mut tables = 0;
    for table in lines
        .split(|line| !line.starts_with('|'))
        .filter(|table| !table.is_empty())
    {
        assert!(table.len() > 2 && table[1].starts_with("|---"), "{table:?}");
        assert!(
            table.iter().all(|line| cells(line) == cells(table[0])),
            "{table:#?}"
        );
        tables += 1;
    }
    assert_eq!(tables, 10, "{page}");
    assert!(!page.contains("<b>"), "{page}");
}

#[test]
fn a_comparison_says_which_differences_are_clear() {
    let run = |file: &str, positions: usize| {
        let report = serde_json::to_value(report(positions)).unwrap();
        FinishedRun {
            file: file.into(),
            setting: serde_json::from_value(report["setting"].clone()).unwrap(),
            requests: serde_json::from_value(report["requests"].clone()).unwrap(),
            unfinished: Vec::new(),
        }
    };
    let comparison = RunComparison::make(&run("old.json", 2), &run("<new>.json", 3)).unwrap();
    let page = PageForm::Html.comparison(&comparison).unwrap();
    assert_well_formed(&page);
    assert!(page.contains("&lt;new&gt;.json compared with old.json"));
    assert!(page.contains("The mean length is 2.250 in the second run and 2.000 in the first"));
    assert!(page.contains("num_speculative_tokens"));
    let text = PageForm::Markdown.comparison(&comparison).unwrap();
    assert!(
        text.contains("| num\\_speculative\\_tokens | 2 | 3 |"),
        "{text}"
    );
}

#[test]
fn forms_go_by_the_ending() {
    let of = |name: &str| PageForm::of(Path::new(name));
    assert_eq!(of("a/report.html"), Some(PageForm::Html));
    assert_eq!(of("README.MD"), Some(PageForm::Markdown));
    assert_eq!((of("report.pdf"), of("report")), (None, None));
    assert_eq!(json!(cell("a|b\n_c_")), json!("a\\|b \\_c\\_"));
}
