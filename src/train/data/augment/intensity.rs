//! Changes of grey values: blur, contrast, brightness, gamma, noise, in this order.

use crate::setting::Augmentation;
use crate::train::draw::Draw;

use super::gauss;

/// Changes of a patch's values, which are in `[0, 1]` before and after.
#[derive(Clone, Debug)]
pub(in crate::train::data) struct Intensity {
    /// Standard deviation of the blur, in pixels.
    pub(super) blur: f64,
    /// Factor of the distance from the patch's mean.
    pub(super) contrast: f64,
    /// What is added.
    pub(super) brightness: f64,
    /// Exponent.
    pub(super) gamma: f64,
    /// Standard deviation of the noise.
    pub(super) noise: f64,
    pub(super) place: (u64, u64, u64),
}

impl Intensity {
    /// Draws the change of one sample; none where the settings ask for none.
    pub(in crate::train::data) fn draw(
        settings: &Augmentation,
        place: (u64, u64, u64),
    ) -> Option<Self> {
        let Augmentation { brightness, contrast, gamma, noise, blur, .. } = *settings;
        if [brightness, contrast, gamma, noise, blur] == [0.0; 5] {
            return None;
        }
        // Each from a stream of its own: one that is turned on leaves the others as they are.
        let within = |purpose, low: f64, high: f64| match low < high {
            true => Draw::new(place.0, purpose, place.1, place.2).within(low, high),
            false => low,
        };
        let exponent = gamma.ln_1p();
        Some(Self {
            blur: within("blur", 0.0, blur),
            contrast: within("contrast", 1.0 - contrast, 1.0 + contrast),
            brightness: within("brightness", -brightness, brightness),
            gamma: within("gamma", -exponent, exponent).exp(),
            noise: within("noise", 0.0, noise),
            place,
        })
    }

    /// Changes a patch of planes of `edge` × `edge` values. Blur mirrors the patch at its border; the
    /// mean for the contrast is that of all planes; values are clipped to `[0, 1]` before the
    /// exponent and at the end.
    pub(in crate::train::data) fn apply(&self, values: &mut [f32], edge: usize) {
        if self.blur > 0.0 {
            let kernel = gauss::kernel(self.blur);
            for plane in values.chunks_exact_mut(edge * edge) {
                let blurred = gauss::mirrored(plane, edge, &kernel);
                plane.copy_from_slice(&blurred);
            }
        }
        self.tone(values);
        if self.noise > 0.0 {
            let (seed, epoch, sample) = self.place;
            add_noise(values, self.noise, &mut Draw::new(seed, "noise of pixels", epoch, sample));
        }
    }

    /// Contrast, brightness and gamma.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "values are of 32 bits; patches have far fewer than 2^52 pixels"
    )]
    fn tone(&self, values: &mut [f32]) {
        if self.contrast != 1.0 || self.brightness != 0.0 {
            let sum: f64 = values.iter().copied().map(f64::from).sum();
            let mean = sum / f64::max(values.len() as f64, 1.0);
            let factor = self.contrast as f32;
            let added = (mean * (1.0 - self.contrast) + self.brightness) as f32;
            values.iter_mut().for_each(|v| *v = (factor * *v + added).clamp(0.0, 1.0));
        }
        if self.gamma != 1.0 {
            let exponent = self.gamma as f32;
            values.iter_mut().for_each(|v| *v = v.powf(exponent));
        }
    }
}

/// Adds normal noise (Box and Muller 1958, both numbers of a pair) and clips.
#[expect(clippy::cast_possible_truncation, reason = "values are of 32 bits")]
fn add_noise(values: &mut [f32], deviation: f64, draw: &mut Draw) {
    for pair in values.chunks_mut(2) {
        let radius = deviation * (-2.0 * (1.0 - draw.unit()).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * draw.unit()).sin_cos();
        for (value, part) in pair.iter_mut().zip([cosine, sine]) {
            *value = (*value + (radius * part) as f32).clamp(0.0, 1.0);
        }
    }
}
