//! The names a weights file may use. Everything else in Python is out of reach.
//!
//! A name on this list is never looked up anywhere: the machine knows what each of them makes of its arguments and
//! does just that.

use safetensors::Dtype;

/// A name that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// A tensor from a typed storage.
    TensorV2,
    /// A tensor from an untyped storage; the dtype is its seventh argument.
    TensorV3,
    /// A tensor that was trained; the tensor is its first argument.
    Parameter,
    /// A dictionary.
    OrderedDict,
    /// A dictionary of counts.
    Counter,
    /// A shape.
    Size,
    /// A device; which one does not matter here.
    Device,
    /// The class of a storage, with the dtype if the class fixes one that safetensors can express.
    Storage(&'static str, Elements),
    /// A dtype as a value.
    Dtype(&'static str, Elements),
}

/// What the elements of a storage are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    /// Of this dtype.
    Are(Dtype),
    /// Bytes; the tensor says what they mean.
    Untyped,
    /// Of a dtype that safetensors has no word for.
    Inexpressible,
}

impl Global {
    /// The name as Python writes it.
    pub fn name(self) -> &'static str {
        match self {
            Global::TensorV2 => "torch._utils._rebuild_tensor_v2",
            Global::TensorV3 => "torch._utils._rebuild_tensor_v3",
            Global::Parameter => "torch._utils._rebuild_parameter",
            Global::OrderedDict => "collections.OrderedDict",
            Global::Counter => "collections.Counter",
            Global::Size => "torch.Size",
            Global::Device => "torch.device",
            Global::Storage(name, _) | Global::Dtype(name, _) => name,
        }
    }
}

/// The allowed global of this name, if it is one.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    use Elements::{Are, Inexpressible, Untyped};
    let storage = |name, elements| Some(Global::Storage(name, elements));
    let dtype = |name, dtype| Some(Global::Dtype(name, dtype));
    match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Some(Global::TensorV2),
        ("torch._utils", "_rebuild_tensor_v3") => Some(Global::TensorV3),
        ("torch._utils", "_rebuild_parameter") => Some(Global::Parameter),
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("collections", "Counter") => Some(Global::Counter),
        ("torch", "Size") => Some(Global::Size),
        ("torch", "device") => Some(Global::Device),
        ("torch", "BoolStorage") => storage("torch.BoolStorage", Are(Dtype::BOOL)),
        ("torch", "ByteStorage") => storage("torch.ByteStorage", Are(Dtype::U8)),
        ("torch", "CharStorage") => storage("torch.CharStorage", Are(Dtype::I8)),
        ("torch", "ShortStorage") => storage("torch.ShortStorage", Are(Dtype::I16)),
        ("torch", "IntStorage") => storage("torch.IntStorage", Are(Dtype::I32)),
        ("torch", "LongStorage") => storage("torch.LongStorage", Are(Dtype::I64)),
        ("torch", "HalfStorage") => storage("torch.HalfStorage", Are(Dtype::F16)),
        ("torch", "BFloat16Storage") => storage("torch.BFloat16Storage", Are(Dtype::BF16)),
        ("torch", "FloatStorage") => storage("torch.FloatStorage", Are(Dtype::F32)),
        ("torch", "DoubleStorage") => storage("torch.DoubleStorage", Are(Dtype::F64)),
        ("torch", "ComplexFloatStorage") => storage("torch.ComplexFloatStorage", Are(Dtype::C64)),
        ("torch", "ComplexDoubleStorage") => storage("torch.ComplexDoubleStorage", Inexpressible),
        ("torch.storage", "UntypedStorage") => storage("torch.storage.UntypedStorage", Untyped),
        ("torch", "bool") => dtype("torch.bool", Are(Dtype::BOOL)),
        ("torch", "uint8") => dtype("torch.uint8", Are(Dtype::U8)),
        ("torch", "int8") => dtype("torch.int8", Are(Dtype::I8)),
        ("torch", "uint16") => dtype("torch.uint16", Are(Dtype::U16)),
        ("torch", "int16") => dtype("torch.int16", Are(Dtype::I16)),
        ("torch", "uint32") => dtype("torch.uint32", Are(Dtype::U32)),
        ("torch", "int32") => dtype("torch.int32", Are(Dtype::I32)),
        ("torch", "uint64") => dtype("torch.uint64", Are(Dtype::U64)),
        ("torch", "int64") => dtype("torch.int64", Are(Dtype::I64)),
        ("torch", "float16") => dtype("torch.float16", Are(Dtype::F16)),
        ("torch", "bfloat16") => dtype("torch.bfloat16", Are(Dtype::BF16)),
        ("torch", "float32") => dtype("torch.float32", Are(Dtype::F32)),
        ("torch", "float64") => dtype("torch.float64", Are(Dtype::F64)),
        ("torch", "complex64") => dtype("torch.complex64", Are(Dtype::C64)),
        ("torch", "complex128") => dtype("torch.complex128", Inexpressible),
        ("torch", "float8_e4m3fn") => dtype("torch.float8_e4m3fn", Are(Dtype::F8_E4M3)),
        ("torch", "float8_e5m2") => dtype("torch.float8_e5m2", Are(Dtype::F8_E5M2)),
        ("torch", "float8_e8m0fnu") => dtype("torch.float8_e8m0fnu", Are(Dtype::F8_E8M0)),
        ("torch", "float8_e4m3fnuz") => dtype("torch.float8_e4m3fnuz", Are(Dtype::F8_E4M3FNUZ)),
        ("torch", "float8_e5m2fnuz") => dtype("torch.float8_e5m2fnuz", Are(Dtype::F8_E5M2FNUZ)),
        _ => None,
    }
}
