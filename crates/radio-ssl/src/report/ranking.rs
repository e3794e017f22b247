//! The ranking of the features: which of them matter, and how well the model behind it tells interesting frames (the figure stands
//! for the paper's Fig. A.2).

use super::axes::{BOTTOM, Panel, Range, TOP, drawable, drawing, heading};
use super::drawing::{Anchor, Drawing, Ink, Lettering, Mark, Pen, rectangle, text};
use super::page::escape;
use super::table::{percent, percent_interval};

/// What is shown of a ranking.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RankingSummary {
    /// The leading features: index, and share of the importance of all features.
    pub leading: Vec<(usize, f64)>,
    /// What importance counts: `splits` or `gain`.
    pub measure: String,
    /// Number of features in all.
    pub features: usize,
    /// Sizes of the feature sets of Table 4.
    pub top_k: Vec<usize>,
    /// Trees of the model.
    pub rounds: usize,
    /// Weighted F1 on the held-out sky that chose the number of rounds.
    pub stopping_f1: f64,
    /// Weighted F1 on sky that neither training nor early stopping saw, its 95 % interval, and the number of frames.
    pub unseen_f1: Option<(f64, (f64, f64), usize)>,
    /// The paper's F1.
    pub published_f1: f64,
}

/// (what, this run, paper) of the table under the figure.
pub(super) fn ranking_rows(ranking: &RankingSummary) -> Vec<[String; 3]> {
    let paper = percent(ranking.published_f1);
    let mut rows = vec![[
        "weighted F1 on the held-out sky that stopped the training".to_owned(),
        percent(ranking.stopping_f1),
        paper.clone(),
    ]];
    rows.push(match ranking.unseen_f1 {
        Some((f1, interval, frames)) => [
            format!("weighted F1 on sky that neither training nor early stopping saw ({frames} frames)"),
            format!("{} ({})", percent(f1), percent_interval(interval)),
            "–".to_owned(),
        ],
        None => [
            "weighted F1 on sky that neither training nor early stopping saw".to_owned(),
            "–".to_owned(),
            "–".to_owned(),
        ],
    });
    rows
}

/// Explains the rows.
pub(super) const LEGEND: &str = "The model tells EXTENDED, DIFFUSE and DIFFUSE-LARGE frames from the other labelled ones. For the second line the sky is dealt to two halves: \
     a model is trained and stopped on the one and judged on the other, both ways round, so each model saw half as many frames. In brackets a 95 % interval, bootstrapped over \
     objects. The paper does not say which average its F1 is, nor on which frames (Riggi et al. 2024, section 5.2).";

/// The lines for a terminal.
pub(super) fn ranking_text(ranking: &RankingSummary) -> String {
    let lines =
        ranking_rows(ranking).into_iter().map(|[what, ours, paper]| format!("{what}: {ours} (paper: {paper})\n"));
    format!("Feature ranking, {} trees\n\n{}", ranking.rounds, lines.collect::<String>())
}

/// The table as part of the page.
pub(super) fn ranking_table(ranking: &RankingSummary) -> String {
    let row = |[what, ours, paper]: [String; 3]| {
        format!(
            "<tr class=\"run\"><td>{}</td><td></td><td>{}</td><td class=\"counts\">{}</td></tr>\n",
            escape(&what),
            escape(&ours),
            escape(&paper)
        )
    };
    let rows: String = ranking_rows(ranking).into_iter().map(row).collect();
    format!(
        "<div class=\"scroll\"><table class=\"table4 narrow\">\n<thead><tr><th>telling extended emission</th><th></th><th>this run, %</th><th>paper, %</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n\
         <p class=\"legend\">{}</p>\n",
        escape(LEGEND)
    )
}

/// Importance of the leading features; `None` if no feature has any.
pub fn importance_figure(ranking: &RankingSummary) -> Option<Drawing> {
    let shares: Vec<f64> = ranking.leading.iter().map(|(_, share)| 100.0 * share).collect();
    let highest = shares.iter().copied().filter(|share| drawable(*share)).fold(0.0, f64::max);
    if highest <= 0.0 {
        return None;
    }
    let x = Range { low: 0.4, high: shares.len() as f64 + 0.6 };
    let panel = Panel { top: TOP - 22.0, bottom: BOTTOM, x, y: Range { low: 0.0, high: 1.2 * highest } };
    let f1 = ranking.unseen_f1.map_or(ranking.stopping_f1, |(f1, ..)| f1);
    let result = format!("F1 {} %   paper {} %", percent(f1), percent(ranking.published_f1));
    let mut body = heading("Leading features", &result);
    let (ticks, grid) = panel.y_ticks(5);
    body.extend(grid);
    for (k, share) in shares.iter().enumerate() {
        let place = (k + 1) as f64;
        if let (Some(from), Some(to)) = (panel.place((place - 0.36, *share)), panel.place((place + 0.36, 0.0))) {
            body.push(rectangle(from, to, Some((Ink::Blue, 0.85)), None));
        }
        if let Some((x, _)) = panel.place((place, 0.0)) {
            let name = ranking.leading[k].0.to_string();
            body.push(text(x, BOTTOM + 17.0, Lettering::Quiet, Anchor::Middle, &name));
        }
    }
    // The feature sets of Table 4 end at these bars.
    let top = 1.2 * highest;
    for k in ranking.top_k.iter().filter(|k| **k < shares.len()) {
        let edge = *k as f64 + 0.5;
        body.extend(panel.segment(Pen { ink: Ink::Edge, width: 1.0, dash: &[3.0, 3.0] }, (edge, 0.0), (edge, top)));
        if let Some((x, y)) = panel.place((edge, top)) {
            body.push(text(x - 4.0, y + 16.0, Lettering::Halo, Anchor::End, &format!("top{k}")));
        }
    }
    body.extend(ticks);
    body.push(panel.edge());
    let y_label: Mark = text(
        super::axes::RIGHT - 8.0,
        panel.top + 34.0,
        Lettering::Halo,
        Anchor::End,
        &format!("% of all {}", ranking.measure),
    );
    body.push(y_label);
    body.push(panel.x_label(&format!("feature (of {}), most important first", ranking.features)));
    Some(drawing("Importance of the leading features: share of the splits or gains of the boosted trees", body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example_report;

    #[test]
    fn bars_are_as_high_as_the_shares() {
        let ranking = RankingSummary {
            leading: vec![(17, 0.5), (3, 0.25), (9, 0.0)],
            features: 512,
            top_k: vec![2, 5],
            published_f1: 0.753,
            ..RankingSummary::default()
        };
        let figure = importance_figure(&ranking).unwrap();
        let bars: Vec<f64> = figure
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Path { points, fill: Some((Ink::Blue, _)), .. } => Some(points[2].1 - points[0].1),
                _ => None,
            })
            .collect();
        assert!(bars.len() == 3 && (bars[0] - 2.0 * bars[1]).abs() < 1e-9 && bars[2] == 0.0, "{bars:?}");
        assert_eq!(importance_figure(&RankingSummary { leading: vec![(1, 0.0)], ..ranking.clone() }), None);
        assert_eq!(importance_figure(&RankingSummary { leading: vec![(1, f64::NAN)], ..ranking.clone() }), None);
        assert_eq!(importance_figure(&RankingSummary { leading: vec![], ..ranking }), None);
    }

    #[test]
    fn both_kinds_of_f1_stand_beside_the_papers() {
        let ranking = example_report().ranking.unwrap();
        let (text, html) = (ranking_text(&ranking), ranking_table(&ranking));
        for form in [&text, &html] {
            assert!(form.contains("71.2") && form.contains("68.0 (61–74)") && form.contains("75.3"), "{form}");
        }
        let unseen = RankingSummary { unseen_f1: None, ..ranking };
        assert!(ranking_text(&unseen).contains("saw: – (paper: –)"));
    }
}
