//! Instruction sets: what this processor has, and how a function is compiled for each of them.

use std::cell::Cell;
use std::sync::OnceLock;

use crate::{Error, Result};

/// An instruction set the fast versions are written for. The order is from the least to the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Whatever the compiler makes of plain Rust for the baseline of the target.
    Portable,
    /// AVX2 with FMA and F16C (Intel since Haswell, AMD since Zen).
    Avx2,
    /// AVX-512 F, BW, DQ and VL (Intel since Skylake-X).
    Avx512,
    /// The same with the bfloat16 dot product (Intel since Cooper Lake, AMD since Zen 4).
    Avx512Bf16,
}

impl Isa {
    /// All of them, from the least to the best.
    pub const ALL: [Isa; 4] = [Isa::Portable, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16];

    /// The best that this processor has.
    #[must_use]
    pub fn detect() -> Isa {
        static DETECTED: OnceLock<Isa> = OnceLock::new();
        *DETECTED.get_or_init(detect)
    }

    /// Whether this processor has it.
    #[must_use]
    pub fn is_available(self) -> bool {
        self <= Isa::detect()
    }

    /// Its name, as one would write it in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "AVX2",
            Isa::Avx512 => "AVX-512",
            Isa::Avx512Bf16 => "AVX-512 BF16",
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Isa {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    if avx512 && is_x86_feature_detected!("avx512bf16") {
        Isa::Avx512Bf16
    } else if avx512 {
        Isa::Avx512
    } else if avx2 {
        Isa::Avx2
    } else {
        Isa::Portable
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Isa {
    Isa::Portable
}

thread_local! {
    static OVERRIDE: Cell<Option<Isa>> = const { Cell::new(None) };
}

/// The instruction set that operations called from this thread use: the best there is, or the one of the innermost
/// [`with_isa`].
#[must_use]
pub fn features() -> Isa {
    OVERRIDE.get().unwrap_or_else(Isa::detect)
}

/// Runs `body` with operations called from this thread using `isa`; for tests and benchmarks.
///
/// An operation asks once, on the thread that calls it, and hands the answer to its workers.
///
/// # Errors
///
/// [`Error::Isa`] when the processor does not have it.
pub fn with_isa<R>(isa: Isa, body: impl FnOnce() -> R) -> Result<R> {
    /// Puts the previous choice back, also when `body` panics.
    struct Restore(Option<Isa>);
    impl Drop for Restore {
        fn drop(&mut self) {
            OVERRIDE.set(self.0);
        }
    }

    if !isa.is_available() {
        return Err(Error::Isa {
            wanted: isa.name(),
            best: Isa::detect().name(),
        });
    }
    let _restore = Restore(OVERRIDE.replace(Some(isa)));
    Ok(body())
}

/// Compiles an `#[inline(always)]` function once per instruction set and calls the version for `$isa`. A body that
/// is marked `lanes` gets the [`Lanes`](crate::lanes::Lanes) of the instruction set as its first type.
///
/// The bodies have no fused multiply-adds, so that each version gives the same bits; only the width of the registers
/// differs.
macro_rules! for_each_isa {
    ($isa:expr, lanes $body:ident $([$generic:ident: $bound:path])? ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?) => {
        $crate::isa::for_each_isa!(@ $isa, [$($generic: $bound)?] ($($arg: $type),*) ($($ret)?)
            $body::<std::arch::x86_64::__m512 $(, $generic)?>($($arg),*),
            $body::<$crate::lanes::Halves $(, $generic)?>($($arg),*),
            $body::<[f32; $crate::lanes::LANES] $(, $generic)?>($($arg),*))
    };
    ($isa:expr, $body:ident ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?) => {
        $crate::isa::for_each_isa!(@ $isa, [] ($($arg: $type),*) ($($ret)?)
            $body($($arg),*), $body($($arg),*), $body($($arg),*))
    };
    (@ $isa:expr, [$($generic:ident: $bound:path)?] ($($arg:ident: $type:ty),*) ($($ret:ty)?)
        $avx512:expr, $avx2:expr, $portable:expr) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
        fn avx512 $(<$generic: $bound>)? ($($arg: $type),*) $(-> $ret)? { $avx512 }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c")]
        fn avx2 $(<$generic: $bound>)? ($($arg: $type),*) $(-> $ret)? { $avx2 }
        match $isa {
            // SAFETY: an `Isa` is only ever chosen after the processor was asked for it.
            #[cfg(target_arch = "x86_64")]
            $crate::Isa::Avx512 | $crate::Isa::Avx512Bf16 => unsafe { avx512 $(::<$generic>)? ($($arg),*) },
            #[cfg(target_arch = "x86_64")]
            $crate::Isa::Avx2 => unsafe { avx2 $(::<$generic>)? ($($arg),*) },
            _ => $portable,
        }
    }};
}
pub(crate) use for_each_isa;
