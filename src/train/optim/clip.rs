//! What happens to gradients before an update: a penalty joins them, they are measured and clipped.

use tch::{Kind, TchError, Tensor};

use crate::train::model::Parameters;

/// Keeps the factor finite, as PyTorch does.
const EPS: f64 = 1e-6;

/// Adds the gradient of `l2 · Σ w²`, which is `2 · l2 · w`, of the kernels of convolutions. It stands
/// before clipping, as a penalty that is a part of the loss would. A parameter without a gradient
/// took no part and gets none.
pub(super) fn add_penalty(
    parameters: &Parameters,
    kernels: &[bool],
    l2: f64,
) -> Result<(), TchError> {
    for ((_, parameter), is_kernel) in parameters.trainable().zip(kernels) {
        let mut gradient = parameter.grad();
        if *is_kernel && gradient.defined() {
            let _ = gradient.f_add_(&parameter.f_mul_scalar(2.0 * l2)?)?;
        }
    }
    Ok(())
}

/// Returns the Euclidean norm of all gradients together: not finite as soon as one value is not, or
/// its square is beyond 32-bit numbers. It is read once, so that a GPU is waited for once.
pub(super) fn norm(parameters: &Parameters) -> Result<f64, TchError> {
    let gradients = parameters.trainable().map(|(_, parameter)| parameter.grad());
    let norms = gradients.filter(Tensor::defined).map(|gradient| gradient.f_norm());
    let norms: Vec<Tensor> = norms.collect::<Result<_, _>>()?;
    if norms.is_empty() {
        return Ok(0.0);
    }
    Tensor::f_stack(&norms, 0)?.f_to_kind(Kind::Double)?.f_norm()?.f_double_value(&[])
}

/// Returns what gradients of this norm are multiplied by (Pascanu et al. 2013; as
/// `torch.nn.utils.clip_grad_norm_`): 1 and more means not at all.
pub(super) fn factor(norm: f64, largest: f64) -> f64 {
    largest / (norm + EPS)
}
