//! The page of a map: heading, the interactive picture, and what is needed to make it again.
use crate::report::ScatterMap;
use crate::report::page::{document, escape, provenance};
use crate::report::scatter::element::{CSS, SCRIPT, scatter_element};

/// The whole page; it fetches nothing.
pub fn page(scatter: &ScatterMap, facts: &[(String, String)]) -> String {
    let body = format!(
        "<header>\n<p class=\"eyebrow\">radio-ssl · map</p>\n<h1>{}</h1>\n<p class=\"verdict\">{}</p>\n</header>\n{}{}<script>\n{SCRIPT}</script>\n",
        escape(&scatter.title),
        escape(&scatter.caption),
        scatter_element(scatter, true),
        provenance(facts)
    );
    document(&scatter.title, CSS, &body)
}
