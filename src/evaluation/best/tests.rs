use super::*;
use crate::decoding::{Drafting, DynamicTree, PositionSurvey, TreePlaces};

fn position(context_length: usize, ranks: &[Option<usize>]) -> PositionSurvey {
    PositionSurvey {
        context_length,
        ranks: ranks.to_vec(),
        q: vec![0.5; ranks.len()],
        top: vec![vec![0.5, 0.25]; ranks.len()],
        trees: Vec::new(),
    }
}

fn request(id: &str, positions: Vec<PositionSurvey>) -> RequestSurvey {
    RequestSurvey {
        id: id.to_owned(),
        every: 1,
        positions,
    }
}

fn steps(request: &RequestSurvey, drafting: &Drafting) -> Vec<[usize; 2]> {
    let steps = simulate(request, drafting).unwrap();
    let pair = |step: SimulatedStep| [step.context_length, step.accepted];
    steps.into_iter().map(pair).collect()
}

fn of_chain(num_speculative_tokens: usize) -> Drafting {
    Drafting::Chain {
        num_speculative_tokens,
    }
}

fn of_paths(paths: &[&[usize]]) -> Drafting {
    let paths = paths.iter().map(|path| path.to_vec()).collect();
    Drafting::StaticTree(StaticTree::new(paths).unwrap())
}

/// Ranks of the second token of each pair depend on where the step began: they are of another draft.
fn sample() -> RequestSurvey {
    let (first, second, third) = (Some(0), Some(1), Some(2));
    request(
        "a",
        vec![
            position(10, &[first, first, second]),
            position(11, &[second, first, first]),
            position(12, &[second, third, None]),
            position(13, &[None, first, first]),
            position(14, &[first, first, first]),
            position(15, &[]),
        ],
    )
}

#[test]
fn a_step_begins_behind_what_the_step_before_accepted() {
    let sample = sample();
    assert_eq!(
        steps(&sample, &of_chain(1)),
        [[10, 1], [12, 0], [13, 0], [14, 1]]
    );
    // At 12 the chain fails, and what it accepts at 14 leads beyond the end.
    assert_eq!(steps(&sample, &of_chain(2)), [[10, 2], [13, 0], [14, 2]]);
    let tree = of_paths(&[&[0], &[1], &[0, 0], &[1, 2], &[0, 0, 1]]);
    assert_eq!(steps(&sample, &tree), [[10, 3], [14, 2]]);
    let tree = of_paths(&[&[0], &[1], &[1, 2]]);
    assert_eq!(steps(&sample, &tree), [[10, 1], [12, 2]]);
    assert_eq!(simulate(&sample, &of_chain(11)), None);
    let emitted = |drafting| {
        let steps = simulate(&sample, &drafting).unwrap();
        steps.iter().map(|step| step.emitted).sum::<usize>()
    };
    // The output has six tokens after its first; the last step of some is cut.
    assert_eq!([1, 2, 3].map(|length| emitted(of_chain(length))), [6, 6, 6]);
    // With gaps there is no walking: each position is a step.
    let gaps = RequestSurvey { every: 2, ..sample };
    assert_eq!(steps(&gaps, &of_chain(2)).len(), 5);
}

#[test]
fn a_candidate_is_verified_if_its_place_is_within_the_budget() {
    let mut first = position(10, &[Some(1), Some(0), Some(0)]);
    first.trees = vec![TreePlaces {
        top_k: 4,
        depth: 3,
        calibrated: false,
        places: vec![vec![1, 2, 3], vec![4, 9], vec![11]],
    }];
    let request = request("a", vec![first]);
    let accepted = |depth, budget| {
        let tree = DynamicTree {
            top_k: 4,
            depth,
            budget,
            calibration: None,
        };
        steps(&request, &Drafting::DynamicTree(tree))[0][1]
    };
    assert_eq!([1, 2, 3].map(|budget| accepted(1, budget)), [0, 1, 1]);
    assert_eq!([2, 3, 4, 5].map(|budget| accepted(2, budget)), [0, 1, 1, 2]);
    let whole = [3, 4, 9, 10, 11, 12].map(|budget| accepted(3, budget));
    assert_eq!(whole, [0, 1, 1, 2, 2, 3]);
    let other = DynamicTree {
        top_k: 10,
        ..DynamicTree::default()
    };
    assert_eq!(simulate(&request, &Drafting::DynamicTree(other)), None);
}

#[test]
fn the_best_static_tree_is_that_of_the_most_frequent_paths() {
    // The text is mostly the second choice after the first, so no chain is any good.
    let ranks = |first, second| position(0, &[Some(first), Some(second)]);
    let positions = |count: usize, first, second| vec![ranks(first, second); count];
    let all = [positions(5, 1, 0), positions(3, 0, 2), positions(2, 3, 3)].concat();
    let survey = [RequestSurvey {
        every: 2,
        ..request("a", all)
    }];
    let tree = |budget, depth| {
        let tree = shapes::best_tree(survey.iter(), budget, depth).unwrap();
        tree.unwrap().paths().to_vec()
    };
    assert_eq!(tree(3, 2), [vec![0], vec![1], vec![1, 0]]);
    assert_eq!(tree(3, 1), [vec![0], vec![1], vec![3]]);
    // No other tree of as many nodes accepts more.
    let mean = |tree: &Drafting| {
        let steps = simulate(&survey[0], tree).unwrap();
        steps.iter().map(|step| step.accepted).sum::<usize>()
    };
    let best = mean(&of_paths(&[&[0], &[1], &[1, 0]]));
    for other in [[vec![0], vec![1], vec![0, 2]], [vec![0], vec![1], vec![3]]] {
        assert!(
            mean(&Drafting::StaticTree(
                StaticTree::new(other.to_vec()).unwrap()
            )) < best
        );
    }
}

#[test]
fn a_tree_is_not_praised_by_the_requests_it_was_made_from() {
    // Each half has a path of its own: what is made from one is worth nothing for the other.
    let alike = |id: &str, rank| request(id, vec![position(5, &[Some(rank)]); 4]);
    let best = Best::find(&[alike("a", 0), alike("b", 7)], None, None, "head").unwrap();
    let one = best
        .frontier
        .iter()
        .find(|setting| setting.shape == Shape::Static && setting.budget == 1);
    assert!((one.unwrap().mean_length - 1.0).abs() < 1e-12, "{one:?}");
    assert!(best.survey.cross_validated);
    let alone = Best::find(&[alike("b", 7)], None, None, "head").unwrap();
    assert!(!alone.survey.cross_validated);
    assert!(alone.fastest.is_empty() && alone.recommendation.is_none() && alone.engines.is_empty());
    let nothing = Best::find(&[], None, None, "head").unwrap_err().to_string();
    assert!(nothing.contains("no position was surveyed"), "{nothing}");
}

#[test]
fn the_fastest_setting_weighs_length_against_time() {
    let survey = [RequestSurvey {
        every: 2,
        ..request("a", vec![sample().positions[4].clone(); 9])
    }];
    let time = |rows, ms| WidthTime {
        rows,
        ms,
        spread_ms: 0.0,
    };
    let model = |draft| LatencyModel {
        context_length: 9,
        rounds: 1,
        verify: vec![time(1, 10.0), time(64, 10.0)],
        settle: vec![time(1, draft), time(8, draft)],
        draft: vec![time(1, draft), time(32, draft)],
        other_ms: 0.0,
    };
    let best = |draft| Best::find(&survey, Some(model(draft)), None, "head").unwrap();
    // The head is always right for three tokens. While it costs little, all of them are worth drafting.
    let cheap = best(1.0).recommendation.unwrap();
    assert_eq!((cheap.setting.budget, cheap.setting.depth), (3, 3));
    assert!(cheap.beats_plain);
    let speed = cheap.setting.predicted_speed_up.unwrap();
    assert!((speed - 4.0 * 10.0 / 13.0).abs() < 1e-9, "{speed}");
    let dear = best(12.0);
    assert!(!dear.recommendation.unwrap().beats_plain);
    let elsewhere = Best::find(&survey, Some(model(12.0)), Some(0.1), "head").unwrap();
    let fastest = elsewhere.other_machine.unwrap().fastest;
    assert!((fastest[0].predicted_speed_up.unwrap() - 4.0 / 1.3).abs() < 1e-9);
    assert_eq!(elsewhere.engines[0].setting.budget, 3);
}
