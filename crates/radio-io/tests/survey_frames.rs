//! From a survey file to its frames, and to the labels of those frames.

use std::{error::Error as StdError, fs, path::Path};

use ndarray::{Array2, s};
use radio_io::{
    EdgePolicy, Error, FitsError, FrameGrid, FrameId, FrameLabel, FrameLabels, FrameSet, LeftOut, Survey, SurveyMosaic,
    Wcs, write_image,
};

type Test = Result<(), Box<dyn StdError>>;

const GRID: FrameGrid = FrameGrid { size: 8, step: 4, edge: EdgePolicy::Shift };

/// 20 rows by 14 columns; the top left corner is blank, the bottom right one constant.
fn map() -> Array2<f32> {
    let mut map = Array2::from_shape_fn((20, 14), |(row, col)| (row * 100 + col) as f32 * 1e-3);
    map.slice_mut(s![..9, ..7]).fill(f32::NAN);
    map.slice_mut(s![12.., 6..]).fill(0.5);
    map
}

fn scan(map: Array2<f32>, max_blank_fraction: f64) -> Result<FrameSet, Error> {
    FrameSet::scan(vec![SurveyMosaic::in_memory("map", map)], &GRID, max_blank_fraction)
}

#[test]
fn frames_are_kept_or_left_out_for_a_reason() -> Test {
    let frames = scan(map(), 0.3)?;
    // Rows 0 4 8 12, columns 0 4 6. Blank shares at row 0: 7/8, 3/8, 1/8; row 4: 35/64, 15/64, 5/64; row 8: 7/64, 3/64, 1/64.
    let kept: Vec<(u32, u32)> = frames.ids().iter().map(|id| (id.row, id.col)).collect();
    assert_eq!(kept, [(0, 6), (4, 4), (4, 6), (8, 0), (8, 4), (8, 6), (12, 0), (12, 4)]);
    assert_eq!(frames.left_out(), LeftOut { too_blank: 3, constant: 1 });
    assert_eq!(frames.len() + 4, 12);
    for (index, id) in frames.ids().iter().enumerate() {
        assert_eq!(frames.index_of(id), Some(index));
        let (row, col) = (id.row as usize, id.col as usize);
        let expected = map().slice(s![row..row + 8, col..col + 8]).mapv(f32::to_bits);
        assert_eq!(frames.pixels(index)?.mapv(f32::to_bits), expected, "{id}");
        let cutout = frames.cutout(index)?;
        assert_eq!((cutout.id, cutout.sky), (id.clone(), None));
    }
    assert_eq!(frames.cutout(1)?.blank_fraction, 15.0 / 64.0);
    assert_eq!(scan(map(), 1.0)?.len(), 11, "with every blank allowed only the constant frame goes");
    // Exactly the allowed share is allowed, also where 0.3 has no exact binary form.
    let mut tenth = Array2::from_shape_fn((10, 10), |(row, col)| (row * col) as f32);
    tenth.slice_mut(s![..3, ..]).fill(f32::NAN);
    let whole = FrameGrid { size: 10, ..GRID };
    assert_eq!(FrameSet::scan(vec![SurveyMosaic::in_memory("tenth", tenth)], &whole, 0.3)?.len(), 1);
    let outside = frames.pixels(8).err().ok_or("there are eight")?;
    assert!(matches!(outside, Error::NoSuchFrame { index: 8, len: 8 }), "{outside}");
    Ok(())
}

#[test]
fn mosaics_that_give_no_frame_are_refused_by_name() -> Test {
    let folder = tempfile::tempdir()?;
    let (blank, small) = (folder.path().join("blank.fits"), folder.path().join("small.fits"));
    write_image(&blank, &Array2::from_elem((20, 30), f32::NAN), &[])?;
    write_image(&small, &Array2::<f32>::zeros((7, 300)), &[])?;
    let survey = |path: &Path| {
        let frames = "frames = { size = 8, step = 4, edge = \"drop\", max_blank_fraction = 1.0 }";
        Survey::parse(&format!("name = \"x\"\n{frames}\n[[mosaics]]\npath = {path:?}\n"), Path::new("x.toml"), |_| None)
    };
    let refused = FrameSet::of_survey(&survey(&blank)?).err().ok_or("all blank")?;
    assert!(matches!(refused, Error::AllBlank { pixels: 600, .. }), "{refused:?}");
    assert!(refused.to_string().contains("blank.fits: all 600 pixels are blank"), "{refused}");
    let refused = FrameSet::of_survey(&survey(&small)?).err().ok_or("too small")?;
    assert!(matches!(refused, Error::SmallerThanFrame { rows: 7, cols: 300, size: 8, .. }), "{refused:?}");
    assert!(
        refused.to_string().contains("small.fits: 7 rows x 300 columns") && refused.to_string().contains("8 x 8"),
        "{refused}"
    );
    let refused = FrameSet::of_survey(&survey(Path::new("/nowhere.fits"))?).err().ok_or("no file")?;
    assert!(
        matches!(refused, Error::Fits(FitsError::Io { .. })) && refused.to_string().contains("/nowhere.fits"),
        "{refused}"
    );
    let zero = FrameSet::scan(vec![], &FrameGrid { step: 0, ..GRID }, 0.3).err().ok_or("no step")?;
    assert!(matches!(zero, Error::BadGrid { size: 8, step: 0 }), "{zero}");
    let twice = vec![SurveyMosaic::in_memory("a", map()), SurveyMosaic::in_memory("a", map())];
    assert!(matches!(FrameSet::scan(twice, &GRID, 0.3), Err(Error::DuplicateMosaic { .. })));
    // A value that no frame happens to cover still makes the mosaic more than blank.
    let mut corner = Array2::from_elem((9, 9), f32::NAN);
    corner[[8, 8]] = 1.0;
    let grid = FrameGrid { edge: EdgePolicy::Drop, ..GRID };
    assert!(FrameSet::scan(vec![SurveyMosaic::in_memory("corner", corner)], &grid, 0.3)?.is_empty());
    Ok(())
}

#[test]
fn a_survey_on_disk_gives_positions_beams_and_labels() -> Test {
    let folder = tempfile::tempdir()?;
    let wcs = Wcs::north_up("TAN", (83.6, 22.0), (9.5, 6.5), 10.0)?;
    let mut cards = wcs.cards();
    cards.push(radio_io::Card::new("BUNIT", "mJy/beam", ""));
    write_image(&folder.path().join("crab.fits"), &map(), &cards)?;
    fs::write(
        folder.path().join("labels.csv"),
        "frame,labels\ncrab_r00008_c00004_s8, PECULIAR | EXTENDED\ncrab_r4_c4_s8,COMPACT;ARTEFACT\n",
    )?;
    let text = r#"
        name = "crab"
        labels = "labels.csv"
        [[mosaics]]
        path = "${HERE}/crab.fits"
        beam = { major_arcsec = 30.0, minor_arcsec = 20.0 }
        [frames]
        size = 8
        step = 4
        edge = "shift"
        max_blank_fraction = 0.3
    "#;
    let file = folder.path().join("survey.toml");
    fs::write(&file, text)?;
    let here = folder.path().to_string_lossy().into_owned();
    let survey = Survey::load(&file, |name| (name == "HERE").then(|| here.clone()))?;
    let frames = FrameSet::of_survey(&survey)?;
    assert_eq!(frames.mosaics()[0].beam.map(|beam| (beam.major_arcsec, beam.pa_deg)), Some((30.0, 0.0)));
    let sky = frames.sky(0)?.ok_or("has a sky")?;
    let expected = wcs.sky(3.5, 9.5).ok_or("on the map")?;
    assert!(radio_io::separation_arcsec(sky, expected) < 1e-9, "frame (0, 6) of 8 pixels is centred on (3.5, 9.5)");
    let in_file_unit = radio_io::robust_rms(&frames.pixels(0)?);
    assert!((frames.cutout(0)?.rms_jy_beam / in_file_unit - 1e-3).abs() < 1e-9, "mJy/beam become Jy/beam");
    let labels = FrameLabels::read(survey.labels.as_deref().ok_or("has labels")?)?;
    let joined = labels.join(&frames)?;
    assert_eq!(joined.len(), 8);
    assert_eq!(joined[4].as_deref(), Some(&[FrameLabel::Peculiar, FrameLabel::Extended][..]));
    assert_eq!(joined[1].as_deref(), Some(&[FrameLabel::Compact, FrameLabel::Artefact][..]));
    assert_eq!(joined.iter().flatten().count(), 2);
    let copy = folder.path().join("copy.csv");
    labels.write(&copy)?;
    assert_eq!(FrameLabels::read(&copy)?.rows, labels.rows);
    // Cut with another step, one of the labelled frames no longer exists.
    let mut coarse = survey.clone();
    coarse.frames.step = 8;
    let refused = labels.join(&FrameSet::of_survey(&coarse)?).err().ok_or("one frame is gone")?;
    assert!(matches!(&refused, Error::UnknownFrame { frame, .. } if frame == "crab_r00008_c00004_s8"), "{refused:?}");
    assert!(
        refused.to_string().contains("labels.csv") && refused.to_string().contains("crab_r00008_c00004_s8"),
        "{refused}"
    );
    Ok(())
}

#[test]
fn label_files_with_mistakes_are_refused() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("labels.csv");
    let read = |text: &str| -> Result<Error, Box<dyn StdError>> {
        fs::write(&path, text)?;
        FrameLabels::read(&path).err().ok_or_else(|| format!("accepted: {text}").into())
    };
    type Check = fn(&Error) -> bool;
    let cases: [(&str, Check, &[&str]); 9] = [
        ("", |e| matches!(e, Error::NoLabels { .. }), &["no label", "at least one row"]),
        ("frame,labels\n", |e| matches!(e, Error::NoLabels { .. }), &["no label"]),
        (
            "frame,label\na_r1_c1_s8,COMPACT\n",
            |e| matches!(e, Error::Columns { .. }),
            &["[\"frame\", \"label\"]", "[\"frame\", \"labels\"]"],
        ),
        ("name,labels\n", |e| matches!(e, Error::Columns { .. }), &["\"name\"", "\"frame\""]),
        (
            "frame,labels\na_r1_c1_s8,COMPACT\na_r2_c1_s8,COMPAKT\n",
            |e| matches!(e, Error::UnknownLabel { line: 3, .. }),
            &["line 3", "`COMPAKT`", "DIFFUSE-LARGE"],
        ),
        ("frame,labels\na-1,COMPACT\n", |e| matches!(e, Error::Row { line: 2, .. }), &["line 2", "`a-1`"]),
        ("frame,labels\na_r1_c1_s8\n", |e| matches!(e, Error::Row { .. }), &["1 cells", "2 as in the header"]),
        ("frame,labels\na_r1_c1_s8,;\n", |e| matches!(e, Error::Row { .. }), &["no label for a_r1_c1_s8"]),
        (
            "frame,labels\na_r1_c1_s8,COMPACT\na_r01_c1_s8,DIFFUSE\n",
            |e| matches!(e, Error::Row { line: 3, .. }),
            &["again", "first is line 2"],
        ),
    ];
    for (text, is_right, parts) in cases {
        let refused = read(text)?;
        assert!(is_right(&refused), "{text}: {refused:?}");
        for part in parts.iter().chain(&["labels.csv"]) {
            assert!(refused.to_string().contains(part), "`{refused}` lacks `{part}`");
        }
    }
    assert!(matches!(FrameLabels::read(&folder.path().join("none.csv")), Err(Error::Io { .. })));
    fs::write(&path, "# by two people\nannotator, labels ,frame\nA,PECULIAR,a_r1_c2_s8\n")?;
    let id = FrameId { mosaic: "a".to_owned(), row: 1, col: 2, size: 8 };
    assert_eq!(FrameLabels::read(&path)?.rows, [(id, vec![FrameLabel::Peculiar])]);
    Ok(())
}

#[test]
fn labels_survive_their_text_form() {
    for label in FrameLabel::ALL {
        assert_eq!(label.to_string().parse(), Ok(label));
    }
}

#[test]
fn frames_can_be_read_from_many_threads() -> Test {
    let frames = scan(map(), 0.3)?;
    let alone: Vec<Array2<f32>> = (0..frames.len()).map(|index| frames.pixels(index)).collect::<Result<_, _>>()?;
    let together = std::thread::scope(|scope| {
        let frames = &frames;
        let readers: Vec<_> = (0..frames.len()).map(|index| scope.spawn(move || frames.pixels(index))).collect();
        readers.into_iter().map(|reader| reader.join().map(Result::ok).ok().flatten()).collect::<Option<Vec<_>>>()
    });
    let bits = |frames: &[Array2<f32>]| frames.iter().map(|frame| frame.mapv(f32::to_bits)).collect::<Vec<_>>();
    assert_eq!(bits(&together.ok_or("a reader failed")?), bits(&alone));
    Ok(())
}

/// Cutouts that carry their parent's reference pixel put every position on the wrong part of the sky: say so.
#[test]
fn a_reference_pixel_outside_the_map_is_remarked_upon() -> Test {
    let folder = tempfile::tempdir()?;
    let open = |name: &str, reference: (f64, f64)| -> Result<SurveyMosaic, Box<dyn StdError>> {
        let path = folder.path().join(name);
        let wcs = Wcs::north_up("SIN", (250.0, -40.0), reference, 1.5)?;
        write_image(&path, &map(), &wcs.cards())?;
        Ok(SurveyMosaic::open(&radio_io::MosaicEntry::of_file(path, "m"))?)
    };
    assert!(open("inside.fits", (19.0, 0.0))?.remarks.is_empty());
    for (name, outside) in [("below.fits", (-3.0, 5.0)), ("right.fits", (10.0, 14.0))] {
        let remarks = open(name, outside)?.remarks;
        assert!(remarks.len() == 1 && remarks[0].contains("outside the 20 x 14 map"), "{remarks:?}");
    }
    Ok(())
}
