//! Lists in JSON and text: sclassifier, caesar, COCO.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value};

use super::{
    finding::{Examination, Place},
    kind::FileKind,
    refusal::refusal,
};
use crate::{
    data_list::{ClassDictionary, CocoSet, DataList, DetectionList, DetectionOptions, sclassifier::DEFAULT_KEY},
    error::Error,
};

/// Findings of one sort that are listed.
const MOST_FINDINGS: usize = 10;

/// Examines JSON: which list it is, its keys say.
pub(super) fn examine_json(report: &mut Examination, path: &Path, text: &str) {
    report.kind = FileKind::Json;
    let top: Map<String, Value> = match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(top) => top,
        Err(refused) => {
            let error = Error::Json {
                path: path.into(),
                line: refused.line(),
                column: refused.column(),
                reason: refused.to_string(),
            };
            return report.findings.push(refusal(&error, path));
        }
    };
    if top.contains_key("images") {
        report.kind = FileKind::Coco;
        return examine_coco(report, path);
    }
    let is_record = |value: &Value| value.get("filepaths").is_some();
    let key = top
        .iter()
        .find(|(_, value)| value.as_array().and_then(|list| list.first()).is_some_and(is_record))
        .map(|(key, _)| key.as_str())
        .or_else(|| top.contains_key(DEFAULT_KEY).then_some(DEFAULT_KEY));
    match key {
        Some(key) => {
            report.kind = FileKind::DataList;
            match DataList::read(path, key) {
                Ok(list) => describe_data_list(report, path, &list),
                Err(refused) => report.findings.push(refusal(&refused, path)),
            }
        }
        None if top.contains_key("img") && top.contains_key("objs") => {
            report.fact("objects", top["objs"].as_array().map_or(0, Vec::len));
            report.note(Place::default(), "one image of a caesar list", "examine the list that names it");
        }
        None => {
            let keys: Vec<&String> = top.keys().take(8).collect();
            report.note(Place::default(), format!("JSON of no known form; keys {keys:?}"), "nothing here reads it");
        }
    }
}

fn describe_data_list(report: &mut Examination, path: &Path, list: &DataList) {
    report.fact("records", format!("{} under `{}`, {} file(s) each", list.records.len(), list.key, list.channels()));
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for label in list.records.iter().flat_map(|record| record.labels()) {
        *classes.entry(label).or_default() += 1;
    }
    if !classes.is_empty() {
        report.fact("classes", counts(&classes));
    }
    let unknown = list.records.iter().filter(|record| record.is_unknown()).count();
    if unknown > 0 {
        let found = format!("{unknown} records are of no class, unknown (0) or mixed (-1)");
        report.note(Place::key("id"), found, "training on labels leaves them out");
    }
    if list.records.is_empty() {
        report.warn(Place::key(&list.key), "no record", "check how the list was made");
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let files = list
        .records
        .iter()
        .flat_map(|record| record.files(folder).into_iter().map(|file| (record.sname.clone(), file)));
    missing_files(
        report,
        "filepaths",
        files,
        "correct the path; relative ones are looked for beside the list here, beside the program there",
    );
}

/// Files that do not exist: the first by name, all by number.
fn missing_files(
    report: &mut Examination,
    key: &str,
    files: impl Iterator<Item = (String, std::path::PathBuf)>,
    remedy: &str,
) {
    let missing: Vec<_> = files.filter(|(_, file)| !file.exists()).collect();
    if let Some((entry, file)) = missing.first() {
        let found = format!("{} file(s) do not exist, the first {}", missing.len(), file.display());
        report.warn(Place::entry(entry.clone()).keyword(key), found, remedy);
    }
}

fn examine_coco(report: &mut Examination, path: &Path) {
    let set = match CocoSet::read(path) {
        Ok(set) => set,
        Err(refused) => return report.findings.push(refusal(&refused, path)),
    };
    report.fact("images", set.images.len());
    report.fact("objects", set.annotations.len());
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for annotation in &set.annotations {
        let name = set.category(annotation.category_id).map_or("?", |category| category.name.as_str());
        *classes.entry(name).or_default() += 1;
    }
    report.fact("classes", counts(&classes));
    let mut bad = 0;
    for annotation in &set.annotations {
        if let Err(refused) = set.mask(annotation) {
            bad += 1;
            if bad <= MOST_FINDINGS {
                let mut finding = refusal(&refused, path);
                finding.place = Place::entry(format!("annotation {}", annotation.id)).keyword("segmentation");
                report.findings.push(finding);
            }
        }
    }
    let empty = set.by_image().iter().filter(|(_, objects)| objects.is_empty()).count();
    if empty > 0 {
        report.note(
            Place::key("images"),
            format!("{empty} images have no object"),
            "a detector sees nothing but background in them",
        );
    }
}

/// Examines a caesar list with the paper's classes.
pub(super) fn examine_detection_list(report: &mut Examination, path: &Path) {
    let options = DetectionOptions {
        classes: ClassDictionary::paper(),
        skip_classes: Vec::new(),
        require_any: Vec::new(),
        working_directory: path.parent().unwrap_or(Path::new("")).to_path_buf(),
    };
    let list = match DetectionList::read(path, &options) {
        Ok(list) => list,
        Err(refused) => return report.findings.push(refusal(&refused, path)),
    };
    report.fact("images", list.images.len());
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for object in list.images.iter().flat_map(|image| &image.objects) {
        *classes.entry(&object.class).or_default() += 1;
    }
    report.fact("objects", counts(&classes));
    for skipped in list.skipped.iter().take(MOST_FINDINGS) {
        report.warn(Place::entry("left out"), skipped.to_string(), "correct it, or leave it out on purpose");
    }
    if list.skipped.len() > MOST_FINDINGS {
        let found = format!("{} images or objects are left out in all", list.skipped.len());
        report.warn(Place::entry("left out"), found, "the first ten are named");
    }
    let images = list.images.iter().map(|image| (image.file.display().to_string(), image.file.clone()));
    missing_files(report, "img", images, "correct the path; relative ones are looked for beside the list");
}

fn counts(classes: &BTreeMap<&str, usize>) -> String {
    classes.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
