//! Detection lists with their rules, and COCO files.

#![allow(clippy::expect_used, reason = "a test helper that fails is a test that fails")]

use std::{
    error::Error as StdError,
    path::{Path, PathBuf},
};

use ndarray::Array2;
use radio_io::{
    Error,
    data_list::{
        ClassDictionary, CocoSet, DetectionList, DetectionOptions, RunLengths,
        coco::{Counts, Segmentation},
        detection::SkipReason,
    },
    write_image,
};

type Outcome = Result<(), Box<dyn StdError>>;

fn options(folder: &Path) -> DetectionOptions {
    DetectionOptions {
        classes: ClassDictionary::paper(),
        skip_classes: Vec::new(),
        require_any: Vec::new(),
        working_directory: folder.into(),
    }
}

/// A folder with masks m0.fits to m3.fits of 4 rows x 5 columns, and an image list.
fn folder() -> Result<(tempfile::TempDir, PathBuf), Box<dyn StdError>> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("sub"))?;
    for number in 0..4 {
        let mut mask = Array2::<i32>::zeros((4, 5));
        mask[[number, 2]] = 7;
        write_image(&folder.path().join(format!("m{number}.fits")), &mask, &[])?;
        write_image(&folder.path().join(format!("sub/m{number}.fits")), &mask, &[])?;
    }
    let json = |objects: &str| {
        format!(
            r#"{{"img": "img.fits", "telescope": "ASKAP", "rms": 1e-4, "bmaj": 15.0, "bmin": 12.0, "nx": 5, "ny": 4, "run": 3, "objs": [{objects}]}}"#
        )
    };
    let full = r#"{"mask": "m0.fits", "class": "compact", "name": "S1", "nislands": 1, "snr": NaN, "Stot": 0.5},
        {"mask": "m1.fits", "class": "extended", "name": "S2", "nislands": 2, "sidelobe-mixed": 0, "border": 1},
        {"mask": "m2.fits", "class": "extended", "nislands": 2, "sidelobe-mixed": 1, "maxsize_beam": 4.5},
        {"mask": "m3.fits", "class": "galaxy", "name": "S4"}"#;
    std::fs::write(folder.path().join("full.json"), json(full))?;
    std::fs::write(folder.path().join("sub/full.json"), json(full))?;
    std::fs::write(
        folder.path().join("missing.json"),
        json(r#"{"mask": "m0.fits", "class": "compact"}, {"mask": "gone.fits", "class": "compact"}"#),
    )?;
    std::fs::write(folder.path().join("unknown.json"), json(r#"{"mask": "m0.fits", "class": "galaxy"}"#))?;
    let list = folder.path().join("list.dat");
    Ok((folder, list))
}

#[test]
fn objects_are_classed_by_the_rules_and_nothing_is_dropped_in_silence() -> Outcome {
    let (folder, path) = folder()?;
    std::fs::write(&path, "# images\nfull.json\n\nmissing.json\nunknown.json\n")?;
    let list = DetectionList::read(&path, &options(folder.path()))?;
    let [image] = &list.images[..] else { panic!("one image, found {:?}", list.images) };
    assert_eq!(image.file, folder.path().join("img.fits"));
    assert_eq!(
        (image.beam_arcsec, image.pixel_arcsec, image.size, image.rms),
        (Some([15.0, 12.0]), None, Some([5, 4]), Some(1e-4))
    );
    assert_eq!(image.other["run"], 3);
    let classes: Vec<(&str, u32)> =
        image.objects.iter().map(|object| (object.class.as_str(), object.class_id)).collect();
    assert_eq!(classes, [("compact", 2), ("extended-multisland", 4), ("flagged", 5)]);
    assert_eq!(
        (image.objects[1].written_class.as_str(), image.objects[1].border, image.objects[0].snr),
        ("extended", true, None)
    );
    assert_eq!(image.objects[0].other["Stot"], 0.5);
    assert_eq!(image.objects[2].size_beams, [Some(4.5), None]);
    let mask = image.objects[1].read_mask(Some((4, 5)))?;
    assert!(mask[[1, 2]] && mask.iter().filter(|&&pixel| pixel).count() == 1);
    let refused = image.objects[1].read_mask(Some((5, 5))).expect_err("another size").to_string();
    assert!(refused.contains("m1.fits") && refused.contains("4 rows"), "{refused}");
    let reasons: Vec<&SkipReason> = list.skipped.iter().map(|skipped| &skipped.reason).collect();
    assert_eq!(
        reasons,
        [
            &SkipReason::UnknownClass("galaxy".into()),
            &SkipReason::MissingMask(folder.path().join("gone.fits")),
            &SkipReason::UnknownClass("galaxy".into()),
            &SkipReason::NoObjects
        ]
    );
    assert!(list.skipped[0].to_string().contains("object S4"), "{}", list.skipped[0]);
    Ok(())
}

#[test]
fn classes_can_be_left_out_or_required() -> Outcome {
    let (folder, path) = folder()?;
    std::fs::write(&path, "full.json\n")?;
    let some = DetectionOptions { skip_classes: vec!["flagged".into()], ..options(folder.path()) };
    assert_eq!(DetectionList::read(&path, &some)?.images[0].objects.len(), 2);
    let required = DetectionOptions { require_any: vec!["spurious".into()], ..options(folder.path()) };
    let list = DetectionList::read(&path, &required)?;
    assert!(
        list.images.is_empty()
            && list.skipped.last().map(|skipped| &skipped.reason) == Some(&SkipReason::NoRequiredClass)
    );
    Ok(())
}

#[test]
fn a_json_file_of_an_absolute_path_names_its_files_from_where_it_stands() -> Outcome {
    let (folder, path) = folder()?;
    std::fs::write(&path, format!("{}\n", folder.path().join("sub/full.json").display()))?;
    let elsewhere = tempfile::tempdir()?;
    let list = DetectionList::read(&path, &options(elsewhere.path()))?;
    assert_eq!(list.images[0].objects[0].mask, folder.path().join("sub/m0.fits"));
    // Named by a relative path, it names them from the working directory.
    std::fs::write(&path, "sub/full.json\n")?;
    let list = DetectionList::read(&path, &options(folder.path()))?;
    assert_eq!(list.images[0].objects[0].mask, folder.path().join("m0.fits"));
    Ok(())
}

#[test]
fn lines_of_image_mask_and_label() -> Outcome {
    let (folder, path) = folder()?;
    std::fs::write(&path, "a.fits,m0.fits,compact\nb.fits,m1.fits,extended\na.fits, m2.fits, spurious\n")?;
    let list = DetectionList::read(&path, &options(folder.path()))?;
    assert_eq!(list.images.iter().map(|image| image.objects.len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(
        (list.images[0].objects[1].class.as_str(), &list.images[0].file),
        ("spurious", &folder.path().join("a.fits"))
    );
    std::fs::write(&path, "a.fits,m0.fits,compact\nb.fits,m1.fits\n")?;
    assert!(matches!(DetectionList::read(&path, &options(folder.path())), Err(Error::Row { line: 2, .. })));
    std::fs::write(&path, "gone.json\n")?;
    assert!(matches!(DetectionList::read(&path, &options(folder.path())), Err(Error::Io { .. })));
    std::fs::write(folder.path().join("bad.json"), r#"{"img": "x.fits", "objs": [{"class": "compact"}]}"#)?;
    std::fs::write(&path, "bad.json\n")?;
    let refused = DetectionList::read(&path, &options(folder.path())).expect_err("no mask").to_string();
    assert!(refused.contains("bad.json, line 1") && refused.contains("`mask`"), "{refused}");
    Ok(())
}

const COCO: &str = r#"{"info": {"year": 2024}, "images": [{"id": 3, "file_name": "a.png", "width": 10, "height": 12, "rms": 0.5}],
 "categories": [{"id": 1, "name": "compact", "supercategory": "source"}],
 "annotations": [
  {"id": 1, "image_id": 3, "category_id": 1, "bbox": [1, 1, 8, 8], "area": 38, "iscrowd": 0, "segmentation": [[1.3, 1.2, 8.7, 2.5, 7.1, 9.6, 2.2, 6.4]]},
  {"id": 2, "image_id": 3, "category_id": 1, "bbox": [3, 3, 4, 4], "segmentation": {"size": [12, 10], "counts": "W14800000Q1"}, "beams": 2.5},
  {"id": 4, "image_id": 3, "category_id": 1, "bbox": [0, 0, 1, 2], "segmentation": {"size": [12, 10], "counts": [0, 2, 118]}},
  {"id": 5, "image_id": 3, "category_id": 1, "bbox": [0, 0, 1, 2], "segmentation": []}]}"#;

fn coco(text: &str) -> Result<CocoSet, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("coco.json");
    std::fs::write(&path, text).expect("can be written");
    CocoSet::read(&path)
}

#[test]
fn coco_files_keep_everything() -> Outcome {
    let set = coco(COCO)?;
    // pycocotools 2.0.11: COCO.annToMask of these, area and box.
    let found: Vec<Option<(usize, [usize; 4])>> = set
        .annotations
        .iter()
        .map(|annotation| Ok(set.mask(annotation)?.map(|mask| (mask.area(), mask.bounding_box()))))
        .collect::<Result<_, Error>>()?;
    assert_eq!(found, [Some((38, [1, 1, 8, 8])), Some((16, [3, 3, 4, 4])), Some((2, [0, 0, 1, 2])), None]);
    assert_eq!(set.by_image()[0].1.len(), 4);
    assert_eq!(
        (set.annotations[1].other["beams"].as_f64(), set.images[0].other["rms"].as_f64()),
        (Some(2.5), Some(0.5))
    );
    assert_eq!(set.other["info"]["year"], 2024);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("again.json");
    set.write(&path)?;
    let again = CocoSet::read(&path)?;
    assert_eq!(CocoSet { path: set.path.clone(), ..again }, set);
    let runs = RunLengths::decode(12, 10, "W14800000Q1")?;
    assert_eq!(
        Segmentation::compressed(&runs),
        Segmentation::Runs { size: [12, 10], counts: Counts::Compressed("W14800000Q1".into()) }
    );
    Ok(())
}

#[test]
fn mistakes_in_coco_files_are_named() {
    for (from, to, part) in [
        ("\"id\": 2", "\"id\": 1", "annotation 1: id is used twice"),
        ("\"image_id\": 3", "\"image_id\": 8", "annotation 1: image_id is 8"),
        ("\"category_id\": 1", "\"category_id\": 8", "category_id is 8"),
        ("[1, 1, 8, 8]", "[1, 1, -8, 8]", "annotation 1: bbox"),
        ("[1, 1, 8, 8]", "[1, 1, 8]", "line 4"),
        ("\"images\"", "\"imagos\"", "`images`"),
    ] {
        assert!(COCO.contains(from), "{from}");
        let refused = coco(&COCO.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(refused.contains(part), "{to}: `{refused}` lacks `{part}`");
    }
    for (from, to, part) in [
        ("[0, 2, 118]", "[0, 2, 117]", "runs over 119 pixels"),
        ("W14800000Q1", "W14800000Q", "segmentation"),
        ("\"counts\": \"W14800000Q1\"", "\"counts\": \"W1\\u00e9\"", "run-length text"),
        ("[12, 10], \"counts\": [0", "[10, 12], \"counts\": [0", "size of the image"),
        ("\"width\": 10", "\"width\": 9999999999999", "pixels"),
        ("1.3, 1.2, ", "", "annotation"),
    ] {
        assert!(COCO.contains(from), "{from}");
        let Ok(set) = coco(&COCO.replacen(from, to, 1)) else { panic!("{to}: masks are read later") };
        let refused = set.annotations.iter().find_map(|annotation| set.mask(annotation).err());
        // A polygon that lost a corner is still one.
        if let Some(refused) = refused {
            assert!(refused.to_string().contains(part), "{to}: `{refused}` lacks `{part}`");
        } else {
            assert_eq!(from, "1.3, 1.2, ");
        }
    }
}
