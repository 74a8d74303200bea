//! Agreement with PyTorch and NumPy, from the fixtures that `scripts/parity.d/data.py` writes: within
//! 1e-5 of the largest value of each tensor.

use safetensors::SafeTensors;

use super::gauss;
use super::intensity::Intensity;
use super::warp::{Field, Warp};
use crate::train::data::patch::Region;
use crate::train::data::{Mask, Picture};

struct Fixtures(SafeTensors<'static>);

impl Fixtures {
    fn read() -> Self {
        let bytes = include_bytes!("../../../../tests/parity/data.safetensors");
        Self(SafeTensors::deserialize(bytes).expect("fixtures"))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.0.tensor(name).expect("a fixture").data().to_vec()
    }

    fn f32(&self, name: &str) -> Vec<f32> {
        let bytes = self.bytes(name);
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    fn f64(&self, name: &str) -> Vec<f64> {
        let bytes = self.bytes(name);
        bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
    }

    fn sizes(&self, name: &str) -> Vec<usize> {
        let bytes = self.bytes(name);
        let all = bytes.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
        all.map(|size| usize::try_from(size).expect("a size")).collect()
    }
}

fn assert_close(name: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let most = theirs.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let pairs = ours.iter().zip(theirs);
    let off = pairs.fold(0.0_f32, |off, (a, b)| off.max((a - b).abs()));
    assert!(most > 0.1 && off <= 1e-5 * most, "{name}: off by {off}, the largest is {most}");
}

#[test]
fn a_blur_is_the_convolution_with_its_kernel() {
    let fixtures = Fixtures::read();
    for (name, edge) in [("blur.small", 16), ("blur.large", 24)] {
        let kernel = gauss::kernel(fixtures.f64(&format!("{name}.sigma"))[0]);
        let ours = gauss::mirrored(&fixtures.f32(&format!("{name}.input")), edge, &kernel);
        assert_close(name, &ours, &fixtures.f32(&format!("{name}.output")));
    }
}

#[test]
#[expect(clippy::cast_possible_truncation, reason = "places are of 32 bits")]
fn a_warped_patch_is_what_grid_sample_makes() {
    let fixtures = Fixtures::read();
    for name in ["warp.same", "warp.near", "warp.far"] {
        let of = |part: &str| format!("{name}.{part}");
        let [edge, spacing, side, top, left, height, width] = fixtures.sizes(&of("sizes"))[..]
        else {
            panic!("sizes")
        };
        let [step, down, right] = fixtures.f64(&of("place"))[..] else { panic!("a place") };
        let nodes = fixtures.f32(&of("nodes"));
        let (first, second) = nodes.split_at(side * side);
        let field = Field { spacing, side, nodes: [first.to_vec(), second.to_vec()] };
        let start = [down as f32, right as f32];
        let warp = Warp { edge, step: step as f32, start, field: Some(field) };
        let picture = Picture::of_bytes(30, 37, 3, fixtures.bytes(&of("picture")));
        let mask = Mask::of_pixels(30, 37, fixtures.bytes(&of("mask")));
        let region = Region { slice: 0, top, left, height, width };
        let (mut values, mut truth) = (Vec::new(), Vec::new());
        warp.push_values(&mut values, &picture, region, 3);
        warp.push_truth(&mut truth, &mask, region);
        // Places of 32 bits: neighbours may differ by all of the range, so by 1e-6 of it in a pixel.
        assert_close(name, &values, &fixtures.f32(&of("values")));
        assert_eq!(truth, fixtures.f32(&of("truth")), "{name}");
    }
}

#[test]
fn contrast_brightness_and_gamma_are_their_formulas() {
    let fixtures = Fixtures::read();
    for name in ["tone.dark", "tone.bright", "tone.flat"] {
        let [contrast, brightness, gamma] = fixtures.f64(&format!("{name}.factors"))[..] else {
            panic!("factors")
        };
        let change =
            Intensity { blur: 0.0, contrast, brightness, gamma, noise: 0.0, place: (0, 0, 0) };
        let mut ours = fixtures.f32(&format!("{name}.input"));
        change.apply(&mut ours, 12);
        assert_close(name, &ours, &fixtures.f32(&format!("{name}.output")));
    }
}
