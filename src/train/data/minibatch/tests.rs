//! Minibatches against their definition, pixel by pixel.

use super::*;
use crate::train::data::Mask;

const PLAIN: Augmentation = Augmentation {
    flips: true,
    rotations: true,
    scale: 0.0,
    elastic: 0.0,
    elastic_sigma: 16.0,
    brightness: 0.0,
    contrast: 0.0,
    gamma: 0.0,
    noise: 0.0,
    blur: 0.0,
};

const ALL: Augmentation = Augmentation {
    flips: true,
    rotations: true,
    scale: 0.3,
    elastic: 4.0,
    elastic_sigma: 16.0,
    brightness: 0.1,
    contrast: 0.2,
    gamma: 0.3,
    noise: 0.05,
    blur: 1.5,
};

fn slice(height: usize, width: usize, planes: usize) -> Slice {
    let values = (0..height * width * planes).map(|at| u8::try_from(at * at % 253).expect("small"));
    let picture = Picture::of_bytes(height, width, planes, values.collect());
    let pixels = (0..height * width).map(|at| u8::from(at % 7 == 0)).collect();
    Slice { name: "a".to_owned(), picture, mask: Some(Mask::of_pixels(height, width, pixels)) }
}

fn recipe(edge: usize, channels: usize, augmentation: Augmentation) -> Recipe {
    let normalisation = Normalisation { mean: 0.41, deviation: 0.23 };
    Recipe { seed: 3, edge, channels, normalisation, augmentation }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.flatten(0, -1)).expect("values")
}

/// The definition: each pixel of the patch is the normalised value at the place where the turn and the
/// mirror send it.
#[test]
fn patches_that_are_only_turned_have_the_bits_of_their_definition() {
    for (planes, channels) in [(1, 1), (1, 3), (3, 1), (3, 3)] {
        let slices = [slice(40, 33, planes), slice(12, 50, planes)];
        let regions: Vec<Region> = slices
            .iter()
            .enumerate()
            .map(|(at, slice)| Region::whole(at, &slice.picture))
            .collect();
        let recipe = recipe(16, channels, PLAIN);
        for crops in [None, Some(30)] {
            let mut sampler = Sampler::new(&regions, 16, crops, 3);
            let cut = Minibatch::cut(&recipe, &slices, &mut sampler, 2, 0..10).expect("cut");
            let (mut images, mut truth) = (Vec::new(), Vec::new());
            for sample in 0..10 {
                let window = sampler.window(&slices, 2, sample).expect("window");
                let turn = Turn::draw(&PLAIN, 3, 2, sample);
                let Slice { picture, mask, .. } = &slices[window.region.slice];
                let places: Vec<(usize, usize)> = (0..16 * 16)
                    .map(|at| turn.source(at / 16, at % 16, 16))
                    .map(|(y, x)| window.region.mirrored(window.top + y, window.left + x))
                    .collect();
                for channel in 0..channels {
                    let value = |(y, x): &(usize, usize)| {
                        recipe.normalisation.apply(picture.value(*y, *x, channel, channels))
                    };
                    images.extend(places.iter().map(value));
                }
                let mask = mask.as_ref().expect("mask");
                let label = |(y, x): &(usize, usize)| f32::from(mask.pixels[y * mask.width + x]);
                truth.extend(places.iter().map(label));
            }
            assert!(values(&cut.images) == images, "{planes} planes, {channels} channels");
            assert!(values(&cut.truth) == truth, "{planes} planes, {channels} channels");
        }
    }
}

#[test]
fn a_minibatch_is_its_samples_whatever_was_cut_before() {
    let slices = [slice(64, 64, 1)];
    let regions = [Region::whole(0, &slices[0].picture)];
    let recipe = recipe(32, 3, ALL);
    let cut = |sampler: &mut Sampler, epoch, samples| {
        let cut = Minibatch::cut(&recipe, &slices, sampler, epoch, samples).expect("cut");
        assert_eq!(cut.images.size()[1..], [3, 32, 32]);
        (values(&cut.images), values(&cut.truth))
    };
    let mut sampler =
        Sampler::new(&regions, 32, Some(40), 3).with_foreground(0.5, &slices, &regions);
    let both = cut(&mut sampler, 1, 4..6);
    let (first, second) = (cut(&mut sampler, 1, 4..5), cut(&mut sampler, 1, 5..6));
    assert!(both.0 == [first.0.clone(), second.0].concat());
    assert!(both.1 == [first.1, second.1].concat());
    // A grey image stays grey: its noise is that of all channels.
    assert!(first.0[..1024] == first.0[1024..2048] && first.0[..1024] == first.0[2048..]);
    let mut other = sampler.clone();
    cut(&mut other, 2, 0..1);
    assert!(cut(&mut other, 1, 4..6) == both, "a thread with a sampler of its own cuts the same");
    assert!(cut(&mut other, 2, 4..6) != both);
}

#[test]
fn crops_around_foreground_show_each_foreground_pixel_alike() {
    // Foreground: a row of 6 pixels in a corner, and a single pixel in another slice.
    let mask = |foreground: &[usize]| {
        let mut pixels = vec![0; 48 * 48];
        foreground.iter().for_each(|at| pixels[*at] = 1);
        Mask::of_pixels(48, 48, pixels)
    };
    let masks = [mask(&[]), mask(&[0, 1, 2, 3, 4, 5]), mask(&[30 * 48 + 31])];
    let slices: Vec<Slice> =
        masks.into_iter().map(|mask| Slice { mask: Some(mask), ..slice(48, 48, 1) }).collect();
    let regions: Vec<Region> =
        slices.iter().enumerate().map(|(at, slice)| Region::whole(at, &slice.picture)).collect();
    let holds = |part: f64, augmentation: Augmentation| {
        let recipe = recipe(16, 1, augmentation);
        let sampler = Sampler::new(&regions, 16, Some(3000), 3);
        let mut sampler = sampler.with_foreground(part, &slices, &regions);
        let mut found = [0_u32; 2];
        for sample in 0..3000 {
            let window = sampler.window(&slices, 1, sample).expect("window");
            let (mut values, mut truth) = (Vec::new(), Vec::new());
            let slice = &slices[window.region.slice];
            recipe.push_patch(&mut values, &mut truth, slice, &window, (1, sample));
            found[0] += u32::from(truth.contains(&1.0));
            found[1] += u32::from(window.region.slice == 2 && truth.contains(&1.0));
        }
        found.map(|count| f64::from(count) / 3000.0)
    };
    let [all, single] = holds(1.0, PLAIN);
    assert!(all == 1.0 && (single - 1.0 / 7.0).abs() < 0.03, "{all} {single}");
    let [none, _] = holds(0.0, PLAIN);
    assert!(none < 0.15, "{none}");
    let [half, _] = holds(0.5, PLAIN);
    assert!((half - (0.5 + 0.5 * none)).abs() < 0.05, "{half}");
    // Magnified patches are smaller squares, and hold the pixel that was chosen; in those that are made
    // smaller the pixel may fall between two of the patch.
    let [scaled, _] = holds(1.0, Augmentation { scale: 1.0, ..PLAIN });
    assert!(scaled > 0.93, "{scaled}");
}
