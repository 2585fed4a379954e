use safetensors::Dtype;

use super::*;

/// A tensor in memory.
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Tensor {
    fn f32(values: &[f32], shape: &[usize]) -> Tensor {
        let data = values.iter().flat_map(|value| value.to_le_bytes());
        Tensor {
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            data: data.collect(),
        }
    }

    fn bf16(values: &[f32], shape: &[usize]) -> Tensor {
        let values = values.iter().map(|value| half::bf16::from_f32(*value));
        Tensor {
            dtype: Dtype::BF16,
            shape: shape.to_vec(),
            data: values.flat_map(half::bf16::to_le_bytes).collect(),
        }
    }

    fn compare(&self, other: &Tensor) -> Statistics {
        compare(&self.view(), &other.view()).unwrap()
    }

    fn view(&self) -> TensorView<'_> {
        TensorView {
            name: "t",
            dtype: self.dtype,
            shape: &self.shape,
            data: &self.data,
            path: std::path::Path::new("model.safetensors"),
        }
    }
}

/// Numbers between -1 and 1 that look random and are the same each time.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    (0..count).map(|_| next()).collect()
}

/// The same written down plainly.
fn reference(a: &[f32], b: &[f32]) -> (u64, f64, f64, f64) {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let differing = pairs().filter(|(a, b)| a != b).count() as u64;
    let largest = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let sum = |term: fn((f64, f64)) -> f64| pairs().map(term).sum::<f64>();
    let difference = sum(|(a, b)| (a - b) * (a - b)).sqrt();
    let norms = [sum(|(a, _)| a * a).sqrt(), sum(|(_, b)| b * b).sqrt()];
    let cosine = sum(|(a, b)| a * b) / (norms[0] * norms[1]);
    (
        differing,
        largest,
        difference / norms[0].max(norms[1]),
        cosine,
    )
}

fn assert_close(found: f64, expected: f64) {
    let allowed = 1e-12 * expected.abs().max(1.0);
    assert!(
        (found - expected).abs() <= allowed,
        "{found} and {expected}"
    );
}

#[test]
fn numbers_are_those_of_a_plain_computation_across_chunks_and_blocks() {
    for count in [1, 7, 8, BLOCK, BLOCK + 1, CHUNK - 1, 3 * CHUNK + 77] {
        let a = numbers(count, 1);
        let noise = numbers(count, 2);
        let b: Vec<f32> = a
            .iter()
            .zip(&noise)
            .enumerate()
            .map(|(index, (a, noise))| if index % 3 == 0 { *a } else { a + 0.01 * noise })
            .collect();
        let found = Tensor::f32(&a, &[count]).compare(&Tensor::f32(&b, &[count]));
        let (differing, largest, relative, cosine) = reference(&a, &b);
        assert_eq!(found.elements, count as u64);
        assert_eq!((found.differing, found.max_abs), (differing, largest));
        assert_close(found.relative, relative);
        assert_close(found.cosine.unwrap(), cosine);
        if let Some(place) = &found.largest {
            let index = place[0];
            assert_eq!(f64::from((a[index] - b[index]).abs()), largest);
        }
        let first = a.iter().zip(&b).position(|(a, b)| a != b);
        assert_eq!(found.first, first.map(|index| vec![index]));
    }
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let count = 5 * CHUNK + 3;
    let (a, b) = (numbers(count, 3), numbers(count, 4));
    let (a, b) = (Tensor::bf16(&a, &[count]), Tensor::bf16(&b, &[count]));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| a.compare(&b))
    };
    assert_eq!(run(1), run(5));
}

#[test]
fn another_dtype_is_compared_by_its_numbers() {
    let values = numbers(1000, 5);
    let stored = Tensor::bf16(&values, &[10, 100]);
    let rounded: Vec<f32> = values
        .iter()
        .map(|value| half::bf16::from_f32(*value).to_f32())
        .collect();
    let wider = Tensor::f32(&rounded, &[10, 100]);
    let found = stored.compare(&wider);
    assert_eq!((found.differing, found.relative), (0, 0.0));
    assert_eq!((found.first, found.largest), (None, None));
    let original = Tensor::f32(&values, &[10, 100]);
    let found = stored.compare(&original);
    assert!(found.differing > 900 && found.relative > 1e-4 && found.relative < 4e-3);
    assert!(found.within(4e-3) && !found.within(1e-4));
}

#[test]
fn nan_and_infinity_are_counted_and_kept_out_of_the_sums() {
    let a = [1.0, f32::NAN, 2.0, f32::INFINITY, f32::NAN, f32::INFINITY];
    let b = [1.0, f32::NAN, 4.0, 3.0, 0.5, f32::NEG_INFINITY];
    let found = Tensor::f32(&a, &[2, 3]).compare(&Tensor::f32(&b, &[2, 3]));
    assert_eq!((found.nan, found.infinite), ([2, 1], [2, 1]));
    assert_eq!((found.differing, found.broken), (4, 3));
    assert_eq!(
        (found.max_abs, found.largest.as_deref()),
        (2.0, Some(&[0, 2][..]))
    );
    assert_eq!(found.first, Some(vec![0, 2]));
    assert_close(found.relative, 2.0 / 17_f64.sqrt());
    assert!(!found.within(10.0), "a NaN on one side is never tolerated");
}

#[test]
fn zeros_and_opposites_have_numbers_of_their_own() {
    let zeros = Tensor::f32(&[0.0; 4], &[4]);
    let minus = Tensor::f32(&[-0.0; 4], &[4]);
    let found = zeros.compare(&minus);
    assert_eq!(
        (found.differing, found.relative, found.cosine),
        (4, 0.0, None)
    );
    let ones = Tensor::f32(&[1.0; 4], &[4]);
    assert_eq!(zeros.compare(&ones).relative, 1.0);
    let opposite = ones.compare(&Tensor::f32(&[-1.0; 4], &[4]));
    assert_eq!((opposite.relative, opposite.cosine), (2.0, Some(-1.0)));
    let empty = Tensor::f32(&[], &[0, 4]);
    assert_eq!(empty.compare(&empty).elements, 0);
}

#[test]
fn other_shapes_and_unreadable_dtypes_are_not_compared() {
    let a = Tensor::f32(&[1.0; 4], &[4]);
    let b = Tensor::f32(&[1.0; 4], &[2, 2]);
    assert_eq!(compare(&a.view(), &b.view()), None);
    let packed = Tensor {
        dtype: Dtype::F4,
        shape: vec![4],
        data: vec![0; 2],
    };
    assert_eq!(compare(&packed.view(), &packed.view()), None);
}
