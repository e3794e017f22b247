//! The linear part of world coordinates: CD, PC with CDELT, CROTA, and the spellings that were in use before the standard.

use crate::header::Header;

pub(super) fn determinant([[a, b], [c, d]]: [[f64; 2]; 2]) -> f64 {
    a * d - b * c
}

/// CDi_j, or else PCi_j · CDELTi, or else CDELT turned by CROTA, in degrees; `world` are the axes (from 1) of longitude and latitude, `pixel`
/// those of columns and rows, `units` the degrees in a unit of each world axis. `None` without any scale.
///
/// # Errors
/// The keyword at fault and why.
pub(super) fn read(
    header: &Header,
    version: &str,
    world: (usize, usize),
    pixel: (usize, usize),
    units: (f64, f64),
    remarks: &mut Vec<String>,
) -> Result<Option<[[f64; 2]; 2]>, (String, String)> {
    let entry = |name: &str, i: usize, j: usize| {
        // CD001001 and PC001001 are of the drafts of the standard.
        let standard = header.float(&format!("{name}{i}_{j}{version}"));
        standard.or_else(|| header.float(&format!("{name}{i:03}{j:03}")).filter(|_| version.is_empty()))
    };
    let entries = |name: &str| {
        [
            [entry(name, world.0, pixel.0), entry(name, world.0, pixel.1)],
            [entry(name, world.1, pixel.0), entry(name, world.1, pixel.1)],
        ]
    };
    let cd = entries("CD");
    if cd.iter().flatten().any(Option::is_some) {
        // Where one CD card is given, those left out are 0.
        let [lon, lat] = cd.map(|row| row.map(|value| value.unwrap_or(0.0)));
        return Ok(Some([lon.map(|value| value * units.0), lat.map(|value| value * units.1)]));
    }
    let delta = |axis: usize| header.float(&format!("CDELT{axis}{version}"));
    let (Some(lon_delta), Some(lat_delta)) = (delta(world.0), delta(world.1)) else { return Ok(None) };
    let delta = (lon_delta * units.0, lat_delta * units.1);
    let identity = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
    let pc = entries("PC");
    if pc.iter().flatten().any(Option::is_some) {
        let or = |value: Option<f64>, i, j| value.unwrap_or(identity(i, j));
        return Ok(Some([
            [delta.0 * or(pc[0][0], world.0, pixel.0), delta.0 * or(pc[0][1], world.0, pixel.1)],
            [delta.1 * or(pc[1][0], world.1, pixel.0), delta.1 * or(pc[1][1], world.1, pixel.1)],
        ]));
    }
    let angle = if version.is_empty() { old_rotation(header, world, remarks)? } else { 0.0 };
    let (s, c) = angle.to_radians().sin_cos();
    // Calabretta & Greisen 2002, eqs. 186 to 189, by the numbers of the axes: these may have changed places.
    let column = |j: usize| {
        let (lon, lat) = (identity(j, world.0), identity(j, world.1));
        [delta.0 * c * lon - delta.1 * s * lat, delta.0 * s * lon + delta.1 * c * lat]
    };
    let (first, second) = (column(pixel.0), column(pixel.1));
    Ok(Some([[first[0], second[0]], [first[1], second[1]]]))
}

/// CROTA, degrees. The latitude axis carries it; some programs wrote it on the longitude axis instead, or on both.
fn old_rotation(header: &Header, world: (usize, usize), remarks: &mut Vec<String>) -> Result<f64, (String, String)> {
    let on = |axis: usize| header.float(&format!("CROTA{axis}"));
    match (on(world.0), on(world.1)) {
        (None, None) => Ok(0.0),
        (Some(lon), None) => {
            if lon != 0.0 {
                remarks.push(format!(
                    "CROTA{} is {lon} and the latitude axis has no CROTA: taken as the rotation of the map",
                    world.0
                ));
            }
            Ok(lon)
        }
        (Some(lon), Some(lat)) if lon != 0.0 && (lon - lat).abs() > 1e-9 => {
            // With 0 on the latitude axis nobody knows which is meant.
            if lat == 0.0 {
                let reason = "the rotation belongs on the latitude axis, which says 0: delete one of the two";
                return Err((format!("CROTA{}", world.0), reason.to_owned()));
            }
            remarks.push(format!("CROTA{} is {lon} and CROTA{} is {lat}: the latter is used", world.0, world.1));
            Ok(lat)
        }
        (_, Some(lat)) => Ok(lat),
    }
}
