//! The dtype of a head is what its tensors have on disk; configs often name another.

use safetensors::Dtype;

use crate::checkpoint::TensorView;
use crate::decision::Decision;
use crate::expected;
use crate::verifier::FloatType;

/// The dtype of the tensors a head consists of, and what to tell where they differ, or are not what the config has
/// `written`. Where they differ, `main` counts: the tensor that takes in the verifier's hidden states.
pub(crate) fn of_tensors<'a>(
    tensors: impl Iterator<Item = TensorView<'a>>,
    main: Option<TensorView<'a>>,
    written: Option<FloatType>,
) -> (FloatType, Option<Decision>) {
    let float = |dtype: &Dtype| expected::is_float(*dtype);
    let mut found: Vec<Dtype> = tensors.map(|view| view.dtype).filter(float).collect();
    found.sort_unstable();
    found.dedup();
    let main = main.map(|view| view.dtype).filter(float);
    let main = match main.or(found.last().copied()) {
        Some(Dtype::F16) => FloatType::Float16,
        Some(Dtype::BF16) => FloatType::Bfloat16,
        _ => FloatType::Float32,
    };
    let shown = |dtype: FloatType| format!("{dtype:?}").to_lowercase();
    let reason = match written {
        _ if found.len() > 1 => format!(
            "the tensors are of {} dtypes, {found:?}; each keeps its own",
            found.len()
        ),
        Some(written) if written != main && !found.is_empty() => format!(
            "the config says {}, but this is what the tensors are",
            shown(written)
        ),
        _ => return (main, None),
    };
    let decision = Decision::settled("dtype", shown(main), reason);
    (main, Some(decision))
}
